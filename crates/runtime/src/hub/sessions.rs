//! The register of sessions: who may exist, and who must first be gone.
//!
//! One for the whole process, on the first reactor; the others write to it. It decides and does nothing: [`Sessions::poll_verdict`]
//! says whom to admit, refuse or close.
//!
//! Invariants: of one initiator port and target port there is at most one session; handles (TSIH) are unique and never zero; sessions and
//! those that wait are bounded.

use felio_hal::NexusId;
use felio_hal::port::Login;
use felio_hal::port::Refusal;
use std::collections::{BTreeMap, VecDeque};

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The session exists now, under this handle.
    Admit { nexus: NexusId, session: u16 },
    /// It may not exist.
    Refuse { nexus: NexusId, refusal: Refusal },
    /// A newer session of the same initiator port takes its place: it must go.
    Close { nexus: NexusId },
}

/// Who is or wants to be connected to what: the I_T nexus by name, the target port by its target and its tag.
type Name = (String, String, u16);

#[derive(Debug)]
struct Session {
    nexus: NexusId,
    handle: u16,
    /// The one that waits for this one's end.
    heir: Option<NexusId>,
}

/// The register.
#[derive(Debug)]
pub(crate) struct Sessions {
    by_name: BTreeMap<Name, Session>,
    handles: BTreeMap<u16, Name>,
    next: u16,
    max: usize,
    stopping: bool,
    verdicts: VecDeque<Verdict>,
}

impl Sessions {
    pub(crate) const fn new(max: usize) -> Self {
        Self {
            by_name: BTreeMap::new(),
            handles: BTreeMap::new(),
            next: 1,
            max,
            stopping: false,
            verdicts: VecDeque::new(),
        }
    }

    /// A connection whose names are checked asks for a session.
    //= RFC 7143 "Session Reinstatement, Closure, and Timeout"
    pub(crate) fn handle_login(&mut self, nexus: NexusId, login: Login) {
        let name = (login.initiator_port, login.target, login.target_port_tag);
        if self.stopping {
            self.refuse(nexus, Refusal::ServiceUnavailable);
        } else if login.session != 0 {
            // One connection a session: there is nothing to join.
            let exists = self.handles.get(&login.session) == Some(&name);
            self.refuse(nexus, if exists { Refusal::TooManyConnections } else { Refusal::NoSuchSession });
        } else if let Some(session) = self.by_name.get_mut(&name) {
            let old = session.heir.replace(nexus);
            let close = old.unwrap_or(session.nexus);
            self.verdicts.push_back(Verdict::Close { nexus: close });
        } else if self.by_name.len() >= self.max.min(usize::from(u16::MAX)) {
            self.refuse(nexus, Refusal::OutOfResources);
        } else {
            self.admit(nexus, name);
        }
    }

    /// The session, or the wish for one, is over: no reactor holds anything of it any more.
    pub(crate) fn handle_release(&mut self, nexus: NexusId) {
        let Some(name) = self.name_of(nexus) else { return };
        let Some(session) = self.by_name.get_mut(&name) else { return };
        if session.heir == Some(nexus) {
            session.heir = None;
            return;
        }
        let (handle, heir) = (session.handle, session.heir);
        self.by_name.remove(&name);
        self.handles.remove(&handle);
        if let Some(heir) = heir {
            if self.stopping {
                self.refuse(heir, Refusal::ServiceUnavailable);
            } else {
                self.admit(heir, name);
            }
        }
    }

    /// From now on nobody is admitted.
    pub(crate) const fn handle_stop(&mut self) {
        self.stopping = true;
    }

    #[must_use]
    pub(crate) fn poll_verdict(&mut self) -> Option<Verdict> {
        self.verdicts.pop_front()
    }

    fn refuse(&mut self, nexus: NexusId, refusal: Refusal) {
        self.verdicts.push_back(Verdict::Refuse { nexus, refusal });
    }

    fn admit(&mut self, nexus: NexusId, name: Name) {
        let handle = self.free_handle();
        self.handles.insert(handle, name.clone());
        self.by_name.insert(name, Session { nexus, handle, heir: None });
        self.verdicts.push_back(Verdict::Admit { nexus, session: handle });
    }

    fn free_handle(&mut self) -> u16 {
        // There are fewer sessions than handles, so this ends.
        loop {
            let handle = self.next;
            self.next = handle.checked_add(1).unwrap_or(1);
            if !self.handles.contains_key(&handle) {
                return handle;
            }
        }
    }

