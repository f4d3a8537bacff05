//! What is on record of a unit's blocks: the document that outlives the process.

use super::{Exit, Kind, Method, Pattern};
use felio_hal::state::{Save, Saved};
use serde::{Deserialize, Serialize};

/// What is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// All is well.
    Sound,
    /// A sanitize operation is under way: it is to be taken up again.
    Sanitizing(Exit, Method),
    /// What was tried failed, or was cut short.
    Failed(Kind),
}

/// The document's name.
const PART: &str = "medium";

/// The document. Names in it are an interface: later programs read what earlier ones wrote.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "medium", rename_all = "snake_case")]
enum Document {
    Sound,
    Erasing { unrestricted: bool },
    Overwriting { unrestricted: bool, pattern: Vec<u8>, passes: u8, invert: bool },
    SanitizeFailed { unrestricted: bool },
    FormatCorrupt,
}

impl Record {
    /// What was saved. A document that cannot be read may speak of anything: what is safe is the worst.
    pub(super) fn read(saved: &Saved) -> Self {
        let Some(bytes) = saved.get(PART) else { return Self::Sound };
        let exit = Exit::ause;
        match serde_json::from_slice(bytes) {
            Ok(Document::Sound) => Self::Sound,
            Ok(Document::Erasing { unrestricted }) => {
                Self::Sanitizing(exit(unrestricted), Method::Zero { unmap: true })
            }
            Ok(Document::Overwriting { unrestricted, pattern, passes, invert })
                if !pattern.is_empty() && passes > 0 =>
            {
                let pattern = Pattern { bytes: pattern, passes, invert };
                Self::Sanitizing(exit(unrestricted), Method::Write(pattern))
            }
            Ok(Document::SanitizeFailed { unrestricted }) => Self::Failed(Kind::Sanitize(exit(unrestricted))),
            Ok(Document::FormatCorrupt) => Self::Failed(Kind::Format),
            Ok(Document::Overwriting { .. }) | Err(_) => Self::Failed(Kind::Sanitize(Exit::Restricted)),
        }
    }

    /// The document to save.
    pub(super) fn save(&self) -> Save {
        let document = match self {
            Self::Sound => Document::Sound,
            Self::Sanitizing(exit, Method::Write(Pattern { bytes, passes, invert })) => {
                Document::Overwriting {
                    unrestricted: exit.is_unrestricted(),
                    pattern: bytes.clone(),
                    passes: *passes,
                    invert: *invert,
                }
            }
            Self::Sanitizing(exit, Method::Zero { .. } | Method::Keep) => {
                Document::Erasing { unrestricted: exit.is_unrestricted() }
            }
            Self::Failed(Kind::Sanitize(exit)) => {
                Document::SanitizeFailed { unrestricted: exit.is_unrestricted() }
            }
            Self::Failed(Kind::Format) => Document::FormatCorrupt,
        };
        Save { part: PART, bytes: serde_json::to_vec(&document).unwrap_or_default() }
    }
}

impl Exit {
    fn is_unrestricted(self) -> bool {
        self == Self::Unrestricted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: &Record) {
        let save = record.save();
        let saved = Saved(vec![(save.part.to_owned(), save.bytes)]);
        assert_eq!(Record::read(&saved), *record);
    }

    #[test]
    fn what_was_saved_is_read() {
        check(&Record::Sound);
        check(&Record::Sanitizing(Exit::Unrestricted, Method::Zero { unmap: true }));
        let pattern = Pattern { bytes: vec![0, 0xaa], passes: 3, invert: true };
        check(&Record::Sanitizing(Exit::Restricted, Method::Write(pattern)));
        check(&Record::Failed(Kind::Sanitize(Exit::Unrestricted)));
        check(&Record::Failed(Kind::Format));
    }

    #[test]
    fn where_nothing_was_saved_all_is_well() {
        assert_eq!(Record::read(&Saved::default()), Record::Sound);
    }

    #[test]
    fn what_cannot_be_read_is_taken_for_the_worst() {
        let saved = Saved(vec![(PART.to_owned(), b"?".to_vec())]);
        assert_eq!(Record::read(&saved), Record::Failed(Kind::Sanitize(Exit::Restricted)));
    }
}
