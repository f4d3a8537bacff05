//! The engines of three reactors: the home of a unit and its guests, with the letters between them. Mostly one guest is enough.

mod ended;

use crate::cdb::{TEST_UNIT_READY, compare_and_write, read10, write10};
use crate::reservation::{Out, WE_RO, list, out_cdb};
use crate::rig::{ALICE, BLOCK, room_for, target};
use felio_engine::{Engine, Letter};
use felio_hal::buf::Budget;
use felio_hal::port::{Login, LoginKind, Response, TaskManagement};
use felio_hal::store::Done;
use felio_hal::{Command, Completion, NexusId, Op, Pool, PortRequest, PortTag, Submission, TaskId, Time};
use felio_spec::status::TaskManagementFunction as Function;
use felio_spec::{Cdb, Lun, Status, TaskAttribute};
use std::collections::VecDeque;
use std::sync::Arc;

/// An initiator whose session is on the guest's reactor. Alice's is at the unit's home.
const CAROL: NexusId = NexusId { reactor: 1, slot: 0, generation: 0 };
/// The same on a third one.
const DAVE: NexusId = NexusId { reactor: 2, slot: 0, generation: 0 };
const NOW: Time = Time(1);
const HOME: usize = 0;
const GUEST: usize = 1;
const OTHER: usize = 2;
/// MODE SENSE (6) and MODE SELECT (6) of the control page.
const MODE_SENSE: [u8; 6] = [0x1a, 0x08, 0x0a, 0, 16, 0];
const MODE_SELECT: [u8; 6] = [0x15, 0x10, 0, 0, 16, 0];

/// What one engine is told of another.
enum Mail {
    Letter(Letter),
    /// The answer of this command passed through to its port.
    Answered(NexusId, PortTag),
}

struct Cores {
    engines: [Engine; 3],
    pool: Pool,
    /// Under way from each engine, and to which.
    letters: [VecDeque<(usize, Mail)>; 3],
    /// Under way at each engine's stores.
    stores: [Vec<Submission>; 3],
    /// Data-Out that is wanted.
    wanted: Vec<(TaskId, usize)>,
    /// What ports were asked, in order.
    said: Vec<String>,
    /// The last Data-In.
    data: Vec<u8>,
    tags: u32,
}

impl Cores {
    /// Alice and Carol are logged in and have been told of it, and Carol's commands run on her own reactor.
    fn new() -> Self {
        Self::of(&[ALICE, CAROL])
    }

    /// The same of these.
    fn of(nexuses: &[NexusId]) -> Self {
        let target = Arc::new(target());
        let engine = |reactor| Engine::new(Arc::clone(&target), reactor, 16);
        let mut cores = Self {
            engines: [engine(0), engine(1), engine(2)],
            pool: Pool::new(Budget::new(1 << 20)),
            letters: Default::default(),
            stores: Default::default(),
            wanted: Vec::new(),
            said: Vec::new(),
            data: Vec::new(),
            tags: 0,
        };
        for nexus in nexuses.iter().copied() {
            let login = Login {
                initiator_port: format!("iqn.2026-01.net.x:i{},i,0x1", nexus.reactor),
                initiator: "iqn.2026-01.net.x:i".into(),
                target: "iqn.2026-01.net.x:t".into(),
                target_port_tag: 1,
                kind: LoginKind::Normal,
                session: 0,
                terms: Arc::default(),
            };
            cores.engines.iter_mut().for_each(|engine| {
                engine.handle_login(NOW, nexus, &login, &felio_hal::meter::Meters::default())
            });
            cores.send(nexus, &TEST_UNIT_READY);
            cores.settle();
            cores.send(nexus, &TEST_UNIT_READY);
            cores.settle();
        }
        (cores.tags, cores.said) = (0, Vec::new());
        cores
    }

    fn send(&mut self, nexus: NexusId, cdb: &[u8]) {
        self.send_as(TaskAttribute::Simple, nexus, cdb, 0);
    }

