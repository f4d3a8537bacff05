//! The command language of targetcli over the object tree: lines in, text out.
//!
//! A [`Shell`] knows where the user is and what the user prefers; what it talks to is a [`Daemon`]. Every verb is one row of a
//! table (`verbs`): where it can be used, what it takes and what it does. Help and completion derive from these rows and from those of
//! [`felio_control::attr`].
//!
//! Nothing here reads a terminal, a file or a socket: the program does, and keeps the [`Preferences`].
#![forbid(unsafe_code)]

mod complete;
mod help;
mod line;
mod node;
mod preferences;
mod shell;
mod size;
mod summary;
mod tree;
mod verbs;

pub use complete::{Candidate, Completion};
pub use preferences::Preferences;
pub use shell::{Output, Screen, Shell, Watching};

use core::time::Duration;
use felio_control::view::{LeftView, SessionView, Snapshot};
use felio_control::{Change, Done, Path, Refusal};
use std::sync::Arc;

/// What the shell talks to.
pub trait Daemon {
    /// All that is wanted, and what has become of it.
    fn snapshot(&mut self) -> Result<Arc<Snapshot>, Refusal>;

    /// Makes all changes or none. A file's size of 0 in [`Change::CreateStorage`] asks for the size that the file has.
    fn apply(&mut self, changes: Vec<Change>) -> Result<Vec<Done>, Refusal>;

    /// Who is logged in.
    fn sessions(&mut self) -> Result<Vec<SessionView>, Refusal>;

    /// Asks the initiator of a session to log out; the session as it was.
    fn end_session(&mut self, id: u16) -> Result<SessionView, Refusal>;

    /// Lets nobody get to a place, and waits so long for the end of what runs there; without a time, everybody gets there again. What has
    /// not ended by then.
    fn drain(&mut self, path: &Path, within: Option<Duration>) -> Result<LeftView, Refusal>;

    /// Saves the configuration, to a file of the user's choice if one is named; says what was saved where.
    fn save(&mut self, file: Option<&str>) -> Result<String, Refusal>;

    /// Restores it, or one target or storage object of it; says what is to be said about that.
    fn restore(
        &mut self,
        file: Option<&str>,
        clear_existing: bool,
        target: Option<&str>,
        storage_object: Option<&str>,
    ) -> Result<Vec<String>, Refusal>;
}
