//! Secrets from their files: those of CHAP, keys and tokens.

use crate::cli::ExportArgs;
use crate::failure::{Failure, Kind};
use felio_iscsi::chap::{Account, Credentials, CredentialsError, Secret};
use felio_iscsi::config::Auth;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What the options say about authentication.
pub(crate) fn read(args: &ExportArgs) -> Result<Auth, Failure> {
    let (Some(user), Some(file)) = (&args.chap_user, &args.chap_password_file) else { return Ok(Auth::None) };
    let initiator = account(user, file, "--chap-password-file")?;
    let credentials = match (&args.mutual_chap_user, &args.mutual_chap_password_file) {
        (Some(user), Some(file)) => {
            let target = account(user, file, "--mutual-chap-password-file")?;
            Credentials::mutual(initiator, target)
                .map_err(|error| refused(&error, file, "--mutual-chap-password-file"))?
        }
        _ => Credentials::one_way(initiator),
    };
    Ok(Auth::Chap(credentials))
}

fn account(user: &str, file: &Path, option: &str) -> Result<Account, Failure> {
    let bytes = std::fs::read(file).map_err(|error| {
        Failure::new(Kind::Usage, format!("{option}: cannot read {}: {error}", file.display()))
            .hint("the file holds the secret and nothing else; a line end after it does not count")
    })?;
    let secret = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    let secret = Secret::new(secret).map_err(|error| refused(&error, file, option))?;
    Account::new(user, secret).map_err(|error| refused(&error, file, option))
}

fn refused(error: &CredentialsError, file: &Path, option: &str) -> Failure {
    Failure::new(Kind::Usage, format!("{option} {}: {error}", file.display())).hint(
        "12 to 16 characters suit every initiator; `head -c 12 /dev/urandom | base64 > FILE` makes a secret of 16",
    )
}

/// What others than its owner may do with a file, as bits of its mode: its group may read it.
const OTHERS: u32 = 0o027;

/// A file that nobody else can read or change.
pub(crate) fn read_private(file: &Path, option: &str, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let failed = |why: String| Failure::new(Kind::Usage, format!("{option} {}: {why}", file.display()));
    let unreadable = |error: std::io::Error| failed(format!("it cannot be read: {error}"));
    let open = File::open(file).map_err(unreadable)?;
    let mode = open.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(failed(format!("its mode {mode:o} lets others read or change it"))
            .hint(format!("chmod 600 {}", file.display())));
    }
    let mut bytes = Vec::new();
    open.take(bytes_max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= bytes_max => Ok(bytes),
        _ => Err(failed(format!("it is longer than {bytes_max} bytes"))),
    }
}
