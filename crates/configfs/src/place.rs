//! Folders, and what stands in each.

use crate::View;
use crate::device::{Device, Hba};
use crate::reservations;
use crate::show::File;
use crate::statistics::Subject;
use crate::tree::Tree;
use felio_control::attr::{Attr, Scope, rows};
use felio_control::{AclKey, Fabric, Group, Path, PortalKey, TargetKey, TpgKey};

/// What a name stands for.
#[derive(Debug)]
pub(crate) enum Node {
    Folder(Place),
    File(File),
    Link(String),
}

/// A folder.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Root,
    Core,
    CoreAlua,
    LuGroups,
    /// With no name the one that is always there.
    LuGroup(Option<String>),
    Hba(Hba),
    Device(Device),
    DeviceValues(Device, Scope),
    Reservations(Device),
    AluaGroups(Device),
    AluaGroup(Device, String),
    Fabric,
    DiscoveryAuth,
    Target(TargetKey),
    TargetParameters,
    Tpg(TpgKey),
    /// Rows of an object: `attrib`, `param`, `auth`.
    Values(Path, Group),
    Portals(TpgKey),
    Portal(TpgKey, PortalKey),
    Luns(TpgKey),
    Lun(TpgKey, u16),
    Acls(TpgKey),
    Acl(AclKey),
    /// What was negotiated with the initiator.
    Negotiated(AclKey),
    MappedLun(AclKey, u16),
    /// Tables of numbers.
    Statistics(Subject),
    /// One of them.
    Table(Subject, &'static str),
}

impl Place {
    /// What a name stands for.
    pub(crate) fn child(&self, tree: &Tree, view: View<'_>, name: &str) -> Option<Node> {
        let config = &view.snapshot.config;
        match self {
            // Folders that can have very many.
            Self::Fabric if !is_fixed(name) => {
                let key = TargetKey::iscsi(name);
                config.targets.contains_key(&key).then_some(Node::Folder(Self::Target(key)))
            }
            Self::Core if name != "alua" => {
                let hba = Hba::parse(name).filter(|hba| hba.name() == name)?;
                let is_there = tree.hbas.contains(&hba) || tree.devices(&hba).next().is_some();
                is_there.then_some(Node::Folder(Self::Hba(hba)))
            }
            _ => self.entries(tree, view).into_iter().find(|(known, _)| known == name).map(|(_, node)| node),
        }
    }

    /// All that stands in it.
    pub(crate) fn entries(&self, tree: &Tree, view: View<'_>) -> Vec<(String, Node)> {
        let mut found = Entries::default();
        match self {
            Self::Root | Self::Core | Self::CoreAlua | Self::LuGroups | Self::LuGroup(_) | Self::Hba(_) => {
                self.of_core(tree, view, &mut found);
            }
            Self::Device(_)
            | Self::DeviceValues(..)
            | Self::Reservations(_)
            | Self::AluaGroups(_)
            | Self::AluaGroup(..) => self.of_device(tree, view, &mut found),
            Self::Fabric
            | Self::DiscoveryAuth
            | Self::Target(_)
            | Self::TargetParameters
            | Self::Tpg(_)
            | Self::Values(..)
            | Self::Portals(_)
            | Self::Portal(..) => self.of_fabric(view, &mut found),
            Self::Luns(_)
            | Self::Lun(..)
            | Self::Acls(_)
            | Self::Acl(_)
            | Self::Negotiated(_)
            | Self::MappedLun(..) => self.of_tpg(tree, view, &mut found),
            Self::Statistics(subject) => {
                for table in subject.tables() {
                    found.folder(table, Self::Table(subject.clone(), table));
                }
            }
            Self::Table(subject, table) => {
                for column in subject.columns(table) {
                    found.file(column, File::Statistic(subject.clone(), table, column));
                }
            }
        }
        found.0
    }

    fn of_core(&self, tree: &Tree, view: View<'_>, found: &mut Entries) {
        let config = &view.snapshot.config;
        match self {
            Self::Root => {
                found.file("version", File::Version).file("dbroot", File::Root).folder("core", Self::Core);
                if has_fabric(tree, view) {
                    found.folder("iscsi", Self::Fabric);
                }
            }
            Self::Core => {
                found.folder("alua", Self::CoreAlua);
                tree.all_hbas().into_iter().for_each(|hba| {
                    found.folder(hba.name(), Self::Hba(hba));
                });
            }
            Self::CoreAlua => drop(found.folder("lu_gps", Self::LuGroups)),
            Self::LuGroups => {
                found.folder(DEFAULT_LU_GROUP, Self::LuGroup(None));
                for name in config.lu_groups.keys() {
                    found.folder(name, Self::LuGroup(Some(name.clone())));
                }
            }
            Self::LuGroup(name) => {
                found.file("lu_gp_id", File::LuGroupNumber(name.clone()));
                found.file("members", File::LuGroupMembers(name.clone()));
            }
            Self::Hba(hba) => {
                found.file("hba_info", File::HbaInfo(hba.clone())).file("hba_mode", File::HbaMode);
                for device in tree.devices(hba) {
                    found.folder(device.name.clone(), Self::Device(device));
                }
            }
            _ => {}
        }
    }

