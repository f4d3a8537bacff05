//! Tokens: who may ask the daemon from afar (`felio daemon --listen`).
//!
//! The file has a line for each, `NAME ROLE SHA256`; empty lines and what begins with # say nothing. A token is random and long, so a mere digest
//! is enough to know it again, and whoever reads the file has none. It is replaced as a whole, and read by the daemon at its start and on SIGHUP.

use crate::cli::access::TokenArgs;
use crate::failure::{Failure, Kind};
use crate::secrets::read_private;
use core::fmt::Write as _;
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::Path;
use subtle::ConstantTimeEq as _;

/// Tokens at the most: each request is compared with all.
const TOKENS_MAX: usize = 1024;

/// More than so many tokens need.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The longest name.
const NAME_BYTES_MAX: usize = 64;

/// What tokens begin with, so that those who look for secrets in the wrong places find them.
const PREFIX: &str = "felio_";

/// Those that are valid.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens(Vec<Token>);

/// A token, as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Token {
    pub(crate) name: String,
    pub(crate) role: Role,
    #[serde(skip)]
    digest: [u8; 32],
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Everything.
    Admin,
    /// Look at everything but secrets.
    Read,
}

impl Role {
    const ALL: [(Self, &'static str); 2] = [(Self::Admin, "admin"), (Self::Read, "read")];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(role, _)| *role == self).map_or("", |(_, name)| name)
    }
}

impl Tokens {
    /// Those of a file that nobody else can read or change.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let bytes = read_private(file, "--token-file", FILE_BYTES_MAX).map_err(|failure| {
            failure.or_hint(format!(
                "`felio token NAME --token-file {}` makes a token and the file",
                file.display()
            ))
        })?;
        Self::parse(&String::from_utf8_lossy(&bytes)).map_err(|why| unusable(file, &why))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut tokens: Vec<Token> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let Some(token) = parse_line(line).map_err(|why| format!("line {number}: {why}"))? else {
                continue;
            };
            if tokens.iter().any(|other| other.name == token.name) {
                return Err(format!("line {number}: there is a token {} already", token.name));
            }
            tokens.push(token);
        }
        if tokens.len() > TOKENS_MAX {
            return Err(format!("there are more than {TOKENS_MAX} tokens"));
        }
        Ok(Self(tokens))
    }

    /// Whose it is. That takes as long whichever it is, and whatever of it is right.
    pub(crate) fn find(&self, token: &[u8]) -> Option<&Token> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let same = |found, other: &Token| found | other.digest.ct_eq(&digest);
        let is_any = self.0.iter().fold(subtle::Choice::from(0), same);
        bool::from(is_any).then(|| self.0.iter().find(|other| other.digest == digest))?
    }

    /// Whether it is valid still, and for the same.
    pub(crate) fn has(&self, token: &Token) -> bool {
        self.0.contains(token)
    }
}

fn parse_line(line: &str) -> Result<Option<Token>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (Some(name), Some(role), Some(hex), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("it is not NAME ROLE SHA256".to_owned());
    };
    let name = parse_name(name)?;
    let role = Role::ALL.iter().find(|(_, word)| *word == role).map(|(role, _)| *role);
    let role = role.ok_or("a role is admin or read")?;
    let digest = unhex(hex).ok_or("a SHA256 has 64 hexadecimal digits")?;
    Ok(Some(Token { name, role, digest }))
}

/// A name that fits in a line.
pub(crate) fn parse_name(text: &str) -> Result<String, String> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@:/".contains(&byte);
    match text.bytes().all(is_good) && (1..=NAME_BYTES_MAX).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err(format!("a name has letters, digits and - _ . @ : /, {NAME_BYTES_MAX} at the most")),
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Something that nobody guesses.
pub(crate) fn random<const N: usize>() -> Result<String, Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(Kind::Running, format!("no random numbers for a token: {error}")))?;
    Ok(hex(&bytes))
}

/// Carries out `felio token`.
pub(crate) fn run(args: &TokenArgs) -> anyhow::Result<()> {
    let file = &args.token_file;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&Tokens::read(file)?.0)?)?;
    } else if args.list {
        for Token { name, role, .. } in &Tokens::read(file)?.0 {
            writeln!(out, "{name} {}", role.name())?;
        }
    } else if let Some(name) = &args.revoke {
        change(file, |text| without(text, name))?;
        note(&format!("{name} is revoked; {COUNTS}"));
    } else if let Some(name) = &args.name {
        let role = if args.read_only { Role::Read } else { Role::Admin };
        let token = format!("{PREFIX}{}", random::<32>()?);
        let line = format!("{name} {} {}\n", role.name(), hex(&Sha256::digest(&token)));
        change(file, |text| {
            let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            Ok(format!("{text}{gap}{line}"))
        })?;
        writeln!(out, "{token}")?;
        note(&format!("the token of {name} is not shown again; {COUNTS}"));
    }
    Ok(())
}

