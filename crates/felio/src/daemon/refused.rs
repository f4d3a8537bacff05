//! Who is refused before the desk hears of it: for want of a valid token, or with one that lets nothing change. The audit log tells that, but not of
//! each time: anybody may come, as often as they like.
//!
//! The first is told at once. Those that follow are counted until a second is over, and then one line tells of the last and how many others there
//! were; the next one comes after two seconds, and so on up to a minute, as long as it goes on. Whoever has a token is told of apart from
//! strangers, who share their lines: so the lines that wait are no more than there are tokens, and a file of the log lasts.

use super::Happening;
use super::audit::{Deed, Who};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::sleep;

/// How long is counted after a line, first and at the most.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Somebody who was refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) who: Who,
    pub(super) what: Deed,
    /// How many others were since the last that was told.
    pub(super) left_out: u64,
}

/// Everybody who was refused lately, by the token's name, with the last who is not told of yet.
#[derive(Clone)]
pub(super) struct Doorkeeper {
    desk: Sender<Happening>,
    lately: Arc<Mutex<BTreeMap<Option<String>, Option<Refused>>>>,
}

impl Doorkeeper {
    pub(super) fn new(desk: Sender<Happening>) -> Self {
        Self { desk, lately: Arc::default() }
    }

    /// Somebody was refused. Only where tokio is.
    pub(super) fn note(&self, who: &Who, what: Deed) {
        let name = match who {
            Who::Token { name, .. } => Some(name.clone()),
            _ => None,
        };
        let mut refused = Refused { who: who.clone(), what, left_out: 0 };
        let mut lately = self.lately();
        if let Some(last) = lately.get_mut(&name) {
            refused.left_out = last.as_ref().map_or(0, |last| last.left_out + 1);
            *last = Some(refused);
        } else {
            lately.insert(name.clone(), None);
            self.tell(refused);
            tokio::spawn(self.clone().count(name));
        }
    }

    /// Tells of those who follow, until nobody does.
    async fn count(self, name: Option<String>) {
        let mut pause = PAUSE;
        loop {
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
            if !self.has_told(&name) {
                return;
            }
        }
    }

    /// Whether there was somebody to tell of; who comes later is the first again, otherwise.
    fn has_told(&self, name: &Option<String>) -> bool {
        let mut lately = self.lately();
        match lately.get_mut(name).and_then(Option::take) {
            Some(refused) => {
                self.tell(refused);
                true
            }
            None => {
                lately.remove(name);
                false
            }
        }
    }

    fn tell(&self, refused: Refused) {
        // Where there is no desk any more there is no log.
        let _ = self.desk.send(Happening::Refused(refused));
    }

    fn lately(&self) -> MutexGuard<'_, BTreeMap<Option<String>, Option<Refused>>> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Role;
    use std::sync::mpsc::{Receiver, channel};

    fn note(door: &Doorkeeper, who: &Who) {
        door.note(who, Deed::Request { method: "GET".to_owned(), path: "/".to_owned() });
    }

    fn stranger(last: u64) -> Who {
        Who::Stranger { from: format!("192.0.2.{last}:1"), has_token: false }
    }

    /// Who the desk has been told of, with how many others.
    fn told(desk: &Receiver<Happening>) -> Vec<(Who, u64)> {
        let lines = desk.try_iter().filter_map(|happening| match happening {
            Happening::Refused(refused) => Some((refused.who, refused.left_out)),
            _ => None,
        });
        lines.collect()
    }

    #[test]
    fn the_first_is_told_and_those_that_follow_are_counted_until_it_is_time() {
        // Nothing runs in it: time does not pass but by hand.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let _inside = runtime.enter();
        let (sender, desk) = channel();
        let door = Doorkeeper::new(sender);
        (1..=5).for_each(|last| note(&door, &stranger(last)));
        let reader = Who::Token { name: "ci".to_owned(), role: Role::Read, from: String::new() };
        note(&door, &reader);
        assert_eq!(told(&desk), [(stranger(1), 0), (reader, 0)]);
        assert!(door.has_told(&None));
        assert_eq!(told(&desk), [(stranger(5), 3)]);
        note(&door, &stranger(6));
        assert!(door.has_told(&None));
        assert_eq!(told(&desk), [(stranger(6), 0)]);
        assert!(!door.has_told(&None), "nobody has come");
        note(&door, &stranger(7));
        assert_eq!(told(&desk), [(stranger(7), 0)]);
    }
}