    fn of_device(&self, tree: &Tree, view: View<'_>, found: &mut Entries) {
        match self {
            Self::Device(device) => {
                for (name, what) in crate::show::DEVICE {
                    found.file(*name, File::Device(device.clone(), *what));
                }
                found
                    .folder("attrib", Self::DeviceValues(device.clone(), Scope::Storage))
                    .folder("wwn", Self::DeviceValues(device.clone(), Scope::Identity))
                    .folder("pr", Self::Reservations(device.clone()))
                    .folder("alua", Self::AluaGroups(device.clone()))
                    .statistics(Subject::Device(device.clone()));
            }
            Self::DeviceValues(device, scope) => {
                let Some((object, _)) = tree.object(&view.snapshot.config, device) else { return };
                for row in rows(*scope).iter().filter(|row| row.applies_to(&object.backing)) {
                    found.file(row.name, File::DeviceValue(device.clone(), row));
                }
            }
            Self::Reservations(device) => {
                for (name, what) in reservations::FILES {
                    found.file(*name, File::Reservation(device.clone(), *what));
                }
                found.file("res_aptpl_metadata", File::ReservationMetadata);
            }
            Self::AluaGroups(device) => {
                let Some((object, true)) = tree.object(&view.snapshot.config, device) else { return };
                for name in object.alua_groups.keys() {
                    found.folder(name, Self::AluaGroup(device.clone(), name.clone()));
                }
            }
            Self::AluaGroup(device, name) => {
                let path = Path::AluaGroup(device.key(), name.clone());
                found.rows(&path, Group::Alua, Scope::Alua);
                found.file("members", File::AluaMembers(device.clone(), name.clone()));
            }
            _ => {}
        }
    }

    fn of_fabric(&self, view: View<'_>, found: &mut Entries) {
        let config = &view.snapshot.config;
        match self {
            Self::Fabric => {
                found.file("lio_version", File::FabricVersion).folder("discovery_auth", Self::DiscoveryAuth);
                for key in config.targets.keys().filter(|key| key.fabric == Fabric::Iscsi) {
                    found.folder(&key.wwn, Self::Target(key.clone()));
                }
            }
            Self::DiscoveryAuth => {
                found.rows(&Path::Fabric(Fabric::Iscsi), Group::DiscoveryAuth, Scope::DiscoveryAuth);
                found.file("authenticate_target", File::DiscoveryBothWays);
            }
            Self::Target(key) => {
                found.statistics(Subject::Target(key.clone()));
                for tag in config.targets.get(key).into_iter().flat_map(|target| target.tpgs.keys()) {
                    found.folder(format!("tpgt_{tag}"), Self::Tpg(key.tpg(*tag)));
                }
                found.folder("param", Self::TargetParameters);
            }
            Self::TargetParameters => {
                found.file("cmd_completion_affinity", File::CompletionAffinity);
            }
            Self::Tpg(key) => {
                found
                    .file("enable", File::TpgEnable(key.clone()))
                    .file("rtpi", File::TpgRtpi(key.clone()))
                    .file("dynamic_sessions", File::DynamicSessions(key.clone()))
                    .folder("attrib", Self::Values(key.into(), Group::Attribute))
                    .folder("param", Self::Values(key.into(), Group::Parameter))
                    .folder("auth", Self::Values(key.into(), Group::Auth))
                    .folder("np", Self::Portals(key.clone()))
                    .folder("lun", Self::Luns(key.clone()))
                    .folder("acls", Self::Acls(key.clone()));
            }
            Self::Values(path, group) => {
                if let Some(scope) = group.scope(path) {
                    found.rows(path, *group, scope);
                }
            }
            Self::Portals(key) => {
                for portal in config.tpg(key).into_iter().flat_map(|tpg| tpg.portals.keys()) {
                    found.folder(portal_name(*portal), Self::Portal(key.clone(), *portal));
                }
            }
            Self::Portal(key, portal) => {
                found.file("iser", File::PortalIser(key.clone(), *portal));
                found.file("cxgbit", File::PortalOffload(key.clone(), *portal));
            }
            _ => {}
        }
    }

