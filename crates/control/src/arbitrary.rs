//! Configurations by chance, all of which hold by the rules, made of few names so that two of them have much in common.

use crate::attr::{Attr, Kind, Scope, Values, rows};
use crate::config::{
    Acl, AluaGroup, Auth, Backing, Config, DEFAULT_GROUP, Discovery, Extra, FabricConfig, LuGroup, Lun,
    MappedLun, Portal, StorageObject, Target, Tpg,
};
use crate::path::{Fabric, Plugin, PortalKey, StorageKey, TargetKey};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use serde_json::json;
use std::collections::BTreeSet;

/// Fewer bytes make smaller configurations: that is how failures shrink.
pub(crate) fn config() -> impl Strategy<Value = Config> {
    vec(any::<u8>(), 0..600).prop_map(|bytes| Dice(bytes.into_iter()).config())
}

/// When it runs out, all is 0.
struct Dice(std::vec::IntoIter<u8>);

impl Dice {
    fn below(&mut self, sides: u8) -> u8 {
        self.0.next().unwrap_or(0) % sides
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        let sides = u8::try_from(choices.len()).expect("few");
        choices[usize::from(self.below(sides))].clone()
    }

    fn config(&mut self) -> Config {
        let mut config = Config { extra: self.extra(), ..Config::default() };
        for name in ["pair", "trio"].into_iter().filter(|_| self.coin()).collect::<Vec<_>>() {
            let id = self.coin().then(|| u16::from(name == "pair") + 1);
            config.lu_groups.insert(name.to_owned(), LuGroup { id });
        }
        if self.coin() {
            let discovery = Discovery { enable: self.coin(), auth: self.auth() };
            let fabric = FabricConfig { discovery, extra: self.extra() };
            config.fabrics.insert(Fabric::Iscsi, fabric);
            config.fabrics.retain(|_, fabric| *fabric != FabricConfig::default());
        }
        let (mut devs, mut serials) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..self.below(5) {
            let (key, object) = self.storage(&config);
            let dev = object.backing.dev().is_none_or(|dev| devs.insert(dev.to_owned()));
            let serial = object.wwn.is_empty() || serials.insert(object.wwn.clone());
            if dev && serial && !config.storage.contains_key(&key) {
                config.storage.insert(key, object.into());
            }
        }
        let mut rtpis = BTreeSet::new();
        for _ in 0..self.below(3) {
            let (key, target) = self.target(&config, &mut rtpis);
            config.targets.insert(key, target.into());
        }
        config
    }

    fn storage(&mut self, config: &Config) -> (StorageKey, StorageObject) {
        let plugin = self.pick(&[
            Plugin::Fileio,
            Plugin::Block,
            Plugin::Pscsi,
            Plugin::Ramdisk,
            Plugin::Null,
            Plugin::Other("user".to_owned()),
        ]);
        let (dev, size) = (format!("/dev/{}", self.below(4)), 4096 * (1 + u64::from(self.below(3))));
        let backing = match plugin {
            Plugin::Fileio => Backing::Fileio { dev, size, write_back: self.coin(), aio: self.coin() },
            Plugin::Block => Backing::Block { dev, readonly: self.coin(), exclusive: self.coin() },
            Plugin::Pscsi => Backing::Pscsi { dev },
            Plugin::Ramdisk => Backing::Ramdisk { size, nullio: self.coin() },
            Plugin::Null => Backing::Null { size },
            Plugin::Other(_) => Backing::Other,
        };
        let wwn = if backing.is_emulated() { format!("serial {}", self.below(6)) } else { String::new() };
        let mut object = StorageObject::new(backing, wwn);
        object.extra = self.extra();
        if object.backing != Backing::Other {
            object.attributes = self.values(Scope::Storage, Some(&object.backing));
            object.identity.vendor = self.coin().then(|| self.pick(&["ACME".to_owned(), "OTHER".to_owned()]));
            object.identity.company_id = self.coin().then_some(0x5043);
            object.lu_group = self.coin().then(|| config.lu_groups.keys().next().cloned()).flatten();
        }
        if object.backing.is_emulated() {
            for name in [DEFAULT_GROUP, "near", "far"].into_iter().filter(|_| self.coin()).collect::<Vec<_>>()
            {
                let tag = match name {
                    DEFAULT_GROUP => Some(0),
                    name => self.coin().then(|| 10 * u16::from(name == "far") + 1 + u16::from(self.below(2))),
                };
                let group =
                    AluaGroup { tag, parameters: self.values(Scope::Alua, None), extra: self.extra() };
                object.alua_groups.insert(name.to_owned(), group);
            }
        }
        let name = self.pick(&["one".to_owned(), "two".to_owned(), "three".to_owned()]);
        (StorageKey { plugin, name }, object)
    }

