//! What a plan must hold to.

use super::{Line, difference, settled};
use crate::{Change, Config, Facts, arbitrary};
use proptest::prelude::*;
use std::sync::Arc;

fn facts() -> Facts {
    Facts { host: "host".to_owned(), machine: "x86_64".to_owned(), seed: [9; 16] }
}

proptest! {
    #[test]
    fn configurations_by_chance_hold_by_the_rules(config in arbitrary::config()) {
        prop_assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn the_difference_makes_the_second_of_the_first(from in arbitrary::config(), to in arbitrary::config()) {
        let changes = difference(&from, &to);
        let made = from.apply(&changes, &facts());
        prop_assert_eq!(made.map(|(config, _)| config), Ok(to), "{:#?}", changes);
    }

    #[test]
    fn there_is_no_difference_to_itself(config in arbitrary::config()) {
        prop_assert_eq!(difference(&config, &config), Vec::<Change>::new());
    }

    #[test]
    fn changes_survive_being_sent(from in arbitrary::config(), to in arbitrary::config()) {
        let changes = difference(&from, &to);
        let text = serde_json::to_string(&changes).expect("it can be written");
        let read: Vec<Change> = serde_json::from_str(&text).expect("it can be read");
        prop_assert_eq!(read, changes);
    }

    #[test]
    fn what_a_file_leaves_open_stays_as_it_is(config in arbitrary::config()) {
        let mut open = config.clone();
        for object in open.storage.values_mut() {
            Arc::make_mut(object).wwn.clear();
        }
        for tpg in open.targets.values_mut().flat_map(|target| Arc::make_mut(target).tpgs.values_mut()) {
            tpg.rtpi = None;
            tpg.luns.values_mut().for_each(|lun| lun.alias.clear());
            tpg.acls.values_mut().flat_map(|acl| acl.mapped_luns.values_mut()).for_each(|lun| lun.alias.clear());
        }
        prop_assert_eq!(difference(&config, &settled(&config, open)), Vec::<Change>::new());
        prop_assert_eq!(settled(&Config::default(), config.clone()), config);
    }

    #[test]
    fn no_line_tells_a_secret(from in arbitrary::config(), to in arbitrary::config()) {
        for change in difference(&from, &to) {
            let line = Line::of(&change, &from).to_string();
            let secret = [" with blanks ", "pässword", "another"].iter().any(|secret| line.contains(secret));
            prop_assert!(!secret, "{}", line);
        }
    }

    #[test]
    fn a_configuration_survives_being_sent(config in arbitrary::config()) {
        let text = serde_json::to_string(&config).expect("it can be written");
        let read: Config = serde_json::from_str(&text).expect("it can be read");
        prop_assert_eq!(read, config);
    }
}

#[test]
fn what_is_the_same_is_left_alone() {
    let text = include_str!("../save/lio.json");
    let (from, _) = crate::save::read(text).expect("it is one");
    let (to, _) =
        crate::save::read(&text.replace("\"nopin_timeout\": 15", "\"nopin_timeout\": 5")).expect("it is one");
    let changes = difference(&from, &to);
    let text = serde_json::to_string(&changes).expect("it can be written");
    assert_eq!(
        text,
        r#"[{"change":"set","path":"/iscsi/iqn.2003-01.org.linux-iscsi.host.x8664:sn.0123456789ab/tpg1/acls/iqn.1994-05.com.redhat:client","group":"attribute","name":"nopin_timeout","value":"5"}]"#
    );
}

#[test]
fn a_line_says_what_a_change_does() {
    let (from, _) = crate::save::read(include_str!("../save/lio.json")).expect("it is one");
    let mut to = from.clone();
    let key = to.storage.keys().next().expect("it has some").clone();
    to.storage.remove(&key);
    to.extra.insert("later".to_owned(), 1.into());
    for tpg in to.targets.values_mut().flat_map(|target| Arc::make_mut(target).tpgs.values_mut()) {
        tpg.luns.retain(|_, lun| lun.storage != key);
        let left: Vec<u16> = tpg.luns.keys().copied().collect();
        tpg.acls
            .values_mut()
            .for_each(|acl| acl.mapped_luns.retain(|_, mapped| left.contains(&mapped.tpg_lun)));
        tpg.enable = false;
    }
    let lines: Vec<String> =
        difference(&from, &to).iter().map(|change| Line::of(change, &from).to_string()).collect();
    assert_eq!(
        lines,
        [
            "~ /iscsi/iqn.2003-01.org.linux-iscsi.host.x8664:sn.0123456789ab/tpg1: disabled; sessions end",
            "- /iscsi/iqn.2003-01.org.linux-iscsi.host.x8664:sn.0123456789ab/tpg1/acls/iqn.1994-05.com.redhat:client/mapped_lun0",
            "- /iscsi/iqn.2003-01.org.linux-iscsi.host.x8664:sn.0123456789ab/tpg1/luns/lun0",
            "~ /loopback/naa.50014051e2d3c4b5/tpg1: disabled; sessions end",
            "- /backstores/fileio/disk1: its blocks are not touched",
            "~ /: later is kept as it is",
        ]
    );
}
