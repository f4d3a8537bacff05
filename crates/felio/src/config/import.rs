//! `felio config import`: what another target was told to serve.

use super::{Answer, Plan, text_of};
use crate::cli::config::Origin;
use crate::failure::{Failure, Kind};
use felio_client::Client;
use felio_control::save::{self, Note, Unreadable};
use felio_control::{Config, Facts, import};
use std::path::{Path, PathBuf};

/// Where others keep their configuration.
const PLACES: [&str; 4] = [
    "/etc/target/saveconfig.json",
    "/etc/rtslib-fb-target/saveconfig.json",
    "/etc/tgt/targets.conf",
    "/etc/scst.conf",
];

/// What a file says, and what cannot be taken over of it.
pub(super) struct Found {
    pub(super) config: Config,
    pub(super) notes: Vec<Note>,
}

/// Shows what would come in, or takes it over.
pub(super) fn run(
    client: &Client,
    file: Option<&Path>,
    from: Option<Origin>,
    apply: bool,
) -> Result<Answer, Failure> {
    let file = match file {
        Some(file) => file.to_path_buf(),
        None => PLACES.iter().map(PathBuf::from).find(|place| place.exists()).ok_or_else(|| {
            Failure::new(Kind::Running, format!("there is none of {}", PLACES.join(", ")))
                .hint("felio config import FILE")
        })?,
    };
    let text = text_of(&file)?;
    let found = read(origin(&file, &text, from)?, &text)
        .map_err(|error| Failure::new(Kind::Running, format!("{}: {error}", file.display())))?;
    let plan =
        Plan::new(client, |current| (merged(current, found.config), found.notes)).map_err(Failure::from)?;
    if apply { plan.carry_out(client).map_err(Failure::from) } else { Ok(plan.show()) }
}

/// What is there stays; what the file has is as the file has it.
fn merged(current: &Config, found: Config) -> Config {
    let mut wanted = current.clone();
    wanted.storage.extend(found.storage);
    wanted.lu_groups.extend(found.lu_groups);
    wanted.fabrics.extend(found.fabrics);
    wanted.targets.extend(found.targets);
    wanted.extra.extend(found.extra);
    wanted
}

/// Whose file it is: as the user says, or else by its name, or else by its content.
pub(super) fn origin(file: &Path, text: &str, said: Option<Origin>) -> Result<Origin, Failure> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let named = [("targets.conf", Origin::Tgt), ("scst.conf", Origin::Scst), (".json", Origin::Lio)];
    let by_name = named.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, origin)| *origin);
    said.or(by_name).or_else(|| by_content(text)).ok_or_else(|| {
        Failure::new(Kind::Running, format!("{}: neither LIO's, tgt's nor SCST's", file.display()))
            .hint("--from says whose it is")
    })
}

fn by_content(text: &str) -> Option<Origin> {
    if text.trim_start().starts_with('{') {
        return Some(Origin::Lio);
    }
    let mut words = text.lines().filter_map(|line| line.split_whitespace().next());
    words.find_map(|word| match word {
        "HANDLER" | "TARGET_DRIVER" | "DEVICE_GROUP" => Some(Origin::Scst),
        "<target" | "default-driver" => Some(Origin::Tgt),
        _ => None,
    })
}

/// What a file says.
pub(super) fn read(origin: Origin, text: &str) -> Result<Found, Unreadable> {
    // Nothing is made up here: what the file leaves open, the daemon chooses.
    let facts = Facts { host: String::new(), machine: String::new(), seed: [0; 16] };
    let read = match origin {
        Origin::Lio => save::read(text),
        Origin::Tgt => import::tgt(text, &facts, &size_of),
        Origin::Scst => import::scst(text, &facts, &size_of),
    };
    read.map(|(config, notes)| Found { config, notes })
}

fn size_of(path: &str) -> Option<u64> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|data| data.len())
}

#[cfg(test)]
mod tests {
    use super::{Origin, by_content};

    #[test]
    fn a_file_is_told_by_its_content() {
        assert_eq!(by_content("\n {\"targets\": []}"), Some(Origin::Lio));
        assert_eq!(by_content("# mine\n<target iqn.x>\n</target>"), Some(Origin::Tgt));
        assert_eq!(by_content("# mine\nHANDLER vdisk_nullio {\n}"), Some(Origin::Scst));
        assert_eq!(by_content("hello"), None);
    }
}
