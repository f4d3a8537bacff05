//! The daemon's HTTP interface as a program that knows REST has it: objects by their paths, revisions as entity tags, and events.

use crate::common::PATIENCE;
use crate::common::place::{Place, TARGET, TPG};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

/// What came back: status, header fields in small letters, body.
pub(crate) struct Answer {
    status: u16,
    head: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> &str {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(other, _)| *other == name).map(|(_, value)| value).next().unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }
}

fn send(place: &Place, method: &str, path: &str, fields: &str, body: &str) -> UnixStream {
    let mut socket = UnixStream::connect(place.path("socket")).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: felio\r\nconnection: close\r\ncontent-length: {length}\r\n"
    );
    socket.write_all(format!("{head}{fields}\r\n{body}").as_bytes()).expect("sent");
    socket
}

pub(crate) fn exchange(place: &Place, method: &str, path: &str, fields: &str, body: &str) -> Answer {
    let mut answer = String::new();
    send(place, method, path, fields, body).read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_ascii_lowercase(), body: serde_json::from_str(body).unwrap_or_default() }
}

pub(crate) const JSON: &str = "content-type: application/json\r\n";

pub(crate) fn get(place: &Place, path: &str) -> Answer {
    exchange(place, "GET", path, "", "")
}

fn write(place: &Place, method: &str, path: &str, body: &Value) -> Answer {
    exchange(place, method, path, JSON, &body.to_string())
}

const DISK: &str = "/v1/tree/backstores/ramdisk/a";

fn make_disk(place: &Place) -> Answer {
    let body = json!({"backing": {"ramdisk": {"size": 1 << 20}}, "attribute": {"emulate_tpu": 0}});
    write(place, "PUT", DISK, &body).is(201)
}

#[test]
fn an_object_is_made_read_changed_and_removed_under_its_path() {
    let place = Place::new();
    let made = make_disk(&place);
    assert_eq!(made.field("location"), DISK);
    let read = get(&place, DISK).is(200);
    assert_eq!(read.body, made.body);
    assert_eq!(read.body["attribute"]["emulate_tpu"], 0);
    assert_eq!(read.body["state"]["condition"], "up");
    let again = json!({"backing": {"ramdisk": {"size": 1 << 20}}});
    assert_eq!(write(&place, "PUT", DISK, &again).is(409).body["kind"], "exists");
    let changed = json!({"attribute": {"emulate_tpu": true}, "size": 2 << 20});
    let changed = write(&place, "PATCH", DISK, &changed).is(200);
    assert_eq!(changed.body["attribute"]["emulate_tpu"], 1);
    assert_eq!(changed.body["size"], 2 << 20);
    let reset = write(&place, "PATCH", DISK, &json!({"attribute": {"emulate_tpu": null}})).is(200);
    assert_ne!(reset.body["attribute"]["emulate_tpu"], Value::Null, "its default");
    let gone = exchange(&place, "DELETE", DISK, "", "").is(200);
    assert_eq!(gone.body[0]["path"], "/backstores/ramdisk/a");
    assert_eq!(get(&place, DISK).is(404).body["kind"], "not_found");
}

#[test]
fn a_whole_target_is_made_by_paths_and_an_initiator_logs_in() {
    let place = Place::new();
    make_disk(&place);
    let target = format!("/v1/tree/iscsi/{TARGET}");
    write(&place, "PUT", &target, &json!({})).is(201);
    let tpg = write(&place, "POST", &target, &json!({})).is(201);
    assert_eq!(tpg.field("location"), format!("/v1/tree{TPG}"));
    let portal = place.portal;
    write(&place, "PUT", &format!("/v1/tree{TPG}/portals/{portal}"), &json!({})).is(201);
    let lun = json!({"storage": "/backstores/ramdisk/a"});
    let lun = write(&place, "POST", &format!("/v1/tree{TPG}/luns"), &lun).is(201);
    assert_eq!(lun.field("location"), format!("/v1/tree{TPG}/luns/lun0"));
    let open = json!({"attribute": {"authentication": 0, "generate_node_acls": 1}, "enable": true});
    let opened = write(&place, "PATCH", &format!("/v1/tree{TPG}"), &open).is(200);
    assert_eq!(opened.body["enable"], true);
    assert_eq!(place.log_in("i").read(0, 0, 1), [0; 512]);
    // Names can be said where they would be made.
    let named = write(&place, "POST", "/v1/tree/iscsi", &json!({"wwn": "iqn.2026-01.net.x:other"})).is(201);
    assert_eq!(named.field("location"), "/v1/tree/iscsi/iqn.2026-01.net.x:other");
    let children = get(&place, "/v1/tree/iscsi").is(200).body["children"].clone();
    assert_eq!(children, json!(["/iscsi/iqn.2026-01.net.x:other", format!("/iscsi/{TARGET}")]));
}

