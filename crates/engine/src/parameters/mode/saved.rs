//! The document `mode`: the pages as MODE SELECT with SP=1 left them.
//!
//! A document is read field by field: pages and fields that this version does not know, or values that it does not allow,
//! are left out, so that a unit comes up whatever was saved of it.

use super::{Image, Selected, placed};
use felio_hal::state::Save;
use serde::{Deserialize, Serialize};

/// The document's name.
pub const PART: &str = "mode";

#[derive(Debug, Deserialize, Serialize)]
struct Document {
    pages: Vec<Page>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Page {
    page: u8,
    #[serde(default)]
    subpage: u8,
    /// As MODE SENSE tells it, PS aside.
    bytes: Vec<u8>,
}

impl Selected {
    /// The document that must be kept before this takes effect, if any.
    pub(crate) fn document(&self) -> Option<Save> {
        self.saved.as_ref().map(|image| Save { part: PART, bytes: encode(image) })
    }
}

fn encode(image: &Image) -> Vec<u8> {
    let pages = placed().map(|(at, page)| Page {
        page: page.page,
        subpage: page.subpage,
        bytes: image[at..at + page.bytes].to_vec(),
    });
    // Numbers in vectors: there is nothing that could not be written.
    serde_json::to_vec_pretty(&Document { pages: pages.collect() }).unwrap_or_default()
}

/// The image that a document describes.
pub(super) fn decode(document: &[u8], default: &Image, changeable: &Image) -> Image {
    let mut image = *default;
    let Ok(Document { pages }) = serde_json::from_slice(document) else { return image };
    for (at, row) in placed() {
        let named = |page: &&Page| (page.page, page.subpage) == (row.page, row.subpage);
        let Some(page) = pages.iter().find(named).filter(|page| page.bytes.len() == row.bytes) else {
            continue;
        };
        let mut wanted = image[at..at + row.bytes].to_vec();
        for entry in row.changeable {
            let value = entry.field.read(&page.bytes);
            if entry.allows(value) && entry.field.read(&changeable[at..at + row.bytes]) != 0 {
                entry.field.write(&mut wanted, value);
            }
        }
        if row.check(&wanted).is_none() {
            image[at..at + row.bytes].copy_from_slice(&wanted);
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::super::{CONTROL, ModePages};
    use super::*;
    use crate::parameters::fixture;
    use felio_spec::mode::control;

    fn pages(document: &[u8]) -> ModePages {
        ModePages::new(&fixture::unit(0).limits, Some(document))
    }

    #[test]
    fn what_was_saved_comes_back() {
        let mut image = pages(b"").default;
        control::SWP.set(&mut image[CONTROL..], true);
        let restored = pages(&encode(&image));
        assert!(restored.software_write_protect());
        assert_eq!((restored.current, restored.saved), (image, image));
    }

    #[test]
    fn what_cannot_be_changed_does_not_come_from_a_document() {
        let mut image = pages(b"").default;
        control::GLTSD.set(&mut image[CONTROL..], false);
        assert_eq!(pages(&encode(&image)).current, pages(b"").default);
    }

    #[test]
    fn a_document_that_makes_no_sense_means_the_defaults() {
        for document in [&b"{"[..], b"{\"pages\":[{\"page\":10,\"bytes\":[10]}]}", b"{\"pages\":7}"] {
            assert_eq!(pages(document).current, pages(b"").default);
        }
    }
}
