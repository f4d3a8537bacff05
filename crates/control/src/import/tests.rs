//! What becomes of files of other targets.

use super::{scst, tgt};
use crate::save::{Note, Unreadable};
use crate::{Config, Facts, TargetKey, Tpg};
use proptest::prelude::*;

const TGT: &str = r#"
default-driver iscsi
include /etc/tgt/more/*.conf
incomingdiscoveryuser finder "find it 12345"

<target iqn.2024-01.org.example:Open>
    backing-store /srv/a.img        # becomes LUN 1
    <backing-store /dev/vg/b>
        lun 7
        vendor_id ACME
        block-size 4096
        readonly yes
        params element_type=4
    </backing-store>
    initiator-address ALL
    MaxRecvDataSegmentLength 131072
</target>

<target iqn.2024-01.org.example:closed>
    backing-store /srv/a.img
    backing-store /srv/missing.img
    initiator-name iqn.1994-05.com.redhat:one
    initiator-name iqn.1994-05.com.redhat:two
    incominguser me secret123456
    incominguser other secret123456
    write-cache off
</target>

<target iqn.2024-01.org.example:byaddress>
    backing-store /srv/c.img
    initiator-address 192.0.2.0/24
</target>
"#;

const SCST: &str = r#"
HANDLER vdisk_fileio {
    DEVICE one {
        filename /srv/a.img
        write_through 1
        usn 0123abcd
    }
    DEVICE two {
        filename /srv/c.img
        cluster_mode 1
    }
}
HANDLER vcdrom { DEVICE cd { filename /srv/a.iso } }
TARGET_DRIVER iscsi {
    enabled 1
    TARGET iqn.2024-01.org.example:open {
        enabled 1
        rel_tgt_id 3
        allowed_portal 192.0.2.1
        allowed_portal 2001:db8::1
        LUN 0 one
        InitialR2T No
    }
    TARGET iqn.2024-01.org.example:groups {
        enabled 1
        IncomingUser "me secret123456"
        LUN 0 one
        GROUP hosts {
            LUN 0 two { read_only 1 }
            LUN 1 one
            INITIATOR iqn.1994-05.com.redhat:one
            INITIATOR iqn.1994-05.com.redhat:*
        }
    }
}
TARGET_DRIVER qla2x00t { TARGET 50:01:43:80:12:34:56:78 { LUN 0 one } }
DEVICE_GROUP both {
    DEVICE one
    TARGET_GROUP far {
        group_id 5
        state nonoptimized
        TARGET iqn.2024-01.org.example:open { rel_tgt_id 3 }
    }
}
"#;

fn facts() -> Facts {
    Facts { host: "host".to_owned(), machine: "x86_64".to_owned(), seed: [3; 16] }
}

fn size_of(path: &str) -> Option<u64> {
    matches!(path, "/srv/a.img" | "/srv/c.img").then_some(1 << 30)
}

fn tpg<'c>(config: &'c Config, name: &str) -> &'c Tpg {
    config
        .tpg(&TargetKey::iscsi(format!("iqn.2024-01.org.example:{name}")).tpg(1))
        .expect("it was taken over")
}

fn lines(notes: &[Note]) -> Vec<String> {
    notes.iter().map(|note| format!("{}: {}", note.at, note.says)).collect()
}

fn attribute(tpg: &Tpg, name: &str) -> Option<i64> {
    tpg.attribute(name)?.number()
}

#[test]
fn tgt_targets_come_over() {
    let (config, notes) = tgt(TGT, &facts(), &size_of).expect("it can be read");
    let open = tpg(&config, "open");
    assert_eq!(
        open.luns.iter().map(|(i, lun)| (*i, lun.storage.to_string())).collect::<Vec<_>>(),
        [(1, "/backstores/fileio/a.img".to_owned()), (7, "/backstores/block/b".to_owned()),]
    );
    assert_eq!(
        (attribute(open, "generate_node_acls"), attribute(open, "authentication")),
        (Some(1), Some(0))
    );
    assert_eq!(open.parameter("MaxXmitDataSegmentLength").and_then(|value| value.number()), Some(131_072));
    let closed = tpg(&config, "closed");
    assert_eq!(
        (attribute(closed, "generate_node_acls"), attribute(closed, "authentication")),
        (Some(0), Some(1))
    );
    assert_eq!(
        closed.acls.values().map(|acl| (acl.auth.userid.as_str(), acl.mapped_luns.len())).collect::<Vec<_>>(),
        [("me", 1), ("me", 1),]
    );
    assert_eq!(attribute(tpg(&config, "byaddress"), "generate_node_acls"), Some(0));
    assert_eq!(
        lines(&notes),
        [
            "line 3: /etc/tgt/more/*.conf is not followed; import it, too",
            "line 13: params has no equivalent",
            "line 8: LUN 7 can be written: it is not read only for initiators without an ACL",
            "line 21: /srv/missing.img is left out: there is no such file, and nothing says its size",
            "line 25: left out: only one incominguser can be kept",
            "line 31: felio does not decide by addresses; nobody is let in until ACLs are created",
        ]
    );
}

#[test]
fn scst_targets_come_over() {
    let (config, notes) = scst(SCST, &facts(), &size_of).expect("it can be read");
    let open = tpg(&config, "open");
    assert_eq!((open.rtpi, open.enable, attribute(open, "generate_node_acls")), (Some(3), true, Some(1)));
    assert_eq!(
        open.portals.keys().map(ToString::to_string).collect::<Vec<_>>(),
        ["192.0.2.1:3260", "[2001:db8::1]:3260"]
    );
    assert_eq!(open.luns[&0].alua_group.as_deref(), Some("far"));
    let groups = tpg(&config, "groups");
    assert_eq!(
        groups.luns.iter().map(|(i, lun)| (*i, lun.storage.name.as_str())).collect::<Vec<_>>(),
        [(0, "one"), (1, "two")]
    );
    let acl = &groups.acls["iqn.1994-05.com.redhat:one"];
    let mapped = acl.mapped_luns.iter().map(|(index, mapped)| (*index, mapped.tpg_lun, mapped.write_protect));
    assert_eq!(mapped.collect::<Vec<_>>(), [(0, 1, true), (1, 0, false)]);
    assert_eq!((acl.auth.userid.as_str(), attribute(groups, "generate_node_acls")), ("me", Some(0)));
    assert_eq!(
        lines(&notes),
        [
            "line 10: cluster_mode has no equivalent",
            "line 13: cd is left out: felio has no handler vcdrom",
            "line 32: left out: iqn.1994-05.com.redhat:* is a pattern, and an ACL is for one name",
            "line 24: nobody is let in without an ACL: whoever came would see the LUNs of all groups, not only the target's own",
            "line 36: left out: felio has no target driver qla2x00t",
        ]
    );
}

#[test]
fn what_is_never_closed_has_its_line() {
    let wrong = |line: &str, what: &str| Err(Unreadable { at: line.to_owned(), what: what.to_owned() });
    assert_eq!(tgt("\n<target a>\n", &facts(), &size_of), wrong("line 2", "this is never closed"));
    assert_eq!(
        tgt("<target a>\n</backing-store>", &facts(), &size_of),
        wrong("line 2", "target of line 1 is not closed")
    );
    assert_eq!(scst("}", &facts(), &size_of), wrong("line 1", "nothing is open that could be closed"));
    assert_eq!(scst("HANDLER a {", &facts(), &size_of), wrong("line 1", "this is never closed"));
}

proptest! {
    #[test]
    fn a_broken_file_is_no_panic(at in 0..SCST.len().min(TGT.len()), with in "[{}<>/\" a-z0-9\n]{0,4}") {
        let broken = |text: &str| {
            let mut text = text.to_owned();
            text.replace_range(at..=at, &with);
            text
        };
        let read = [tgt(&broken(TGT), &facts(), &size_of), scst(&broken(SCST), &facts(), &size_of)];
        for (config, _) in read.into_iter().flatten() {
            prop_assert_eq!(config.check(), Ok(()));
        }
    }
}
