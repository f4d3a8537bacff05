//! A disk of 4,096 blocks, an engine above it, and initiators that answer what they are asked.
//!
//! Operations are carried out at once, or held until a test releases them.

use core::time::Duration;
use felio_engine::commands::TABLE;
use felio_engine::{Access, Engine, Identity, LunMap, PortConfig, TargetConfig, UnitConfig};
use felio_hal::buf::Budget;
use felio_hal::meter::Meters;
use felio_hal::port::{Login, LoginKind, TaskManagement};
use felio_hal::state::Saved;
use felio_hal::store::{
    Done, Durability, Failure, Limits, Mapping, Pass, Passed, Space, UnmapLimits, WriteCache,
};
use felio_hal::{Command, Completion, NexusId, Op, Pool, PortRequest, PortTag, StoreId, Submission, Time};
use felio_spec::cdb::Direction;
use felio_spec::protection::{Kind, Tuple};
use felio_spec::status::{TaskManagementFunction, TaskManagementResponse};
use felio_spec::{Cdb, Lun, Status, TaskAttribute};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

pub(crate) const BLOCK: usize = 512;
/// A block and what stands behind it.
pub(crate) const WHOLE: usize = BLOCK + 8;
pub(crate) const BLOCKS: u64 = 4096;

/// Two initiators.
pub(crate) const ALICE: NexusId = NexusId { reactor: 0, slot: 0, generation: 0 };
pub(crate) const BOB: NexusId = NexusId { reactor: 0, slot: 1, generation: 0 };
/// A third, who comes only where he is asked.
pub(crate) const CAROL: NexusId = NexusId { reactor: 0, slot: 2, generation: 0 };

/// Sense key, code and qualifier.
pub(crate) type Code = (u8, u8, u8);

pub(crate) struct Rig {
    pub(crate) engine: Engine,
    /// The engine of another reactor, where a test wants one: that of the nexuses whose `reactor` is 1.
    pub(crate) guest: Option<Engine>,
    pub(crate) pool: Pool,
    pub(crate) now: Time,
    pub(crate) disk: Disk,
    /// The disks of all units but the first.
    pub(crate) more: Vec<Disk>,
    /// Operations that the tests hold back.
    pub(crate) held: VecDeque<Submission>,
    pub(crate) hold: bool,
    /// Stores can copy by themselves.
    pub(crate) offload: bool,
    /// Everything that the ports were asked, but for data.
    pub(crate) said: Vec<(NexusId, Said)>,
    data_out: HashMap<PortTag, Vec<u8>>,
    /// Data-Out that is wanted and was not sent.
    pub(crate) unsent: Vec<(PortTag, felio_hal::TaskId, usize)>,
    pub(crate) send_data: bool,
    tags: u32,
}

/// How much Data-In an initiator announces: all that may come, unless the command has none and the initiator is sane.
pub(crate) fn room_for(cdb: &[u8], data_out: usize) -> u32 {
    let bytes = Cdb::new(cdb);
    let mut rows = TABLE.iter().map(|entry| entry.row).filter(|row| row.opcode == cdb[0]);
    let row = rows.find(|row| {
        row.service_action.is_none_or(|action| action.field.read(bytes.bytes()) == u64::from(action.value))
    });
    let is_out = row.is_some_and(|row| row.direction == Direction::Out);
    if data_out == 0 && is_out { 0 } else { u32::MAX }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Reply(PortTag, Reply),
    Abandon(PortTag),
    Managed(PortTag, TaskManagementResponse),
    Close,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: Status,
    pub(crate) sense: Vec<u8>,
    pub(crate) data: Vec<u8>,
    pub(crate) transfer_bytes: u64,
}

impl Reply {
    pub(crate) fn code(&self) -> Code {
        match self.sense.as_slice() {
            [] => (0, 0, 0),
            sense => (sense[2], sense[12], sense[13]),
        }
    }

    pub(crate) fn information(&self) -> Option<u32> {
        let sense = &self.sense;
        (sense[0] & 0x80 != 0).then(|| u32::from_be_bytes([sense[3], sense[4], sense[5], sense[6]]))
    }

    /// The byte that the field pointer names.
    pub(crate) fn pointer(&self) -> u16 {
        u16::from_be_bytes([self.sense[16], self.sense[17]])
    }
}

