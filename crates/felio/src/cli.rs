//! What can be typed. Every option is documented here and nowhere else.

pub(crate) mod access;
pub(crate) mod config;

use crate::paths::GroupAccess;
use crate::size;
pub(crate) use access::DaemonSocket;
use clap::{Args, Parser, Subcommand, ValueEnum};
use core::time::Duration;
use felio_backstore::CacheMode;
use felio_control::Path;
use felio_iscsi::config::{Allowed, Portal};
use felio_iscsi::name::IscsiName;
use felio_spec::protection::Kind;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// A SCSI target in user space: disks for any iSCSI initiator, from files, devices and memory.
#[derive(Debug, Parser)]
#[command(name = "felio", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve disks over iSCSI until Ctrl-C.
    Export(ExportArgs),
    /// Keep a configuration, serve what it says, and take changes while initiators work.
    Daemon(DaemonArgs),
    /// Manage the daemon in the way of targetcli.
    #[command(version)]
    Shell(ShellArgs),
    /// Watch what the daemon's disks and sessions are doing.
    Top(TopArgs),
    /// Plan, apply, compare, take back and take over whole configurations.
    Config(config::ConfigArgs),
    /// Mount the tree of files that LIO has in configfs.
    Configfs(ConfigfsArgs),
    /// Run a program that was written for LIO: targetcli, targetctl, cinder-rtstool …
    Compat(CompatArgs),
    /// Tell what happens at the daemon, as it happens: changes, logins, what is not up any more or again.
    Watch(WatchArgs),
    /// Let nobody new get to something, and wait until who is there has left.
    Drain(DrainArgs),
    /// Make, list and revoke tokens, with which the daemon may be asked from afar.
    Token(access::TokenArgs),
    /// Print the document of the daemon's HTTP interface (OpenAPI 3.1).
    Openapi,
    /// Print what completes felio's words in a shell.
    #[command(hide = true)]
    Completions {
        /// Of this shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages.
    #[command(hide = true)]
    Man {
        /// Into this folder.
        folder: PathBuf,
    },
}

/// Tell what happens at the daemon, as it happens: changes, logins, what is not up any more or again.
///
/// Ends with Ctrl-C, or with 1 when the daemon ends.
#[derive(Args, Clone, Debug)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) daemon: DaemonSocket,

    /// Only of this object and what is below it, such as /backstores/fileio/disk1.
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<Path>,

    /// Print one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Let nobody new get to something, and wait until who is there has left.
///
/// Initiators are asked to log out. It is not saved: a daemon that starts anew lets all in. Exit code 1 says that not all has ended in time.
#[derive(Args, Clone, Debug)]
pub(crate) struct DrainArgs {
    #[command(flatten)]
    pub(crate) daemon: DaemonSocket,

    /// A target, a portal group, a LUN of one, or / for all.
    #[arg(value_name = "PATH")]
    pub(crate) path: Path,

    /// Let initiators in again.
    #[arg(long)]
    pub(crate) off: bool,

    /// How long to wait.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) timeout: u32,

    /// Print what has not ended as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Mount the tree of files that LIO has in configfs.
///
/// What is made, linked and written there changes the daemon's configuration, each step by itself and at once. Ctrl-C unmounts it.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConfigfsArgs {
    #[command(flatten)]
    pub(crate) daemon: DaemonSocket,

    /// An empty folder.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// Run a program that was written for LIO: targetcli, targetctl, cinder-rtstool …
///
/// The program finds the daemon's configuration in /sys/kernel/config/target, in a mount namespace of its own: nothing of the host changes, and no kernel
/// module is loaded. Needs root and /dev/fuse. The exit code is the program's.
#[derive(Args, Clone, Debug)]
pub(crate) struct CompatArgs {
    #[command(flatten)]
    pub(crate) daemon: DaemonSocket,

    /// The program and its arguments, such as: targetcli ls
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Manage the daemon in the way of targetcli.
///
/// With LINE, carries that out and ends, with 1 if it failed. Otherwise reads lines from the terminal or from standard input; `help` tells what can be typed,
/// Tab completes. Under the name targetcli (a symbolic link) felio is this command.
#[derive(Args, Clone, Debug)]
pub(crate) struct ShellArgs {
    #[command(flatten)]
    pub(crate) daemon: DaemonSocket,

    /// As with targetcli; without effect.
    #[arg(long, hide = true)]
    pub(crate) disable_daemon: bool,

    /// A path and a command, such as: /iscsi create iqn.2024-01.org.example:disk1
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "LINE")]
    pub(crate) line: Vec<String>,
}

