//! Instructions a command: what our own code costs, to the last digit, on however noisy a machine.
//!
//! [`run`] starts this very program once for each case under valgrind's callgrind; [`serve`] is what runs there: one hub with its
//! engine, its ports and a store that keeps nothing, in a world without sockets. Only turns of the hub count: not the login, not what stands
//! for the kernel. Figures of two builds can be compared; they say nothing of caches, system calls and copies by the kernel.
//!
//! Invariant: the same build counts the same, but for a few instructions of hash tables with random seeds.

use std::collections::{BTreeMap, VecDeque};
use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use felio_backstore::{Engine, Lane, LaneConfig, Null, Store};
use felio_engine::{Access, Identity, LunMap, PortConfig, TargetConfig, UnitConfig};
use felio_hal::buf::Budget;
use felio_hal::meter::Meters;
use felio_hal::state::Saved;
use felio_hal::{NexusId, Pool, StoreId, StoreQueue, Time};
use felio_iscsi::config::{Config, PortalGroup, Target};
use felio_iscsi::connection::Connection;
use felio_iscsi::limits::Limits;
use felio_runtime::hub::{Event, Hub, HubConfig, Io, Message, Received, Sent};

use crate::pdu::{Cdb, Direction, HEADER_BYTES, Header, field, flag, opcode};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Keep callgrind's output in this folder, for callgrind_annotate
    #[arg(long)]
    profile: Option<PathBuf>,
    /// Serve this case here and now; for valgrind
    #[arg(long, hide = true)]
    serve: Option<String>,
}

/// Commands that arrive together, from some sessions.
struct Counted {
    name: &'static str,
    direction: Direction,
    sessions: usize,
    depth: u32,
}

const COUNTED: &[Counted] = &[
    Counted { name: "4k-read", direction: Direction::Read, sessions: 4, depth: 32 },
    Counted { name: "4k-write", direction: Direction::Write, sessions: 4, depth: 32 },
    Counted { name: "4k-read-alone", direction: Direction::Read, sessions: 1, depth: 1 },
    Counted { name: "4k-write-alone", direction: Direction::Write, sessions: 1, depth: 1 },
];

/// Commands of a case, of all sessions.
const COMMANDS: u32 = 12_800;
const BLOCK_BYTES: u32 = 512;
const COMMAND_BYTES: u32 = 4096;
const UNIT_BYTES: u64 = 16 << 20;
const TARGET: &str = "iqn.2026-01.example.felio:count";

/// What valgrind counts, by names of functions below: turns, without what stands for the kernel, from some moment on.
const COLLECT: [&str; 4] = [
    "--toggle-collect=*::counted_turn*",
    "--toggle-collect=*::uncounted_receive*",
    "--toggle-collect=*::uncounted_send*",
    "--zero-before=*::begin_to_count*",
];

pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(name) = &options.serve {
        let case = COUNTED.iter().find(|case| case.name == name).context("there is no such case")?;
        return serve(case);
    }
    let scratch = tempfile::tempdir()?;
    let folder = options.profile.as_deref().unwrap_or(scratch.path());
    std::fs::create_dir_all(folder)?;
    println!("{:18} {:>24}", "case", "instructions a command");
    for case in COUNTED {
        let instructions = count(case, folder)?;
        println!("{:18} {:>24}", case.name, instructions / u64::from(COMMANDS));
    }
    Ok(())
}

/// Instructions of all commands of a case.
fn count(case: &Counted, folder: &Path) -> Result<u64> {
    let out = folder.join(format!("callgrind.{}", case.name));
    let status = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind"])
        .args(COLLECT)
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe()?)
        .args(["count", "--serve", case.name])
        .stdin(Stdio::null())
        .status()
        .context("cannot start valgrind; on Debian: apt install valgrind")?;
    ensure!(status.success(), "valgrind ended with {status}");
    let text = std::fs::read_to_string(&out)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    total.and_then(|total| total.trim().parse().ok()).context("callgrind's output has no total")
}

/// Serves the commands of a case.
fn serve(case: &Counted) -> Result<()> {
    let mut host = Host::new(case.sessions)?;
    let turns = COMMANDS / (case.depth * u32::try_from(case.sessions)?);
    for turn in 0..=turns {
        host.world.sent = 0;
        for session in 0..case.sessions {
            for at in 0..case.depth {
                host.ask(session, case.direction, (turn * case.depth + at) % 4096);
            }
        }
        if turn == 1 {
            begin_to_count(); // What is set up once in a process has been.
        }
        host.turn();
        let answer = match case.direction {
            Direction::Read => HEADER_BYTES + crate::sys::place(COMMAND_BYTES.into()),
            Direction::Write => HEADER_BYTES,
        };
        let wanted = answer * case.sessions * crate::sys::place(case.depth.into());
        ensure!(host.world.sent == wanted, "{} bytes were sent, not {wanted}", host.world.sent);
    }
    Ok(())
}

