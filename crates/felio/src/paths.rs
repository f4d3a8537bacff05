//! The target with its ports, and how well the disks are reached through each: `--portal`, `--alua`, `--lba-map`.
//!
//! A portal group is a SCSI target port, and the one port of a target port group; all three have the same number, the
//! tag, so that a path stays who it is whatever else is configured.

use crate::cli::ExportArgs;
use crate::failure::{Failure, Kind};
use core::num::NonZeroU16;
use core::str::FromStr;
use core::time::Duration;
use felio_engine::{Access, LbaMap, LbaRange, LunMap, PortConfig, PortGroup, Ports};
use felio_iscsi::config::{Allow, Auth, PortalGroup, Target};
use felio_iscsi::name::IscsiName;
use felio_spec::alua::{AccessState, STATES};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Longest transition, seconds: as LIO's.
const TRANSITION_SECS_MAX: u64 = 30;

/// The longest map: what a command costs that is checked against it.
const RANGES_MAX: usize = 64;
const RANGE_GROUPS_MAX: usize = 16;
const MULTIPLIER_MAX: u32 = 64;

/// `--alua`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupAccess {
    tag: NonZeroU16,
    state: AccessState,
    preferred: bool,
    transition: Duration,
}

impl FromStr for GroupAccess {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (tag, rest) = text.split_once('=').ok_or("not TAG=STATE (2=standby)")?;
        let tag = tag.parse().map_err(|_| format!("{tag}: not a portal group tag (1 to 65535)"))?;
        let mut words = rest.split(',');
        let state = words.next().and_then(AccessState::from_name);
        let state = state.filter(|state| *state != AccessState::Transitioning).ok_or_else(states)?;
        let mut access = Self { tag, state, preferred: false, transition: Duration::ZERO };
        for word in words {
            match word.split_once('=') {
                None if word == "preferred" => access.preferred = true,
                Some(("transition", seconds)) => {
                    let seconds = seconds.parse().ok().filter(|seconds| *seconds <= TRANSITION_SECS_MAX);
                    let seconds = seconds.ok_or(format!("transition: 0 to {TRANSITION_SECS_MAX} seconds"))?;
                    access.transition = Duration::from_secs(seconds);
                }
                _ => return Err(format!("{word}: neither preferred nor transition=SECONDS")),
            }
        }
        Ok(access)
    }
}

fn states() -> String {
    let names: Vec<&str> =
        STATES.iter().filter(|row| row.state != AccessState::Transitioning).map(|row| row.name).collect();
    format!("the state is one of {}", names.join(", "))
}

/// The target: open to whoever is allowed and proves it, through each portal group.
pub(crate) fn target(args: &ExportArgs, name: &IscsiName, auth: &Auth) -> Result<Target, Failure> {
    let group = |tag: NonZeroU16| {
        let portals = args.portals.iter().filter(|portal| portal.group == tag);
        let open = PortalGroup::open(tag, portals.map(|portal| portal.address).collect());
        PortalGroup { auth: auth.clone(), allow: Allow(args.allow.clone()), ..open }
    };
    Target::new(name.clone(), tags(args).into_iter().map(group).collect())
        .map_err(|error| usage(format!("--portal: {error}")))
}

/// The target ports: the portal groups.
pub(crate) fn ports(args: &ExportArgs, name: &IscsiName) -> Vec<PortConfig> {
    let luns = Arc::new(LunMap::numbered(u16::try_from(args.paths.len()).unwrap_or(u16::MAX)));
    let port = |tag: NonZeroU16| PortConfig {
        target: name.to_string(),
        tag: tag.get(),
        relative_port: tag.get(),
        luns: Arc::clone(&luns),
        initiators: BTreeMap::new(),
        meters: felio_hal::meter::Meters::default(),
    };
    tags(args).into_iter().map(port).collect()
}

