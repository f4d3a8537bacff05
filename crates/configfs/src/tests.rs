//! A daemon in memory, and what the tree makes of it.

mod chance;
mod text;

use crate::{Entry, Errno, Mode, Step, Tree, View};
use felio_control::stats::Stats;
use felio_control::view::{ReservationView, SessionView, Snapshot};
use felio_control::{Config, Facts};

/// A tree, and the configuration that it is of.
pub(crate) struct World {
    pub(crate) tree: Tree,
    pub(crate) snapshot: Snapshot,
    pub(crate) sessions: Vec<SessionView>,
    pub(crate) stats: Option<Stats>,
    pub(crate) reservations: Option<ReservationView>,
    /// How many transactions there were: each draws other names.
    count: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(Config::default())
    }

    pub(crate) fn of(config: Config) -> Self {
        let snapshot = Snapshot { config: config.into(), ..Snapshot::default() };
        Self {
            tree: Tree::new("felio"),
            snapshot,
            sessions: Vec::new(),
            stats: None,
            reservations: None,
            count: 0,
        }
    }

    pub(crate) fn view(&self) -> View<'_> {
        View {
            sessions: &self.sessions,
            stats: self.stats.as_ref(),
            reservations: self.reservations.as_ref(),
            ..View::of(&self.snapshot)
        }
    }

    /// What the daemon and the tree make of a step.
    pub(crate) fn carry_out(
        &mut self,
        step: Result<Step, Errno>,
        errno: fn(&felio_control::Refusal) -> Errno,
    ) -> Result<(), Errno> {
        let step = step?;
        self.count += 1;
        let seed = u128::from(self.count).to_le_bytes();
        let facts = Facts { host: "host".to_owned(), machine: "x86_64".to_owned(), seed };
        let (config, _) =
            self.snapshot.config.apply_piecemeal(&step.changes, &facts).map_err(|refusal| errno(&refusal))?;
        self.snapshot.config = config.into();
        self.tree.settle(step);
        self.tree.follow(View::of(&self.snapshot));
        Ok(())
    }

    pub(crate) fn mkdir(&mut self, path: &str) -> Result<(), Errno> {
        let step = self.tree.make_folder(self.view(), path);
        self.carry_out(step, Errno::of)
    }

    pub(crate) fn rmdir(&mut self, path: &str) -> Result<(), Errno> {
        let step = self.tree.remove_folder(self.view(), path);
        self.carry_out(step, Errno::of)
    }

    pub(crate) fn write(&mut self, path: &str, text: &str) -> Result<(), Errno> {
        let step = self.tree.write(self.view(), path, text.as_bytes());
        self.carry_out(step, Errno::of_write)
    }

    pub(crate) fn link(&mut self, path: &str, to: &str) -> Result<(), Errno> {
        let step = self.tree.make_link(self.view(), path, to);
        self.carry_out(step, Errno::of)
    }

    pub(crate) fn unlink(&mut self, path: &str) -> Result<(), Errno> {
        let step = self.tree.remove_link(self.view(), path);
        self.carry_out(step, Errno::of)
    }

    pub(crate) fn read(&self, path: &str) -> Result<String, Errno> {
        self.tree.read(self.view(), path)
    }

    /// Every path below, a line for each: links with where they lead, files with their modes and contents.
    pub(crate) fn dump(&self, below: &str) -> String {
        let mut lines = String::new();
        let mut names = self.tree.list(self.view(), below).expect("a folder");
        names.sort_by(|one, other| one.0.cmp(&other.0));
        for (name, entry) in names {
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            match entry {
                Entry::Folder => {
                    lines += &format!("{path}/\n");
                    lines += &self.dump(&path);
                }
                Entry::Link(to) => lines += &format!("{path} -> {to}\n"),
                Entry::File(Mode::Write) => lines += &format!("{path} 0200\n"),
                Entry::File(mode) => {
                    let content = match self.read(&path) {
                        Ok(content) => format!("{content:?}"),
                        // Of something that leads nowhere.
                        Err(errno) => {
                            assert_eq!(errno, Errno::NO_DEVICE, "{path}");
                            "ENODEV".to_owned()
                        }
                    };
                    lines += &format!("{path} {:04o} {content}\n", mode.bits());
                }
            }
        }
        lines
    }
}