#[test]
fn a_target_with_capitals_in_its_name_is_made_and_answered_in_small_letters() {
    let place = Place::new();
    let capitals = "/v1/tree/iscsi/iqn.2026-01.NET.x:T";
    let made = write(&place, "PUT", capitals, &json!({"tpg": {}})).is(201);
    let path = format!("/iscsi/{TARGET}");
    assert_eq!(made.body["path"], path);
    assert_eq!(made.body["children"], json!([format!("{path}/tpg1")]));
    assert_eq!(get(&place, &format!("/v1/tree{path}")).is(200).body, made.body);
    assert_eq!(write(&place, "PUT", capitals, &json!({})).is(409).body["kind"], "exists");
    assert_eq!(get(&place, "/v1/tree/iscsi").is(200).body["children"], json!([path]));
}

#[test]
fn what_is_refused_has_a_status_a_cause_and_a_hint() {
    let place = Place::new();
    make_disk(&place);
    let lun = format!("/v1/tree{TPG}/luns/lun0");
    let storage = json!({"storage": "/backstores/ramdisk/a"});
    let absent = write(&place, "PUT", &lun, &storage).is(404).body;
    assert_eq!(absent["path"], format!("{TPG}/luns"), "what is above it is not there");
    write(&place, "PUT", &format!("/v1/tree/iscsi/{TARGET}"), &json!({"tpg": {}})).is(201);
    let absent = write(&place, "PUT", &lun, &json!({"storage": "/backstores/ramdisk/b"})).is(422).body;
    assert_eq!(absent["what"], "there is no /backstores/ramdisk/b");
    assert_eq!(absent["hint"], "`ls /backstores/ramdisk` shows what there is");
    write(&place, "PUT", &lun, &storage).is(201);
    let used = write(&place, "PATCH", DISK, &json!({"attribute": {"block_size": 4096}})).is(409).body;
    assert_eq!(used["kind"], "in_use");
    let wrong = write(&place, "PATCH", DISK, &json!({"attribute": {"emulate_tpi": 1}})).is(422).body;
    assert_eq!(wrong["hint"], "did you mean emulate_tpu?");
    assert_eq!(exchange(&place, "PATCH", DISK, JSON, "{").is(400).body["kind"], "invalid");
    exchange(&place, "PATCH", DISK, "", "{}").is(415);
    let never = exchange(&place, "DELETE", "/v1/tree/backstores", "", "").is(405);
    assert_eq!(never.field("allow"), "get, head");
    let can = exchange(&place, "OPTIONS", "/v1/tree/backstores", "", "").is(204);
    assert_eq!(can.field("allow"), "get, head");
    assert_eq!(get(&place, "/v1/nothing").is(404).body["hint"], "GET /v1/openapi.json tells what there is");
}

#[test]
fn a_change_is_made_only_at_the_revision_that_was_seen() {
    let place = Place::new();
    let seen = make_disk(&place).field("etag").to_owned();
    assert_eq!(get(&place, "/v1/snapshot").field("etag"), seen);
    for path in [DISK, "/v1/snapshot", "/v1/revision", "/v1/tree"] {
        exchange(&place, "GET", path, &format!("if-none-match: {seen}\r\n"), "").is(304);
    }
    let only = format!("{JSON}if-match: {seen}\r\n");
    let off = json!({"attribute": {"emulate_caw": 0}}).to_string();
    exchange(&place, "PATCH", DISK, &only, &off).is(200);
    exchange(&place, "GET", DISK, &format!("if-none-match: {seen}\r\n"), "").is(200);
    let late =
        exchange(&place, "PATCH", DISK, &only, &json!({"attribute": {"emulate_caw": 1}}).to_string()).is(412);
    assert_eq!(late.body["kind"], "changed");
    assert_eq!(late.body["now"]["attribute"]["emulate_caw"], 0, "what is there by now");
    let clear = json!([{"change": "clear"}]).to_string();
    exchange(&place, "POST", "/v1/changes", &only, &clear).is(412);
    exchange(&place, "POST", "/v1/changes", &format!("{JSON}if-match: {}\r\n", late.field("etag")), &clear)
        .is(200);
}

#[test]
fn what_is_different_since_the_last_snapshot_is_told_and_otherwise_all() {
    let place = Place::new();
    let revision = |answer: &Answer| answer.field("etag").trim_matches('"').to_owned();
    let first = revision(&make_disk(&place));
    write(&place, "PUT", &format!("/v1/tree/iscsi/{TARGET}"), &json!({})).is(201);
    let since = |revision: &str| get(&place, &format!("/v1/snapshot/since/{revision}")).is(200);
    let delta = since(&first);
    let second = revision(&delta);
    assert_eq!(delta.body["since"].to_string(), first);
    assert_eq!(delta.body["storage"], json!({}), "it is as it was");
    assert!(delta.body["targets"][format!("/iscsi/{TARGET}")].is_object(), "{}", delta.body);
    let none = since(&second).body;
    assert_eq!((&none["storage"], &none["targets"]), (&json!({}), &json!({})));
    exchange(&place, "DELETE", DISK, "", "").is(200);
    assert_eq!(since(&second).body["storage"], json!({"/backstores/ramdisk/a": null}));
    let whole = since(&first).body;
    assert_eq!((&whole["since"], &whole["storage"]), (&json!(0), &json!({})), "nobody knows what that was");
    assert!(whole["targets"][format!("/iscsi/{TARGET}")].is_object());
    get(&place, "/v1/snapshot/since/yesterday").is(404);
}

