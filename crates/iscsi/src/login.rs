//! The login phase of one connection, as the target sees it.
//!
//! A [`Login`] is fed with login requests and moves on by value: each gives a [`Step`] that holds what to answer and either the login
//! as it stands now, an [`Admission`] to decide on, or the reason why it is over. The text of a request may come in
//! several PDUs, and so may ours.
//!
//! Not here: the time that a login may take, which sessions exist (whoever holds them decides on the [`Admission`]), and
//! digests, which begin to hold after the last login response.
//!
//! Invariants: no state is kept for a peer beyond [`TEXT_BYTES_MAX`](crate::text::TEXT_BYTES_MAX) of text each way; a login ends
//! after [`LOGIN_REQUESTS_MAX`] requests at the latest; full feature phase is reached only through an admission, and an admission
//! only with the proof that the target demands.

mod security;
mod why;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::chap::Random;
use crate::config::{Config, Target};
use crate::discovery::Viewer;
use crate::keys::{Leading, Negotiator, Parameters, Phase, SessionType, Special};
use crate::name::IscsiName;
use crate::pdu::{Bhs, LoginRequest, LoginResponse, LoginStatus, Sn, Stage};
use crate::text::{Incoming, Outgoing, Pair, parse};
use security::{Proof, SecurityText};
pub use why::{Refusal, Why};

/// The longest data segment of a login PDU, in both directions.
//= RFC 7143 "MaxRecvDataSegmentLength"
pub const LOGIN_SEGMENT_BYTES_MAX: usize = 8192;

/// The most requests of one login.
pub const LOGIN_REQUESTS_MAX: u32 = 64;

/// A connection in its login phase.
#[derive(Debug)]
pub struct Login {
    config: Arc<Config>,
    peer: Peer,
    state: State,
}

/// Both ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The initiator's address.
    pub address: IpAddr,
    /// The address at which it reached us.
    pub local: SocketAddr,
}

/// What a request has led to.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// Answer, and wait for the next request.
    Continue {
        /// What to answer.
        reply: Reply,
        /// The login as it stands now.
        login: Login,
    },
    /// Decide whether the session or connection may be, and answer what the decision gives.
    Admit(Box<Admission>),
    /// Answer, and close the connection.
    Refuse {
        /// What to answer.
        reply: Reply,
        /// Why, for the operator.
        refusal: Refusal,
    },
}

/// One PDU to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its header.
    pub response: LoginResponse,
    /// Its data segment, without padding.
    pub text: Vec<u8>,
}

/// A login that has negotiated everything and waits for a place among the sessions.
#[derive(Debug)]
pub struct Admission {
    /// What was negotiated, and by whom.
    pub facts: Facts,
    wire: Wire,
    request: LoginRequest,
}

/// What login has found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The initiator.
    pub initiator: IscsiName,
    /// What it wants.
    pub session: Session,
    /// The initiator's part of the session's name.
    pub isid: [u8; 6],
    /// The session that the connection joins; 0: a new one, which replaces any of the same initiator, ISID and target.
    pub tsih: u16,
    /// The connection's name in its session; it replaces any of the same name.
    pub cid: u16,
    /// The CmdSN that the first command of a new session will have.
    pub cmd_sn: Sn,
    /// What both sides have agreed on; for a joining connection only the connection's part counts.
    pub parameters: Parameters,
    /// The user that has been authenticated.
    pub user: Option<String>,
    /// Both ends.
    pub peer: Peer,
}

impl Facts {
    /// Who will ask for targets on this connection.
    #[must_use]
    pub fn viewer(&self) -> Viewer {
        Viewer {
            initiator: self.initiator.clone(),
            peer: self.peer.address,
            local: self.peer.local,
            user: self.user.clone(),
            target: self.session.target().cloned(),
        }
    }
}

/// What a session is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Session {
    /// To see what targets there are.
    Discovery,
    /// To use a target.
    Normal {
        /// The target.
        target: IscsiName,
        /// The portal group through which it is used.
        portal_group_tag: u16,
    },
}

impl Session {
    /// The target that is used.
    #[must_use]
    pub fn target(&self) -> Option<&IscsiName> {
        match self {
            Self::Discovery => None,
            Self::Normal { target, .. } => Some(target),
        }
    }

    /// The key's value.
    #[must_use]
    pub fn kind(&self) -> SessionType {
        match self {
            Self::Discovery => SessionType::Discovery,
            Self::Normal { .. } => SessionType::Normal,
        }
    }
}

