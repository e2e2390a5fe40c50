//! C2, C4, C5, C7, H5: when each plugin is to be called next. Kept from what has happened to it, never from what the engine says.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use plugin_engine::{CallKind, Cause, Command, PluginState, Snapshot, Transition};

use super::{Checked, Seen, Violation, number};
use crate::behaviour::Ends;
use crate::policy::policy_of;
use crate::world::What;

/// How late a call may be: one that has lasted a millisecond holds up nobody any more, and every plugin of a run may be such a one.
const LATE_MAX: Duration = Duration::from_millis(20);

/// How long a call may hold up the next of its worker.
const HELD_UP_MAX: Duration = Duration::from_millis(1);

/// What is known of one plugin.
struct Plan {
    state: PluginState,
    /// The next tick; `None` where what has happened does not say.
    due: Option<Duration>,
    /// Until when the breaker is open.
    cool_until: Option<Duration>,
    failures_in_a_row: u32,
    /// The last tick that was skipped because of a call.
    skipped: Option<Duration>,
    /// The deadlines of the updates that have not returned, by instance.
    deadlines: BTreeMap<u64, Duration>,
    /// What updates have asked for that have failed in time.
    asked_delays: VecDeque<Option<Duration>>,
    /// Since when nothing but the schedule keeps it from being called.
    free_since: Option<Duration>,
    /// How many ticks were counted as skipped.
    counted_skips: u64,
    /// Whether threads were short at the last look.
    was_short: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            state: PluginState::Unloaded,
            due: None,
            cool_until: None,
            failures_in_a_row: 0,
            skipped: None,
            deadlines: BTreeMap::new(),
            asked_delays: VecDeque::new(),
            free_since: None,
            counted_skips: 0,
            was_short: false,
        }
    }
}

#[derive(Default)]
pub(super) struct Timing {
    plans: BTreeMap<usize, Plan>,
}

/// The first tick of a grid after `now`.
fn after(mut tick: Duration, interval: Duration, now: Duration) -> Duration {
    if tick <= now {
        let missed = (now - tick).as_nanos() / interval.as_nanos() + 1;
        tick += interval * u32::try_from(missed).unwrap_or(u32::MAX);
    }
    tick
}

impl Timing {
    pub(super) fn next_moment(&self, now: Duration) -> Option<Duration> {
        let due = self.plans.values().filter_map(Plan::effective);
        due.map(|due| due + LATE_MAX + Duration::from_nanos(1))
            .filter(|moment| *moment > now)
            .min()
    }

    pub(super) fn look(&mut self, seen: &Seen<'_>) -> Checked {
        for fact in seen.facts {
            if fact.call != CallKind::Update || !fact.by_worker {
                continue;
            }
            let plan = self.plans.entry(fact.plugin).or_default();
            match fact.what {
                What::Began(deadline) => {
                    plan.deadlines.insert(fact.instance, deadline);
                }
                What::Ended(ends) => {
                    let deadline = plan.deadlines.remove(&fact.instance);
                    if let Ends::Fails(after) = ends
                        && deadline.is_some_and(|deadline| fact.at < deadline)
                    {
                        plan.asked_delays.push_back(after);
                    }
                }
            }
        }
        for transition in seen.transitions {
            let plugin = number(&transition.id);
            let plan = self.plans.entry(plugin).or_default();
            plan.follow(seen, plugin, transition)?;
            plan.state = transition.to;
        }
        for snapshot in seen.snapshots {
            let plugin = number(snapshot.id());
            let plan = self.plans.entry(plugin).or_default();
            plan.follow_skips(seen, plugin, snapshot);
            let is_free = snapshot.state == PluginState::Enabled
                && snapshot.in_flight.is_none()
                && !seen.is_asked(plugin)
                && !seen.is_short_of_threads()
                && !seen.is_stopping;
            if let Some(call) = &snapshot.in_flight
                && snapshot.state == PluginState::Enabled
            {
                plan.pass_over(seen, plugin, call.call, call.abandoned);
            }
            if !is_free {
                plan.free_since = None;
                continue;
            }
            let free_since = *plan.free_since.get_or_insert(seen.now);
            if let Some(effective) = plan.effective()
                && seen.now > effective.max(free_since) + LATE_MAX
            {
                let promise = if plan.cool_until.is_some() {
                    "H5"
                } else {
                    "C4"
                };
                return Err(Violation::new(
                    promise,
                    format!(
                        "{} was due at {effective:?}, and is not called",
                        snapshot.id()
                    ),
                ));
            }
        }
        Ok(())
    }
}

impl Plan {
    /// When it is to be called, the breaker included.
    fn effective(&self) -> Option<Duration> {
        let due = self.due?;
        Some(self.cool_until.map_or(due, |until| until.max(due)))
    }