/// Through which of them the disks are reached, and how well.
pub(crate) fn access(args: &ExportArgs) -> Result<Access, Failure> {
    let tags = tags(args);
    let mut seen = BTreeSet::new();
    for GroupAccess { tag, state, .. } in &args.alua {
        if !tags.contains(tag) {
            return Err(usage(format!(
                "--alua {tag}=…: no portal has this tag; add --portal ADDR:PORT,{tag}"
            )));
        }
        if !seen.insert(*tag) {
            return Err(usage(format!("--alua {tag}=…: a group has one state")));
        }
        if *state == AccessState::LbaDependent && args.lba_map.is_none() {
            return Err(usage(format!(
                "--alua {tag}=lba_dependent: say on which blocks, with --lba-map FILE"
            )));
        }
    }
    let map = args.lba_map.as_deref().map(|path| read_map(path, &tags)).transpose()?;
    let group = |tag: &NonZeroU16| {
        let mut group = PortGroup::new(tag.get(), Ports::These(vec![tag.get()]));
        if map.is_some() {
            group.supported.push(AccessState::LbaDependent);
        }
        match args.alua.iter().find(|access| access.tag == *tag) {
            None => group,
            Some(GroupAccess { state, preferred, transition, .. }) => {
                PortGroup { state: *state, preferred: *preferred, transition: *transition, ..group }
            }
        }
    };
    let port_groups = tags.iter().map(group).collect();
    Ok(Access { port_groups, lu_group: 0, map })
}

fn tags(args: &ExportArgs) -> BTreeSet<NonZeroU16> {
    args.portals.iter().map(|portal| portal.group).collect()
}

fn read_map(path: &Path, tags: &BTreeSet<NonZeroU16>) -> Result<LbaMap, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| usage(format!("--lba-map: cannot read {}: {error}", path.display())))?;
    parse_map(&text, tags).map_err(|why| {
        usage(format!("--lba-map {}: {why}", path.display())).hint(
            "the first line is \"SEGMENT-BLOCKS MULTIPLIER\", every other \"FIRST-LBA LAST-LBA TAG:X …\"",
        )
    })
}

/// The format of LIO's `lba_map`.
fn parse_map(text: &str, tags: &BTreeSet<NonZeroU16>) -> Result<LbaMap, String> {
    let mut lines = text.lines().map(str::trim).zip(1..).filter(|(line, _)| !line.is_empty());
    let (first, _) = lines.next().ok_or("it is empty")?;
    let numbers: Option<Vec<u32>> = first.split_whitespace().map(|word| word.parse().ok()).collect();
    let (segment_blocks, segment_multiplier) = match numbers.as_deref() {
        Some([blocks, multiplier @ ..=MULTIPLIER_MAX]) => (*blocks, *multiplier),
        _ => return Err(format!("line 1: two numbers are wanted, the second {MULTIPLIER_MAX} at the most")),
    };
    let mut ranges = Vec::new();
    for (line, number) in lines {
        let range = parse_range(line, tags);
        ranges.push(
            range.ok_or_else(|| format!("line {number}: not FIRST-LBA LAST-LBA TAG:X …, or no such tag"))?,
        );
    }
    ranges.sort_by_key(|range| range.first);
    if (1..=RANGES_MAX).contains(&ranges.len()) {
        Ok(LbaMap { segment_blocks, segment_multiplier, ranges })
    } else {
        Err(format!("1 to {RANGES_MAX} ranges are wanted"))
    }
}

fn parse_range(line: &str, tags: &BTreeSet<NonZeroU16>) -> Option<LbaRange> {
    let mut words = line.split_whitespace();
    let first = words.next()?.parse().ok()?;
    let last = words.next()?.parse().ok().filter(|last| *last >= first)?;
    let groups = words.map(|word| parse_group(word, tags)).collect::<Option<Vec<_>>>()?;
    (1..=RANGE_GROUPS_MAX).contains(&groups.len()).then_some(LbaRange { first, last, groups })
}

fn parse_group(word: &str, tags: &BTreeSet<NonZeroU16>) -> Option<(u16, AccessState)> {
    let (tag, state) = word.split_once(':')?;
    let tag: NonZeroU16 = tag.parse().ok().filter(|tag| tags.contains(tag))?;
    let state = match state {
        "O" => AccessState::ActiveOptimized,
        "A" => AccessState::ActiveNonOptimized,
        "S" => AccessState::Standby,
        "U" => AccessState::Unavailable,
        _ => return None,
    };
    Some((tag.get(), state))
}