#[inline(never)]
fn begin_to_count() {
    std::hint::black_box(());
}

#[inline(never)]
fn counted_turn(hub: &mut Hub<Connection>, now: Time, world: &mut World) {
    hub.turn(now, world);
}

/// A hub and what is around it.
struct Host {
    hub: Hub<Connection>,
    world: World,
    sessions: Vec<Session>,
    now: Time,
}

/// An initiator's counters.
struct Session {
    nexus: NexusId,
    cmd_sn: u32,
    exp_stat_sn: u32,
}

/// Instead of sockets: input that waits, by slot of the connection, and a count of output.
struct World {
    now: Time,
    lane: Lane,
    input: Vec<VecDeque<u8>>,
    sent: usize,
    /// The last header that was sent alone.
    header: Option<Header>,
}

impl Host {
    fn new(sessions: usize) -> Result<Self> {
        let store: Arc<dyn Store> = Arc::new(Null::new(UNIT_BYTES, true));
        let target = Arc::new(target(&store));
        let lane = Lane::new(vec![store], LaneConfig { engine: Engine::Helpers, ..LaneConfig::default() })?;
        let config = HubConfig {
            reactor: 0,
            reactors: 1,
            connections_max: 1024,
            logins_max: 64,
            sessions_max: 1024,
            tasks_max: 4096,
        };
        let hub = Hub::new(config, &target, Pool::of(0, Budget::new(256 << 20)));
        let world = World { now: Time(0), lane, input: Vec::new(), sent: 0, header: None };
        let mut host = Self { hub, world, sessions: Vec::new(), now: Time(0) };
        for _ in 0..sessions {
            host.log_in()?;
        }
        Ok(host)
    }

    /// One more session, whose unit attentions are told.
    //= RFC 7143 "Login Phase": from the operational stage to full feature phase in one step
    fn log_in(&mut self) -> Result<()> {
        let number = self.sessions.len();
        let local = SocketAddr::from(([127, 0, 0, 1], 3260));
        let group = PortalGroup::open(NonZeroU16::MIN, vec![local]);
        let iscsi = Arc::new(Config::new(Target::new(TARGET.parse()?, vec![group])));
        let port = Connection::new(iscsi, Limits::default(), local, local, [0; 32], self.now);
        let nexus = self.hub.handle_accept(self.now, port, local, &mut self.world).context("no room")?;
        self.world.input.push(VecDeque::new());
        ensure!(crate::sys::place(nexus.slot.into()) == number, "slots are given in order");
        let text = format!(
            "InitiatorName={TARGET}-{number}\0TargetName={TARGET}\0SessionType=Normal\0InitialR2T=No\0\
             ImmediateData=Yes\0MaxRecvDataSegmentLength=262144\0FirstBurstLength=262144\0"
        );
        let header = Header::new(opcode::LOGIN | opcode::IMMEDIATE, LOGIN_TRANSIT)
            .with_octet(field::ISID_TYPE, 0x80)
            .with_octet(field::ISID_QUALIFIER, 1)
            .with(field::CMD_SN, 1);
        self.say(number, header, text.as_bytes());
        self.turn();
        let answer = self.world.header.take().context("no answer to the login")?;
        ensure!(answer.opcode() == opcode::LOGIN_RESPONSE && answer.octet(field::LOGIN_CLASS) == 0, "login");
        let exp_stat_sn = answer.get(field::STAT_SN).wrapping_add(1);
        self.sessions.push(Session { nexus, cmd_sn: 1, exp_stat_sn });
        for _ in 0..2 {
            let header = Header::new(opcode::COMMAND, flag::FINAL | flag::SIMPLE);
            self.command(number, header.with_cdb(Cdb::test_unit_ready()), &[]);
            self.turn();
        }
        Ok(())
    }

