//! The PDUs of a login: what must stay the same in them, and the text on its way.

use super::{LOGIN_REQUESTS_MAX, LOGIN_SEGMENT_BYTES_MAX, Refusal, Reply, Step, Why};
use crate::name::IscsiName;
use crate::pdu::{LoginRequest, LoginResponse, LoginStatus, Sn, Stage};
use crate::text::{Incoming, Outgoing};

/// What the PDUs of a login have in common, and the text on its way.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) first: LoginRequest,
    pub(super) stage: Stage,
    pub(super) stat_sn: Sn,
    requests: u32,
    incoming: Incoming,
    pub(super) outgoing: Outgoing,
    /// Who it says it is, and where it wants to.
    pub(super) initiator: Option<IscsiName>,
    pub(super) target: Option<IscsiName>,
}

/// What a request does to the initiator's text.
pub(super) enum Text {
    /// More is to come.
    Unfinished,
    /// That was all of it.
    Complete(Vec<u8>),
    /// The initiator says nothing: it reads what we have to say.
    Reading,
}

impl Wire {
    /// StatSN begins with what the initiator expects, so that a number it kept from before stays right.
    pub(super) fn new(request: &LoginRequest) -> Self {
        Self {
            first: *request,
            stage: request.current_stage,
            stat_sn: request.exp_stat_sn,
            requests: 0,
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
            initiator: None,
            target: None,
        }
    }

    /// Checks a request against those before it, and takes in its text.
    pub(super) fn receive(&mut self, request: &LoginRequest, text: &[u8]) -> Result<Text, Why> {
        self.requests += 1;
        if self.requests > LOGIN_REQUESTS_MAX {
            return Err(Why::TooManyRequests);
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
        if !matches!(request.current_stage, Stage::SECURITY | Stage::OPERATIONAL) {
            return Err(Why::NoStage(request.current_stage));
        }
        if request.current_stage != self.stage {
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
    pub(super) fn reply(&mut self, request: &LoginRequest, transit: Option<Stage>) -> Reply {
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

    pub(super) fn refuse(&mut self, request: &LoginRequest, why: Why) -> Step {
        self.outgoing = Outgoing::default();
        let mut reply = self.reply(request, None);
        reply.response.status = why.status();
        let (initiator, target) = (self.initiator.take(), self.target.take());
        Step::Refuse { reply, refusal: Refusal { status: why.status(), why, initiator, target } }
    }
}

/// The only version there is.
const VERSION: u8 = 0x00;
