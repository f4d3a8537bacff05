//! An object in a file, and where it stands.

use super::Unreadable;
use crate::config::Extra;
use serde_json::Value as Json;

/// An object from which what is known is taken; what stays is extra.
pub(super) struct Place {
    at: String,
    members: Extra,
}

impl Place {
    pub(super) fn new(at: String, json: Json) -> Result<Self, Unreadable> {
        match json {
            Json::Object(members) => Ok(Self { at, members: members.into_iter().collect() }),
            other => Err(Unreadable {
                at: or_top(at),
                what: format!("this must be an object, not {}", kind(&other)),
            }),
        }
    }

    /// Where a member stands.
    pub(super) fn at(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    pub(super) fn wrong(&self, key: &str, what: impl ToString) -> Unreadable {
        Unreadable { at: self.at(key), what: what.to_string() }
    }

    /// Something that must be there.
    pub(super) fn required<T>(&self, key: &str, found: Option<T>) -> Result<T, Unreadable> {
        found.ok_or_else(|| self.wrong(key, "this is missing"))
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Unreadable> {
        self.take(key, "text", |json| match json {
            Json::String(text) => Some(text),
            _ => None,
        })
    }

    /// LIO writes yes and no either way.
    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, Unreadable> {
        self.take(key, "true or false", |json| match json {
            Json::Bool(flag) => Some(flag),
            Json::Number(number) => match number.as_u64() {
                Some(0) => Some(false),
                Some(1) => Some(true),
                _ => None,
            },
            _ => None,
        })
    }

    pub(super) fn number<T: TryFrom<u64>>(&mut self, key: &str) -> Result<Option<T>, Unreadable> {
        let most = u64::MAX >> (64 - 8 * size_of::<T>().clamp(1, 8));
        self.take(key, &format!("a number up to {most}"), |json| match json {
            Json::Number(number) => T::try_from(number.as_u64()?).ok(),
            Json::String(text) => T::try_from(text.parse().ok()?).ok(),
            _ => None,
        })
    }

    /// The objects of a list.
    pub(super) fn objects(&mut self, key: &str) -> Result<Vec<Self>, Unreadable> {
        let list = self.take(key, "a list", |json| match json {
            Json::Array(list) => Some(list),
            _ => None,
        })?;
        let place = |(index, json)| Self::new(format!("{}[{index}]", self.at(key)), json);
        list.unwrap_or_default().into_iter().enumerate().map(place).collect()
    }

    /// An object within; an empty one if there is none.
    pub(super) fn object(&mut self, key: &str) -> Result<Self, Unreadable> {
        let at = self.at(key);
        match self.members.remove(key) {
            None | Some(Json::Null) => Ok(Self { at, members: Extra::new() }),
            Some(json) => Self::new(at, json),
        }
    }

    /// One after the other, all that is left.
    pub(super) fn drain(&mut self) -> Extra {
        core::mem::take(&mut self.members)
    }

    /// Puts something back that is not known after all.
    pub(super) fn put_back(&mut self, key: &str, json: Json) {
        self.members.insert(key.to_owned(), json);
    }

    /// Puts an object's unknown members back.
    pub(super) fn put_back_rest(&mut self, key: &str, rest: Extra) {
        if !rest.is_empty() {
            self.put_back(key, Json::Object(rest.into_iter().collect()));
        }
    }

    /// What nobody has taken.
    pub(super) fn rest(self) -> Extra {
        self.members
    }

    fn take<T>(
        &mut self,
        key: &str,
        want: &str,
        read: impl FnOnce(Json) -> Option<T>,
    ) -> Result<Option<T>, Unreadable> {
        match self.members.remove(key) {
            None | Some(Json::Null) => Ok(None),
            Some(json) => {
                let found = kind(&json);
                read(json)
                    .map(Some)
                    .ok_or_else(|| self.wrong(key, format!("this must be {want}, not {found}")))
            }
        }
    }
}

fn or_top(at: String) -> String {
    if at.is_empty() { "the whole file".to_owned() } else { at }
}

fn kind(json: &Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(_) | Json::Number(_) => json.to_string(),
        Json::String(text) => format!("{text:?}"),
        Json::Array(_) => "a list".to_owned(),
        Json::Object(_) => "an object".to_owned(),
    }
}
