//! Operations by chance: nothing panics, and the tree and the daemon agree.

use super::{World, everything};
use crate::Entry;
use proptest::prelude::*;

/// Names of which most lead somewhere.
const NAMES: &[&str] = &[
    "core",
    "iscsi",
    "fileio_0",
    "rd_mcp_1",
    "fileio_9",
    "disk",
    "half",
    "new",
    "alua",
    "lu_gps",
    "pair",
    "default_tg_pt_gp",
    "standby",
    "attrib",
    "param",
    "auth",
    "wwn",
    "enable",
    "control",
    "udev_path",
    "vpd_unit_serial",
    "alua_tg_pt_gp",
    "tg_pt_gp_id",
    "write_protect",
    "iqn.2003-01.org.x:a",
    "tpgt_1",
    "tpgt_2",
    "lun",
    "lun_0",
    "lun_3",
    "acls",
    "iqn.1994-05.com.redhat:b",
    "np",
    "127.0.0.1:3260",
    "discovery_auth",
    "userid",
    "9a7b",
    "..",
    "",
];

const TEXTS: &[&str] = &[
    "1",
    "0",
    "NULL",
    "",
    "\n",
    "standby",
    "fd_dev_name=/a,fd_dev_size=4096",
    "rd_pages=1",
    "-1",
    "0x5",
    "=,=",
    "core/fileio_0/disk",
    "../../../lun/lun_0",
    "99999999999999999999",
    "\u{0}",
];

/// Paths that are there, and some that are not.
fn paths(world: &World) -> Vec<String> {
    let dump = world.dump("");
    dump.lines()
        .filter_map(|line| line.split(' ').next())
        .map(|path| path.trim_end_matches('/').to_owned())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_that_is_done_to_it_breaks_the_tree(
        steps in prop::collection::vec((0..5u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..24)
    ) {
        let mut world = everything();
        for (verb, place, name, text) in steps {
            let known = paths(&world);
            let (place, name, text) = (place.get(&known), name.get(NAMES), text.get(TEXTS));
            let below = format!("{place}/{name}");
            let _ = match verb {
                0 => world.mkdir(&below),
                1 => world.rmdir(place),
                2 => world.write(place, text),
                3 => world.link(&below, text),
                _ => world.unlink(place),
            };
            prop_assert!(world.snapshot.config.check().is_ok());
        }
        agree(&world)?;
    }
}

/// Every name that is listed is found, and is what it was listed as; every object of the daemon has its place.
fn agree(world: &World) -> Result<(), TestCaseError> {
    let mut folders = vec![String::new()];
    let mut devices = 0;
    while let Some(folder) = folders.pop() {
        for (name, entry) in world.tree.list(world.view(), &folder).expect("a folder") {
            let path = format!("{folder}/{name}");
            prop_assert_eq!(world.tree.entry(world.view(), &path), Ok(entry.clone()), "{}", path);
            if name == "enable" && folder.starts_with("/core/") {
                devices += usize::from(world.read(&path).as_deref() == Ok("1\n"));
            }
            if entry == Entry::Folder {
                folders.push(path);
            }
        }
    }
    prop_assert_eq!(devices, world.snapshot.config.storage.len());
    Ok(())
}
