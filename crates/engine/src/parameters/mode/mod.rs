//! Mode pages: the parameters of a unit that initiators may read and change.
//!
//! The pages are those of [`PAGES`], laid one behind the other in an image; a unit keeps an image of today's values, one
//! of those that a reset brings back, one of the defaults and one of what can be changed. A field that can be changed is
//! an entry in its page's row and an accessor here, or [`ModePages::get`] where it takes effect.
//!
//! `sense` tells the pages, `select` reads what initiators want, [`saved`] is the document that outlives the process.
//!
//! Invariant: MODE SELECT changes bits of the last image only, and all that it asks for or nothing.

pub mod saved;
mod select;
mod sense;
#[cfg(test)]
mod tests;

pub use select::{mode_select6, mode_select10};
pub use sense::{mode_sense6, mode_sense10};

use crate::attention::Interlock;
use crate::order::{Reordering, Rules, Sharing};
use felio_hal::Limits;
use felio_hal::store::{Protection, WriteCache};
use felio_spec::Field;
use felio_spec::field::Value;
use felio_spec::mode::{
    ModePage, PAGES, PAGES_BYTES, caching, control, informational_exceptions as exceptions, mrie,
    provisioning, sub_page,
};
use felio_spec::protection::Kind;

/// The mode parameters of a unit.
#[derive(Clone, Debug)]
pub struct ModePages {
    current: Image,
    /// What a reset brings back: what was saved, or the defaults.
    saved: Image,
    default: Image,
    changeable: Image,
    /// Whether there is a place for what is saved.
    saveable: bool,
}

/// What a MODE SELECT asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    current: Image,
    /// What shall be saved, if anything.
    saved: Option<Image>,
}

/// All pages, one behind the other.
type Image = [u8; PAGES_BYTES];

const CACHING: usize = offset_of(0x08, 0);
const CONTROL: usize = offset_of(0x0a, 0);
const POWER_CONDITION: usize = offset_of(0x1a, 0);
const EXCEPTIONS: usize = offset_of(0x1c, 0);
const PROVISIONING: usize = offset_of(0x1c, 0x02);

/// How an informational exception is to be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reporting {
    /// In the log alone.
    Never,
    /// As a unit attention.
    Attention,
    /// To REQUEST SENSE.
    OnRequest,
}

impl ModePages {
    /// As after power on, with what was saved before it.
    #[must_use]
    pub fn new(limits: &Limits, document: Option<&[u8]>) -> Self {
        let mut default = image(|page, out| {
            page.encode_header(out);
            for (bits, value) in page.default {
                bits.write(out, *value);
            }
        });
        let mut changeable = image(|page, out| {
            page.encode_header(out);
            for row in page.changeable {
                row.field.write(out, u64::MAX);
            }
        });
        // Without a volatile cache below us there is none to enable.
        let cached = limits.write_cache == WriteCache::On;
        caching::WCE.set(&mut default[CACHING..], cached);
        caching::WCE.set(&mut changeable[CACHING..], cached);
        // Whether protection information is checked that is not transferred, where there can be any; and whose its tags are.
        let protection = limits.protection;
        control::DPICZ.set(&mut changeable[CONTROL..], protection != Protection::Impossible);
        let owner = protection.kind().is_some_and(Kind::application_tag_owner);
        control::ATO.set(&mut default[CONTROL..], owner);
        // Thresholds for what nobody tells are none.
        if !limits.space || limits.unmap.is_none() {
            for image in [&mut default, &mut changeable] {
                image[PROVISIONING + sub_page::BYTES..PROVISIONING + provisioning::BYTES].fill(0);
            }
        }
        let saved = document.map_or(default, |document| saved::decode(document, &default, &changeable));
        Self { current: saved, saved, default, changeable, saveable: limits.state }
    }

    /// The store is another: whether there is a write cache to enable, and who tells of space, is its word. Whether anything that can be
    /// seen or selected has changed.
    pub(crate) fn follow(&mut self, limits: &Limits) -> bool {
        let before = (self.current, self.changeable);
        let fresh = Self::new(limits, None);
        let thresholds = PROVISIONING..PROVISIONING + provisioning::BYTES;
        let cached = fresh.changeable_wce();
        let other_cache = cached != self.changeable_wce();
        let other_space = fresh.changeable[thresholds.clone()] != self.changeable[thresholds.clone()];
        let images = [
            (&mut self.current, &fresh.default),
            (&mut self.saved, &fresh.default),
            (&mut self.default, &fresh.default),
            (&mut self.changeable, &fresh.changeable),
        ];
        for (image, like) in images {
            if other_cache {
                caching::WCE.set(&mut image[CACHING..], cached);
            }
            if other_space {
                image[thresholds.clone()].copy_from_slice(&like[thresholds.clone()]);
            }
        }
        self.saveable = limits.state;
        before != (self.current, self.changeable)
    }

