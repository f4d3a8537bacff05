//! What must hold of a whole configuration, whoever made it.

use crate::attr::{Attr, Scope, Value, Values};
use crate::config::{Acl, Auth, Backing, Config, DEFAULT_GROUP, Identity, StorageObject, Target, Tpg};
use crate::in_step::InStep;
use crate::key::component;
use crate::path::{AclKey, Fabric, Path, StorageKey, TargetKey, TpgKey};
use crate::refusal::{Kind, Refusal};
use felio_hal::name::IscsiName;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

impl Config {
    /// Whether all rules hold; the first that does not.
    pub fn check(&self) -> Result<(), Refusal> {
        self.check_since(&Self::default())
    }

    /// As [`check`](Self::check), for one that came from a configuration of which all rules hold: an object that both share, and that leads to
    /// nothing that has changed, is not looked at again. What may be there once only is.
    pub(crate) fn check_since(&self, before: &Self) -> Result<(), Refusal> {
        let regrouped = self.lu_groups != before.lu_groups;
        let mut known = InStep::new(&before.storage);
        for (key, object) in &self.storage {
            if !known.shares(key, object) || regrouped {
                self.check_storage(key, object)?;
            }
        }
        self.check_backings()?;
        let mut kept = InStep::new(&self.storage);
        let changed = before.storage.iter().filter(|(key, object)| !kept.shares(key, object));
        let changed: BTreeSet<&StorageKey> = changed.map(|(key, _)| key).collect();
        let mut known = InStep::new(&before.targets);
        for (key, target) in &self.targets {
            let luns = || target.tpgs.values().flat_map(|tpg| tpg.luns.values());
            let leads_elsewhere = || luns().any(|lun| changed.contains(&lun.storage));
            if !known.shares(key, target) || (!changed.is_empty() && leads_elsewhere()) {
                self.check_target(key, target)?;
            }
        }
        self.check_unique()
    }

    fn check_unique(&self) -> Result<(), Refusal> {
        let serials = self.storage.iter().filter(|(_, object)| !object.wwn.is_empty());
        unique("serial number", serials.map(|(key, object)| (object.wwn.as_str(), key)), Path::from)?;
        let numbered = self.lu_groups.iter().filter_map(|(name, group)| Some((group.id?, name)));
        unique("group number", numbered, |name| Path::LuGroup(name.clone()))?;
        let tpgs =
            self.targets.iter().flat_map(|(key, target)| target.tpgs.iter().map(move |tpg| (key, tpg)));
        let identified = tpgs.filter_map(|(key, (tag, tpg))| Some((tpg.rtpi?, (key, *tag))));
        unique("relative target port identifier", identified, |(key, tag)| Path::Tpg(key.tpg(tag)))
    }

    fn check_storage(&self, key: &StorageKey, object: &StorageObject) -> Result<(), Refusal> {
        let at = |refusal: Refusal| refusal.at(key);
        component("storage object", &key.name).map_err(at)?;
        let foreign = matches!(key.plugin, crate::path::Plugin::Other(_));
        if object.backing.plugin().as_ref().is_some_and(|plugin| *plugin != key.plugin)
            || (object.backing == Backing::Other) != foreign
        {
            return Err(at(Refusal::invalid(format!("{key} has the blocks of another plugin"))));
        }
        if object.backing.size() == Some(0) {
            return Err(at(
                Refusal::invalid(format!("{key} would have no blocks")).hint("say a size, such as 1G")
            ));
        }
        if object
            .backing
            .dev()
            .is_some_and(|dev| dev.is_empty() || dev.len() > PATH_BYTES_MAX || dev.contains('\0'))
        {
            return Err(at(Refusal::invalid(format!(
                "{key} needs the path of a file or device, up to {PATH_BYTES_MAX} bytes"
            ))));
        }
        if !is_plain(&object.wwn, SERIAL_BYTES_MAX) {
            let what = format!("a serial number has up to {SERIAL_BYTES_MAX} printable ASCII characters");
            return Err(at(Refusal::invalid(what)));
        }
        check_identity(object).map_err(at)?;
        check_values(Scope::Storage, &object.attributes).map_err(at)?;
        self.check_groups(key, object)
    }

    fn check_groups(&self, key: &StorageKey, object: &StorageObject) -> Result<(), Refusal> {
        if object.backing.is_emulated() != object.alua_groups.contains_key(DEFAULT_GROUP) {
            return Err(Refusal::invalid(format!(
                "{key} must have {DEFAULT_GROUP} if felio answers for it, and no group if not"
            ))
            .at(key));
        }
        if object.alua_groups.get(DEFAULT_GROUP).is_some_and(|group| group.tag != Some(0)) {
            return Err(Refusal::invalid(format!("{DEFAULT_GROUP} has number 0")).at(key));
        }
        for (name, group) in &object.alua_groups {
            component("group", name).map_err(|refusal| refusal.at(key))?;
            let path = || Path::AluaGroup(key.clone(), name.clone());
            check_values(Scope::Alua, &group.parameters).map_err(|refusal| refusal.at(path()))?;
        }
        let numbered = object.alua_groups.iter().filter_map(|(name, group)| Some((group.tag?, name)));
        unique("group number", numbered, |name| Path::AluaGroup(key.clone(), name.clone()))?;
        match &object.lu_group {
            Some(name) if !self.lu_groups.contains_key(name) => {
                Err(Refusal::not_found(Path::LuGroup(name.clone())))
            }
            _ => Ok(()),
        }
    }

