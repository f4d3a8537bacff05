//! PERSISTENT RESERVE OUT as it arrives: CDB and parameter list, turned into what they ask for.
//!
//! Invariant: whoever has a [`Request`] needs no length and no offset any more. SCOPE and TYPE stay as they came, for not
//! every service action looks at them, and none before the key was found right.

use super::persistent::{Key, Path, initiator_text};
use felio_spec::commands::persistent_reserve_out_reserve::{SCOPE, TYPE};
use felio_spec::field::Field;
use felio_spec::reservation::{additional_list, basic_list, move_list};
use felio_spec::sense::{Sense, code};
use felio_spec::transport_id::{self, Flaw, TransportId};
use felio_spec::{Bits, Cdb};
use std::sync::Arc;

/// Longest parameter list that is fetched.
pub(crate) const LIST_BYTES_MAX: u64 = 16 << 10;

/// The service actions of PERSISTENT RESERVE OUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Registers, or changes or removes a registration, for who knows its key.
    Register,
    /// Reserves the unit.
    Reserve,
    /// Ends the reservation.
    Release,
    /// Ends all registrations and the reservation.
    Clear,
    /// Removes registrations of others, and takes over their reservation.
    Preempt,
    /// The same, and ends the commands of the others.
    PreemptAndAbort,
    /// Registers, or changes or removes a registration, whatever its key is.
    RegisterAndIgnoreExistingKey,
    /// Hands the reservation to another.
    RegisterAndMove,
    /// Begins anew where what was saved is lost.
    ReplaceLostReservation,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// RESERVATION KEY.
    pub(crate) key: u64,
    /// SCOPE.
    pub(crate) scope: u8,
    /// TYPE.
    pub(crate) kind: u8,
    pub(crate) action: Action,
}

/// The service action with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Register(Register),
    Reserve,
    Release,
    Clear,
    /// The registrations of that key, or of all where all hold the reservation.
    Preempt {
        victim: Option<Key>,
        abort: bool,
    },
    /// `key` for `destination`, which holds the reservation afterwards.
    Move {
        key: Option<Key>,
        destination: Path,
        unregister: bool,
        aptpl: bool,
    },
    ReplaceLost {
        key: Option<Key>,
        aptpl: bool,
    },
}

/// A registration, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Register {
    /// None: the registration ends.
    pub(crate) key: Option<Key>,
    pub(crate) existing: Existing,
    /// SPEC_I_PT: other initiator ports to be registered.
    pub(crate) others: Option<Vec<Initiator>>,
    pub(crate) ports: Ports,
    pub(crate) aptpl: bool,
}

/// Whether the sender must know its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    Checked,
    Ignored,
}

/// ALL_TG_PT: with which target ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    Own,
    All,
}

/// An initiator of SPEC_I_PT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Initiator {
    /// One port.
    Port(Arc<str>),
    /// All known ports of an iSCSI initiator: what their names begin with, and where in the list that is said.
    Device { prefix: String, at: Bits },
}

impl Request {
    /// What a CDB and its parameter list ask for.
    pub(crate) fn parse(service: Service, cdb: &Cdb, list: &[u8]) -> Result<Self, Sense> {
        let length = felio_spec::commands::persistent_reserve_out_reserve::PARAMETER_LIST_LENGTH;
        if u64::try_from(list.len()) != Ok(length.bits.read(cdb.bytes())) {
            return Err(code::PARAMETER_LIST_LENGTH_ERROR.into()); // Fewer bytes came than the CDB says.
        }
        let (key, action) = match service {
            Service::RegisterAndMove => parse_move(list)?,
            _ => parse_basic(service, list)?,
        };
        Ok(Self { key, scope: cdb.get(SCOPE), kind: cdb.get(TYPE), action })
    }
}