pub(crate) struct Disk {
    pub(crate) bytes: Vec<u8>,
    pub(crate) allocated: Vec<bool>,
    /// What stands behind each block.
    pub(crate) tuples: Vec<Tuple>,
    /// The type that it is formatted with.
    pub(crate) kind: Option<Kind>,
    /// What was saved, by name of the document.
    pub(crate) saved: HashMap<&'static str, Vec<u8>>,
    /// What it says of its space.
    pub(crate) space: Space,
    /// Of a unit that is a device: how it answers.
    pub(crate) device: Device,
    /// What the next operation fails with.
    pub(crate) failure: Option<Failure>,
    pub(crate) log: Vec<String>,
}

impl Disk {
    fn new(kind: Option<Kind>) -> Self {
        let blocks = index(BLOCKS);
        Self {
            bytes: vec![0; blocks * BLOCK],
            allocated: vec![false; blocks],
            tuples: vec![Tuple::FRESH; blocks],
            kind,
            saved: HashMap::new(),
            space: Space { used: 0, available: 0 },
            device: Device::default(),
            failure: None,
            log: Vec::new(),
        }
    }

    fn run(&mut self, op: Op) -> (Result<Done, Failure>, Option<felio_hal::Buf>) {
        self.log.push(name(&op));
        let failure = self.failure.take();
        let result = match (&op, failure) {
            (_, Some(failure)) => Err(failure),
            (Op::Size, None) => Ok(Done::Size(self.bytes.len().try_into().expect("small"))),
            (Op::Space, None) => Ok(Done::Space(self.space)),
            (Op::Extent { at }, None) => Ok(self.extent(*at)),
            (Op::Pass(pass), None) => Ok(Done::Passed(Box::new(self.device.answer(pass)))),
            (_, None) => Ok(Done::Done),
        };
        let went_well = result.is_ok();
        let buf = match op {
            Op::Read { at, mut buf } => {
                let (from, len) = (index(at), buf.len());
                if went_well {
                    buf.copy_from_slice(&self.bytes[from..from + len]);
                }
                Some(buf)
            }
            Op::Write { at, buf, .. } | Op::WriteAtomic { at, buf, .. } => {
                if went_well {
                    self.bytes[index(at)..index(at) + buf.len()].copy_from_slice(&buf);
                    self.mark(at, buf.len(), true);
                    self.insert(at, &buf);
                }
                Some(buf)
            }
            Op::ReadProtected { at, mut buf } => {
                for (block, whole) in (index(at) / BLOCK..).zip(buf.chunks_exact_mut(WHOLE)) {
                    whole[..BLOCK].copy_from_slice(&self.bytes[block * BLOCK..][..BLOCK]);
                    self.tuples[block].write(&mut whole[BLOCK..]);
                }
                Some(buf)
            }
            Op::WriteProtected { at, mut buf, .. } => {
                for (block, whole) in (index(at) / BLOCK..).zip(buf.chunks_exact(WHOLE)) {
                    self.bytes[block * BLOCK..][..BLOCK].copy_from_slice(&whole[..BLOCK]);
                    self.tuples[block] = Tuple::read(&whole[BLOCK..]);
                }
                buf.fill(0xee); // Nobody may rely on it.
                Some(buf)
            }
            Op::Protect { kind } => {
                self.kind = kind;
                self.tuples.fill(Tuple::FRESH);
                None
            }
            Op::Unmap { at, len } => {
                self.zero(at, len, false);
                None
            }
            Op::Zero { at, len, unmap } => {
                self.zero(at, len, !unmap);
                if !unmap {
                    self.insert(at, &vec![0; index(len)]);
                }
                None
            }
            Op::Pass(pass) => self.device.transfer(*pass),
            Op::Save(save) => {
                if went_well {
                    self.saved.insert(save.part, save.bytes);
                }
                None
            }
            Op::Flush | Op::Extent { .. } | Op::Prefetch { .. } | Op::Copy { .. } | Op::Size | Op::Space => {
                None
            }
        };
        (result, buf)
    }

