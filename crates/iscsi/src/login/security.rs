//! The security stage: which proof is demanded, and how far it has come.
//!
//! Not here: the stage's place in login (`login`), CHAP itself (`chap`).

use super::{Session, Why};
use crate::chap::{Account, Answer, Challenged, Credentials, Random};
use crate::config::{Auth, Config, Discovery};
use crate::keys::Special;
use crate::name::IscsiName;
use crate::text::Outgoing;
use std::net::IpAddr;

/// What is demanded: one of some credentials, or perhaps nothing.
pub(super) struct Demands<'a> {
    open: bool,
    credentials: Vec<&'a Credentials>,
}

impl<'a> Demands<'a> {
    /// Of who wants this session.
    pub(super) fn of(config: &'a Config, session: &Session, initiator: &IscsiName, address: IpAddr) -> Self {
        match (session, &config.discovery) {
            (Session::Normal { .. }, _) => {
                let group = session.group(config).expect("a login is in a group of its configuration");
                Self::any([group.auth_of(initiator)])
            }
            (Session::Discovery, Discovery::Own(auth)) => Self::any([auth]),
            (Session::Discovery, Discovery::Optional(credentials)) => {
                Self { open: true, credentials: vec![credentials] }
            }
            (Session::Discovery, Discovery::AsTargets) => {
                let told = config.told_groups().filter(|group| group.is_told_to(initiator, address));
                let mut auths = told.map(|group| group.auth_of(initiator)).peekable();
                // Without a target there is nothing to protect.
                if auths.peek().is_some() { Self::any(auths) } else { Self::any([&Auth::None]) }
            }
        }
    }

    /// What any of these demands is enough.
    fn any(auths: impl IntoIterator<Item = &'a Auth>) -> Self {
        let mut demands = Self { open: false, credentials: Vec::new() };
        for auth in auths {
            match auth {
                Auth::None => demands.open = true,
                Auth::Chap(credentials) => demands.credentials.push(credentials),
                Auth::Closed => {}
            }
        }
        demands
    }

    /// Whether it works without a proof.
    pub(super) const fn may_be_open(&self) -> bool {
        self.open
    }
}

/// How far the initiator's proof has come.
#[derive(Debug, Default)]
pub(super) enum Proof {
    /// There must be one, and nothing has been said of it.
    #[default]
    Demanded,
    /// There need not be one.
    NotNeeded,
    /// It will be CHAP.
    Chap,
    /// A challenge is set.
    Challenged(Challenged),
    /// It was given.
    Given {
        /// Whose secret it was.
        account: Account,
    },
}

impl Proof {
    pub(super) fn demanded(open: bool) -> Self {
        if open { Self::NotNeeded } else { Self::Demanded }
    }

    /// Whether the stage can be left.
    pub(super) fn is_enough(&self) -> bool {
        matches!(self, Self::NotNeeded | Self::Given { .. })
    }

    /// Follows what one text says. A text may hold several steps.
    pub(super) fn handle_text(
        mut self,
        text: &SecurityText<'_>,
        demands: &Demands<'_>,
        out: &mut Outgoing,
        random: Random<'_>,
    ) -> Result<Self, Why> {
        if let Some(list) = text.method {
            self = self.choose_method(list, demands, out)?;
        }
        if let Some(list) = text.algorithms {
            let Self::Chap = self else { return Err(Why::OutOfOrder("CHAP_A")) };
            let challenged = Challenged::new(list, random)?;
            challenged.keys().into_iter().for_each(|(key, value)| out.push(key, value));
            self = Self::Challenged(challenged);
        }
        if text.answered {
            let Self::Challenged(challenged) = self else { return Err(Why::OutOfOrder("CHAP_R")) };
            let proven = challenged.verify(&text.answer, demands.credentials.iter().copied())?;
            proven.keys.into_iter().for_each(|(key, value)| out.push(key, value));
            self = Self::Given { account: proven.account };
        }
        Ok(self)
    }

    /// The first method of the initiator's list that is good enough.
    //= RFC 7143 "AuthMethod"
    fn choose_method(self, list: &str, demands: &Demands<'_>, out: &mut Outgoing) -> Result<Self, Why> {
        let (Self::Demanded | Self::NotNeeded) = self else { return Err(Why::OutOfOrder("AuthMethod")) };
        if !demands.open && demands.credentials.is_empty() {
            return Err(Why::NoCredentials);
        }
        let usable = |method: &&str| match *method {
            "None" => demands.may_be_open(),
            "CHAP" => !demands.credentials.is_empty(),
            _ => false,
        };
        let method = list.split(',').find(usable).ok_or(Why::NoMethod)?;
        out.push("AuthMethod", method);
        Ok(if method == "CHAP" { Self::Chap } else { Self::NotNeeded })
    }
}

/// What one text says about security.
#[derive(Debug, Default)]
pub(super) struct SecurityText<'a> {
    method: Option<&'a str>,
    algorithms: Option<&'a str>,
    answer: Answer<'a>,
    answered: bool,
}

impl<'a> SecurityText<'a> {
    /// Whether it says nothing.
    pub(super) const fn is_empty(&self) -> bool {
        self.method.is_none() && self.algorithms.is_none() && !self.answered
    }

    pub(super) fn note(&mut self, key: Special, value: &'a str) {
        let place = match key {
            Special::AuthMethod => &mut self.method,
            Special::ChapA => &mut self.algorithms,
            Special::ChapN => &mut self.answer.name,
            Special::ChapR => &mut self.answer.response,
            Special::ChapI => &mut self.answer.identifier,
            Special::ChapC => &mut self.answer.challenge,
            Special::InitiatorName | Special::TargetName | Special::SessionType | Special::SendTargets => {
                return;
            }
        };
        *place = Some(value);
        self.answered |= !matches!(key, Special::AuthMethod | Special::ChapA);
    }
}
