//! The web page, and beside it the routes of the socket, on a loopback address: `--web`.
//!
//! Any page that a browser on this machine shows can send requests to a loopback address, and any user of the machine can connect to it. So a request must
//! be meant for a loopback address (not for a name that somebody made lead here), a page that it comes from must be ours, and whoever asks for
//! anything but the page has to know the token, which is made and printed at the start.

use super::audit::{Deed, Who};
use super::lines::Desk;
use super::listen;
use super::refused::Doorkeeper;
use super::{answer, api};
use crate::failure::{Failure, Kind};
use crate::tokens::random;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use felio_control::Refusal;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// What the page consists of: path, type, content.
const ASSETS: &[(&str, &str, &str)] = &[
    ("/", "text/html; charset=utf-8", include_str!("../../web/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("../../web/style.css")),
    ("/icon.svg", "image/svg+xml", include_str!("../../web/icon.svg")),
    ("/app.js", SCRIPT, include_str!("../../web/app.js")),
    ("/daemon.js", SCRIPT, include_str!("../../web/daemon.js")),
    ("/dialogs.js", SCRIPT, include_str!("../../web/dialogs.js")),
    ("/dom.js", SCRIPT, include_str!("../../web/dom.js")),
    ("/model.js", SCRIPT, include_str!("../../web/model.js")),
    ("/plots.js", SCRIPT, include_str!("../../web/plots.js")),
    ("/tree.js", SCRIPT, include_str!("../../web/tree.js")),
    ("/units.js", SCRIPT, include_str!("../../web/units.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What a browser is told with every answer: nothing from elsewhere, nothing inline, in no frame, kept nowhere.
const HEADERS: &[(HeaderName, &str)] = &[
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Answers on `address` from now on. Returns the address that is to be opened.
pub(super) fn listen(address: SocketAddr, desk: Desk) -> Result<String, Failure> {
    let port = address.port();
    if !address.ip().is_loopback() {
        let what = format!(
            "--web {address}: the page is served at loopback addresses only, for it is not encrypted"
        );
        return Err(Failure::new(Kind::Usage, what).hint(format!(
            "--web 127.0.0.1:{port}; from afar, through an SSH tunnel (`ssh -L {port}:127.0.0.1:{port} HOST`), or with --listen beside it by TLS"
        )));
    }
    let (listener, here) = listen::bind("--web", address)?;
    let token = random::<16>()?;
    let url = format!("http://{here}/#{token}");
    let guard = middleware::from_fn_with_state((Arc::from(token), desk.doorkeeper.clone()), guard);
    listen::serve("web", listener, None, dressed(page().merge(api::router(desk)).layer(guard)))?;
    Ok(url)
}

/// The page itself: it says nothing, and asks for everything.
pub(super) fn page() -> Router {
    ASSETS.iter().fold(Router::new(), |router, (path, kind, content)| {
        router.route(path, get(move || async move { ([(header::CONTENT_TYPE, *kind)], *content) }))
    })
}

/// With what a browser is told.
pub(super) fn dressed(router: Router) -> Router {
    router.layer(middleware::map_response(async |mut response: Response| {
        response
            .headers_mut()
            .extend(HEADERS.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))));
        response
    }))
}

/// Lets through who may ask.
async fn guard(
    State((token, doorkeeper)): State<(Arc<str>, Doorkeeper)>,
    mut request: Request,
    next: Next,
) -> Response {
    let from = listen::whence(&request);
    let is_page = ASSETS.iter().any(|(path, ..)| *path == request.uri().path());
    if let Err((status, refusal)) = check(request.headers(), &token, is_page) {
        if status == StatusCode::UNAUTHORIZED {
            let has_token = request.headers().contains_key(header::AUTHORIZATION);
            doorkeeper.note(&Who::Stranger { from, has_token }, Deed::asked(&request));
        }
        return answer::refuse(status, &refusal);
    }
    request.extensions_mut().insert(Who::Web(from));
    next.run(request).await
}

fn check(headers: &HeaderMap, token: &str, is_page: bool) -> Result<(), (StatusCode, Refusal)> {
    let header = |name| headers.get(name).map(HeaderValue::as_bytes);
    let host = header(header::HOST).unwrap_or_default();
    if !is_loopback(host) {
        let refusal = Refusal::invalid("the page is served under a loopback address only")
            .hint("open the address that felio printed when it started");
        return Err((StatusCode::MISDIRECTED_REQUEST, refusal));
    }
    if header(header::ORIGIN).is_some_and(|origin| origin.strip_prefix(b"http://") != Some(host)) {
        return Err((StatusCode::FORBIDDEN, Refusal::invalid("another site's page may not ask this")));
    }
    let given = header(header::AUTHORIZATION).and_then(|value| value.strip_prefix(b"Bearer "));
    if !is_page && !given.is_some_and(|given| given.ct_eq(token.as_bytes()).into()) {
        let refusal = Refusal::invalid("the token is missing, or of an earlier start of felio")
            .hint("open the address that felio printed when it started");
        return Err((StatusCode::UNAUTHORIZED, refusal));
    }
    Ok(())
}

/// Whether a Host header means this machine, by whatever port: a tunnel may have another.
fn is_loopback(host: &[u8]) -> bool {
    let Ok(authority) = Authority::try_from(host) else { return false };
    let name = authority.host();
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    name == "localhost" || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "00ff";

    /// The status with which a request for something other than the page is refused.
    fn status(pairs: &[(HeaderName, &'static str)]) -> Option<u16> {
        let headers =
            pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        check(&headers, TOKEN, false).err().map(|(status, _)| status.as_u16())
    }

    const HOST: (HeaderName, &str) = (header::HOST, "127.0.0.1:8080");
    const BEARER: (HeaderName, &str) = (header::AUTHORIZATION, "Bearer 00ff");

    #[test]
    fn who_knows_the_token_may_ask() {
        assert_eq!(status(&[HOST, BEARER]), None);
        assert_eq!(status(&[(header::HOST, "localhost:1"), BEARER]), None);
        assert_eq!(status(&[(header::HOST, "[::1]:1"), BEARER]), None);
        assert_eq!(status(&[HOST, BEARER, (header::ORIGIN, "http://127.0.0.1:8080")]), None);
    }

    #[test]
    fn who_does_not_know_it_may_not() {
        for wrong in ["Bearer 00fe", "Bearer 00f", "Bearer ", "00ff", "Bearer 00ff0"] {
            assert_eq!(status(&[HOST, (header::AUTHORIZATION, wrong)]), Some(401), "{wrong}");
        }
        assert_eq!(status(&[HOST]), Some(401));
    }

    #[test]
    fn a_name_that_leads_here_is_not_served() {
        for name in ["evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", ""]
        {
            assert_eq!(status(&[(header::HOST, name), BEARER]), Some(421), "{name}");
        }
        assert_eq!(status(&[BEARER]), Some(421));
    }

    #[test]
    fn another_sites_page_may_not_ask() {
        for origin in ["http://evil.example", "null", "http://127.0.0.1:8081", "https://127.0.0.1:8080"] {
            assert_eq!(status(&[HOST, BEARER, (header::ORIGIN, origin)]), Some(403), "{origin}");
        }
    }
}
