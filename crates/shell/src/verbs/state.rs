//! Verbs about the whole and about what has become of it: saving, sessions, `info`, `explain`.

use super::Call;
use crate::shell::Watching;
use crate::summary::{Summary, short};
use core::time::Duration;
use felio_control::view::{LeftView, SessionView};
use felio_control::{Change, Condition, Config, DEFAULT_GROUP, Path, Refusal, RefusalKind, StorageKey};
use std::collections::BTreeSet;

pub(super) fn saveconfig(call: &mut Call<'_>) -> Result<String, Refusal> {
    call.daemon.save(call.args.text("savefile"))
}

pub(super) fn restoreconfig(call: &mut Call<'_>) -> Result<String, Refusal> {
    let args = &call.args;
    let clear = args.flag("clear_existing").unwrap_or(false);
    let notes = call.daemon.restore(
        args.text("savefile"),
        clear,
        args.text("target"),
        args.text("storage_object"),
    )?;
    Ok(notes.join("\n"))
}

pub(super) fn clearconfig(call: &mut Call<'_>) -> Result<String, Refusal> {
    match call.args.flag("confirm") {
        Some(true) => call.make(vec![Change::Clear]),
        _ => Err(Refusal::invalid("this would remove everything").hint("`clearconfig confirm=true` does it")),
    }
}

pub(super) fn sessions(call: &mut Call<'_>) -> Result<String, Refusal> {
    let wanted = call.args.number("sid");
    if call.args.text("action") == Some("end") {
        return end_session(call, wanted);
    }
    let mut sessions = call.daemon.sessions()?;
    sessions.retain(|session| wanted.is_none_or(|id| session.id == id));
    if sessions.is_empty() {
        return match wanted {
            Some(id) => Err(Refusal::new(RefusalKind::NotFound, format!("there is no session {id}"))
                .hint("`sessions` lists all")),
            None => Ok("(no open sessions)".to_owned()),
        };
    }
    let detailed = call.args.text("action") == Some("detail");
    let shown = sessions.iter().map(|session| if detailed { detail(session) } else { brief(session) });
    Ok(shown.collect::<Vec<_>>().join("\n"))
}

fn end_session(call: &mut Call<'_>, sid: Option<u16>) -> Result<String, Refusal> {
    let sid = sid
        .ok_or_else(|| Refusal::invalid("which session?").hint("sessions end sid=…; `sessions` lists all"))?;
    let session = call.daemon.end_session(sid)?;
    Ok(format!("{} is asked to log out of session {sid}. It may log in again.", session.initiator))
}

fn brief(session: &SessionView) -> String {
    let kind = if session.tpg.is_some() { "Normal" } else { "Discovery" };
    let alias = session.alias.as_deref().unwrap_or("-");
    format!("alias: {alias}\tsid: {} type: {kind} session-state: {}", session.id, session.state)
}

fn detail(session: &SessionView) -> String {
    let proved = if session.authenticated { "AUTHENTICATED" } else { "NOT AUTHENTICATED" };
    let mut lines = vec![brief(session), format!("    name: {} ({proved})", session.initiator)];
    lines.extend(session.user.as_ref().map(|user| format!("    user: {user}")));
    lines.extend(session.tag.as_ref().map(|tag| format!("    tag: {tag}")));
    lines.extend(session.tpg.as_ref().map(|tpg| format!("    target: {tpg}")));
    for lun in &session.luns {
        let mode = if lun.write_protect { "r" } else { "rw" };
        lines.push(format!("    mapped-lun: {} backstore: {} mode: {mode}", lun.index, short(&lun.storage)));
    }
    for connection in &session.connections {
        let (peer, transport) = (&connection.peer, &connection.transport);
        lines.push(format!(
            "    address: {peer} ({transport})  cid: {} connection-state: {}",
            connection.cid, connection.state
        ));
        lines.extend(connection.local.as_ref().map(|local| format!("    portal: {local}")));
    }
    let negotiated = session.parameters.iter().map(|(name, value)| format!("    {name}={value}"));
    lines.extend(negotiated);
    lines.join("\n")
}

pub(super) fn info(call: &mut Call<'_>) -> Result<String, Refusal> {
    let config = &call.snapshot.config;
    let mut lines = vec![format!("path: {}", call.path)];
    lines.extend(facts(&call.path, config).into_iter().map(|(name, value)| format!("{name}: {value}")));
    lines.push(format!("status: {}", Summary::of(&call.path, &call.snapshot).text));
    Ok(lines.join("\n"))
}