pub(crate) const TARGET: &str = "iscsi/iqn.2003-01.org.x:a";
pub(crate) const TPG: &str = "iscsi/iqn.2003-01.org.x:a/tpgt_1";
pub(crate) const ACL: &str = "iscsi/iqn.2003-01.org.x:a/tpgt_1/acls/iqn.1994-05.com.redhat:b";

/// One object of every kind, made as LIO's tools make them.
pub(crate) fn everything() -> World {
    let mut world = World::new();
    let good: &[(&str, &str, &str)] = &[
        ("mkdir", "core/fileio_0", ""),
        ("mkdir", "core/fileio_0/disk", ""),
        ("write", "core/fileio_0/disk/control", "fd_dev_name=/srv/disk.img,fd_dev_size=16777216"),
        ("write", "core/fileio_0/disk/attrib/emulate_write_cache", "1"),
        ("write", "core/fileio_0/disk/control", "fd_buffered_io=1,unheard_of=3"),
        ("write", "core/fileio_0/disk/udev_path", "/srv/disk.img"),
        ("write", "core/fileio_0/disk/enable", "1\n"),
        ("write", "core/fileio_0/disk/wwn/vpd_unit_serial", "11111111-2222-3333-4444-555555555555\n"),
        ("mkdir", "core/rd_mcp_1", ""),
        ("mkdir", "core/rd_mcp_1/ram", ""),
        ("write", "core/rd_mcp_1/ram/control", "rd_pages=1024"),
        ("write", "core/rd_mcp_1/ram/enable", "1"),
        ("mkdir", "core/iblock_2", ""),
        ("mkdir", "core/iblock_2/block", ""),
        ("write", "core/iblock_2/block/udev_path", "/dev/sdb"),
        ("write", "core/iblock_2/block/control", "udev_path=/dev/sdb"),
        ("write", "core/iblock_2/block/control", "readonly=1"),
        ("write", "core/iblock_2/block/enable", "1"),
        ("mkdir", "core/pscsi_3", ""),
        ("mkdir", "core/pscsi_3/tape", ""),
        (
            "write",
            "core/pscsi_3/tape/control",
            "scsi_host_id=1,scsi_channel_id=0,scsi_target_id=2,scsi_lun_id=3",
        ),
        ("write", "core/pscsi_3/tape/enable", "1"),
        ("mkdir", "core/fileio_0/half", ""),
        ("mkdir", "core/alua/lu_gps/pair", ""),
        ("write", "core/alua/lu_gps/pair/lu_gp_id", "5"),
        ("write", "core/rd_mcp_1/ram/alua_lu_gp", "pair"),
        ("mkdir", "core/fileio_0/disk/alua/standby", ""),
        ("write", "core/fileio_0/disk/alua/standby/tg_pt_gp_id", "10"),
        ("write", "core/fileio_0/disk/alua/standby/alua_access_state", "2"),
        ("mkdir", "iscsi", ""),
        ("mkdir", TARGET, ""),
        ("mkdir", TPG, ""),
        ("mkdir", "iscsi/iqn.2003-01.org.x:a/tpgt_1/np/10.0.0.1:3260", ""),
        ("mkdir", "iscsi/iqn.2003-01.org.x:a/tpgt_1/np/[::]:3260", ""),
        ("mkdir", "iscsi/iqn.2003-01.org.x:a/tpgt_1/lun/lun_0", ""),
        (
            "link",
            "iscsi/iqn.2003-01.org.x:a/tpgt_1/lun/lun_0/9a7b",
            "/sys/kernel/config/target/core/fileio_0/disk",
        ),
        ("write", "iscsi/iqn.2003-01.org.x:a/tpgt_1/lun/lun_0/alua_tg_pt_gp", "standby"),
        ("mkdir", "iscsi/iqn.2003-01.org.x:a/tpgt_1/lun/lun_7", ""),
        ("mkdir", ACL, ""),
        ("mkdir", "iscsi/iqn.2003-01.org.x:a/tpgt_1/acls/iqn.1994-05.com.redhat:b/lun_3", ""),
        (
            "link",
            "iscsi/iqn.2003-01.org.x:a/tpgt_1/acls/iqn.1994-05.com.redhat:b/lun_3/5c",
            "/sys/kernel/config/target/iscsi/iqn.2003-01.org.x:a/tpgt_1/lun/lun_0",
        ),
        ("write", "iscsi/iqn.2003-01.org.x:a/tpgt_1/acls/iqn.1994-05.com.redhat:b/lun_3/write_protect", "1"),
        ("write", "iscsi/iqn.2003-01.org.x:a/tpgt_1/acls/iqn.1994-05.com.redhat:b/auth/userid", "me"),
        (
            "write",
            "iscsi/iqn.2003-01.org.x:a/tpgt_1/acls/iqn.1994-05.com.redhat:b/auth/password",
            "secret123456",
        ),
        ("write", "iscsi/iqn.2003-01.org.x:a/tpgt_1/acls/iqn.1994-05.com.redhat:b/tag", "group"),
        ("write", "iscsi/iqn.2003-01.org.x:a/tpgt_1/attrib/authentication", "0"),
        ("write", "iscsi/iqn.2003-01.org.x:a/tpgt_1/param/MaxBurstLength", "131072\n"),
        ("write", "iscsi/iqn.2003-01.org.x:a/tpgt_1/enable", "1"),
        ("write", "iscsi/discovery_auth/enforce_discovery_auth", "1"),
    ];
    for (verb, path, with) in good {
        let done = match *verb {
            "mkdir" => world.mkdir(path),
            "write" => world.write(path, with),
            _ => world.link(path, with),
        };
        assert_eq!(done, Ok(()), "{verb} {path} {with}");
    }
    world
}

