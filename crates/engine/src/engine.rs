//! The engine: events in, decisions out.

use crate::config::TargetConfig;
use felio_hal::port::{Login, TaskManagement};
use felio_hal::{Buf, Command, Completion, NexusId, Pool, PortRequest, Submission, TaskId, Time};
use std::collections::VecDeque;
use std::sync::Arc;

/// The device server of one reactor.
#[derive(Debug)]
pub struct Engine {
    target: Arc<TargetConfig>,
    reactor: u16,
    tasks_max: u32,
    requests: VecDeque<(NexusId, PortRequest)>,
    submissions: VecDeque<Submission>,
}

impl Engine {
    /// Serves the units of `target` whose home is `reactor`, with at most `tasks_max` commands at a time.
    #[must_use]
    pub fn new(target: Arc<TargetConfig>, reactor: u16, tasks_max: u32) -> Self {
        Self { target, reactor, tasks_max, requests: VecDeque::new(), submissions: VecDeque::new() }
    }

    /// A nexus exists from now on.
    pub fn handle_login(&mut self, _now: Time, _nexus: NexusId, _login: &Login) {}

    /// A command arrived.
    pub fn handle_command(&mut self, _now: Time, nexus: NexusId, command: Command, _pool: &mut Pool) {
        self.requests.push_back((nexus, PortRequest::Abandon { tag: command.tag }));
    }

    /// The data that a task solicited.
    pub fn handle_data_out(&mut self, _now: Time, _task: TaskId, buf: Buf, pool: &mut Pool) {
        pool.give(buf);
    }

    /// A task management function arrived.
    pub fn handle_task_management(
        &mut self,
        _now: Time,
        _nexus: NexusId,
        _management: TaskManagement,
        _pool: &mut Pool,
    ) {
    }

    /// A nexus is gone: its tasks are dropped, none is answered.
    pub fn handle_nexus_loss(&mut self, _now: Time, _nexus: NexusId, _pool: &mut Pool) {}

    /// A store operation has finished.
    pub fn handle_completion(&mut self, _now: Time, completion: Completion, pool: &mut Pool) {
        if let Some(buf) = completion.buf {
            pool.give(buf);
        }
    }

    /// The time of [`Engine::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, _now: Time, _pool: &mut Pool) {}

    /// The store queue had no room: the submission comes back, to be polled again first.
    pub fn unsubmit(&mut self, submission: Submission) {
        self.submissions.push_front(submission);
    }

    /// The next answer or wish for a port.
    #[must_use]
    pub fn poll_request(&mut self) -> Option<(NexusId, PortRequest)> {
        self.requests.pop_front()
    }

    /// The next operation for a store.
    #[must_use]
    pub fn poll_submission(&mut self) -> Option<Submission> {
        self.submissions.pop_front()
    }

    /// When [`Engine::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        None
    }

    /// Whether there is no task and no operation under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.requests.is_empty()
            && self.submissions.is_empty()
            && self.tasks_max > u32::from(self.reactor)
            && self.target.units.is_empty()
    }
}
