//! Text requests in full feature phase: questions and answers that may each take several PDUs.
//!
//! An [`Exchange`] belongs to a connection, which has one at a time; the first request of another one (a reserved target
//! transfer tag) ends what was there. [`answer`] says what is answered: SendTargets, and keys that may be declared anew.
//!
//! Not here: numbers of requests and responses, and when a response may be sent. Invariant: an exchange keeps at most
//! [`TEXT_BYTES_MAX`](crate::text::TEXT_BYTES_MAX) of what the initiator says.

use crate::config::Config;
use crate::discovery::{Viewer, send_targets};
use crate::keys::{KeyError, Negotiator, Parameters, Phase, Special};
use crate::pdu::{RejectReason, TaskTag, TextRequest};
use crate::text::{Incoming, Outgoing, TextError, parse};

/// The text negotiation of a connection.
#[derive(Debug, Default)]
pub struct Exchange {
    state: State,
    next_tag: u32,
}

/// What is to be sent as a Text Response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextReply {
    /// F: all is said.
    pub final_pdu: bool,
    /// C: the text goes on in the next response.
    pub continued: bool,
    /// What the next request must carry; reserved: there is no next.
    pub target_transfer_tag: TaskTag,
    /// The data segment, without padding.
    pub text: Vec<u8>,
}

#[derive(Debug, Default)]
enum State {
    /// No negotiation.
    #[default]
    Idle,
    /// The initiator speaks, or may go on to speak.
    Listening { task: TaskTag, tag: TaskTag, incoming: Incoming },
    /// We speak.
    Speaking { task: TaskTag, tag: TaskTag, outgoing: Outgoing },
}

impl Exchange {
    /// Takes in a text request. `segment_bytes_max` is the longest data segment that the initiator receives; `answer` is called
    /// with a text that is complete. An error is what the request is to be rejected with; the exchange is over then.
    pub fn handle_request(
        &mut self,
        request: &TextRequest,
        text: &[u8],
        segment_bytes_max: u32,
        answer: impl FnOnce(&[u8]) -> Result<Outgoing, RejectReason>,
    ) -> Result<TextReply, RejectReason> {
        let state = std::mem::take(&mut self.state);
        let outgoing = match self.resume(state, request)? {
            State::Speaking { outgoing, .. } if text.is_empty() && !request.continued => outgoing,
            State::Speaking { .. } => return Err(RejectReason::PROTOCOL_ERROR),
            State::Idle => self.listen(Incoming::default(), request, text, answer)?,
            State::Listening { incoming, .. } => self.listen(incoming, request, text, answer)?,
        };
        Ok(self.reply(request, outgoing, segment_bytes_max))
    }

    /// The state that a request continues.
    //= RFC 7143 "Target Transfer Tag"
    fn resume(&self, state: State, request: &TextRequest) -> Result<State, RejectReason> {
        if request.final_pdu && request.continued {
            return Err(RejectReason::PROTOCOL_ERROR);
        }
        let expected = match &state {
            _ if request.target_transfer_tag.is_reserved() => return Ok(State::Idle),
            State::Idle => return Err(RejectReason::PROTOCOL_ERROR),
            State::Listening { task, tag, .. } | State::Speaking { task, tag, .. } => (*task, *tag),
        };
        let same = (request.initiator_task_tag, request.target_transfer_tag) == expected;
        if same { Ok(state) } else { Err(RejectReason::PROTOCOL_ERROR) }
    }

    /// Takes in text; when it is complete, its answer is what goes out.
    fn listen(
        &mut self,
        mut incoming: Incoming,
        request: &TextRequest,
        text: &[u8],
        answer: impl FnOnce(&[u8]) -> Result<Outgoing, RejectReason>,
    ) -> Result<Outgoing, RejectReason> {
        incoming.push(text).map_err(|_| RejectReason::PROTOCOL_ERROR)?;
        if !request.continued {
            return answer(&incoming.take());
        }
        self.state = State::Listening { task: request.initiator_task_tag, tag: self.take_tag(), incoming };
        Ok(Outgoing::default())
    }

    /// The next part of what we say, and the state behind it.
    //= RFC 7143 "Text Response"
    fn reply(&mut self, request: &TextRequest, mut outgoing: Outgoing, segment_bytes_max: u32) -> TextReply {
        let text = outgoing.take(usize::try_from(segment_bytes_max).unwrap_or(usize::MAX));
        let task = request.initiator_task_tag;
        let continued = !outgoing.is_empty();
        if continued {
            self.state = State::Speaking { task, tag: self.take_tag(), outgoing };
        } else if !request.final_pdu && !request.continued {
            self.state = State::Listening { task, tag: self.take_tag(), incoming: Incoming::default() };
        }
        let (final_pdu, target_transfer_tag) = match &self.state {
            State::Idle => (true, TaskTag::RESERVED),
            State::Listening { tag, .. } | State::Speaking { tag, .. } => (false, *tag),
        };
        TextReply { final_pdu, continued, target_transfer_tag, text }
    }