    /// As a store does that keeps what stands behind blocks.
    fn insert(&mut self, at: u64, blocks: &[u8]) {
        let Some(kind) = self.kind else { return };
        for (block, bytes) in (index(at) / BLOCK..).zip(blocks.chunks_exact(BLOCK)) {
            self.tuples[block] = Tuple::inserted(kind, block.try_into().expect("small"), guard(bytes));
        }
    }

    fn zero(&mut self, at: u64, len: u64, allocated: bool) {
        self.bytes[index(at)..index(at + len)].fill(0);
        self.tuples[index(at) / BLOCK..index(at + len) / BLOCK].fill(Tuple::FRESH);
        self.mark(at, index(len), allocated);
    }

    fn mark(&mut self, at: u64, len: usize, allocated: bool) {
        let first = index(at) / BLOCK;
        self.allocated[first..first + len / BLOCK].fill(allocated);
    }

    fn extent(&self, at: u64) -> Done {
        let rest = &self.allocated[index(at) / BLOCK..];
        let run = rest.iter().take_while(|allocated| **allocated == rest[0]).count();
        let mapping = if rest[0] { Mapping::Mapped } else { Mapping::Deallocated };
        Done::Extent { mapping, len: (run * BLOCK).try_into().expect("small") }
    }
}

/// A device that answers for itself.
#[derive(Default)]
pub(crate) struct Device {
    pub(crate) data_in: Vec<u8>,
    /// What it was sent last.
    pub(crate) data_out: Vec<u8>,
    /// Sense data, with which it fails.
    pub(crate) sense: Vec<u8>,
}

impl Device {
    fn answer(&self, pass: &Pass) -> Passed {
        let room = pass.data.as_ref().map_or(0, |data| data.len());
        let transferred = if pass.direction == Direction::In { room.min(self.data_in.len()) } else { room };
        let status = if self.sense.is_empty() { Status::GOOD } else { Status::CHECK_CONDITION };
        Passed { status, sense: self.sense.clone(), transferred }
    }

    fn transfer(&mut self, pass: Pass) -> Option<felio_hal::Buf> {
        let mut data = pass.data?;
        if pass.direction == Direction::In {
            let bytes = data.len().min(self.data_in.len());
            data[..bytes].copy_from_slice(&self.data_in[..bytes]);
        } else {
            self.data_out = data.to_vec();
        }
        Some(data)
    }
}

fn name(op: &Op) -> String {
    let blocks = |bytes: usize| bytes / BLOCK;
    match op {
        Op::Read { at, buf } => format!("read {}+{}", blocks(index(*at)), blocks(buf.len())),
        Op::Write { at, buf, durability } => {
            let durable = if *durability == Durability::Durable { " durable" } else { "" };
            format!("write {}+{}{durable}", blocks(index(*at)), blocks(buf.len()))
        }
        Op::WriteAtomic { at, buf, .. } => {
            format!("write atomic {}+{}", blocks(index(*at)), blocks(buf.len()))
        }
        Op::ReadProtected { at, buf } => {
            format!("read {}+{} protected", blocks(index(*at)), buf.len() / WHOLE)
        }
        Op::WriteProtected { at, buf, durability } => {
            let durable = if *durability == Durability::Durable { " durable" } else { "" };
            format!("write {}+{} protected{durable}", blocks(index(*at)), buf.len() / WHOLE)
        }
        Op::Protect { kind } => format!("protect {}", kind.map_or(0, Kind::number)),
        Op::Flush => "flush".into(),
        Op::Unmap { at, len } => format!("unmap {}+{}", blocks(index(*at)), blocks(index(*len))),
        Op::Zero { at, len, unmap } => {
            format!(
                "zero {}+{}{}",
                blocks(index(*at)),
                blocks(index(*len)),
                if *unmap { " unmap" } else { "" }
            )
        }
        Op::Extent { at } => format!("extent {}", blocks(index(*at))),
        Op::Prefetch { at, len } => format!("prefetch {}+{}", blocks(index(*at)), blocks(index(*len))),
        Op::Copy { at, len, .. } => format!("copy {}+{}", blocks(index(*at)), blocks(index(*len))),
        Op::Size => "size".into(),
        Op::Space => "space".into(),
        Op::Save(save) => format!("save {}", save.part),
        Op::Pass(pass) => format!("pass {:?}", pass.cdb),
    }
}

