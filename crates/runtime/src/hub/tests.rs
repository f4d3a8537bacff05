//! The hub between a port, a world and stores that do as they are told.

use super::*;
use core::cell::RefCell;
use felio_engine::{Access, LunMap, PortConfig};
use felio_hal::buf::Budget;
use felio_hal::meter::Meters;
use felio_hal::port::{Command, Fatal, Login, LoginKind, LossReason, PortEvent, TaskManagement};
use felio_hal::state::Saved;
use felio_hal::{Limits, NexusId, PortTag, StoreQueue, Submission};
use felio_spec::status::TaskManagementResponse;
use felio_spec::{Cdb, Lun, TaskAttribute, TaskManagementFunction};
use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::rc::Rc;
use std::sync::Arc;

/// What a port was asked, what it will do, and what it has to say.
#[derive(Debug, Default)]
struct Script {
    seen: Vec<String>,
    events: VecDeque<PortEvent>,
    /// What it has to say once something was sent.
    after_sending: Option<PortEvent>,
    /// How many bytes it takes at most, all together.
    appetite: Option<usize>,
    fatal: Option<&'static str>,
    finished: bool,
    timeout: Option<Time>,
    hoards: Option<&'static str>,
}

/// A port that follows its script and has these bytes to send.
#[derive(Clone, Debug, Default)]
struct FakePort(Rc<RefCell<Script>>, Vec<u8>);

impl Port for FakePort {
    fn handle_input(&mut self, _now: Time, bytes: &[u8], _pool: &mut Pool) -> Result<usize, Fatal> {
        let mut script = self.0.borrow_mut();
        if let Some(fatal) = script.fatal {
            return Err(Fatal(fatal));
        }
        let taken = bytes.len().min(script.appetite.unwrap_or(usize::MAX));
        if let Some(appetite) = &mut script.appetite {
            *appetite -= taken;
        }
        script.seen.push(format!("input {taken} of {}", bytes.len()));
        Ok(taken)
    }

    fn sink(&mut self) -> Option<&mut [u8]> {
        None
    }

    fn handle_sink(&mut self, _now: Time, _count: usize, _pool: &mut Pool) -> Result<(), Fatal> {
        Ok(())
    }

    fn handle_closed(&mut self, _pool: &mut Pool) {
        self.0.borrow_mut().seen.push("closed".to_owned());
    }

    fn handle_request(&mut self, _now: Time, request: PortRequest, _pool: &mut Pool) {
        let mut script = self.0.borrow_mut();
        if let PortRequest::Close(reason) = request {
            script.events.push_back(PortEvent::NexusLoss { reason });
            script.finished = true;
        }
        script.seen.push(format!("{request:?}"));
    }

    fn handle_timeout(&mut self, _now: Time) -> Result<(), Fatal> {
        self.0.borrow_mut().timeout = None;
        Err(Fatal("late"))
    }

    fn poll_event(&mut self) -> Option<PortEvent> {
        self.0.borrow_mut().events.pop_front()
    }

    fn output<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>, budget: usize) {
        if !self.1.is_empty() {
            slices.push(IoSlice::new(&self.1[..self.1.len().min(budget)]));
        }
    }

    fn has_output(&self) -> bool {
        !self.1.is_empty()
    }

    fn handle_sent(&mut self, _now: Time, count: usize, _pool: &mut Pool) {
        self.1.drain(..count);
        let mut script = self.0.borrow_mut();
        let event = script.after_sending.take();
        script.events.extend(event);
    }

    fn hoards(&self, _now: Time) -> Option<Fatal> {
        self.0.borrow().hoards.map(Fatal)
    }

    fn is_finished(&self) -> bool {
        self.0.borrow().finished
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.0.borrow().timeout
    }
}

/// A world in which everything is written down.
#[derive(Debug, Default)]
struct World {
    incoming: VecDeque<usize>,
    room: Option<usize>,
    log: Vec<String>,
    posted: Vec<(u16, Message)>,
    events: Vec<Event>,
    stores: Stores,
}