#[track_caller]
fn refused(done: Result<(), Errno>, errno: Errno) {
    assert_eq!(done, Err(errno));
}

#[test]
fn a_device_is_there_before_it_is_enabled_and_nowhere_else() {
    let mut world = World::new();
    world.mkdir("core/fileio_0").expect("new");
    world.mkdir("core/fileio_0/disk").expect("new");
    assert_eq!(world.read("core/fileio_0/disk/enable").as_deref(), Ok("0\n"));
    assert!(world.snapshot.config.storage.is_empty());
    refused(world.write("core/fileio_0/disk/enable", "1"), Errno::INVALID);
    refused(world.rmdir("core/fileio_0"), Errno::NOT_EMPTY);
    world.rmdir("core/fileio_0/disk").expect("it is there");
    world.rmdir("core/fileio_0").expect("it is empty");
}

#[test]
fn a_device_is_enabled_once() {
    refused(everything().write("core/fileio_0/disk/enable", "1"), Errno::EXISTS);
    refused(everything().write("core/fileio_0/disk/enable", "0"), Errno::INVALID);
    refused(everything().write("core/fileio_0/disk/control", "fd_buffered_io=0"), Errno::EXISTS);
}

#[test]
fn what_others_lead_to_stays() {
    let mut world = everything();
    refused(world.rmdir("core/fileio_0/disk"), Errno::BUSY);
    refused(world.rmdir(TPG), Errno::NOT_EMPTY);
    refused(world.rmdir(TARGET), Errno::NOT_EMPTY);
    refused(world.rmdir(ACL), Errno::NOT_EMPTY);
    refused(world.rmdir(&format!("{TPG}/lun/lun_0")), Errno::NOT_EMPTY);
    refused(world.rmdir("core/fileio_0/disk/alua/default_tg_pt_gp"), Errno::PERMISSION);
    refused(world.rmdir(&format!("{TPG}/param")), Errno::PERMISSION);
}

#[test]
fn an_attribute_of_an_exported_device_is_refused_as_lio_does() {
    let mut world = everything();
    refused(world.write("core/fileio_0/disk/attrib/block_size", "4096"), Errno::INVALID);
    world.write("core/rd_mcp_1/ram/attrib/block_size", "4096").expect("nobody uses it");
    refused(world.write("core/rd_mcp_1/ram/attrib/hw_block_size", "4096"), Errno(13));
    refused(world.write("core/rd_mcp_1/ram/wwn/vendor_id", "123456789"), Errno::OVERFLOW);
}

