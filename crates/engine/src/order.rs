//! Which tasks of a unit may run side by side, and which comes next.
//!
//! A [`TaskSet`] is the chain of a unit's tasks, HEAD OF QUEUE tasks in front. Three questions decide whether a task may
//! begin: does an auto contingent allegiance stand in the way, does the task set's order allow it (SAM-5 "Task attributes",
//! as the control mode page has it: [`Rules`]), and does nothing that runs on the same blocks exclude it (the matrix below).
//! Nobody polls: a task that may not begin knows one that it waits for, and is looked at again when that one has ended. So
//! a long queue costs no more for each command than a look at the task set.
//!
//! Invariant: as long as no task of the set is out of the ordinary and no rule either (`special` is zero), SIMPLE reads and
//! writes begin without a look at any other task.

use crate::geometry::Extent;
use crate::management::is_given_up;
use crate::table::{Links, NIL, State, Table, Task};
use crate::work::Outcome;
use felio_hal::{NexusId, TaskId};
use felio_spec::TaskAttribute;
use felio_spec::cdb::Serialization;

/// The tasks of a unit.
#[derive(Debug)]
pub(crate) struct TaskSet {
    first: u32,
    last: u32,
    /// All tasks.
    count: u32,
    /// Tasks that others may have to wait for, and rules that any may have to wait for.
    special: u32,
    /// Tasks that may not begin yet.
    dormant: u32,
    /// Tasks that may not be answered yet.
    held: u32,
    rules: Rules,
    /// None begins: the operator puts another store under the unit.
    closed: bool,
    /// Whose command has failed and left an auto contingent allegiance.
    allegiances: Vec<NexusId>,
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

/// What the control mode page says of the order of tasks.
//= SPC-4 "Control mode page"
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// TST.
    pub(crate) sharing: Sharing,
    /// QUEUE ALGORITHM MODIFIER.
    pub(crate) reordering: Reordering,
}

/// TST: who shares a task set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// All nexuses.
    Everyone,
    /// Nobody: each nexus has its own.
    Nobody,
}

/// QUEUE ALGORITHM MODIFIER: how SIMPLE tasks may overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reordering {
    /// Only where what a nexus has written does not depend on it.
    Restricted,
    /// At will.
    Unrestricted,
}