    /// A tag that names what goes on.
    fn take_tag(&mut self) -> TaskTag {
        let tag = TaskTag(self.next_tag);
        self.next_tag = (self.next_tag + 1) % TaskTag::RESERVED.0;
        tag
    }
}

/// Answers a complete text of full feature phase, and notes what it changes.
pub fn answer(
    config: &Config,
    viewer: &Viewer,
    parameters: &mut Parameters,
    text: &[u8],
) -> Result<Outgoing, TextPhaseError> {
    let pairs = parse(text)?;
    let mut negotiator = Negotiator::resume(parameters.clone(), viewer.session.kind());
    let offer = viewer.session.offer(config);
    let mut out = Outgoing::default();
    for (key, value) in negotiator.handle_pairs(Phase::FullFeature, offer, &pairs, &mut out)? {
        if key == Special::SendTargets {
            send_targets(config, viewer, value, &mut out);
        }
    }
    *parameters = negotiator.finish();
    Ok(out)
}

/// Why a text of full feature phase has no answer but a Reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextPhaseError {
    /// The text is none.
    Text(TextError),
    /// The rules of negotiation were broken.
    Key(KeyError),
}

impl TextPhaseError {
    /// What the request is rejected with.
    #[must_use]
    pub fn reason(&self) -> RejectReason {
        RejectReason::PROTOCOL_ERROR
    }
}

