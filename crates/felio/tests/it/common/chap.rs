//! An initiator's side of CHAP, and of text keys in login: one request and one response at a time.

use super::PATIENCE;
use super::wire::Wire;
use felio_iscsi::chap::{Algorithm, Secret};
use felio_iscsi::pdu::{
    BHS_BYTES, Bhs, LoginRequest, LoginResponse, LoginStatus, Sn, Stage, TaskTag, padding_bytes,
};
use felio_iscsi::peer::{Peer, PeerEvent, Settings};
use felio_iscsi::text;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// What the initiator knows.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    pub(crate) user: &'static str,
    pub(crate) secret: &'static str,
    /// CHAP_A, as it is offered.
    pub(crate) algorithm: Algorithm,
    pub(crate) back: Back,
}

/// What the target shall prove.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Back {
    /// Nothing.
    Nothing,
    /// That it knows this user's secret.
    Proof(&'static str, &'static str),
    /// Its own challenge is sent back to it.
    Reflection,
}

/// Pairs of a login response.
type Pairs = Vec<(String, String)>;

/// Logs in with CHAP; the initiator believes the target only what it proves.
pub(crate) fn log_in(portal: SocketAddr, settings: &Settings, proof: &Proof) -> Result<Wire, LoginStatus> {
    let mut login = Login::open(portal, settings.clone());
    let mut who = vec![("InitiatorName", settings.initiator.clone())];
    who.push(match &settings.target {
        Some(target) => ("TargetName", target.clone()),
        None => ("SessionType", "Discovery".to_owned()),
    });
    who.push(("AuthMethod", "CHAP".to_owned()));
    let (_, pairs) = login.say(Stage::SECURITY, None, &who)?;
    assert_eq!(value(&pairs, "AuthMethod"), "CHAP");
    let (_, pairs) = login.say(Stage::SECURITY, None, &[("CHAP_A", proof.algorithm.number().to_string())])?;
    assert_eq!(value(&pairs, "CHAP_A"), proof.algorithm.number().to_string());
    let challenge = text::binary(value(&pairs, "CHAP_C")).expect("binary");
    let identifier = value(&pairs, "CHAP_I").parse().expect("a byte");
    let secret = Secret::new(proof.secret).expect("long enough");
    let mut answer = vec![
        ("CHAP_N", proof.user.to_owned()),
        ("CHAP_R", text::hex(&proof.algorithm.respond(identifier, &secret, &challenge))),
    ];
    let own = match proof.back {
        Back::Nothing => None,
        Back::Proof(..) => Some(vec![7; proof.algorithm.bytes()]),
        Back::Reflection => Some(challenge),
    };
    if let Some(own) = &own {
        answer.extend([("CHAP_I", "9".to_owned()), ("CHAP_C", text::hex(own))]);
    }
    let (response, pairs) = login.say(Stage::SECURITY, Some(Stage::OPERATIONAL), &answer)?;
    if let (Back::Proof(user, secret), Some(own)) = (proof.back, &own) {
        let secret = Secret::new(secret).expect("long enough");
        assert_eq!(value(&pairs, "CHAP_N"), user);
        let wanted = proof.algorithm.respond(9, &secret, own);
        assert_eq!(text::binary(value(&pairs, "CHAP_R")), Some(wanted), "the target proves itself");
    }
    assert!(response.transit && response.next_stage == Stage::OPERATIONAL);
    login.finish()
}

/// A login that is not over.
pub(crate) struct Login {
    socket: TcpStream,
    settings: Settings,
    exp_stat_sn: Sn,
}

impl Login {
    pub(crate) fn open(portal: SocketAddr, settings: Settings) -> Self {
        let socket = TcpStream::connect(portal).expect("felio listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Self { socket, settings, exp_stat_sn: Sn(0) }
    }

    /// Sends keys and reads the answer. `next`: where to go.
    pub(crate) fn say(
        &mut self,
        stage: Stage,
        next: Option<Stage>,
        keys: &[(&str, String)],
    ) -> Result<(LoginResponse, Pairs), LoginStatus> {
        let (response, text, _) = self.exchange(stage, next, keys);
        if response.status != LoginStatus::SUCCESS {
            return Err(response.status);
        }
        let pairs = text::parse(&text).expect("text");
        Ok((response, pairs.iter().map(|pair| (pair.key.to_owned(), pair.value.to_owned())).collect()))
    }

    /// The operational stage; a [`Peer`] takes over from the last response.
    pub(crate) fn finish(mut self) -> Result<Wire, LoginStatus> {
        let mut peer = Peer::new(self.settings.clone());
        let _unsaid = peer.take_output();
        let keys = self.settings.keys.clone();
        let (response, _, bytes) = self.exchange(Stage::OPERATIONAL, Some(Stage::FULL_FEATURE), &keys);
        if response.status != LoginStatus::SUCCESS {
            return Err(response.status);
        }
        peer.handle_input(&bytes).expect("the target keeps the rules");
        assert!(matches!(peer.poll_event(), Some(PeerEvent::LoggedIn { .. })), "{response:?}");
        Ok(Wire::over(self.socket, peer))
    }

    fn exchange(
        &mut self,
        stage: Stage,
        next: Option<Stage>,
        keys: &[(&str, String)],
    ) -> (LoginResponse, Vec<u8>, Vec<u8>) {
        let text: Vec<u8> =
            keys.iter().flat_map(|(key, value)| format!("{key}={value}\0").into_bytes()).collect();
        let request = LoginRequest {
            transit: next.is_some(),
            continued: false,
            current_stage: stage,
            next_stage: next.unwrap_or(Stage::SECURITY),
            version_max: 0,
            version_min: 0,
            data_segment_bytes: u32::try_from(text.len()).expect("short"),
            isid: self.settings.isid,
            tsih: 0,
            initiator_task_tag: TaskTag(0),
            cid: self.settings.cid,
            cmd_sn: Sn(self.settings.cmd_sn),
            exp_stat_sn: self.exp_stat_sn,
        };
        let mut bytes = request.emit().to_vec();
        bytes.extend_from_slice(&text);
        bytes.extend_from_slice(&[0; 3][..padding_bytes(text.len())]);
        self.socket.write_all(&bytes).expect("it listens");
        self.answer()
    }

    fn answer(&mut self) -> (LoginResponse, Vec<u8>, Vec<u8>) {
        let mut header = [0; BHS_BYTES];
        self.socket.read_exact(&mut header).expect("an answer");
        let response = LoginResponse::parse(&Bhs(header)).expect("a login response");
        let text_bytes = usize::try_from(response.data_segment_bytes).expect("short");
        let mut text = vec![0; text_bytes + padding_bytes(text_bytes)];
        self.socket.read_exact(&mut text).expect("all of it");
        let whole = [&header[..], &text].concat();
        text.truncate(text_bytes);
        self.exp_stat_sn = response.stat_sn.next();
        (response, text, whole)
    }
}

fn value<'a>(pairs: &'a Pairs, key: &str) -> &'a str {
    let pair = pairs.iter().find(|(name, _)| name == key);
    pair.map_or_else(|| panic!("no {key} in {pairs:?}"), |(_, value)| value)
}
