//! Tools from PyPI: LIO's, newer than Debian's, and OpenStack Cinder's own `cinder-rtstool`, all unmodified, through `felio compat`; and
//! openapi-spec-validator, of the OpenAPI document.
//!
//! `cargo xtask test` fetches them and says in `FELIO_PYPI` where they are; without that there is nothing to run, and a line on standard
//! error says so. Versions: targetcli 3.0.2, rtslib-fb 2.2.4, configshell-fb 2.0.3, cinder 29.0.0. Of Cinder only rtstool.py is
//! taken, and what it wants of the rest (translated texts) is three lines here. It wants a block device, for which it gets a loop device.

use crate::compat::Place;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the packages are, if they are.
fn packages() -> Option<PathBuf> {
    let found = std::env::var_os("FELIO_PYPI").map(PathBuf::from);
    if found.is_none() {
        eprintln!("not run: FELIO_PYPI names no folder with PyPI's packages");
    }
    found
}

/// A block device that is a file; let go when dropped.
struct Loop(String);

impl Loop {
    fn new(file: &Path) -> Self {
        fs::File::create(file).and_then(|file| file.set_len(16 << 20)).expect("a file");
        let done = Command::new("losetup").args(["--find", "--show"]).arg(file).output().expect("losetup");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Self(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

/// What Cinder has for texts.
const I18N: &str = "def enable_lazy():\n    pass\n\ndef _(text):\n    return text\n";

#[test]
fn the_newest_targetcli_says_what_it_says_with_lio() {
    let Some(packages) = packages() else { return };
    let place = Place::new();
    let path = format!("PYTHONPATH={}", packages.display());
    let program = "from targetcli.targetcli_shell import main; main()";
    place.transcript(&["env", &path, "/usr/bin/python3", "-c", program], "targetcli-newest.txt");
    place.felio.stop();
}

#[test]
fn cinders_own_tool_makes_a_volume_and_its_initiator_logs_in() {
    let Some(packages) = packages() else { return };
    let place = Place::new();
    let stubs = place.path("stubs");
    fs::create_dir_all(stubs.join("cinder")).expect("a folder");
    fs::write(stubs.join("cinder/__init__.py"), "").expect("a file");
    fs::write(stubs.join("cinder/i18n.py"), I18N).expect("a file");
    let path = format!("PYTHONPATH={}:{}", stubs.display(), packages.display());
    let program = format!(
        "import runpy, sys; sys.exit(runpy.run_path('{}')['main'](['cinder-rtstool'] + sys.argv[1:]))",
        packages.join("cinder/cmd/rtstool.py").display()
    );
    let run = |words: &[&str]| {
        let fixed = ["env", &path, "/usr/bin/python3", "-c", &program];
        place.succeed(&[&fixed[..], words].concat())
    };
    let device = Loop::new(&place.path("volume"));
    let (name, port) = ("iqn.2010-10.org.openstack:volume-1", place.port.to_string());
    let [first, second] = ["iqn.1994-05.com.redhat:first", "iqn.1994-05.com.redhat:second"];
    run(&["verify"]);
    let portal = format!("-p{port}");
    run(&["create", &device.0, name, "cinder", "secret1234567", "False", first, "-a127.0.0.1", &portal]);
    assert_eq!(run(&["get-targets"]), format!("{name}\n"));
    run(&["add-initiator", name, "cinder", "secret1234567", second]);
    let url = format!("iscsi://cinder%secret1234567@127.0.0.1:{port}/{name}/0");
    let can_log_in =
        |initiator: &str| place.initiator(&["iscsi-inq", "-i", initiator, &url]).contains("Vendor:");
    assert!(can_log_in(first) && can_log_in(second) && !can_log_in("iqn.1994-05.com.redhat:third"));
    let file = place.path("saved.json").display().to_string();
    run(&["save", &file]);
    run(&["delete-initiator", name, second]);
    assert!(can_log_in(first) && !can_log_in(second));
    run(&["restore", &file]);
    assert!(can_log_in(first) && can_log_in(second));
    run(&["delete", name]);
    assert_eq!(run(&["get-targets"]), "");
    assert!(!can_log_in(first));
    place.felio.stop();
}

#[test]
fn the_interfaces_document_is_what_openapi_demands() {
    let Some(packages) = packages() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let document = folder.path().join("openapi.json");
    let printed = Command::new(env!("CARGO_BIN_EXE_felio")).arg("openapi").output().expect("felio runs");
    fs::write(&document, printed.stdout).expect("a file");
    let mut validator = Command::new("/usr/bin/python3");
    validator.args(["-m", "openapi_spec_validator"]).arg(&document).env("PYTHONPATH", packages);
    let said = validator.output().expect("the validator runs");
    let why = [said.stdout, said.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(said.status.success(), "{}{}", why[0], why[1]);
}