#[test]
fn what_was_counted_is_told_of_one_object() {
    let place = Place::new();
    make_disk(&place);
    write(
        &place,
        "PUT",
        "/v1/tree/backstores/ramdisk/b",
        &json!({"backing": {"ramdisk": {"size": 1 << 20}}}),
    )
    .is(201);
    let target = format!("/v1/tree/iscsi/{TARGET}");
    write(&place, "PUT", &target, &json!({})).is(201);
    write(&place, "POST", &target, &json!({})).is(201);
    write(&place, "PATCH", &format!("{target}/tpg1"), &json!({"enable": true})).is(200);
    let counted = |path: &str| {
        let stats = get(&place, &format!("/v1/stats/{path}")).is(200).body;
        ["storage", "ports", "targets"].map(|name| stats[name].as_array().map_or(0, Vec::len))
    };
    assert_eq!(counted("backstores/ramdisk/b"), [1, 0, 0]);
    assert_eq!(counted("backstores"), [2, 0, 0]);
    assert_eq!(counted(&format!("iscsi/{TARGET}")), [0, 1, 1]);
    assert_eq!(counted(&format!("iscsi/{TARGET}/tpg1")), [0, 1, 0]);
    assert_eq!(get(&place, "/v1/stats/backstores/ramdisk/c").is(404).body["kind"], "not_found");
    get(&place, "/v1/stats/nowhere").is(404);
}

/// A path of the document with something in its braces.
fn filled(path: &str, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters.filter(|one| one["in"] == "path").fold(path.to_owned(), |path, one| {
        let example = one["example"].as_str().unwrap_or("1");
        path.replace(&format!("{{{}}}", one["name"].as_str().expect("a name")), example)
    })
}

#[test]
fn the_document_tells_of_all_that_can_be_asked_and_of_nothing_else() {
    let place = Place::new();
    let document = get(&place, "/v1/openapi.json").is(200).body;
    let paths = document["paths"].as_object().expect("an object");
    assert!(paths.len() > 25, "{}", paths.len());
    for (path, methods) in paths {
        let filled = filled(path, methods.as_object().expect("an object").values().next().expect("one"));
        for method in ["get", "put", "post", "patch", "delete"] {
            if (path.as_str(), method) == ("/v1/events", "get") {
                continue;
            }
            let is_told = methods.get(method).is_some();
            // What makes no sense does no harm.
            let body = if is_told { "?" } else { "{}" };
            let answer = exchange(&place, &method.to_uppercase(), &filled, JSON, body);
            assert_eq!(answer.status != 405, is_told, "{method} {filled}: {}", answer.body);
            let declared = |status: u16| methods[method]["responses"].get(status.to_string()).is_some();
            assert!(!is_told || declared(answer.status), "{method} {filled}: {}", answer.status);
        }
    }
}

#[test]
fn who_watches_hears_what_happens() {
    let place = Place::new();
    let mut lines = BufReader::new(send(&place, "GET", "/v1/events", "", "")).lines();
    let mut next = || loop {
        let line = lines.next().expect("it does not end").expect("text");
        if let Some(data) = line.strip_prefix("data: ") {
            return serde_json::from_str::<Value>(data).expect("an object");
        }
    };
    let first = next();
    assert_eq!(first["event"], "watching");
    make_disk(&place);
    let made = next();
    assert_eq!((&made["event"], &made["path"]), (&json!("changed"), &json!("/backstores/ramdisk/a")));
    assert_eq!(made["text"], "Created ramdisk storage object a with size 1048576.");
    assert_eq!(made["revision"].as_u64(), first["revision"].as_u64().map(|revision| revision + 1));
    next();
    let refused = json!([{"change": "delete_lu_group", "name": "x"}]);
    place.change(refused).expect_err("there is none");
    exchange(&place, "DELETE", DISK, "", "").is(200);
    assert_eq!(next()["path"], "/backstores/ramdisk/a", "what is refused does not happen");
}

#[test]
fn watch_prints_what_happens_to_an_object_until_the_daemon_ends() {
    let place = Place::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
    command.args(["watch", "/backstores/ramdisk/a", "--json", "--socket"]).arg(place.path("socket"));
    let mut watch = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut lines = BufReader::new(watch.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("it does not end").expect("text");
    assert!(next().contains("watching"));
    write(&place, "PUT", "/v1/tree/lu_groups/other", &json!({})).is(201);
    make_disk(&place);
    let line = next();
    let event: Value = serde_json::from_str(&line).expect("an object");
    assert_eq!(event["path"], "/backstores/ramdisk/a", "{event}");
    place.felio.stop();
    assert_eq!(watch.wait().expect("it ends").code(), Some(1));
}