/// CRC-16/T10-DIF.
pub(crate) fn guard(block: &[u8]) -> u16 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc16T10Dif, block).try_into().expect("16 bits")
}

pub(crate) fn index(at: u64) -> usize {
    at.try_into().expect("small")
}

pub(crate) fn target() -> TargetConfig {
    let limits = Limits {
        bytes: BLOCKS * 512,
        writable: true,
        logical_block_bytes: 512,
        physical_block_bytes: 4096,
        optimal_io_bytes: None,
        transfer_bytes_max: 64 << 10,
        write_cache: WriteCache::On,
        unmap: Some(UnmapLimits { granularity_bytes: 512, alignment_bytes: 0, zeroes: true, anchor: false }),
        atomic: None,
        extents: true,
        space: false,
        rotational: Some(false),
        protection: felio_hal::store::Protection::Impossible,
        state: true,
        passes: None,
    };
    let identity = Identity {
        vendor: "FELIO".into(),
        product: "disk".into(),
        revision: "1".into(),
        serial: "1".into(),
        naa: [0x60; 16],
    };
    let unit = UnitConfig {
        birth: 0,
        home: 0,
        store: StoreId(0),
        limits,
        block_bytes: 512,
        physical_block_bytes: 4096,
        read_only: false,
        removable: false,
        identity,
        access: Access::default(),
        saved: Saved::default(),
        meters: Meters::default(),
    };
    TargetConfig {
        ports: vec![PortConfig {
            target: "iqn.2026-01.net.x:t".into(),
            tag: 1,
            relative_port: 1,
            luns: Arc::new(LunMap::numbered(1)),
            initiators: BTreeMap::new(),
            meters: Meters::default(),
        }],
        epoch_millis: 1_000_000,
        units: vec![unit.into()],
        token_seed: [0; 32],
    }
}

impl Rig {
    /// Alice and Bob are logged in and have been told of it.
    pub(crate) fn new() -> Self {
        Self::with(target(), 64, 64 << 20)
    }

    pub(crate) fn with(target: TargetConfig, tasks_max: u32, pool_bytes: usize) -> Self {
        let mut rig = Self::silent(target, tasks_max, pool_bytes);
        for nexus in [ALICE, BOB] {
            rig.login(nexus);
            for lun in 0..=u16::try_from(rig.more.len()).expect("few") {
                rig.run_on(lun, nexus, &crate::cdb::TEST_UNIT_READY, &[]);
            }
        }
        rig.said.clear();
        rig.disk.log.clear();
        rig
    }

    /// Nobody is logged in. Every unit is behind every port, under the number of its place.
    pub(crate) fn silent(mut target: TargetConfig, tasks_max: u32, pool_bytes: usize) -> Self {
        let more = target.units.iter().skip(1).map(|unit| Disk::new(unit.limits.protection.kind())).collect();
        let kind = target.unit_mut(0).limits.protection.kind();
        let luns = Arc::new(LunMap::numbered(target.units.len().try_into().expect("few")));
        for port in &mut target.ports {
            port.luns = Arc::clone(&luns);
        }
        Self {
            engine: Engine::new(Arc::new(target), 0, tasks_max),
            guest: None,
            pool: Pool::new(Budget::new(pool_bytes)),
            now: Time(1),
            disk: Disk::new(kind),
            more,
            held: VecDeque::new(),
            hold: false,
            offload: false,
            said: Vec::new(),
            data_out: HashMap::new(),
            unsent: Vec::new(),
            send_data: true,
            tags: 0,
        }
    }

    pub(crate) fn login(&mut self, nexus: NexusId) {
        self.login_at(nexus, 1);
    }

    /// A login at the target port with this tag.
    pub(crate) fn login_at(&mut self, nexus: NexusId, tag: u16) {
        self.login_as(nexus, nexus.slot, tag);
    }

    /// A login of an initiator at the target port with this tag.
    pub(crate) fn login_as(&mut self, nexus: NexusId, initiator: u32, target_port_tag: u16) {
        let login = Login {
            initiator_port: format!("iqn.2026-01.net.x:i{initiator},i,0x1"),
            initiator: format!("iqn.2026-01.net.x:i{initiator}"),
            target: "iqn.2026-01.net.x:t".into(),
            target_port_tag,
            kind: LoginKind::Normal,
            session: 0,
            terms: Arc::default(),
        };
        for engine in [&mut self.engine].into_iter().chain(&mut self.guest) {
            engine.handle_login(self.now, nexus, &login, &Meters::default());
        }
    }

