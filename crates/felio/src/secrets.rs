//! CHAP secrets from their files.

use crate::cli::ExportArgs;
use crate::failure::{Failure, Kind};
use felio_iscsi::chap::{Account, Credentials, CredentialsError, Secret};
use felio_iscsi::config::Auth;
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