impl std::fmt::Display for TextPhaseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(why) => why.fmt(f),
            Self::Key(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for TextPhaseError {}

impl From<TextError> for TextPhaseError {
    fn from(why: TextError) -> Self {
        Self::Text(why)
    }
}

impl From<KeyError> for TextPhaseError {
    fn from(why: KeyError) -> Self {
        Self::Key(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Target;
    use crate::login::Session;
    use crate::name::IscsiName;
    use crate::pdu::Sn;
    use proptest::prelude::*;

    const LAST: TaskTag = TaskTag::RESERVED;

    /// One request: flags (`F` final, `C` continued, `-` neither), target transfer tag, text, and the reply wanted in the same form.
    type Line<'a> = (&'a str, TaskTag, &'a str, Result<(&'a str, TaskTag, &'a str), RejectReason>);

    fn request(flags: &str, tag: TaskTag) -> TextRequest {
        TextRequest {
            immediate: false,
            final_pdu: flags.contains('F'),
            continued: flags.contains('C'),
            data_segment_bytes: 0,
            lun: 0,
            initiator_task_tag: TaskTag(1),
            target_transfer_tag: tag,
            cmd_sn: Sn(0),
            exp_stat_sn: Sn(0),
        }
    }

    /// An answer that repeats the question behind a word.
    fn echo(text: &[u8]) -> Result<Outgoing, RejectReason> {
        let mut out = Outgoing::default();
        out.push("Echo", String::from_utf8_lossy(text));
        Ok(out)
    }

    #[track_caller]
    fn check(segment_bytes_max: u32, lines: &[Line<'_>]) {
        let mut exchange = Exchange::default();
        for (flags, tag, text, want) in lines {
            let reply =
                exchange.handle_request(&request(flags, *tag), text.as_bytes(), segment_bytes_max, echo);
            let got = reply.map(|reply| {
                let flags = match (reply.final_pdu, reply.continued) {
                    (true, false) => "F",
                    (false, true) => "C",
                    (false, false) => "-",
                    (true, true) => "FC",
                };
                (flags.to_owned(), reply.target_transfer_tag, String::from_utf8(reply.text).unwrap())
            });
            let want = want.map(|(flags, tag, text)| (flags.to_owned(), tag, text.to_owned()));
            assert_eq!(got, want);
        }
    }

    #[test]
    fn a_short_question_has_a_short_answer() {
        check(100, &[("F", LAST, "q", Ok(("F", LAST, "Echo=q\0")))]);
    }

    #[test]
    fn a_long_question_comes_in_parts() {
        let lines: &[Line<'_>] = &[
            ("C", LAST, "ab", Ok(("-", TaskTag(0), ""))),
            ("F", TaskTag(0), "cd", Ok(("F", LAST, "Echo=abcd\0"))),
        ];
        check(100, lines);
    }

    #[test]
    fn a_long_answer_leaves_in_parts() {
        let lines: &[Line<'_>] = &[
            ("F", LAST, "abcd", Ok(("C", TaskTag(0), "Echo"))),
            ("F", TaskTag(0), "", Ok(("C", TaskTag(1), "=abc"))),
            ("F", TaskTag(1), "", Ok(("F", LAST, "d\0"))),
        ];
        check(4, lines);
    }

    #[test]
    fn an_initiator_may_want_more_rounds() {
        let lines: &[Line<'_>] = &[
            ("-", LAST, "a", Ok(("-", TaskTag(0), "Echo=a\0"))),
            ("F", TaskTag(0), "b", Ok(("F", LAST, "Echo=b\0"))),
        ];
        check(100, lines);
    }

    #[test]
    fn a_new_question_ends_the_one_before() {
        let lines: &[Line<'_>] =
            &[("C", LAST, "ab", Ok(("-", TaskTag(0), ""))), ("F", LAST, "x", Ok(("F", LAST, "Echo=x\0")))];
        check(100, lines);
    }

    #[test]
    fn a_tag_that_names_nothing_is_rejected() {
        check(100, &[("F", TaskTag(3), "x", Err(RejectReason::PROTOCOL_ERROR))]);
        let lines: &[Line<'_>] = &[
            ("C", LAST, "ab", Ok(("-", TaskTag(0), ""))),
            ("F", TaskTag(9), "x", Err(RejectReason::PROTOCOL_ERROR)),
            ("F", TaskTag(0), "x", Err(RejectReason::PROTOCOL_ERROR)),
        ];
        check(100, lines);
    }

    #[test]
    fn speaking_while_we_speak_is_rejected() {
        let lines: &[Line<'_>] = &[
            ("F", LAST, "abcd", Ok(("C", TaskTag(0), "Echo"))),
            ("F", TaskTag(0), "x", Err(RejectReason::PROTOCOL_ERROR)),
        ];
        check(4, lines);
    }

    #[test]
    fn final_and_continued_contradict_each_other() {
        check(100, &[("FC", LAST, "x", Err(RejectReason::PROTOCOL_ERROR))]);
    }

    fn world() -> (Config, Viewer) {
        let name = |text| IscsiName::parse(text).unwrap();
        let portals = vec!["10.0.0.1:3260".parse().unwrap()];
        let config = Config::new([Target::open(name("iqn.2024-01.org.example:disk"), portals)]);
        let viewer = Viewer {
            initiator: name("iqn.2024-01.org.example:host"),
            peer: "10.0.0.9".parse().unwrap(),
            local: "10.0.0.1:3260".parse().unwrap(),
            account: None,
            session: Session::Discovery,
        };
        (config, viewer)
    }

    #[test]
    fn send_targets_is_answered() {
        let (config, viewer) = world();
        let mut out = answer(&config, &viewer, &mut Parameters::default(), b"SendTargets=All\0").unwrap();
        let want = "TargetName=iqn.2024-01.org.example:disk\0TargetAddress=10.0.0.1:3260,1\0";
        assert_eq!(String::from_utf8(out.take(1000)).unwrap(), want);
    }

    #[test]
    fn a_segment_length_can_be_declared_anew() {
        let (config, viewer) = world();
        let mut parameters = Parameters::default();
        let out = answer(&config, &viewer, &mut parameters, b"MaxRecvDataSegmentLength=65536\0").unwrap();
        assert!(out.is_empty());
        assert_eq!(parameters.connection.send_segment_bytes_max, 65_536);
    }

    #[test]
    fn a_broken_text_changes_nothing() {
        let (config, viewer) = world();
        let mut parameters = Parameters::default();
        let text = b"MaxRecvDataSegmentLength=65536\0MaxRecvDataSegmentLength=65536\0";
        assert_eq!(
            answer(&config, &viewer, &mut parameters, text).unwrap_err(),
            TextPhaseError::Key(KeyError::Repeated("MaxRecvDataSegmentLength"))
        );
        assert_eq!(parameters, Parameters::default());
    }

    proptest! {
        #[test]
        fn every_answer_arrives_whole(question in "[a-z]{0,300}", segment in 1_u32..50) {
            let mut exchange = Exchange::default();
            let mut said = Vec::new();
            let mut reply = exchange.handle_request(&request("F", LAST), question.as_bytes(), segment, echo).unwrap();
            said.append(&mut reply.text);
            while !reply.final_pdu {
                reply = exchange.handle_request(&request("F", reply.target_transfer_tag), b"", segment, echo).unwrap();
                said.append(&mut reply.text);
            }
            prop_assert_eq!(String::from_utf8(said).unwrap(), format!("Echo={question}\0"));
        }
    }
}
