//! Files of a configuration: whatever is read holds, is written and read again the same, and can be reached from another.

use felio_control::plan::settled;
use felio_control::{Config, Facts, attr, difference, save};

/// As LIO writes it.
const LIO: &str = include_str!("../../crates/control/src/save/lio.json");

/// Does what an input says: it is the file.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let problems = save::problems(&text);
    let Ok((config, _)) = save::read(&text) else {
        assert!(!problems.is_empty(), "what is wrong is told");
        return;
    };
    if config.check().is_err() {
        assert!(!problems.is_empty(), "which rule is broken is told");
        return;
    }
    same_when_saved(&config);
    reached(&lio(), &config);
    reached(&config, &lio());
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    vec![LIO.as_bytes().to_vec(), b"{}".to_vec()]
}

/// What stands between quotation marks in such files.
#[must_use]
pub fn words() -> Vec<String> {
    let rows = [attr::Scope::Storage, attr::Scope::Tpg, attr::Scope::Parameter, attr::Scope::Alua];
    let rows = rows.into_iter().flat_map(attr::rows).map(|row| row.name.to_owned());
    rows.chain(["ramdisk", "block", "nullio", "lu_groups", "rtpi", "felio"].map(ToOwned::to_owned)).collect()
}

/// A configuration that is read again as it was, and written again to the letter.
pub(crate) fn same_when_saved(config: &Config) {
    let text = save::write(config);
    let (again, _) = save::read(&text).expect("what is written can be read");
    assert!(again == *config, "it is read as it was: {text}");
    assert!(save::write(&again) == text, "it is written as it was: {text}");
}

/// The changes that lead from one to another do.
pub(crate) fn reached(from: &Config, to: &Config) {
    let changes = difference(from, to);
    let (made, _) = from.apply_piecemeal(&changes, &facts()).expect("what is planned can be done");
    // What nobody chose is made.
    assert!(settled(&made, to.clone()) == made, "{changes:#?}");
}

/// A configuration that has something of everything.
pub(crate) fn lio() -> Config {
    save::read(LIO).expect("it is one").0
}

/// Nobody in particular.
pub(crate) fn facts() -> Facts {
    Facts { host: "host".to_owned(), machine: "x86_64".to_owned(), seed: [7; 16] }
}
