//! Peers that stall, lie or talk of something else: each is gone at its deadline, and nobody else notices.
//!
//! The deadlines are the real ones, so everything that waits for one is in one test.

use crate::common::load::Load;
use crate::common::wire::{Wire, pattern, settings};
use crate::common::{Felio, PATIENCE, cdb};
use felio_iscsi::pdu::{LoginRequest, ScsiCommand, Sn, Stage, TaskAttribute, TaskTag};
use felio_iscsi::peer::{Answers, Data, Peer, Settings};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// `--memory`, the disk, and all else that start.rs counts (tables, receive buffers, connections), KiB.
pub(crate) const MEMORY: &str = "64M";
pub(crate) const MEMORY_PEAK_KIB: u64 = (64 + 8 + 24) << 10;

/// When the last deadline is over: 15 s of silence, 30 s for the answer to a ping, and a busy machine.
const LAST_DEADLINE: Duration = Duration::from_secs(58);

/// How causes begin, as felio tells them; any of these will do.
type Causes = &'static [&'static str];
const LOGIN: Causes = &["login took too long"];
const PDU: Causes = &["the rest of a PDU did not come", "data of a write did not come while memory is short"];
/// Who got no memory at all, for others were greedy too, was told so, and is then merely silent.
const OUTPUT: Causes = &["the initiator takes no output", "the initiator is silent"];
const DATA: Causes = &["data of a write did not come", "the initiator is silent"];
const SILENT: Causes = &["the initiator is silent"];

/// Peers that do something bad and then nothing, and what must be said of each when it is dropped.
#[derive(Default)]
struct Rogues {
    /// What keeps their connections open.
    sockets: Vec<TcpStream>,
    wires: Vec<Wire>,
    expected: BTreeMap<String, (&'static str, Causes)>,
}

impl Rogues {
    /// A peer that sends these bytes and no more.
    fn raw(&mut self, portal: SocketAddr, what: &'static str, bytes: &[u8], cause: Causes) {
        let mut socket = TcpStream::connect(portal).expect("felio listens");
        let peer = socket.local_addr().expect("connected").to_string();
        let _ = socket.write_all(bytes);
        self.expected.insert(peer, (what, cause));
        self.sockets.push(socket);
    }

    /// A peer that logs in, does something, and then neither sends nor reads.
    fn session(&mut self, felio: &Felio, what: &'static str, cause: Causes, act: impl FnOnce(&mut Wire)) {
        let name = format!("rogue-{}", self.wires.len());
        let settings = Settings { answers: Answers::Nobody, ..settings(&felio.target(), &name) };
        let mut wire = Wire::log_in(felio.portal(), settings);
        act(&mut wire);
        wire.send_only();
        self.expected.insert(wire.local().to_string(), (what, cause));
        self.wires.push(wire);
    }
}

/// With one reactor and, at the same time, with two: what is hoarded on one may be wanting on the other.
#[test]
fn every_stalled_peer_is_dropped_at_its_deadline_and_slows_nobody() {
    let two = std::thread::spawn(|| check_stalled("2"));
    check_stalled("1");
    two.join().expect("two reactors do as well");
}

fn check_stalled(cores: &str) {
    let felio = Felio::start(&["ram:8M", "--memory", MEMORY, "--cores", cores]);
    let load = Load::start(&felio, "good");
    let mut rogues = Rogues::default();
    stalled_logins(&mut rogues, &felio);
    stalled_sessions(&mut rogues, &felio);
    let dribble = dribble(&felio, &mut rogues);
    let start = Instant::now();
    let mut newcomers = 0;
    while !rogues.expected.is_empty() {
        assert!(start.elapsed() < LAST_DEADLINE, "still there: {:?}", rogues.expected);
        // Meanwhile others come and go.
        let name = format!("newcomer-{newcomers}");
        let mut wire = Wire::log_in(felio.portal(), settings(&felio.target(), &name));
        wire.good(0, &cdb::TEST_UNIT_READY, &Data::None);
        wire.log_out();
        newcomers += 1;
        while let Some(line) = felio.line(Duration::from_millis(500)) {
            let Some((what, cause)) =
                line["peer"].as_str().and_then(|peer| rogues.expected.remove(peer_of(&line, peer)))
            else {
                continue;
            };
            let said = line["cause"].as_str().unwrap_or_default();
            assert!(cause.iter().any(|cause| said.starts_with(cause)), "{what}: {line}");
            eprintln!("{:>4} s  {what}: {said}", start.elapsed().as_secs());
        }
    }
    dribble.join().expect("it ends with its connection");
    let done = load.finish();
    let peak = felio.memory_peak_kib();
    eprintln!("{peak} KiB at the most, {done:?}, {newcomers} newcomers");
    assert!(peak < MEMORY_PEAK_KIB, "{peak} KiB, {done:?}");
    felio.stop();
}

/// A peer's address, if the line tells of its end.
fn peer_of<'a>(line: &serde_json::Value, peer: &'a str) -> &'a str {
    if line["event"] == "logout" || line["event"] == "dropped" { peer } else { "" }
}