    fn changeable_wce(&self) -> bool {
        caching::WCE.get(&self.changeable[CACHING..])
    }

    /// Back to what was saved.
    pub const fn reset(&mut self) {
        self.current = self.saved;
    }

    /// What was selected takes effect.
    pub(crate) fn apply(&mut self, selected: &Selected) {
        self.current = selected.current;
        if let Some(saved) = selected.saved {
            self.saved = saved;
        }
    }

    /// Whether what was selected differs from today's values.
    pub(crate) fn is_changed_by(&self, selected: &Selected) -> bool {
        self.current != selected.current
    }

    /// Today's value of a field of the page that begins at `page` ([`offset_of`]).
    #[must_use]
    pub fn get<T: Value>(&self, page: usize, field: Field<T>) -> T {
        field.get(&self.current[page..])
    }

    /// WCE of the caching page.
    #[must_use]
    pub fn write_cache_enabled(&self) -> bool {
        self.get(CACHING, caching::WCE)
    }

    /// The logical block provisioning page.
    #[must_use]
    pub fn provisioning(&self) -> &[u8] {
        &self.current[PROVISIONING..]
    }

    /// The power condition page.
    #[must_use]
    pub fn power_condition(&self) -> &[u8] {
        &self.current[POWER_CONDITION..]
    }

    /// D_SENSE of the control page.
    #[must_use]
    pub fn descriptor_sense(&self) -> bool {
        self.get(CONTROL, control::D_SENSE)
    }

    /// DPICZ of the control page.
    #[must_use]
    pub fn protection_unchecked(&self) -> bool {
        self.get(CONTROL, control::DPICZ)
    }

    /// ATO of the control page, which is as the unit is formatted.
    pub(crate) fn own_application_tags(&mut self, owned: bool) {
        for image in [&mut self.current, &mut self.saved, &mut self.default] {
            control::ATO.set(&mut image[CONTROL..], owned);
        }
    }

    /// SWP of the control page.
    #[must_use]
    pub fn software_write_protect(&self) -> bool {
        self.get(CONTROL, control::SWP)
    }

    /// TST and QUEUE ALGORITHM MODIFIER of the control page.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            sharing: match self.get(CONTROL, control::TST) {
                0 => Sharing::Everyone,
                _ => Sharing::Nobody,
            },
            reordering: match self.get(CONTROL, control::QUEUE_ALGORITHM_MODIFIER) {
                0 => Reordering::Restricted,
                _ => Reordering::Unrestricted,
            },
        }
    }

    /// QERR of the control page.
    pub(crate) fn query_error(&self) -> u8 {
        self.get(CONTROL, control::QERR)
    }

    /// UA_INTLCK_CTRL of the control page.
    pub(crate) fn interlock(&self) -> Interlock {
        Interlock::from_bits(self.get(CONTROL, control::UA_INTLCK_CTRL))
    }

    /// Whether what becomes of a command is nothing to others, and a status leaves nothing behind.
    pub(crate) fn leaves_others_alone(&self) -> bool {
        self.query_error() == 0 && !self.interlock().is_established_for_statuses()
    }

    /// TMF_ONLY of the control page: whoever left an allegiance may send no command meanwhile.
    pub(crate) fn task_management_only(&self) -> bool {
        self.get(CONTROL, control::TMF_ONLY)
    }

    /// TAS of the control page.
    #[must_use]
    pub fn task_aborted_status(&self) -> bool {
        self.get(CONTROL, control::TAS)
    }

    /// Whether an initiator wants to see what an exception looks like, and how.
    //= SPC-4 "Informational Exceptions Control mode page": TEST raises a false one
    pub(crate) fn false_exception(&self) -> Option<Reporting> {
        let test = self.get(EXCEPTIONS, exceptions::TEST) && !self.get(EXCEPTIONS, exceptions::DEXCPT);
        test.then(|| match u64::from(self.get(EXCEPTIONS, exceptions::MRIE)) {
            mrie::UNIT_ATTENTION => Reporting::Attention,
            mrie::ON_REQUEST => Reporting::OnRequest,
            _ => Reporting::Never,
        })
    }
}

/// The pages with their offsets in an image.
fn placed() -> impl Iterator<Item = (usize, &'static ModePage)> {
    PAGES.iter().scan(0, |next, page| {
        let at = *next;
        *next += page.bytes;
        Some((at, page))
    })
}

fn image(write: impl Fn(&ModePage, &mut [u8])) -> Image {
    let mut image = [0; PAGES_BYTES];
    for (at, page) in placed() {
        write(page, &mut image[at..at + page.bytes]);
    }
    image
}

/// Where a page lies in an image.
///
/// # Panics
/// At build time, when there is no such page.
#[must_use]
pub const fn offset_of(page: u8, subpage: u8) -> usize {
    let (mut at, mut index) = (0, 0);
    while PAGES[index].page != page || PAGES[index].subpage != subpage {
        at += PAGES[index].bytes;
        index += 1;
    }
    at
}