    fn send_as(&mut self, attribute: TaskAttribute, nexus: NexusId, cdb: &[u8], bytes: usize) {
        self.tags += 1;
        let command = Command {
            tag: PortTag(self.tags),
            lun: Lun::default(),
            attribute,
            cdb: Cdb::new(cdb),
            expect_out: u32::try_from(bytes).expect("small"),
            expect_in: room_for(cdb, bytes),
        };
        self.engines[usize::from(nexus.reactor)].handle_command(NOW, nexus, command, &mut self.pool);
        self.collect();
    }

    /// A write of one block; its data are wanted.
    fn write(&mut self, nexus: NexusId, lba: u32) {
        self.send_as(TaskAttribute::Simple, nexus, &write10(lba, 1), BLOCK);
    }

    fn manage(&mut self, nexus: NexusId, function: Function) {
        let management = TaskManagement { tag: PortTag(99), function, lun: Lun::default(), referenced: None };
        let engine = &mut self.engines[usize::from(nexus.reactor)];
        engine.handle_task_management(NOW, nexus, management, &mut self.pool);
        self.collect();
    }

    /// The next data that are wanted: `bytes`, or zeros.
    fn give_data(&mut self, bytes: &[u8]) {
        let (task, len) = self.wanted.remove(0);
        let mut buf = self.pool.take(len).expect("within budget");
        buf.fill(0);
        buf[..bytes.len()].copy_from_slice(bytes);
        // They arrive at the reactor of the port, and go to that of the task.
        self.engines[usize::from(task.reactor)].handle_data_out(NOW, task, buf, &mut self.pool);
        self.collect();
    }

    /// All that is under way at an engine's stores is done; blocks read are zeros.
    fn store(&mut self, at: usize) {
        for Submission { store, task, op } in core::mem::take(&mut self.stores[at]) {
            let (result, buf) = match op {
                Op::Read { mut buf, .. } => {
                    buf.fill(0);
                    (Done::Done, Some(buf))
                }
                Op::Write { buf, .. } => (Done::Done, Some(buf)),
                Op::Size => (Done::Size(target().units[0].limits.bytes), None),
                _ => (Done::Done, None),
            };
            let completion = Completion { store, task, result: Ok(result), buf };
            self.engines[at].handle_completion(NOW, completion, &mut self.pool);
        }
        self.collect();
    }

    /// Takes what the engines hand out.
    fn collect(&mut self) {
        for at in [HOME, GUEST, OTHER] {
            while let Some((to, letter)) = self.engines[at].poll_letter() {
                self.letters[at].push_back((usize::from(to), Mail::Letter(letter)));
            }
            while let Some(submission) = self.engines[at].poll_submission() {
                self.stores[at].push(submission);
            }
            while let Some((nexus, request)) = self.engines[at].poll_request() {
                if let PortRequest::Respond(Response { tag, .. }) | PortRequest::Abandon { tag } = &request
                    && usize::from(nexus.reactor) != at
                {
                    self.letters[at].push_back((usize::from(nexus.reactor), Mail::Answered(nexus, *tag)));
                }
                match request {
                    PortRequest::Solicit { task, bytes, .. } => {
                        self.wanted.push((task, usize::try_from(bytes).expect("small")));
                    }
                    PortRequest::Respond(response) if response.status == Status::GOOD => {
                        self.said.push(format!("{} good", response.tag.0));
                        if let Some(buf) = response.data {
                            self.data = buf.to_vec();
                            self.pool.give(buf);
                        }
                    }
                    PortRequest::Respond(response) => {
                        let tag = response.tag.0;
                        self.said.push(match response.sense {
                            // Descriptor or fixed format.
                            Some(sense) => match sense.bytes() {
                                [0x72, _, asc, ascq, ..] => format!("{tag} sense [{asc:02x}, {ascq:02x}]"),
                                bytes => format!("{tag} sense {:02x?}", &bytes[12..14]),
                            },
                            None => format!("{tag} status {:#x}", response.status.0),
                        });
                    }
                    PortRequest::Abandon { tag } => self.said.push(format!("{} abandoned", tag.0)),
                    PortRequest::TaskManagementResult { .. } => self.said.push("managed".to_owned()),
                    other => self.said.push(format!("{other:?}")),
                }
            }
        }
    }

