//! Another store under a unit that is served.
//!
//! Whoever changes it closes the unit, which every reactor acknowledges once nothing is with the old store or on its way there; makes the
//! old store durable; gives the unit with its other store to [`Runtime::adopt`], or does not; and opens the unit. Meanwhile commands
//! wait. Nothing here waits longer than it is told.

use crate::adopt::{Late, Retirement, post, wait};
use crate::mailbox::Letter;
use crate::start::Runtime;
use core::time::Duration;
use felio_backstore::Store;
use felio_hal::store::{Failure, Op};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

/// Why a store is not known to be durable.
#[derive(Debug, thiserror::Error)]
pub enum NotFlushed {
    /// It says so.
    #[error("it could not be flushed: {0:?}")]
    Failed(Failure),
    /// It has not said anything yet.
    #[error("it was not flushed within {} s", .0.as_secs())]
    Late(Duration),
    /// Nobody could ask it.
    #[error("there is no thread to flush it: {0}")]
    NoThread(io::Error),
}

impl Runtime {
    /// Lets no command to these units begin until they are [opened](Runtime::open), and waits for those that have begun.
    pub fn close(&self, units: &[u32], within: Duration) -> Result<(), Late> {
        let (done, answers) = sync_channel(self.mailboxes.len());
        for mailbox in &*self.mailboxes {
            post(mailbox, Letter::Close(Retirement::new(units.to_vec(), done.clone())));
        }
        wait(&answers, self.mailboxes.len(), within)
    }

    /// Lets commands to these units go on.
    pub fn open(&self, units: &[u32]) {
        for mailbox in &*self.mailboxes {
            post(mailbox, Letter::Open(units.to_vec()));
        }
    }
}

/// Makes a store durable. One that hangs keeps a thread, and nobody else.
pub fn flush(store: &Arc<dyn Store>, within: Duration) -> Result<(), NotFlushed> {
    let (done, answer) = sync_channel(1);
    let store = Arc::clone(store);
    let ask = move || drop(done.try_send(store.run(Op::Flush).result));
    thread::Builder::new().name("flush".to_owned()).spawn(ask).map_err(NotFlushed::NoThread)?;
    match answer.recv_timeout(within) {
        Ok(result) => result.map(|_| ()).map_err(NotFlushed::Failed),
        Err(_) => Err(NotFlushed::Late(within)),
    }
}
