use super::{PARAMETERS, ROWS, Row, delete, patch, post, put, read};
use crate::attr::{Attr, When};
use crate::view::Snapshot;
use crate::{Change, Config, Facts, Group, Path, Refusal, arbitrary};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const DISK: &str = "/backstores/ramdisk/a";
const TPG: &str = "/iscsi/iqn.2026-11.org.example:a/tpg1";

fn path(text: &str) -> Path {
    text.parse().expect("a path")
}

/// What writing a body means, as JSON.
#[track_caller]
fn check(done: Result<Vec<Change>, Refusal>, want: Json) {
    assert_eq!(json!(done.expect("it makes sense")), want);
}

#[track_caller]
fn refused(done: Result<Vec<Change>, Refusal>, what: &str) {
    let refusal = done.expect_err("it makes no sense");
    assert!(refusal.what.contains(what), "{refusal:?}");
}

fn body(value: Json) -> super::Members {
    serde_json::from_value(value).expect("an object")
}

#[test]
fn every_row_is_found_by_a_path_of_its_kind() {
    for row in ROWS {
        let example = row.example().expect("a path");
        assert_eq!(Row::of(&example).template, row.template);
    }
    let used = |name: &str| ROWS.iter().any(|row| row.template.contains(&format!("{{{name}}}")));
    assert!(PARAMETERS.iter().all(|(name, ..)| used(name)));
}

#[test]
fn every_change_that_a_row_names_is_one() {
    for row in ROWS {
        let members = row.members.iter().filter_map(|member| member.change);
        for change in [row.create, row.delete, row.grow].into_iter().flatten().chain(members) {
            let error = serde_json::from_value::<Change>(json!({ "change": change, "?": 0 }));
            let error = error.expect_err("there is no such field").to_string();
            assert!(error.contains("unknown field `?`"), "{change}: {error}");
        }
    }
}

#[test]
fn what_can_be_deleted_can_be_made_and_the_other_way_round() {
    for row in ROWS {
        assert_eq!(row.create.is_some(), row.delete.is_some(), "{}", row.template);
        let deletes = delete(&row.example().expect("a path"));
        assert_eq!(deletes.is_ok(), row.delete.is_some(), "{}", row.template);
    }
}

#[test]
fn an_address_has_nothing_that_would_end_it() {
    assert_eq!(super::uri(&Path::Root), "/v1/tree");
    assert_eq!(super::uri(&path(DISK)), "/v1/tree/backstores/ramdisk/a");
    assert_eq!(super::uri(&path("/iscsi/a?b#c%d")), "/v1/tree/iscsi/a%3Fb%23c%25d");
    let portal = path(&format!("{TPG}/portals/[::0]:3260"));
    assert_eq!(super::uri(&portal), format!("/v1/tree{TPG}/portals/%5B::0%5D:3260"));
}

#[test]
fn an_object_is_made_and_then_set() {
    let said =
        json!({"backing": {"ramdisk": {"size": 1}}, "attribute": {"emulate_tpu": true}, "lu_group": "g"});
    check(
        put(&path(DISK), &body(said)),
        json!([
            {"change": "create_storage", "storage": DISK, "backing": {"ramdisk": {"size": 1, "nullio": false}}},
            {"change": "set", "path": DISK, "group": "attribute", "name": "emulate_tpu", "value": "true"},
            {"change": "set_lu_group", "storage": DISK, "lu_group": "g"},
        ]),
    );
}

#[test]
fn what_has_nothing_to_be_set_can_be_made() {
    let target = "/iscsi/iqn.2026-11.org.example:a";
    let made = json!([{"change": "create_target", "fabric": "iscsi", "wwn": "iqn.2026-11.org.example:a"}]);
    check(put(&path(target), &body(json!({}))), made);
    refused(put(&path(target), &body(json!({"x": 1}))), "there is no \"x\" to be set");
    refused(patch(&path(target), &body(json!({}))), "cannot be changed");
}

#[test]
fn a_portal_group_is_enabled_last_and_disabled_first() {
    let set =
        json!({"change": "set", "path": TPG, "group": "parameter", "name": "MaxConnections", "value": "2"});
    let said = |enable| body(json!({"enable": enable, "parameter": {"MaxConnections": 2}}));
    check(patch(&path(TPG), &said(true)), json!([set, {"change": "enable_tpg", "tpg": TPG}]));
    check(patch(&path(TPG), &said(false)), json!([{"change": "disable_tpg", "tpg": TPG}, set]));
}