const fn usage(what: String) -> Failure {
    Failure::new(Kind::Usage, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn args(words: &str) -> ExportArgs {
        let Command::Export(args) = Cli::try_parse_from(words.split(' ')).expect("valid").command else {
            unreachable!("an export")
        };
        args
    }

    fn states_of(words: &str) -> Vec<(u16, AccessState, bool)> {
        let access = access(&args(&format!("felio export ram:1G {words}"))).expect("it makes sense");
        access.port_groups.iter().map(|group| (group.id, group.state, group.preferred)).collect()
    }

    #[test]
    fn without_a_word_there_is_one_active_group() {
        assert_eq!(states_of("--portal 127.0.0.1:0"), [(1, AccessState::ActiveOptimized, false)]);
    }

    #[test]
    fn a_target_has_the_groups_of_the_portals() {
        let name = IscsiName::parse("iqn.2026-11.org.example:d").expect("valid");
        let target = |words: &str| target(&args(words), &name, &Auth::None);
        let portals = "felio export ram:1G --portal [::1]:7,2 --portal 127.0.0.1:7 --portal 127.0.0.1:8,2";
        let target_of_two = target(portals).expect("it makes sense");
        let groups = target_of_two.groups().iter();
        let found: Vec<_> = groups.map(|group| (group.tag.get(), group.portals.clone())).collect();
        let address = |text: &str| text.parse().expect("valid");
        let want = [(1, vec![address("127.0.0.1:7")]), (2, vec![address("[::1]:7"), address("127.0.0.1:8")])];
        assert_eq!(found, want);
        assert!(target("felio export ram:1G --portal 127.0.0.1:7 --portal 127.0.0.1:7,2").is_err());
    }

    #[test]
    fn each_portal_group_has_its_state() {
        let words =
            "--portal 127.0.0.1:0 --portal 127.0.0.1:0,7 --portal [::1]:0,7 --alua 7=standby,preferred";
        let want = [(1, AccessState::ActiveOptimized, false), (7, AccessState::Standby, true)];
        assert_eq!(states_of(words), want);
    }

    #[track_caller]
    fn refused(words: &str) {
        assert!(access(&args(&format!("felio export ram:1G {words}"))).is_err());
    }

    #[test]
    fn what_makes_no_sense_together_is_refused() {
        refused("--portal 127.0.0.1:0 --alua 2=standby");
        refused("--portal 127.0.0.1:0 --alua 1=standby --alua 1=offline");
        refused("--portal 127.0.0.1:0 --alua 1=lba_dependent");
        refused("--portal 127.0.0.1:0 --lba-map /dev/null");
    }

    #[test]
    fn a_state_has_a_name_and_perhaps_more() {
        let parsed = GroupAccess::from_str("3=active_nonoptimized,transition=5").expect("valid");
        assert_eq!(parsed.transition, Duration::from_secs(5));
        for text in
            ["3", "3=", "x=standby", "0=standby", "3=transitioning", "3=standby,x", "3=standby,transition=31"]
        {
            assert!(GroupAccess::from_str(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_map_is_as_lio_writes_it() {
        let tags = [1, 2].map(|tag| NonZeroU16::new(tag).expect("no zero")).into();
        let map = parse_map("0 0\n0 99 1:O 2:S\n100 199 1:U 2:A\n", &tags).expect("valid");
        assert_eq!(map.ranges.len(), 2);
        assert_eq!(
            map.ranges[1].groups,
            [(1, AccessState::Unavailable), (2, AccessState::ActiveNonOptimized)]
        );
        for text in [
            "",
            "0 0",
            "0\n0 9 1:O",
            "0 65\n0 9 1:O",
            "0 0\n9 0 1:O",
            "0 0\n0 9 3:O",
            "0 0\n0 9 1:X",
            "0 0\n0 9",
        ] {
            assert!(parse_map(text, &tags).is_err(), "{text:?}");
        }
    }
}
