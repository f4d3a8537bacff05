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

mod negotiation;
mod security;
mod why;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::chap::{Account, Random};
use crate::config::{Config, Offer, PortalGroup};
use crate::discovery::Viewer;
use crate::keys::{Parameters, SessionType};
use crate::limits::Limits;
use crate::name::IscsiName;
use crate::pdu::{Bhs, LoginRequest, LoginResponse, LoginStatus, Sn, Stage};
use crate::text::parse;
use negotiation::{Negotiation, Next, advance, introduce};
pub use why::{Refusal, Why};
use wire::{Text, Wire};

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
    /// The connection's name in its session. It replaces none of the same name: a session has one connection, a login with the TSIH of
    /// a session is refused (too many connections), and an initiator that lost its connection reinstates the session, as level 0 does.
    //= RFC 7143 "MaxConnections", "Session Reinstatement, Closure, and Timeout"; "Connection Reinstatement" is left out
    pub cid: u16,
    /// The CmdSN that the first command of a new session will have.
    pub cmd_sn: Sn,
    /// What both sides have agreed on; for a joining connection only the connection's part counts.
    pub parameters: Parameters,
    /// The account whose secret the initiator has proved to know.
    pub account: Option<Account>,
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
            account: self.account.clone(),
            session: self.session.clone(),
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

    /// The portal group through which it is used; 0 for none.
    #[must_use]
    pub const fn portal_group_tag(&self) -> u16 {
        match self {
            Self::Discovery => 0,
            Self::Normal { portal_group_tag, .. } => *portal_group_tag,
        }
    }

    /// The portal group through which it is used.
    #[must_use]
    pub fn group<'a>(&self, config: &'a Config) -> Option<&'a PortalGroup> {
        config.target(self.target()?)?.group(self.portal_group_tag())
    }

    /// What is offered to it in negotiation.
    #[must_use]
    pub fn offer<'a>(&self, config: &'a Config) -> &'a Offer {
        self.group(config).map_or(&config.discovery_offer, |group| &group.offer)
    }

    /// What a connection of it may cost.
    #[must_use]
    pub fn limits(&self, config: &Config, initiator: &IscsiName, usual: Limits) -> Limits {
        self.group(config).map_or(usual, |group| group.limits_of(initiator, usual))
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

    /// What the connection may cost, as far as it is known who wants to come where.
    #[must_use]
    pub fn limits(&self, usual: Limits) -> Limits {
        match &self.state {
            State::Fresh | State::Introducing(_) => usual,
            State::Negotiating(_, negotiation) => negotiation.limits(&self.config, usual),
        }
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

    /// Whether a login request has come.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        !matches!(self.state, State::Fresh)
    }

    /// Refuses a PDU that is no login request, or none that may be.
    //= RFC 7143 "Login Phase"
    pub fn refuse_header(self, bhs: &Bhs, why: Why) -> Step {
        let nothing = LoginRequest::parse(&Bhs::new(LoginRequest::OPCODE)).expect("the opcode is right");
        let mut request = LoginRequest::parse(bhs).unwrap_or(nothing);
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

#[cfg(test)]
mod tests;
