//! Which tasks of a unit may run side by side.

/// The tasks of a unit.
#[derive(Debug, Default)]
pub struct TaskSet {}

impl TaskSet {
    /// No task.
    #[must_use]
    pub const fn new() -> Self {
        Self {}
    }
}