    /// What becomes of a tick that comes while a call is in flight which is no update in time.
    fn pass_over(&mut self, seen: &Seen<'_>, plugin: usize, call: CallKind, abandoned: bool) {
        let Some(effective) = self.effective().filter(|effective| *effective <= seen.now) else {
            return;
        };
        match call {
            // The update is waiting for exactly this.
            CallKind::Create | CallKind::Destroy if !abandoned => {
                let interval = policy_of(plugin).interval;
                if effective + interval <= seen.now && seen.is_asked(plugin) {
                    // A command that holds updates back keeps the tick, and one that only waits for its call does not.
                    self.due = None;
                } else if effective + interval <= seen.now {
                    // Another tick has come meanwhile, and passed over all so far.
                    self.skipped = None;
                    self.due = Some(after(effective, interval, seen.now));
                    self.cool_until = None;
                }
            }
            // One that hung before the tick keeps no other instance from being created: the update is still to come.
            CallKind::Destroy if seen.now <= effective + HELD_UP_MAX => {}
            // It is held back, and offered again. Beside a call that was abandoned it was passed over if it came before the order, and is held back
            // if it came after: a replacement that takes over makes up for it.
            _ if seen.is_asked(plugin) => self.due = None,
            _ => {
                let interval = policy_of(plugin).interval;
                self.skipped = Some(effective);
                self.due = Some(after(effective, interval, seen.now));
                self.cool_until = None;
            }
        }
    }

    /// A tick that comes while no thread can be had is refused, which is said once and not with each; one that meets a display, a save, a
    /// create or a destroy which ends in the same moment is skipped; so is one that comes while something is missing which the plugin requires.
    /// All are counted: a tick for which there was no such reason is not
    /// taken for skipped, whatever is counted, and one that is not counted is still to come.
    fn follow_skips(&mut self, seen: &Seen<'_>, plugin: usize, snapshot: &Snapshot) {
        let is_short = seen.is_short_of_threads();
        let was_short = std::mem::replace(&mut self.was_short, is_short);
        let skipped = snapshot.counts.skipped;
        let is_counted = std::mem::replace(&mut self.counted_skips, skipped) < skipped;
        let has_other_call = seen
            .facts
            .iter()
            .any(|fact| fact.plugin == plugin && fact.by_worker && fact.call != CallKind::Update);
        let is_lacking = seen.lacking.borrow().contains(&plugin);
        let is_come = self.effective().filter(|effective| *effective <= seen.now);
        if let Some(effective) = is_come
            && is_counted
            && snapshot.state == PluginState::Enabled
            && (is_short || was_short || has_other_call || is_lacking)
        {
            self.due = Some(after(effective, policy_of(plugin).interval, seen.now));
            self.cool_until = None;
        }
    }

    fn follow(&mut self, seen: &Seen<'_>, plugin: usize, transition: &Transition) -> Checked {
        let policy = policy_of(plugin);
        let now = seen.now;
        match transition.cause {
            Cause::UpdateStarted => return self.started(seen, plugin, transition),
            Cause::UpdateCompleted => {
                self.failures_in_a_row = 0;
                self.cool_until = None;
                self.skipped = None;
                self.due = self.due.map(|due| after(due, policy.interval, now));
            }
            Cause::UpdateFailed | Cause::UpdateTimedOut | Cause::UpdatePanicked => {
                let asked = match transition.cause {
                    Cause::UpdateFailed => self.asked_delays.pop_front().flatten(),
                    _ => None,
                };
                self.due = Some(now + asked.unwrap_or(policy.interval));
                self.skipped = None;
                self.failures_in_a_row += 1;
                if let Some((failures, cool_down)) = policy.breaker
                    && (self.failures_in_a_row >= failures || self.cool_until.is_some())
                {
                    self.cool_until = Some(now + cool_down);
                }
            }
            // The ticks begin anew.
            Cause::Created | Cause::SwitchedOn | Cause::Restarted | Cause::Reset => {
                self.due = Some(now);
                self.forget_failures();
            }
            // The tick at which that was found to be due is that of an update, and not skipped.
            Cause::Replaced => self.due = self.skipped.take().or(self.due),
            // They go on where it ran.
            Cause::Reloaded | Cause::RolledBack => {
                if transition.from == PluginState::Error {
                    self.due = Some(now);
                } else if self.skipped.take().is_some() {
                    // A tick at which a call hung may be made up for.
                    self.due = None;
                }
                self.forget_failures();
            }
            Cause::Reconfigured => self.due = None,
            Cause::CallRefused => {
                if let Some(effective) = self.effective() {
                    self.due = Some(after(effective, policy.interval, now));
                    self.cool_until = None;
                }
            }
            _ => {}
        }
        if !matches!(transition.to, PluginState::Enabled | PluginState::Running) {
            self.due = None;
            self.cool_until = None;
            self.failures_in_a_row = 0;
        }
        Ok(())
    }

    fn forget_failures(&mut self) {
        self.cool_until = None;
        self.failures_in_a_row = 0;
    }

    fn started(&mut self, seen: &Seen<'_>, plugin: usize, transition: &Transition) -> Checked {
        let now = seen.now;
        let asked = seen.asked.iter().any(|asked| {
            let is_open = asked.answer.as_ref().is_none_or(|(at, _)| *at == now);
            asked.plugin == plugin && asked.order == Some(Command::Update) && is_open
        });
        let interval = policy_of(plugin).interval;
        let Some(effective) = self.effective() else {
            return Ok(());
        };
        if effective <= now {
            self.due = Some(after(effective, interval, now));
            return Ok(());
        }
        if asked {
            // Before its time: the ticks go on as they were, a cool-down is over.
            self.due = self.due.map(|due| after(due, interval, now));
            return Ok(());
        }
        let promise = match (self.cool_until, self.failures_in_a_row) {
            (Some(_), _) => "H5",
            (None, 1..) => "C7",
            (None, 0) => "C5",
        };
        Err(Violation::new(
            promise,
            format!("{transition}: it was not due before {effective:?}, and is called at {now:?}"),
        ))
    }
}
