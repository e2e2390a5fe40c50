//! C6: what was asked for is done or refused for a reason that there is: nobody is told of threads that are missing or calls that do not
//! return where there are none, and nothing that was loaded is left without anybody who creates it.

use std::collections::BTreeMap;
use std::time::Duration;

use plugin_engine::{Cause, PluginState, simulation};

use super::{Checked, Seen, Violation, number};

/// What somebody is told whose call no thread can be had for, or meets one that does not return.
const NOBODY_CALLS: &str = "an abandoned call has not returned";

#[derive(Default)]
pub(super) struct Answers {
    /// When there was last a reason for which a plugin might not be called.
    reasons: BTreeMap<usize, Duration>,
    /// Since when a plugin is loaded and not created.
    loaded: BTreeMap<usize, Duration>,
}

impl Answers {
    pub(super) fn look(&mut self, seen: &Seen<'_>) -> Checked {
        let (_, stuck_beside) = simulation::asides(seen.engine);
        let is_short = seen.is_short_of_threads() || stuck_beside > 0 || seen.is_stopping;
        for transition in seen.transitions {
            if matches!(
                transition.cause,
                Cause::ReturnedLate | Cause::UpdateTimedOut
            ) {
                self.reasons.insert(number(&transition.id), seen.now);
            }
        }
        for snapshot in seen.snapshots {
            let plugin = number(snapshot.id());
            let call = snapshot.in_flight.as_ref();
            if is_short || call.is_some_and(|call| call.abandoned) {
                self.reasons.insert(plugin, seen.now);
            }
            if snapshot.state != PluginState::Loaded || call.is_some() {
                self.loaded.remove(&plugin);
                continue;
            }
            let since = *self.loaded.entry(plugin).or_insert(seen.now);
            // Judged once whoever asked has an answer; what was missing meanwhile is a reason, too.
            if !seen.is_asked(plugin) && !self.was_reason(plugin, since) {
                return Err(Violation::new(
                    "C6",
                    format!("{plugin}: it is loaded since {since:?}, and nobody creates it"),
                ));
            }
        }
        let answered = seen.asked.iter().filter_map(|asked| {
            let (at, answer) = asked.answer.as_ref()?;
            let error = answer.as_ref().err()?;
            (*at == seen.now).then_some((asked, error))
        });
        for (asked, error) in answered {
            if error.contains(NOBODY_CALLS) && !self.was_reason(asked.plugin, asked.at) {
                return Err(Violation::new(
                    "C6",
                    format!("{asked:?}, and every call of it has returned"),
                ));
            }
        }
        Ok(())
    }

    fn was_reason(&self, plugin: usize, since: Duration) -> bool {
        self.reasons.get(&plugin).is_some_and(|at| *at >= since)
    }
}