#[test]
fn null_is_back_to_the_default() {
    let acl = format!("{TPG}/acls/iqn.1994-05.com.redhat:b");
    check(
        patch(&path(&acl), &body(json!({"tag": null, "auth": {"userid": null}}))),
        json!([
            {"change": "reset", "path": acl, "group": "auth", "name": "userid"},
            {"change": "untag_acl", "acl": acl},
        ]),
    );
}

#[test]
fn names_are_made_below_who_makes_names() {
    check(
        post(&path(&format!("{TPG}/luns")), &body(json!({"storage": DISK}))),
        json!([{"change": "create_lun", "tpg": TPG, "storage": DISK, "add_mapped_luns": false}]),
    );
    refused(post(&path("/backstores/ramdisk"), &body(json!({}))), "cannot make names");
}

#[test]
fn the_body_does_not_say_what_the_path_says() {
    refused(
        post(&path(&format!("{TPG}/luns")), &body(json!({"storage": DISK, "tpg": TPG}))),
        "not for the body",
    );
    refused(post(&path("/iscsi"), &body(json!({"change": "clear"}))), "not for the body");
}

#[test]
fn a_body_that_makes_no_sense_is_refused_in_words() {
    let disk = path(DISK);
    refused(put(&disk, &body(json!({}))), "missing field `backing`");
    refused(patch(&disk, &body(json!({"wwn": "1"}))), "there is no \"wwn\" to be set");
    refused(patch(&disk, &body(json!({"attribute": 1}))), "attribute is an object");
    refused(patch(&disk, &body(json!({"attribute": {"emulate_tpu": "1"}}))), "emulate_tpu cannot be \"1\"");
    refused(
        patch(&disk, &body(json!({"attribute": {"emulate_tpo": 1}}))),
        "there is no \"emulate_tpo\" here",
    );
    refused(patch(&path(TPG), &body(json!({"enable": 1}))), "enable cannot be 1");
    refused(put(&Path::Backstores, &body(json!({}))), "cannot be made");
}

/// All places, those above before those below.
fn all(from: Path, config: &Config) -> Vec<Path> {
    let below = from.children(config).into_iter().flat_map(|child| all(child, config));
    let below: Vec<Path> = below.collect();
    core::iter::once(from).chain(below).collect()
}

/// What of a body could be written at any time.
fn writable(path: &Path, members: super::Members) -> super::Members {
    let always = |group: Group, name: &str| {
        let row = group.scope(path).and_then(|scope| Attr::find(scope, name));
        row.is_some_and(|row| row.when == When::Always)
    };
    let row = Row::of(path);
    let mut kept = super::Members::new();
    for (name, mut value) in members {
        if let Some(group) = Group::of(path).find(|group| group.as_str() == name) {
            if let Json::Object(values) = &mut value {
                values.retain(|name, _| always(group, name));
            }
            kept.insert(name, value);
        } else if row.members.iter().any(|member| member.name == name && member.change.is_some()) {
            kept.insert(name, value);
        }
    }
    kept
}

proptest! {
    #[test]
    fn to_write_what_was_read_changes_nothing(config in arbitrary::config()) {
        let facts = Facts { host: "h".into(), machine: "m".into(), seed: [0; 16] };
        let snapshot = Snapshot { config: config.clone().into(), ..Snapshot::default() };
        for path in all(Path::Root, &config) {
            let node = read(&path, &snapshot).expect("it is there");
            prop_assert_eq!(&node.path, &path);
            let mut members = writable(&path, node.members);
            // What an object has not cannot be set; a relative target port identifier only while the group is disabled.
            members.retain(|name, value| match name.as_str() {
                "rtpi" => false,
                "size" | "id" => !value.is_null(),
                _ => true,
            });
            if !Row::of(&path).is_changeable(&path) {
                continue;
            }
            let changes = patch(&path, &members).expect("it was read");
            let again = config.apply_piecemeal(&changes, &facts);
            prop_assert!(again.is_ok_and(|(again, _)| again == config), "{}: {:?}", path, changes);
        }
    }
}
