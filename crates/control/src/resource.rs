//! Objects as resources: what is read of one, and the changes that writing to it means.
//!
//! A [`Row`] for each kind of place says what can be done there, naming [`Change`]s as JSON does: whoever describes the resources finds
//! there what the members of a body look like. Settings stand in bodies under the names of their [`Group`]s; `null` is back to the default.
//!
//! Not here: whether a change is allowed. That is for whoever makes it, as everywhere.

use crate::attr::rows;
use crate::change::{Change, Group};
use crate::condition::Condition;
use crate::config::Config;
use crate::path::Path;
use crate::refusal::{Kind, Refusal};
use crate::schema;
use crate::view::Snapshot;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

/// The members of a JSON object.
pub type Members = Map<String, Json>;

/// An object as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Where it is.
    pub path: Path,
    /// What has become of it.
    pub state: Condition,
    /// What is below it.
    pub children: Vec<Path>,
    /// What there is to say of objects of its kind, and its settings by group.
    #[serde(flatten)]
    pub members: Members,
}

/// What can be done at a kind of place.
#[derive(Debug)]
pub struct Row {
    /// Paths of this kind: what stands in braces has a line in [`PARAMETERS`].
    pub template: &'static str,
    /// What is there.
    pub doc: &'static str,
    /// The change that makes one.
    pub create: Option<&'static str>,
    /// The change that removes it.
    pub delete: Option<&'static str>,
    /// The change that makes one below it, under a name that is made unless one is given.
    pub grow: Option<&'static str>,
    /// What objects of this kind have beside settings.
    pub members: &'static [Member],
}

/// Something that an object has, or that is said when it is made.
#[derive(Debug)]
pub struct Member {
    /// As the change that makes the object calls it.
    pub name: &'static str,
    /// Whether it is read.
    pub shown: bool,
    /// Whether it can be said when the object is made.
    pub given: bool,
    /// The change that makes it another.
    pub change: Option<&'static str>,
}

const fn shown(name: &'static str) -> Member {
    Member { name, shown: true, given: false, change: None }
}

/// Said when the object is made, and part of it from then on.
const fn given(name: &'static str) -> Member {
    Member { given: true, ..shown(name) }
}

/// Said when the object is made, and of no meaning later.
const fn wish(name: &'static str) -> Member {
    Member { shown: false, ..given(name) }
}

impl Member {
    const fn by(self, change: &'static str) -> Self {
        Self { change: Some(change), ..self }
    }
}

const fn place(template: &'static str, doc: &'static str) -> Row {
    Row { template, doc, create: None, delete: None, grow: None, members: &[] }
}

/// All, those above before those below.
pub const ROWS: &[Row] = &[
    place("/", "The root: what is below it is everything."),
    place("/backstores", "Storage objects by plugin."),
    place("/backstores/{plugin}", "The storage objects of a plugin."),
    Row {
        create: Some("create_storage"),
        delete: Some("delete_storage"),
        members: &[
            given("backing").by("set_backing"),
            given("wwn"),
            shown("size").by("resize"),
            shown("lu_group").by("set_lu_group"),
        ],
        ..place("/backstores/{plugin}/{storage}", "A storage object: something with blocks.")
    },
    place("/backstores/{plugin}/{storage}/alua", "The target port groups of a storage object."),
    Row {
        create: Some("create_alua_group"),
        delete: Some("delete_alua_group"),
        members: &[given("tag")],
        ..place("/backstores/{plugin}/{storage}/alua/{group}", "A target port group of a storage object.")
    },
    place("/lu_groups", "Logical unit groups."),
    Row {
        create: Some("create_lu_group"),
        delete: Some("delete_lu_group"),
        members: &[given("id").by("number_lu_group")],
        ..place("/lu_groups/{lu_group}", "A logical unit group.")
    },
    Row { grow: Some("create_target"), ..place("/{fabric}", "The targets of a fabric.") },
    Row {
        create: Some("create_target"),
        delete: Some("delete_target"),
        grow: Some("create_tpg"),
        members: &[wish("tpg")],
        ..place("/{fabric}/{target}", "A target.")
    },
    Row {
        create: Some("create_tpg"),
        delete: Some("delete_tpg"),
        members: &[wish("with"), shown("rtpi").by("set_rtpi"), shown("enable").by("enable_tpg")],
        ..place("/{fabric}/{target}/{tpg}", "A portal group of a target.")
    },
    Row { grow: Some("create_lun"), ..place("/{fabric}/{target}/{tpg}/luns", "The LUNs of a portal group.") },
    Row {
        create: Some("create_lun"),
        delete: Some("delete_lun"),
        members: &[given("storage"), given("alias"), wish("add_mapped_luns")],
        ..place("/{fabric}/{target}/{tpg}/luns/{lun}", "A LUN: a storage object behind a portal group.")
    },
    place("/{fabric}/{target}/{tpg}/portals", "Where a portal group listens."),
    Row {
        create: Some("create_portal"),
        delete: Some("delete_portal"),
        members: &[shown("iser").by("set_portal"), shown("offload").by("set_portal")],
        ..place("/{fabric}/{target}/{tpg}/portals/{portal}", "An address on which a portal group listens.")
    },
    place("/{fabric}/{target}/{tpg}/acls", "Who may log in."),
    Row {
        create: Some("create_acl"),
        delete: Some("delete_acl"),
        members: &[wish("add_mapped_luns"), shown("tag").by("tag_acl")],
        ..place("/{fabric}/{target}/{tpg}/acls/{initiator}", "A node ACL: what one initiator may do.")
    },
    Row {
        create: Some("create_mapped_lun"),
        delete: Some("delete_mapped_lun"),
        members: &[given("tpg_lun"), given("write_protect").by("set_write_protect"), given("alias")],
        ..place("/{fabric}/{target}/{tpg}/acls/{initiator}/{mapped_lun}", "A LUN that an initiator sees.")
    },
];

