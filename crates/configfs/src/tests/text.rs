//! The whole tree as text, beside the test; `FELIO_REWRITE=1` writes it anew.
#![allow(clippy::disallowed_methods, reason = "the text is a file")]

use super::{ACL, TARGET, TPG, World, everything};
use crate::{Errno, Needs};
use felio_control::stats::{
    BrokenSession, FailedLogin, LoginFailure, Logins, LunStats, SessionFailure, Stats, TargetStats,
};
use felio_control::view::{ConnectionView, PortView, RegistrationView, ReservationView, SessionView};
use felio_control::{StorageKey, TargetKey};

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

/// The initiator of the ACL, logged in.
fn session() -> SessionView {
    let parameters = [("MaxBurstLength", "65536"), ("InitialR2T", "Yes"), ("ErrorRecoveryLevel", "0")];
    SessionView {
        id: 4,
        initiator: "iqn.1994-05.com.redhat:b".to_owned(),
        initiator_port: "iqn.1994-05.com.redhat:b,i,0x00023d000001".to_owned(),
        tpg: Some(TargetKey::iscsi("iqn.2003-01.org.x:a").tpg(1)),
        authenticated: true,
        state: "LOGGED_IN".to_owned(),
        parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        connections: vec![ConnectionView {
            cid: 0,
            peer: "10.0.0.9".to_owned(),
            local: None,
            transport: "TCP".to_owned(),
            state: "LOGGED_IN".to_owned(),
        }],
        ..SessionView::default()
    }
}

#[track_caller]
fn says(world: &World, path: &str, wanted: &str) {
    assert_eq!(world.read(path).as_deref(), Ok(wanted), "{path}");
}

#[test]
fn an_initiator_that_is_logged_in_is_told_of() {
    let mut world = everything();
    says(&world, &format!("{ACL}/param/InitialR2T"), "No Active iSCSI Session\n");
    world.sessions.push(session());
    let info = world.read(&format!("{ACL}/info")).expect("a file");
    assert!(info.contains("LIO Session ID: 4   ISID: 0x00 02 3d 00 00 01  TSIH: 4 "), "{info}");
    assert!(info.contains("TARG_CONN_STATE_LOGGED_IN\n   Address 10.0.0.9 TCP"), "{info}");
    says(&world, &format!("{ACL}/param/MaxBurstLength"), "65536\n");
    says(&world, &format!("{ACL}/param/InitialR2T"), "1\n");
}

#[test]
fn tables_of_numbers_have_what_was_counted() {
    let mut world = everything();
    let tpg = TargetKey::iscsi("iqn.2003-01.org.x:a").tpg(1);
    let disk: StorageKey = "/backstores/fileio/disk".parse().expect("a key");
    let lun = |initiator: Option<&str>, mapped_lun, commands| LunStats {
        tpg: tpg.clone(),
        lun: 0,
        initiator: initiator.map(ToOwned::to_owned),
        mapped_lun,
        storage: disk.clone(),
        commands,
        errors: 0,
        bytes_in: 3 << 20,
        bytes_out: 5 << 20,
        nanos: 0,
    };
    let failed = FailedLogin {
        at_nanos: 1_500_000_000,
        kind: LoginFailure::NotAuthenticated,
        initiator: "iqn.x:evil".to_owned(),
        address: "fd00::1".parse().expect("an address"),
    };
    let mut logins = Logins { accepted: 2, logouts: 1, ..Logins::default() };
    logins.note_failed(failed);
    logins.note_broken(BrokenSession { initiator: "iqn.x:b".to_owned(), kind: SessionFailure::Timeout });
    world.stats = Some(Stats {
        luns: vec![lun(Some("iqn.1994-05.com.redhat:b"), 3, 7), lun(None, 0, 4)],
        targets: vec![TargetStats { target: tpg.target.clone(), logins }],
        ..Stats::default()
    });
    for (file, wanted) in [
        ("lun/lun_0/statistics/scsi_tgt_port/in_cmds", "11\n"),
        ("lun/lun_0/statistics/scsi_tgt_port/write_mbytes", "10\n"),
        ("acls/iqn.1994-05.com.redhat:b/lun_3/statistics/scsi_auth_intr/num_cmds", "7\n"),
        ("../fabric_statistics/iscsi_login_stats/accepts", "2\n"),
        ("../fabric_statistics/iscsi_login_stats/authenticate_fails", "1\n"),
        ("../fabric_statistics/iscsi_tgt_attr/last_fail_time", "150\n"),
        ("../fabric_statistics/iscsi_tgt_attr/last_fail_type", "5\n"),
        ("../fabric_statistics/iscsi_tgt_attr/fail_intr_addr", "[fd00::1]\n"),
        ("../fabric_statistics/iscsi_sess_err/cxn_errors", "1\n"),
        ("../fabric_statistics/iscsi_instance/fail_type", "2\n"),
        ("../fabric_statistics/iscsi_logout_stats/normal_logouts", "1\n"),
    ] {
        let path = match file.strip_prefix("../") {
            Some(file) => format!("{TARGET}/{file}"),
            None => format!("{TPG}/{file}"),
        };
        says(&world, &path, wanted);
    }
}

