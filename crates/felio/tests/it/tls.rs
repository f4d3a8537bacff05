//! The daemon from afar: TLS and tokens, as felio and as curl have them, and peers that want something else.

use crate::common::place::{Place, TPG, ask, command};
use crate::common::{Finished, PATIENCE, finish, lines};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs::{Permissions, copy, set_permissions, write};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Certificates, keys and tokens, where the daemon may not look without being told to.
struct Keys(TempDir);

impl Keys {
    fn new() -> Self {
        let home = std::env::var_os("HOME").expect("a home");
        let keys = Self(tempfile::tempdir_in(home).expect("a folder"));
        keys.make_pair("own");
        keys
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A certificate that nobody else has signed, and its key, as felio tells how to make them.
    fn make_pair(&self, name: &str) {
        let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=felio \
            -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost";
        let mut command = Command::new("openssl");
        command.args(words.split_whitespace()).arg("-keyout").arg(self.path(&format!("{name}.key")));
        let finished = finish({
            command.arg("-out").arg(self.path(&format!("{name}.pem")));
            command
        });
        assert_eq!(finished.code, Some(0), "{}", finished.err);
    }

    /// `felio token` with these words.
    fn tokens(&self, words: &[&str]) -> Finished {
        let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
        command.arg("token").args(words).arg("--token-file").arg(self.path("tokens"));
        finish(command)
    }

    /// Makes a token. What is sent with a request then, as a file for curl; the token itself is in a file of its name.
    fn make_token(&self, words: &[&str]) {
        let finished = self.tokens(words);
        assert_eq!(finished.code, Some(0), "{}", finished.err);
        assert!(finished.out.starts_with("felio_") && finished.out.len() == 71, "{}", finished.out);
        write(self.path(words[0]), &finished.out).expect("there is room");
    }

    fn listening(&self) -> Vec<String> {
        let words = ["--cores", "1", "--listen", "127.0.0.1:0"].map(ToOwned::to_owned);
        let files = [("--tls-cert", "own.pem"), ("--tls-key", "own.key"), ("--token-file", "tokens")];
        let files = files.into_iter().flat_map(|(option, name)| [option.to_owned(), self.text(name)]);
        words.into_iter().chain(files).collect()
    }
}

/// A daemon that listens, with a token for `admin` and one for `reader`.
struct Afar {
    keys: Keys,
    place: Place,
    port: u16,
}

impl Afar {
    fn new(more: &[&str]) -> Self {
        let keys = Keys::new();
        keys.make_token(&["admin"]);
        keys.make_token(&["reader", "--read-only"]);
        let words = keys.listening();
        let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let place = Place::with(&words);
        let said = place.felio.event("listening")["text"].as_str().expect("text").to_owned();
        let port = said.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        Self { keys, place, port }
    }

    /// curl, with the token in a file of this name.
    fn curl(&self, token: Option<&str>, words: &[&str], path: &str) -> Response {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--include", "--max-time", "20"]);
        command.arg("--cacert").arg(self.keys.path("own.pem")).args(words);
        if let Some(token) = token {
            let token = std::fs::read_to_string(self.keys.path(token)).expect("it was made");
            command.arg("--header").arg(format!("Authorization: Bearer {}", token.trim()));
        }
        Response(finish({
            command.arg(format!("https://localhost:{}{path}", self.port));
            command
        }))
    }

    /// A command of felio from afar, with these words behind it.
    fn felio(&self, words: &[&str], token: &str, ca: &str) -> Command {
        self.felio_at("localhost", words, token, ca)
    }

    fn felio_at(&self, host: &str, words: &[&str], token: &str, ca: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_felio"));
        command.arg(words[0]).arg("--daemon").arg(format!("https://{host}:{}", self.port));
        command.arg("--ca").arg(self.keys.path(ca)).arg("--token-file").arg(self.keys.path(token));
        command.args(&words[1..]).env("TARGETCLI_HOME", self.place.path("home"));
        command
    }

    fn shell(&self, token: &str, line: &str) -> Finished {
        let words: Vec<&str> = ["shell"].into_iter().chain(line.split(' ')).collect();
        finish(self.felio(&words, token, "own.pem"))
    }