/// What stands in the templates' braces: name, an example, what it is.
pub const PARAMETERS: &[(&str, &str, &str)] = &[
    ("plugin", "fileio", "What keeps the blocks: block, fileio, null, pscsi or ramdisk."),
    ("storage", "disk1", "The name of a storage object."),
    ("group", "default_tg_pt_gp", "The name of a target port group."),
    ("lu_group", "pair", "The name of a logical unit group."),
    ("fabric", "iscsi", "What carries commands: iscsi."),
    ("target", "iqn.2026-11.org.example:disk1", "The name of a target."),
    ("tpg", "tpg1", "The tag of a portal group, behind `tpg`."),
    ("lun", "lun0", "The number of a LUN, behind `lun`."),
    ("portal", "10.0.0.1:3260", "ADDRESS:PORT, an IPv6 address in brackets."),
    ("initiator", "iqn.1994-05.com.redhat:b", "The name of an initiator."),
    ("mapped_lun", "mapped_lun0", "The number of a LUN as the initiator sees it, behind `mapped_lun`."),
];

impl Row {
    /// The row of a place.
    #[must_use]
    pub fn of(path: &Path) -> &'static Self {
        let at = match path {
            Path::Root => 0,
            Path::Backstores => 1,
            Path::Plugin(_) => 2,
            Path::Storage(_) => 3,
            Path::AluaGroups(_) => 4,
            Path::AluaGroup(..) => 5,
            Path::LuGroups => 6,
            Path::LuGroup(_) => 7,
            Path::Fabric(_) => 8,
            Path::Target(_) => 9,
            Path::Tpg(_) => 10,
            Path::Luns(_) => 11,
            Path::Lun(..) => 12,
            Path::Portals(_) => 13,
            Path::Portal(..) => 14,
            Path::Acls(_) => 15,
            Path::Acl(_) => 16,
            Path::MappedLun(..) => 17,
        };
        &ROWS[at]
    }

    /// The row of the objects that a change makes.
    #[must_use]
    pub fn made_by(change: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.create == Some(change))
    }

    /// Whether there is anything to be set at a place of this kind.
    #[must_use]
    pub fn is_changeable(&self, path: &Path) -> bool {
        self.members.iter().any(|member| member.change.is_some()) || Group::of(path).next().is_some()
    }

    /// A path of this kind.
    pub fn example(&self) -> Result<Path, Refusal> {
        let fill = |path: String, (name, example, _): &(&str, &str, &str)| {
            path.replace(&format!("{{{name}}}"), example)
        };
        PARAMETERS.iter().fold(self.template.to_owned(), fill).parse()
    }

    fn member(&self, name: &str) -> Option<&'static Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

/// Where an object is found: below this stands its path, with everything escaped that cannot stand in an address.
pub const TREE: &str = "/v1/tree";