#[derive(Debug, Default)]
struct Stores {
    done: Vec<Completion>,
    /// Nothing comes home.
    hangs: bool,
    hung: Vec<Submission>,
}

impl StoreQueue for Stores {
    fn submit(&mut self, submission: Submission) -> Result<(), Submission> {
        if self.hangs {
            self.hung.push(submission);
            return Ok(());
        }
        let Submission { store, task, .. } = submission;
        self.done.push(Completion { store, task, result: Ok(felio_hal::store::Done::Done), buf: None });
        Ok(())
    }

    fn kick(&mut self) {}

    fn reap(&mut self, done: &mut Vec<Completion>) {
        done.append(&mut self.done);
    }
}

impl Io for World {
    fn receive(&mut self, _conn: NexusId, _into: &mut [IoSliceMut<'_>]) -> Received {
        match self.incoming.pop_front() {
            None => Received::Empty,
            Some(0) => Received::Closed,
            Some(bytes) => Received::Data { bytes, drained: self.incoming.is_empty() },
        }
    }

    fn send(&mut self, conn: NexusId, from: &[IoSlice<'_>]) -> Sent {
        let offered: usize = from.iter().map(|slice| slice.len()).sum();
        let bytes = offered.min(self.room.unwrap_or(usize::MAX));
        self.log.push(format!("send {bytes} to {}", conn.slot));
        Sent::Data { bytes, full: bytes < offered }
    }

    fn close(&mut self, conn: NexusId) {
        self.log.push(format!("close {}", conn.slot));
    }

    fn now(&self) -> Time {
        Time(0)
    }

    fn stores(&mut self) -> &mut dyn StoreQueue {
        &mut self.stores
    }

    fn post(&mut self, reactor: u16, message: Message) {
        self.posted.push((reactor, message));
    }

    fn tell(&mut self, event: Event) {
        self.events.push(event);
    }
}

const NOW: Time = Time(1_000);

fn target() -> Arc<TargetConfig> {
    let limits = Limits {
        bytes: 1 << 20,
        writable: true,
        logical_block_bytes: 1,
        physical_block_bytes: 512,
        optimal_io_bytes: None,
        transfer_bytes_max: 1 << 20,
        write_cache: felio_hal::store::WriteCache::On,
        unmap: None,
        atomic: None,
        extents: false,
        space: false,
        rotational: None,
        protection: felio_hal::store::Protection::Impossible,
        state: false,
        passes: None,
    };
    let identity = felio_engine::Identity {
        vendor: "v".to_owned(),
        product: "p".to_owned(),
        revision: "r".to_owned(),
        serial: "s".to_owned(),
        naa: [0x60; 16],
    };
    let unit = |number: u16| UnitConfig {
        birth: number.into(),
        home: number,
        store: StoreId(number.into()),
        limits: limits.clone(),
        block_bytes: 512,
        physical_block_bytes: 512,
        read_only: false,
        removable: false,
        identity: identity.clone(),
        access: Access::default(),
        saved: Saved::default(),
        meters: Meters::default(),
    };
    let units = [unit(0), unit(1)].map(Arc::new).to_vec();
    Arc::new(TargetConfig {
        ports: vec![PortConfig {
            target: "iqn.t".to_owned(),
            tag: 1,
            relative_port: 1,
            luns: Arc::new(LunMap::numbered(2)),
            initiators: BTreeMap::new(),
            meters: Meters::default(),
        }],
        epoch_millis: 0,
        units,
        token_seed: [0; 32],
    })
}

fn hub(reactors: u16) -> Hub<FakePort> {
    let config =
        HubConfig { reactor: 0, reactors, connections_max: 8, logins_max: 2, sessions_max: 8, tasks_max: 8 };
    Hub::new(config, &target(), Pool::new(Budget::new(1 << 20)))
}

fn connect(hub: &mut Hub<FakePort>, world: &mut World) -> (NexusId, Rc<RefCell<Script>>) {
    connect_saying(hub, world, 0)
}

/// A connection whose port has so many bytes to send.
fn connect_saying(
    hub: &mut Hub<FakePort>,
    world: &mut World,
    output: usize,
) -> (NexusId, Rc<RefCell<Script>>) {
    let script = Rc::new(RefCell::new(Script::default()));
    let port = FakePort(Rc::clone(&script), vec![0; output]);
    let peer = SocketAddr::from(([127, 0, 0, 1], 9));
    let nexus = hub.handle_accept(NOW, port, peer, world).expect("there is room");
    (nexus, script)
}

fn login(hub: &mut Hub<FakePort>, world: &mut World) -> (NexusId, Rc<RefCell<Script>>) {
    let (nexus, script) = connect(hub, world);
    script.borrow_mut().events.push_back(PortEvent::Login(Login {
        initiator_port: "iqn.i,i,0x1".to_owned(),
        initiator: "iqn.i".to_owned(),
        target: "iqn.t".to_owned(),
        target_port_tag: 1,
        kind: LoginKind::Normal,
        session: 0,
        terms: Arc::default(),
    }));
    settle(hub, world);
    (nexus, script)
}

fn settle(hub: &mut Hub<FakePort>, world: &mut World) {
    for _ in 0..16 {
        hub.turn(NOW, world);
        if !hub.is_busy() {
            return;
        }
    }
    unreachable!("the hub does not come to rest");
}

/// A command to unit 0.
fn command(tag: u32, cdb: &[u8], expect_in: u32) -> PortEvent {
    PortEvent::Command(Command {
        tag: PortTag(tag),
        lun: Lun::default(),
        attribute: TaskAttribute::Simple,
        cdb: Cdb::new(cdb),
        expect_out: 0,
        expect_in,
    })
}

/// A session with a read that does not come home.
fn hung(hub: &mut Hub<FakePort>, world: &mut World) -> (NexusId, Rc<RefCell<Script>>) {
    let (nexus, script) = login(hub, world);
    let request_sense = command(0, &[0x03, 0, 0, 0, 18, 0], 18);
    let read = command(1, &[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], 512);
    script.borrow_mut().events.extend([request_sense, read]);
    world.incoming = VecDeque::from([48]);
    world.stores.hangs = true;
    hub.handle_readable(nexus);
    settle(hub, world);
    assert_eq!(world.stores.hung.len(), 1);
    (nexus, script)
}

fn function(tag: u32, function: TaskManagementFunction) -> PortEvent {
    PortEvent::TaskManagement(TaskManagement {
        tag: PortTag(tag),
        function,
        lun: Lun::default(),
        referenced: None,
    })
}

#[test]
fn what_a_port_cannot_take_is_offered_again_and_nothing_is_read_meanwhile() {
    let (mut hub, mut world) = (hub(1), World::default());
    let (nexus, script) = connect(&mut hub, &mut world);
    script.borrow_mut().appetite = Some(60);
    world.incoming = VecDeque::from([100, 7]);
    settle(&mut hub, &mut world);
    assert_eq!(world.incoming.len(), 1);
    script.borrow_mut().appetite = None;
    hub.handle_readable(nexus);
    settle(&mut hub, &mut world);
    assert_eq!(script.borrow().seen, ["input 60 of 100", "input 40 of 40", "input 7 of 7"]);
}

#[test]
fn a_session_that_is_not_admitted_any_more_is_asked_to_leave() {
    let (mut hub, mut world) = (hub(1), World::default());
    let (_, script) = login(&mut hub, &mut world);
    hub.handle_config(NOW, &target(), |login, _| login.initiator == "iqn.i");
    settle(&mut hub, &mut world);
    assert_eq!(script.borrow().seen.last().map(String::as_str), Some("Admit { session: 1 }"));
    hub.handle_config(NOW, &target(), |_, _| false);
    settle(&mut hub, &mut world);
    assert_eq!(script.borrow().seen.last().map(String::as_str), Some("RequestLogout { within: 3s }"));
}

#[test]
fn a_connection_that_ends_before_all_its_input_was_read_leaves_nothing_to_do() {
    let (mut hub, mut world) = (hub(1), World::default());
    let (_, script) = connect(&mut hub, &mut world);
    script.borrow_mut().timeout = Some(NOW);
    world.incoming = VecDeque::from([RECEIVE_BYTES, 7]);
    settle(&mut hub, &mut world);
    assert_eq!((hub.connections(), world.incoming.len(), hub.poll_timeout()), (0, 1, None));
}

#[test]
fn stalled_input_is_retried_by_itself() {
    let (mut hub, mut world) = (hub(1), World::default());
    let (_, script) = connect(&mut hub, &mut world);
    script.borrow_mut().appetite = Some(0);
    world.incoming = VecDeque::from([5]);
    settle(&mut hub, &mut world);
    assert_eq!(hub.poll_timeout(), Some(NOW + STALL_RETRY));
}

#[test]
fn a_peer_that_takes_no_more_is_sent_nothing_until_it_does() {
    let (mut hub, mut world) = (hub(1), World::default());
    world.room = Some(10);
    let (nexus, _) = connect_saying(&mut hub, &mut world, 25);
    settle(&mut hub, &mut world);
    settle(&mut hub, &mut world);
    assert_eq!(world.log, ["send 10 to 0"]);
    world.room = None;
    hub.handle_writable(nexus);
    settle(&mut hub, &mut world);
    assert_eq!(world.log, ["send 10 to 0", "send 15 to 0"]);
}

#[test]
fn what_a_port_tells_after_sending_is_done_without_another_event() {
    let (mut hub, mut world) = (hub(1), World::default());
    let (_, script) = connect_saying(&mut hub, &mut world, 48);
    script.borrow_mut().after_sending = Some(function(7, TaskManagementFunction::LogicalUnitReset));
    settle(&mut hub, &mut world);
    // It has not logged in: there is no unit for it.
    let answer = "TaskManagementResult { tag: PortTag(7), response: IncorrectLun }";
    assert_eq!(script.borrow().seen, [answer]);
}

#[test]
fn a_connection_alone_sends_much_at_a_time() {
    let (mut hub, mut world) = (hub(1), World::default());
    connect_saying(&mut hub, &mut world, 3 * SEND_BYTES);
    hub.turn(NOW, &mut world);
    assert_eq!(world.log, [format!("send {SEND_BYTES} to 0")]);
}

#[test]
fn a_heavy_connection_comes_last_and_sends_little_in_company() {
    let (mut hub, mut world) = (hub(1), World { room: Some(0), ..World::default() });
    let (heavy, _) = connect_saying(&mut hub, &mut world, 3 * SEND_BYTES);
    world.incoming = VecDeque::from([1]);
    settle(&mut hub, &mut world);
    hub.handle_writable(heavy);
    connect_saying(&mut hub, &mut world, 1);
    (world.incoming, world.room) = (VecDeque::from([1]), None);
    hub.turn(NOW, &mut world);
    assert_eq!(world.log[1..], ["send 1 to 1".to_owned(), format!("send {SEND_BYTES_MIN} to 0")]);
    // That one moved little: as long as it may come again, turns are short.
    hub.turn(NOW, &mut world);
    assert_eq!(world.log[3..], [format!("send {SEND_BYTES_LIGHT} to 0")]);
    hub.turn(NOW + COMPANY, &mut world);
    assert_eq!(world.log[4..], [format!("send {SEND_BYTES} to 0")]);
}

#[test]
fn what_says_why_is_sent_before_a_fatal_end() {
    let (mut hub, mut world) = (hub(1), World::default());
    let (_, script) = connect_saying(&mut hub, &mut world, 48);
    script.borrow_mut().fatal = Some("nonsense");
    world.incoming = VecDeque::from([5]);
    settle(&mut hub, &mut world);
    assert_eq!(world.log, ["send 48 to 0", "close 0"]);
    assert_eq!(world.events, [Event::Dropped { peer: ([127, 0, 0, 1], 9).into(), cause: "nonsense" }]);
}

#[test]
fn a_deadline_ends_what_its_port_gives_up() {
    let (mut hub, mut world) = (hub(1), World::default());
    let (_, script) = connect(&mut hub, &mut world);
    script.borrow_mut().timeout = Some(Time(5_000));
    settle(&mut hub, &mut world);
    assert_eq!(hub.poll_timeout(), Some(Time(5_000)));
    hub.turn(Time(5_000), &mut world);
    assert_eq!(world.log, ["close 0"]);
}

#[test]
fn the_oldest_login_makes_room_for_a_new_one() {
    let (mut hub, mut world) = (hub(1), World::default());
    for _ in 0..3 {
        connect(&mut hub, &mut world);
    }
    assert_eq!((world.log.as_slice(), hub.connections()), ([String::from("close 0")].as_slice(), 2));
}

#[test]
fn a_login_is_admitted_and_told() {
    let (mut hub, mut world) = (hub(1), World::default());
    let (_, script) = login(&mut hub, &mut world);
    assert_eq!(script.borrow().seen, ["Admit { session: 1 }"]);
    assert!(matches!(world.events[..], [Event::Login { session: 1, .. }]));
}

#[test]
fn a_session_is_gone_before_its_successor_is_admitted() {
    let (mut hub, mut world) = (hub(1), World::default());
    let (_, old) = login(&mut hub, &mut world);
    let (_, new) = login(&mut hub, &mut world);
    assert_eq!(old.borrow().seen[1..], ["Close(Reinstated)", "closed"]);
    assert_eq!(new.borrow().seen, ["Admit { session: 2 }"]);
    let reasons = world
        .events
        .iter()
        .filter(|event| matches!(event, Event::Logout { session: 1, reason: LossReason::Reinstated, .. }));
    assert_eq!(reasons.count(), 1);
}

#[test]
fn the_successor_waits_until_every_reactor_has_forgotten_the_old_one() {
    let (mut hub, mut world) = (hub(2), World::default());
    let (old, _) = login(&mut hub, &mut world);
    let (_, new) = login(&mut hub, &mut world);
    assert!(new.borrow().seen.is_empty());
    hub.handle_message(Message::NexusGone { nexus: old });
    settle(&mut hub, &mut world);
    assert_eq!(new.borrow().seen, ["Admit { session: 2 }"]);
}

#[test]
fn the_successor_does_not_wait_for_ever_for_an_operation_that_hangs() {
    let (mut hub, mut world) = (hub(1), World::default());
    hung(&mut hub, &mut world);
    let (_, new) = login(&mut hub, &mut world);
    assert!(new.borrow().seen.is_empty());
    let at = hub.poll_timeout().expect("a deadline");
    assert!(at <= NOW + Duration::from_secs(10));
    hub.turn(at, &mut world);
    hub.turn(at, &mut world);
    assert_eq!(new.borrow().seen, ["Admit { session: 2 }"]);
}

#[test]
fn a_function_is_answered_though_an_operation_hangs() {
    let (mut hub, mut world) = (hub(1), World::default());
    let (nexus, script) = hung(&mut hub, &mut world);
    script.borrow_mut().events.push_back(function(7, TaskManagementFunction::LogicalUnitReset));
    world.incoming = VecDeque::from([48]);
    hub.handle_readable(nexus);
    settle(&mut hub, &mut world);
    let answer = "TaskManagementResult { tag: PortTag(7), response: FunctionComplete }";
    assert!(!script.borrow().seen.iter().any(|line| line == answer));
    hub.turn(NOW + Duration::from_secs(10), &mut world);
    hub.turn(NOW + Duration::from_secs(10), &mut world);
    assert!(script.borrow().seen.iter().any(|line| line == answer));
}

#[test]
fn a_command_goes_to_the_reactor_where_its_unit_is_at_home() {
    let (mut hub, mut world) = (hub(2), World::default());
    let (_, script) = login(&mut hub, &mut world);
    world.posted.clear();
    let cdb = Cdb::new(&[0; 6]);
    let command = Command {
        tag: PortTag(0),
        lun: Lun::from_number(1).expect("in range"),
        attribute: TaskAttribute::Simple,
        cdb,
        expect_out: 0,
        expect_in: 0,
    };
    script.borrow_mut().events.push_back(PortEvent::Command(command));
    world.incoming = VecDeque::from([48]);
    hub.handle_readable(NexusId { reactor: 0, slot: 0, generation: 0 });
    settle(&mut hub, &mut world);
    assert!(matches!(world.posted[..], [(1, Message::Letter { from: 0, .. })]));
}

#[test]
fn what_is_for_a_copy_manager_goes_to_its_reactor_and_not_to_the_port() {
    let (mut hub, mut world) = (hub(2), World::default());
    let (nexus, script) = login(&mut hub, &mut world);
    world.posted.clear();
    script.borrow_mut().seen.clear();
    for reactor in [0, 1] {
        let request = PortRequest::Abandon { tag: PortTag::of_piece(reactor, 5) };
        hub.handle_message(Message::Request { nexus, request });
    }
    settle(&mut hub, &mut world);
    assert!(matches!(world.posted[..], [(1, Message::Request { .. })]));
    assert!(script.borrow().seen.is_empty());
}

#[test]
fn a_target_reset_is_answered_once_every_reactor_has() {
    let (mut hub, mut world) = (hub(2), World::default());
    let (nexus, script) = login(&mut hub, &mut world);
    world.posted.clear();
    script.borrow_mut().events.push_back(function(7, TaskManagementFunction::TargetWarmReset));
    world.incoming = VecDeque::from([48]);
    hub.handle_readable(nexus);
    settle(&mut hub, &mut world);
    assert!(matches!(world.posted[..], [(1, Message::TaskManagement { .. })]));
    let answers =
        || script.borrow().seen.iter().filter(|line| line.starts_with("TaskManagementResult")).count();
    assert_eq!(answers(), 0);
    let (tag, response) = (PortTag(7), TaskManagementResponse::FunctionComplete);
    let request = PortRequest::TaskManagementResult { tag, response };
    hub.handle_message(Message::Request { nexus, request });
    settle(&mut hub, &mut world);
    assert_eq!(answers(), 1);
}

#[test]
fn a_buffer_of_another_reactor_is_sent_home() {
    let (mut hub, mut world) = (hub(2), World::default());
    let buf = Pool::of(1, Budget::new(4096)).take(1).expect("within budget");
    hub.handle_message(Message::Buffers(vec![buf]));
    settle(&mut hub, &mut world);
    assert!(matches!(&world.posted[..], [(1, Message::Buffers(bufs))] if bufs.len() == 1));
}

#[test]
fn a_session_that_the_operator_ends_is_asked_to_leave_and_no_other() {
    let (mut hub, mut world) = (hub(1), World::default());
    let (_, script) = login(&mut hub, &mut world);
    hub.handle_session_end(NOW, 2);
    settle(&mut hub, &mut world);
    assert_eq!(script.borrow().seen.last().map(String::as_str), Some("Admit { session: 1 }"));
    hub.handle_session_end(NOW, 1);
    settle(&mut hub, &mut world);
    assert_eq!(script.borrow().seen.last().map(String::as_str), Some("RequestLogout { within: 3s }"));
}

#[test]
fn stopping_asks_then_closes_then_flushes() {
    let (mut hub, mut world) = (hub(1), World::default());
    let (_, script) = login(&mut hub, &mut world);
    let grace = Duration::from_secs(1);
    hub.handle_stop(NOW, grace);
    settle(&mut hub, &mut world);
    assert_eq!(script.borrow().seen[1..], ["RequestLogout { within: 1s }"]);
    hub.turn(NOW + grace, &mut world);
    for _ in 0..8 {
        hub.turn(NOW + grace, &mut world);
    }
    assert_eq!(script.borrow().seen[2..], ["Close(Administrative)", "closed"]);
    assert!(hub.is_stopped());
}

#[test]
fn stopping_ends_though_an_operation_hangs() {
    let (mut hub, mut world) = (hub(1), World::default());
    hung(&mut hub, &mut world);
    hub.handle_stop(NOW, Duration::ZERO);
    let mut now = NOW;
    while !hub.is_stopped() {
        now = hub.poll_timeout().unwrap_or(now).max(now);
        assert!(
            now <= NOW + Duration::from_secs(71),
            "ten seconds for the operation, a minute for the other flush"
        );
        hub.turn(now, &mut world);
    }
    let failures = world.events.iter().filter(|event| matches!(event, Event::FlushFailed { .. }));
    assert_eq!(failures.count(), 1);
    assert_eq!(world.stores.hung.len(), 1, "what hangs is asked for nothing more");
}

#[test]
fn stopping_ends_though_a_flush_hangs() {
    let (mut hub, mut world) = (hub(1), World::default());
    world.stores.hangs = true;
    hub.handle_stop(NOW, Duration::ZERO);
    settle(&mut hub, &mut world);
    assert!(!hub.is_stopped());
    let at = hub.poll_timeout().expect("a deadline");
    assert_eq!(at, NOW + Duration::from_secs(60));
    hub.turn(at, &mut world);
    assert!(hub.is_stopped());
    let failed = |event: &Event| matches!(event, Event::FlushFailed { store: StoreId(0), .. });
    assert!(world.events.iter().any(failed));
}

#[test]
fn no_reactor_stops_before_all_have_drained() {
    let (mut hub, mut world) = (hub(2), World::default());
    hub.handle_stop(NOW, Duration::ZERO);
    settle(&mut hub, &mut world);
    assert!(!hub.is_stopped());
    hub.handle_message(Message::Drained);
    settle(&mut hub, &mut world);
    assert!(hub.is_stopped());
}

#[test]
fn nobody_is_accepted_while_stopping() {
    let (mut hub, mut world) = (hub(1), World::default());
    hub.handle_stop(NOW, Duration::from_secs(1));
    let peer = SocketAddr::from(([127, 0, 0, 1], 9));
    assert!(hub.handle_accept(NOW, FakePort::default(), peer, &mut world).is_none());
}

#[test]
fn who_keeps_buffers_goes_only_when_some_are_wanting() {
    let (mut hub, mut world) = (hub(1), World::default());
    let (idle, _) = connect(&mut hub, &mut world);
    let (hoarder, script) = connect(&mut hub, &mut world);
    script.borrow_mut().hoards = Some("hoards");
    let later = NOW + Duration::from_secs(1);
    hub.turn(later, &mut world);
    assert_eq!(hub.connections(), 2);
    assert!(hub.pool.take(2 << 20).is_none(), "more than there is");
    hub.turn(later, &mut world);
    assert_eq!(hub.connections(), 2, "buffers may come back by themselves");
    let at = hub.poll_timeout().expect("a look at who could relieve it");
    hub.turn(at, &mut world);
    assert_eq!(world.log, [format!("close {}", hoarder.slot)]);
    assert!(hub.connections() == 1 && idle != hoarder);
    assert_eq!(hub.poll_timeout(), None);
}

#[test]
fn buffers_that_another_reactor_wants_are_freed_by_hoarders_here() {
    let (mut hub, mut world) = (hub(2), World::default());
    let (_, script) = connect(&mut hub, &mut world);
    script.borrow_mut().hoards = Some("hoards");
    hub.handle_message(Message::Trim);
    settle(&mut hub, &mut world);
    let at = hub.poll_timeout().expect("a look at who could relieve it");
    hub.turn(at, &mut world);
    assert_eq!(hub.connections(), 0);
}