    fn name_of(&self, nexus: NexusId) -> Option<Name> {
        let names = |session: &Session| session.nexus == nexus || session.heir == Some(nexus);
        self.by_name.iter().find(|(_, session)| names(session)).map(|(name, _)| name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use felio_hal::port::LoginKind;

    const fn nexus(slot: u32) -> NexusId {
        NexusId { reactor: 0, slot, generation: 0 }
    }

    fn login(port: &str, session: u16) -> Login {
        Login {
            initiator_port: port.to_owned(),
            initiator: port.to_owned(),
            target: "iqn.t".to_owned(),
            target_port_tag: 1,
            kind: LoginKind::Normal,
            session,
            terms: std::sync::Arc::default(),
        }
    }

    fn verdicts(sessions: &mut Sessions) -> Vec<Verdict> {
        core::iter::from_fn(|| sessions.poll_verdict()).collect()
    }

    #[test]
    fn two_initiator_ports_get_two_sessions() {
        let mut sessions = Sessions::new(8);
        sessions.handle_login(nexus(1), login("a", 0));
        sessions.handle_login(nexus(2), login("b", 0));
        let want =
            [Verdict::Admit { nexus: nexus(1), session: 1 }, Verdict::Admit { nexus: nexus(2), session: 2 }];
        assert_eq!(verdicts(&mut sessions), want);
    }

    #[test]
    fn one_initiator_port_has_a_session_at_each_target_port() {
        let mut sessions = Sessions::new(8);
        sessions.handle_login(nexus(1), login("a", 0));
        sessions.handle_login(nexus(2), Login { target_port_tag: 2, ..login("a", 0) });
        sessions.handle_login(nexus(3), Login { target_port_tag: 3, ..login("a", 1) });
        let want = [
            Verdict::Admit { nexus: nexus(1), session: 1 },
            Verdict::Admit { nexus: nexus(2), session: 2 },
            Verdict::Refuse { nexus: nexus(3), refusal: Refusal::NoSuchSession },
        ];
        assert_eq!(verdicts(&mut sessions), want);
    }

    #[test]
    fn the_old_session_is_gone_before_its_heir_is_admitted() {
        let mut sessions = Sessions::new(8);
        sessions.handle_login(nexus(1), login("a", 0));
        sessions.handle_login(nexus(2), login("a", 0));
        let want = [Verdict::Admit { nexus: nexus(1), session: 1 }, Verdict::Close { nexus: nexus(1) }];
        assert_eq!(verdicts(&mut sessions), want);
        sessions.handle_release(nexus(1));
        assert_eq!(verdicts(&mut sessions), [Verdict::Admit { nexus: nexus(2), session: 2 }]);
    }

    #[test]
    fn a_second_heir_replaces_the_first() {
        let mut sessions = Sessions::new(8);
        for slot in 1..4 {
            sessions.handle_login(nexus(slot), login("a", 0));
        }
        assert_eq!(verdicts(&mut sessions)[2], Verdict::Close { nexus: nexus(2) });
        sessions.handle_release(nexus(2));
        sessions.handle_release(nexus(1));
        assert_eq!(verdicts(&mut sessions), [Verdict::Admit { nexus: nexus(3), session: 2 }]);
    }

    #[test]
    fn no_more_than_the_maximum_are_admitted() {
        let mut sessions = Sessions::new(1);
        sessions.handle_login(nexus(1), login("a", 0));
        sessions.handle_login(nexus(2), login("b", 0));
        let want = Verdict::Refuse { nexus: nexus(2), refusal: Refusal::OutOfResources };
        assert_eq!(verdicts(&mut sessions)[1], want);
    }

    #[test]
    fn an_unknown_handle_is_refused() {
        let mut sessions = Sessions::new(1);
        sessions.handle_login(nexus(1), login("a", 7));
        let want = Verdict::Refuse { nexus: nexus(1), refusal: Refusal::NoSuchSession };
        assert_eq!(verdicts(&mut sessions), [want]);
    }

    #[test]
    fn a_known_handle_has_all_its_connections() {
        let mut sessions = Sessions::new(4);
        sessions.handle_login(nexus(1), login("a", 0));
        sessions.handle_login(nexus(2), login("a", 1));
        let want = Verdict::Refuse { nexus: nexus(2), refusal: Refusal::TooManyConnections };
        assert_eq!(verdicts(&mut sessions)[1], want);
    }

    #[test]
    fn nobody_is_admitted_while_stopping() {
        let mut sessions = Sessions::new(4);
        sessions.handle_stop();
        sessions.handle_login(nexus(1), login("a", 0));
        let want = Verdict::Refuse { nexus: nexus(1), refusal: Refusal::ServiceUnavailable };
        assert_eq!(verdicts(&mut sessions), [want]);
    }
}