    /// All letters arrive, and those that answer them.
    fn carry(&mut self) {
        while self.letters.iter().any(|letters| !letters.is_empty()) {
            for from in [HOME, GUEST, OTHER] {
                while !self.letters[from].is_empty() {
                    self.carry_one(from);
                }
            }
            self.collect();
        }
    }

    /// The oldest letter of an engine arrives at the one that it is for.
    fn carry_one(&mut self, from: usize) -> usize {
        let (to, mail) = self.letters[from].pop_front().expect("a letter");
        let reactor = u16::try_from(from).expect("small");
        match mail {
            Mail::Letter(letter) => self.engines[to].handle_letter(NOW, reactor, letter, &mut self.pool),
            Mail::Answered(nexus, tag) => {
                self.engines[to].handle_answer(nexus, &PortRequest::Abandon { tag });
            }
        }
        to
    }

    /// A nexus is gone, and every engine has heard of it.
    fn lose(&mut self, nexus: NexusId) {
        self.engines.iter_mut().for_each(|engine| engine.handle_nexus_loss(NOW, nexus, &mut self.pool));
        self.collect();
        self.carry();
    }

    /// Everything happens that can.
    fn settle(&mut self) {
        self.carry();
        while self.stores.iter().any(|store| !store.is_empty()) {
            [HOME, GUEST, OTHER].into_iter().for_each(|at| self.store(at));
            self.carry();
        }
    }

    #[track_caller]
    fn check_said(&mut self, want: &[&str]) {
        assert_eq!(core::mem::take(&mut self.said), want);
    }

    /// PERSISTENT RESERVE OUT; its list arrives with it.
    fn reserve_out(&mut self, nexus: NexusId, out: Out, key: u64, action_key: u64) {
        let list = list(key, action_key, 0);
        self.send_as(TaskAttribute::Simple, nexus, &out_cdb(out, WE_RO, list.len()), list.len());
        self.carry();
        self.give_data(&list);
    }

    /// Everybody is registered, Alice has reserved, and Carol's commands run on her own reactor.
    fn reserved() -> Self {
        let mut cores = Self::new();
        cores.reserve_out(ALICE, Out::Ignore, 0, 1);
        cores.settle();
        cores.reserve_out(CAROL, Out::Ignore, 0, 2);
        cores.settle();
        cores.reserve_out(ALICE, Out::Reserve, 1, 0);
        cores.settle();
        cores.send(CAROL, &TEST_UNIT_READY);
        cores.settle();
        cores.check_said(&["1 good", "2 good", "3 good", "4 good"]);
        cores.tags = 0;
        cores
    }

    /// How many operations are under way at home and at the guest.
    fn under_way(&self) -> [usize; 2] {
        [self.stores[HOME].len(), self.stores[GUEST].len()]
    }
}

#[test]
fn a_session_reads_and_writes_on_its_own_reactor() {
    let mut cores = Cores::new();
    cores.send(CAROL, &read10(0, 1));
    cores.write(CAROL, 1);
    cores.give_data(&[]);
    assert_eq!(cores.under_way(), [0, 2]);
    cores.store(GUEST);
    cores.check_said(&["1 good", "2 good"]);
}

#[test]
fn what_a_guest_would_refuse_its_home_refuses() {
    let mut cores = Cores::new();
    cores.send(CAROL, &read10(u32::MAX, 1));
    cores.check_said(&[]);
    cores.carry();
    cores.check_said(&["1 sense [21, 00]"]);
}

