//! An initiator that keeps every rule, against a target that must keep them too: the crate's own `peer` is the referee, and
//! in the end every command has its answer, with the very data and residual that the engine gave.

use super::backend::{MARK, Nexus, pattern};
use super::engine_side::farewell;
use super::login::keys;
use super::world::{DISK, World};
use crate::Script;
use crate::story::tell;
use felio_iscsi::pdu::{Bhs, LogoutReason, Opcode, Sn, TaskAttribute, TaskManagementFunction, TaskTag};
use felio_iscsi::peer::{Answers, Completed, Data, Peer, PeerEvent, Settings};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Both sides.
struct Clean {
    world: World,
    peer: Peer,
    /// Open commands by their tag: identity and number.
    open: BTreeMap<TaskTag, (u32, Sn)>,
    /// Commands that were open when a task management function was sent.
    at_risk: BTreeSet<TaskTag>,
    next_id: u32,
    managing: usize,
    managed: usize,
    pinging: usize,
    has_left: bool,
}

/// Plays.
pub(super) fn run(mut script: Script<'_>) {
    let mut world = World::open(&mut script);
    let mut segment_bytes_max = 8192;
    let keys = keys(&mut script, &mut segment_bytes_max);
    world.wire.segment_bytes_max = segment_bytes_max;
    world.wire.copy = Some(Vec::new());
    let settings = Settings {
        target: Some(DISK.to_owned()),
        keys,
        cmd_sn: if script.coin() { u32::MAX - 2 } else { 1 },
        answers: Answers::Peer,
        ..Settings::default()
    };
    let peer = Peer::new(settings);
    let mut clean = Clean {
        world,
        peer,
        open: BTreeMap::new(),
        at_risk: BTreeSet::new(),
        next_id: 1,
        managing: 0,
        managed: 0,
        pinging: 0,
        has_left: false,
    };
    clean.settle();
    assert_eq!(clean.world.over(), None, "an initiator that keeps the rules logs in");
    while !script.is_over() && !clean.world.is_over() {
        clean.step(&mut script);
    }
    clean.settle();
    clean.check();
    clean.world.finish();
}

impl Clean {
    fn step(&mut self, script: &mut Script<'_>) {
        let room = self.peer.has_window() && !self.has_left;
        match script.byte() % 24 {
            0..=5 if room => self.command(script),
            6 if room => {
                self.pinging += 1;
                self.peer.ping(&vec![0x5a; script.length(400)]);
            }
            7 if room => _ = self.peer.say(TEXT),
            8 if !self.has_left => self.manage(script),
            9 if room && script.rarely(8) => {
                self.peer
                    .log_out(*script.pick(&[LogoutReason::CLOSE_SESSION, LogoutReason::CLOSE_CONNECTION]), 0);
                self.has_left = true;
            }
            10 if script.rarely(16) => {
                self.world.request(farewell(script));
                self.has_left = true;
            }
            11 => self.world.hoard(script.length(256 << 10)),
            12 => self.world.release(),
            // All within the shortest deadline: nobody here is late.
            13 if self.world.now.0 < 10_000_000_000 => {
                self.world.wait(Duration::from_millis(u64::from(script.byte())))
            }
            14 | 15 => _ = self.world.send(1 + script.length(70_000), script.length(70_000)),
            16..=19 => self.world.serve(script),
            _ => _ = self.world.deliver(1 + script.length(70_000)),
        }
        self.exchange();
    }

    fn command(&mut self, script: &mut Script<'_>) {
        let id = self.next_id;
        self.next_id += 1;
        let bytes = script.length(100_000);
        let data = match script.byte() % 4 {
            0 => Data::None,
            1 => Data::In(u32::try_from(bytes).expect("short")),
            _ => Data::Out((0..bytes).map(|at| pattern(id, at)).collect()),
        };
        let mut cdb = MARK.to_vec();
        cdb.extend(id.to_be_bytes());
        cdb.resize(*script.pick(&[16, 16, 16, 32, 260]), 0);
        let attributes = [TaskAttribute::SIMPLE, TaskAttribute::ORDERED, TaskAttribute::HEAD_OF_QUEUE];
        let cmd_sn = self.peer.cmd_sn;
        let itt = self.peer.command_with(0, &cdb, data, *script.pick(&attributes));
        tell(|| format!("command {id}"));
        self.open.insert(itt, (id, cmd_sn));
    }

