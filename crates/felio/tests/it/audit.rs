//! The audit log: who has changed what.

use crate::common::place::{Place, TPG};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

/// The lines so far.
fn lines(place: &Place) -> Vec<Value> {
    let text = std::fs::read_to_string(place.path("state/audit.log")).expect("there is one");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The latest line.
fn last(place: &Place) -> Value {
    lines(place).pop().expect("there is one")
}

#[test]
fn a_change_is_told_with_who_made_it_and_without_its_secrets() {
    let place = Place::new();
    place.set_up();
    let before = last(&place)["revision"][1].clone();
    let acl = json!({"change": "create_acl", "tpg": TPG, "wwn": "iqn.2026-11.org.example:i"});
    place.change(json!([acl])).expect("it is new");
    let mut shell = Command::new(env!("CARGO_BIN_EXE_felio"));
    shell.args(["shell", "--socket"]).arg(place.path("socket")).env("TARGETCLI_HOME", place.path("home"));
    let acl = format!("{TPG}/acls/iqn.2026-11.org.example:i");
    let mut shell = shell
        .stdout(std::process::Stdio::null())
        .args([&acl, "set", "auth", "userid=u", "password=Xhidden1234567"])
        .spawn()
        .expect("felio runs");
    assert!(shell.wait().expect("it ends").success());
    let line = last(&place);
    let process = &line["who"]["process"];
    assert_eq!(process["uid"], rustix::process::getuid().as_raw());
    assert_eq!(process["pid"], shell.id());
    let change = |name: &str, value: &str| json!({"change": "set", "path": acl, "group": "auth", "name": name, "value": value});
    let changes = line["what"]["changes"].as_array().expect("changes");
    assert!(changes.contains(&change("userid", "u")), "{line}");
    assert!(changes.contains(&change("password", "(secret)")), "{line}");
    assert_eq!(line["outcome"], "done");
    assert_eq!(line["revision"][0].as_u64(), before.as_u64().map(|before| before + 1));
    assert_eq!(line["revision"][1].as_u64(), before.as_u64().map(|before| before + 2));
    assert!(
        line["time"].as_str().is_some_and(|time| time.starts_with("20") && time.ends_with('Z')),
        "{line}"
    );
    let text = std::fs::read_to_string(place.path("state/audit.log")).expect("there is one");
    assert!(!text.contains("Xhidden"), "{text}");
    place.felio.stop();
}

#[test]
fn what_was_refused_is_told_and_a_reload_too() {
    let place = Place::new();
    let tpg = json!([{"change": "enable_tpg", "tpg": TPG}]);
    place.change(tpg).expect_err("there is none");
    let line = last(&place);
    assert_eq!(line["outcome"]["refused"]["kind"], "not_found", "{line}");
    assert_eq!(line["revision"][0], line["revision"][1]);
    place.change(json!([place.file("first")])).expect("it is new");
    place.felio.signal(Signal::HUP);
    place.felio.event("reloaded");
    let line = last(&place);
    assert_eq!((&line["who"], &line["what"]), (&json!({"signal": "SIGHUP"}), &json!({"restore": null})));
    place.felio.stop();
}

#[test]
fn what_is_drained_is_told() {
    let place = Place::new();
    place.set_up();
    for (words, what) in [("drain", "drain"), ("drain off=true", "serve")] {
        let mut shell = Command::new(env!("CARGO_BIN_EXE_felio"));
        shell.args(["shell", "--socket"]).arg(place.path("socket")).env("TARGETCLI_HOME", place.path("home"));
        assert!(shell.arg(TPG).args(words.split(' ')).output().expect("felio runs").status.success());
        let line = last(&place);
        assert_eq!((&line["what"], &line["outcome"]), (&json!({what: TPG}), &json!("done")));
    }
    place.felio.stop();
}

#[test]
fn who_comes_by_the_web_page_is_told_as_such() {
    let place = Place::with(&["--cores", "1", "--web", "0"]);
    let url = place.felio.event("web")["text"].as_str().expect("text").to_owned();
    let (address, token) =
        url.strip_prefix("http://").and_then(|url| url.split_once("/#")).expect("address and token");
    let body = json!([place.file("first")]).to_string();
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = format!(
        "POST /v1/changes HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).expect("room");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(last(&place)["who"], json!({"web": stream.local_addr().expect("connected").to_string()}));
    place.felio.stop();
}
