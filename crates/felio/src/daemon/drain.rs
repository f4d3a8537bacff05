//! Draining: nobody new gets to a portal group, a LUN or everything, and what runs there ends. Nothing of it is saved: it lasts until somebody
//! ends it, or the daemon does.
//!
//! What is drained is served as if the configuration had disabled the portal group, or had no such LUN; so initiators are asked to log out,
//! and commands that have begun end as usual.

use super::lines::Desk;
use super::{Request, Sessions};
use core::time::Duration;
use felio_control::view::LeftView;
use felio_control::{Condition, Conditions, Config, Path, Refusal, RefusalKind, Target};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

/// How soon to look again whether all has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// What is drained.
#[derive(Default)]
pub(super) struct Drained(BTreeSet<Path>);

impl Drained {
    /// From now on, or from now on no more; whether that is news.
    pub(super) fn set(&mut self, path: Path, is_drained: bool) -> bool {
        if is_drained { self.0.insert(path) } else { self.0.remove(&path) }
    }

    /// What is served of a configuration.
    pub(super) fn served<'a>(&self, config: &'a Config) -> Cow<'a, Config> {
        if self.0.is_empty() {
            return Cow::Borrowed(config);
        }
        let mut served = config.clone();
        for path in &self.0 {
            match path {
                Path::Root => served.targets.values_mut().for_each(close),
                Path::Target(key) => served.targets.get_mut(key).into_iter().for_each(close),
                Path::Tpg(key) => {
                    if let Some(target) = served.targets.get_mut(&key.target)
                        && let Some(tpg) = Arc::make_mut(target).tpgs.get_mut(&key.tag)
                    {
                        tpg.enable = false;
                    }
                }
                Path::Lun(key, index) => {
                    if let Some(target) = served.targets.get_mut(&key.target)
                        && let Some(tpg) = Arc::make_mut(target).tpgs.get_mut(&key.tag)
                    {
                        tpg.luns.remove(index);
                        for acl in tpg.acls.values_mut() {
                            acl.mapped_luns.retain(|_, mapped| mapped.tpg_lun != *index);
                        }
                    }
                }
                _ => {}
            }
        }
        Cow::Owned(served)
    }

    /// Says so of what is drained; what is gone is forgotten.
    pub(super) fn mark(&mut self, config: &Config, conditions: &mut Conditions) {
        self.0.retain(|path| path.exists(config));
        for path in &self.0 {
            conditions.set(path.clone(), Condition::Drained);
        }
    }
}

fn close(target: &mut Arc<Target>) {
    if target.tpgs.values().any(|tpg| tpg.enable) {
        Arc::make_mut(target).tpgs.values_mut().for_each(|tpg| tpg.enable = false);
    }
}

/// Drains, and waits so long for the end of what runs; `None` ends the draining. What is left then.
pub(super) fn drain(desk: &Desk, path: &Path, within: Option<Duration>) -> Result<LeftView, Refusal> {
    if !matches!(path, Path::Root | Path::Target(_) | Path::Tpg(_) | Path::Lun(..)) {
        let what = format!("{path} cannot be drained");
        return Err(Refusal::new(RefusalKind::NotSupported, what)
            .hint("/, a target, a portal group or a LUN of one can")
            .at(path.clone()));
    }
    let gone = || Refusal::new(RefusalKind::Busy, "felio is about to end");
    let is_drained = within.is_some();
    let (who, drained) = (desk.who.clone(), path.clone());
    let asked = desk.hand_in(|reply| Request::Drain { who, path: drained, is_drained, reply });
    asked.and_then(|asked| asked.blocking_recv().ok()).ok_or_else(gone)??;
    let Some(within) = within else { return Ok(LeftView::default()) };
    let (until, mut most) = (Instant::now() + within, 0);
    loop {
        let asked = desk.hand_in(|reply| Request::Left { path: path.clone(), reply });
        let left = asked.and_then(|asked| asked.blocking_recv().ok()).ok_or_else(gone)?;
        let count = left.commands + u64::try_from(left.initiators.len()).unwrap_or(u64::MAX);
        most = count.max(most);
        let wanted = desk.work.as_ref().map_or(Ok(()), |work| work.reach(most - count, most));
        if let Err(unwanted) = wanted {
            drain(desk, path, None)?;
            return Err(unwanted.hint("initiators are let in again").at(path.clone()));
        }
        if left == LeftView::default() || Instant::now() >= until {
            return Ok(left);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Who is still logged in there, and what of them runs. Initiators stay where only a LUN is drained; then all commands of its
/// storage object count.
pub(super) fn left(path: &Path, sessions: &Sessions, commands: impl FnOnce(&Path) -> u64) -> LeftView {
    let is_there = |tpg: &felio_control::TpgKey| match path {
        Path::Root => true,
        Path::Target(key) => tpg.target == *key,
        Path::Tpg(key) => tpg == key,
        _ => false,
    };
    let (initiators, running) = sessions.there(is_there);
    LeftView { initiators, commands: running + commands(path) }
}