    /// Two objects with the same blocks would know nothing of each other's reservations and caches.
    fn check_backings(&self) -> Result<(), Refusal> {
        let mut seen: HashMap<&str, &StorageKey> = HashMap::new();
        for (key, object) in &self.storage {
            let Some(dev) = object.backing.dev() else { continue };
            if let Some(other) = seen.insert(dev, key) {
                let what = format!("{dev} is already behind {other}");
                return Err(Refusal::new(Kind::InUse, what)
                    .hint("give that storage object several LUNs instead")
                    .at(key));
            }
        }
        Ok(())
    }

    fn check_target(&self, key: &TargetKey, target: &Target) -> Result<(), Refusal> {
        let name = target_name(&key.fabric, &key.wwn).map_err(|refusal| refusal.at(key))?;
        if name != key.wwn {
            return Err(Refusal::invalid(format!("the name of {key} is written {name}")).at(key));
        }
        let tpgs = target.tpgs.iter();
        let portals =
            tpgs.flat_map(|(tag, tpg)| tpg.portals.keys().map(move |portal| (*portal, (*tag, *portal))));
        unique("portal", portals, |(tag, portal)| Path::Portal(key.tpg(tag), portal))?;
        target.tpgs.iter().try_for_each(|(tag, tpg)| self.check_tpg(&key.tpg(*tag), tpg))
    }

    fn check_tpg(&self, key: &TpgKey, tpg: &Tpg) -> Result<(), Refusal> {
        if tpg.rtpi == Some(0) {
            return Err(Refusal::invalid("a relative target port identifier is 1 to 65535").at(key));
        }
        check_values(Scope::Tpg, &tpg.attributes).map_err(|refusal| refusal.at(key))?;
        check_values(Scope::Parameter, &tpg.parameters).map_err(|refusal| refusal.at(key))?;
        check_auth(&tpg.auth).map_err(|refusal| refusal.at(key))?;
        for (index, lun) in &tpg.luns {
            let path = || Path::Lun(key.clone(), *index);
            let Some(object) = self.storage.get(&lun.storage) else {
                let what = format!("{} leads to {}, which is not there", path(), lun.storage);
                return Err(Refusal::new(Kind::NotFound, what).at(path()));
            };
            if let Some(group) =
                lun.alua_group.as_ref().filter(|group| !object.alua_groups.contains_key(*group))
            {
                return Err(Refusal::not_found(Path::AluaGroup(lun.storage.clone(), group.clone())));
            }
        }
        tpg.acls.iter().try_for_each(|(wwn, acl)| check_acl(&key.acl(wwn.as_str()), acl, tpg))
    }
}

fn check_acl(key: &AclKey, acl: &Acl, tpg: &Tpg) -> Result<(), Refusal> {
    let name = initiator_name(&key.tpg.target.fabric, &key.wwn).map_err(|refusal| refusal.at(key))?;
    if name != key.wwn {
        return Err(Refusal::invalid(format!("the name of {key} is written {name}")).at(key));
    }
    check_values(Scope::Acl, &acl.attributes).map_err(|refusal| refusal.at(key))?;
    check_auth(&acl.auth).map_err(|refusal| refusal.at(key))?;
    for (index, mapped) in &acl.mapped_luns {
        if !tpg.luns.contains_key(&mapped.tpg_lun) {
            let path = Path::MappedLun(key.clone(), *index);
            let what = format!("{path} leads to LUN {}, which is not there", mapped.tpg_lun);
            return Err(Refusal::new(Kind::NotFound, what).at(path));
        }
    }
    Ok(())
}

/// A target's name in its normal form.
pub(crate) fn target_name(fabric: &Fabric, wwn: &str) -> Result<String, Refusal> {
    component("target", wwn)?;
    match fabric {
        Fabric::Iscsi => iscsi_name(wwn),
        Fabric::Other(_) => Ok(wwn.to_owned()),
    }
}

/// An initiator's name in its normal form.
pub(crate) fn initiator_name(fabric: &Fabric, wwn: &str) -> Result<String, Refusal> {
    component("initiator", wwn)?;
    match fabric {
        Fabric::Iscsi => iscsi_name(wwn),
        Fabric::Other(_) => Ok(wwn.to_owned()),
    }
}