    /// SIGHUP, and what was refused then.
    fn reload(&self) -> Vec<Value> {
        self.place.felio.signal(Signal::HUP);
        let mut refused = Vec::new();
        loop {
            let line = self.place.felio.line(PATIENCE).expect("it reloads");
            match line["event"].as_str() {
                Some("reloaded") => return refused,
                Some("refused") => refused.push(line),
                _ => {}
            }
        }
    }
}

/// What curl has printed.
struct Response(Finished);

impl Response {
    #[track_caller]
    fn is(self, status: u16) -> Self {
        let out = &self.0.out;
        assert!(out.starts_with(&format!("HTTP/1.1 {status} ")), "{out} {}", self.0.err);
        self
    }

    fn json(&self) -> Value {
        let body = self.0.out.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {}", self.0.out))
    }
}

const JSON: [&str; 2] = ["--header", "content-type: application/json"];

#[test]
fn a_token_lets_in_by_felio_and_by_curl_and_the_audit_log_names_it() {
    let afar = Afar::new(&["--web", "0"]);
    let made = afar.shell("admin", "/backstores/ramdisk create a 1M");
    assert_eq!(made.code, Some(0), "{}", made.err);
    let body = json!({"backing": {"ramdisk": {"size": 1 << 20}}}).to_string();
    let words = [&JSON[..], &["--request", "PUT", "--data", &body]].concat();
    afar.curl(Some("admin"), &words, "/v1/tree/backstores/ramdisk/b").is(201);
    for version in ["--tlsv1.3", "--tls-max"] {
        let words = if version == "--tls-max" { vec![version, "1.2"] } else { vec![version] };
        let disks = afar.curl(Some("admin"), &words, "/v1/tree/backstores/ramdisk").is(200).json();
        assert_eq!(disks["children"].as_array().map(Vec::len), Some(2), "{disks}");
    }
    afar.curl(Some("reader"), &[], "/metrics").is(200);
    assert_eq!(afar.curl(Some("reader"), &[], "/v1/openapi.json").is(200).json()["openapi"], "3.1.0");
    // The page says nothing by itself, so it needs no token; what it asks does.
    assert!(afar.curl(None, &[], "/").is(200).0.out.contains("content-security-policy"));
    let top = finish(afar.felio(&["top", "--json", "--every", "50"], "reader", "own.pem"));
    assert_eq!(top.code, Some(0), "{}", top.err);
    let history = finish(afar.felio(&["config", "history"], "reader", "own.pem"));
    assert_eq!(history.code, Some(0), "{}", history.err);
    let log = std::fs::read_to_string(afar.place.path("state/audit.log")).expect("there is one");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    for line in &lines {
        let who = &line["who"]["token"];
        assert_eq!((&who["name"], &who["role"]), (&json!("admin"), &json!("admin")), "{line}");
        assert!(who["from"].as_str().is_some_and(|from| from.starts_with("127.0.0.1:")), "{line}");
    }
    let token = std::fs::read_to_string(afar.keys.path("admin")).expect("it was made");
    assert!(!log.contains(token.trim()));
    afar.place.felio.stop();
}

#[test]
fn who_is_not_known_is_told_what_to_do() {
    let afar = Afar::new(&[]);
    let refused = afar.curl(None, &[], "/v1/snapshot").is(401);
    assert!(refused.0.out.contains("www-authenticate: Bearer realm=\"felio\"\r\n"), "{}", refused.0.out);
    assert_eq!(refused.json()["kind"], "denied");
    assert!(refused.json()["hint"].as_str().is_some_and(|hint| hint.contains("felio token NAME")));
    // What the file of tokens has is no token.
    let file = std::fs::read_to_string(afar.keys.path("tokens")).expect("it was made");
    write(afar.keys.path("wrong"), file.split_whitespace().nth(2).expect("a digest")).expect("there is room");
    let refused = afar.curl(Some("wrong"), &[], "/v1/snapshot").is(401);
    assert!(refused.0.out.contains("error=\"invalid_token\""), "{}", refused.0.out);
    let refused = afar.shell("wrong", "ls");
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("the token is nobody's"), "{}", refused.err);
    let watch = finish(afar.felio(&["watch"], "wrong", "own.pem"));
    assert!(watch.err.contains("the token is nobody's"), "{}", watch.err);
    // Neither do we believe a daemon that somebody else vouches for, or one of another name.
    afar.keys.make_pair("other");
    let disbelieved = finish(afar.felio(&["top", "--json"], "admin", "other.pem"));
    assert_eq!(disbelieved.code, Some(1));
    assert!(disbelieved.err.contains("invalid peer certificate"), "{}", disbelieved.err);
    let disbelieved = finish(afar.felio_at("127.0.0.1", &["top", "--json"], "admin", "own.pem"));
    assert!(disbelieved.err.contains("certificate not valid for name \"127.0.0.1\""), "{}", disbelieved.err);
    let ca = afar.keys.text("other.pem");
    assert_eq!(afar.curl(Some("admin"), &["--cacert", &ca], "/v1/tree").0.code, Some(60));
    afar.place.felio.stop();
}