    fn of_tpg(&self, tree: &Tree, view: View<'_>, found: &mut Entries) {
        let config = &view.snapshot.config;
        match self {
            Self::Luns(key) => {
                let made = config.tpg(key).into_iter().flat_map(|tpg| tpg.luns.keys());
                let drafts = tree.luns.iter().filter(|(of, _)| of == key).map(|(_, index)| index);
                for index in made.chain(drafts) {
                    found.folder(format!("lun_{index}"), Self::Lun(key.clone(), *index));
                }
            }
            Self::Lun(key, index) => {
                for (name, what) in crate::show::LUN {
                    found.file(*name, File::Lun(key.clone(), *index, *what));
                }
                found.statistics(Subject::Lun(key.clone(), *index));
                let lun = config.tpg(key).and_then(|tpg| tpg.luns.get(index));
                if let Some((lun, device)) = lun.and_then(|lun| Some((lun, tree.device(&lun.storage)?))) {
                    found.link(link_name(&lun.alias, lun.storage.name.as_str()), 5, &device.path());
                }
            }
            Self::Acls(key) => {
                for wwn in config.tpg(key).into_iter().flat_map(|tpg| tpg.acls.keys()) {
                    found.folder(wwn, Self::Acl(key.acl(wwn.as_str())));
                }
            }
            Self::Acl(key) => {
                found
                    .file("info", File::AclInfo(key.clone()))
                    .file("cmdsn_depth", File::AclDepth(key.clone()))
                    .file("tag", File::AclTag(key.clone()))
                    .folder("attrib", Self::Values(key.into(), Group::Attribute))
                    .folder("auth", Self::Values(key.into(), Group::Auth))
                    .folder("param", Self::Negotiated(key.clone()))
                    .statistics(Subject::Acl(key.clone()));
                let made = config.acl(key).into_iter().flat_map(|acl| acl.mapped_luns.keys());
                let drafts = tree.mapped.keys().filter(|(of, _)| of == key).map(|(_, index)| index);
                for index in made.chain(drafts) {
                    found.folder(format!("lun_{index}"), Self::MappedLun(key.clone(), *index));
                }
            }
            Self::Negotiated(key) => {
                for name in crate::show::NEGOTIATED {
                    found.file(*name, File::Negotiated(key.clone(), name));
                }
            }
            Self::MappedLun(key, index) => {
                found
                    .file("write_protect", File::WriteProtect(key.clone(), *index))
                    .statistics(Subject::MappedLun(key.clone(), *index));
                if let Some(mapped) = config.acl(key).and_then(|acl| acl.mapped_luns.get(index)) {
                    let lun = mapped.tpg_lun;
                    let to = format!("iscsi/{}/tpgt_{}/lun/lun_{lun}", key.tpg.target.wwn, key.tpg.tag);
                    found.link(link_name(&mapped.alias, "lun"), 6, &to);
                }
            }
            _ => {}
        }
    }
}

/// What stands in a folder, as it is found.
#[derive(Default)]
struct Entries(Vec<(String, Node)>);

impl Entries {
    fn folder(&mut self, name: impl Into<String>, place: Place) -> &mut Self {
        self.0.push((name.into(), Node::Folder(place)));
        self
    }

    fn file(&mut self, name: impl Into<String>, file: File) -> &mut Self {
        self.0.push((name.into(), Node::File(file)));
        self
    }

    fn statistics(&mut self, subject: Subject) -> &mut Self {
        self.folder(subject.folder(), Place::Statistics(subject))
    }

    /// A link from so many folders below the root.
    fn link(&mut self, name: String, depth: usize, to: &str) {
        self.0.push((name, Node::Link("../".repeat(depth) + to)));
    }

    fn rows(&mut self, path: &Path, group: Group, scope: Scope) {
        for row in rows(scope) {
            self.file(spelled(row), File::Value(path.clone(), group, row));
        }
    }
}

/// Whether there is the folder of the fabric: it was made, or there is something to be in it.
pub(crate) fn has_fabric(tree: &Tree, view: View<'_>) -> bool {
    let config = &view.snapshot.config;
    tree.fabric
        || config.fabrics.contains_key(&Fabric::Iscsi)
        || config.targets.keys().any(|key| key.fabric == Fabric::Iscsi)
}

/// Whether a name in the fabric's folder is no target.
pub(crate) fn is_fixed(name: &str) -> bool {
    matches!(name, "lio_version" | "discovery_auth")
}

/// LIO's files for CHAP have names that are not those that tools show.
fn spelled(row: &Attr) -> &'static str {
    match row.name {
        "mutual_userid" => "userid_mutual",
        "mutual_password" => "password_mutual",
        "enable" => "enforce_discovery_auth",
        name => name,
    }
}

/// A portal as the kernel has it: all addresses of IPv6 are `[::]`.
fn portal_name(portal: PortalKey) -> String {
    format!("{}", std::net::SocketAddr::new(portal.address, portal.port))
}

/// Links of other surfaces may have no name of their own.
fn link_name(alias: &str, or: &str) -> String {
    if alias.is_empty() { or.to_owned() } else { alias.to_owned() }
}

/// The group that every storage object is in unless it is in another.
pub(crate) const DEFAULT_LU_GROUP: &str = "default_lu_gp";
