//! What a file must hold to.

use super::{Writer, problems, read, write};
use crate::{Config, arbitrary};
use proptest::prelude::*;
use std::sync::Arc;

/// As LIO writes it.
const LIO: &str = include_str!("lio.json");

proptest! {
    #[test]
    fn what_is_saved_is_read_back(config in arbitrary::config()) {
        prop_assert_eq!(read(&write(&config)).map(|(config, _)| config), Ok(config));
    }

    #[test]
    fn what_is_read_back_is_saved_the_same(config in arbitrary::config()) {
        let text = write(&config);
        let (again, _) = read(&text).expect("it was written");
        prop_assert_eq!(write(&again), text);
    }

    #[test]
    fn what_has_not_changed_is_written_the_same(configs in prop::collection::vec(arbitrary::config(), 1..4)) {
        let mut writer = Writer::default();
        for config in configs {
            prop_assert_eq!(writer.write(&config), write(&config));
            let mut changed = config.clone();
            if let Some((_, object)) = changed.storage.iter_mut().next() {
                Arc::make_mut(object).wwn = "another".to_owned();
            }
            if let Some((_, target)) = changed.targets.iter_mut().next() {
                Arc::make_mut(target).tpgs.clear();
            }
            prop_assert_eq!(writer.write(&changed), write(&changed));
        }
    }

    #[test]
    fn nonsense_is_no_panic(at in 0..LIO.len(), with in "[\\[\\]{}\",:0-9a-z]{0,3}") {
        let mut text = LIO.to_owned();
        text.replace_range(at..=at, &with);
        if let Ok((config, _)) = read(&text) {
            let _ = config.check();
        }
    }
}

#[track_caller]
fn wrong(from: &str, to: &str, want: &str) {
    assert!(LIO.contains(from), "the file has {from}");
    let error = read(&LIO.replacen(from, to, 1)).expect_err("this makes no sense");
    assert_eq!(error.to_string(), want);
}

#[test]
fn a_file_of_lio_is_written_back_byte_for_byte() {
    let (config, notes) = read(LIO).expect("it is one");
    assert_eq!(config.check(), Ok(()));
    assert_eq!(notes, []);
    assert_eq!(write(&config), LIO);
}

#[test]
fn a_missing_attribute_is_the_default() {
    let (config, _) = read(&LIO.replacen("\"login_timeout\": 15,", "", 1)).expect("it is one");
    assert_eq!(write(&config), LIO);
}

#[test]
fn an_unknown_attribute_is_kept_and_noted() {
    let text = LIO.replacen("\"emulate_3pc\": 1,", "\"emulate_3pc\": 1,\n        \"emulate_4pc\": 7,", 1);
    let (config, notes) = read(&text).expect("it is one");
    assert_eq!(
        notes.iter().map(|note| note.at.as_str()).collect::<Vec<_>>(),
        ["storage_objects[0].attributes.emulate_4pc"]
    );
    assert_eq!(write(&config), text);
}

#[test]
fn nothing_is_an_empty_configuration() {
    assert_eq!(read("{}"), Ok((Config::default(), Vec::new())));
}

#[test]
fn an_error_says_where() {
    wrong(
        "\"size\": 1073741824",
        "\"size\": \"big\"",
        "storage_objects[0].size: this must be a number up to 18446744073709551615, not \"big\"",
    );
    wrong(
        "\"tag\": 1",
        "\"tag\": 70000",
        "targets[0].tpgs[0].tag: this must be a number up to 65535, not 70000",
    );
    wrong(
        "\"login_timeout\": 15",
        "\"login_timeout\": 99",
        "targets[0].tpgs[0].attributes.login_timeout: login_timeout cannot be \"99\"",
    );
    wrong(
        "\"ip_address\": \"0.0.0.0\"",
        "\"ip_address\": \"here\"",
        "targets[0].tpgs[0].portals[0].ip_address: \"here\" is no IP address",
    );
    wrong("\"plugin\": \"fileio\",", "", "storage_objects[0].plugin: this is missing");
    wrong("\"targets\": [", "\"targets\": 7, \"x\": [", "targets: this must be a list, not 7");
}

#[test]
fn a_file_that_is_no_json_says_the_line() {
    let error = read("{\n  \"targets\": [,]\n}").expect_err("a comma too many");
    assert_eq!(error.to_string(), "line 2, column 15: expected value");
}

#[test]
fn a_name_that_comes_twice_is_refused() {
    let text = LIO.replacen("\"name\": \"pass\"", "\"name\": \"disk1\"", 1).replacen(
        "\"plugin\": \"pscsi\"",
        "\"plugin\": \"fileio\", \"size\": 1",
        1,
    );
    let error = read(&text).expect_err("two of a name");
    assert_eq!(error.to_string(), "storage_objects[1].name: there is another of that name before");
}

#[track_caller]
fn all_wrong(changes: &[(&str, &str)], want: &[&str]) {
    let text = changes.iter().fold(LIO.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the file has {from}");
        text.replacen(from, to, 1)
    });
    let found = problems(&text).into_iter().map(|found| {
        let line = found.line.map_or("?".to_owned(), |line| line.to_string());
        format!("{line}: {}: {}", found.at, found.what)
    });
    assert_eq!(found.collect::<Vec<_>>(), want);
}

#[test]
fn every_error_of_a_file_is_told_with_its_line() {
    all_wrong(&[], &[]);
    all_wrong(
        &[
            ("\"size\": 1073741824", "\"size\": \"big\""),
            ("\"login_timeout\": 15", "\"login_timeout\": 99"),
            ("\"ip_address\": \"0.0.0.0\"", "\"ip_address\": \"here\""),
        ],
        &[
            "63: storage_objects[0].size: this must be a number up to 18446744073709551615, not \"big\"",
            "94: targets[0].tpgs[0].attributes.login_timeout: login_timeout cannot be \"99\"",
            "164: targets[0].tpgs[0].portals[0].ip_address: \"here\" is no IP address",
        ],
    );
    all_wrong(&[("{", "")], &["?: line 2, column 19: trailing characters"]);
}

#[test]
fn every_object_that_breaks_a_rule_is_told_with_its_line() {
    all_wrong(
        &[
            ("\"/backstores/fileio/disk1\"", "\"/backstores/fileio/none\""),
            ("\"dev\": \"/dev/sg3\"", "\"dev\": \"/srv/disk1.img\""),
            ("\"chap_password\"", "\"chap_passwort\""),
        ],
        &[
            "114: targets[0].tpgs[0].node_acls[0]: userid and password go together",
            "67: storage_objects[1]: /srv/disk1.img is already behind /backstores/fileio/disk1",
            "101: targets[0].tpgs[0].luns[0]: /iscsi/iqn.2003-01.org.linux-iscsi.host.x8664:sn.0123456789ab/tpg1/luns/lun0 leads to /backstores/fileio/none, which is not there",
        ],
    );
}