const COUNTS: &str = "it counts once the daemon has read the file: `systemctl reload felio`, or SIGHUP";

/// For people; programs read standard output.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The lines but that of this name.
fn without(text: &str, name: &str) -> Result<String, String> {
    let is_it =
        |line: &&str| parse_line(line).is_ok_and(|token| token.is_some_and(|token| token.name == name));
    match text.lines().any(|line| is_it(&line)) {
        true => Ok(text.lines().filter(|line| !is_it(line)).map(|line| format!("{line}\n")).collect()),
        false => Err(format!("there is no token {name}; `felio token --list` shows those that there are")),
    }
}

/// Makes another file of the one that is there, while nobody else does: all of it is written, or nothing.
fn change(file: &Path, make: impl FnOnce(&str) -> Result<String, String>) -> Result<(), Failure> {
    let failed = |error: io::Error| unusable(file, &error.to_string());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let held = File::open(folder).map_err(failed)?;
    flock(&held, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    let before = match fs::metadata(file) {
        Ok(data) => Some(data),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let text = match before {
        Some(_) => read_private(file, "--token-file", FILE_BYTES_MAX)?,
        None => Vec::new(),
    };
    let text = make(&String::from_utf8_lossy(&text)).map_err(|why| unusable(file, &why))?;
    Tokens::parse(&text).map_err(|why| unusable(file, &why))?;
    let draft = file.with_extension("new");
    let write = || {
        let mut options = OpenOptions::new();
        let mut new = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        // The daemon may run as somebody else than whoever makes tokens.
        if let Some(before) = before {
            new.set_permissions(fs::Permissions::from_mode(before.mode() & 0o777))?;
            fchown(&new, Some(before.uid()), Some(before.gid()))?;
        }
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        fs::rename(&draft, file)?;
        held.sync_all()
    };
    write().map_err(failed)
}

fn unusable(file: &Path, why: &str) -> Failure {
    Failure::new(Kind::Usage, format!("--token-file {}: {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, role: &str, token: &str) -> String {
        format!("{name} {role} {}\n", hex(&Sha256::digest(token)))
    }

    #[test]
    fn a_token_is_known_by_its_digest() {
        let text = format!("# who may\n\n{}{}", line("ci", "admin", "one"), line("top", "read", "two"));
        let tokens = Tokens::parse(&text).expect("valid");
        let found =
            |token: &str| tokens.find(token.as_bytes()).map(|token| (token.name.as_str(), token.role));
        assert_eq!(found("one"), Some(("ci", Role::Admin)));
        assert_eq!(found("two"), Some(("top", Role::Read)));
        assert_eq!(found("three"), None);
        assert_eq!(found(&hex(&Sha256::digest("one"))), None, "what the file has lets nobody in");
    }

    #[track_caller]
    fn check_wrong(text: &str, why: &str) {
        assert_eq!(Tokens::parse(text), Err(why.to_owned()), "{text}");
    }

    #[test]
    fn a_line_that_makes_no_sense_is_told_by_its_number() {
        check_wrong("\nci admin", "line 2: it is not NAME ROLE SHA256");
        check_wrong(&line("ci", "owner", "x"), "line 1: a role is admin or read");
        check_wrong("ci read 00ff", "line 1: a SHA256 has 64 hexadecimal digits");
        check_wrong(&format!("ci read +{}", "0".repeat(63)), "line 1: a SHA256 has 64 hexadecimal digits");
        let twice = line("ci", "admin", "one") + &line("ci", "read", "two");
        check_wrong(&twice, "line 2: there is a token ci already");
    }

    #[test]
    fn what_is_revoked_goes_and_the_rest_stays_as_it_was() {
        let (kept, gone) = (line("ci", "admin", "one"), line("top", "read", "two"));
        assert_eq!(without(&format!("# mine\n{gone}{kept}"), "top"), Ok(format!("# mine\n{kept}")));
        assert!(without(&kept, "c").is_err());
    }
}
