//! What changes do.

use crate::{
    Backing, Change, Config, DEFAULT_PORTAL, Fabric, Facts, Group, NewTpg, Path, Plugin, RefusalKind,
    StorageKey, TargetKey, TpgKey,
};

const TARGET: &str = "iqn.2024-01.org.example:a";
const HOST: &str = "iqn.1994-05.com.redhat:b";

fn facts() -> Facts {
    Facts { host: "My_Host.example.org".to_owned(), machine: "x86_64".to_owned(), seed: [7; 16] }
}

fn disk(name: &str) -> Change {
    Change::CreateStorage {
        storage: StorageKey::new(Plugin::Fileio, name),
        backing: Backing::Fileio {
            dev: format!("/disks/{name}"),
            size: 1 << 20,
            write_back: true,
            aio: false,
        },
        wwn: None,
    }
}

fn key(name: &str) -> StorageKey {
    StorageKey::new(Plugin::Fileio, name)
}

fn tpg() -> TpgKey {
    TargetKey::iscsi(TARGET).tpg(1)
}

fn target() -> Change {
    Change::CreateTarget { fabric: Fabric::Iscsi, wwn: Some(TARGET.to_owned()), tpg: Some(NewTpg::TARGETCLI) }
}

fn lun(name: &str) -> Change {
    Change::CreateLun { tpg: tpg(), storage: key(name), index: None, alias: None, add_mapped_luns: true }
}

fn acl() -> Change {
    Change::CreateAcl { tpg: tpg(), wwn: HOST.to_owned(), add_mapped_luns: true }
}

fn set(path: Path, group: Group, name: &str, value: &str) -> Change {
    Change::Set { path, group, name: name.to_owned(), value: value.to_owned() }
}

/// Two disks as LUN 0 and 1 of one target, and one initiator that sees both.
fn world() -> Config {
    let changes = [disk("one"), disk("two"), target(), lun("one"), lun("two"), acl()];
    let facts = Facts { seed: [1; 16], ..facts() };
    Config::default().apply(&changes, &facts).expect("this is right").0
}

#[track_caller]
fn says(config: &Config, changes: &[Change], want: &[&str]) -> Config {
    let (config, done) = config.apply(changes, &facts()).expect("this is right");
    assert_eq!(done.iter().map(|done| done.says.as_str()).collect::<Vec<_>>(), want);
    config
}

#[track_caller]
fn refused(config: &Config, changes: &[Change], kind: RefusalKind, what: &str) {
    let refusal = config.apply(changes, &facts()).expect_err("this is wrong");
    assert_eq!((refusal.kind, refusal.what.as_str()), (kind, what));
}

#[test]
fn a_new_target_begins_as_targetcli_makes_it() {
    let config = says(
        &Config::default(),
        &[target()],
        &[
            "Created target iqn.2024-01.org.example:a.",
            "Created TPG 1.",
            "Created network portal [::0]:3260.",
        ],
    );
    let made = config.tpg(&tpg()).expect("it was made");
    assert!(made.enable && made.portals.contains_key(&DEFAULT_PORTAL));
    assert_eq!(made.attribute("authentication").map(|value| value.to_string()).as_deref(), Some("0"));
}

#[test]
fn a_generated_name_has_no_character_that_names_cannot_have() {
    let create = Change::CreateTarget { fabric: Fabric::Iscsi, wwn: None, tpg: None };
    let (config, _) = Config::default().apply(&[create.clone(), create], &facts()).expect("this is right");
    assert_eq!(config.targets.len(), 2);
    let (first, _) = config.targets.first_key_value().expect("there are two");
    assert!(first.wwn.starts_with("iqn.2026-11.org.felio.my-host.x86-64:sn."), "{}", first.wwn);
}

#[test]
fn serial_numbers_are_made_and_differ() {
    let config = world();
    let serials: Vec<&str> = config.storage.values().map(|object| object.wwn.as_str()).collect();
    assert!(serials.iter().all(|serial| serial.len() == 36) && serials[0] != serials[1], "{serials:?}");
}

#[test]
fn a_new_lun_is_mapped_for_those_who_have_an_acl() {
    says(
        &world(),
        &[disk("three"), lun("three")],
        &[
            "Created fileio storage object three using /disks/three with size 1048576.",
            "Created LUN 2.",
            "Created LUN 2->2 mapping in node ACL iqn.1994-05.com.redhat:b.",
        ],
    );
}

#[test]
fn a_deleted_storage_object_takes_its_luns_along() {
    let config = says(
        &world(),
        &[Change::DeleteStorage { storage: key("one") }],
        &["Deleted Mapped LUN 0.", "Deleted LUN 0.", "Deleted storage object one."],
    );
    assert_eq!(config.tpg(&tpg()).map(|tpg| tpg.luns.len()), Some(1));
}

#[test]
fn nothing_is_done_if_the_last_change_is_refused() {
    let config = world();
    refused(
        &config,
        &[disk("three"), disk("one")],
        RefusalKind::Exists,
        "/backstores/fileio/one exists already",
    );
    assert_eq!(config, world());
}

#[test]
fn the_same_file_is_not_behind_two_objects() {
    let again = Change::CreateStorage {
        storage: key("three"),
        backing: Backing::Fileio {
            dev: "/disks/one".to_owned(),
            size: 1 << 20,
            write_back: false,
            aio: false,
        },
        wwn: None,
    };
    refused(&world(), &[again], RefusalKind::InUse, "/disks/one is already behind /backstores/fileio/one");
}