    /// The operator changes the configuration. Units that are new have disks of their own.
    pub(crate) fn configure(&mut self, target: &TargetConfig) {
        while self.more.len() + 1 < target.units.len() {
            self.more.push(Disk::new(None));
        }
        for engine in [&mut self.engine].into_iter().chain(&mut self.guest) {
            engine.handle_config(self.now, Arc::new(target.clone()), &mut self.pool);
        }
        self.pump();
    }

    /// The engine of a reactor.
    fn engine_of(&mut self, reactor: u16) -> (&mut Engine, &mut Pool) {
        let engine = match reactor {
            0 => &mut self.engine,
            _ => self.guest.as_mut().expect("a guest"),
        };
        (engine, &mut self.pool)
    }

    /// Sends a command and lets happen what can.
    pub(crate) fn send(&mut self, nexus: NexusId, cdb: &[u8], data_out: &[u8]) -> PortTag {
        self.send_as(TaskAttribute::Simple, nexus, cdb, data_out)
    }

    pub(crate) fn send_as(
        &mut self,
        attribute: TaskAttribute,
        nexus: NexusId,
        cdb: &[u8],
        data_out: &[u8],
    ) -> PortTag {
        self.send_to(Lun::default(), attribute, nexus, cdb, data_out)
    }

    /// Sends a command that announces other data than it has.
    pub(crate) fn run_announcing(
        &mut self,
        nexus: NexusId,
        cdb: &[u8],
        expect_in: u32,
        expect_out: u32,
    ) -> Reply {
        let (tag, now) = (self.tag(), self.now);
        let (lun, attribute) = (Lun::default(), TaskAttribute::Simple);
        let command = Command { tag, lun, attribute, cdb: Cdb::new(cdb), expect_out, expect_in };
        let (engine, pool) = self.engine_of(nexus.reactor);
        engine.handle_command(now, nexus, command, pool);
        self.pump();
        self.reply(tag).expect("the command is answered")
    }

    pub(crate) fn send_to(
        &mut self,
        lun: Lun,
        attribute: TaskAttribute,
        nexus: NexusId,
        cdb: &[u8],
        data_out: &[u8],
    ) -> PortTag {
        let tag = self.tag();
        self.data_out.insert(tag, data_out.to_vec());
        let command = Command {
            tag,
            lun,
            attribute,
            cdb: Cdb::new(cdb),
            expect_out: data_out.len().try_into().expect("small"),
            expect_in: room_for(cdb, data_out.len()),
        };
        let now = self.now;
        let (engine, pool) = self.engine_of(nexus.reactor);
        engine.handle_command(now, nexus, command, pool);
        self.pump();
        tag
    }

    /// Sends a command that is answered at once.
    pub(crate) fn run(&mut self, nexus: NexusId, cdb: &[u8], data_out: &[u8]) -> Reply {
        let tag = self.send(nexus, cdb, data_out);
        self.reply(tag).expect("the command is answered")
    }

    /// Sends a command to a unit, which is answered at once.
    pub(crate) fn run_on(&mut self, lun: u16, nexus: NexusId, cdb: &[u8], data_out: &[u8]) -> Reply {
        let tag = self.send_on(lun, nexus, cdb, data_out);
        self.reply(tag).expect("the command is answered")
    }

    /// Sends a command to a unit.
    pub(crate) fn send_on(&mut self, lun: u16, nexus: NexusId, cdb: &[u8], data_out: &[u8]) -> PortTag {
        let lun = Lun::from_number(lun).expect("a LUN");
        self.send_to(lun, TaskAttribute::Simple, nexus, cdb, data_out)
    }

    /// Sends a command of Alice's and returns its status and sense code.
    pub(crate) fn ask(&mut self, cdb: &[u8], data_out: &[u8]) -> (Status, Code) {
        let reply = self.run(ALICE, cdb, data_out);
        (reply.status, reply.code())
    }