/// A place among the sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The target's part of the session's name; not 0.
    pub tsih: u16,
    /// The next CmdSN that the session expects.
    pub exp_cmd_sn: Sn,
    /// The last CmdSN that the session accepts.
    pub max_cmd_sn: Sn,
}

/// A connection whose login is over: after the reply, full feature phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Established {
    /// What was negotiated, and by whom; `tsih` is the session's.
    pub facts: Facts,
    /// The StatSN of the first response in full feature phase.
    pub stat_sn: Sn,
}

impl Login {
    /// A connection on which nothing has come yet.
    #[must_use]
    pub fn new(config: Arc<Config>, peer: Peer) -> Self {
        Self { config, peer, state: State::Fresh }
    }

    /// Takes in a login request with its text.
    pub fn handle_request(self, request: &LoginRequest, text: &[u8], random: Random<'_>) -> Step {
        let Self { config, peer, state } = self;
        let (mut wire, negotiation) = match state {
            State::Fresh => (Wire::new(request), None),
            State::Introducing(wire) => (wire, None),
            State::Negotiating(wire, negotiation) => (wire, Some(negotiation)),
        };
        let next = wire.receive(request, text).and_then(|text| match text {
            Text::Unfinished => Ok(Next::Stay(negotiation)),
            Text::Reading => advance(negotiation.ok_or(Why::Interrupted)?, &mut wire, request),
            Text::Complete(text) => {
                let text = parse(&text)?;
                let mut negotiation = match negotiation {
                    Some(negotiation) => negotiation,
                    None => introduce(&config, peer, &mut wire, request, &text)?,
                };
                negotiation.handle_text(&config, &mut wire.outgoing, &text, random)?;
                advance(negotiation, &mut wire, request)
            }
        });
        let state = match next {
            Ok(Next::Stay(Some(negotiation))) => State::Negotiating(wire, negotiation),
            Ok(Next::Stay(None)) => State::Introducing(wire),
            Ok(Next::Operational(negotiation)) => {
                let reply = wire.reply(request, Some(Stage::OPERATIONAL));
                wire.stage = Stage::OPERATIONAL;
                let state = State::Negotiating(wire, negotiation);
                return Step::Continue { reply, login: Self { config, peer, state } };
            }
            Ok(Next::FullFeature(negotiation)) => {
                return Step::Admit(Box::new(negotiation.ask(wire, request)));
            }
            Err(why) => return wire.refuse(request, why),
        };
        let (reply, state) = state.reply(request);
        Step::Continue { reply, login: Self { config, peer, state } }
    }

    /// Refuses a PDU that is no login request.
    //= RFC 7143 "Login Phase"
    pub fn refuse_other(self, bhs: &Bhs) -> Step {
        let why = Why::NotLogin(bhs.opcode());
        let mut request = LoginRequest::parse(&Bhs::new(LoginRequest::OPCODE)).expect("the opcode is right");
        request.initiator_task_tag = bhs.initiator_task_tag();
        let mut wire = match self.state {
            State::Fresh => Wire::new(&request),
            State::Introducing(wire) | State::Negotiating(wire, _) => wire,
        };
        request = LoginRequest { initiator_task_tag: request.initiator_task_tag, ..wire.first };
        wire.refuse(&request, why)
    }
}

impl Admission {
    /// The session or connection may be: the last login response, and the connection behind it.
    #[must_use]
    pub fn grant(self, grant: Grant) -> (Reply, Established) {
        assert!(grant.tsih != 0, "a session has a TSIH");
        let Self { mut facts, mut wire, request } = self;
        let mut reply = wire.reply(&request, Some(Stage::FULL_FEATURE));
        reply.response.tsih = grant.tsih;
        reply.response.exp_cmd_sn = grant.exp_cmd_sn;
        reply.response.max_cmd_sn = grant.max_cmd_sn;
        facts.tsih = grant.tsih;
        (reply, Established { facts, stat_sn: wire.stat_sn })
    }

    /// It may not be; the connection closes after the answer.
    pub fn refuse(self, status: LoginStatus) -> Step {
        let Self { mut wire, request, .. } = self;
        wire.refuse(&request, Why::NotAdmitted(status))
    }
}

#[derive(Debug)]
enum State {
    /// Nothing has come.
    Fresh,
    /// The first text is not complete, so we do not know who it is.
    Introducing(Wire),
    /// We know who it is, or who it says it is.
    Negotiating(Wire, Box<Negotiation>),
}

