//! Reservations, as initiators see them.

mod compatible;
mod model;
mod persistent;
mod power_loss;
mod preempt;
mod registering;

use crate::rig::{ALICE, BOB, Code, Reply, Rig};
use felio_hal::{NexusId, PortTag};
use felio_spec::Status;

/// A third initiator.
pub(crate) const CAROL: NexusId = NexusId { reactor: 0, slot: 2, generation: 0 };

pub(crate) const WE: u8 = 1;
pub(crate) const EA: u8 = 3;
pub(crate) const WE_RO: u8 = 5;
pub(crate) const EA_RO: u8 = 6;
pub(crate) const WE_AR: u8 = 7;
pub(crate) const EA_AR: u8 = 8;
pub(crate) const TYPES: [u8; 6] = [WE, EA, WE_RO, EA_RO, WE_AR, EA_AR];

pub(crate) const RESERVE6: [u8; 6] = [0x16, 0, 0, 0, 0, 0];
pub(crate) const RELEASE6: [u8; 6] = [0x17, 0, 0, 0, 0, 0];
pub(crate) const RESERVE10: [u8; 10] = [0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0];
pub(crate) const RELEASE10: [u8; 10] = [0x57, 0, 0, 0, 0, 0, 0, 0, 0, 0];

pub(crate) const PREEMPTED: Code = (6, 0x2a, 3);
pub(crate) const RELEASED: Code = (6, 0x2a, 4);
pub(crate) const REGISTRATIONS_PREEMPTED: Code = (6, 0x2a, 5);
pub(crate) const NOTHING: Code = (0, 0, 0);
pub(crate) const INVALID_CDB: Code = (5, 0x24, 0);
pub(crate) const INVALID_LIST: Code = (5, 0x26, 0);
pub(crate) const LIST_LENGTH: Code = (5, 0x1a, 0);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Out {
    Register,
    Reserve,
    Release,
    Clear,
    Preempt,
    PreemptAndAbort,
    Ignore,
    Move,
    Replace,
}

impl Out {
    pub(crate) const ALL: [Self; 9] = [
        Self::Register,
        Self::Reserve,
        Self::Release,
        Self::Clear,
        Self::Preempt,
        Self::PreemptAndAbort,
        Self::Ignore,
        Self::Move,
        Self::Replace,
    ];

    pub(crate) fn code(self) -> u8 {
        Self::ALL.iter().position(|out| *out == self).and_then(|at| at.try_into().ok()).expect("a code")
    }
}

pub(crate) fn out_cdb(out: Out, kind: u8, length: usize) -> [u8; 10] {
    let [a, b, c, d] = u32::try_from(length).expect("small").to_be_bytes();
    [0x5f, out.code(), kind, 0, 0, a, b, c, d, 0]
}

pub(crate) fn in_cdb(action: u8, allocation: u16) -> [u8; 10] {
    let [a, b] = allocation.to_be_bytes();
    [0x5e, action, 0, 0, 0, 0, 0, a, b, 0]
}

/// The basic list; `flags`: 1 is APTPL, 4 ALL_TG_PT, 8 SPEC_I_PT.
pub(crate) fn list(key: u64, action_key: u64, flags: u8) -> Vec<u8> {
    let mut list = [key.to_be_bytes(), action_key.to_be_bytes()].concat();
    list.extend([0, 0, 0, 0, flags, 0, 0, 0]);
    list
}

/// The TransportID of an initiator of the rig.
pub(crate) fn transport_id(initiator: u32) -> Vec<u8> {
    let mut id = vec![0x45, 0, 0, 0];
    id.extend(format!("iqn.2026-01.net.x:i{initiator},i,0x000000000001\0").bytes());
    id.resize(id.len().next_multiple_of(4), 0);
    id[3] = u8::try_from(id.len() - 4).expect("short");
    id
}

pub(crate) fn move_list(key: u64, action_key: u64, flags: u8, port: u16, id: &[u8]) -> Vec<u8> {
    let mut list = [key.to_be_bytes(), action_key.to_be_bytes()].concat();
    list.extend([0, flags]);
    list.extend(port.to_be_bytes());
    list.extend(u32::try_from(id.len()).expect("short").to_be_bytes());
    list.extend(id);
    list
}

impl Rig {
    /// Carol is there too.
    pub(crate) fn with_carol() -> Self {
        let mut rig = Self::new();
        rig.login(CAROL);
        rig.run(CAROL, &crate::cdb::TEST_UNIT_READY, &[]);
        rig
    }

    pub(crate) fn out(&mut self, nexus: NexusId, out: Out, kind: u8, list: &[u8]) -> Reply {
        self.run(nexus, &out_cdb(out, kind, list.len()), list)
    }

    pub(crate) fn send_out(&mut self, nexus: NexusId, out: Out, kind: u8, list: &[u8]) -> PortTag {
        self.send(nexus, &out_cdb(out, kind, list.len()), list)
    }

    pub(crate) fn register(&mut self, nexus: NexusId, key: u64) {
        assert_eq!(self.out(nexus, Out::Ignore, 0, &list(0, key, 0)).status, Status::GOOD);
    }

    pub(crate) fn reserve(&mut self, nexus: NexusId, key: u64, kind: u8) {
        assert_eq!(self.out(nexus, Out::Reserve, kind, &list(key, 0, 0)).status, Status::GOOD);
    }

    /// Alice, Bob and Carol are registered with the keys 1, 2 and 3, and Alice has reserved the unit.
    pub(crate) fn reserved(kind: u8) -> Self {
        let mut rig = Self::with_carol();
        for (nexus, key) in [(ALICE, 1), (BOB, 2), (CAROL, 3)] {
            rig.register(nexus, key);
        }
        rig.reserve(ALICE, 1, kind);
        rig
    }

    /// The next unit attention, if there is one.
    pub(crate) fn attention(&mut self, nexus: NexusId) -> Code {
        self.run(nexus, &crate::cdb::TEST_UNIT_READY, &[]).code()
    }

    pub(crate) fn generation(&mut self) -> u32 {
        let data = self.run(ALICE, &in_cdb(0, 8), &[]).data;
        u32::from_be_bytes(data[..4].try_into().expect("four bytes"))
    }

    pub(crate) fn keys(&mut self) -> Vec<u64> {
        let data = self.run(ALICE, &in_cdb(0, u16::MAX), &[]).data;
        let length = u32::from_be_bytes(data[4..8].try_into().expect("four bytes"));
        assert_eq!(usize::try_from(length), Ok(data.len() - 8));
        data[8..].chunks(8).map(|key| u64::from_be_bytes(key.try_into().expect("eight bytes"))).collect()
    }

    /// Key and type of the reservation.
    pub(crate) fn reservation(&mut self) -> Option<(u64, u8)> {
        let data = self.run(ALICE, &in_cdb(1, u16::MAX), &[]).data;
        match data.len() {
            8 => None,
            _ => Some((u64::from_be_bytes(data[8..16].try_into().expect("eight bytes")), data[21])),
        }
    }
}