    /// An 4 KiB command of a session.
    fn ask(&mut self, session: usize, direction: Direction, place: u32) {
        let cdb = Cdb::transfer(direction, u64::from(place) * 8, COMMAND_BYTES / BLOCK_BYTES);
        let data = [0x5a; 4096];
        let (flag, data) = match direction {
            Direction::Read => (flag::READ, &[][..]),
            Direction::Write => (flag::WRITE, &data[..]),
        };
        let header = Header::new(opcode::COMMAND, flag::FINAL | flag::SIMPLE | flag);
        self.command(session, header.with(field::EXPECTED_LENGTH, COMMAND_BYTES).with_cdb(cdb), data);
    }

    fn command(&mut self, session: usize, header: Header, data: &[u8]) {
        let Session { nexus, cmd_sn, exp_stat_sn } = &mut self.sessions[session];
        let header = header
            .with(field::ITT, *cmd_sn)
            .with(field::CMD_SN, *cmd_sn)
            .with(field::EXP_STAT_SN, *exp_stat_sn);
        (*cmd_sn, *exp_stat_sn) = (cmd_sn.wrapping_add(1), exp_stat_sn.wrapping_add(1));
        self.hub.handle_readable(*nexus);
        self.say(session, header, data);
    }

    fn say(&mut self, session: usize, header: Header, data: &[u8]) {
        let input = &mut self.world.input[session];
        input.extend(header.with_data(crate::sys::short(data.len())).0);
        input.extend(data);
        input.extend(std::iter::repeat_n(0, data.len().next_multiple_of(4) - data.len()));
    }

    fn turn(&mut self) {
        self.now = self.now + Duration::from_micros(100);
        self.world.now = self.now + Duration::from_micros(50);
        counted_turn(&mut self.hub, self.now, &mut self.world);
        while self.hub.is_busy() {
            counted_turn(&mut self.hub, self.now, &mut self.world);
        }
    }
}

/// The last stage of the login follows, and is asked for: T, CSG and NSG.
const LOGIN_TRANSIT: u8 = flag::FINAL | 1 << 2 | 3;

fn target(store: &Arc<dyn Store>) -> TargetConfig {
    let identity = Identity {
        vendor: "FELIO".to_owned(),
        product: "DISK".to_owned(),
        revision: "0.1".to_owned(),
        serial: "1".to_owned(),
        naa: [0x60; 16],
    };
    let unit = UnitConfig {
        birth: 0,
        home: 0,
        store: StoreId(0),
        limits: store.limits().clone(),
        block_bytes: BLOCK_BYTES,
        physical_block_bytes: BLOCK_BYTES,
        read_only: false,
        removable: false,
        identity,
        access: Access::default(),
        saved: Saved::default(),
        meters: Meters::default(),
    };
    TargetConfig {
        ports: vec![PortConfig {
            target: TARGET.to_owned(),
            tag: 1,
            relative_port: 1,
            luns: Arc::new(LunMap::numbered(1).counted(|_| Meters::new(1))),
            initiators: BTreeMap::new(),
            meters: Meters::default(),
        }],
        epoch_millis: 0,
        units: vec![unit.into()],
        token_seed: [0; 32],
    }
}

impl World {
    #[inline(never)]
    fn uncounted_receive(&mut self, conn: NexusId, into: &mut [IoSliceMut<'_>]) -> Received {
        let input = &mut self.input[crate::sys::place(conn.slot.into())];
        let mut bytes = 0;
        for slice in into {
            let count = slice.len().min(input.len());
            for (to, from) in slice.iter_mut().zip(input.drain(..count)) {
                *to = from;
            }
            bytes += count;
        }
        if bytes == 0 { Received::Empty } else { Received::Data { bytes, drained: input.is_empty() } }
    }

    #[inline(never)]
    fn uncounted_send(&mut self, from: &[IoSlice<'_>]) -> Sent {
        let bytes = from.iter().map(|slice| slice.len()).sum();
        self.header = from.first().and_then(|slice| Header::parse(slice));
        self.sent += bytes;
        Sent::Data { bytes, full: false }
    }
}

impl Io for World {
    fn receive(&mut self, conn: NexusId, into: &mut [IoSliceMut<'_>]) -> Received {
        self.uncounted_receive(conn, into)
    }

    fn send(&mut self, _conn: NexusId, from: &[IoSlice<'_>]) -> Sent {
        self.uncounted_send(from)
    }

    fn close(&mut self, _conn: NexusId) {}

    fn now(&self) -> Time {
        self.now
    }

    fn stores(&mut self) -> &mut dyn StoreQueue {
        &mut self.lane
    }

    fn post(&mut self, _reactor: u16, _message: Message) {}

    fn tell(&mut self, _event: Event) {}
}
