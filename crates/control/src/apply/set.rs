//! Setting what has a row: the row says whether and when.

use super::{Draft, store};
use crate::attr::{Attr, Scope, Value, Values, When};
use crate::change::Group;
use crate::config::{Auth, DEFAULT_GROUP, Identity};
use crate::path::Path;
use crate::refusal::{Kind, Refusal};

impl Draft<'_> {
    pub(super) fn set(&mut self, path: &Path, group: Group, name: &str, value: &str) -> Result<(), Refusal> {
        let row = self.settable(path, group, name)?;
        let value = row.parse(value).map_err(|refusal| refusal.at(path.clone()))?;
        let shown = if row.secret { "what you said".to_owned() } else { format!("'{value}'") };
        self.put(path, row, Some(value))?;
        self.say(path.clone(), format!("{} {name} is now {shown}.", title(group)));
        Ok(())
    }

    pub(super) fn reset(&mut self, path: &Path, group: Group, name: &str) -> Result<(), Refusal> {
        let row = self.settable(path, group, name)?;
        self.put(path, row, None)?;
        self.say(path.clone(), format!("{} {name} is as it is by default.", title(group)));
        Ok(())
    }

    /// The row of a name, if it can be set now.
    fn settable(&mut self, path: &Path, group: Group, name: &str) -> Result<&'static Attr, Refusal> {
        let at = |refusal: Refusal| refusal.at(path.clone());
        let Some(scope) = group.scope(path) else {
            let groups: Vec<&str> = Group::of(path).map(Group::as_str).collect();
            let refusal = Refusal::new(Kind::NotFound, format!("{path} has no group {}", group.as_str()));
            return Err(at(match groups.is_empty() {
                true => refusal,
                false => refusal.hint(format!("it has {}", groups.join(", "))),
            }));
        };
        let row = Attr::require(scope, name).map_err(at)?;
        match row.when {
            When::ReadOnly => Err(at(Refusal::new(Kind::ReadOnly, format!("{name} can only be read")))),
            When::WhileNotExported => self.require_not_exported(path, name).map(|()| row),
            When::WhileDisabled => self.require_disabled(path, name).map(|()| row),
            When::Always | When::Once | When::Action => Ok(row),
        }
    }

    fn require_not_exported(&mut self, path: &Path, name: &str) -> Result<(), Refusal> {
        let Path::Storage(key) = path else { return Ok(()) };
        if !self.is_exported(key) {
            return Ok(());
        }
        match self.config.luns_of(key).next() {
            Some((tpg, index)) => {
                let lun = Path::Lun(tpg, index);
                let what = format!("{name} cannot change while {lun} leads to {key}");
                Err(Refusal::new(Kind::InUse, what)
                    .hint("delete the LUN, set it, and create the LUN again")
                    .at(path.clone()))
            }
            None => Ok(()),
        }
    }

    fn require_disabled(&self, path: &Path, name: &str) -> Result<(), Refusal> {
        let Path::Tpg(key) = path else { return Ok(()) };
        if self.config.tpg(key).is_some_and(|tpg| tpg.enable) {
            let refusal = Refusal::new(Kind::Busy, format!("{name} cannot change while the TPG is enabled"));
            return Err(refusal.hint(format!("`{key} disable` first")).at(path.clone()));
        }
        Ok(())
    }

    /// Stores a value, or with `None` the default, where its row's scope keeps it.
    fn put(&mut self, path: &Path, row: &'static Attr, value: Option<Value>) -> Result<(), Refusal> {
        match (row.scope, path) {
            (Scope::Storage, Path::Storage(key)) => {
                let object = self.storage_mut(key)?;
                if !row.applies_to(&object.backing) {
                    let what = format!("{key} has no {}: its device answers for itself", row.name);
                    return Err(Refusal::new(Kind::NotSupported, what).at(key));
                }
                let default = row.default_of(Some(&object.backing));
                put_value(&mut object.attributes, row, value, default.as_ref());
            }
            (Scope::Identity, Path::Storage(key)) => {
                let object = self.storage_mut(key)?;
                if row.name == "vpd_unit_serial" {
                    object.wwn = text(value);
                } else {
                    put_identity(&mut object.identity, row, value);
                }
            }
            (Scope::Alua, Path::AluaGroup(key, name)) => {
                let object = self.storage_mut(key)?;
                let Some(group) = object.alua_groups.get_mut(name) else {
                    return Err(Refusal::not_found(path.clone()));
                };
                if row.when == When::Once {
                    return number_group(&mut group.tag, value).map_err(|refusal| refusal.at(path.clone()));
                }
                put_value(&mut group.parameters, row, value, row.default_of(None).as_ref());
            }
            (Scope::Lun, Path::Lun(key, index)) => {
                let Some(lun) = self.tpg_mut(key)?.luns.get_mut(index) else {
                    return Err(Refusal::not_found(path.clone()));
                };
                lun.alua_group = Some(text(value)).filter(|name| !name.is_empty() && name != DEFAULT_GROUP);
            }
            (Scope::Tpg, Path::Tpg(key)) => {
                put_value(&mut self.tpg_mut(key)?.attributes, row, value, row.default_of(None).as_ref());
            }
            (Scope::Parameter, Path::Tpg(key)) => {
                put_value(&mut self.tpg_mut(key)?.parameters, row, value, row.default_of(None).as_ref());
            }
            (Scope::Auth, Path::Tpg(key)) => put_auth(&mut self.tpg_mut(key)?.auth, row.name, value),
            (Scope::Auth, Path::Acl(key)) => put_auth(&mut self.acl_mut(key)?.auth, row.name, value),
            (Scope::Acl, Path::Acl(key)) => {
                put_value(&mut self.acl_mut(key)?.attributes, row, value, row.default_of(None).as_ref());
            }
            (Scope::DiscoveryAuth, Path::Fabric(fabric)) => {
                let discovery = &mut self.config.fabrics.entry(fabric.clone()).or_default().discovery;
                match row.name {
                    "enable" => discovery.enable = value.is_some_and(|value| value.is_on()),
                    name => put_auth(&mut discovery.auth, name, value),
                }
                self.drop_idle_fabrics();
            }
            _ => return Err(Refusal::not_found(path.clone())),
        }
        Ok(())
    }
}

