//! Which tasks of a unit may run side by side, and which comes next.
//!
//! A [`TaskSet`] is the chain of a unit's tasks, HEAD OF QUEUE tasks in front. Two questions decide whether a task may
//! begin: does the task set's order allow it (SAM-5 "Task attributes"), and does nothing that runs on the same blocks
//! exclude it (the matrix below). Nobody polls: a task that may not begin knows one that it waits for, and is looked at
//! again when that one has ended. So a long queue costs no more for each command than a look at the task set.
//!
//! Invariant: as long as no task of the set is out of the ordinary (`special` is zero), SIMPLE reads and writes begin
//! without a look at any other task.

use crate::geometry::Extent;
use crate::table::{Links, NIL, State, Table, Task};
use felio_hal::TaskId;
use felio_spec::TaskAttribute;
use felio_spec::cdb::Serialization;

/// The tasks of a unit.
#[derive(Debug)]
pub(crate) struct TaskSet {
    first: u32,
    last: u32,
    /// Tasks that others may have to wait for.
    special: u32,
    /// Tasks that may not begin yet.
    dormant: u32,
}

/// What a task wants of its task set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// Its place.
    pub(crate) attribute: TaskAttribute,
    /// What may run beside it,
    pub(crate) class: Serialization,
    /// on which blocks.
    pub(crate) extent: Extent,
}

/// How two tasks get along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Company {
    /// Side by side.
    Beside,
    /// One after the other, where they share a block.
    Apart,
    /// One after the other.
    Alone,
}

/// Row and column: free, read, write, exclusive, unit. Overlapping reads and writes may run side by side, as SBC-3 lets
/// them; what reads and writes as one step may not be torn by either.
const MATRIX: [[Company; 5]; 5] = {
    use Company::{Alone as L, Apart as A, Beside as B};
    [
        [B, B, B, B, B], // free
        [B, B, B, A, L], // read
        [B, B, B, A, L], // write
        [B, A, A, A, L], // exclusive
        [B, L, L, L, L], // unit
    ]
};

impl TaskSet {
    /// No task.
    pub(crate) const fn new() -> Self {
        Self { first: NIL, last: NIL, special: 0, dormant: 0 }
    }

    /// Takes in a task of the table: behind the others, or in front.
    //= SAM-5 "HEAD OF QUEUE task attribute"
    pub(crate) fn insert(&mut self, table: &mut Table, slot: u32) {
        let Some(task) = table.get(slot) else { return };
        self.special += u32::from(is_special(task));
        let in_front = task.attribute == TaskAttribute::HeadOfQueue;
        let links = if in_front {
            Links { previous: NIL, next: self.first }
        } else {
            Links { previous: self.last, next: NIL }
        };
        *table.links_mut(slot) = links;
        self.join(table, links.previous, slot);
        self.join(table, slot, links.next);
    }

    /// Lets a task go, in whatever state it is.
    pub(crate) fn remove(&mut self, table: &mut Table, slot: u32) {
        let Some(task) = table.get(slot) else { return };
        self.special -= u32::from(is_special(task));
        self.dormant -= u32::from(is_dormant(task));
        let links = table.links(slot);
        self.join(table, links.previous, links.next);
    }

    /// Moves a task in front of another.
    pub(crate) fn put_before(&mut self, table: &mut Table, slot: u32, other: u32) {
        if table.get(slot).is_none() || table.get(other).is_none() || slot == other {
            return;
        }
        let links = table.links(slot);
        self.join(table, links.previous, links.next);
        let previous = table.links(other).previous;
        self.join(table, previous, slot);
        self.join(table, slot, other);
    }

    /// Whether no task is out of the ordinary.
    pub(crate) const fn is_plain(&self) -> bool {
        self.special == 0
    }