/// Watch what the daemon's disks and sessions are doing.
///
/// Keys: Tab goes from storage objects to sessions and back, s sorts by something else, q ends it.
#[derive(Args, Clone, Debug)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) daemon: DaemonSocket,

    /// How often to look.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub(crate) every: u64,

    /// Look for one interval, print what happened in it and end.
    #[arg(long)]
    pub(crate) once: bool,

    /// The same, as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl TopArgs {
    pub(crate) const fn interval(&self) -> Duration {
        Duration::from_millis(self.every)
    }
}

/// The words of the command line; under the name targetcli, those of the shell.
pub(crate) fn words(typed: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut typed = typed.peekable();
    let is_targetcli =
        |name: &OsString| std::path::Path::new(name).file_name().is_some_and(|name| name == "targetcli");
    let shell = typed.next_if(is_targetcli).map(|_| ["felio", "shell"].map(OsString::from));
    shell.into_iter().flatten().chain(typed)
}

/// Keep a configuration, serve what it says, and take changes while initiators work.
///
/// The configuration is LIO's saveconfig.json. Each change is checked as a whole, saved and then carried out, or nothing of it is. What cannot be opened
/// at the start keeps its place and comes up when it can. SIGHUP reads all files again, SIGTERM ends in order.
#[derive(Args, Clone, Debug)]
pub(crate) struct DaemonArgs {
    /// The configuration; made when something is first changed.
    #[arg(long, value_name = "FILE", default_value = "/etc/felio/saveconfig.json")]
    pub(crate) config: PathBuf,

    /// Where it is asked for changes: a Unix socket that only its owner can use.
    #[arg(long, value_name = "PATH", default_value = "/run/felio/felio.sock")]
    pub(crate) socket: PathBuf,

    /// Let the members of this group use the socket, too.
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,

    /// Where Prometheus finds the metrics (GET /metrics), and nothing else: ADDR:PORT, or a mere PORT of 127.0.0.1. Without this only the socket has them.
    #[arg(long, value_name = "[ADDR:]PORT", value_parser = parse_loopback)]
    pub(crate) metrics_listen: Option<SocketAddr>,

    /// Where browsers find the web page: a loopback address, or a mere PORT of 127.0.0.1. What is to be opened, with the token that lets in, is printed at the start.
    #[arg(long, value_name = "[ADDR:]PORT", value_parser = parse_loopback)]
    pub(crate) web: Option<SocketAddr>,

    #[command(flatten)]
    pub(crate) listen: access::ListenArgs,

    /// Where reservations, saved mode parameters, access states and earlier configurations are kept.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/var/lib/felio",
        env = "FELIO_STATE_DIR",
        hide_env = true
    )]
    pub(crate) state_dir: PathBuf,

    /// Who has changed what, and when: a line of JSON for each change that was made or refused, without secrets. A file of 8 MiB becomes FILE.1, and so on up to
    /// FILE.4 [default: audit.log in --state-dir]
    #[arg(long, value_name = "FILE")]
    pub(crate) audit_log: Option<PathBuf>,

    /// Reactors: threads that serve connections.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Performance")]
    pub(crate) cores: u16,

    /// Keep each reactor on one processor.
    #[arg(long, help_heading = "Performance")]
    pub(crate) pin: bool,

    /// Look again for so many microseconds before sleeping.
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0, help_heading = "Performance")]
    pub(crate) spin: u32,

    /// Data buffers, at the most.
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "256M", help_heading = "Performance")]
    pub(crate) memory: u64,

    /// Let disks be in this folder, too; repeat for several. Without this they may be anywhere but in the system's own folders: /dev, /var/lib, /var/tmp, /var/target
    /// and whatever is at the top beside /etc, /home, /root, /run, /usr and the like. What the configuration names at the start is always served.
    #[arg(long, value_name = "DIR", help_heading = "Sandbox")]
    pub(crate) allow_path: Vec<PathBuf>,

    /// Keep all rights. Without this the daemon gives up capabilities, system calls and files that it does not need before it serves anybody.
    #[arg(long, help_heading = "Sandbox", conflicts_with = "allow_path")]
    pub(crate) no_sandbox: bool,

    /// Say everything as one JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Serve disks over iSCSI until Ctrl-C.
///
/// Each PATH becomes a logical unit, the first LUN 0. On the first Ctrl-C (or SIGTERM, or SIGHUP unless started with nohup)
/// felio stops accepting connections, asks the initiators to log out, finishes what runs, makes everything durable and ends; on the second it ends at once.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{FOR_PROGRAMS}"))]
pub(crate) struct ExportArgs {
    /// A file, a block device, ram:SIZE (memory, empty at each start), null:SIZE (reads zeros, forgets writes) or scsi:DEVICE (a SCSI device
    /// of this machine by its sg, st, sr or sd node: a disk, tape, CD or changer that answers for itself). A file is the same disk to initiators
    /// wherever it is on its filesystem; a copy of it is another disk, and so is what `mv` makes of it on another filesystem.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<String>,