    /// Alice changes the control mode page; what that tells the others has been told.
    pub(crate) fn set_control(&mut self, change: impl FnOnce(&mut [u8])) {
        let mut list = self.run(ALICE, &[0x1a, 0x08, 0x0a, 0, 255, 0], &[]).data;
        (list[0], list[2]) = (0, 0);
        list[4] &= 0x3f;
        change(&mut list[4..]);
        let length = u8::try_from(list.len()).expect("small");
        assert_eq!(self.run(ALICE, &[0x15, 0x10, 0, 0, length, 0], &list).status, Status::GOOD);
        self.run(BOB, &crate::cdb::REQUEST_SENSE, &[]);
    }

    pub(crate) fn manage(
        &mut self,
        nexus: NexusId,
        function: TaskManagementFunction,
        referenced: Option<PortTag>,
    ) -> PortTag {
        let tag = self.tag();
        let management = TaskManagement { tag, function, lun: Lun::default(), referenced };
        use TaskManagementFunction::{ITNexusReset, TargetColdReset, TargetWarmReset};
        let now = self.now;
        // What concerns several units is told to the engines of all reactors.
        let is_for_all = matches!(function, ITNexusReset | TargetColdReset | TargetWarmReset);
        for reactor in
            if is_for_all && self.guest.is_some() { 0..2 } else { nexus.reactor..nexus.reactor + 1 }
        {
            let (engine, pool) = self.engine_of(reactor);
            engine.handle_task_management(now, nexus, management, pool);
        }
        self.pump();
        tag
    }

    pub(crate) fn lose(&mut self, nexus: NexusId) {
        for engine in [&mut self.engine].into_iter().chain(&mut self.guest) {
            engine.handle_nexus_loss(self.now, nexus, &mut self.pool);
        }
        self.pump();
    }

    /// Carries out the oldest held operation.
    pub(crate) fn release(&mut self) {
        let submission = self.held.pop_front().expect("an operation is held");
        self.complete(submission);
        self.pump();
    }

    /// Carries out all held operations before anybody hears of any.
    pub(crate) fn release_together(&mut self) {
        for submission in core::mem::take(&mut self.held) {
            self.complete(submission);
        }
        self.pump();
    }