fn put_value(values: &mut Values, row: &Attr, value: Option<Value>, default: Option<&Value>) {
    match value {
        Some(_) if row.when == When::Action => {}
        Some(value) => store(values, row.name, value, default),
        None => {
            values.remove(row.name);
        }
    }
}

fn put_auth(auth: &mut Auth, name: &str, value: Option<Value>) {
    if let Some(field) = auth.get_mut(name) {
        *field = text(value);
    }
}

fn put_identity(identity: &mut Identity, row: &Attr, value: Option<Value>) {
    if row.name == "company_id" {
        let other = value.filter(|value| row.default_of(None).as_ref() != Some(value));
        identity.company_id = other.as_ref().and_then(Value::number).and_then(|id| u32::try_from(id).ok());
        return;
    }
    let field = match row.name {
        "vendor_id" => &mut identity.vendor,
        "product_id" => &mut identity.product,
        _ => &mut identity.revision,
    };
    *field = Some(text(value)).filter(|text| !text.is_empty());
}

/// A group's number is given once.
fn number_group(tag: &mut Option<u16>, value: Option<Value>) -> Result<(), Refusal> {
    let new = value.as_ref().and_then(Value::number).and_then(|number| u16::try_from(number).ok());
    if tag.is_some() && *tag != new {
        return Err(Refusal::invalid("the group has a number already").hint("create another group"));
    }
    *tag = new;
    Ok(())
}

fn text(value: Option<Value>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// How a value of a group is called in a sentence.
const fn title(group: Group) -> &'static str {
    match group {
        Group::Attribute | Group::Identity => "Attribute",
        Group::Parameter | Group::Auth | Group::DiscoveryAuth | Group::Alua => "Parameter",
    }
}