#[test]
fn what_leads_nowhere_and_who_is_not_there_have_no_numbers() {
    let mut world = everything();
    let port = format!("{ACL}/lun_3/statistics/scsi_att_intr_port/port_ident");
    assert_eq!(world.read(&format!("{TPG}/lun/lun_7/statistics/scsi_port/inst")), Err(Errno::NO_DEVICE));
    assert_eq!(world.read(&port), Err(Errno::NO_DEVICE));
    says(&world, &format!("{ACL}/fabric_statistics/iscsi_sess_stats/indx"), "");
    world.sessions.push(session());
    says(&world, &port, "iqn.1994-05.com.redhat:b+i+00023d000001\n");
    says(&world, &format!("{ACL}/fabric_statistics/iscsi_sess_stats/indx"), "4\n");
}

#[test]
fn reservations_are_told_in_lios_words() {
    let mut world = everything();
    std::sync::Arc::make_mut(&mut world.snapshot.config).number_ports();
    let port = |name: &str| PortView { initiator_port: format!("{name},i,0x00023d000001"), rtpi: 1 };
    let registered = |name: &str, key| RegistrationView { port: port(name), key };
    world.reservations = Some(ReservationView {
        generation: 3,
        aptpl: true,
        registrations: vec![registered("iqn.x:b", 0xabcd), registered("iqn.x:c", 2)],
        kind: Some(5),
        holder: Some(port("iqn.x:c")),
        ..ReservationView::default()
    });
    let registrations = "SPC-3 PR Registrations:\niSCSI Node: iqn.x:b,i,0x00023d000001 Key: 0x000000000000abcd PRgen: 0x00000003\niSCSI Node: iqn.x:c,i,0x00023d000001 Key: 0x0000000000000002 PRgen: 0x00000003\n";
    for (file, wanted) in [
        ("res_holder", "SPC-3 Reservation: iSCSI Initiator: iqn.x:c,i,0x00023d000001\n"),
        ("res_pr_type", "SPC-3 Reservation Type: Write Exclusive Access, Registrants Only\n"),
        ("res_pr_generation", "0x00000003\n"),
        ("res_pr_all_tgt_pts", "SPC-3 Reservation: Single Target Port registration\n"),
        ("res_pr_registered_i_pts", registrations),
        ("res_aptpl_active", "APTPL Bit Status: Activated\n"),
        ("res_type", "SPC3_PERSISTENT_RESERVATIONS\n"),
        (
            "res_pr_holder_tg_port",
            "SPC-3 Reservation: iSCSI Target Node Endpoint: iqn.2003-01.org.x:a\nSPC-3 Reservation: Relative Port Identifier Tag: 1 iSCSI Portal Group Tag: 1 iSCSI Logical Unit: 0\n",
        ),
    ] {
        says(&world, &format!("core/fileio_0/disk/pr/{file}"), wanted);
    }
    world.reservations =
        Some(ReservationView { reserved_by: Some("iqn.x:b".to_owned()), ..ReservationView::default() });
    says(&world, "core/fileio_0/disk/pr/res_holder", "SPC-2 Reservation: iSCSI Initiator: iqn.x:b\n");
    says(&world, "core/fileio_0/disk/pr/res_type", "SPC2_RESERVATIONS\n");
}

#[test]
fn a_file_says_what_it_needs_to_know() {
    let world = everything();
    let needs = |path: &str| world.tree.needs(world.view(), path);
    assert_eq!(needs(&format!("{TPG}/enable")), Needs::Nothing);
    assert_eq!(needs(&format!("{TPG}/dynamic_sessions")), Needs::Sessions);
    let disk: StorageKey = "/backstores/fileio/disk".parse().expect("a key");
    let counted = Needs::Stats((&disk).into());
    assert_eq!(needs("core/fileio_0/disk/statistics/scsi_lu/num_cmds"), counted);
    assert_eq!(needs("core/fileio_0/disk/pr/res_holder"), Needs::Reservations(disk));
}
