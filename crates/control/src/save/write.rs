//! From our objects to the file's.

use crate::attr::{Scope, Value, Values, rows};
use crate::config::{
    Acl, AluaGroup, Auth, Backing, Config, DEFAULT_GROUP, Extra, FabricConfig, Lun, StorageObject, Target,
    Tpg,
};
use crate::path::{Fabric, StorageKey, TargetKey};
use serde_json::{Map, Value as Json, json};

/// The whole file.
pub(super) fn config(config: &Config) -> Json {
    let fabrics: Vec<Json> =
        config.fabrics.iter().map(|(name, fabric)| fabric_module(name, fabric)).collect();
    let groups = config.lu_groups.iter().map(|(name, group)| match group.id {
        Some(id) => json!({ "name": name, "id": id }),
        None => json!({ "name": name }),
    });
    let mut top = Map::new();
    top.insert("fabric_modules".to_owned(), fabrics.into());
    top.insert(
        "storage_objects".to_owned(),
        config.storage.iter().map(|(key, object)| storage(key, object)).collect(),
    );
    top.insert(
        "targets".to_owned(),
        config.targets.iter().map(|(key, of)| target(key, of, config)).collect(),
    );
    let groups: Vec<Json> = groups.collect();
    put_own(&mut top, [("lu_groups", (!groups.is_empty()).then(|| Json::from(groups)))]);
    with_extra(top, &config.extra)
}

fn fabric_module(name: &Fabric, fabric: &FabricConfig) -> Json {
    let mut map = Map::new();
    map.insert("name".to_owned(), name.as_str().into());
    map.insert("discovery_enable_auth".to_owned(), fabric.discovery.enable.into());
    put_auth(&mut map, "discovery", &fabric.discovery.auth);
    with_extra(map, &fabric.extra)
}

pub(super) fn storage(key: &StorageKey, object: &StorageObject) -> Json {
    let mut map = backing(&object.backing);
    map.insert("name".to_owned(), key.name.as_str().into());
    map.insert("plugin".to_owned(), key.plugin.as_str().into());
    if object.backing != Backing::Other {
        let values =
            rows(Scope::Storage).iter().filter(|row| row.is_writable() && row.applies_to(&object.backing));
        let values =
            values.filter_map(|row| Some((row.name.to_owned(), as_number(&object.attribute(row.name)?))));
        map.insert("attributes".to_owned(), Json::Object(values.collect()));
        if !object.wwn.is_empty() {
            map.insert("wwn".to_owned(), object.wwn.as_str().into());
        }
    }
    if object.backing.is_emulated() {
        let groups = object.alua_groups.iter().map(|(name, group)| alua_group(name, group));
        map.insert("alua_tpgs".to_owned(), groups.collect());
    }
    let identity = &object.identity;
    let text = |text: &Option<String>| text.as_deref().map(Json::from);
    put_own(
        &mut map,
        [
            ("vendor_id", text(&identity.vendor)),
            ("product_id", text(&identity.product)),
            ("revision", text(&identity.revision)),
            ("company_id", identity.company_id.map(Json::from)),
            ("lu_group", text(&object.lu_group)),
        ],
    );
    with_extra(map, &object.extra)
}