/// What a task waits for that waits for the end of an auto contingent allegiance, or for the task set to be opened: no task, so that
/// it is looked at again whenever the task set is.
const NO_TASK: TaskId = TaskId { reactor: u16::MAX, slot: NIL, generation: 0 };

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
        Self {
            first: NIL,
            last: NIL,
            count: 0,
            special: 0,
            dormant: 0,
            held: 0,
            rules: Rules { sharing: Sharing::Everyone, reordering: Reordering::Unrestricted },
            closed: false,
            allegiances: Vec::new(),
        }
    }

    /// Takes in a task of the table: behind the others, or in front.
    //= SAM-5 "HEAD OF QUEUE task attribute", "ACA task attribute"
    pub(crate) fn insert(&mut self, table: &mut Table, slot: u32) {
        let Some(task) = table.get(slot) else { return };
        self.count += 1;
        self.special += u32::from(is_special(task));
        let in_front = matches!(task.attribute, TaskAttribute::HeadOfQueue | TaskAttribute::Aca);
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
        self.count -= 1;
        self.special -= u32::from(is_special(task));
        self.dormant -= u32::from(is_dormant(task));
        self.held -= u32::from(is_held(task));
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

    /// Whether tasks may begin, no allegiance is in effect, and the usual rules hold.
    pub(crate) fn is_ordinary(&self) -> bool {
        !self.closed
            && self.allegiances.is_empty()
            && self.rules == Rules { sharing: Sharing::Everyone, reordering: Reordering::Unrestricted }
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

    /// A task is done and may not be answered yet. Nobody waits for what it does to its blocks: that is done.
    pub(crate) fn hold(&mut self, task: &mut Task, outcome: Outcome) {
        self.reclassify(task, Serialization::Free);
        task.state = State::Kept(Box::new(outcome));
        self.held += 1;
    }

    /// A held task is answered.
    pub(crate) fn left_held(&mut self) {
        self.held -= 1;
    }

    /// A task changes its class.
    pub(crate) fn reclassify(&mut self, task: &mut Task, class: Serialization) {
        self.special -= u32::from(is_special(task));
        task.class = class;
        self.special += u32::from(is_special(task));
    }

    /// From now on these rules hold.
    pub(crate) fn set_rules(&mut self, rules: Rules) {
        self.special -= u32::from(self.rules.is_special());
        self.rules = rules;
        self.special += u32::from(rules.is_special());
    }

    /// From now on no task begins.
    pub(crate) fn close(&mut self) {
        self.special += u32::from(!self.closed);
        self.closed = true;
    }

    /// Whether no task begins.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Tasks begin again.
    pub(crate) fn open(&mut self) {
        self.special -= u32::from(self.closed);
        self.closed = false;
    }

    /// A command of the nexus has failed and wants to be looked after before others go on.
    pub(crate) fn establish(&mut self, nexus: NexusId) {
        if !self.allegiances.contains(&nexus) {
            self.allegiances.push(nexus);
            self.special += 1;
        }
    }

    /// The allegiances that `over` picks are no more. Whether there was one.
    pub(crate) fn end_allegiances(&mut self, over: impl Fn(NexusId) -> bool) -> bool {
        let mut ended = false;
        while let Some(at) = self.allegiances.iter().position(|nexus| over(*nexus)) {
            self.allegiances.swap_remove(at);
            self.special -= 1;
            ended = true;
        }
        ended
    }

    /// The nexus whose failed command concerns the task set of `nexus`.
    pub(crate) fn faulted(&self, nexus: NexusId) -> Option<NexusId> {
        self.allegiances.iter().copied().find(|faulted| *faulted == nexus || self.is_shared())
    }

    /// Whether a task may neither begin nor be answered.
    //= SAM-5 "Establishing an ACA condition": all but the task with the ACA attribute is blocked
    pub(crate) fn is_blocked(&self, task: &Task) -> bool {
        !self.allegiances.is_empty()
            && task.attribute != TaskAttribute::Aca
            && !task.is_piece()
            && self.faulted(task.nexus).is_some()
    }

    /// A task that must end before this one, which has its data, may begin.
    pub(crate) fn blocker(&self, table: &Table, slot: u32) -> Option<TaskId> {
        let task = table.get(slot)?;
        if self.special == 0 {
            return None;
        }
        if self.closed {
            return Some(NO_TASK);
        }
        if task.is_piece() {
            return self.blocker_of_piece(table, slot);
        }
        if self.is_blocked(task) {
            return Some(NO_TASK);
        }
        let claim = task.claim();
        // But for the rules, a task that still waits for its data holds up nobody: the initiator may never send them.
        let before = |(_, older): &(u32, &Task)| {
            self.goes_before(older, task)
                || ((older.state.is_begun() || is_dormant(older)) && excludes(older.claim(), claim))
        };
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
        if self.dormant == 0 || self.closed {
            return None;
        }
        let mut barred = false;
        while let Some(task) = table.get(at) {
            if let State::Dormant(.., blocker) = task.state
                && (!barred || task.is_piece())
                && table.slot(blocker).and_then(|slot| table.get(slot)).is_none_or(is_over)
            {
                let found = self.blocker(table, at);
                match (found, table.get_mut(at).map(|task| &mut task.state)) {
                    (Some(found), Some(State::Dormant(.., blocker))) => *blocker = found,
                    _ => return Some(at),
                }
            } else if task.attribute == TaskAttribute::Ordered && !task.state.is_begun() && self.is_shared() {
                barred = true; // Behind it, nothing may but parts of a copy that it waits for.
            }
            at = table.links(at).next;
        }
        None
    }

    /// The first task, from `at` on, that was held and may be answered now.
    pub(crate) fn next_answer(&self, table: &Table, at: u32) -> Option<u32> {
        if self.held == 0 {
            return None;
        }
        let mut tasks = walk(table, at, |links| links.next);
        tasks.find(|(_, task)| is_held(task) && !self.is_blocked(task)).map(|(slot, _)| slot)
    }

    /// How many tasks there are.
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// Whether a task waits for something to end.
    pub(crate) const fn has_waiting(&self) -> bool {
        self.dormant > 0 || self.held > 0
    }

    const fn is_shared(&self) -> bool {
        matches!(self.rules.sharing, Sharing::Everyone)
    }

    /// Whether the order of this task set wants `older` to end before `task` begins.
    fn goes_before(&self, older: &Task, task: &Task) -> bool {
        let same = older.nexus == task.nexus;
        (same || self.is_shared()) && holds_its_place(older, task.claim())
            || same
                && task.attribute == TaskAttribute::Simple
                && self.rules.reordering == Reordering::Restricted
                && keeps_place(older, task)
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

impl Rules {
    fn is_special(self) -> bool {
        self.reordering == Reordering::Restricted
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
    holds_its_place(older, claim)
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
//= SAM-5 "Task attributes": SIMPLE waits for older ORDERED and HEAD OF QUEUE tasks, ORDERED for all older ones, the task
//= with the ACA attribute for none.
fn goes_before(older: Claim, task: Claim) -> bool {
    match task.attribute {
        TaskAttribute::HeadOfQueue | TaskAttribute::Aca => false,
        TaskAttribute::Ordered => true,
        TaskAttribute::Simple => {
            matches!(older.attribute, TaskAttribute::Ordered | TaskAttribute::HeadOfQueue)
        }
    }
}

/// The same of a task that is there: once nobody waits for its operation any longer, its place means nothing.
fn holds_its_place(older: &Task, task: Claim) -> bool {
    !is_given_up(older) && goes_before(older.claim(), task)
}

/// Whether nobody waits for the task although it is still there.
const fn is_over(task: &Task) -> bool {
    is_given_up(task) || is_held(task)
}

const fn is_held(task: &Task) -> bool {
    matches!(task.state, State::Kept(_))
}

/// Whether two SIMPLE tasks of a nexus must keep their order so that the blocks end as if all were ORDERED.
//= SPC-4 "Control mode page": restricted reordering. What UNMAP names is not known before its list is here.
fn keeps_place(older: &Task, task: &Task) -> bool {
    let changes = |task: &Task| matches!(task.class, Serialization::Write | Serialization::Exclusive);
    let unknown = |task: &Task| matches!(task.state, State::Gathering(_)) && task.extent.blocks == 0;
    let touches = |task: &Task| changes(task) || task.class == Serialization::Read;
    older.nexus == task.nexus
        && touches(older)
        && touches(task)
        && (changes(older) || changes(task))
        && (older.extent.overlaps(task.extent) || unknown(older))
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
mod tests;
