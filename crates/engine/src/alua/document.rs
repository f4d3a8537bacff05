//! What outlives the process: the states that initiators have chosen.
//!
//! A state counts only as long as the operator's own has stayed the one that it was chosen over: who changes the
//! configuration is obeyed.

use super::{Group, PortGroups, Standing};
use felio_hal::state::Save;
use felio_spec::alua::{AccessState, status_code};
use serde::{Deserialize, Serialize};

/// The document's name.
pub(super) const PART: &str = "port_groups";

#[derive(Serialize, Deserialize)]
struct Document {
    groups: Vec<SavedGroup>,
    /// Ports that are out of service.
    offline: Vec<u16>,
}

#[derive(Serialize, Deserialize)]
struct SavedGroup {
    id: u16,
    /// The operator's state.
    configured: String,
    /// The state since; the one to come, in a transition.
    state: String,
    status: u8,
}

impl PortGroups {
    /// What is to be saved.
    pub(super) fn document(&self) -> Option<Save> {
        let groups = self.groups.iter().map(SavedGroup::of).collect();
        let bytes = serde_json::to_vec(&Document { groups, offline: self.offline.clone() }).ok()?;
        Some(Save { part: PART, bytes })
    }

    /// Back to what was saved, as far as it still makes sense.
    pub(super) fn restore(&mut self, bytes: &[u8]) {
        let Ok(document) = serde_json::from_slice::<Document>(bytes) else { return };
        for saved in &document.groups {
            let group = self.groups.iter_mut().find(|group| group.config.id == saved.id);
            if let (Some(state), Some(group)) = (AccessState::from_name(&saved.state), group) {
                group.restore(state, saved);
            }
        }
        let obeyed = |port: &u16| {
            let group = self.group_of(*port)?;
            let saved = document.groups.iter().find(|saved| saved.id == group.config.id)?;
            (saved.configured == group.config.state.row().name).then_some(*port)
        };
        self.offline = document.offline.iter().filter_map(obeyed).collect();
    }
}

impl Group {
    fn restore(&mut self, state: AccessState, saved: &SavedGroup) {
        let own = self.config.state;
        if saved.configured == own.row().name && (state == own || self.supports(state)) {
            self.standing = Standing::In(state);
            self.status = saved.status;
        } else if state != own {
            // Nobody asked by SET TARGET PORT GROUPS for what it is in now.
            self.status = status_code::BY_IMPLICIT;
        }
    }
}

impl SavedGroup {
    fn of(group: &Group) -> Self {
        Self {
            id: group.config.id,
            configured: group.config.state.row().name.to_owned(),
            state: group.destination().row().name.to_owned(),
            status: group.status,
        }
    }
}
