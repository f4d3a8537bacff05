//! Requests about objects by their addresses: the first line is `METHOD PATH`, what follows is the body. They come to nothing, and to a configuration that
//! has something of everything.
//!
//! What must hold: what is carried out holds by the rules and is the same when it was saved; what was made or changed is there, and what was removed is not.

use crate::changes;
use crate::saveconfig::{facts, lio, same_when_saved};
use felio_control::resource::{self, Members, PARAMETERS, ROWS, Row};
use felio_control::view::Snapshot;
use felio_control::{Config, Path};
use serde_json::json;

/// Does what an input says.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (head, body) = text.split_once('\n').unwrap_or((&text, ""));
    let (method, path) = head.split_once(' ').unwrap_or((head, ""));
    let Ok(path) = path.parse::<Path>() else { return };
    assert!(path.to_string().parse::<Path>() == Ok(path.clone()), "a path is read as it is written");
    let Ok(body) = serde_json::from_str::<Members>(if body.is_empty() { "{}" } else { body }) else { return };
    for config in [Config::default(), lio()] {
        carry_out(method, &path, &body, &config);
    }
}

/// As the daemon does it.
fn carry_out(method: &str, path: &Path, body: &Members, config: &Config) {
    let (about, changes) = match method {
        "PUT" => (path.parent().unwrap_or(Path::Root), resource::put(path, body)),
        "POST" => (path.clone(), resource::post(path, body)),
        "PATCH" => (path.clone(), resource::patch(path, body)),
        "DELETE" => (path.clone(), resource::delete(path).map(|change| vec![change])),
        _ => {
            let is_there = read(path, config.clone());
            return assert!(is_there == path.exists(config), "what is there can be read");
        }
    };
    let Ok(changes) = changes else { return };
    if !about.exists(config) {
        return;
    }
    let Ok((made, done)) = config.apply(&changes, &facts()) else { return };
    assert!(made.check() == Ok(()), "what comes out holds by the rules");
    same_when_saved(&made);
    let named = done.first().map_or(path, |done| &done.path).clone();
    for done in done {
        assert!(
            read(&done.path, made.clone()) == done.path.exists(&made),
            "what was done is where it is said to be"
        );
    }
    // Names of iSCSI become small letters.
    let path = if method == "PUT" { named } else { path.clone() };
    assert!(read(&path, made) == (method != "DELETE"), "what is there is what was asked for");
}

/// Whether an object is there, to be read.
fn read(path: &Path, config: Config) -> bool {
    resource::read(path, &Snapshot { config: config.into(), ..Snapshot::default() }).is_ok()
}

/// Inputs to begin with: for each kind of place what can be done there, and for each object what it has.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let snapshot = Snapshot { config: lio().into(), ..Snapshot::default() };
    let mut objects = vec![Path::Root];
    let mut at = 0;
    while let Some(path) = objects.get(at).cloned() {
        objects.extend(path.children(&snapshot.config));
        at += 1;
    }
    let lines = objects.iter().flat_map(|path| {
        let node = resource::read(path, &snapshot).map(|node| node.members).unwrap_or_default();
        let row = Row::of(path);
        let changeable = node.iter().filter(|(name, _)| {
            row.members.iter().all(|member| member.name != name.as_str() || member.change.is_some())
        });
        let patch: Members = changeable.map(|(name, value)| (name.clone(), value.clone())).collect();
        [
            format!("PUT {path}\n{}", json!(node)),
            format!("PATCH {path}\n{}", json!(patch)),
            format!("DELETE {path}"),
            format!("GET {path}"),
        ]
    });
    let fresh = [
        "PUT /backstores/ramdisk/new\n{\"backing\": {\"ramdisk\": {\"size\": 1048576}}, \"attribute\": {\"emulate_caw\": false}}",
        "PUT /backstores/fileio/new\n{\"backing\": {\"fileio\": {\"dev\": \"/srv/x\", \"size\": 1048576}}, \"wwn\": \"1\", \"size\": 2097152}",
        "POST /iscsi\n{\"wwn\": \"iqn.2026-11.org.example:new\", \"tpg\": true}",
        "POST /iscsi\n{}",
        "PUT /lu_groups/pair\n{\"id\": 7}",
    ];
    let examples = ROWS.iter().filter_map(|row| row.example().ok()).map(|path| format!("PUT {path}\n{{}}"));
    lines.chain(fresh.map(ToOwned::to_owned)).chain(examples).map(String::into_bytes).collect()
}

/// Methods, and what stands in paths and bodies.
#[must_use]
pub fn words() -> Vec<String> {
    let members = ROWS.iter().flat_map(|row| row.members).map(|member| member.name);
    let names = PARAMETERS.iter().map(|(_, example, _)| *example);
    let fixed = ["PUT /", "POST /", "PATCH /", "DELETE /", "attribute", "parameter", "auth", "null", "true"];
    let own = fixed.into_iter().chain(members).chain(names).map(ToOwned::to_owned);
    let mut words: Vec<String> = own.chain(changes::words()).collect();
    words.sort_unstable();
    words.dedup();
    words
}
