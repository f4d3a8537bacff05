//! What is done to LIO's tree of files, line by line: `mkdir PATH`, `rmdir PATH`, `write PATH TEXT`, `ln PATH TO`, `rm PATH`. The daemon behind it
//! keeps everything in memory.
//!
//! What must hold: what is refused has changed nothing; what was made is there; the configuration holds by the rules; all that is listed is
//! found and can be read; the tree remembers no more than it was told.

use crate::saveconfig::{lio, words as names};
use felio_configfs::{Entry, Errno, Mode, Step, Tree, View};
use felio_control::view::Snapshot;
use felio_control::{Config, Facts, Refusal};

/// Lines of one input.
const LINES_MAX: usize = 48;

/// What the tree may remember of a line beside its words, as text.
const LINE_COST_MAX: usize = 1024;

/// No character of a line takes more when it is shown.
const SHOWN_MAX: usize = 8;

/// What a file of something that leads nowhere says.
const NO_DEVICE: Errno = Errno(19);

/// Does what an input says; its first byte says whether there is something already.
pub fn run(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let mut world = World::of(if first.is_ascii_uppercase() { lio() } else { Config::default() });
    let mut room = world.remembered().len();
    for line in String::from_utf8_lossy(rest).lines().take(LINES_MAX) {
        let (config, tree) = (world.snapshot.config.clone(), world.remembered());
        match world.carry_out(line) {
            Ok(()) => assert!(world.snapshot.config.check() == Ok(()), "what comes out holds by the rules"),
            Err(Errno(errno)) => {
                assert!(errno > 0, "a refusal has a reason");
                assert!(world.snapshot.config == config, "what is refused changes no configuration");
                assert!(world.remembered() == tree, "what is refused is not remembered");
            }
        }
        room += line.len() * SHOWN_MAX + LINE_COST_MAX;
        // What the configuration has is numbered beside.
        let numbered = world.snapshot.config.storage.len() * LINE_COST_MAX;
        assert!(world.remembered().len() <= room + numbered, "the tree grows by what it is told");
    }
    world.walk("");
}

/// A tree, and the configuration that it is of.
struct World {
    tree: Tree,
    snapshot: Snapshot,
    /// How many steps there were: each draws other names.
    steps: u128,
}

impl World {
    fn of(config: Config) -> Self {
        let mut world = Self {
            tree: Tree::new("felio"),
            snapshot: Snapshot { config: config.into(), ..Snapshot::default() },
            steps: 0,
        };
        world.follow();
        world
    }

