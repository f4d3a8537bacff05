//! What a login negotiates, and how it gets from stage to stage.

use super::security::{Demands, Proof, SecurityText};
use super::wire::Wire;
use super::{Admission, Facts, LOGIN_SEGMENT_BYTES_MAX, Peer, Session, Why};
use crate::chap::{Account, Random};
use crate::config::{Config, Discovery};
use crate::keys::{Leading, Negotiator, Phase, SessionType, Special};
use crate::limits::Limits;
use crate::name::IscsiName;
use crate::pdu::{LoginRequest, Stage};
use crate::text::{Outgoing, Pair};

/// A login whose names are known.
#[derive(Debug)]
pub(super) struct Negotiation {
    initiator: IscsiName,
    session: Session,
    peer: Peer,
    negotiator: Negotiator,
    position: Position,
    account: Option<Account>,
}

/// The stage, with what is yet to be done in it.
#[derive(Debug)]
enum Position {
    /// SecurityNegotiation.
    Security(Proof),
    /// LoginOperationalNegotiation; our own declarations are to be made.
    EnteringOperational,
    /// LoginOperationalNegotiation.
    Operational,
}

impl Negotiation {
    /// Follows all that one text says.
    pub(super) fn handle_text(
        &mut self,
        config: &Config,
        out: &mut Outgoing,
        text: &[Pair<'_>],
        random: Random<'_>,
    ) -> Result<(), Why> {
        let phase = match self.position {
            Position::Security(_) => Phase::Security,
            Position::EnteringOperational | Position::Operational => Phase::Operational,
        };
        let special = self.negotiator.handle_pairs(phase, self.session.offer(config), text, out)?;
        let mut security = SecurityText::default();
        for (key, value) in special {
            match key {
                Special::InitiatorName if IscsiName::parse(value).as_ref() != Ok(&self.initiator) => {
                    return Err(Why::Changed("InitiatorName"));
                }
                Special::TargetName
                    if self
                        .session
                        .target()
                        .is_some_and(|target| IscsiName::parse(value).as_ref() != Ok(target)) =>
                {
                    return Err(Why::Changed("TargetName"));
                }
                Special::SessionType if SessionType::from_text(value) != Some(self.session.kind()) => {
                    return Err(Why::Changed("SessionType"));
                }
                Special::InitiatorName
                | Special::TargetName
                | Special::SessionType
                | Special::SendTargets => {}
                key => security.note(key, value),
            }
        }
        match &mut self.position {
            // Nothing new: what discovery demands need not be gathered from all the targets.
            Position::Security(_) if security.is_empty() => {}
            Position::Security(proof) => {
                let demands = Demands::of(config, &self.session, &self.initiator, self.peer.address);
                *proof = std::mem::take(proof).handle_text(&security, &demands, out, random)?;
                if let Proof::Given { account } = proof {
                    self.account = Some(account.clone());
                }
            }
            Position::EnteringOperational => {
                self.declare(config, out);
                self.position = Position::Operational;
            }
            Position::Operational => {}
        }
        Ok(())
    }

    /// Says what a target says of itself.
    fn declare(&mut self, config: &Config, out: &mut Outgoing) {
        if let Some(alias) = self.session.group(config).and_then(|group| group.alias.as_ref()) {
            out.push("TargetAlias", alias);
        }
        self.negotiator.declare(self.session.offer(config), out);
    }

    pub(super) fn limits(&self, config: &Config, usual: Limits) -> Limits {
        self.session.limits(config, &self.initiator, usual)
    }

    pub(super) fn ask(self, wire: Wire, request: &LoginRequest) -> Admission {
        let facts = Facts {
            initiator: self.initiator,
            session: self.session,
            isid: request.isid,
            tsih: request.tsih,
            cid: request.cid,
            cmd_sn: request.cmd_sn,
            parameters: self.negotiator.finish(),
            account: self.account,
            peer: self.peer,
        };
        Admission { facts, wire, request: *request }
    }
}

/// Finds out who it is, from the first text.
//= RFC 7143 "Login Phase Start"
pub(super) fn introduce(
    config: &Config,
    peer: Peer,
    wire: &mut Wire,
    request: &LoginRequest,
    text: &[Pair<'_>],
) -> Result<Box<Negotiation>, Why> {
    let value = |key| text.iter().find(|pair| pair.key == key).map(|pair| pair.value);
    let initiator =
        IscsiName::parse(value("InitiatorName").ok_or(Why::Missing("InitiatorName"))?).map_err(Why::Name)?;
    wire.initiator = Some(initiator.clone());
    let kind = value("SessionType")
        .map_or(Some(SessionType::Normal), SessionType::from_text)
        .ok_or(Why::SessionType)?;
    let session = match kind {
        SessionType::Discovery if request.tsih != 0 => return Err(Why::DiscoveryJoin),
        SessionType::Discovery if !may_discover(config, &initiator, peer) => return Err(Why::NotAllowed),
        SessionType::Discovery => Session::Discovery,
        SessionType::Normal => {
            let name = value("TargetName").ok_or(Why::Missing("TargetName"))?;
            wire.target = IscsiName::parse(name).ok();
            let session = find(config, name, &initiator, peer)?;
            wire.outgoing.push("TargetPortalGroupTag", session.portal_group_tag());
            session
        }
    };
    let open = Demands::of(config, &session, &initiator, peer.address).may_be_open();
    let position = match (request.current_stage, open) {
        (Stage::SECURITY, _) => Position::Security(Proof::demanded(open)),
        (_, true) => Position::EnteringOperational,
        (_, false) => return Err(Why::ProofDemanded),
    };
    let leading = if request.tsih == 0 { Leading::First } else { Leading::Joining };
    let negotiator = Negotiator::new(kind, leading);
    Ok(Box::new(Negotiation { initiator, session, peer, negotiator, position, account: None }))
}

/// Whether there is anything of which discovery could tell the initiator, or nothing at all.
fn may_discover(config: &Config, initiator: &IscsiName, peer: Peer) -> bool {
    let mut groups = config.told_groups().peekable();
    let own = !matches!(config.discovery, Discovery::AsTargets);
    own || groups.peek().is_none() || groups.any(|group| group.is_told_to(initiator, peer.address))
}

/// The target with this name, through the portal group at whose portal the initiator is.
fn find(config: &Config, name: &str, initiator: &IscsiName, peer: Peer) -> Result<Session, Why> {
    let named = IscsiName::parse(name).ok().and_then(|name| config.target(&name));
    let target = named.ok_or(Why::UnknownTarget)?;
    let group = target.group_at(peer.local).ok_or(Why::NotHere)?;
    if !group.enabled {
        return Err(Why::Disabled);
    }
    if !group.admits(initiator, peer.address) {
        return Err(if group.is_for(initiator) { Why::NotAllowed } else { Why::NoEntry });
    }
    Ok(Session::Normal { target: target.name().clone(), portal_group_tag: group.tag.get() })
}

/// Goes to the next stage if the initiator wants to and nothing is left to do in this one.
//= RFC 7143 "Login Negotiation Stage Changes"
pub(super) fn advance(
    mut negotiation: Box<Negotiation>,
    wire: &mut Wire,
    request: &LoginRequest,
) -> Result<Next, Why> {
    let finished = match &negotiation.position {
        Position::Security(Proof::Demanded) if request.transit => return Err(Why::ProofDemanded),
        Position::Security(proof) => proof.is_enough(),
        Position::EnteringOperational | Position::Operational => true,
    };
    if !request.transit || !finished || wire.outgoing.bytes() > LOGIN_SEGMENT_BYTES_MAX {
        return Ok(Next::Stay(Some(negotiation)));
    }
    if request.next_stage == Stage::FULL_FEATURE {
        return Ok(Next::FullFeature(negotiation));
    }
    negotiation.position = Position::EnteringOperational;
    Ok(Next::Operational(negotiation))
}

/// Where a request leads.
pub(super) enum Next {
    /// No further for now.
    Stay(Option<Box<Negotiation>>),
    /// To LoginOperationalNegotiation.
    Operational(Box<Negotiation>),
    /// To FullFeaturePhase, if admitted.
    FullFeature(Box<Negotiation>),
}
