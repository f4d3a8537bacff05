//! From the file's objects to ours.

use super::place::Place;
use super::{Note, Unreadable};
use crate::attr::{Attr, Scope, Value, Values, rows};
use crate::check::{initiator_name, target_name};
use crate::config::{
    Acl, AluaGroup, Auth, Backing, Config, DEFAULT_GROUP, Discovery, Extra, FabricConfig, Identity, LuGroup,
    Lun, MappedLun, Portal, StorageObject, Target, Tpg,
};
use crate::key::component;
use crate::path::{Fabric, Plugin, PortalKey, StorageKey, TargetKey};
use crate::refusal::Refusal;
use serde_json::Value as Json;
use std::collections::BTreeMap;

type Read<T> = Result<T, Unreadable>;

/// The whole file; what is wrong in it is left out and told.
pub(super) fn config(json: Json) -> (Config, Vec<Note>, Vec<Unreadable>) {
    let mut reader = Reader::default();
    let config = reader.config(json).unwrap_or_else(|error| {
        reader.errors.push(error);
        Config::default()
    });
    (config, reader.notes, reader.errors)
}

#[derive(Default)]
struct Reader {
    notes: Vec<Note>,
    errors: Vec<Unreadable>,
}

impl Reader {
    fn config(&mut self, json: Json) -> Read<Config> {
        let mut top = Place::new(String::new(), json)?;
        let mut fabrics = self.each(top.objects("fabric_modules")?, "name", Self::fabric);
        fabrics.retain(|_, fabric| *fabric != FabricConfig::default());
        let storage = self.each(top.objects("storage_objects")?, "name", Self::storage);
        let targets = self.each(top.objects("targets")?, "wwn", Self::target);
        let mut own = top.object("felio")?;
        let lu_groups = self.each(own.objects("lu_groups")?, "name", |_, mut place| {
            let name = component("group", &place.text("name")?.unwrap_or_default())
                .map_err(|why| place.wrong("name", why))?;
            Ok((name, LuGroup { id: place.number("id")? }))
        });
        top.put_back_rest("felio", own.rest());
        let extra = top.rest();
        self.note_extra("", &extra);
        Ok(Config { storage, lu_groups, fabrics, targets, extra })
    }

    /// The objects of a list, by the name that each has under `key`. What is wrong with one does not keep the others from being read.
    fn each<K: Ord, V, W: From<V>>(
        &mut self,
        places: Vec<Place>,
        key: &str,
        mut read: impl FnMut(&mut Self, Place) -> Read<(K, V)>,
    ) -> BTreeMap<K, W> {
        let mut map = BTreeMap::new();
        for place in places {
            let at = place.at(key);
            let added = read(self, place).and_then(|(name, value)| insert(&mut map, name, value.into(), at));
            self.errors.extend(added.err());
        }
        map
    }

    fn fabric(&mut self, mut place: Place) -> Read<(Fabric, FabricConfig)> {
        let name = place.text("name")?;
        let name = place.required("name", name)?.parse().map_err(|why: Refusal| place.wrong("name", why))?;
        let enable = place.flag("discovery_enable_auth")?.unwrap_or(false);
        let auth = auth(&mut place, "discovery")?;
        Ok((name, FabricConfig { discovery: Discovery { enable, auth }, extra: place.rest() }))
    }

    fn storage(&mut self, mut place: Place) -> Read<(StorageKey, StorageObject)> {
        let name = place.text("name")?;
        let name = place.required("name", name)?;
        let name = component("storage object", &name).map_err(|why| place.wrong("name", why))?;
        let plugin = place.text("plugin")?;
        let plugin: Plugin =
            place.required("plugin", plugin)?.parse().map_err(|why: Refusal| place.wrong("plugin", why))?;
        let backing = backing(&mut place, &plugin)?;
        let mut object = StorageObject::new(backing, String::new());
        if object.backing != Backing::Other {
            object.wwn = place.text("wwn")?.unwrap_or_default();
            object.attributes = self.attributes(&mut place, Scope::Storage, Some(&object.backing))?;
        }
        if object.backing.is_emulated() {
            object.alua_groups.extend(self.each(place.objects("alua_tpgs")?, "name", Self::alua_group));
        }
        let mut own = place.object("felio")?;
        object.identity = Identity {
            vendor: own.text("vendor_id")?,
            product: own.text("product_id")?,
            revision: own.text("revision")?,
            company_id: own.number("company_id")?,
        };
        object.lu_group = own.text("lu_group")?;
        place.put_back_rest("felio", own.rest());
        object.extra = place.rest();
        Ok((StorageKey { plugin, name }, object))
    }

