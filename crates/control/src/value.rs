//! What a row of [`attr`](crate::attr) is at an object: the counterpart of setting it.

use crate::attr::{Attr, Scope, Value};
use crate::config::{Auth, Config, DEFAULT_GROUP, StorageObject};
use crate::path::Path;

impl Config {
    /// The value that is set, or the default. `None` where the device decides, or where there is no such thing.
    #[must_use]
    pub fn value(&self, path: &Path, row: &Attr) -> Option<Value> {
        match (row.scope, path) {
            (Scope::Storage, Path::Storage(key)) => self.storage.get(key)?.attribute(row.name),
            (Scope::Identity, Path::Storage(key)) => identity(self.storage.get(key)?, row),
            (Scope::Alua, Path::AluaGroup(key, name)) => {
                let group = self.storage.get(key)?.alua_groups.get(name)?;
                match row.name {
                    "tg_pt_gp_id" => group.tag.map(|tag| Value::Number(tag.into())),
                    name => group.parameter(name),
                }
            }
            (Scope::Lun, Path::Lun(key, index)) => {
                let group = self.tpg(key)?.luns.get(index)?.alua_group.as_deref();
                Some(text(group.unwrap_or(DEFAULT_GROUP)))
            }
            (Scope::Tpg, Path::Tpg(key)) => self.tpg(key)?.attribute(row.name),
            (Scope::Parameter, Path::Tpg(key)) => self.tpg(key)?.parameter(row.name),
            (Scope::Auth, Path::Tpg(key)) => proof(&self.tpg(key)?.auth, row.name),
            (Scope::Auth, Path::Acl(key)) => proof(&self.acl(key)?.auth, row.name),
            (Scope::Acl, Path::Acl(key)) => self.acl(key)?.attribute(row.name),
            (Scope::DiscoveryAuth, Path::Fabric(fabric)) => {
                let discovery = self.fabrics.get(fabric).map(|fabric| &fabric.discovery);
                match row.name {
                    "enable" => {
                        Some(Value::Number(discovery.is_some_and(|discovery| discovery.enable).into()))
                    }
                    name => match discovery {
                        Some(discovery) => proof(&discovery.auth, name),
                        None => row.default_of(None),
                    },
                }
            }
            _ => None,
        }
    }
}

fn identity(object: &StorageObject, row: &Attr) -> Option<Value> {
    let identity = &object.identity;
    let set = match row.name {
        "company_id" => identity.company_id.map(|id| Value::Number(id.into())),
        "vpd_unit_serial" => Some(text(&object.wwn)),
        "vendor_id" => identity.vendor.as_deref().map(text),
        "product_id" => identity.product.as_deref().map(text),
        "revision" => identity.revision.as_deref().map(text),
        _ => None,
    };
    set.or_else(|| row.default_of(None))
}

fn proof(auth: &Auth, name: &str) -> Option<Value> {
    match name {
        "authenticate_target" => Some(Value::Number((!auth.mutual_userid.is_empty()).into())),
        name => auth.get(name).map(text),
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}