    /// All tasks, in their order.
    pub(crate) fn iter<'a>(&self, table: &'a Table) -> impl Iterator<Item = (u32, &'a Task)> {
        walk(table, self.first, |links| links.next)
    }

    /// A task waits for its turn.
    pub(crate) fn park(&mut self, task: &mut Task, state: State) {
        task.state = state;
        self.dormant += u32::from(is_dormant(task));
    }

    /// A task is no longer dormant.
    pub(crate) fn left_dormant(&mut self) {
        self.dormant -= 1;
    }

    /// A task changes its class.
    pub(crate) fn reclassify(&mut self, task: &mut Task, class: Serialization) {
        self.special -= u32::from(is_special(task));
        task.class = class;
        self.special += u32::from(is_special(task));
    }

    /// A task that must end before this one, which has its data, may begin.
    pub(crate) fn blocker(&self, table: &Table, slot: u32) -> Option<TaskId> {
        let task = table.get(slot)?;
        if self.special == 0 {
            return None;
        }
        if task.is_piece() {
            return self.blocker_of_piece(table, slot);
        }
        let claim = task.claim();
        let before = |(_, older): &(u32, &Task)| must_wait(older, claim);
        let beside = |(_, newer): &(u32, &Task)| newer.state.is_begun() && excludes(newer.claim(), claim);
        // The nearest first: those who want the same blocks wait in a chain, not all for the one in front.
        let Links { previous, next } = table.links(slot);
        let found = walk(table, previous, |links| links.previous).find(before);
        found.or_else(|| walk(table, next, |links| links.next).find(beside)).map(|(slot, _)| table.id(slot))
    }

    /// The same for a part of a copy. It must not wait for what may itself wait for the copy: not for a copy command, and
    /// not for a task that has not begun and stands behind one with a barrier between, or as a barrier. For all else it
    /// waits as any SIMPLE task, so that who wants to be alone has its turn between two pieces.
    fn blocker_of_piece(&self, table: &Table, slot: u32) -> Option<TaskId> {
        let claim = table.get(slot)?.claim();
        let (mut copying, mut barred, mut passed) = (false, false, false);
        let mut found = None;
        for (at, task) in walk(table, self.first, |links| links.next) {
            if at == slot {
                passed = true;
                continue;
            }
            copying |= task.is_copying();
            barred |= copying && task.attribute != TaskAttribute::Simple;
            let begun = task.state.is_begun();
            if task.is_copying() || (barred && !begun) {
                continue;
            }
            let waits = if passed {
                found.is_none() && begun && excludes(task.claim(), claim)
            } else {
                must_wait(task, claim)
            };
            if waits {
                found = Some(table.id(at));
            }
        }
        found
    }

    /// The first task in the set.
    pub(crate) const fn first(&self) -> u32 {
        self.first
    }

    /// The first dormant task, from `at` on, that may begin now.
    pub(crate) fn next(&self, table: &mut Table, mut at: u32) -> Option<u32> {
        if self.dormant == 0 {
            return None;
        }
        let mut barred = false;
        while let Some(task) = table.get(at) {
            if let State::Dormant(.., blocker) = task.state
                && (!barred || task.is_piece())
                && table.slot(blocker).is_none()
            {
                let found = self.blocker(table, at);
                match (found, table.get_mut(at).map(|task| &mut task.state)) {
                    (Some(found), Some(State::Dormant(.., blocker))) => *blocker = found,
                    _ => return Some(at),
                }
            } else if task.attribute == TaskAttribute::Ordered && !task.state.is_begun() {
                barred = true; // Behind it, nothing may but parts of a copy that it waits for.
            }
            at = table.links(at).next;
        }
        None
    }

    /// Whether a task waits for another's end.
    pub(crate) const fn has_dormant(&self) -> bool {
        self.dormant > 0
    }

    fn join(&mut self, table: &mut Table, before: u32, behind: u32) {
        match before {
            NIL => self.first = behind,
            _ => table.links_mut(before).next = behind,
        }
        match behind {
            NIL => self.last = before,
            _ => table.links_mut(behind).previous = before,
        }
    }
}

/// The tasks from a slot on, in one direction.
fn walk(table: &Table, mut at: u32, step: fn(Links) -> u32) -> impl Iterator<Item = (u32, &Task)> {
    core::iter::from_fn(move || {
        let slot = at;
        let task = table.get(slot)?;
        at = step(table.links(slot));
        Some((slot, task))
    })
}

impl Task {
    pub(crate) const fn claim(&self) -> Claim {
        Claim { attribute: self.attribute, class: self.class, extent: self.extent }
    }
}

impl Claim {
    /// Whether a task with this claim holds back one that comes after it.
    pub(crate) fn holds_back(self, newer: Self) -> bool {
        goes_before(self, newer) || excludes(self, newer)
    }
}

/// Whether a task that is to begin must wait for an older one.
pub(crate) fn must_wait(older: &Task, claim: Claim) -> bool {
    // A task that still waits for its data holds up nobody: the initiator may never send them.
    goes_before(older.claim(), claim)
        || ((older.state.is_begun() || is_dormant(older)) && excludes(older.claim(), claim))
}

/// Whether guests of the unit must know of a task before it begins.
pub(crate) fn needs_fence(claim: Claim) -> bool {
    match (claim.attribute, claim.class) {
        (_, Serialization::Exclusive | Serialization::Unit) => true,
        (TaskAttribute::Simple, _) | (TaskAttribute::HeadOfQueue, Serialization::Free) => false,
        (TaskAttribute::HeadOfQueue | TaskAttribute::Ordered | TaskAttribute::Aca, _) => true,
    }
}

/// Whether others may have to wait for the task, or it for them.
fn is_special(task: &Task) -> bool {
    let class = matches!(task.class, Serialization::Exclusive | Serialization::Unit);
    class || task.attribute != TaskAttribute::Simple
}

const fn is_dormant(task: &Task) -> bool {
    matches!(task.state, State::Dormant(..))
}

/// Whether the task set's order wants `older` to end before `task` begins.
//= SAM-5 "Task attributes": SIMPLE waits for older ORDERED and HEAD OF QUEUE tasks, ORDERED for all older ones.
fn goes_before(older: Claim, task: Claim) -> bool {
    match task.attribute {
        TaskAttribute::HeadOfQueue => false,
        TaskAttribute::Ordered => true,
        TaskAttribute::Simple | TaskAttribute::Aca => {
            matches!(older.attribute, TaskAttribute::Ordered | TaskAttribute::HeadOfQueue)
        }
    }
}

fn excludes(other: Claim, task: Claim) -> bool {
    match MATRIX[row(other.class)][row(task.class)] {
        Company::Beside => false,
        Company::Apart => other.extent.overlaps(task.extent),
        Company::Alone => true,
    }
}

const fn row(class: Serialization) -> usize {
    match class {
        Serialization::Free => 0,
        Serialization::Read => 1,
        Serialization::Write => 2,
        Serialization::Exclusive => 3,
        Serialization::Unit => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_is_the_same_from_both_sides() {
        for (i, line) in MATRIX.iter().enumerate() {
            for (j, company) in line.iter().enumerate() {
                assert_eq!(*company, MATRIX[j][i]);
            }
        }
    }
}