    fn alua_group(&mut self, mut place: Place) -> Read<(String, AluaGroup)> {
        let name = place.text("name")?;
        let name =
            component("group", &place.required("name", name)?).map_err(|why| place.wrong("name", why))?;
        let tag = place.number("tg_pt_gp_id")?;
        let mut parameters = Values::new();
        let members = place.drain();
        for (key, json) in members {
            match Attr::find(Scope::Alua, &key).filter(|row| row.is_writable()) {
                Some(row) => keep(&mut parameters, row, None, spelt(&key, &json))
                    .map_err(|why| place.wrong(&key, why))?,
                None => place.put_back(&key, json),
            }
        }
        Ok((name, AluaGroup { tag, parameters, extra: place.rest() }))
    }

    fn target(&mut self, mut place: Place) -> Read<(TargetKey, Target)> {
        let fabric = place.text("fabric")?;
        let fabric: Fabric =
            place.required("fabric", fabric)?.parse().map_err(|why: Refusal| place.wrong("fabric", why))?;
        let wwn = place.text("wwn")?;
        let wwn =
            target_name(&fabric, &place.required("wwn", wwn)?).map_err(|why| place.wrong("wwn", why))?;
        let tpgs = self.each(place.objects("tpgs")?, "tag", |reader, place| reader.tpg(place, &fabric));
        Ok((TargetKey { fabric, wwn }, Target { tpgs, extra: place.rest() }))
    }

    fn tpg(&mut self, mut place: Place, fabric: &Fabric) -> Read<(u16, Tpg)> {
        let tag = place.number("tag")?;
        let tag = place.required("tag", tag)?;
        let mut tpg = Tpg { enable: place.flag("enable")?.unwrap_or(true), ..Tpg::default() };
        // What other fabrics have is not known and stays as it is.
        if *fabric == Fabric::Iscsi {
            tpg.attributes = self.attributes(&mut place, Scope::Tpg, None)?;
            tpg.parameters = self.attributes(&mut place, Scope::Parameter, None)?;
            tpg.auth = auth(&mut place, "chap")?;
        }
        tpg.luns = self.each(place.objects("luns")?, "index", |_, place| lun(place));
        tpg.portals = self.each(place.objects("portals")?, "ip_address", |_, place| portal(place));
        tpg.acls =
            self.each(place.objects("node_acls")?, "node_wwn", |reader, place| reader.acl(place, fabric));
        let mut own = place.object("felio")?;
        tpg.rtpi = own.number("rtpi")?;
        place.put_back_rest("felio", own.rest());
        tpg.extra = place.rest();
        Ok((tag, tpg))
    }

    fn acl(&mut self, mut place: Place, fabric: &Fabric) -> Read<(String, Acl)> {
        let wwn = place.text("node_wwn")?;
        let wwn = initiator_name(fabric, &place.required("node_wwn", wwn)?)
            .map_err(|why| place.wrong("node_wwn", why))?;
        let mut acl = Acl { tag: place.text("tag")?.filter(|tag| !tag.is_empty()), ..Acl::default() };
        if *fabric == Fabric::Iscsi {
            acl.attributes = self.attributes(&mut place, Scope::Acl, None)?;
            acl.auth = auth(&mut place, "chap")?;
        }
        acl.mapped_luns = self.each(place.objects("mapped_luns")?, "index", |_, place| mapped_lun(place));
        acl.extra = place.rest();
        Ok((wwn, acl))
    }

    /// The values of a scope that are not the default. Unknown ones go back to where they were.
    fn attributes(&mut self, place: &mut Place, scope: Scope, backing: Option<&Backing>) -> Read<Values> {
        let key = if scope == Scope::Parameter { "parameters" } else { "attributes" };
        let mut values = Values::new();
        let mut found = place.object(key)?;
        let mut rest = Extra::new();
        for (name, json) in found.drain() {
            let known =
                Attr::find(scope, &name).filter(|row| backing.is_none_or(|backing| row.applies_to(backing)));
            match known.filter(|row| row.is_writable()) {
                Some(row) => {
                    let kept = keep(&mut values, row, backing, plain(&json));
                    self.errors.extend(kept.err().map(|why| found.wrong(&name, why)));
                }
                None => {
                    self.note(found.at(&name), "felio does not know this; it is kept and has no effect");
                    rest.insert(name, json);
                }
            }
        }
        place.put_back_rest(key, rest);
        Ok(values)
    }

    fn note(&mut self, at: String, says: &str) {
        self.notes.push(Note { at, says: says.to_owned() });
    }

    fn note_extra(&mut self, at: &str, extra: &Extra) {
        for key in extra.keys() {
            self.note(format!("{at}{key}"), "felio does not know this; it is kept and has no effect");
        }
    }
}