#[test]
fn a_portal_group_is_enabled_once() {
    let mut world = everything();
    refused(world.write(&format!("{TPG}/enable"), "1"), Errno::INVALID);
    world.write(&format!("{TPG}/enable"), "0").expect("it is enabled");
    refused(world.write(&format!("{TPG}/enable"), "0"), Errno::INVALID);
}

#[test]
fn a_lun_without_its_link_leads_nowhere() {
    let mut world = everything();
    let (lun, mapped) = (format!("{TPG}/lun/lun_0"), format!("{ACL}/lun_3"));
    world.unlink(&format!("{mapped}/5c")).expect("a link");
    assert_eq!(world.read(&format!("{mapped}/write_protect")).as_deref(), Ok("1\n"));
    world.rmdir(&mapped).expect("it leads nowhere");
    world.unlink(&format!("{lun}/9a7b")).expect("a link");
    refused(world.link(&format!("{lun}/x"), "core/fileio_0/half"), Errno::NO_DEVICE);
    refused(world.link(&format!("{lun}/x"), "core/fileio_0/none"), Errno::NOT_FOUND);
    refused(world.link(&format!("{lun}/x"), TPG), Errno::INVALID);
    world.link(&format!("{lun}/x"), "../../../../../core/rd_mcp_1/ram").expect("it leads nowhere");
    refused(world.link(&format!("{lun}/y"), "core/rd_mcp_1/ram"), Errno::EXISTS);
    refused(world.write(&format!("{TPG}/lun/lun_7/alua_tg_pt_gp"), "standby"), Errno::NO_DEVICE);
}

#[test]
fn a_mapped_lun_leads_to_its_own_portal_group() {
    let mut world = everything();
    world.mkdir(&format!("{TARGET}/tpgt_2")).expect("new");
    world.mkdir(&format!("{ACL}/lun_4")).expect("new");
    refused(world.link(&format!("{ACL}/lun_4/x"), &format!("{TARGET}/tpgt_2/lun/lun_0")), Errno::INVALID);
    refused(world.link(&format!("{ACL}/lun_4/x"), "core/fileio_0/disk"), Errno::INVALID);
    world.link(&format!("{ACL}/lun_4/x"), "../../../lun/lun_0").expect("the same portal group");
}

#[test]
fn folders_have_the_names_that_they_can_have() {
    let mut world = World::new();
    refused(world.mkdir("core/fileio"), Errno::INVALID);
    refused(world.mkdir("core/fileio_x"), Errno::INVALID);
    refused(world.mkdir("core/user_0"), Errno::NOT_FOUND);
    refused(world.mkdir("loopback"), Errno::INVALID);
    refused(world.mkdir("core/alua/x"), Errno::PERMISSION);
    refused(world.mkdir(&format!("core/{}_0", "x".repeat(300))), Errno::NAME_TOO_LONG);
    world.mkdir("iscsi").expect("new");
    refused(world.mkdir("iscsi"), Errno::EXISTS);
    refused(world.mkdir("iscsi/no name"), Errno::INVALID);
    world.mkdir(TARGET).expect("new");
    refused(world.mkdir(&format!("{TARGET}/tpgt_65536")), Errno::INVALID);
    refused(world.mkdir(&format!("{TARGET}/1")), Errno::INVALID);
    world.mkdir(TPG).expect("new");
    refused(world.mkdir(&format!("{TPG}/np/10.0.0.1")), Errno::INVALID);
    refused(world.mkdir(&format!("{TPG}/np/10.0.0.1:0")), Errno::INVALID);
    refused(world.mkdir(&format!("{TPG}/lun/lun_07")), Errno::INVALID);
}

#[test]
fn what_others_made_stands_in_a_folder_of_its_own() {
    let world = everything();
    let mut fresh = World::of(Config::clone(&world.snapshot.config));
    fresh.tree.follow(View::of(&fresh.snapshot));
    assert_eq!(fresh.read("core/iblock_0/block/enable").as_deref(), Ok("1\n"));
    assert_eq!(fresh.read("core/fileio_1/disk/enable").as_deref(), Ok("1\n"));
    fresh.rmdir("core/iblock_0/block").expect("nobody uses it");
    assert_eq!(fresh.tree.entry(fresh.view(), "core/iblock_0"), Ok(Entry::Folder));
    fresh.rmdir("core/iblock_0").expect("it is empty");
}