/// The address of an object.
#[must_use]
pub fn uri(path: &Path) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/:@".contains(byte);
    let text = path.to_string();
    let escaped = text.trim_end_matches('/').bytes().map(|byte| match plain(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    core::iter::once(TREE.to_owned()).chain(escaped).collect()
}

/// What is there.
pub fn read(path: &Path, snapshot: &Snapshot) -> Result<Node, Refusal> {
    let Snapshot { config, conditions, .. } = snapshot;
    if !path.exists(config) {
        return Err(Refusal::not_found(path.clone()));
    }
    let object = object(path, config);
    let shown = Row::of(path).members.iter().filter(|member| member.shown);
    let mut members: Members = shown
        .map(|member| {
            let value = match (member.name, path) {
                ("size", Path::Storage(key)) => {
                    json!(config.storage.get(key).and_then(|of| of.backing.size()))
                }
                (name, _) => object[name].clone(),
            };
            (member.name.to_owned(), value)
        })
        .collect();
    for (group, scope) in Group::of(path).filter_map(|group| Some((group, group.scope(path)?))) {
        let values = rows(scope).iter().filter(|row| match path {
            Path::Storage(key) => config.storage.get(key).is_some_and(|of| row.applies_to(&of.backing)),
            _ => true,
        });
        let values: Members =
            values.map(|row| (row.name.to_owned(), schema::json(config.value(path, row)))).collect();
        members.insert(group.as_str().to_owned(), values.into());
    }
    Ok(Node {
        path: path.clone(),
        state: conditions.of(path).clone(),
        children: path.children(config),
        members,
    })
}

/// An object as the configuration has it.
fn object(path: &Path, config: &Config) -> Json {
    let tpg = |key| config.tpg(key);
    match path {
        Path::Storage(key) => json!(config.storage.get(key)),
        Path::AluaGroup(key, name) => json!(config.storage.get(key).and_then(|of| of.alua_groups.get(name))),
        Path::LuGroup(name) => json!(config.lu_groups.get(name)),
        Path::Tpg(key) => json!(tpg(key)),
        Path::Lun(key, index) => json!(tpg(key).and_then(|tpg| tpg.luns.get(index))),
        Path::Portal(key, portal) => json!(tpg(key).and_then(|tpg| tpg.portals.get(portal))),
        Path::Acl(key) => json!(config.acl(key)),
        Path::MappedLun(key, index) => json!(config.acl(key).and_then(|acl| acl.mapped_luns.get(index))),
        _ => Json::Null,
    }
}

/// Makes an object, and sets what the body says of it.
pub fn put(path: &Path, body: &Members) -> Result<Vec<Change>, Refusal> {
    let row = Row::of(path);
    let Some(change) = row.create else { return Err(cannot(path, "be made by itself")) };
    let is_given = |name: &str| row.member(name).is_some_and(|member| member.given);
    let (first, later): (Members, Members) = body.clone().into_iter().partition(|(name, _)| is_given(name));
    let creates =
        build(change, name_for_creation(path), first).map_err(|refusal| refusal.at(path.clone()))?;
    let later = changes(path, &later)?;
    Ok(core::iter::once(creates).chain(later).collect())
}

/// Makes an object below, under a name that is made unless the body says one.
pub fn post(path: &Path, body: &Members) -> Result<Vec<Change>, Refusal> {
    let Some(change) = Row::of(path).grow else {
        return Err(
            cannot(path, "make names for what is below it").hint("PUT to a path of your choice makes one")
        );
    };
    build(change, address(path), body.clone())
        .map(|change| vec![change])
        .map_err(|refusal| refusal.at(path.clone()))
}

/// Makes an object what the body says of it.
pub fn patch(path: &Path, body: &Members) -> Result<Vec<Change>, Refusal> {
    if !Row::of(path).is_changeable(path) {
        return Err(cannot(path, "be changed"));
    }
    changes(path, body)
}

/// What makes an object what the body says of it.
fn changes(path: &Path, body: &Members) -> Result<Vec<Change>, Refusal> {
    let mut settings = Vec::new();
    for group in Group::of(path) {
        if let Some(values) = body.get(group.as_str()) {
            settings.extend(set(path, group, values)?);
        }
    }
    let row = Row::of(path);
    let is_group = |name: &str| Group::of(path).any(|group| group.as_str() == name);
    let unknown = body
        .keys()
        .find(|name| !is_group(name) && row.member(name).is_none_or(|member| member.change.is_none()));
    if let Some(name) = unknown {
        return Err(strange(path, name));
    }
    // In the order of the row: a portal group is enabled last. One that is disabled is so before its settings change.
    let members = row.members.iter().filter_map(|member| Some((member, body.get(member.name)?)));
    let members: Vec<Change> =
        members.map(|(member, value)| make(path, member, value)).collect::<Result<_, _>>()?;
    Ok(match body.get("enable") {
        Some(Json::Bool(false)) => [members, settings].concat(),
        _ => [settings, members].concat(),
    })
}

/// Removes an object.
pub fn delete(path: &Path) -> Result<Change, Refusal> {
    match Row::of(path).delete {
        Some(change) => build(change, address(path), Members::new()),
        None => Err(cannot(path, "be deleted")),
    }
}

/// The changes of a group's settings.
fn set(path: &Path, group: Group, values: &Json) -> Result<Vec<Change>, Refusal> {
    let invalid = |what: String| Refusal::invalid(what).at(path.clone());
    let Json::Object(values) = values else {
        return Err(invalid(format!("{} is an object of names and values", group.as_str())));
    };
    let scope = group.scope(path).ok_or_else(|| Refusal::not_found(path.clone()))?;
    let change = |(name, value): (&String, &Json)| {
        let (path, name) = (path.clone(), name.clone());
        if value.is_null() {
            return Ok(Change::Reset { path, group, name });
        }
        let row = crate::Attr::require(scope, &name).map_err(|refusal| refusal.at(path.clone()))?;
        let value = row.text_of(value).ok_or_else(|| {
            invalid(format!("{name} cannot be {value}")).hint(format!("it is {}", row.kind))
        })?;
        Ok(Change::Set { path, group, name, value })
    };
    values.iter().map(change).collect()
}

/// The change that makes a member another.
fn make(path: &Path, member: &Member, value: &Json) -> Result<Change, Refusal> {
    let built = match (member.name, value, member.change) {
        ("enable", Json::Bool(true), _) => build("enable_tpg", address(path), Members::new()),
        ("enable", Json::Bool(false), _) => build("disable_tpg", address(path), Members::new()),
        ("enable", other, _) => {
            Err(Refusal::invalid(format!("enable cannot be {other}")).hint("it is true or false"))
        }
        ("tag", Json::Null, _) => build("untag_acl", address(path), Members::new()),
        (name, value, Some(change)) => {
            build(change, address(path), Members::from_iter([(name.to_owned(), value.clone())]))
        }
        (name, _, None) => Err(strange(path, name)),
    };
    built.map_err(|refusal| refusal.at(path.clone()))
}

/// A change of this name.
fn build(change: &str, names: Vec<(&str, Json)>, said: Members) -> Result<Change, Refusal> {
    let mut all = said;
    for (name, value) in names.into_iter().chain([("change", change.into())]) {
        if all.insert(name.to_owned(), value).is_some() {
            return Err(Refusal::invalid(format!("{name} is not for the body to say")));
        }
    }
    serde_json::from_value(all.into())
        .map_err(|error| Refusal::invalid(format!("the body makes no sense: {error}")))
}

/// How changes that make an object call it: by what is above it, and its name there.
fn name_for_creation(path: &Path) -> Vec<(&'static str, Json)> {
    match path {
        Path::Target(key) => vec![("fabric", json!(key.fabric)), ("wwn", json!(key.wwn))],
        Path::Tpg(key) => vec![("target", json!(key.target)), ("tag", json!(key.tag))],
        Path::Acl(key) => vec![("tpg", json!(key.tpg)), ("wwn", json!(key.wwn))],
        other => address(other),
    }
}

/// How all other changes, and those that make something below it, call it: the fields that bodies do not have.
#[must_use]
pub fn address(path: &Path) -> Vec<(&'static str, Json)> {
    match path {
        Path::Storage(key) => vec![("storage", json!(key))],
        Path::AluaGroup(key, name) => vec![("storage", json!(key)), ("name", json!(name))],
        Path::LuGroup(name) => vec![("name", json!(name))],
        Path::Fabric(fabric) => vec![("fabric", json!(fabric))],
        Path::Target(key) => vec![("target", json!(key))],
        Path::Tpg(key) | Path::Luns(key) => vec![("tpg", json!(key))],
        Path::Lun(key, index) => vec![("tpg", json!(key)), ("index", json!(index))],
        Path::Portal(key, portal) => vec![("tpg", json!(key)), ("portal", json!(portal))],
        Path::Acl(key) => vec![("acl", json!(key))],
        Path::MappedLun(key, index) => vec![("acl", json!(key)), ("index", json!(index))],
        _ => Vec::new(),
    }
}

fn cannot(path: &Path, what: &str) -> Refusal {
    Refusal::new(Kind::NotSupported, format!("{path} cannot {what}")).at(path.clone())
}

fn strange(path: &Path, name: &str) -> Refusal {
    let changing = Row::of(path).members.iter().filter(|member| member.change.is_some());
    let known: Vec<&str> =
        changing.map(|member| member.name).chain(Group::of(path).map(Group::as_str)).collect();
    let refusal = Refusal::invalid(format!("there is no {name:?} to be set at {path}")).at(path.clone());
    if known.is_empty() { refusal } else { refusal.hint(format!("it has {}", known.join(", "))) }
}

#[cfg(test)]
mod tests;