    fn target(&mut self, config: &Config, rtpis: &mut BTreeSet<u16>) -> (TargetKey, Target) {
        let key = self.pick(&[
            TargetKey::iscsi("iqn.2024-01.org.example:a"),
            TargetKey::iscsi("iqn.2024-01.org.example:b"),
            TargetKey {
                fabric: Fabric::Other("loopback".to_owned()),
                wwn: "naa.5001405aaaaaaaaa".to_owned(),
            },
        ]);
        let mut target = Target { extra: self.extra(), ..Target::default() };
        let mut portals = BTreeSet::new();
        for _ in 0..self.below(3) {
            let tag = u16::from(self.below(3));
            let mut tpg = self.tpg(config, key.fabric == Fabric::Iscsi);
            tpg.rtpi = Some(u16::from(self.below(5))).filter(|rtpi| *rtpi != 0 && rtpis.insert(*rtpi));
            for _ in 0..self.below(3) {
                let portal =
                    self.pick(&["0.0.0.0:3260", "[::0]:3260", "[fe80::1]:860"]).parse().expect("portal");
                if portals.insert(portal) {
                    self.portal(&mut tpg, portal);
                }
            }
            target.tpgs.entry(tag).or_insert(tpg);
        }
        (key, target)
    }

    fn portal(&mut self, tpg: &mut Tpg, key: PortalKey) {
        tpg.portals.insert(key, Portal { iser: self.coin(), offload: self.coin(), extra: self.extra() });
    }

    fn tpg(&mut self, config: &Config, known: bool) -> Tpg {
        let mut tpg = Tpg { enable: self.coin(), extra: self.extra(), ..Tpg::default() };
        if known {
            tpg.attributes = self.values(Scope::Tpg, None);
            tpg.parameters = self.values(Scope::Parameter, None);
            tpg.auth = self.auth();
        }
        let storage: Vec<&StorageKey> = config.storage.keys().collect();
        for _ in 0..if storage.is_empty() { 0 } else { self.below(4) } {
            let storage = self.pick(&storage).clone();
            let groups =
                config.storage[&storage].alua_groups.keys().find(|name| *name != DEFAULT_GROUP).cloned();
            let alua_group = groups.filter(|_| self.coin());
            let lun = Lun { storage, alias: self.alias(), alua_group, extra: self.extra() };
            tpg.luns.insert(u16::from(self.below(4)), lun);
        }
        let luns: Vec<u16> = tpg.luns.keys().copied().collect();
        for _ in 0..self.below(3) {
            let wwn = self.pick(&["iqn.1994-05.com.redhat:x".to_owned(), "eui.02004567a425678d".to_owned()]);
            let mut acl =
                Acl { tag: self.coin().then(|| "rack 1".to_owned()), extra: self.extra(), ..Acl::default() };
            if known {
                acl.attributes = self.values(Scope::Acl, None);
                acl.auth = self.auth();
            }
            for _ in 0..if luns.is_empty() { 0 } else { self.below(3) } {
                let tpg_lun = self.pick(&luns);
                let mapped = MappedLun {
                    tpg_lun,
                    write_protect: self.coin(),
                    alias: self.alias(),
                    extra: self.extra(),
                };
                acl.mapped_luns.insert(u16::from(self.below(4)), mapped);
            }
            tpg.acls.insert(wwn, acl);
        }
        tpg
    }

    fn alias(&mut self) -> String {
        self.pick(&["0123456789".to_owned(), "abcdef0123".to_owned()])
    }

    fn auth(&mut self) -> Auth {
        let mut auth = Auth::default();
        if self.coin() {
            (auth.userid, auth.password) =
                ("me".to_owned(), self.pick(&[" with blanks ".to_owned(), "pässword".to_owned()]));
        }
        if self.coin() && !auth.userid.is_empty() {
            (auth.mutual_userid, auth.mutual_password) = ("you".to_owned(), "another".to_owned());
        }
        auth
    }

    /// Some rows, with values other than their defaults.
    fn values(&mut self, scope: Scope, backing: Option<&Backing>) -> Values {
        let mut values = Values::new();
        for _ in 0..self.below(4) {
            let sides = u8::try_from(rows(scope).len()).expect("few");
            let row = &rows(scope)[usize::from(self.below(sides))];
            let once = matches!(row.when, crate::attr::When::Action | crate::attr::When::Once);
            if once || !row.is_writable() || backing.is_some_and(|backing| !row.applies_to(backing)) {
                continue;
            }
            let value = row.parse(&self.value(row)).expect("a value of the row's kind");
            if row.default_of(backing).as_ref() != Some(&value) {
                values.insert(row.name.to_owned(), value);
            }
        }
        values
    }

    fn value(&mut self, row: &Attr) -> String {
        match row.kind {
            Kind::Flag => self.below(2).to_string(),
            Kind::Number(low, high) => self.pick(&[low, high]).to_string(),
            Kind::OneOf(choices) => self.pick(choices).to_string(),
            Kind::YesNo => self.pick(&["Yes", "No"]).to_owned(),
            Kind::Words(choices) => self.pick(choices).to_owned(),
            Kind::Text(_) => self.pick(&["", "a text", "ein Wörtchen"]).to_owned(),
        }
    }

    fn extra(&mut self) -> Extra {
        let mut extra = Extra::new();
        if self.below(4) == 1 {
            extra.insert(
                "later".to_owned(),
                self.pick(&[json!(1), json!({ "a": [1, null] }), json!("text"), json!(null)]),
            );
        }
        if self.below(8) == 1 {
            extra.insert("felio".to_owned(), json!({ "newer": self.below(3) }));
        }
        extra
    }
}