#[test]
fn compare_and_write_waits_for_what_overlaps_at_a_guest() {
    let mut cores = Cores::new();
    cores.write(CAROL, 7);
    cores.give_data(&[]);
    cores.send_as(TaskAttribute::Simple, ALICE, &compare_and_write(7, 1), 2 * BLOCK);
    cores.give_data(&[]);
    cores.carry();
    assert_eq!(cores.under_way(), [0, 1], "the write");
    // What overlaps goes home and waits there; what does not goes on here.
    cores.send(CAROL, &read10(7, 1));
    cores.send(CAROL, &read10(8, 1));
    cores.carry();
    assert_eq!(cores.under_way(), [0, 2]);
    cores.store(GUEST);
    cores.check_said(&["1 good", "4 good"]);
    cores.settle();
    cores.check_said(&["2 good", "3 good"]);
    cores.send(CAROL, &read10(7, 1));
    assert_eq!(cores.under_way(), [0, 1], "here again");
}

#[test]
fn a_write_whose_data_come_too_late_is_handed_over() {
    let mut cores = Cores::new();
    cores.write(CAROL, 7);
    cores.send_as(TaskAttribute::Simple, ALICE, &compare_and_write(7, 1), 2 * BLOCK);
    let write = cores.wanted.remove(0);
    cores.give_data(&[]);
    cores.carry();
    assert_eq!(cores.under_way(), [1, 0], "who waits for data holds up nobody");
    cores.wanted.push(write);
    cores.give_data(&[]);
    cores.carry();
    assert_eq!(cores.under_way(), [1, 0], "but does not come between");
    cores.settle();
    cores.check_said(&["2 good", "1 good"]);
}

#[test]
fn mode_select_voids_passes_and_other_sessions_are_told() {
    let mut cores = Cores::new();
    cores.write(CAROL, 7);
    cores.give_data(&[]);
    cores.write(CAROL, 8);
    cores.send(ALICE, &MODE_SENSE);
    cores.check_said(&["3 good"]);
    let mut page = core::mem::take(&mut cores.data);
    (page[0], page[6]) = (0, page[6] ^ 0x04);
    cores.send_as(TaskAttribute::Simple, ALICE, &MODE_SELECT, page.len());
    let write = cores.wanted.remove(0);
    cores.give_data(&page);
    cores.carry();
    cores.check_said(&[]);
    cores.settle();
    cores.check_said(&["1 good", "4 good"]);
    cores.wanted.push(write);
    cores.give_data(&[]);
    cores.settle();
    cores.check_said(&["2 sense [2a, 01]"]);
    cores.send(CAROL, &read10(0, 1));
    assert_eq!(cores.under_way(), [0, 1], "told, she has a pass again");
}

#[test]
fn ordered_waits_for_older_commands_at_a_guest_and_newer_ones_follow_it() {
    let mut cores = Cores::new();
    cores.write(CAROL, 7);
    cores.send_as(TaskAttribute::Ordered, CAROL, &read10(7, 1), 0);
    cores.send(CAROL, &read10(7, 1));
    cores.carry();
    assert_eq!(cores.under_way(), [0, 0]);
    cores.give_data(&[]);
    cores.carry();
    assert_eq!(cores.under_way(), [0, 1]);
    cores.store(GUEST);
    cores.carry();
    assert_eq!(cores.under_way(), [1, 0]);
    cores.settle();
    cores.check_said(&["1 good", "2 good", "3 good"]);
}

#[test]
fn a_write_that_is_handed_over_keeps_its_place_before_an_ordered_one() {
    let mut cores = Cores::new();
    cores.send_as(TaskAttribute::Simple, ALICE, &compare_and_write(7, 1), 2 * BLOCK);
    cores.write(CAROL, 7);
    cores.give_data(&[]);
    cores.carry();
    assert_eq!(cores.under_way(), [1, 0], "the comparison");
    cores.send_as(TaskAttribute::Ordered, CAROL, &read10(7, 1), 0);
    cores.carry();
    cores.give_data(&[]);
    cores.settle();
    cores.check_said(&["1 good", "2 good", "3 good"]);
}

