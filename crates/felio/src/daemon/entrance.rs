//! `--listen`: the daemon's HTTP interface over TLS, for whoever has a token.
//!
//! Certificate, key and tokens come from files that are read at the start and on SIGHUP; what cannot be read then leaves in force what was. A
//! request is let in by the tokens of that moment, a connection that is open is no right to anything.

use super::answer;
use super::audit::{Deed, Who};
use super::lines::Desk;
use super::listen;
use super::refused::Doorkeeper;
use super::routes::{EVENTS, LINES};
use super::{api, web};
use crate::cli::access::ListenArgs;
use crate::failure::{Failure, Kind};
use crate::secrets::read_private;
use crate::tokens::{Role, Token, Tokens};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::Response;
use felio_client::tls;
use felio_control::{Refusal, RefusalKind};
use futures_util::StreamExt as _;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// More than any key has.
const KEY_BYTES_MAX: u64 = 1 << 16;

/// What whoever asks is let in by, as it is now.
pub(super) struct Entrance {
    addresses: Vec<SocketAddr>,
    cert: PathBuf,
    key: PathBuf,
    token_file: PathBuf,
    tls: watch::Sender<TlsAcceptor>,
    tokens: watch::Sender<Arc<Tokens>>,
}

impl Entrance {
    /// What the files say; none where nobody is to be let in.
    pub(super) fn open(args: &ListenArgs) -> Result<Option<Self>, Failure> {
        let Some(first) = args.addresses.first() else { return Ok(None) };
        let (Some(cert), Some(key)) = (args.tls_cert.clone(), args.tls_key.clone()) else {
            let what = format!(
                "--listen {first} needs --tls-cert FILE and --tls-key FILE: nothing is sent in the clear"
            );
            return Err(Failure::new(Kind::Usage, what)
                .hint(format!("{SELF_SIGNED} makes a pair; name the machine as others do")));
        };
        let tls = watch::Sender::new(acceptor(&cert, &key)?);
        let tokens = watch::Sender::new(Arc::new(Tokens::read(&args.token_file)?));
        let (addresses, token_file) = (args.addresses.clone(), args.token_file.clone());
        Ok(Some(Self { addresses, cert, key, token_file, tls, tokens }))
    }

    /// What is read again.
    pub(super) fn files(&self) -> [&Path; 3] {
        [&self.cert, &self.key, &self.token_file]
    }

    /// Reads the files again; why not, for each that cannot be.
    pub(super) fn reload(&self) -> Vec<Failure> {
        let tls = acceptor(&self.cert, &self.key).map(|new| drop(self.tls.send_replace(new)));
        let tokens = Tokens::read(&self.token_file).map(|new| drop(self.tokens.send_replace(Arc::new(new))));
        [tls, tokens].into_iter().filter_map(Result::err).collect()
    }

    /// Answers from now on; with the web page, where there is one. Where that is.
    pub(super) fn listen(&self, desk: &Desk, with_page: bool) -> Result<Vec<SocketAddr>, Failure> {
        let guard = Guard { tokens: self.tokens.subscribe(), doorkeeper: desk.doorkeeper.clone() };
        let guard = middleware::from_fn_with_state(guard, let_in);
        let router = api::router(desk.clone()).layer(guard);
        let router = if with_page { web::dressed(web::page().merge(router)) } else { router };
        let listen = |address: &SocketAddr| {
            let (listener, local) = listen::bind("--listen", *address)?;
            listen::serve("https", listener, Some(self.tls.subscribe()), router.clone())?;
            Ok(local)
        };
        self.addresses.iter().map(listen).collect()
    }
}

/// The command that makes a certificate for those who have no authority of their own.
const SELF_SIGNED: &str = "`openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 -keyout key.pem -out cert.pem \
    -subj /CN=felio -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:$(hostname -f)`";