/// What the configuration says of an object beside its settings.
fn facts(path: &Path, config: &Config) -> Vec<(&'static str, String)> {
    let found = match path {
        Path::Storage(key) => config.storage.get(key).map(|object| {
            let dev = object.backing.dev().map(|dev| ("dev", dev.to_owned()));
            let size = object.backing.size().map(|size| ("size", size.to_string()));
            let group = object.lu_group.clone().map(|group| ("lu_group", group));
            let rest = [("plugin", key.plugin.to_string()), ("wwn", object.wwn.clone())];
            dev.into_iter().chain(size).chain(group).chain(rest).collect()
        }),
        Path::AluaGroup(key, name) => {
            let group = config.storage.get(key).and_then(|object| object.alua_groups.get(name));
            group.map(|group| vec![("tag", group.tag.map_or("none yet".to_owned(), |tag| tag.to_string()))])
        }
        Path::LuGroup(name) => {
            let id = config.lu_groups.get(name).and_then(|group| group.id);
            Some(vec![("id", id.map_or("none yet".to_owned(), |id| id.to_string()))])
        }
        Path::Target(key) => Some(vec![("wwn", key.wwn.clone()), ("fabric", key.fabric.to_string())]),
        Path::Tpg(key) => config.tpg(key).map(|tpg| {
            let rtpi = tpg.rtpi.map(|rtpi| ("rtpi", rtpi.to_string()));
            [("tag", key.tag.to_string()), ("enable", tpg.enable.to_string())]
                .into_iter()
                .chain(rtpi)
                .collect()
        }),
        Path::Lun(key, index) => config.tpg(key).and_then(|tpg| tpg.luns.get(index)).map(|lun| {
            let group = lun.alua_group.as_deref().unwrap_or(DEFAULT_GROUP);
            vec![
                ("storage_object", lun.storage.to_string()),
                ("alias", lun.alias.clone()),
                ("alua_tg_pt_gp_name", group.to_owned()),
            ]
        }),
        Path::Portal(key, portal) => config.tpg(key).and_then(|tpg| tpg.portals.get(portal)).map(|found| {
            vec![
                ("ip_address", portal.host()),
                ("port", portal.port.to_string()),
                ("iser", found.iser.to_string()),
                ("offload", found.offload.to_string()),
            ]
        }),
        Path::Acl(key) => config.acl(key).map(|acl| {
            let tag = acl.tag.clone().map(|tag| ("tag", tag));
            [("wwn", key.wwn.clone())].into_iter().chain(tag).collect()
        }),
        Path::MappedLun(key, index) => {
            config.acl(key).and_then(|acl| acl.mapped_luns.get(index)).map(|mapped| {
                let protect = mapped.write_protect.to_string();
                vec![
                    ("tpg_lun", mapped.tpg_lun.to_string()),
                    ("write_protect", protect),
                    ("alias", mapped.alias.clone()),
                ]
            })
        }
        _ => None,
    };
    found.unwrap_or_default()
}

pub(super) fn drain(call: &mut Call<'_>) -> Result<String, Refusal> {
    let path = call.path.clone();
    if call.args.flag("off") == Some(true) {
        call.daemon.drain(&path, None)?;
        return Ok(format!("{path} is no longer drained."));
    }
    let seconds = call.args.number("timeout").unwrap_or(30);
    let left = call.daemon.drain(&path, Some(Duration::from_secs(seconds.into())))?;
    if left == LeftView::default() {
        return Ok(format!("{path} is drained. `drain off=true` lets initiators in again."));
    }
    Err(Refusal::new(RefusalKind::Busy, format!("after {seconds} s, {left}"))
        .hint("nobody new gets there; `drain` waits again, `drain off=true` gives it up")
        .at(path))
}