    pub(crate) fn release_all(&mut self) {
        while !self.held.is_empty() {
            self.release();
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.engine.handle_timeout(self.now, &mut self.pool);
        self.pump();
    }

    pub(crate) fn reply(&self, tag: PortTag) -> Option<Reply> {
        self.said.iter().find_map(|(_, said)| match said {
            Said::Reply(of, reply) if *of == tag => Some(reply.clone()),
            _ => None,
        })
    }

    pub(crate) fn managed(&self, tag: PortTag) -> Option<TaskManagementResponse> {
        self.said.iter().find_map(|(_, said)| match said {
            Said::Managed(of, response) if *of == tag => Some(*response),
            _ => None,
        })
    }

    pub(crate) fn is_abandoned(&self, tag: PortTag) -> bool {
        self.said.iter().any(|(_, said)| *said == Said::Abandon(tag))
    }

    /// The data that a command still waits for arrive.
    pub(crate) fn deliver(&mut self) {
        self.deliver_to(0);
    }

    /// The same, by its place among those that wait.
    fn deliver_to(&mut self, at: usize) {
        let (tag, task, bytes) = self.unsent.remove(at);
        let mut buf = self.pool.take(bytes).expect("a buffer");
        buf.copy_from_slice(&self.data_out[&tag][..bytes]);
        let now = self.now;
        let (engine, pool) = self.engine_of(task.reactor);
        engine.handle_data_out(now, task, buf, pool);
        self.pump();
    }

    /// Whether there is a buffer for the next data.
    pub(crate) fn can_deliver(&mut self) -> bool {
        let Some(buf) = self.pool.take(self.unsent[0].2) else { return false };
        self.pool.give(buf);
        true
    }

    pub(crate) fn held_names(&self) -> Vec<String> {
        self.held.iter().map(|submission| name(&submission.op)).collect()
    }

    pub(crate) fn blocks(&self, lba: usize, count: usize) -> &[u8] {
        &self.disk.bytes[lba * BLOCK..(lba + count) * BLOCK]
    }

    pub(crate) fn pump(&mut self) {
        loop {
            self.carry_letters();
            let Self { engine, guest, .. } = self;
            if let Some((nexus, request)) = engine.poll_request() {
                if let Some(guest) = guest.as_mut().filter(|_| nexus.reactor != 0) {
                    guest.handle_answer(nexus, &request);
                }
                self.answer(nexus, request);
            } else if let Some((nexus, request)) = guest.as_mut().and_then(Engine::poll_request) {
                self.answer(nexus, request);
            } else if let Some(submission) =
                engine.poll_submission().or_else(|| guest.as_mut()?.poll_submission())
            {
                // Most of the tests look at reads and writes.
                if self.hold && (self.offload || !matches!(submission.op, Op::Copy { .. })) {
                    self.held.push_back(submission);
                } else {
                    self.complete(submission);
                }
            } else {
                return;
            }
        }
    }

    fn carry_letters(&mut self) {
        let Self { engine, guest: Some(guest), pool, now, .. } = self else { return };
        while let Some((from, (_, letter))) = engine
            .poll_letter()
            .map(|letter| (0, letter))
            .or_else(|| guest.poll_letter().map(|letter| (1, letter)))
        {
            let to = if from == 0 { &mut *guest } else { &mut *engine };
            to.handle_letter(*now, from, letter, pool);
        }
    }

    fn tag(&mut self) -> PortTag {
        self.tags += 1;
        PortTag(self.tags)
    }

    fn answer(&mut self, nexus: NexusId, request: PortRequest) {
        let said = match request {
            PortRequest::Solicit { tag, task, bytes } => {
                self.unsent.push((tag, task, bytes.try_into().expect("small")));
                if self.send_data {
                    self.deliver_to(self.unsent.len() - 1);
                }
                return;
            }
            PortRequest::Respond(response) => {
                let data = response.data.as_deref().map(<[u8]>::to_vec).unwrap_or_default();
                if let Some(buf) = response.data {
                    self.pool.give(buf);
                }
                let reply = Reply {
                    status: response.status,
                    sense: response.sense.map(|sense| sense.bytes().to_vec()).unwrap_or_default(),
                    data,
                    transfer_bytes: response.transfer_bytes,
                };
                let answered = self.said.iter().any(|(_, said)| {
                    matches!(said, Said::Reply(tag, _) | Said::Abandon(tag) if *tag == response.tag)
                });
                assert!(!answered, "a command is answered once");
                Said::Reply(response.tag, reply)
            }
            PortRequest::Abandon { tag } => Said::Abandon(tag),
            PortRequest::TaskManagementResult { tag, response } => Said::Managed(tag, response),
            PortRequest::Close(_) => Said::Close,
            other => panic!("nobody asked for {other:?}"),
        };
        self.said.push((nexus, said));
    }

    fn disk_mut(&mut self, store: StoreId) -> &mut Disk {
        match index(u64::from(store.0)) {
            0 => &mut self.disk,
            other => &mut self.more[other - 1],
        }
    }

    fn copy_by_store(
        &mut self,
        (from, from_at): (StoreId, usize),
        (to, at): (StoreId, usize),
        len: usize,
    ) -> Result<Done, Failure> {
        if !self.offload {
            return Err(Failure::NotPossible);
        }
        let data = self.disk_mut(from).bytes[from_at..from_at + len].to_vec();
        let disk = self.disk_mut(to);
        disk.log.push(format!("copy {}+{}", at / BLOCK, len / BLOCK));
        if let Some(failure) = disk.failure.take() {
            return Err(failure);
        }
        disk.bytes[at..at + len].copy_from_slice(&data);
        disk.mark(at.try_into().expect("small"), len, true);
        Ok(Done::Done)
    }

    pub(crate) fn complete(&mut self, submission: Submission) {
        let Submission { store, task, op } = submission;
        if let Op::Copy { from, from_at, at, len } = op {
            let result = self.copy_by_store((from, index(from_at)), (store, index(at)), index(len));
            let completion = Completion { store, task, result, buf: None };
            return self.engine.handle_completion(self.now, completion, &mut self.pool);
        }
        let (result, buf) = self.disk_mut(store).run(op);
        let completion = Completion { store, task, result, buf };
        let now = self.now;
        let (engine, pool) = self.engine_of(task.reactor);
        engine.handle_completion(now, completion, pool);
    }
}
