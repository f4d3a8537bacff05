//! An engine with all that is around it, and the account of what it owes to whom.
//!
//! Asserted here: each command is answered once; data is asked for once and within what was announced; Data-In is no
//! longer than it says; status and sense data fit; a store gets what it can do, and one thing at a time for a task; in
//! the end nothing is under way and all memory is home.

use super::disk::Disk;
use super::sense;
use crate::Script;
use crate::story::tell;
use core::time::Duration;
use felio_engine::{
    Access, Engine, Identity, LunMap, Mapping, PortConfig, TRANSFER_BYTES_MAX, TargetConfig, UnitConfig,
};
use felio_hal::buf::Budget;
use felio_hal::meter::Meters;
use felio_hal::port::{Login, LoginKind, Response, TaskManagement};
use felio_hal::state::Saved;
use felio_hal::store::Failure;
use felio_hal::{Command, NexusId, Pool, PortRequest, PortTag, Submission, TaskId, Time};
use felio_spec::cdb::Direction;
use felio_spec::status::TaskManagementResponse;
use felio_spec::{Cdb, Lun, Row, Status, TaskAttribute, TaskManagementFunction};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Everything around an engine.
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) disks: Vec<Disk>,
    pub(super) pool: Pool,
    /// For Data-Out that could never come from the other: a port would not ask for it.
    ample: Pool,
    pub(super) now: Time,
    pub(super) nexuses: [NexusId; 2],
    /// Commands without an answer.
    pub(super) open: BTreeMap<(NexusId, u32), Open>,
    /// Functions without an answer.
    pub(super) managing: Vec<(NexusId, u32)>,
    /// Data that was asked for and is to be sent.
    pub(super) asked: VecDeque<(NexusId, u32)>,
    /// Operations that the store has.
    pub(super) held: Vec<Submission>,
    /// Whether somebody has changed the size of a store.
    pub(super) is_resized: bool,
    /// How the last command ended.
    pub(super) last: Option<Ended>,
    /// Data-In of late.
    pub(super) seen: Vec<u8>,
    next_tag: u32,
    hoard: Vec<felio_hal::Buf>,
}

/// A command under way.
pub(super) struct Open {
    pub(super) cdb: Cdb,
    row: Option<&'static Row>,
    expect_out: u32,
    data: Vec<u8>,
    asked: Option<(TaskId, u32)>,
}

/// A command's end.
pub(super) struct Ended {
    pub(super) status: Status,
    pub(super) sense: Option<sense::Read>,
    pub(super) data: Vec<u8>,
}

impl World {
    /// One or two units of the script's choice, with two initiators.
    pub(super) fn new(script: &mut Script<'_>) -> Self {
        let shape = script.byte();
        let small = u64::from(1 + script.byte() % 96);
        let mut disks = vec![Disk::new(0, small * 512 + u64::from(shape & 1) * 100, 512)];
        if shape & 2 != 0 {
            // So large that addresses need all their bits, or so small that there is no whole block.
            let bytes = if shape & 4 == 0 { (1 << 52) + 4096 } else { 4096 * u64::from(shape >> 7) + 100 };
            disks.push(Disk::new(1, bytes, 4096));
        }
        let flags = script.byte();
        let units = disks.iter().zip(0_u16..).map(|(disk, number)| {
            Arc::new(UnitConfig {
                birth: number.into(),
                home: 0,
                store: disk.id,
                limits: disk.limits(if number == 0 { flags & !1 } else { flags }),
                block_bytes: u32::try_from(disk.block_bytes).expect("a block"),
                physical_block_bytes: 4096,
                read_only: shape & 8 != 0 && number == 1,
                removable: shape & 16 != 0,
                access: Access::default(),
                saved: Saved::default(),
                meters: Meters::default(),
                identity: Identity {
                    vendor: "FELIO".to_owned(),
                    product: "fuzz".to_owned(),
                    revision: "1".to_owned(),
                    serial: format!("serial {number}"),
                    naa: [0x60 + u8::try_from(number).expect("a digit"); 16],
                },
            })
        });
        let luns = (0..disks.len()).zip(0_u16..).zip(0_u32..);
        let luns = luns.map(|((_, number), unit)| Mapping { lun: number * 300, unit, read_only: false });
        let config = TargetConfig {
            ports: vec![PortConfig {
                target: "iqn.2024-01.org.example:disk".to_owned(),
                tag: 1,
                relative_port: 1,
                luns: Arc::new(LunMap::new(luns.collect())),
                initiators: BTreeMap::new(),
                meters: Meters::default(),
            }],
            epoch_millis: 0,
            units: units.collect(),
            token_seed: [0; 32],
        };
        let nexus = |slot| NexusId { reactor: 0, slot, generation: 0 };
        let mut world = Self {
            engine: Engine::new(Arc::new(config), 0, 2 + u32::from(script.byte() % 16)),
            disks,
            pool: Pool::new(Budget::new((64 << 10) << (shape >> 5 & 3) << 1)),
            ample: Pool::new(Budget::new(64 << 20)),
            now: Time(0),
            nexuses: [nexus(0), nexus(1)],
            open: BTreeMap::new(),
            managing: Vec::new(),
            asked: VecDeque::new(),
            held: Vec::new(),
            is_resized: false,
            last: None,
            seen: Vec::new(),
            next_tag: 0,
            hoard: Vec::new(),
        };
        world.log_in(0);
        world.log_in(1);
        world
    }