    fn manage(&mut self, script: &mut Script<'_>) {
        // Two of them always find a place; more may be rejected.
        if self.managing > self.managed {
            return;
        }
        let function = TaskManagementFunction(1 + script.byte() % 12);
        let at = script.below(self.open.len().max(1));
        let (referenced, ref_cmd_sn) = match self.open.iter().nth(at) {
            Some((itt, (_, cmd_sn))) => (*itt, *cmd_sn),
            None => (TaskTag::RESERVED, self.peer.cmd_sn),
        };
        self.peer.manage(function, 0, referenced, ref_cmd_sn);
        self.at_risk.extend(self.open.keys());
        self.managing += 1;
    }

    /// Bytes from one to the other, as far as the world lets them out.
    fn exchange(&mut self) -> bool {
        let out = self.peer.take_output();
        self.world.push(&out);
        let copy = self.world.wire.copy.as_mut().expect("a copy is kept");
        let came = std::mem::take(copy);
        if let Err(foul) = self.peer.handle_input(&came) {
            panic!("the target broke a rule: {}", foul.0);
        }
        while let Some(event) = self.peer.poll_event() {
            self.note(event);
        }
        !out.is_empty() || !came.is_empty()
    }

    fn note(&mut self, event: PeerEvent) {
        tell(|| format!("peer: {event:?}"));
        match event {
            PeerEvent::Completed(done) => self.compare(&done),
            PeerEvent::Managed(..) => self.managed += 1,
            PeerEvent::Pong(..) => self.pinging -= 1,
            PeerEvent::LoginRefused(status) => panic!("login was refused: {status}"),
            PeerEvent::Rejected(reason, header) => {
                assert!(self.world.was_short, "{reason} for {header:?}");
                self.repeat(&header);
            }
            _ => {}
        }
    }

    /// A request that was rejected leaves a gap in CmdSN, which the initiator must fill: it sends it once more.
    //= RFC 7143 "Reject"
    fn repeat(&mut self, header: &Bhs) {
        let bytes = usize::try_from(header.data_segment_bytes()).expect("short");
        match header.opcode() {
            Opcode::TEXT_REQUEST => self.peer.send_bytes(&header.0, &[], TEXT),
            Opcode::NOP_OUT => self.peer.send_bytes(&header.0, &[], &vec![0x5a; bytes]),
            other => panic!("{other} was rejected"),
        }
    }

    /// What arrived is what the engine gave; or the port said TASK SET FULL for want of memory.
    fn compare(&mut self, done: &Completed) {
        let (id, _) = self.open.remove(&done.itt).expect("an open command");
        let Some(given) = self.world.backend.answers.remove(&id) else {
            assert_eq!(done.status, 0x28, "{done:?} was never answered");
            assert!(self.world.was_short, "memory was not short");
            return;
        };
        if done.status == 0x28 && given.status != 0x28 {
            assert!(self.world.was_short, "memory was not short");
            return;
        }
        assert_eq!((done.status, done.data.len()), (given.status, given.data_bytes), "{:?}", done.itt);
        assert_eq!(done.residual, given.residual, "{:?}", done.itt);
        assert!(done.data.iter().enumerate().all(|(at, byte)| *byte == pattern(id, at)), "data of {id}");
    }

    fn settle(&mut self) {
        for _ in 0..1_000_000 {
            self.world.settle();
            if !self.exchange() && self.world.is_taken() {
                return;
            }
            if self.world.is_over() {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    fn check(&self) {
        let backend = &self.world.backend;
        match self.world.over() {
            None => {
                for (itt, (id, _)) in &self.open {
                    let is_lost = backend.abandoned.contains(id) || self.at_risk.contains(itt);
                    assert!(is_lost, "command {id} has no answer, and was not let go");
                }
                assert_eq!(self.managed, self.managing, "every function is answered");
                assert!(self.pinging == 0, "every ping is answered");
                assert_eq!(backend.nexus, Nexus::Alive);
            }
            Some(why) => {
                let ends = ["finished", "the initiator did not log out when asked to"];
                assert!(self.has_left && ends.contains(&why), "the connection broke: {why}");
            }
        }
    }
}

/// A question in full feature phase.
const TEXT: &[u8] = b"SendTargets=\0X-key=1\0";