fn iscsi_name(wwn: &str) -> Result<String, Refusal> {
    match IscsiName::parse(wwn) {
        Ok(name) => Ok(name.as_str().to_owned()),
        Err(why) => {
            Err(Refusal::invalid(format!("{wwn:?}: {why}")).hint("for example iqn.2024-01.org.example:disk1"))
        }
    }
}

/// What is begun and not finished: a name without its secret, and the like.
pub(crate) fn unfinished(config: &Config) -> BTreeSet<(Path, Half)> {
    let fabrics = config.fabrics.iter();
    let fabrics = fabrics
        .filter_map(|(of, fabric)| Some((Path::Fabric(of.clone()), Half::of(&fabric.discovery.auth)?)));
    let mut found: BTreeSet<(Path, Half)> = fabrics.collect();
    for (key, target) in &config.targets {
        for (tag, tpg) in &target.tpgs {
            found.extend(Half::of(&tpg.auth).map(|half| (Path::Tpg(key.tpg(*tag)), half)));
            let acls = tpg.acls.iter().filter_map(|(wwn, acl)| Some((wwn, Half::of(&acl.auth)?)));
            found.extend(acls.map(|(wwn, half)| (Path::Acl(key.tpg(*tag).acl(wwn.as_str())), half)));
        }
    }
    found
}

/// What can be missing of CHAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Half {
    OneWay,
    Mutual,
    MutualOnly,
}

impl Half {
    const fn of(auth: &Auth) -> Option<Self> {
        let (one, mutual) = (!auth.userid.is_empty(), !auth.mutual_userid.is_empty());
        if one == auth.password.is_empty() {
            Some(Self::OneWay)
        } else if mutual == auth.mutual_password.is_empty() {
            Some(Self::Mutual)
        } else if mutual && !one {
            Some(Self::MutualOnly)
        } else {
            None
        }
    }

    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::OneWay => {
                Refusal::invalid("userid and password go together").hint("set auth userid=… password=…")
            }
            Self::Mutual => Refusal::invalid("mutual_userid and mutual_password go together")
                .hint("set auth mutual_userid=… mutual_password=…"),
            Self::MutualOnly => {
                Refusal::invalid("a target proves who it is only to initiators that do so, too")
                    .hint("set auth userid=… password=… as well")
            }
        }
    }
}

/// Values that were not parsed by their rows are parsed here.
fn check_values(scope: Scope, values: &Values) -> Result<(), Refusal> {
    for (name, value) in values {
        let row = Attr::require(scope, name)?;
        if row.parse(&value.to_string())? != *value {
            return Err(
                Refusal::invalid(format!("{name} cannot be {value}")).hint(format!("it is {}", row.kind))
            );
        }
    }
    Ok(())
}

fn check_auth(auth: &Auth) -> Result<(), Refusal> {
    if auth.is_empty() {
        return Ok(());
    }
    for row in crate::attr::rows(Scope::Auth) {
        let Some(text) = auth.get(row.name) else { continue };
        if row.parse(text)?.to_string() != text {
            return Err(Refusal::invalid(format!("{} cannot be {text:?}", row.name)));
        }
    }
    Ok(())
}

fn check_identity(object: &StorageObject) -> Result<(), Refusal> {
    let identity = &object.identity;
    if *identity == Identity::default() {
        return Ok(());
    }
    let texts = [
        ("vendor_id", &identity.vendor),
        ("product_id", &identity.product),
        ("revision", &identity.revision),
    ];
    for (name, text) in texts {
        let text = text.as_deref().unwrap_or_default();
        Attr::require(Scope::Identity, name)?.parse(text)?;
        if !text.is_ascii() {
            return Err(Refusal::invalid(format!("{name} is ASCII text")));
        }
    }
    let company = Value::Number(identity.company_id.unwrap_or_default().into());
    Attr::require(Scope::Identity, "company_id")?.parse(&company.to_string()).map(drop)
}

fn is_plain(text: &str, bytes_max: usize) -> bool {
    text.len() <= bytes_max && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

/// The longest path of a file or device.
const PATH_BYTES_MAX: usize = 511;
/// The longest serial number.
const SERIAL_BYTES_MAX: usize = 253;

/// Of no two the value is the same; `path` says where one of them is.
fn unique<T: Eq + Hash + ToString, P: Copy>(
    what: &str,
    all: impl Iterator<Item = (T, P)>,
    path: impl Fn(P) -> Path,
) -> Result<(), Refusal> {
    let mut seen: HashMap<T, P> = HashMap::new();
    for (value, one) in all {
        if let Some((value, other)) = seen.get_key_value(&value) {
            let (path, other, value) = (path(one), path(*other), value.to_string());
            return Err(Refusal::new(
                Kind::Exists,
                format!("{path} and {other} have the same {what}, {value}"),
            )
            .at(path));
        }
        seen.insert(value, one);
    }
    Ok(())
}