//= SPC-4 "Basic PERSISTENT RESERVE OUT parameter list"
fn parse_basic(service: Service, list: &[u8]) -> Result<(u64, Action), Sense> {
    let (basic, additional) =
        list.split_at_checked(basic_list::BYTES).ok_or(code::PARAMETER_LIST_LENGTH_ERROR)?;
    let named = basic_list::SPEC_I_PT.get(basic);
    if named && service != Service::Register {
        return Err(Sense::invalid_parameter(basic_list::SPEC_I_PT.bits));
    }
    if !named && !additional.is_empty() {
        return Err(code::PARAMETER_LIST_LENGTH_ERROR.into());
    }
    let others = named.then(|| parse_initiators(additional)).transpose()?;
    let key = Key::new(basic_list::SERVICE_ACTION_RESERVATION_KEY.get(basic));
    let aptpl = basic_list::APTPL.get(basic);
    let ports = if basic_list::ALL_TG_PT.get(basic) { Ports::All } else { Ports::Own };
    let register = |existing| Action::Register(Register { key, existing, others, ports, aptpl });
    let action = match service {
        Service::Register => register(Existing::Checked),
        Service::RegisterAndIgnoreExistingKey => register(Existing::Ignored),
        Service::Reserve => Action::Reserve,
        Service::Release => Action::Release,
        Service::Clear => Action::Clear,
        Service::Preempt => Action::Preempt { victim: key, abort: false },
        Service::PreemptAndAbort => Action::Preempt { victim: key, abort: true },
        Service::ReplaceLostReservation => Action::ReplaceLost { key, aptpl },
        Service::RegisterAndMove => return parse_move(list),
    };
    Ok((basic_list::RESERVATION_KEY.get(basic), action))
}

/// The TransportIDs behind the basic list.
fn parse_initiators(additional: &[u8]) -> Result<Vec<Initiator>, Sense> {
    let length = additional_list::TRANSPORTID_PARAMETER_DATA_LENGTH;
    let (header, mut ids) =
        additional.split_at_checked(additional_list::BYTES).ok_or(code::PARAMETER_LIST_LENGTH_ERROR)?;
    check_length(length, header, ids)?;
    let mut at = basic_list::BYTES + additional_list::BYTES;
    let mut initiators = Vec::new();
    while !ids.is_empty() {
        let (id, used) = parse_id(ids, at)?;
        initiators.push(match id {
            TransportId::IscsiDevice(_) => {
                Initiator::Device { prefix: format!("{},", initiator_text(&id)), at: transport_ids_at(at) }
            }
            _ => Initiator::Port(initiator_text(&id)),
        });
        (at, ids) = (at + used, &ids[used..]);
    }
    Ok(initiators)
}

//= SPC-4 "PERSISTENT RESERVE OUT command with REGISTER AND MOVE service action parameters"
fn parse_move(list: &[u8]) -> Result<(u64, Action), Sense> {
    let (fixed, ids) = list.split_at_checked(move_list::BYTES).ok_or(code::PARAMETER_LIST_LENGTH_ERROR)?;
    check_length(move_list::TRANSPORTID_PARAMETER_DATA_LENGTH, fixed, ids)?;
    let (id, used) = parse_id(ids, move_list::BYTES)?;
    if used != ids.len() {
        let length = move_list::TRANSPORTID_PARAMETER_DATA_LENGTH;
        return Err(Sense::invalid_parameter(length.bits));
    }
    if let TransportId::IscsiDevice(_) = id {
        let format = transport_id::header::TPID_FORMAT;
        return Err(Sense::invalid_parameter(format.bits.at(offset(move_list::BYTES)))); // One port is wanted.
    }
    let port = move_list::RELATIVE_TARGET_PORT_IDENTIFIER.get(fixed);
    let action = Action::Move {
        key: Key::new(move_list::SERVICE_ACTION_RESERVATION_KEY.get(fixed)),
        destination: Path { initiator: initiator_text(&id), port },
        unregister: move_list::UNREG.get(fixed),
        aptpl: move_list::APTPL.get(fixed),
    };
    Ok((move_list::RESERVATION_KEY.get(fixed), action))
}

/// Where the TransportID at a byte of the list lies, for a field pointer.
pub(crate) fn transport_ids_at(at: usize) -> Bits {
    Bits { byte: offset(at), msb: 7, width: 8 }
}

fn parse_id(ids: &[u8], at: usize) -> Result<(TransportId<'_>, usize), Sense> {
    use transport_id::{header::TPID_FORMAT, iscsi::ADDITIONAL_LENGTH, iscsi::BYTES};
    TransportId::parse(ids).map_err(|flaw| match flaw {
        Flaw::Short => code::PARAMETER_LIST_LENGTH_ERROR.into(),
        Flaw::Format => Sense::invalid_parameter(TPID_FORMAT.bits.at(offset(at))),
        Flaw::Length => Sense::invalid_parameter(ADDITIONAL_LENGTH.bits.at(offset(at))),
        Flaw::Name => Sense::invalid_parameter(transport_ids_at(at + BYTES)),
    })
}

/// Refuses a list whose own length and the CDB's differ.
fn check_length(length: Field<u32>, header: &[u8], ids: &[u8]) -> Result<(), Sense> {
    let same = usize::try_from(length.get(header)) == Ok(ids.len());
    if same { Ok(()) } else { Err(code::PARAMETER_LIST_LENGTH_ERROR.into()) }
}

fn offset(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}
