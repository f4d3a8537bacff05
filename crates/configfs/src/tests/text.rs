//! The whole tree as text, beside the test; `FELIO_REWRITE=1` writes it anew.
#![allow(clippy::disallowed_methods, reason = "the text is a file")]

use super::{ACL, everything};
use felio_control::TargetKey;
use felio_control::view::{ConnectionView, SessionView};

#[test]
fn every_kind_of_object_has_its_files() {
    let found = everything().dump("");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/tree.txt");
    if std::env::var_os("FELIO_REWRITE").is_some() {
        std::fs::write(file, &found).expect("the sources can be written");
    }
    let kept = std::fs::read_to_string(file).expect("the text is there");
    for (line, (found, kept)) in found.lines().zip(kept.lines()).enumerate() {
        assert_eq!(found, kept, "line {}", line + 1);
    }
    assert_eq!(found.lines().count(), kept.lines().count());
}

#[test]
fn an_initiator_that_is_logged_in_is_told_of() {
    let mut world = everything();
    world.sessions.push(SessionView {
        id: 4,
        initiator: "iqn.1994-05.com.redhat:b".to_owned(),
        alias: None,
        tag: None,
        tpg: Some(TargetKey::iscsi("iqn.2003-01.org.x:a").tpg(1)),
        authenticated: true,
        state: "LOGGED_IN".to_owned(),
        connections: vec![ConnectionView {
            cid: 0,
            peer: "10.0.0.9".to_owned(),
            transport: "TCP".to_owned(),
            state: "LOGGED_IN".to_owned(),
        }],
        luns: Vec::new(),
    });
    let info = world.read(&format!("{ACL}/info")).expect("a file");
    assert!(info.contains("LIO Session ID: 4 "), "{info}");
    assert!(info.contains("TARG_CONN_STATE_LOGGED_IN\n   Address 10.0.0.9 TCP"), "{info}");
    assert_eq!(world.read(&format!("{ACL}/param/MaxBurstLength")).as_deref(), Ok("131072\n"));
}
