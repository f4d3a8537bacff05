//! What can be typed about where the daemon is asked: its socket, or from afar.

use crate::failure::{Failure, Kind};
use crate::tokens;
use clap::Args;
use felio_client::{Access, Client};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Which daemon is meant.
#[derive(Args, Clone, Debug)]
pub(crate) struct DaemonSocket {
    /// Where the daemon is asked.
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/run/felio/felio.sock",
        env = "FELIO_SOCKET",
        hide_env = true,
        global = true
    )]
    pub(crate) socket: PathBuf,

    /// A daemon elsewhere (felio daemon --listen), instead of one at --socket. Also by FELIO_DAEMON.
    #[arg(long, value_name = "https://HOST:PORT", env = "FELIO_DAEMON", hide_env = true, global = true)]
    pub(crate) daemon: Option<String>,

    /// Where the token for --daemon is, as felio token has printed it there. Without this it is taken from FELIO_TOKEN.
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) token_file: Option<PathBuf>,

    /// Certificates (PEM) of those who are believed when they say who --daemon is; may be the daemon's own. Without this, those of the
    /// system. Also by FELIO_CA.
    #[arg(long, value_name = "FILE", env = "FELIO_CA", hide_env = true, global = true)]
    pub(crate) ca: Option<PathBuf>,
}

impl DaemonSocket {
    /// Asks that daemon.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let Some(url) = &self.daemon else { return Ok(Client::on_socket(&self.socket)?) };
        let wrong =
            |refusal: felio_client::Refusal| Failure::new(Kind::Usage, refusal.what).maybe_hint(refusal.hint);
        Client::at(url, &Access { token: self.token()?, ca: self.ca.clone() }).map_err(wrong)
    }

    fn token(&self) -> Result<Option<String>, Failure> {
        let text = match &self.token_file {
            None => std::env::var("FELIO_TOKEN").ok(),
            Some(file) => Some(std::fs::read_to_string(file).map_err(|error| {
                Failure::new(Kind::Usage, format!("--token-file {}: {error}", file.display()))
            })?),
        };
        Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
    }
}

/// From where else than its socket a daemon is asked.
#[derive(Args, Clone, Debug)]
pub(crate) struct ListenArgs {
    /// Let it be asked over the network, too: HTTPS at this address, for whoever has a token (see felio token). Needs --tls-cert and --tls-key.
    /// Repeat for several.
    #[arg(long = "listen", value_name = "ADDR:PORT", value_parser = parse_listen, help_heading = "From afar")]
    pub(crate) addresses: Vec<SocketAddr>,

    /// The certificate that shows who we are, with those between it and one that others believe: PEM. Read again on SIGHUP, as the other two.
    #[arg(long, value_name = "FILE", requires = "addresses", help_heading = "From afar")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Its key, in PEM, in a file that others cannot read.
    #[arg(long, value_name = "FILE", requires = "addresses", help_heading = "From afar")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Who may ask: what felio token has written.
    #[arg(long, value_name = "FILE", default_value = TOKEN_FILE, help_heading = "From afar")]
    pub(crate) token_file: PathBuf,
}

/// Where tokens are kept.
const TOKEN_FILE: &str = "/etc/felio/tokens";

/// Make a token, with which somebody may ask the daemon from afar; list or revoke those that there are.
///
/// The token is printed once, on standard output; the file has only its digest. What is made or revoked counts once the daemon has read the file
/// again: `systemctl reload felio`, or SIGHUP.
#[derive(Args, Clone, Debug)]
#[command(after_help = TOKEN_EXAMPLES)]
pub(crate) struct TokenArgs {
    /// Whose it is: what the audit log calls them.
    #[arg(value_parser = tokens::parse_name, required_unless_present_any = ["list", "revoke"])]
    pub(crate) name: Option<String>,

    /// It does not let change anything, nor see secrets.
    #[arg(long, requires = "name")]
    pub(crate) read_only: bool,

    /// Print names and roles.
    #[arg(long, conflicts_with_all = ["name", "revoke"])]
    pub(crate) list: bool,

    /// The same as one JSON array.
    #[arg(long, requires = "list")]
    pub(crate) json: bool,

    /// Let nobody in by the token of this name any more.
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    pub(crate) revoke: Option<String>,

    /// Where tokens are kept.
    #[arg(long, value_name = "FILE", default_value = TOKEN_FILE)]
    pub(crate) token_file: PathBuf,
}

const TOKEN_EXAMPLES: &str = "\
Examples:
  felio token alice                          may do everything
  felio token prometheus --read-only         may look
  felio token --revoke alice

Elsewhere, with the token in a file:
  felio shell --daemon https://HOST:PORT --ca cert.pem --token-file token
  curl --cacert cert.pem -H \"Authorization: Bearer $(cat token)\" https://HOST:PORT/v1/tree";

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "not ADDR:PORT (0.0.0.0:8443, [::]:8443)".to_owned())
}
