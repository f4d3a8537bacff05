//! Long work: what goes on by itself, how far it is, and how it is called off.

use crate::common::PATIENCE;
use crate::common::place::{Place, TPG};
use crate::rest::{Answer, JSON, exchange, get};
use serde_json::{Value, json};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Asks for something without waiting for it; where its work is.
fn begin(place: &Place, path: &str, body: &Value) -> String {
    let fields = format!("{JSON}prefer: respond-async\r\n");
    let begun = exchange(place, "POST", path, &fields, &body.to_string()).is(202);
    assert_eq!(begun.field("preference-applied"), "respond-async");
    assert_eq!(begun.body["what"], format!("POST {path}"));
    begun.field("location").to_owned()
}

/// Looks at work until it is as it should be.
fn wait(place: &Place, work: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let Answer { body, .. } = get(place, work).is(200);
        if is_it(&body) {
            return body;
        }
        assert!(Instant::now() < until, "{body}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ended(place: &Place, work: &str) -> Value {
    wait(place, work, |view| view["state"] != "running")
}

#[test]
fn what_need_not_be_waited_for_goes_on_by_itself_and_comes_to_the_same() {
    let place = Place::new();
    let body = json!([place.file("first"), place.file("second")]);
    let work = begin(&place, "/v1/changes", &body);
    let done = ended(&place, &work);
    assert_eq!(
        (&done["state"], &done["done"], &done["total"]),
        (&json!("done"), &json!(2), &json!(2)),
        "{done}"
    );
    assert_eq!(done["result"][1]["path"], "/backstores/fileio/second");
    let again = begin(&place, "/v1/changes", &body);
    let failed = ended(&place, &again);
    assert_eq!(
        (&failed["state"], &failed["error"]["kind"]),
        (&json!("failed"), &json!("exists")),
        "{failed}"
    );
    let ids: Vec<String> = get(&place, "/v1/work")
        .is(200)
        .body
        .as_array()
        .expect("a list")
        .iter()
        .map(|view| format!("/v1/work/{}", view["id"]))
        .collect();
    assert_eq!(ids, [work, again]);
    assert_eq!(get(&place, "/v1/work/1").is(404).body["kind"], "not_found");
    // Who only looks has nothing to wait for.
    exchange(&place, "GET", "/v1/revision", "prefer: respond-async\r\n", "").is(200);
    place.felio.stop();
}

#[test]
fn a_drain_tells_how_far_it_is_and_lets_all_in_again_when_it_is_called_off() {
    let place = Place::new();
    place.set_up();
    let stubborn = place.log_in("a");
    place.felio.event("login");
    let work = begin(&place, "/v1/drain", &json!({"path": TPG, "timeout": 600}));
    let view = wait(&place, &work, |view| view["total"] == 1);
    assert_eq!((&view["state"], &view["done"]), (&json!("running"), &json!(0)), "{view}");
    assert!(std::net::TcpStream::connect(place.portal).is_err(), "nobody listens there");
    exchange(&place, "DELETE", &work, "", "").is(200);
    let view = ended(&place, &work);
    assert_eq!((&view["state"], &view["error"]["kind"]), (&json!("cancelled"), &json!("busy")), "{view}");
    assert_eq!(place.snapshot()["conditions"], json!({}));
    place.log_in("b").log_out();
    drop(stubborn);
    place.felio.stop();
}

/// `felio drain`; at a terminal, if so.
fn drain(place: &Place, words: &str) -> Command {
    let mut command = Command::new("script");
    let felio = env!("CARGO_BIN_EXE_felio");
    let line = format!("{felio} drain --socket {} {words}", place.path("socket").display());
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command
}

#[test]
fn who_drains_at_a_terminal_sees_how_far_it_is() {
    let place = Place::new();
    place.set_up();
    let stubborn = place.log_in("a");
    place.felio.event("login");
    let run = |words: &str| -> (String, bool) {
        let Output { status, stdout, .. } = drain(&place, words).output().expect("script runs");
        (String::from_utf8_lossy(&stdout).into_owned(), status.success())
    };
    let (said, is_good) = run(&format!("{TPG} --timeout 1"));
    assert!(said.contains("0 of 1") && !is_good, "{said}");
    assert!(said.contains("after 1 s, still logged in: iqn.2026-11.org.example:a; commands"), "{said}");
    let (said, is_good) = run("/backstores");
    assert!(said.contains("/backstores cannot be drained") && !is_good, "{said}");
    let (said, is_good) = run(&format!("{TPG} --timeout 0 --json"));
    assert!(
        said.contains(r#"{"initiators":["iqn.2026-11.org.example:a"],"commands":"#) && !is_good,
        "{said}"
    );
    drop(stubborn);
    place.felio.event("logout");
    assert!(run(TPG).1, "it has left");
    let (said, is_good) = run(&format!("{TPG} --off --json"));
    assert!(said.contains(r#"{"initiators":[],"commands":0}"#) && is_good, "{said}");
    let (said, is_good) = run(&format!("{TPG} --off"));
    assert!(said.contains("no longer drained") && is_good, "{said}");
    place.log_in("b").log_out();
    place.felio.stop();
}