#[test]
fn a_write_that_is_handed_over_keeps_its_place_whatever_has_ended_meanwhile() {
    let mut cores = Cores::new();
    cores.write(CAROL, 7);
    cores.send_as(TaskAttribute::HeadOfQueue, CAROL, &read10(7, 1), 0);
    cores.send_as(TaskAttribute::Ordered, CAROL, &read10(7, 1), 0);
    cores.carry();
    cores.store(HOME);
    cores.check_said(&["2 good"]);
    // Its reactor does not know that yet.
    cores.give_data(&[]);
    cores.settle();
    cores.check_said(&["1 good", "3 good"]);
}

#[test]
fn a_reset_ends_tasks_at_guests_and_waits_for_their_stores() {
    let mut cores = Cores::new();
    cores.write(CAROL, 7);
    cores.give_data(&[]);
    cores.manage(ALICE, Function::LogicalUnitReset);
    cores.carry();
    cores.check_said(&[]);
    cores.store(GUEST);
    cores.carry();
    cores.check_said(&["1 status 0x40", "managed"]);
    cores.send(CAROL, &read10(0, 1));
    cores.carry();
    cores.check_said(&["2 sense [29, 03]"]);
}

/// A write at the guest is handed over while a function to end it is on its way there.
fn check_handed_over_too_late(set_up: impl Fn(&mut Cores), function: Function, want: &[&str]) {
    let mut cores = Cores::new();
    set_up(&mut cores);
    (cores.tags, cores.said) = (0, Vec::new());
    cores.write(CAROL, 7);
    cores.send_as(TaskAttribute::Simple, ALICE, &compare_and_write(7, 1), 2 * BLOCK);
    let write = cores.wanted.remove(0);
    cores.give_data(&[]);
    cores.carry();
    cores.manage(ALICE, function);
    cores.wanted.push(write);
    cores.give_data(&[]);
    cores.carry();
    assert_eq!(cores.under_way(), [1, 0], "the comparison");
    cores.settle();
    cores.send(CAROL, &TEST_UNIT_READY);
    cores.settle();
    cores.check_said(want);
    assert!(cores.engines.iter().all(Engine::is_idle));
}

#[test]
fn a_function_ends_what_is_on_its_way_from_a_guest() {
    for (function, next) in
        [(Function::LogicalUnitReset, "3 sense [29, 03]"), (Function::ClearTaskSet, "3 good")]
    {
        let want = ["2 abandoned", "1 status 0x40", "managed", next];
        check_handed_over_too_late(|_| {}, function, &want);
    }
}

#[test]
fn a_function_ends_what_is_on_its_way_from_a_guest_without_a_word_where_tas_is_off() {
    let set_up = |cores: &mut Cores| {
        cores.send(ALICE, &MODE_SENSE);
        let mut page = core::mem::take(&mut cores.data);
        (page[0], page[9]) = (0, page[9] & !0x40);
        cores.send_as(TaskAttribute::Simple, ALICE, &MODE_SELECT, page.len());
        cores.give_data(&page);
        cores.settle();
        for _ in 0..2 {
            cores.send(CAROL, &TEST_UNIT_READY);
            cores.settle();
        }
    };
    let want = ["2 abandoned", "1 abandoned", "managed", "3 sense [2f, 00]"];
    check_handed_over_too_late(set_up, Function::ClearTaskSet, &want);
}

#[test]
fn clear_task_set_ends_what_waits_for_data_at_a_guest() {
    let mut cores = Cores::new();
    cores.write(CAROL, 7);
    cores.manage(ALICE, Function::ClearTaskSet);
    cores.carry();
    cores.check_said(&["1 status 0x40", "managed"]);
    cores.send(CAROL, &read10(0, 1));
    cores.settle();
    cores.check_said(&["2 good"]);
}

#[test]
fn a_reset_of_the_sessions_own_ends_what_it_sent_before_and_nothing_else() {
    let mut cores = Cores::new();
    cores.write(CAROL, 7);
    cores.manage(CAROL, Function::LogicalUnitReset);
    cores.send(CAROL, &read10(0, 1));
    cores.settle();
    cores.check_said(&["1 abandoned", "2 sense [29, 03]", "managed"]);
}