pub(super) fn explain(call: &mut Call<'_>) -> Result<String, Refusal> {
    let path = call.shell.resolve(&call.path, call.args.text("path").unwrap_or("."), &call.snapshot)?;
    let snapshot = &call.snapshot;
    let mut lines = vec![format!("{path} {}.", verdict(snapshot.conditions.of(&path)))];
    let within =
        |other: &Path| core::iter::successors(Some(other.clone()), Path::parent).any(|above| above == path);
    for (other, condition) in snapshot.conditions.iter().filter(|(other, _)| **other != path && within(other))
    {
        lines.push(format!("  below it, {other} {}", verdict(condition)));
    }
    let (inside, outside): (Vec<Path>, Vec<Path>) = all(&snapshot.config).into_iter().partition(within);
    let needed: BTreeSet<Path> = inside.iter().flat_map(|inner| needs(inner, &snapshot.config)).collect();
    for needed in needed.iter().filter(|needed| !within(needed)) {
        lines.push(format!("  needs {needed}, which {}", verdict(snapshot.conditions.of(needed))));
    }
    for other in outside.iter().filter(|other| needs(other, &snapshot.config).iter().any(within)) {
        lines.push(format!("  needed by {other}"));
    }
    let in_use = |session: &SessionView| sees(session, &path, &snapshot.config);
    for session in call.daemon.sessions()?.iter().filter(|session| in_use(session)) {
        lines.push(format!("  in use by {} (session {})", session.initiator, session.id));
    }
    Ok(lines.join("\n"))
}

pub(super) fn watch(call: &mut Call<'_>) -> Result<String, Refusal> {
    let path = call.shell.resolve(&call.path, call.args.text("path").unwrap_or("."), &call.snapshot)?;
    call.shell.watching = Some(Watching { path, count: call.args.number("count") });
    Ok(String::new())
}

fn verdict(condition: &Condition) -> String {
    match condition {
        Condition::Up => "works".to_owned(),
        Condition::Down => "is not wanted now: it, or something above it, is disabled".to_owned(),
        Condition::Drained => "is drained: nobody gets there until `drain off=true`".to_owned(),
        Condition::Degraded { why } => format!("is degraded: {why}"),
    }
}

/// What an object refers to.
fn needs(path: &Path, config: &Config) -> Vec<Path> {
    match path {
        Path::Storage(key) => {
            let group = config.storage.get(key).and_then(|object| object.lu_group.clone());
            group.map(Path::LuGroup).into_iter().collect()
        }
        Path::Lun(key, index) => match config.tpg(key).and_then(|tpg| tpg.luns.get(index)) {
            Some(lun) => {
                let group = lun.alua_group.clone().map(|group| Path::AluaGroup(lun.storage.clone(), group));
                core::iter::once(Path::from(&lun.storage)).chain(group).collect()
            }
            None => Vec::new(),
        },
        Path::MappedLun(key, index) => match config.acl(key).and_then(|acl| acl.mapped_luns.get(index)) {
            Some(mapped) => {
                let lun = Path::Lun(key.tpg.clone(), mapped.tpg_lun);
                let behind = needs(&lun, config);
                core::iter::once(lun).chain(behind).collect()
            }
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// All objects that refer to others.
fn all(config: &Config) -> Vec<Path> {
    let storage = config.storage.keys().map(Path::from);
    let luns = config.tpgs().flat_map(|(key, tpg)| {
        let luns = tpg.luns.keys().map(|index| Path::Lun(key.clone(), *index));
        let mapped = tpg.acls.iter().flat_map(|(wwn, acl)| {
            let acl_key = key.acl(wwn.as_str());
            acl.mapped_luns.keys().map(move |index| Path::MappedLun(acl_key.clone(), *index))
        });
        luns.chain(mapped).collect::<Vec<_>>()
    });
    storage.chain(luns).collect()
}

/// Whether a session reaches its units through an object, or has it as one.
fn sees(session: &SessionView, path: &Path, config: &Config) -> bool {
    let Some(tpg) = &session.tpg else { return false };
    let leads = |storage: &StorageKey| session.luns.iter().any(|lun| lun.storage == *storage);
    match path {
        Path::Storage(key) => leads(key),
        Path::Target(key) => tpg.target == *key,
        Path::Tpg(key) => tpg == key,
        Path::Acl(key) => *tpg == key.tpg && session.initiator == key.wwn,
        Path::Lun(key, index) => {
            let lun = config.tpg(key).and_then(|tpg| tpg.luns.get(index));
            tpg == key && lun.is_some_and(|lun| leads(&lun.storage))
        }
        Path::MappedLun(key, index) => {
            *tpg == key.tpg
                && session.initiator == key.wwn
                && session.luns.iter().any(|lun| lun.index == *index)
        }
        _ => false,
    }
}