fn stalled_logins(rogues: &mut Rogues, felio: &Felio) {
    let portal = felio.portal();
    let hello = Peer::new(settings(&felio.target(), "half")).take_output();
    for _ in 0..8 {
        rogues.raw(portal, "says nothing", b"", LOGIN);
        rogues.raw(portal, "stops within the header of its login", &hello[..20], LOGIN);
        rogues.raw(portal, "stops within the text of its login", &hello[..hello.len() - 8], LOGIN);
        rogues.raw(portal, "begins a login and does not go on", &unfinished(&felio.target()), LOGIN);
    }
}

/// A login request that does not ask to go on.
fn unfinished(target: &str) -> Vec<u8> {
    let text = format!("InitiatorName=iqn.2026-11.org.example:slow\0TargetName={target}\0");
    let mut bytes = login(u32::try_from(text.len()).expect("short")).emit().to_vec();
    bytes.extend(text.into_bytes());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

pub(crate) fn login(data_segment_bytes: u32) -> LoginRequest {
    LoginRequest {
        transit: false,
        continued: false,
        current_stage: Stage::OPERATIONAL,
        next_stage: Stage::SECURITY,
        version_max: 0,
        version_min: 0,
        data_segment_bytes,
        isid: [0x80, 0, 0, 0, 0, 9],
        tsih: 0,
        initiator_task_tag: TaskTag(0),
        cid: 0,
        cmd_sn: Sn(1),
        exp_stat_sn: Sn(0),
    }
}

fn stalled_sessions(rogues: &mut Rogues, felio: &Felio) {
    for _ in 0..4 {
        rogues.session(felio, "logs in and is silent", SILENT, |_| {});
        rogues.session(felio, "stops within a header", PDU, |wire| wire.send_raw(&[0; 20]));
        rogues.session(felio, "stops within a data segment", PDU, |wire| {
            wire.peer.command(0, &cdb::write(0, 128), Data::Out(pattern(1, 64 << 10)));
            let whole = wire.peer.take_output();
            wire.send_raw(&whole[..whole.len() / 2]);
        });
    }
    // Each of these wants far more than its share of the memory.
    for _ in 0..12 {
        rogues.session(felio, "asks for much and never reads", OUTPUT, |wire| {
            for _ in 0..100 {
                wire.peer.command(0, &cdb::read(0, 8192), Data::In(4 << 20));
            }
        });
        rogues.session(felio, "never sends its data", DATA, |wire| {
            wire.good(0, &cdb::TEST_UNIT_READY, &Data::None);
            for _ in 0..100 {
                let (lba, blocks) = (8192, 4096);
                let itt = wire.peer.take_itt();
                let pdu = write_without_data(itt, wire.peer.cmd_sn.take(), &cdb::write(lba, blocks));
                wire.peer.send(pdu.into(), &[]);
            }
        });
    }
}

fn write_without_data(itt: TaskTag, cmd_sn: Sn, cdb: &[u8; 10]) -> ScsiCommand {
    let mut whole = [0; 16];
    whole[..10].copy_from_slice(cdb);
    ScsiCommand {
        immediate: false,
        final_pdu: true,
        read: false,
        write: true,
        attribute: TaskAttribute::SIMPLE,
        total_ahs_words: 0,
        data_segment_bytes: 0,
        lun: 0,
        initiator_task_tag: itt,
        expected_data_bytes: 2 << 20,
        cmd_sn,
        exp_stat_sn: Sn(0),
        cdb: whole,
    }
}

/// A session that sends a byte of a PDU now and then: no deadline between bytes would ever catch it.
fn dribble(felio: &Felio, rogues: &mut Rogues) -> std::thread::JoinHandle<()> {
    let settings = Settings { answers: Answers::Nobody, ..settings(&felio.target(), "dribble") };
    let mut wire = Wire::log_in(felio.portal(), settings);
    rogues.expected.insert(wire.local().to_string(), ("sends a byte at a time", PDU));
    std::thread::spawn(move || {
        let until = Instant::now() + LAST_DEADLINE;
        while !wire.is_closed() && Instant::now() < until {
            wire.send_raw(&[0]);
            let _ = wire.event(Duration::from_millis(900));
        }
    })
}

/// What scanners and confused programs send, and PDUs that promise too much.
fn nonsense() -> Vec<(&'static str, Vec<u8>)> {
    let mut huge = login(0x00ff_ffff).emit().to_vec();
    huge.resize(256 << 10, 7);
    let mut additional = login(0).emit().to_vec();
    additional[4] = 0xff;
    additional.resize(4096, 0xff);
    vec![
        ("HTTP", b"GET / HTTP/1.1\r\nHost: disk\r\nUser-Agent: scanner\r\nAccept: */*\r\n\r\n".to_vec()),
        ("TLS", [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &pattern(5, 506)].concat()),
        ("SSH", b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n and some more to fill up a header".to_vec()),
        ("random bytes", pattern(6, 100_000)),
        ("zeros", vec![0; 100_000]),
        ("ones", vec![0xff; 100_000]),
        ("a segment of 16 MiB", huge),
        ("255 words of additional headers", additional),
        ("a text with no end", [login(8192).emit().to_vec(), vec![b'x'; 8192]].concat()),
    ]
}

/// What cannot be taken for the beginning of anything that a session may hold.
const ENDS_A_SESSION: [&str; 4] =
    ["ones", "a segment of 16 MiB", "255 words of additional headers", "a text with no end"];

#[test]
fn nonsense_is_turned_away_at_once() {
    let felio = Felio::start(&["ram:8M", "--memory", MEMORY]);
    let load = Load::start(&felio, "good");
    for (what, bytes) in nonsense().into_iter().chain(nonsense()) {
        let mut socket = TcpStream::connect(felio.portal()).expect("felio listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let start = Instant::now();
        let _ = socket.write_all(&bytes);
        // Whatever it answers, it then closes.
        let answer = std::io::copy(&mut socket, &mut std::io::sink());
        assert!(start.elapsed() < Duration::from_secs(10), "{what}: {answer:?} after {:?}", start.elapsed());
    }
    load.finish();
    let peak = felio.memory_peak_kib();
    assert!(peak < MEMORY_PEAK_KIB, "{peak} KiB");
    felio.stop();
}

#[test]
fn nonsense_within_a_session_is_rejected_or_ends_it() {
    let felio = Felio::start(&["ram:8M", "--memory", MEMORY]);
    let load = Load::start(&felio, "good");
    for (what, bytes) in nonsense() {
        let mut wire = Wire::log_in(felio.portal(), settings(&felio.target(), "babbler"));
        wire.send_raw(&bytes);
        let start = Instant::now();
        let ended = loop {
            match wire.event(Duration::from_secs(2)) {
                Some(_) => {}
                None => break wire.is_closed(),
            }
            assert!(start.elapsed() < PATIENCE, "{what}: no end of answers");
        };
        // Others announce more than they bring, and are dropped when the rest has not come.
        assert!(ended || !ENDS_A_SESSION.contains(&what), "{what}: kept");
    }
    load.finish();
    let peak = felio.memory_peak_kib();
    assert!(peak < MEMORY_PEAK_KIB, "{peak} KiB");
    felio.stop();
}
