//! Bodies of requests: lists of changes, to nothing or to a configuration that has something of everything.

use crate::saveconfig::{facts, lio, same_when_saved, words as names};
use felio_control::{Change, Config, difference};

/// Does what an input says: it is the body.
pub fn run(input: &[u8]) {
    let Ok(changes) = serde_json::from_slice::<Vec<Change>>(input) else { return };
    for from in [Config::default(), lio()] {
        let Ok((config, _)) = from.apply(&changes, &facts()) else { continue };
        assert!(config.check() == Ok(()), "what comes out holds by the rules");
        same_when_saved(&config);
    }
    let text = serde_json::to_vec(&changes).expect("it can be written");
    let again: Vec<Change> = serde_json::from_slice(&text).expect("it can be read");
    assert!(again == changes);
}

/// Inputs to begin with: each change that makes that configuration, alone and with all before it.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let changes = [difference(&Config::default(), &lio()), difference(&lio(), &Config::default())].concat();
    let alone = changes.chunks(1).map(<[Change]>::to_vec);
    let all = (1..=changes.len()).rev().step_by(8).map(|count| changes[..count].to_vec());
    alone.chain(all).map(|list| serde_json::to_vec(&list).expect("it can be written")).collect()
}

/// Kinds of changes, and what they are about.
#[must_use]
pub fn words() -> Vec<String> {
    let kinds = [
        "change",
        "create_storage",
        "delete_storage",
        "resize",
        "set_backing",
        "create_lun",
        "delete_lun",
        "create_acl",
        "delete_acl",
        "create_mapped_lun",
        "set_write_protect",
        "set_rtpi",
        "create_alua_group",
        "delete_alua_group",
        "set_lu_group",
        "create_lu_group",
        "delete_lu_group",
        "enable_tpg",
        "disable_tpg",
        "clear",
        "reset",
        "/backstores/fileio/disk1",
        "/backstores/ramdisk/a",
        "/iscsi",
        "default_tg_pt_gp",
    ];
    names().into_iter().chain(kinds.map(ToOwned::to_owned)).collect()
}