fn backing(place: &mut Place, plugin: &Plugin) -> Read<Backing> {
    let size = |place: &mut Place| {
        let size = place.number("size")?;
        place.required("size", size)
    };
    let dev = |place: &mut Place| {
        let dev = place.text("dev")?;
        place.required("dev", dev)
    };
    Ok(match plugin {
        Plugin::Fileio => Backing::Fileio {
            dev: dev(place)?,
            size: size(place)?,
            write_back: place.flag("write_back")?.unwrap_or(false),
            aio: place.flag("aio")?.unwrap_or(false),
        },
        Plugin::Block => Backing::Block {
            dev: dev(place)?,
            readonly: place.flag("readonly")?.unwrap_or(false),
            exclusive: place.flag("exclusive")?.unwrap_or(true),
        },
        Plugin::Pscsi => Backing::Pscsi { dev: dev(place)? },
        Plugin::Ramdisk => {
            Backing::Ramdisk { size: size(place)?, nullio: place.flag("nullio")?.unwrap_or(false) }
        }
        Plugin::Null => Backing::Null { size: size(place)? },
        Plugin::Other(_) => Backing::Other,
    })
}

fn lun(mut place: Place) -> Read<(u16, Lun)> {
    let (index, storage) = (place.number("index")?, place.text("storage_object")?);
    let index = place.required("index", index)?;
    let storage = place.required("storage_object", storage)?;
    let storage = storage.parse().map_err(|why: Refusal| place.wrong("storage_object", why))?;
    let alias = place.text("alias")?.unwrap_or_default();
    let alua_group = place.text("alua_tg_pt_gp_name")?.filter(|name| name != DEFAULT_GROUP);
    Ok((index, Lun { storage, alias, alua_group, extra: place.rest() }))
}

fn portal(mut place: Place) -> Read<(PortalKey, Portal)> {
    let (address, port) = (place.text("ip_address")?, place.number("port")?);
    let address = place.required("ip_address", address)?;
    let port = place.required("port", port)?;
    let key = PortalKey::parse(&address, port).map_err(|why| place.wrong("ip_address", why))?;
    let iser = place.flag("iser")?.unwrap_or(false);
    let offload = place.flag("offload")?.unwrap_or(false);
    Ok((key, Portal { iser, offload, extra: place.rest() }))
}

fn mapped_lun(mut place: Place) -> Read<(u16, MappedLun)> {
    let (index, tpg_lun) = (place.number("index")?, place.number("tpg_lun")?);
    let index = place.required("index", index)?;
    let tpg_lun = place.required("tpg_lun", tpg_lun)?;
    let write_protect = place.flag("write_protect")?.unwrap_or(false);
    let alias = place.text("alias")?.unwrap_or_default();
    Ok((index, MappedLun { tpg_lun, write_protect, alias, extra: place.rest() }))
}

/// Names and secrets behind a common prefix.
fn auth(place: &mut Place, prefix: &str) -> Read<Auth> {
    let mut auth = Auth::default();
    for row in rows(Scope::Auth) {
        if let Some(field) = auth.get_mut(row.name) {
            *field = place.text(&format!("{prefix}_{}", row.name))?.unwrap_or_default();
        }
    }
    Ok(auth)
}

/// Keeps a value unless it is the default, or unless nothing stays of it.
fn keep(
    values: &mut Values,
    row: &Attr,
    backing: Option<&Backing>,
    text: Option<String>,
) -> Result<(), Refusal> {
    let text = text.ok_or_else(|| Refusal::invalid(format!("{} is {}", row.name, row.kind)))?;
    let value: Value = row.parse(&text)?;
    let kept = row.when != crate::attr::When::Action && row.default_of(backing).as_ref() != Some(&value);
    if kept {
        values.insert(row.name.to_owned(), value);
    }
    Ok(())
}

/// A value as text.
fn plain(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(i64::from(*flag).to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// ALUA values that some versions wrote in the kernel's words.
fn spelt(key: &str, json: &Json) -> Option<String> {
    let number =
        match (key, json.as_str()) {
            ("alua_access_type" | "alua_access_status", Some("None")) => "0",
            ("alua_access_type", Some("Implicit"))
            | ("alua_access_status", Some("Altered by Explicit STPG")) => "1",
            ("alua_access_type", Some("Explicit"))
            | ("alua_access_status", Some("Altered by Implicit ALUA")) => "2",
            ("alua_access_type", Some("Implicit and Explicit")) => "3",
            _ => return plain(json),
        };
    Some(number.to_owned())
}

fn insert<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V, at: String) -> Read<()> {
    match map.insert(key, value) {
        None => Ok(()),
        Some(_) => Err(Unreadable { at, what: "there is another of that name before".to_owned() }),
    }
}