    /// An initiator is there from now on.
    fn log_in(&mut self, who: usize) {
        let login = Login {
            initiator_port: format!("iqn.2024-01.org.example:host{who},i,0x800000000000"),
            initiator: format!("iqn.2024-01.org.example:host{who}"),
            target: "iqn.2024-01.org.example:disk".to_owned(),
            target_port_tag: 1,
            kind: LoginKind::Normal,
            session: 1,
            terms: Arc::default(),
        };
        self.engine.handle_login(self.now, self.nexuses[who], &login, &Meters::default());
    }

    /// An initiator goes, and comes again as another nexus.
    pub(super) fn replace(&mut self, who: usize) {
        let gone = self.nexuses[who];
        tell(|| format!("lost: {gone:?}"));
        self.open.retain(|(nexus, _), _| *nexus != gone);
        self.managing.retain(|(nexus, _)| *nexus != gone);
        self.asked.retain(|(nexus, _)| *nexus != gone);
        self.engine.handle_nexus_loss(self.now, gone, &mut self.pool);
        self.nexuses[who] = NexusId { generation: gone.generation + 1, ..gone };
        self.log_in(who);
        self.take_decisions();
    }

    /// Sends a command.
    pub(super) fn send(
        &mut self,
        who: usize,
        lun: Lun,
        attribute: TaskAttribute,
        (cdb, row): (&[u8], Option<&'static Row>),
        (data, expect_in): (Vec<u8>, u32),
    ) -> u32 {
        let tag = self.next_tag;
        self.next_tag += 1;
        let nexus = self.nexuses[who];
        let expect_out = u32::try_from(data.len()).expect("short");
        let cdb = Cdb::new(cdb);
        let command = Command { tag: PortTag(tag), lun, attribute, cdb, expect_out, expect_in };
        tell(|| format!("send {who}: {command:?}"));
        self.open.insert((nexus, tag), Open { cdb, row, expect_out, data, asked: None });
        self.engine.handle_command(self.now, nexus, command, &mut self.pool);
        self.take_decisions();
        tag
    }

    /// Asks for a task management function.
    pub(super) fn manage(
        &mut self,
        who: usize,
        function: TaskManagementFunction,
        lun: Lun,
        referenced: Option<u32>,
    ) {
        let tag = self.next_tag;
        self.next_tag += 1;
        let nexus = self.nexuses[who];
        self.managing.push((nexus, tag));
        let request =
            TaskManagement { tag: PortTag(tag), function, lun, referenced: referenced.map(PortTag) };
        tell(|| format!("manage {who}: {request:?}"));
        self.engine.handle_task_management(self.now, nexus, request, &mut self.pool);
        self.take_decisions();
    }

    /// Sends data that was asked for, if there is a buffer for it: whether any was.
    pub(super) fn deliver(&mut self, at: usize) -> bool {
        let Some(key) = self.asked.get(at).copied() else { return false };
        let Some(open) = self.open.get(&key) else {
            // Its command has ended meanwhile.
            self.asked.remove(at);
            return true;
        };
        let (task, bytes) = open.asked.expect("it was asked for");
        let bytes = usize::try_from(bytes).expect("a length");
        let is_long = bytes > self.pool.budget().bytes_max() / 2;
        let pool = if is_long { &mut self.ample } else { &mut self.pool };
        let Some(mut buf) = pool.take(bytes) else { return false };
        buf.copy_from_slice(&open.data[..bytes]);
        self.asked.remove(at);
        tell(|| format!("data: {bytes} for {task:?}"));
        self.engine.handle_data_out(self.now, task, buf, &mut self.pool);
        self.take_decisions();
        true
    }

    /// The store finishes an operation.
    pub(super) fn complete(&mut self, at: usize, failure: Option<Failure>) -> bool {
        if at >= self.held.len() {
            return false;
        }
        let submission = self.held.swap_remove(at);
        let disk = self.disks.iter_mut().find(|disk| disk.id == submission.store).expect("a store");
        let completion = disk.complete(submission, failure);
        tell(|| format!("home: {completion:?}"));
        self.engine.handle_completion(self.now, completion, &mut self.pool);
        self.take_decisions();
        true
    }

    /// The store refuses an operation: it comes again.
    pub(super) fn refuse(&mut self) {
        if let Some(submission) = self.held.pop() {
            self.engine.unsubmit(submission);
            self.take_decisions();
        }
    }

    /// Time goes on.
    pub(super) fn wait(&mut self, wait: Duration) {
        self.now = self.now + wait;
        tell(|| format!("now: {:?}", self.now));
        for _ in 0..16 {
            if self.engine.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
            self.engine.handle_timeout(self.now, &mut self.pool);
            self.take_decisions();
        }
        panic!("a deadline that never passes: {:?} at {:?}", self.engine.poll_timeout(), self.now);
    }

    /// Somebody else takes buffers, or gives them back.
    pub(super) fn hoard(&mut self, bytes: usize) {
        self.hoard.drain(..).for_each(|buf| self.pool.give(buf));
        while bytes > 0 && self.hoard.len() < 64 {
            let Some(buf) = self.pool.take(bytes) else { return };
            self.hoard.push(buf);
        }
    }

    /// Everything goes on until nothing can.
    pub(super) fn settle(&mut self) {
        self.hoard(0);
        for round in 0..ROUNDS_MAX {
            if round == PATIENCE {
                // A verification of terabytes may take its time; a reset ends it.
                self.manage(0, TaskManagementFunction::TargetWarmReset, Lun([0; 8]), None);
            }
            // Nothing but its end, or a failing store, ends the sanitizing of petabytes.
            let failure = (round >= PATIENCE).then_some(Failure::Gone);
            let moved = self.complete(0, failure) || (0..self.asked.len()).any(|at| self.deliver(at));
            if !moved {
                let soon = self.now + Duration::from_millis(10);
                let waits = self.engine.poll_timeout().is_some_and(|at| at <= soon);
                if self.engine.is_idle() && self.asked.is_empty() && !waits {
                    return;
                }
                // Those who wait for a buffer look again soon.
                self.wait(Duration::from_millis(1));
            }
        }
        panic!(
            "something is still under way: {} commands, {} wait for data",
            self.open.len(),
            self.asked.len()
        );
    }

    /// The end: nothing is owed and nothing is kept.
    pub(super) fn finish(mut self) {
        self.settle();
        assert!(self.open.is_empty(), "no answer for {:?}", self.open.keys());
        assert!(self.managing.is_empty(), "no answer for {:?}", self.managing);
        assert!(self.held.is_empty(), "the store has all that it was given");
        self.pool.trim();
        let kept = self.pool.budget().bytes() + self.ample.budget().bytes();
        assert_eq!(kept, 0, "the engine keeps memory that it does not use");
        assert_eq!(self.engine.poll_timeout(), None, "an idle engine waits for nothing");
    }

    /// Everything that the engine has decided.
    fn take_decisions(&mut self) {
        loop {
            let mut closed = Vec::new();
            while let Some((nexus, request)) = self.engine.poll_request() {
                tell(|| format!("request: {nexus:?} {request:?}"));
                if let Some(who) = self.handle(nexus, request) {
                    closed.push(who);
                }
            }
            while let Some(submission) = self.engine.poll_submission() {
                tell(|| format!("submit: {submission:?}"));
                self.accept(submission);
            }
            if closed.is_empty() {
                return;
            }
            for who in closed {
                self.replace(who);
            }
        }
    }

    fn accept(&mut self, submission: Submission) {
        let disk = self.disks.iter().find(|disk| disk.id == submission.store).expect("a store that there is");
        disk.check(&submission.op);
        let twice = self.held.iter().any(|held| held.task == submission.task);
        assert!(!twice, "{:?} has two operations at a time", submission.task);
        self.held.push(submission);
    }

    /// Takes a request for a port down; a nexus that is to be closed comes back.
    fn handle(&mut self, nexus: NexusId, request: PortRequest) -> Option<usize> {
        let is_gone = !self.nexuses.contains(&nexus);
        match request {
            PortRequest::Solicit { tag, task, bytes } => {
                assert!(!is_gone, "data is asked of nobody");
                let open = self.open.get_mut(&(nexus, tag.0)).expect("a command that is not answered");
                assert_eq!(open.asked, None, "data is asked for once");
                assert!((1..=open.expect_out).contains(&bytes), "{bytes} of {} bytes", open.expect_out);
                assert!(bytes <= 2 * TRANSFER_BYTES_MAX, "{bytes} bytes fit no buffer");
                open.asked = Some((task, bytes));
                self.asked.push_back((nexus, tag.0));
            }
            PortRequest::Respond(response) => self.answered(nexus, response),
            PortRequest::Abandon { tag } => {
                assert!(self.open.remove(&(nexus, tag.0)).is_some() || is_gone, "{tag:?} is abandoned twice");
            }
            PortRequest::TaskManagementResult { tag, response } => {
                let at = self.managing.iter().position(|open| *open == (nexus, tag.0));
                assert!(at.is_some() || is_gone, "{tag:?} was answered before");
                at.map(|at| self.managing.swap_remove(at));
                let query = matches!(response, TaskManagementResponse::FunctionSucceeded(_));
                tell(|| format!("managed: {tag:?} query {query}"));
            }
            PortRequest::Close(_) => return self.nexuses.iter().position(|open| *open == nexus),
            other => panic!("an engine does not ask for {other:?}"),
        }
        None
    }

    fn answered(&mut self, nexus: NexusId, response: Response) {
        let Response { tag, status, sense, data, transfer_bytes } = response;
        let bytes = data.as_ref().map_or(0, |buf| u64::try_from(buf.len()).expect("a length"));
        let Some(open) = self.open.remove(&(nexus, tag.0)) else {
            assert!(!self.nexuses.contains(&nexus), "{tag:?} was answered before");
            return data.into_iter().for_each(|buf| self.pool.give(buf));
        };
        assert_eq!(sense.is_some(), status == Status::CHECK_CONDITION, "{:?} ends with {status:?}", open.cdb);
        assert!(bytes <= transfer_bytes, "{:?}: {bytes} bytes, {transfer_bytes} promised", open.cdb);
        let direction = open.row.map(|row| row.direction);
        let silent = matches!(direction, Some(Direction::None | Direction::Out)) && data.is_some();
        // A row is only a guess where the script has written over the service action.
        let certain = open.row.is_some_and(|row| {
            row.opcode == open.cdb.opcode()
                && row.service_action.is_none_or(|a| a.field.read(open.cdb.bytes()) == u64::from(a.value))
        });
        assert!(!(silent && certain), "{:?} has no Data-In", open.cdb);
        let sense = sense.map(|sense| sense::read(sense.bytes()));
        if let Some((true, byte, _)) = sense.as_ref().and_then(|sense| sense.pointer) {
            assert!(byte < open.cdb.length().max(16), "{:?} has no byte {byte}", open.cdb);
        }
        let data = data.map_or_else(Vec::new, |buf| {
            let bytes = buf.to_vec();
            self.pool.give(buf);
            bytes
        });
        if !data.is_empty() {
            self.seen.clone_from(&data);
            self.seen.truncate(256);
        }
        self.last = Some(Ended { status, sense, data });
    }
}

const ROUNDS_MAX: usize = 20_000;
const PATIENCE: usize = 4_000;