/// What shows who we are.
fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor, Failure> {
    let bad = |option: &str, file: &Path, why: &dyn core::fmt::Display| {
        Failure::new(Kind::Usage, format!("{option} {}: {why}", file.display()))
    };
    let bad_cert = |why: &dyn core::fmt::Display| bad("--tls-cert", cert, why);
    let certificates = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| bad_cert(&format!("no certificate in PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(bad_cert(&"there is no certificate in it").hint(format!("{SELF_SIGNED} makes one")));
    }
    let bytes = read_private(key, "--tls-key", KEY_BYTES_MAX)?;
    let bytes = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        bad("--tls-key", key, &format!("no key in PEM: {error}"))
            .hint("a key that asks for a passphrase is none that felio can use: `openssl pkey -in FILE -out FILE` makes it one")
    })?;
    let provider = tls::provider()?;
    let own = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let own = own.and_then(|config| config.with_no_client_auth().with_single_cert(certificates, bytes));
    let mut config = own.map_err(|error| {
        bad_cert(&format!("it and the key of --tls-key {} cannot be used: {error}", key.display()))
            .hint("keys are RSA, ECDSA with P-256 or P-384, or Ed25519, and belong to the first certificate of the file")
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

type Valid = watch::Receiver<Arc<Tokens>>;

/// What lets in by tokens.
#[derive(Clone)]
struct Guard {
    tokens: Valid,
    doorkeeper: Doorkeeper,
}

/// Lets through who may ask, and says who that is.
async fn let_in(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let Guard { tokens, doorkeeper } = guard;
    let given = bearer(request.headers());
    let token = given.and_then(|given| tokens.borrow().find(given).cloned());
    let from = listen::whence(&request);
    let Some(token) = token else {
        let has_token = given.is_some();
        doorkeeper.note(&Who::Stranger { from, has_token }, Deed::asked(&request));
        return stranger(has_token);
    };
    let who = Who::Token { name: token.name.clone(), role: token.role, from };
    let is_line = LINES.contains(&request.uri().path());
    if token.role == Role::Read && !is_line && !request.method().is_safe() {
        doorkeeper.note(&who, Deed::asked(&request));
        return reader(&token);
    }
    request.extensions_mut().insert(who);
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    match (kind, token.role) {
        (kind, _) if kind == EVENTS.as_bytes() => while_valid(response, tokens, token),
        (b"application/json", Role::Read) => without_secrets(response).await,
        _ => response,
    }
}

//= RFC 6750 "Authorization Request Header Field"
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

//= RFC 6750 "The WWW-Authenticate Response Header Field"
fn stranger(has_token: bool) -> Response {
    let (challenge, what) = match has_token {
        true => ("Bearer realm=\"felio\", error=\"invalid_token\"", "the token is nobody's, or was revoked"),
        false => ("Bearer realm=\"felio\"", "only who has a token may ask"),
    };
    let refusal = Refusal::new(RefusalKind::Denied, what).hint(
        "where the daemon runs, `felio token NAME` makes one, and SIGHUP lets it count; send it as `Authorization: Bearer TOKEN`, with felio by --token-file or FELIO_TOKEN",
    );
    challenged(StatusCode::UNAUTHORIZED, challenge, &refusal)
}

fn reader(token: &Token) -> Response {
    challenged(
        StatusCode::FORBIDDEN,
        "Bearer realm=\"felio\", error=\"insufficient_scope\"",
        &only_reads(&token.name),
    )
}

/// Somebody wants to change something, and may not.
pub(super) fn only_reads(name: &str) -> Refusal {
    Refusal::new(RefusalKind::Denied, format!("the token of {name} is for reading only")).hint(
        "where the daemon runs, `felio token NAME` without --read-only makes one that may change things",
    )
}

fn challenged(status: StatusCode, challenge: &'static str, refusal: &Refusal) -> Response {
    let mut response = answer::refuse(status, refusal);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

/// What has no end of its own ends when the token is revoked.
fn while_valid(response: Response, mut tokens: Valid, token: Token) -> Response {
    let revoked = async move {
        let _ = tokens.wait_for(|tokens| !tokens.has(&token)).await;
    };
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(revoked))))
}

/// An answer for those who may only read.
async fn without_secrets(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let hidden = to_bytes(body, usize::MAX).await.ok().and_then(|bytes| {
        let mut value = serde_json::from_slice(&bytes).ok()?;
        hide(&mut value);
        serde_json::to_vec(&value).ok()
    });
    head.headers.remove(header::CONTENT_LENGTH);
    match hidden {
        Some(hidden) => Response::from_parts(head, hidden.into()),
        None => answer::gone(),
    }
}

/// Replaces what stands under names of secrets, wherever that is: what other programs have kept in a configuration may be secret, too.
pub(super) fn hide(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let is_secret = name.contains("password") || name.contains("secret");
                match value {
                    Value::String(text) if is_secret && !text.is_empty() => *value = "(secret)".into(),
                    other => hide(other),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(hide),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use felio_control::Scope;
    use felio_control::attr::rows;
    use serde_json::json;

    #[test]
    fn secrets_are_hidden_wherever_they_are() {
        let mut value =
            json!({"auth": [{"password": "x", "userid": "u"}], "chap_secret": "y", "password": ""});
        hide(&mut value);
        let want = json!({"auth": [{"password": "(secret)", "userid": "u"}], "chap_secret": "(secret)", "password": ""});
        assert_eq!(value, want);
    }

    #[test]
    fn every_secret_has_a_name_that_tells() {
        for row in Scope::ALL.into_iter().flat_map(rows) {
            assert_eq!(row.secret, row.name.contains("password"), "{}", row.name);
        }
    }

    #[test]
    fn a_token_stands_behind_bearer() {
        let of = |text: &'static str| {
            let headers = [(header::AUTHORIZATION, HeaderValue::from_static(text))];
            bearer(&headers.into_iter().collect()).map(<[u8]>::to_vec)
        };
        assert_eq!(of("Bearer x"), Some(b"x".to_vec()));
        assert_eq!(of("bearer x"), Some(b"x".to_vec()));
        assert_eq!(of("Basic xx"), None);
        assert_eq!(of("x"), None);
    }
}