#[test]
fn block_size_is_fixed_while_exported() {
    let change = set(Path::Storage(key("one")), Group::Attribute, "block_size", "4096");
    refused(
        &world(),
        std::slice::from_ref(&change),
        RefusalKind::InUse,
        "block_size cannot change while /iscsi/iqn.2024-01.org.example:a/tpg1/luns/lun0 leads to /backstores/fileio/one",
    );
    says(
        &world(),
        &[Change::DeleteLun { tpg: tpg(), index: 0 }, change],
        &["Deleted Mapped LUN 0.", "Deleted LUN 0.", "Attribute block_size is now '4096'."],
    );
}

#[test]
fn a_value_outside_its_range_is_refused_with_the_range() {
    let change = set(Path::Tpg(tpg()), Group::Attribute, "login_timeout", "31");
    let refusal = world().apply(&[change], &facts()).expect_err("this is wrong");
    assert_eq!(refusal.hint.as_deref(), Some("it is a number from 5 to 30"));
}

#[test]
fn a_misspelt_name_is_put_right() {
    let change = set(Path::Tpg(tpg()), Group::Attribute, "login_timout", "10");
    let refusal = world().apply(&[change], &facts()).expect_err("this is wrong");
    assert_eq!(
        (refusal.kind, refusal.hint.as_deref()),
        (RefusalKind::NotFound, Some("did you mean login_timeout?"))
    );
}

#[test]
fn the_default_is_not_kept() {
    let path = Path::Tpg(tpg());
    let there = set(path.clone(), Group::Parameter, "MaxBurstLength", "524288");
    let back = set(path, Group::Parameter, "MaxBurstLength", "262144");
    assert_eq!(world().apply(&[there, back], &facts()).map(|(config, _)| config), Ok(world()));
}

#[test]
fn a_user_without_a_password_is_refused_unless_written_piece_by_piece() {
    let user = set(Path::Tpg(tpg()), Group::Auth, "userid", "me");
    refused(&world(), std::slice::from_ref(&user), RefusalKind::Invalid, "userid and password go together");
    let (half, _) = world().apply_piecemeal(&[user], &facts()).expect("the password may follow");
    assert!(half.apply(&[disk("three")], &facts()).is_ok(), "others are not held up by what was half before");
}

#[test]
fn a_secret_is_not_repeated() {
    let path = Path::Tpg(tpg());
    let changes =
        [set(path.clone(), Group::Auth, "userid", "me"), set(path, Group::Auth, "password", "correct horse")];
    let config = says(
        &world(),
        &changes,
        &["Parameter userid is now 'me'.", "Parameter password is now what you said."],
    );
    assert!(!format!("{config:?}").contains("horse"));
    assert!(changes.iter().all(|change| !format!("{:?}", change.without_secrets()).contains("horse")));
}

#[test]
fn one_portal_is_not_in_two_groups_of_a_target() {
    let create = Change::CreateTpg { target: TargetKey::iscsi(TARGET), tag: None, with: NewTpg::TARGETCLI };
    refused(
        &world(),
        &[create],
        RefusalKind::Exists,
        "/iscsi/iqn.2024-01.org.example:a/tpg2/portals/[::0]:3260 and \
         /iscsi/iqn.2024-01.org.example:a/tpg1/portals/[::0]:3260 have the same portal, [::0]:3260",
    );
}

#[test]
fn the_luns_of_a_deleted_group_fall_back_to_the_default() {
    let group = Change::CreateAluaGroup { storage: key("one"), name: "far".to_owned(), tag: Some(2) };
    let join = set(Path::Lun(tpg(), 0), Group::Alua, "alua_tg_pt_gp_name", "far");
    let config = says(
        &world(),
        &[group, join],
        &["Created target port group far.", "Parameter alua_tg_pt_gp_name is now 'far'."],
    );
    let delete = Change::DeleteAluaGroup { storage: key("one"), name: "far".to_owned() };
    let config =
        says(&config, &[delete], &["LUN 0 is in default_tg_pt_gp again.", "Deleted target port group far."]);
    assert_eq!(config, world());
}

#[test]
fn a_change_is_a_readable_body() {
    let text = r#"{"change":"create_lun","tpg":"/iscsi/iqn.2024-01.org.example:a/tpg1","storage":"/backstores/fileio/one","add_mapped_luns":true}"#;
    let change: Change = serde_json::from_str(text).expect("it is one");
    assert_eq!(change, lun("one"));
    assert_eq!(serde_json::to_string(&change).expect("it can be written"), text);
}

#[test]
fn a_body_with_an_unknown_field_is_refused() {
    let text = r#"{"change":"enable_tpg","tpg":"/iscsi/iqn.2024-01.org.example:a/tpg1","froce":true}"#;
    assert!(serde_json::from_str::<Change>(text).is_err());
}

#[test]
fn every_row_has_a_value_where_it_belongs() {
    let key = key("one");
    let acl = tpg().acl(HOST);
    let paths = [
        Path::from(&key),
        Path::AluaGroup(key, crate::DEFAULT_GROUP.to_owned()),
        Path::from(tpg()),
        Path::Lun(tpg(), 0),
        Path::from(acl),
        Path::Fabric(Fabric::Iscsi),
    ];
    let config = world();
    for path in &paths {
        for scope in Group::of(path).filter_map(|group| group.scope(path)) {
            for row in crate::attr::rows(scope) {
                let device = matches!(row.default, crate::attr::Default::Device);
                assert!(device || config.value(path, row).is_some(), "{path} {}", row.name);
            }
        }
    }
}

#[test]
fn what_was_set_is_the_value() {
    let tpg = Path::from(tpg());
    let config = world();
    let change = set(tpg.clone(), Group::Attribute, "login_timeout", "20");
    let config = config.apply(&[change], &facts()).expect("this is right").0;
    let row = crate::Attr::find(crate::Scope::Tpg, "login_timeout").expect("there is one");
    assert_eq!(config.value(&tpg, row), Some(crate::Value::Number(20)));
}
