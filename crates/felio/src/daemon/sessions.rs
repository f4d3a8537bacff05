//! Who is logged in, what was agreed on, and what became of logins: from the news of the reactors.
//!
//! Bounds: sessions are those that the runtime admits, counts those of the configuration's targets.

use super::metrics::SessionSource;
use felio_control::stats::{BrokenSession, FailedLogin, LoginFailure, Logins, SessionFailure, TargetStats};
use felio_control::view::{ConnectionView, SessionLun, SessionView};
use felio_control::{Config, Refusal, RefusalKind, TargetKey, TpgKey};
use felio_hal::meter::{Meter, Meters};
use felio_hal::port::{LossReason, Terms};
use felio_iscsi::causes::{Fault, fault};
use felio_iscsi::login;
use felio_iscsi::pdu::LoginStatus;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// Who is logged in, and what became of logins.
#[derive(Default)]
pub(super) struct Sessions {
    present: BTreeMap<u16, Session>,
    logins: BTreeMap<TargetKey, Logins>,
}

/// A session.
pub(super) struct Session {
    pub(super) initiator: String,
    pub(super) initiator_port: String,
    /// Where; nowhere for discovery.
    pub(super) tpg: Option<TpgKey>,
    pub(super) peer: SocketAddr,
    pub(super) terms: Arc<Terms>,
    pub(super) meters: Meters<Meter>,
}

/// The number that a session is asked for by.
pub(super) fn number(id: &str) -> Result<u16, Refusal> {
    id.parse().map_err(|_| no_session(id))
}

/// The session with this number.
pub(super) fn find(sessions: Vec<SessionView>, id: u16) -> Result<SessionView, Refusal> {
    sessions.into_iter().find(|session| session.id == id).ok_or_else(|| no_session(id))
}

fn no_session(id: impl core::fmt::Display) -> Refusal {
    Refusal::new(RefusalKind::NotFound, format!("there is no session {id}"))
        .hint("`sessions` or GET /v1/sessions lists all")
}

impl Sessions {
    /// A session began.
    pub(super) fn handle_login(&mut self, id: u16, session: Session) {
        if let Some(tpg) = &session.tpg {
            self.logins.entry(tpg.target.clone()).or_default().accepted += 1;
        }
        self.present.insert(id, session);
    }

    /// A session ended. Where it was; nowhere for discovery.
    pub(super) fn handle_logout(
        &mut self,
        id: u16,
        reason: LossReason,
        cause: Option<&str>,
    ) -> Option<TpgKey> {
        let Session { tpg, initiator, .. } = self.present.remove(&id)?;
        let tpg = tpg?;
        let logins = self.logins.entry(tpg.target.clone()).or_default();
        match reason {
            LossReason::Logout | LossReason::Administrative => logins.logouts += 1,
            LossReason::Connection | LossReason::Reinstated => logins.losses += 1,
        }
        if let Some(cause) = cause {
            let kind = match fault(cause) {
                Fault::Digest => SessionFailure::Digest,
                Fault::Timeout => SessionFailure::Timeout,
                Fault::Format => SessionFailure::Format,
            };
            logins.note_broken(BrokenSession { initiator, kind });
        }
        Some(tpg)
    }

    /// A login was refused. What came to no target is counted of none.
    pub(super) fn handle_refused(
        &mut self,
        peer: SocketAddr,
        refusal: &login::Refusal,
        at_nanos: u64,
        config: &Config,
    ) {
        let Some(target) = &refusal.target else { return };
        let target = TargetKey::iscsi(target.to_string());
        if !config.targets.contains_key(&target) {
            return;
        }
        let kind = match refusal.status {
            LoginStatus::AUTHORIZATION_FAILURE => LoginFailure::NotAuthorized,
            LoginStatus::AUTHENTICATION_FAILURE => LoginFailure::NotAuthenticated,
            LoginStatus::INITIATOR_ERROR => LoginFailure::NotNegotiated,
            _ => LoginFailure::Other,
        };
        let initiator = refusal.initiator.as_ref().map(ToString::to_string).unwrap_or_default();
        let login = FailedLogin { at_nanos, kind, initiator, address: peer.ip() };
        self.logins.entry(target).or_default().note_failed(login);
    }

