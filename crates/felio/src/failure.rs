//! What went wrong, for whom, and what to do next; and the exit code that tells it to programs.

use core::fmt;
use felio_control::Refusal;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::process::ExitCode;

/// Exit codes, as `felio export --help` documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// While serving or stopping.
    Running,
    /// Of the command line or a file that it names for secrets.
    Usage,
    /// Of a disk.
    Backing,
    /// Of a portal.
    Listening,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Running => 1,
            Self::Usage => 2,
            Self::Backing => 3,
            Self::Listening => 4,
        }
    }
}

/// A failure that ends the program.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    what: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) const fn new(kind: Kind, what: String) -> Self {
        Self { kind, what, hint: None }
    }

    /// What to do next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, unless something else has been said already.
    #[must_use]
    pub(crate) fn or_hint(mut self, hint: String) -> Self {
        self.hint.get_or_insert(hint);
        self
    }

    #[must_use]
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// The daemon refuses, or does not answer.
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(Kind::Running, refusal.what).maybe_hint(refusal.hint)
    }
}

/// Prints the failure and turns it into an exit code. Who has read enough of what a command prints need not be told why there is no more.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let is_unread = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(is_unread) {
        return ExitCode::SUCCESS;
    }
    let code = error.downcast_ref::<Failure>().map_or(Kind::Running, |failure| failure.kind).code();
    // Where nobody reads standard error there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "felio: {error:#}");
    ExitCode::from(code)
}

/// What to do about an error of the system on a portal.
pub(crate) fn portal_hint(portal: std::net::SocketAddr, error: &std::io::Error) -> Option<String> {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::AddrInUse => Some(format!(
            "another program listens there: `ss -ltnp 'sport = :{port}'` shows which; --portal {ip}:0 takes a free port",
            port = portal.port(),
            ip = if portal.is_ipv6() { format!("[{}]", portal.ip()) } else { portal.ip().to_string() },
        )),
        ErrorKind::AddrNotAvailable => {
            Some("this machine has no such address; `ip address` lists those that it has".to_owned())
        }
        ErrorKind::PermissionDenied => {
            Some("ports below 1024 need root or CAP_NET_BIND_SERVICE; iSCSI's own port is 3260".to_owned())
        }
        ErrorKind::InvalidInput => match portal.ip() {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Some(format!(
                "a link-local address needs the number of its interface, as `ip link` shows it: --portal [{ip}%2]:{}",
                portal.port()
            )),
            IpAddr::V6(ip) => ip
                .to_ipv4_mapped()
                .map(|ip| format!("that is an address of IPv4: --portal {ip}:{}", portal.port())),
            IpAddr::V4(_) => None,
        },
        _ => None,
    }
}
