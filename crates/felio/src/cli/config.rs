//! What can be typed behind `felio config`.

use clap::{Args, Subcommand, ValueEnum};
use core::str::FromStr;
use std::path::PathBuf;

/// Plan, apply, compare, take back and take over whole configurations.
///
/// Files are LIO's saveconfig.json. What a file leaves open (serial numbers, numbers of ports and groups) stays as it is.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) verb: ConfigVerb,

    #[command(flatten)]
    pub(crate) daemon: super::DaemonSocket,

    /// Print one JSON value instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Show what a file would change; nothing is changed.
    #[command(after_help = EXIT_CODES)]
    Plan {
        /// A saveconfig.json that says all that is wanted.
        file: PathBuf,
    },
    /// Make the configuration what a file says: only what differs is touched, in one transaction, and sessions live on.
    Apply {
        /// A saveconfig.json that says all that is wanted.
        file: PathBuf,
    },
    /// Show what makes one configuration of another.
    #[command(after_help = EXIT_CODES)]
    Diff {
        /// A file, an ID of the history, or `current` [default: what was before the last change]
        from: Option<Version>,
        /// The same [default: current]
        to: Option<Version>,
    },
    /// Take back the last change, or go back to what was before the change with this ID. Can be taken back itself.
    Rollback {
        /// As `felio config history` shows it.
        id: Option<u64>,
    },
    /// List the last changes with their IDs, the newest first.
    History {
        /// Not more than so many.
        #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Check a file without a daemon, and tell all that is wrong with it.
    Validate {
        /// A saveconfig.json, targets.conf or scst.conf.
        file: PathBuf,
        /// Whose file it is [default: told by its name and content]
        #[arg(long, value_enum)]
        from: Option<Origin>,
    },
    /// Take over the configuration of LIO, tgt or SCST. What is there already stays; without --apply, shows what would change.
    #[command(after_help = EXIT_CODES)]
    Import {
        /// The file [default: /etc/target/saveconfig.json, /etc/rtslib-fb-target/saveconfig.json, /etc/tgt/targets.conf or
        /// /etc/scst.conf, the first that exists]
        file: Option<PathBuf>,
        /// Whose file it is [default: told by its name and content]
        #[arg(long, value_enum)]
        from: Option<Origin>,
        /// Do it.
        #[arg(long)]
        apply: bool,
    },
}

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Origin {
    /// saveconfig.json.
    Lio,
    /// targets.conf.
    Tgt,
    /// scst.conf.
    Scst,
}

/// A configuration to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// What is served.
    Current,
    /// What was before a change.
    Before(u64),
    /// What a file says.
    File(PathBuf),
}

impl FromStr for Version {
    type Err = core::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match (text, text.parse()) {
            ("current", _) => Self::Current,
            (_, Ok(id)) => Self::Before(id),
            (file, Err(_)) => Self::File(file.into()),
        })
    }
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done; with plan, diff and import without --apply: nothing differs
  1  refused, or not to be read; standard error says why
  2  with plan, diff and import without --apply: something differs (elsewhere, and with a message: the command line is wrong)";
