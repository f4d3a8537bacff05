//! What values look like, in the words of JSON Schema: from the rows of [`attr`](crate::attr).
//!
//! All other types describe themselves (`JsonSchema`). Where one of them holds values, it refers to the schema of their scope, which
//! whoever makes a document puts under [`name`] among its components.

use crate::attr::{Attr, Kind, Scope, Value, When, rows};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json, json};

/// What the schema of a scope's values is called.
#[must_use]
pub fn name(scope: Scope) -> String {
    format!("{scope:?}Values")
}

/// A reference to the schema of a scope's values.
#[must_use]
pub fn reference(scope: Scope) -> Schema {
    Schema::new_ref(format!("#/components/schemas/{}", name(scope)))
}

/// The values of a scope: an object with a property for each row. `null` is what the device decides, or the default where it is written.
#[must_use]
pub fn values(scope: Scope) -> Schema {
    let properties: Map<String, Json> =
        rows(scope).iter().map(|row| (row.name.to_owned(), row.schema().into())).collect();
    json_schema!({ "type": "object", "properties": properties, "additionalProperties": false })
}

macro_rules! references {
    ($($function:ident => $scope:ident),*) => {$(
        pub(crate) fn $function(_: &mut SchemaGenerator) -> Schema {
            reference(Scope::$scope)
        }
    )*};
}
references!(storage => Storage, alua => Alua, tpg => Tpg, parameter => Parameter, acl => Acl);

impl Attr {
    /// What its values look like.
    #[must_use]
    pub fn schema(&self) -> Schema {
        let mut schema = match self.kind {
            Kind::Flag => json!({ "enum": [0, 1, false, true, null] }),
            Kind::Number(low, high) => {
                json!({ "type": ["integer", "null"], "minimum": low, "maximum": high })
            }
            Kind::OneOf(choices) => {
                let choices = choices.iter().map(|choice| json!(choice)).chain([Json::Null]);
                json!({ "enum": choices.collect::<Vec<_>>() })
            }
            Kind::YesNo => json!({ "enum": ["Yes", "No", false, true, null] }),
            Kind::Words(choices) => {
                let one = choices.join("|");
                json!({ "type": ["string", "null"], "pattern": format!("^({one})(,({one}))*$") })
            }
            Kind::Text(bytes_max) => {
                json!({ "type": ["string", "null"], "maxLength": bytes_max, "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]*$" })
            }
        };
        let when = match self.when {
            When::Always => "",
            When::WhileNotExported => " Changes only while no LUN leads to the storage object.",
            When::WhileDisabled => " Changes only while the portal group is disabled.",
            When::Once => " Is set once.",
            When::Action => " Writing 1 does something; it reads 0 again.",
            When::ReadOnly => " Can only be read.",
        };
        schema["description"] = format!("{}{when}", self.doc).into();
        schema["x-when"] = json!(self.when);
        if let Some(default) = self.default_of(None) {
            schema["default"] = json!(default);
        }
        if !self.is_writable() {
            schema["readOnly"] = true.into();
        }
        schema.try_into().unwrap_or_default()
    }

    /// The text that a JSON value means, if it is of the right type.
    pub(crate) fn text_of(&self, value: &Json) -> Option<String> {
        match (value, self.kind) {
            (Json::Bool(on), Kind::Flag | Kind::YesNo) => Some(on.to_string()),
            (Json::Number(number), Kind::Flag | Kind::Number(..) | Kind::OneOf(_)) => {
                Some(number.to_string())
            }
            (Json::String(text), Kind::YesNo | Kind::Words(_) | Kind::Text(_)) => Some(text.clone()),
            _ => None,
        }
    }
}

/// A value as it is read; `null` where the device decides.
pub(crate) fn json(value: Option<Value>) -> Json {
    value.map_or(Json::Null, |value| json!(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_says_kind_default_doc_and_when_it_may_change() {
        for row in Scope::ALL.into_iter().flat_map(rows) {
            let schema = row.schema();
            let says = |key: &str| schema.get(key).is_some();
            assert!(says("enum") || says("type"), "{}", row.name);
            assert_eq!(says("default"), row.default_of(None).is_some(), "{}", row.name);
            assert_eq!(says("readOnly"), row.when == When::ReadOnly, "{}", row.name);
            let doc = schema.get("description").and_then(Json::as_str);
            assert!(doc.is_some_and(|doc| doc.starts_with(row.doc)), "{}", row.name);
        }
    }

    #[test]
    fn what_is_read_can_be_written() {
        for row in Scope::ALL.into_iter().flat_map(rows) {
            let Some(default) = row.default_of(None) else { continue };
            let text = row.text_of(&json!(default)).expect("it is of its own type");
            assert_eq!(row.parse(&text), Ok(default), "{}", row.name);
        }
    }
}
