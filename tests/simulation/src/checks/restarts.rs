//! H3, L12: restarts back off between the first delay and the longest, twice as long each time while nothing gets better, and are given up.

use std::collections::BTreeMap;
use std::time::Duration;

use plugin_engine::{CallKind, Cause, PluginState, Transition};

use super::{Checked, Seen, Violation, number};
use crate::policy::{Restart, policy_of};
use crate::world::What;

/// By how much the engine's rounding, and a worker that has to be found, may move a restart.
const LATE_MAX: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Known {
    /// Since when it waits for a restart, and how many decisions came before that without a success in between.
    waits: Option<(Duration, u32)>,
    in_a_row: u32,
    /// Whether what it waits for is its first create.
    is_a_create: bool,
    /// When restarts were made that count.
    made: Vec<Duration>,
    free_since: Option<Duration>,
}

#[derive(Default)]
pub(super) struct Restarts {
    plugins: BTreeMap<usize, Known>,
}

/// The least and the most that a restart waits after so many others.
fn delays(policy: &Restart, in_a_row: u32) -> (Duration, Duration) {
    let factor = 1_u32.checked_shl(in_a_row).unwrap_or(u32::MAX);
    let delay = policy.delay.saturating_mul(factor).min(policy.delay_max);
    let least = delay * (100 - policy.jitter_percent) / 100;
    let most = policy.delay_max * (100 + policy.jitter_percent) / 100;
    (
        least.max(Duration::from_millis(1)),
        most.max(Duration::from_millis(1)),
    )
}

impl Restarts {
    pub(super) fn look(&mut self, seen: &Seen<'_>) -> Checked {
        for fact in seen.facts {
            let (What::Began(_), CallKind::Create, true) = (fact.what, fact.call, fact.by_worker)
            else {
                continue;
            };
            let known = self.plugins.entry(fact.plugin).or_default();
            if seen.is_asked(fact.plugin) {
                // Somebody begins anew: what was tried before does not count against that.
                *known = Known::default();
            } else if let Some((since, in_a_row)) = known.waits {
                known.made(fact.plugin, seen.now, since, in_a_row)?;
            }
        }
        for transition in seen.transitions {
            let known = self.plugins.entry(number(&transition.id)).or_default();
            known.follow(seen.now, transition);
        }
        for snapshot in seen.snapshots {
            let plugin = number(snapshot.id());
            let known = self.plugins.entry(plugin).or_default();
            if seen.is_asked(plugin) {
                // Which of the creates of this moment was somebody's is not known.
                known.waits = known.waits.map(|(since, _)| (since, 0));
                known.in_a_row = known.in_a_row.min(1);
                known.made.clear();
            }
            let is_free = snapshot.state == PluginState::Error
                && snapshot.in_flight.is_none()
                && !seen.is_asked(plugin)
                && !seen.is_short_of_threads()
                && !seen.is_stopping;
            let Some((since, _)) = known.waits.filter(|_| is_free) else {
                known.free_since = None;
                continue;
            };
            if snapshot.next_update.is_none() {
                // Given up, or for good: nothing comes by itself.
                known.waits = None;
                continue;
            }
            let free_since = *known.free_since.get_or_insert(seen.now);
            let (_, most) = delays(&policy_of(plugin).restart, 0);
            if seen.now > (since + most).max(free_since) + LATE_MAX {
                return Err(Violation::new(
                    "H3",
                    format!("{} waits for a restart since {since:?}", snapshot.id()),
                ));
            }
        }
        Ok(())
    }
}

impl Known {
    fn made(&mut self, plugin: usize, now: Duration, since: Duration, in_a_row: u32) -> Checked {
        let policy = policy_of(plugin).restart;
        let (least, _) = delays(&policy, in_a_row);
        if now < since + least {
            return Err(Violation::new(
                "H3",
                format!(
                    "plugin {plugin} is restarted {:?} after it failed for the {in_a_row}th time in a row, the least is {least:?}",
                    now - since
                ),
            ));
        }
        if std::mem::take(&mut self.is_a_create) {
            // The one that there was no thread for: it follows no failure.
            return Ok(());
        }
        self.made.push(now);
        self.made.retain(|made| now - *made < policy.window);
        if self.made.len() > policy.max_restarts as usize {
            return Err(Violation::new(
                "H3",
                format!(
                    "plugin {plugin} is restarted {} times within {:?}, {} times are allowed",
                    self.made.len(),
                    policy.window,
                    policy.max_restarts
                ),
            ));
        }
        Ok(())
    }

    fn follow(&mut self, now: Duration, transition: &Transition) {
        match transition.cause {
            Cause::Unhealthy | Cause::CreateFailed => {
                self.waits = Some((now, self.in_a_row));
                self.in_a_row += 1;
            }
            Cause::UpdateCompleted => self.in_a_row = 0,
            Cause::Reset
            | Cause::SwitchedOn
            | Cause::Mapped
            | Cause::Reloaded
            | Cause::RolledBack
            | Cause::LoadFailed => *self = Self::default(),
            // Tried again later, for a reason that has nothing to do with it.
            Cause::CallRefused if transition.to == PluginState::Error => {
                self.is_a_create |= self.waits.is_none();
                self.waits = Some((now, 0));
            }
            _ => {}
        }
        if transition.to != PluginState::Error {
            self.waits = None;
            self.is_a_create = false;
        }
    }
}