fn backing(backing: &Backing) -> Map<String, Json> {
    let json = match backing {
        Backing::Fileio { dev, size, write_back, aio } => {
            json!({ "dev": dev, "size": size, "write_back": write_back, "aio": aio })
        }
        Backing::Block { dev, readonly, exclusive } => {
            json!({ "dev": dev, "readonly": readonly, "exclusive": exclusive })
        }
        Backing::Pscsi { dev } => json!({ "dev": dev }),
        Backing::Ramdisk { size, nullio: true } => json!({ "size": size, "nullio": true }),
        Backing::Ramdisk { size, nullio: false } | Backing::Null { size } => json!({ "size": size }),
        Backing::Other => Json::Null,
    };
    match json {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

fn alua_group(name: &str, group: &AluaGroup) -> Json {
    let values = rows(Scope::Alua).iter().filter(|row| row.is_writable());
    let values = values.filter_map(|row| Some((row.name, row.value_in(&group.parameters)?)));
    let mut map: Map<String, Json> =
        values.map(|(name, value)| (name.to_owned(), as_number(&value))).collect();
    map.insert("name".to_owned(), name.into());
    match group.tag {
        Some(tag) => map.insert("tg_pt_gp_id".to_owned(), tag.into()),
        None => map.remove("tg_pt_gp_id"),
    };
    with_extra(map, &group.extra)
}

pub(super) fn target(key: &TargetKey, target: &Target, config: &Config) -> Json {
    let tpgs = target.tpgs.iter().map(|(tag, of)| tpg(*tag, of, &key.fabric, config));
    let mut map = Map::new();
    map.insert("fabric".to_owned(), key.fabric.as_str().into());
    map.insert("tpgs".to_owned(), tpgs.collect());
    map.insert("wwn".to_owned(), key.wwn.as_str().into());
    with_extra(map, &target.extra)
}

fn tpg(tag: u16, tpg: &Tpg, fabric: &Fabric, config: &Config) -> Json {
    let mut map = Map::new();
    map.insert("tag".to_owned(), tag.into());
    map.insert("enable".to_owned(), tpg.enable.into());
    if *fabric == Fabric::Iscsi {
        put_values(&mut map, "attributes", Scope::Tpg, &tpg.attributes);
        put_values(&mut map, "parameters", Scope::Parameter, &tpg.parameters);
        put_auth(&mut map, "chap", &tpg.auth);
    }
    map.insert("luns".to_owned(), tpg.luns.iter().map(|(index, of)| lun(*index, of, config)).collect());
    let portals = tpg.portals.iter().map(|(key, portal)| {
        let of = json!({ "ip_address": key.host(), "port": key.port, "iser": portal.iser, "offload": portal.offload });
        with_extra(members(of), &portal.extra)
    });
    map.insert("portals".to_owned(), portals.collect());
    map.insert("node_acls".to_owned(), tpg.acls.iter().map(|(wwn, of)| acl(wwn, of, fabric)).collect());
    put_own(&mut map, [("rtpi", tpg.rtpi.map(Json::from))]);
    with_extra(map, &tpg.extra)
}

fn lun(index: u16, lun: &Lun, config: &Config) -> Json {
    let mut map =
        members(json!({ "index": index, "storage_object": lun.storage.to_string(), "alias": lun.alias }));
    let emulated = config.storage.get(&lun.storage).is_some_and(|object| object.backing.is_emulated());
    let group = lun.alua_group.as_deref().or(emulated.then_some(DEFAULT_GROUP));
    if let Some(group) = group {
        map.insert("alua_tg_pt_gp_name".to_owned(), group.into());
    }
    with_extra(map, &lun.extra)
}

fn acl(wwn: &str, acl: &Acl, fabric: &Fabric) -> Json {
    let mut map = Map::new();
    map.insert("node_wwn".to_owned(), wwn.into());
    if let Some(tag) = &acl.tag {
        map.insert("tag".to_owned(), tag.as_str().into());
    }
    if *fabric == Fabric::Iscsi {
        put_values(&mut map, "attributes", Scope::Acl, &acl.attributes);
        put_auth(&mut map, "chap", &acl.auth);
    }
    let mapped = acl.mapped_luns.iter().map(|(index, mapped)| {
        let (lun, protect) = (mapped.tpg_lun, mapped.write_protect);
        let of = json!({ "index": index, "tpg_lun": lun, "write_protect": protect, "alias": mapped.alias });
        with_extra(members(of), &mapped.extra)
    });
    map.insert("mapped_luns".to_owned(), mapped.collect());
    with_extra(map, &acl.extra)
}

fn put_values(map: &mut Map<String, Json>, key: &str, scope: Scope, values: &Values) {
    let rows = rows(scope).iter().filter(|row| row.is_writable());
    let shown = rows.filter_map(|row| Some((row.name.to_owned(), row.value_in(values)?)));
    // LIO reads parameters as the text that is negotiated.
    let shown = shown.map(|(name, value)| match scope {
        Scope::Parameter => (name, Json::from(value.to_string())),
        _ => (name, as_number(&value)),
    });
    map.insert(key.to_owned(), Json::Object(shown.collect()));
}

fn put_auth(map: &mut Map<String, Json>, prefix: &str, auth: &Auth) {
    for row in rows(Scope::Auth) {
        if let Some(text) = auth.get(row.name).filter(|text| !text.is_empty()) {
            map.insert(format!("{prefix}_{}", row.name), text.into());
        }
    }
}

/// What LIO's file has no place for.
fn put_own<const N: usize>(map: &mut Map<String, Json>, own: [(&str, Option<Json>); N]) {
    let own: Map<String, Json> =
        own.into_iter().filter_map(|(key, json)| Some((key.to_owned(), json?))).collect();
    if !own.is_empty() {
        map.insert("felio".to_owned(), own.into());
    }
}

fn as_number(value: &Value) -> Json {
    match value {
        Value::Number(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
    }
}

fn members(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

/// Puts back what was found and not known; where both have an object of a name, into it. What is known wins.
fn with_extra(mut map: Map<String, Json>, extra: &Extra) -> Json {
    for (key, value) in extra {
        match (map.get_mut(key), value) {
            (None, value) => {
                map.insert(key.clone(), value.clone());
            }
            (Some(Json::Object(known)), Json::Object(unknown)) => {
                for (key, value) in unknown {
                    if !known.contains_key(key) {
                        known.insert(key.clone(), value.clone());
                    }
                }
            }
            (Some(_), _) => {}
        }
    }
    Json::Object(map)
}