#[test]
fn a_token_for_reading_changes_nothing_and_sees_no_secrets() {
    let afar = Afar::new(&[]);
    afar.place.set_up();
    let acl = json!({"change": "create_acl", "tpg": TPG, "wwn": "iqn.2026-11.org.example:i"});
    let acls = format!("{TPG}/acls/iqn.2026-11.org.example:i");
    let set = |name: &str, value: &str| json!({"change": "set", "path": acls, "group": "auth", "name": name, "value": value});
    let auth = json!([acl, set("userid", "u"), set("password", "Xhidden1234567")]);
    afar.place.change(auth).expect("valid");
    let before = afar.place.snapshot();
    let body = json!([{"change": "disable_tpg", "tpg": TPG}]).to_string();
    for (method, path) in
        [("POST", "/v1/changes"), ("POST", "/v1/save"), ("DELETE", "/v1/tree/backstores/fileio/first")]
    {
        let words = [&JSON[..], &["--request", method, "--data", &body]].concat();
        let refused = afar.curl(Some("reader"), &words, path).is(403);
        assert!(refused.0.out.contains("error=\"insufficient_scope\""), "{}", refused.0.out);
        assert!(refused.json()["what"].as_str().is_some_and(|what| what.contains("reader")));
    }
    for line in ["/backstores/ramdisk create a 1M", "/ drain timeout=0", "/ saveconfig /tmp/none.json"] {
        let refused = afar.shell("reader", line);
        assert_eq!(refused.code, Some(1), "{line}");
        assert!(refused.err.contains("for reading only"), "{line}: {}", refused.err);
    }
    assert_eq!(afar.place.snapshot(), before);
    let shown = afar.shell("reader", "ls");
    assert!(shown.out.contains("first"), "{} {}", shown.out, shown.err);
    let auth = format!("{acls} get auth");
    assert!(afar.shell("admin", &auth).out.contains("Xhidden"), "whoever may change it sees it");
    let shown = afar.shell("reader", &auth);
    assert!(shown.out.contains("userid=u") && !shown.out.contains("Xhidden"), "{} {}", shown.out, shown.err);
    for path in ["/v1/snapshot", &format!("/v1/tree{acls}")] {
        let shown = afar.curl(Some("reader"), &[], path).is(200);
        assert!(shown.0.out.contains("(secret)") && !shown.0.out.contains("Xhidden"), "{}", shown.0.out);
    }
    afar.place.felio.stop();
}