    /// Create a file that does not exist, sparse, of this size (1G, 512M, 1.5T …).
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) size: Option<u64>,

    /// Target name [default: one made from the first disk's identity, the same at every start]
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(crate) iqn: Option<IscsiName>,

    /// Where to listen; repeat for several, IPv4 or IPv6 (in brackets). `0.0.0.0:3260` is every address of IPv4, `[::]:3260` every one of IPv6
    /// and none of IPv4; both may be given. Port 0 picks a free one. Portals with the same portal group tag TAG
    /// (1 to 65535, without one: 1) form a target port; several ports are several paths, see --alua.
    #[arg(long = "portal", value_name = "ADDR:PORT[,TAG]", value_parser = parse_portal, default_value = "127.0.0.1:3260")]
    pub(crate) portals: Vec<Portal>,

    /// Refuse writes.
    #[arg(long)]
    pub(crate) read_only: bool,

    /// Offer media that initiators can eject and load again, and keep in while they use them.
    #[arg(long)]
    pub(crate) removable: bool,

    /// Keep protection information (T10 PI, DIF) for every block, of type 1, 2 or 3, or 0 to let initiators choose by FORMAT UNIT.
    ///
    /// It is kept in a file beside the disk (disk.img.protection), and used from then on whether or not this is given again. Blocks that initiators
    /// write without it get some, and what no longer belongs together is refused to readers. Every write is durable before it is acknowledged.
    #[arg(long, value_name = "TYPE", value_parser = parse_protection)]
    pub(crate) protection: Option<Protection>,

    /// Logical block, bytes [default: 512, or the device's own]
    #[arg(long, value_name = "BYTES", value_parser = parse_block)]
    pub(crate) block_size: Option<u32>,

    /// Physical block that the initiator is told, bytes: 4096 with 512-byte logical blocks is "512e" [default: the store's own]
    #[arg(long, value_name = "BYTES", value_parser = parse_physical_block)]
    pub(crate) physical_block_size: Option<u32>,

    /// How files and devices are cached, and so when a write survives a power cut. write-back: in the page cache until the initiator flushes;
    /// write-through: every write is durable before it is acknowledged; direct: O_DIRECT, past the page cache, durable after a flush.
    #[arg(long, value_name = "MODE", value_parser = str::parse::<CacheMode>, default_value = "write-back")]
    pub(crate) cache: CacheMode,

    /// Where reservations, saved mode parameters and access states are kept when felio is not running [default: /var/lib/felio, or felio in the
    /// user's own state folder for others than root]
    #[arg(long, value_name = "DIR", env = "FELIO_STATE_DIR", hide_env = true)]
    pub(crate) state_dir: Option<PathBuf>,

    /// Demand CHAP from initiators: this user …
    #[arg(long, value_name = "NAME", requires = "chap_password_file", help_heading = "Who may connect")]
    pub(crate) chap_user: Option<String>,

    /// … with the secret in this file, one line of 12 to 255 bytes (Windows takes no more than 16).
    #[arg(long, value_name = "FILE", requires = "chap_user", help_heading = "Who may connect")]
    pub(crate) chap_password_file: Option<PathBuf>,

    /// Prove to initiators who we are (mutual CHAP): this user …
    #[arg(long, value_name = "NAME", requires_all = ["mutual_chap_password_file", "chap_user"], help_heading = "Who may connect")]
    pub(crate) mutual_chap_user: Option<String>,

    /// … with the secret in this file, another one.
    #[arg(long, value_name = "FILE", requires = "mutual_chap_user", help_heading = "Who may connect")]
    pub(crate) mutual_chap_password_file: Option<PathBuf>,

    /// Let in only initiators with this name (iqn.…) or address (10.0.0.7, 10.0.0.0/8, fd00::/8); repeat for several.
    #[arg(long, value_name = "IQN|CIDR", value_parser = str::parse::<Allowed>, help_heading = "Who may connect")]
    pub(crate) allow: Vec<Allowed>,

    /// Asymmetric access (ALUA): how well the disks are reached through the portals of a portal group; without this: active_optimized.
    /// STATE is active_optimized, active_nonoptimized, standby, unavailable, offline or lba_dependent (see --lba-map). After it may follow
    /// ",preferred" and ",transition=SECONDS" (how long a change takes, up to 30). Repeat for several groups. Initiators may change the states
    /// (SET TARGET PORT GROUPS); what they have set outlasts a restart, until another STATE is given here.
    #[arg(long, value_name = "TAG=STATE", value_parser = str::parse::<GroupAccess>, help_heading = "Paths")]
    pub(crate) alua: Vec<GroupAccess>,

    /// Which blocks each lba_dependent portal group reaches. The file's first line is "SEGMENT-BLOCKS MULTIPLIER" ("0 0": no segments), every
    /// other "FIRST-LBA LAST-LBA TAG:X …" where X is O (active_optimized), A (active_nonoptimized), S (standby) or U (unavailable).
    #[arg(long, value_name = "FILE", help_heading = "Paths")]
    pub(crate) lba_map: Option<PathBuf>,

    /// Reactors: threads that serve connections. A disk's commands run on one of them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Performance")]
    pub(crate) cores: u16,

    /// Keep each reactor on a processor of its own.
    #[arg(long, help_heading = "Performance")]
    pub(crate) pin: bool,

    /// Before sleeping, look for work for so long: lower latency for processor time, only while it pays.
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000), help_heading = "Performance")]
    pub(crate) spin: u32,

    /// How disks do what the page cache cannot: io_uring, helper threads, or whichever works.
    #[arg(long, value_enum, default_value_t = IoChoice::Auto, help_heading = "Performance")]
    pub(crate) io: IoChoice,

    /// Memory for data buffers, at the most.
    #[arg(long, value_name = "SIZE", value_parser = size::parse, default_value = "256M", help_heading = "Performance")]
    pub(crate) memory: u64,

    /// Print one JSON object a line instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `--protection`: a type, or 0 for none yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Protection(pub(crate) Option<Kind>);

