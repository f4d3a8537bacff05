//! The task set against a naive model of SAM-5's rules: a list, and a question that looks at all of it.

#[path = "../../tests/it/dice.rs"]
mod dice;

use super::*;
use crate::commands::TABLE;
use crate::geometry::Extent;
use crate::table::{Course, Effort, Job};
use crate::work::Work;
use dice::Dice;
use felio_hal::{Buf, PortTag};
use felio_spec::Cdb;

#[test]
fn the_matrix_is_the_same_from_both_sides() {
    for (i, line) in MATRIX.iter().enumerate() {
        for (j, company) in line.iter().enumerate() {
            assert_eq!(*company, MATRIX[j][i]);
        }
    }
}

#[test]
fn whatever_happens_tasks_begin_when_the_rules_say_so_and_not_before() {
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..300 {
            world.step();
            world.settle();
            world.check();
        }
    }
}

const NEXUSES: u32 = 3;

struct World {
    dice: Dice,
    table: Table,
    set: TaskSet,
    /// The tasks, those in front first.
    list: Vec<Record>,
    rules: Rules,
    faulted: Vec<NexusId>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    slot: u32,
    nexus: NexusId,
    attribute: TaskAttribute,
    class: Serialization,
    extent: Extent,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Gathering,
    Dormant,
    Begun,
    Held,
}

impl World {
    fn new(seed: u64) -> Self {
        let rules = Rules { sharing: Sharing::Everyone, reordering: Reordering::Unrestricted };
        let (table, set) = (Table::new(0, 24), TaskSet::new());
        Self { dice: Dice::new(seed), table, set, list: Vec::new(), rules, faulted: Vec::new() }
    }

    fn step(&mut self) {
        match self.dice.roll(16) {
            0..7 => self.arrive(),
            7..9 => self.deliver(),
            9..14 => self.end(),
            14 => self.allegiance(),
            _ => self.change_rules(),
        }
    }

    fn nexus(&mut self) -> NexusId {
        NexusId {
            reactor: 0,
            slot: u32::try_from(self.dice.roll(NEXUSES.into())).unwrap_or(0),
            generation: 0,
        }
    }

    fn arrive(&mut self) {
        let nexus = self.nexus();
        let attribute = match self.faulted_for(nexus) {
            None => [
                TaskAttribute::Simple,
                TaskAttribute::Simple,
                TaskAttribute::Ordered,
                TaskAttribute::HeadOfQueue,
            ][self.dice.below(4)],
            Some(faulted)
                if faulted == nexus && !self.list.iter().any(|r| r.attribute == TaskAttribute::Aca) =>
            {
                TaskAttribute::Aca
            }
            Some(_) => return, // It would be refused.
        };
        use Serialization::{Exclusive, Free, Read, Unit, Write};
        let class = [Read, Read, Write, Write, Write, Exclusive, Free, Unit][self.dice.below(8)];
        let extent = match class {
            Free | Unit => Extent::default(),
            _ => Extent { lba: self.dice.roll(8), blocks: 1 + self.dice.roll(3) },
        };
        let entry = &TABLE[0];
        let (tag, cdb, state) = (PortTag(0), Cdb::new(&[0; 6]), State::Gathering(Job::Entry));
        let task = Task {
            nexus,
            tag,
            unit: 0,
            attribute,
            cdb,
            entry,
            extent,
            class,
            course: Course::default(),
            state,
        };
        let Some(slot) = self.table.insert(|| task) else { return };
        self.set.insert(&mut self.table, slot);
        let record = Record { slot, nexus, attribute, class, extent, stage: Stage::Gathering };
        let in_front = matches!(attribute, TaskAttribute::HeadOfQueue | TaskAttribute::Aca);
        self.list.insert(if in_front { 0 } else { self.list.len() }, record);
        if self.dice.roll(3) > 0 {
            self.begin_or_wait(slot);
        }
    }

    fn deliver(&mut self) {
        if let Some(slot) = self.pick(Stage::Gathering) {
            self.begin_or_wait(slot);
        }
    }

    fn begin_or_wait(&mut self, slot: u32) {
        let blocker = self.set.blocker(&self.table, slot);
        assert_eq!(blocker.is_none(), self.may_begin(slot), "slot {slot} in {:?}", self.list);
        let Some(task) = self.table.get_mut(slot) else { return };
        match blocker {
            Some(blocker) => {
                self.set.park(task, State::Dormant(Job::Entry, None::<Buf>, blocker));
                self.record(slot).stage = Stage::Dormant;
            }
            None => self.begin(slot),
        }
    }

    fn begin(&mut self, slot: u32) {
        if let Some(task) = self.table.get_mut(slot) {
            task.state = State::InStore(Effort::Read, Work::Size);
        }
        self.record(slot).stage = Stage::Begun;
    }

    /// A task comes to its end, or is aborted.
    fn end(&mut self) {
        let stage =
            [Stage::Begun, Stage::Begun, Stage::Begun, Stage::Dormant, Stage::Gathering][self.dice.below(5)];
        let Some(slot) = self.pick(stage) else { return };
        let record = *self.record(slot);
        let blocked = self.faulted_for(record.nexus).is_some() && record.attribute != TaskAttribute::Aca;
        let Some(task) = self.table.get_mut(slot) else { return };
        assert_eq!(self.set.is_blocked(task), blocked);
        if stage == Stage::Begun && blocked {
            self.set.hold(task, Outcome::good(0));
            let record = self.record(slot);
            (record.stage, record.class) = (Stage::Held, Serialization::Free);
        } else {
            self.remove(slot);
        }
    }

