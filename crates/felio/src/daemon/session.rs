//! Who is logged in, and what the configuration says of them.

use super::metrics::SessionSource;
use felio_control::view::{ConnectionView, SessionLun, SessionView};
use felio_control::{Config, TpgKey};
use felio_hal::meter::{Meter, Meters};

/// Who is logged in.
pub(super) struct Session {
    pub(super) initiator: String,
    /// Where; nowhere for discovery.
    pub(super) tpg: Option<TpgKey>,
    pub(super) peer: String,
    pub(super) meters: Meters<Meter>,
}

impl Session {
    /// Where it is counted; discovery is not.
    pub(super) fn source(&self, id: u16) -> Option<SessionSource> {
        let Self { initiator, tpg, peer, meters } = self;
        let (initiator, tpg, peer) = (initiator.clone(), tpg.clone()?, peer.clone());
        Some(SessionSource { id, initiator, tpg, peer, meters: meters.clone() })
    }

    /// The session, with what the configuration says of it.
    pub(super) fn view(&self, id: u16, config: &Config) -> SessionView {
        let tpg = self.tpg.as_ref().and_then(|key| config.tpg(key));
        let acl = tpg.and_then(|tpg| tpg.acls.get(&self.initiator));
        let storage = |index: u16| Some(tpg?.luns.get(&index)?.storage.clone());
        let own = acl.into_iter().flat_map(|acl| &acl.mapped_luns).filter_map(|(index, mapped)| {
            Some(SessionLun {
                index: *index,
                storage: storage(mapped.tpg_lun)?,
                write_protect: mapped.write_protect,
            })
        });
        let protect =
            tpg.and_then(|tpg| tpg.attribute("demo_mode_write_protect")).is_some_and(|on| on.is_on());
        let all = tpg.filter(|_| acl.is_none()).into_iter().flat_map(|tpg| &tpg.luns);
        let all = all.map(|(index, lun)| SessionLun {
            index: *index,
            storage: lun.storage.clone(),
            write_protect: protect,
        });
        let demanded = |value: Option<felio_control::Value>| value.and_then(|value| value.number());
        let authenticated = match acl.and_then(|acl| demanded(acl.attribute("authentication"))) {
            Some(own @ (0 | 1)) => own == 1,
            _ => tpg.is_some_and(|tpg| demanded(tpg.attribute("authentication")) == Some(1)),
        };
        let state = "LOGGED_IN".to_owned();
        SessionView {
            id,
            initiator: self.initiator.clone(),
            alias: None,
            tag: acl.and_then(|acl| acl.tag.clone()),
            tpg: self.tpg.clone(),
            authenticated,
            connections: vec![ConnectionView {
                cid: 0,
                peer: self.peer.clone(),
                transport: "TCP".to_owned(),
                state: state.clone(),
            }],
            state,
            luns: own.chain(all).collect(),
        }
    }
}
