//! What a plan must hold to.

use super::difference;
use crate::{Change, Config, Facts, arbitrary};
use proptest::prelude::*;

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