    fn remove(&mut self, slot: u32) {
        self.set.remove(&mut self.table, slot);
        self.table.remove(slot);
        self.list.retain(|record| record.slot != slot);
    }

    /// An allegiance begins, or ends and takes its task along.
    fn allegiance(&mut self) {
        let nexus = self.nexus();
        if self.faulted_for(nexus).is_none() {
            self.set.establish(nexus);
            self.faulted.push(nexus);
        } else if self.faulted.contains(&nexus) {
            assert!(self.set.end_allegiances(|faulted| faulted == nexus));
            self.faulted.retain(|faulted| *faulted != nexus);
            let own = |r: &&Record| r.nexus == nexus && r.attribute == TaskAttribute::Aca;
            if let Some(slot) = self.list.iter().find(own).map(|record| record.slot) {
                self.remove(slot);
            }
        }
    }

    fn change_rules(&mut self) {
        if self.list.is_empty() && self.faulted.is_empty() {
            self.rules = Rules {
                sharing: [Sharing::Everyone, Sharing::Nobody][self.dice.below(2)],
                reordering: [Reordering::Restricted, Reordering::Unrestricted][self.dice.below(2)],
            };
            self.set.set_rules(self.rules);
        }
        // Idle sets are rare by themselves.
        if self.dice.roll(4) == 0 {
            while let Some(slot) = self.list.first().map(|record| record.slot) {
                self.remove(slot);
            }
            self.set.end_allegiances(|_| true);
            self.faulted.clear();
        }
    }

    /// As the engine does it.
    fn settle(&mut self) {
        let mut at = self.set.first();
        while let Some(slot) = self.set.next_answer(&self.table, at) {
            at = self.table.links(slot).next;
            self.remove(slot);
        }
        at = self.set.first();
        while let Some(slot) = self.set.next(&mut self.table, at) {
            at = self.table.links(slot).next;
            assert!(self.may_begin(slot), "slot {slot} in {:?}", self.list);
            self.set.left_dormant();
            self.begin(slot);
        }
    }

    fn check(&mut self) {
        for record in self.list.clone() {
            let may = match record.stage {
                Stage::Dormant => self.may_begin(record.slot),
                Stage::Held => self.faulted_for(record.nexus).is_none(),
                Stage::Gathering | Stage::Begun => false,
            };
            assert!(!may, "{record:?} waits in vain in {:?}", self.list);
        }
        assert_eq!(self.set.count(), u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        assert!(self.set.special > 0 || self.list.iter().all(|r| r.attribute == TaskAttribute::Simple));
    }

    fn faulted_for(&self, nexus: NexusId) -> Option<NexusId> {
        let everyone = self.rules.sharing == Sharing::Everyone;
        self.faulted.iter().copied().find(|faulted| everyone || *faulted == nexus)
    }

    /// The rules, said as plainly as can be.
    fn may_begin(&self, slot: u32) -> bool {
        let Some(place) = self.list.iter().position(|record| record.slot == slot) else { return false };
        let task = &self.list[place];
        if self.faulted_for(task.nexus).is_some() && task.attribute != TaskAttribute::Aca {
            return false;
        }
        self.list.iter().enumerate().all(|(at, other)| {
            let is_older = at < place;
            let same_set = self.rules.sharing == Sharing::Everyone || other.nexus == task.nexus;
            let in_order = match task.attribute {
                TaskAttribute::Aca | TaskAttribute::HeadOfQueue => true,
                TaskAttribute::Ordered => !(is_older && same_set),
                TaskAttribute::Simple => {
                    let first =
                        matches!(other.attribute, TaskAttribute::Ordered | TaskAttribute::HeadOfQueue);
                    let bound = self.rules.reordering == Reordering::Restricted && matters(other, task);
                    !(is_older && same_set && (first || bound))
                }
            };
            let counts = other.stage == Stage::Begun || (is_older && other.stage == Stage::Dormant);
            at == place || (in_order && !(counts && collide(other, task)))
        })
    }

    fn pick(&mut self, stage: Stage) -> Option<u32> {
        let slots: Vec<u32> = self.list.iter().filter(|r| r.stage == stage).map(|r| r.slot).collect();
        if slots.is_empty() { None } else { Some(slots[self.dice.below(slots.len())]) }
    }

    fn record(&mut self, slot: u32) -> &mut Record {
        self.list.iter_mut().find(|record| record.slot == slot).expect("it is on the list")
    }
}

/// Whether the order of two tasks of a nexus decides what is on the blocks, or what is read from them.
fn matters(one: &Record, other: &Record) -> bool {
    use Serialization::{Exclusive, Read, Write};
    let (a, b) = (one.class, other.class);
    let blocks = [a, b].iter().all(|class| matches!(class, Read | Write | Exclusive));
    one.nexus == other.nexus && blocks && (a, b) != (Read, Read) && one.extent.overlaps(other.extent)
}

/// Whether two tasks may not run side by side.
fn collide(one: &Record, other: &Record) -> bool {
    use Serialization::{Exclusive, Free, Unit};
    match (one.class, other.class) {
        (Free, _) | (_, Free) => false,
        (Unit, _) | (_, Unit) => true,
        (Exclusive, _) | (_, Exclusive) => one.extent.overlaps(other.extent),
        _ => false,
    }
}