    /// The configuration is another: of targets that are gone nothing is known.
    pub(super) fn follow(&mut self, config: &Config) {
        self.logins.retain(|target, _| config.targets.contains_key(target));
    }

    /// All of them, with what the configuration says of them.
    pub(super) fn views(&self, config: &Config) -> Vec<SessionView> {
        self.present.iter().map(|(id, session)| session.view(*id, config)).collect()
    }

    /// Where they are counted; discovery is not.
    pub(super) fn sources(&self) -> Vec<SessionSource> {
        self.present.iter().filter_map(|(id, session)| session.source(*id)).collect()
    }

    /// Who is logged in at these portal groups, and how many commands of them run.
    pub(super) fn there(&self, is_meant: impl Fn(&TpgKey) -> bool) -> (Vec<String>, u64) {
        let all = self.present.values().filter(|session| session.tpg.as_ref().is_some_and(&is_meant));
        let running =
            |session: &Session| session.meters.iter().map(|meter| meter.in_flight.get()).sum::<u64>();
        (all.clone().map(|session| session.initiator.clone()).collect(), all.map(running).sum())
    }

    /// What became of logins at each target.
    pub(super) fn targets(&self, config: &Config) -> Vec<TargetStats> {
        let of = |target: &TargetKey| self.logins.get(target).cloned().unwrap_or_default();
        config
            .targets
            .keys()
            .map(|target| TargetStats { target: target.clone(), logins: of(target) })
            .collect()
    }
}

impl Session {
    fn source(&self, id: u16) -> Option<SessionSource> {
        let Self { initiator, tpg, peer, meters, .. } = self;
        let (initiator, tpg, peer) = (initiator.clone(), tpg.clone()?, peer.to_string());
        Some(SessionSource { id, initiator, tpg, peer, meters: meters.clone() })
    }

    fn view(&self, id: u16, config: &Config) -> SessionView {
        let acl = self.tpg.as_ref().and_then(|tpg| config.tpg(tpg)?.acls.get(&self.initiator));
        let (terms, state) = (&self.terms, "LOGGED_IN".to_owned());
        let parameters = terms.values.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        SessionView {
            id,
            initiator: self.initiator.clone(),
            initiator_port: self.initiator_port.clone(),
            alias: terms.alias.clone(),
            tag: acl.and_then(|acl| acl.tag.clone()),
            tpg: self.tpg.clone(),
            authenticated: terms.user.is_some(),
            user: terms.user.clone(),
            parameters: parameters.collect(),
            connections: vec![ConnectionView {
                cid: terms.connection,
                peer: self.peer.to_string(),
                local: terms.local.map(|local| local.to_string()),
                transport: "TCP".to_owned(),
                state: state.clone(),
            }],
            state,
            luns: self.luns(config),
        }
    }

    /// What it finds: what its ACL maps, or all that is there.
    fn luns(&self, config: &Config) -> Vec<SessionLun> {
        let Some(tpg) = self.tpg.as_ref().and_then(|key| config.tpg(key)) else { return Vec::new() };
        let storage = |index: u16| Some(tpg.luns.get(&index)?.storage.clone());
        let lun = |index: u16, tpg_lun: u16, write_protect: bool| {
            Some(SessionLun { index, storage: storage(tpg_lun)?, write_protect })
        };
        let protect = tpg.attribute("demo_mode_write_protect").is_some_and(|on| on.is_on());
        match tpg.acls.get(&self.initiator) {
            Some(acl) => {
                let mapped = acl.mapped_luns.iter();
                mapped
                    .filter_map(|(index, mapped)| lun(*index, mapped.tpg_lun, mapped.write_protect))
                    .collect()
            }
            None => tpg.luns.keys().filter_map(|index| lun(*index, *index, protect)).collect(),
        }
    }
}
