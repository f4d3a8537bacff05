//! Secrets from their files: those of CHAP, keys and tokens.

use crate::cli::ExportArgs;
use crate::failure::{Failure, Kind};
use core::fmt::Display;
use felio_iscsi::chap::{Account, Credentials, Secret};
use felio_iscsi::config::Auth;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// More than a secret and line ends behind it need.
const FILE_BYTES_MAX: u64 = 4096;

/// What the options say about authentication.
pub(crate) fn read(args: &ExportArgs) -> Result<Auth, Failure> {
    let (Some(user), Some(file)) = (&args.chap_user, &args.chap_password_file) else { return Ok(Auth::None) };
    let initiator = account(user, file, "--chap")?;
    let credentials = match (&args.mutual_chap_user, &args.mutual_chap_password_file) {
        (Some(user), Some(file)) => {
            let target = account(user, file, "--mutual-chap")?;
            Credentials::mutual(initiator, target)
                .map_err(|error| refused(&error, file, "--mutual-chap-password-file"))?
        }
        _ => Credentials::one_way(initiator),
    };
    Ok(Auth::Chap(credentials))
}

/// By the options that begin with `option`.
fn account(user: &str, file: &Path, option: &str) -> Result<Account, Failure> {
    let of_file = format!("{option}-password-file");
    let bytes = open(file)
        .and_then(|open| read_at_most(open, FILE_BYTES_MAX))
        .map_err(|why| refused(&why, file, &of_file))?;
    let secret = one_line(&bytes).map_err(|why| refused(&why, file, &of_file))?;
    let secret = Secret::new(secret).map_err(|error| refused(&error, file, &of_file))?;
    Account::new(user, secret)
        .map_err(|error| Failure::new(Kind::Usage, format!("{option}-user {user:?}: {error}")))
}

/// What `"$(cat FILE)"` is in a shell: that is how the commands that we print hand it to initiators. They cannot say every byte.
fn one_line(bytes: &[u8]) -> Result<&[u8], &'static str> {
    let end = bytes.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1);
    let line = &bytes[..end];
    match line.iter().any(|byte| b"\r\n\0".contains(byte)) {
        true => Err("a secret is one line; here is a carriage return, a second line or a zero byte in it"),
        false => Ok(line),
    }
}

fn refused(why: &impl Display, file: &Path, option: &str) -> Failure {
    Failure::new(Kind::Usage, format!("{option} {}: {why}", file.display())).hint(
        "12 to 16 characters suit every initiator; `head -c 12 /dev/urandom | base64 | tr -d '\\n' > FILE` makes a secret of 16",
    )
}

/// What others than its owner may do with a file, as bits of its mode: its group may read it.
const OTHERS: u32 = 0o027;

/// A file that nobody else can read or change.
pub(crate) fn read_private(file: &Path, option: &str, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let failed = |why: String| Failure::new(Kind::Usage, format!("{option} {}: {why}", file.display()));
    let open = open(file).map_err(failed)?;
    let mode = open.metadata().map_err(|error| failed(unreadable(&error)))?.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(failed(format!("its mode {mode:o} lets others read or change it"))
            .hint(format!("chmod 600 {}", file.display())));
    }
    read_at_most(open, bytes_max).map_err(failed)
}

fn open(file: &Path) -> Result<File, String> {
    File::open(file).map_err(|error| unreadable(&error))
}

/// All of a file that is no longer than that.
fn read_at_most(file: File, bytes_max: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= bytes_max => Ok(bytes),
        _ => Err(format!("it is longer than {bytes_max} bytes")),
    }
}

fn unreadable(error: &io::Error) -> String {
    format!("it cannot be read: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_behind_a_secret_do_not_count() {
        for file in ["secret", "secret\n", "secret\n\n"] {
            assert_eq!(one_line(file.as_bytes()), Ok(&b"secret"[..]), "{file:?}");
        }
        assert_eq!(one_line(b"\n"), Ok(&b""[..]));
    }

    #[test]
    fn what_commands_would_hand_on_otherwise_is_no_secret() {
        for file in ["secret\r\n", "secret\r", "sec\nret", "\nsecret", "secret\0", "secret\0\n"] {
            assert!(one_line(file.as_bytes()).is_err(), "{file:?}");
        }
    }
}