impl State {
    fn reply(mut self, request: &LoginRequest) -> (Reply, Self) {
        let reply = match &mut self {
            Self::Fresh => Wire::new(request).reply(request, None),
            Self::Introducing(wire) | Self::Negotiating(wire, _) => wire.reply(request, None),
        };
        (reply, self)
    }
}

/// Where a request leads.
enum Next {
    /// No further for now.
    Stay(Option<Box<Negotiation>>),
    /// To LoginOperationalNegotiation.
    Operational(Box<Negotiation>),
    /// To FullFeaturePhase, if admitted.
    FullFeature(Box<Negotiation>),
}

/// What the PDUs of a login have in common, and the text on its way.
#[derive(Debug)]
struct Wire {
    first: LoginRequest,
    stage: Stage,
    stat_sn: Sn,
    requests: u32,
    incoming: Incoming,
    outgoing: Outgoing,
}

/// What a request does to the initiator's text.
enum Text {
    /// More is to come.
    Unfinished,
    /// That was all of it.
    Complete(Vec<u8>),
    /// The initiator says nothing: it reads what we have to say.
    Reading,
}

impl Wire {
    /// StatSN begins with what the initiator expects, so that a number it kept from before stays right.
    fn new(request: &LoginRequest) -> Self {
        Self {
            first: *request,
            stage: request.current_stage,
            stat_sn: request.exp_stat_sn,
            requests: 0,
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
        }
    }

    /// Checks a request against those before it, and takes in its text.
    fn receive(&mut self, request: &LoginRequest, text: &[u8]) -> Result<Text, Why> {
        self.requests += 1;
        if self.requests > LOGIN_REQUESTS_MAX {
            return Err(Why::TooManyRequests);
        }
        if text.len() > LOGIN_SEGMENT_BYTES_MAX {
            return Err(Why::SegmentTooLong { bytes: text.len() });
        }
        self.check_header(request)?;
        if !self.outgoing.is_empty() {
            let reads = text.is_empty() && !request.continued;
            return if reads { Ok(Text::Reading) } else { Err(Why::Interrupted) };
        }
        self.incoming.push(text)?;
        Ok(if request.continued { Text::Unfinished } else { Text::Complete(self.incoming.take()) })
    }

    //= RFC 7143 "Login Request"
    fn check_header(&self, request: &LoginRequest) -> Result<(), Why> {
        let first = &self.first;
        let constant = [
            ("ISID", request.isid == first.isid),
            ("TSIH", request.tsih == first.tsih),
            ("CID", request.cid == first.cid),
            ("Initiator Task Tag", request.initiator_task_tag == first.initiator_task_tag),
        ];
        if request.version_min > VERSION {
            return Err(Why::Version { min: request.version_min });
        }
        if let Some((field, _)) = constant.into_iter().find(|(_, same)| !same) {
            return Err(Why::Changed(field));
        }
        let known = matches!(request.current_stage, Stage::SECURITY | Stage::OPERATIONAL);
        if !known || request.current_stage != self.stage {
            return Err(Why::Stage { is: self.stage, said: request.current_stage });
        }
        if request.transit {
            let onward = matches!(request.next_stage, Stage::OPERATIONAL | Stage::FULL_FEATURE);
            if !onward || request.next_stage <= request.current_stage {
                return Err(Why::NextStage { is: self.stage, wanted: request.next_stage });
            }
            if request.continued {
                return Err(Why::TransitAndContinue);
            }
        }
        Ok(())
    }

    /// The next part of our text; a transit only with the last.
    fn reply(&mut self, request: &LoginRequest, transit: Option<Stage>) -> Reply {
        let text = self.outgoing.take(LOGIN_SEGMENT_BYTES_MAX);
        let response = LoginResponse {
            transit: transit.is_some(),
            continued: !self.outgoing.is_empty(),
            current_stage: request.current_stage,
            next_stage: transit.unwrap_or(Stage(0)),
            version_max: VERSION,
            version_active: VERSION,
            data_segment_bytes: u32::try_from(text.len()).expect("a login segment is short"),
            isid: request.isid,
            tsih: request.tsih,
            initiator_task_tag: request.initiator_task_tag,
            stat_sn: self.stat_sn.take(),
            exp_cmd_sn: request.cmd_sn,
            max_cmd_sn: request.cmd_sn,
            status: LoginStatus::SUCCESS,
        };
        assert!(!(response.transit && response.continued), "a transit comes with the last of the text");
        Reply { response, text }
    }