/// `--io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IoChoice {
    /// io_uring, or helper threads where the kernel refuses it.
    Auto,
    /// io_uring.
    Ring,
    /// Helper threads.
    Helpers,
}

const EXAMPLES: &str = "\
Examples:
  felio export disk.img --size 1G                     a new 1 GiB disk for this machine
  felio export ram:4G                                 a disk in memory
  felio export disk.img --size 1G --protection 1      a checksum beside each block, checked when it is read
  felio export /dev/sdb --portal 0.0.0.0:3260 --allow 10.0.0.0/8
  felio export a.img b.img --portal [::]:3260 --chap-user alice --chap-password-file secret
  felio export a.img --portal 10.0.0.1:3260,1 --portal 10.0.1.1:3260,2 --alua 1=active_optimized,preferred --alua 2=standby
                                                      two paths, the second in reserve

felio prints the commands that attach the disk from Linux, QEMU and Windows.";

const FOR_PROGRAMS: &str = "\
JSON lines (--json), on standard output:
  {\"event\":\"ready\",\"portals\":[…],\"portal_groups\":[1,…],\"target\":\"iqn…\",\"luns\":[{\"lun\":0,\"path\":…,\"naa\":…,\"serial\":…,\"bytes\":…}]}
      always the first; then, as they happen:
  {\"event\":\"login\",…}  {\"event\":\"logout\",…}  {\"event\":\"refused\",…}  {\"event\":\"dropped\",…}  {\"event\":\"warning\",…}
  {\"event\":\"flush_failed\",\"lun\":…,\"message\":…}  what initiators wrote last to this disk may be lost
  {\"event\":\"stopping\"}  {\"event\":\"stopped\"}

Exit codes:
  0    stopped as asked, everything is durable
  1    something failed while serving or stopping
  2    the command line or a password file is wrong
  3    a disk could not be opened or created
  4    a portal could not be opened
  130  ended at once by a second Ctrl-C (143: SIGTERM, 129: SIGHUP); what was not flushed may be lost";

fn parse_name(text: &str) -> Result<IscsiName, String> {
    IscsiName::parse(text).map_err(|error| format!("{error}; for example iqn.2026-11.org.example:disk1"))
}

fn parse_portal(text: &str) -> Result<Portal, String> {
    let Some((address, tag)) = text.rsplit_once(',') else { return parse_address(text).map(Portal::from) };
    let group = tag.parse().map_err(|_| format!("{tag}: not a portal group tag (1 to 65535)"))?;
    Ok(Portal { address: parse_address(address)?, group })
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().or_else(|_| {
        let address = text.trim_start_matches('[').trim_end_matches(']').parse();
        let address =
            address.map_err(|_| "not ADDR:PORT (127.0.0.1:3260, 0.0.0.0:3260, [::1]:3260)".to_owned())?;
        Ok(SocketAddr::new(address, PORT))
    })
}

fn parse_loopback(text: &str) -> Result<SocketAddr, String> {
    let port = text.parse().map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    port.or_else(|_| text.parse())
        .map_err(|_| "not ADDR:PORT or PORT (127.0.0.1:9100, [::1]:9100, 9100)".to_owned())
}

/// The port that is iSCSI's own.
pub(crate) const PORT: u16 = 3260;

fn parse_block(text: &str) -> Result<u32, String> {
    match text {
        "512" => Ok(512),
        "4096" | "4k" | "4K" => Ok(4096),
        _ => Err("a logical block has 512 or 4096 bytes".to_owned()),
    }
}

fn parse_protection(text: &str) -> Result<Protection, String> {
    let kind = text.parse().ok().and_then(Kind::from_number);
    kind.map(Protection).ok_or_else(|| "a protection type is 0, 1, 2 or 3".to_owned())
}

fn parse_physical_block(text: &str) -> Result<u32, String> {
    let bytes = size::parse(text).ok().and_then(|bytes| u32::try_from(bytes).ok());
    let good = |bytes: &u32| bytes.is_power_of_two() && (512..=65_536).contains(bytes);
    bytes.filter(good).ok_or_else(|| "a physical block is a power of two from 512 to 65536".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(words: &str) -> Result<ExportArgs, clap::Error> {
        Cli::try_parse_from(words.split(' ')).map(|cli| match cli.command {
            Command::Export(args) => args,
            _ => unreachable!("an export"),
        })
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn it_listens_on_loopback_unless_told() {
        let args = parse("felio export ram:1G").expect("valid");
        assert_eq!(args.portals, [Portal::from(address("127.0.0.1:3260"))]);
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("valid")
    }

    #[test]
    fn a_portal_has_its_tag_behind_a_comma() {
        let args = parse("felio export ram:1G --portal [::1]:3261,2 --portal ::1,65535").expect("valid");
        let found: Vec<_> = args.portals.iter().map(|portal| (portal.address, portal.group.get())).collect();
        assert_eq!(found, [(address("[::1]:3261"), 2), (address("[::1]:3260"), 65_535)]);
        assert!(parse("felio export ram:1G --portal 127.0.0.1:3260,0").is_err());
        assert!(parse("felio export ram:1G --portal 127.0.0.1:3260,").is_err());
    }

    #[test]
    fn an_address_without_port_gets_iscsis_own() {
        let args = parse("felio export ram:1G --portal ::1 --portal 10.0.0.1").expect("valid");
        assert_eq!(
            args.portals.iter().map(|portal| portal.address.to_string()).collect::<Vec<_>>(),
            ["[::1]:3260", "10.0.0.1:3260"]
        );
    }

    #[test]
    fn a_chap_user_needs_a_secret() {
        assert!(parse("felio export ram:1G --chap-user a").is_err());
    }

    #[test]
    fn mutual_chap_needs_chap() {
        assert!(parse("felio export ram:1G --mutual-chap-user a --mutual-chap-password-file f").is_err());
    }

    #[test]
    fn protection_is_a_type_by_number() {
        let protection = |words| parse(words).map(|args| args.protection).ok();
        assert_eq!(protection("felio export a"), Some(None));
        assert_eq!(protection("felio export a --protection 0"), Some(Some(Protection(None))));
        assert_eq!(protection("felio export a --protection 2"), Some(Some(Protection(Some(Kind::Type2)))));
        assert_eq!(protection("felio export a --protection 4"), None);
    }

    #[test]
    fn a_wrong_name_is_refused() {
        assert!(parse("felio export ram:1G --iqn disk").is_err());
    }

    #[test]
    fn under_the_name_targetcli_it_is_the_shell() {
        let words = |line: &str| -> Vec<String> {
            let typed = line.split_whitespace().map(OsString::from);
            super::words(typed).map(|word| word.to_string_lossy().into_owned()).collect()
        };
        assert_eq!(words("/usr/bin/targetcli / ls"), ["felio", "shell", "/", "ls"]);
        assert_eq!(words("/usr/bin/felio export targetcli"), ["/usr/bin/felio", "export", "targetcli"]);
    }

    #[test]
    fn a_line_of_the_shell_needs_no_dashes_before_it() {
        let cli = Cli::try_parse_from(["felio", "shell", "--socket", "s", "/", "ls", "--depth", "-1"])
            .expect("valid");
        let Command::Shell(args) = cli.command else { panic!("the shell") };
        assert_eq!(args.line, ["/", "ls", "--depth", "-1"]);
    }
}
