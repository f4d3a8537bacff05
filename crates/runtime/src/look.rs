//! Looks at units: what only their home knows is asked for by a letter, and answered in the home's next turn. Nobody waits here.

use crate::mailbox::Letter;
use crate::start::Runtime;
use felio_engine::{Engine, Holdings};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Who asks for the reservations of a unit.
#[derive(Debug)]
pub(crate) struct Look {
    unit: u32,
    answer: SyncSender<Holdings>,
}

impl Look {
    /// Tells, if the unit is at home here; whoever asked may be gone.
    pub(crate) fn answer(&self, engine: &Engine) {
        if let Some(holdings) = engine.holdings(self.unit) {
            let _ = self.answer.try_send(holdings);
        }
    }
}

impl Runtime {
    /// Who has reserved the unit at a place, and who is registered: the answer comes to the receiver, or it ends without any.
    #[must_use]
    pub fn holdings(&self, unit: u32) -> Receiver<Holdings> {
        let (answer, answers) = sync_channel(1);
        let home = usize::try_from(unit).ok().and_then(|at| self.target.units.get(at)).map(|unit| unit.home);
        if let Some(mailbox) = home.and_then(|home| self.mailboxes.get(usize::from(home))) {
            // A box that is full has no room for the curious.
            let _ = mailbox.push(Letter::Look(Look { unit, answer }));
            mailbox.wake();
        }
        answers
    }
}