    fn view(&self) -> View<'_> {
        View::of(&self.snapshot)
    }

    fn follow(&mut self) {
        self.tree.follow(View::of(&self.snapshot));
    }

    fn remembered(&self) -> String {
        format!("{:?}", self.tree)
    }

    /// One line; what is no line is done by nobody.
    fn carry_out(&mut self, line: &str) -> Result<(), Errno> {
        let mut parts = line.splitn(3, ' ');
        let (verb, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let with = parts.next().unwrap_or_default();
        let (tree, view) = (&self.tree, self.view());
        match verb {
            "mkdir" => {
                self.settle(tree.make_folder(view, path), Errno::of)?;
                assert!(self.tree.entry(self.view(), path) == Ok(Entry::Folder), "what was made is there");
                Ok(())
            }
            "rmdir" => {
                self.settle(tree.remove_folder(view, path), Errno::of)?;
                // The fabric's folder and those of plugins stand for what is in them.
                assert!(path.matches('/').count() < 2 || !self.has(path), "what was removed is gone");
                Ok(())
            }
            "write" => {
                self.settle(tree.write(view, path, with.replace("\\n", "\n").as_bytes()), Errno::of_write)
            }
            "ln" => {
                self.settle(tree.make_link(view, path, with), Errno::of)?;
                assert!(self.has(path), "what was made is there");
                Ok(())
            }
            "rm" => {
                self.settle(tree.remove_link(view, path), Errno::of)?;
                assert!(!self.has(path), "what was removed is gone");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn has(&self, path: &str) -> bool {
        self.tree.entry(self.view(), path).is_ok()
    }

    /// What the daemon and the tree make of a step.
    fn settle(&mut self, step: Result<Step, Errno>, errno: fn(&Refusal) -> Errno) -> Result<(), Errno> {
        let step = step?;
        self.steps += 1;
        let seed = self.steps.to_le_bytes();
        let facts = Facts { host: "host".to_owned(), machine: "x86_64".to_owned(), seed };
        let applied = self.snapshot.config.apply_piecemeal(&step.changes, &facts);
        let (config, _) = applied.map_err(|refusal| errno(&refusal))?;
        self.snapshot.config = config.into();
        self.tree.settle(step);
        self.follow();
        Ok(())
    }

    /// All below a folder is found as what it is listed as, and can be read.
    fn walk(&self, folder: &str) {
        for (name, entry) in self.tree.list(self.view(), folder).expect("a folder") {
            let path = format!("{folder}/{name}");
            assert!(
                self.tree.entry(self.view(), &path).as_ref() == Ok(&entry),
                "{path} is what it is listed as"
            );
            match entry {
                Entry::Folder => self.walk(&path),
                Entry::File(Mode::Read | Mode::Both) => {
                    let content = self.tree.read(self.view(), &path);
                    assert!(content.is_ok() || content == Err(NO_DEVICE), "{path} can be read");
                }
                Entry::File(Mode::Write) | Entry::Link(_) => {}
            }
        }
    }
}

/// Inputs to begin with: one that makes an object of every kind, in pieces and undone, and each piece on what is there already.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let whole = EVERYTHING.join("\n");
    let upto = (4..EVERYTHING.len()).step_by(8).map(|count| EVERYTHING[..count].join("\n"));
    let fresh = upto.chain([whole]).map(|lines| format!("e{lines}").into_bytes());
    let there = EXISTING.iter().map(|line| format!("E{line}").into_bytes());
    fresh.chain(there).collect()
}

/// Words of the tree.
#[must_use]
pub fn words() -> Vec<String> {
    let typed = EVERYTHING.iter().chain(EXISTING).flat_map(|line| line.split([' ', '/', ',']));
    let mut words: Vec<String> = typed.map(ToOwned::to_owned).chain(names()).collect();
    words.sort_unstable();
    words.dedup();
    words.retain(|word| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
    });
    words
}

/// As LIO's tools do it.
const EVERYTHING: &[&str] = &[
    "mkdir core/fileio_0",
    "mkdir core/fileio_0/disk",
    "write core/fileio_0/disk/control fd_dev_name=/srv/disk.img,fd_dev_size=16777216,fd_buffered_io=1",
    "write core/fileio_0/disk/udev_path /srv/disk.img",
    "write core/fileio_0/disk/attrib/emulate_write_cache 1",
    "write core/fileio_0/disk/enable 1\\n",
    "write core/fileio_0/disk/wwn/vpd_unit_serial 11111111-2222-3333-4444-555555555555\\n",
    "mkdir core/rd_mcp_1",
    "mkdir core/rd_mcp_1/ram",
    "write core/rd_mcp_1/ram/control rd_pages=1024,rd_nullio=1",
    "write core/rd_mcp_1/ram/enable 1",
    "mkdir core/alua/lu_gps/pair",
    "write core/alua/lu_gps/pair/lu_gp_id 5",
    "write core/rd_mcp_1/ram/alua_lu_gp pair",
    "mkdir core/fileio_0/disk/alua/standby",
    "write core/fileio_0/disk/alua/standby/tg_pt_gp_id 10",
    "write core/fileio_0/disk/alua/standby/alua_access_state 2",
    "mkdir iscsi",
    "mkdir iscsi/iqn.2003-01.org.x:a",
    "mkdir iscsi/iqn.2003-01.org.x:a/tpgt_1",
    "mkdir iscsi/iqn.2003-01.org.x:a/tpgt_1/np/[::]:3260",
    "mkdir iscsi/iqn.2003-01.org.x:a/tpgt_1/lun/lun_0",
    "ln iscsi/iqn.2003-01.org.x:a/tpgt_1/lun/lun_0/9a7b /sys/kernel/config/target/core/fileio_0/disk",
    "write iscsi/iqn.2003-01.org.x:a/tpgt_1/lun/lun_0/alua_tg_pt_gp standby",
    "mkdir iscsi/iqn.2003-01.org.x:a/tpgt_1/acls/iqn.1994-05.com.redhat:b",
    "mkdir iscsi/iqn.2003-01.org.x:a/tpgt_1/acls/iqn.1994-05.com.redhat:b/lun_3",
    "write iscsi/iqn.2003-01.org.x:a/tpgt_1/acls/iqn.1994-05.com.redhat:b/lun_3/write_protect 1",
    "ln iscsi/iqn.2003-01.org.x:a/tpgt_1/acls/iqn.1994-05.com.redhat:b/lun_3/5c ../../../lun/lun_0",
    "write iscsi/iqn.2003-01.org.x:a/tpgt_1/acls/iqn.1994-05.com.redhat:b/auth/userid me",
    "write iscsi/iqn.2003-01.org.x:a/tpgt_1/acls/iqn.1994-05.com.redhat:b/tag NULL",
    "write iscsi/iqn.2003-01.org.x:a/tpgt_1/attrib/authentication 0",
    "write iscsi/iqn.2003-01.org.x:a/tpgt_1/param/MaxBurstLength 131072",
    "write iscsi/iqn.2003-01.org.x:a/tpgt_1/enable 1",
    "write iscsi/discovery_auth/enforce_discovery_auth 1",
    "rm iscsi/iqn.2003-01.org.x:a/tpgt_1/acls/iqn.1994-05.com.redhat:b/lun_3/5c",
    "rmdir iscsi/iqn.2003-01.org.x:a/tpgt_1/acls/iqn.1994-05.com.redhat:b/lun_3",
    "rm iscsi/iqn.2003-01.org.x:a/tpgt_1/lun/lun_0/9a7b",
    "rmdir iscsi/iqn.2003-01.org.x:a/tpgt_1/lun/lun_0",
    "rmdir core/fileio_0/disk/alua/standby",
    "rmdir core/fileio_0/disk",
    "rmdir core/fileio_0",
];

/// On a configuration of LIO's.
const EXISTING: &[&str] = &[
    "rmdir core/fileio_0/disk1",
    "mkdir core/fileio_0/disk1/alua/x\nwrite core/fileio_0/disk1/alua/x/tg_pt_gp_id 7",
    "write core/fileio_0/disk1/attrib/block_size 4096",
    "mkdir core/iblock_0\nmkdir core/iblock_0/b\nwrite core/iblock_0/b/udev_path /dev/sdb\nwrite core/iblock_0/b/enable 1",
];