#[test]
fn the_log_tells_what_a_guest_has_done() {
    let mut cores = Cores::new();
    for _ in 0..3 {
        cores.send(CAROL, &read10(0, 2));
        cores.store(GUEST);
    }
    cores.send(ALICE, &read10(0, 1));
    cores.store(HOME);
    cores.send(CAROL, &[0x4d, 0, 0x59, 0, 0, 0, 0, 0, 80, 0]);
    cores.settle();
    assert_eq!(cores.data[8..16], 4u64.to_be_bytes());
    assert_eq!(cores.data[32..40], 7u64.to_be_bytes());
}

#[test]
fn what_must_be_alone_waits_for_each_of_several_guests() {
    for order in [[GUEST, OTHER], [OTHER, GUEST]] {
        let mut cores = Cores::of(&[ALICE, CAROL, DAVE]);
        for nexus in [CAROL, DAVE] {
            cores.write(nexus, 7);
            cores.give_data(&[]);
        }
        cores.send_as(TaskAttribute::Ordered, ALICE, &read10(7, 1), 0);
        cores.carry();
        for at in order {
            assert!(cores.stores[HOME].is_empty() && cores.stores[at].len() == 1);
            cores.store(at);
            cores.carry();
        }
        assert_eq!(cores.under_way(), [1, 0]);
    }
}

#[test]
fn a_reset_waits_for_the_stores_of_each_of_several_guests() {
    for order in [[GUEST, OTHER], [OTHER, GUEST]] {
        let mut cores = Cores::of(&[ALICE, CAROL, DAVE]);
        for nexus in [CAROL, DAVE] {
            cores.write(nexus, 7);
            cores.give_data(&[]);
        }
        cores.manage(ALICE, Function::LogicalUnitReset);
        cores.carry();
        for at in order {
            assert!(!cores.said.contains(&"managed".to_owned()));
            cores.store(at);
            cores.carry();
        }
        assert!(cores.said.contains(&"managed".to_owned()));
        cores.said.clear();
        for nexus in [CAROL, DAVE] {
            cores.send(nexus, &read10(0, 1));
            cores.carry();
        }
        cores.check_said(&["3 sense [29, 03]", "4 sense [29, 03]"]);
    }
}

#[test]
fn preempt_and_abort_ends_what_waits_for_data_at_a_guest() {
    let mut cores = Cores::reserved();
    cores.write(CAROL, 7);
    let late = cores.wanted.remove(0);
    cores.write(CAROL, 8);
    cores.give_data(&[]);
    cores.reserve_out(ALICE, Out::PreemptAndAbort, 1, 2);
    cores.carry();
    assert_eq!(cores.under_way(), [0, 1]);
    cores.check_said(&[]);
    cores.settle();
    cores.check_said(&["2 good", "1 status 0x40", "3 good"]);
    cores.wanted.push(late);
    cores.give_data(&[]);
    cores.carry();
    assert_eq!(cores.under_way(), [0, 0], "nothing is written any more");
    assert!(cores.said.is_empty() && cores.engines.iter().all(Engine::is_idle));
}

#[test]
fn preempt_and_abort_ends_what_was_handed_over_to_home_meanwhile() {
    let mut cores = Cores::reserved();
    cores.write(CAROL, 7);
    let late = cores.wanted.remove(0);
    cores.write(CAROL, 8);
    cores.give_data(&[]);
    cores.reserve_out(ALICE, Out::PreemptAndAbort, 1, 2);
    cores.carry();
    cores.wanted.push(late);
    cores.give_data(&[]);
    cores.carry();
    assert_eq!(cores.under_way(), [0, 1], "it waits at home, behind who ends it");
    cores.settle();
    cores.check_said(&["2 good", "1 status 0x40", "3 good"]);
    assert!(cores.engines.iter().all(Engine::is_idle));
}