    fn refuse(&mut self, request: &LoginRequest, why: Why) -> Step {
        self.outgoing = Outgoing::default();
        let mut reply = self.reply(request, None);
        reply.response.status = why.status();
        Step::Refuse { reply, refusal: Refusal { status: why.status(), why } }
    }
}

/// A login whose names are known.
#[derive(Debug)]
struct Negotiation {
    initiator: IscsiName,
    session: Session,
    peer: Peer,
    negotiator: Negotiator,
    position: Position,
    user: Option<String>,
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
    fn handle_text(
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
        let special = self.negotiator.handle_pairs(phase, &config.offer, text, out)?;
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
            Position::Security(proof) => {
                let demanding = demanding(config, &self.initiator, &self.session, self.peer);
                *proof = std::mem::take(proof).handle_text(&security, &demanding, out, random)?;
                if let Proof::Given { user } = proof {
                    self.user = Some(user.clone());
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
        let target = self.session.target().and_then(|name| config.target(name));
        if let Some(alias) = target.and_then(|target| target.alias.as_ref()) {
            out.push("TargetAlias", alias);
        }
        self.negotiator.declare(&config.offer, out);
    }

    fn ask(self, wire: Wire, request: &LoginRequest) -> Admission {
        let facts = Facts {
            initiator: self.initiator,
            session: self.session,
            isid: request.isid,
            tsih: request.tsih,
            cid: request.cid,
            cmd_sn: request.cmd_sn,
            parameters: self.negotiator.finish(),
            user: self.user,
            peer: self.peer,
        };
        Admission { facts, wire, request: *request }
    }
}

/// Finds out who it is, from the first text.
//= RFC 7143 "Login Phase Start"
fn introduce(
    config: &Config,
    peer: Peer,
    wire: &mut Wire,
    request: &LoginRequest,
    text: &[Pair<'_>],
) -> Result<Box<Negotiation>, Why> {
    let value = |key| text.iter().find(|pair| pair.key == key).map(|pair| pair.value);
    let initiator =
        IscsiName::parse(value("InitiatorName").ok_or(Why::Missing("InitiatorName"))?).map_err(Why::Name)?;
    let kind = value("SessionType")
        .map_or(Some(SessionType::Normal), SessionType::from_text)
        .ok_or(Why::SessionType)?;
    let session = match kind {
        SessionType::Discovery if request.tsih != 0 => return Err(Why::DiscoveryJoin),
        SessionType::Discovery => {
            let welcome =
                config.targets.is_empty() || config.visible(&initiator, peer.address).next().is_some();
            if welcome { Session::Discovery } else { return Err(Why::NotAllowed) }
        }
        SessionType::Normal => {
            let name = value("TargetName").ok_or(Why::Missing("TargetName"))?;
            let target = IscsiName::parse(name)
                .ok()
                .and_then(|name| config.target(&name))
                .ok_or(Why::UnknownTarget)?;
            if !target.allow.permits(&initiator, peer.address) {
                return Err(Why::NotAllowed);
            }
            let portal_group_tag = target.portal_group_tag.get();
            wire.outgoing.push("TargetPortalGroupTag", portal_group_tag);
            Session::Normal { target: target.name.clone(), portal_group_tag }
        }
    };
    let open = demanding(config, &initiator, &session, peer).may_be_open();
    let position = match (request.current_stage, open) {
        (Stage::SECURITY, _) => Position::Security(Proof::demanded(open)),
        (_, true) => Position::EnteringOperational,
        (_, false) => return Err(Why::ProofDemanded),
    };
    let leading = if request.tsih == 0 { Leading::First } else { Leading::Joining };
    let negotiator = Negotiator::new(kind, leading);
    Ok(Box::new(Negotiation { initiator, session, peer, negotiator, position, user: None }))
}

/// Goes to the next stage if the initiator wants to and nothing is left to do in this one.
//= RFC 7143 "Login Negotiation Stage Changes"
fn advance(mut negotiation: Box<Negotiation>, wire: &mut Wire, request: &LoginRequest) -> Result<Next, Why> {
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

/// The targets whose demands count: the one that is used, or in discovery all that the initiator may come to.
fn demanding<'a>(
    config: &'a Config,
    initiator: &IscsiName,
    session: &Session,
    peer: Peer,
) -> security::Demands<'a> {
    let counts = |target: &&Target| match session.target() {
        Some(name) => target.name == *name,
        None => target.allow.permits(initiator, peer.address),
    };
    security::Demands::of(config.targets.iter().filter(counts))
}

/// The only version there is.
const VERSION: u8 = 0x00;

#[cfg(test)]
mod tests;