#[test]
fn who_is_refused_is_in_the_audit_log_and_many_are_counted() {
    let afar = Afar::new(&[]);
    let body = json!([{"change": "disable_tpg", "tpg": TPG}]).to_string();
    let words = [&JSON[..], &["--request", "POST", "--data", &body]].concat();
    afar.curl(Some("reader"), &words, "/v1/changes").is(403);
    assert_eq!(afar.shell("reader", "/backstores/ramdisk create a 1M").code, Some(1));
    write(afar.keys.path("wrong"), "felio_wrong").expect("there is room");
    afar.curl(Some("wrong"), &[], "/v1/snapshot").is(401);
    afar.curl(None, &[], "/v1/revision?[1-40]").is(401);
    let refused = |is_meant: &dyn Fn(&Value) -> bool, want: u64| {
        let until = Instant::now() + PATIENCE;
        loop {
            let log = std::fs::read_to_string(afar.place.path("state/audit.log")).expect("there is one");
            let lines = log.lines().map(|line| serde_json::from_str(line).expect("JSON"));
            let lines: Vec<Value> = lines.filter(|line: &Value| is_meant(&line["who"])).collect();
            let count = |line: &Value| 1 + line["left_out"].as_u64().unwrap_or(0);
            if lines.iter().map(count).sum::<u64>() >= want {
                return lines;
            }
            assert!(Instant::now() < until, "{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let strangers = refused(&|who| who["stranger"].is_object(), 41);
    assert!(strangers.len() < 20, "{strangers:?}");
    assert_eq!(strangers[0]["who"]["stranger"]["has_token"], true);
    assert_eq!(strangers[0]["what"], json!({"request": {"method": "GET", "path": "/v1/snapshot"}}));
    let from = strangers[0]["who"]["stranger"]["from"].as_str().unwrap_or_default();
    assert!(from.starts_with("127.0.0.1:"), "{from}");
    let readers = refused(&|who| who["token"]["name"] == "reader", 2);
    assert_eq!(readers.len(), 2, "{readers:?}");
    assert_eq!(readers[0]["what"], json!({"request": {"method": "POST", "path": "/v1/changes"}}));
    assert_eq!(readers[1]["what"]["changes"][0]["storage"], "/backstores/ramdisk/a", "{readers:?}");
    for line in strangers.iter().chain(&readers) {
        assert_eq!(line["outcome"]["refused"]["kind"], "denied", "{line}");
        assert_eq!(line["revision"][0], line["revision"][1]);
    }
    afar.place.felio.stop();
}

#[test]
fn files_are_read_again_on_sighup_and_what_cannot_be_leaves_what_was() {
    let afar = Afar::new(&[]);
    afar.place.set_up();
    let mut watch = afar.felio(&["watch", "--json"], "reader", "own.pem");
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("felio runs");
    let heard = lines(watch.stdout.take().expect("piped"));
    assert!(heard.recv_timeout(PATIENCE).is_ok_and(|line| line.contains("watching")));
    // Others go on while one is let in no more, and what is open for that one ends.
    assert_eq!(afar.keys.tokens(&["--revoke", "reader"]).code, Some(0));
    assert_eq!(afar.keys.tokens(&["--list"]).out, "admin admin\n");
    let listed: Value = serde_json::from_str(&afar.keys.tokens(&["--list", "--json"]).out).expect("JSON");
    assert_eq!(listed, json!([{"name": "admin", "role": "admin"}]));
    afar.curl(Some("reader"), &[], "/v1/revision").is(200);
    assert_eq!(afar.reload(), Vec::<Value>::new());
    afar.curl(Some("reader"), &[], "/v1/revision").is(401);
    afar.curl(Some("admin"), &[], "/v1/revision").is(200);
    while heard.recv_timeout(PATIENCE).is_ok() {}
    assert_eq!(ended(&mut watch, PATIENCE).code(), Some(1));
    // A key that belongs to another certificate.
    copy(afar.keys.path("own.key"), afar.keys.path("old.key")).expect("there is room");
    copy(afar.keys.path("own.pem"), afar.keys.path("old.pem")).expect("there is room");
    afar.keys.make_pair("new");
    let replace = |from: &str, to: &str| {
        std::fs::rename(afar.keys.path(from), afar.keys.path(to)).expect("it is there")
    };
    replace("new.key", "own.key");
    let refused = afar.reload();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0]["text"].as_str().is_some_and(|text| text.contains("own.key")), "{refused:?}");
    afar.curl(Some("admin"), &[], "/v1/revision").is(200);
    replace("new.pem", "own.pem");
    assert_eq!(afar.reload(), Vec::<Value>::new());
    afar.curl(Some("admin"), &[], "/v1/revision").is(200);
    let old = afar.keys.text("old.pem");
    assert_eq!(afar.curl(Some("admin"), &["--cacert", &old], "/v1/revision").0.code, Some(60));
    afar.place.felio.stop();
}

/// How a program ends within this time.
fn ended(child: &mut Child, within: Duration) -> ExitStatus {
    let until = Instant::now() + within;
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        assert!(Instant::now() < until, "it goes on and on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How `felio daemon` ends with these files.
fn refused(keys: &Keys, words: &[String]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let finished = finish(command(&folder, &words));
    assert_eq!(finished.code, Some(2), "{} {}", finished.err, keys.0.path().display());
    finished.err
}

#[test]
fn what_is_missing_at_the_start_is_told_with_what_to_type() {
    let keys = Keys::new();
    let said = refused(&keys, &["--listen", "127.0.0.1:0"].map(ToOwned::to_owned));
    assert!(said.contains("--tls-cert FILE") && said.contains("openssl req -x509"), "{said}");
    let said = refused(&keys, &keys.listening());
    assert!(said.contains("felio token NAME --token-file"), "{said}");
    keys.make_token(&["admin"]);
    let mode = |name: &str, mode| {
        set_permissions(keys.path(name), Permissions::from_mode(mode)).expect("it is ours")
    };
    mode("own.key", 0o644);
    let said = refused(&keys, &keys.listening());
    assert!(said.contains("its mode 644 lets others read") && said.contains("chmod 600"), "{said}");
    mode("own.key", 0o600);
    mode("tokens", 0o660);
    assert!(refused(&keys, &keys.listening()).contains("its mode 660"));
    mode("tokens", 0o640);
    keys.make_pair("other");
    copy(keys.path("other.key"), keys.path("own.key")).expect("there is room");
    let said = refused(&keys, &keys.listening());
    assert!(said.contains("cannot be used") && said.contains("own.key"), "{said}");
    write(keys.path("own.key"), "no key").expect("there is room");
    assert!(refused(&keys, &keys.listening()).contains("no key in PEM"));
    let twice = keys.tokens(&["admin"]);
    assert!(twice.code == Some(2) && twice.err.contains("there is a token admin already"), "{}", twice.err);
    assert_eq!(keys.tokens(&["--revoke", "nobody"]).code, Some(2));
}

/// A TLS connection on which this is sent and then nothing.
fn stall(afar: &Afar, head: &str) -> Child {
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{}", afar.port), "-CAfile"])
        .arg(afar.keys.path("own.pem"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl runs");
    client.stdin.as_mut().expect("piped").write_all(head.as_bytes()).expect("it reads");
    client
}

/// When the last deadline is over, on a busy machine.
const LAST_DEADLINE: Duration = Duration::from_secs(75);

#[test]
fn peers_that_stall_or_talk_of_something_else_are_gone_at_their_deadline_and_slow_nobody() {
    let afar = Afar::new(&[]);
    let connect = |bytes: &[u8]| {
        let mut socket = TcpStream::connect(("127.0.0.1", afar.port)).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time");
        socket.write_all(bytes).expect("sent");
        socket
    };
    let token = std::fs::read_to_string(afar.keys.path("admin")).expect("it was made");
    let head = format!(
        "POST /v1/changes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n",
        token.trim()
    );
    let mut stalled = [
        stall(&afar, ""),
        stall(&afar, "GET /v1/snapshot HTTP/1.1\r\n"),
        stall(&afar, &format!("{head}content-length: 100\r\n\r\n[")),
    ];
    let mut strangers: Vec<TcpStream> = (0..8).map(|_| connect(b"")).collect();
    strangers.extend((0..8).map(|_| connect(b"\x16\x03\x01\x02\x00\x01")));
    strangers.extend((0..8).map(|_| connect(b"GET / HTTP/1.1\r\n\r\n")));
    strangers.extend((0..2).map(|_| connect(&[0xff; 4096])));
    let start = Instant::now();
    afar.curl(Some("admin"), &[], "/v1/revision").is(200);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    // As many as there can be from one address: others have their places.
    let more: Vec<TcpStream> = (0..32).map(|_| connect(b"")).collect();
    assert_ne!(afar.curl(Some("admin"), &[], "/v1/revision").0.code, Some(0));
    afar.curl(Some("admin"), &["--interface", "127.0.0.2"], "/v1/revision").is(200);
    for mut socket in strangers.into_iter().chain(more) {
        // An alert or nothing, and then the end.
        let mut rest = Vec::new();
        match socket.read_to_end(&mut rest) {
            Ok(count) => assert!(count <= 7, "{rest:?}"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
    for client in &mut stalled {
        ended(client, LAST_DEADLINE);
    }
    assert!(start.elapsed() > Duration::from_secs(5), "they had their time");
    afar.curl(Some("admin"), &[], "/v1/revision").is(200);
    assert!(ask(&afar.place.folder, "GET", "/v1/revision", "").is_some());
    afar.place.felio.stop();
}
