//! What the calls of a plugin use: wall time of all, CPU time of some, and limits of both. One record per plugin, which lies in its
//! cell and is written under the lock that is held at the end of a call anyway.
//!
//! The way of a good update adds up three numbers, counts in one bucket, and compares `now` with the moment from which on the next
//! update is to be measured with care. What never comes here: reading a clock on that way, and what follows from a limit that
//! was passed.

mod cpu;
mod limits;
mod report;
mod wall;
mod window;

use std::time::Duration;

use plugin_engine_core::{CallEnd, CallId, CallKind, Cause, Event, Machine, Moment, Step};

use cpu::SampledCpu;
use limits::Judge;
use report::micros;
use wall::{SpreadWall, Wall};
use window::{Totals, Windows};

pub(crate) use cpu::CpuMeter;
pub use limits::LimitLevel;
pub(crate) use limits::{Levels, UsageLimits, Verdict};
pub use report::{
    CallUsage, Percentiles, PluginTallies, PluginUsage, RecentUsage, UpdateDurations,
};
pub use wall::DURATION_BOUNDS;

/// How much time lies between two updates that are measured with care. A little less than a second, so that of a plugin that is called
/// each second every update is, also if one starts a little sooner after its tick than the one before.
const SAMPLE_PERIOD: Duration = Duration::from_millis(900);
/// How many abandoned calls of one plugin are followed. There are no more: the machine has a limit of its own.
const OVERDUE_MAX: usize = 8;

/// What the calls of one plugin have used.
#[derive(Default)]
pub(crate) struct UsageRecord {
    /// From when on the next update is to be measured with care.
    next_sample: Moment,
    updates: SpreadWall,
    /// What the way of a good update does not touch; made at the first call.
    rest: Option<Box<Rest>>,
}

#[derive(Default)]
struct Rest {
    others: Wall,
    update_late_ns: u64,
    other_late_ns: u64,
    update_cpu: SampledCpu,
    other_cpu: SampledCpu,
    /// The calls that were abandoned and have not returned.
    overdue: Vec<Overdue>,
    restarts: u64,
    windows: Windows,
    judge: Judge,
}

struct Overdue {
    id: CallId,
    kind: CallKind,
    abandoned: Moment,
}

/// A call that an event is about to end.
pub(crate) struct Ending {
    id: CallId,
    /// What it is and when it started; `None` for one that the machine does not wait for any more.
    call: Option<(CallKind, Moment)>,
}

impl Ending {
    /// What `event` ends, looked up before the machine forgets it.
    pub(crate) fn of(machine: &Machine, event: &Event) -> Option<Self> {
        let (Event::CallEnded { id, .. } | Event::Abandoned { id, .. }) = *event else {
            return None;
        };
        let call = machine.in_flight().filter(|call| call.id == id);
        Some(Self {
            id,
            call: call.map(|call| (call.call, call.started)),
        })
    }
}

impl UsageRecord {
    /// Whether the next update is to be measured with care, which is not done on the plain way.
    #[inline]
    pub(crate) fn is_sample_due(&self, now: Moment) -> bool {
        now >= self.next_sample
    }

    /// Counts an update that was in time and completed.
    #[inline]
    pub(crate) fn add_plain_update(&mut self, nanos: u64) {
        self.updates.add(nanos);
    }

    /// Whether the update that begins now is to be measured with care; the next one is then not for a while.
    pub(crate) fn take_sample(&mut self, now: Moment) -> bool {
        if !self.is_sample_due(now) {
            return false;
        }
        self.next_sample = now.saturating_add(SAMPLE_PERIOD);
        self.updates.spread_from_now_on();
        let totals = self.totals();
        self.rest().windows.begin(now, &totals);
        true
    }

    /// Counts the CPU time of a call, by whoever made it and before its end is recorded.
    pub(crate) fn add_cpu(&mut self, kind: CallKind, wall: Duration, cpu: Duration) {
        let rest = self.rest();
        let sampled = match kind {
            CallKind::Update => &mut rest.update_cpu,
            _ => &mut rest.other_cpu,
        };
        sampled.add(nanos(wall), nanos(cpu));
    }

    /// Follows the machine, which has taken a step at `now`; `ending` is the call that ended with it, if one did.
    pub(crate) fn follow(&mut self, ending: Option<Ending>, step: &Step, now: Moment) {
        if let Some(record) = &step.record
            && record.cause == Cause::Restarted
        {
            self.rest().restarts += 1;
        }
        if let Some(record) = &step.record
            && begins_anew(record.cause)
            && let Some(rest) = &mut self.rest
        {
            rest.windows = Windows::default();
            rest.judge.begin_anew();
        }
        let Some(Ending { id, call }) = ending else {
            return;
        };
        match (step.ended, call) {
            (CallEnd::InTime, Some((kind, started))) => {
                self.add(kind, nanos(now.saturating_since(started)));
            }
            (CallEnd::Abandoned, Some((kind, started))) => {
                self.add(kind, nanos(now.saturating_since(started)));
                let overdue = &mut self.rest().overdue;
                if overdue.len() < OVERDUE_MAX {
                    overdue.push(Overdue {
                        id,
                        kind,
                        abandoned: now,
                    });
                }
            }
            (CallEnd::Late { .. }, _) => self.add_late(id, now),
            _ => {}
        }
    }

    fn add(&mut self, kind: CallKind, nanos: u64) {
        match kind {
            CallKind::Update => {
                self.updates.spread_from_now_on();
                self.updates.add(nanos);
            }
            _ => self.rest().others.add(nanos),
        }
    }

    /// What an abandoned call took since.
    fn add_late(&mut self, id: CallId, now: Moment) {
        let rest = self.rest();
        let Some(at) = rest.overdue.iter().position(|overdue| overdue.id == id) else {
            return;
        };
        let Overdue {
            kind, abandoned, ..
        } = rest.overdue.swap_remove(at);
        let late_ns = match kind {
            CallKind::Update => &mut rest.update_late_ns,
            _ => &mut rest.other_late_ns,
        };
        *late_ns = late_ns.saturating_add(nanos(now.saturating_since(abandoned)));
    }

    /// Judges the window that ends now, if one does. `None` if nothing is to be told.
    pub(crate) fn judge(
        &mut self,
        now: Moment,
        limits: impl FnOnce() -> UsageLimits,
    ) -> Option<Verdict> {
        let totals = self.totals();
        let limits = limits();
        let rest = self.rest();
        let used = rest.windows.close(now, &totals, limits.window)?;
        rest.judge.judge(&limits, &used)
    }

    /// What [`Self::judge`] said could not be told to the machine.
    pub(crate) fn verdict_not_heard(&mut self) {
        self.rest().judge.not_heard();
    }

    fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    fn totals(&self) -> Totals {
        let updates = self.updates.wall;
        let mut totals = Totals {
            updates: updates.calls,
            update_ns: updates.total_ns,
            ..Totals::default()
        };
        if let Some(rest) = &self.rest {
            totals.update_late_ns = rest.update_late_ns;
            totals.update_cpu = rest.update_cpu;
            totals.other_cpu = rest.other_cpu;
        }
        totals
    }

    /// What is told of it at the moment `now`.
    pub(crate) fn report(&self, now: Moment) -> PluginUsage {
        let none = Rest::default();
        let rest = self.rest.as_deref().unwrap_or(&none);
        let totals = self.totals();
        let recent = rest.windows.recent(now, &totals).map(|used| RecentUsage {
            span_ms: u64::try_from(used.span.as_millis()).unwrap_or(u64::MAX),
            updates: used.totals.updates,
            update_mean_us: used.totals.update_mean_ns().map(micros),
            cpu_percent: used
                .totals
                .cpu_ns()
                .filter(|_| !used.span.is_zero())
                .map(|cpu| cpu as f64 * 100.0 / used.span_ns() as f64),
        });
        let of_updates = totals.update_cpu_ns();
        let of_others = (rest.other_cpu.calls > 0).then_some(rest.other_cpu.cpu_ns);
        PluginUsage {
            updates: CallUsage {
                late_total_us: micros(rest.update_late_ns),
                percentiles: self.percentiles(),
                ..of_calls(&self.updates.wall, &rest.update_cpu, of_updates)
            },
            others: CallUsage {
                late_total_us: micros(rest.other_late_ns),
                ..of_calls(&rest.others, &rest.other_cpu, of_others)
            },
            cpu_total_us: totals.cpu_ns().map(micros),
            cpu_sampled_calls: rest.update_cpu.calls + rest.other_cpu.calls,
            recent,
            limits: rest.judge.level(),
        }
    }

    /// What is counted, for a monitoring system.
    pub(crate) fn tallies(&self) -> PluginTallies {
        let Wall {
            calls, total_ns, ..
        } = self.updates.wall;
        PluginTallies {
            updates: UpdateDurations {
                calls,
                total: Duration::from_nanos(total_ns),
                below: self.updates.below(),
            },
            restarts: self.rest.as_ref().map_or(0, |rest| rest.restarts),
        }
    }

    fn percentiles(&self) -> Option<Percentiles> {
        let shares = [0.5, 0.9, 0.99, 0.999];
        let [p50_us, p90_us, p99_us, p999_us] = self.updates.quantiles_ns(shares)?.map(micros);
        Some(Percentiles {
            p50_us,
            p90_us,
            p99_us,
            p999_us,
        })
    }
}

fn of_calls(wall: &Wall, sampled: &SampledCpu, cpu_ns: Option<u64>) -> CallUsage {
    CallUsage {
        calls: wall.calls,
        wall_total_us: micros(wall.total_ns),
        wall_mean_us: micros(wall.total_ns) / wall.calls.max(1) as f64,
        wall_max_us: micros(wall.max_ns),
        late_total_us: 0.0,
        percentiles: None,
        cpu_total_us: cpu_ns.map(micros),
        cpu_sampled_calls: sampled.calls,
        cpu_share: (sampled.wall_ns > 0).then(|| sampled.cpu_ns as f64 / sampled.wall_ns as f64),
    }
}

/// Whether what was used before says nothing of what comes: other code, or an instance that somebody or a policy wanted anew.
fn begins_anew(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Mapped
            | Cause::SwitchedOn
            | Cause::RequirementMet
            | Cause::Restarted
            | Cause::Reset
            | Cause::Reloaded
            | Cause::RolledBack
    )
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use plugin_engine_core::{
        AbandonReason, CallLimits, CallOutcome, CreateReason, Schedule, WallTime,
    };

    use super::limits::Levels;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MILLI: Duration = Duration::from_millis(1);

    fn at(millis: u64) -> Moment {
        Moment::ZERO.saturating_add(Duration::from_millis(millis))
    }

    /// A machine and the record that follows it, as a cell has them.
    struct Rig {
        machine: Machine,
        usage: UsageRecord,
    }

    impl Rig {
        fn new() -> Self {
            let limits = CallLimits {
                create: SECOND,
                update: SECOND,
                display: SECOND,
                destroy: SECOND,
                state: SECOND,
            };
            let mut rig = Self {
                machine: Machine::new(Schedule::new(SECOND, Duration::ZERO), limits),
                usage: UsageRecord::default(),
            };
            rig.apply(0, Event::Mapped);
            let create = rig.apply(0, Event::CreateStarted(CreateReason::Load));
            rig.end(0, create.unwrap());
            rig
        }

        fn apply(&mut self, millis: u64, event: Event) -> Option<CallId> {
            let ending = Ending::of(&self.machine, &event);
            let now = at(millis);
            let step = self.machine.apply(now, WallTime::default(), event).unwrap();
            self.usage.follow(ending, &step, now);
            step.call
        }

        fn start_update(&mut self, millis: u64) -> CallId {
            let event = Event::UpdateStarted { on_demand: true };
            self.apply(millis, event).unwrap()
        }

        fn end(&mut self, millis: u64, id: CallId) {
            let outcome = CallOutcome::Completed;
            self.apply(millis, Event::CallEnded { id, outcome });
        }
    }

    #[test]
    fn updates_and_other_calls_are_counted_apart() {
        let mut rig = Rig::new();
        let id = rig.start_update(10);
        rig.end(30, id);
        let id = rig.apply(40, Event::DisplayStarted).unwrap();
        rig.end(45, id);
        let told = rig.usage.report(at(50));
        assert_eq!((told.updates.calls, told.others.calls), (1, 2));
        assert_eq!(told.updates.wall_total_us, 20_000.0);
        assert_eq!(told.others.wall_max_us, 5_000.0);
        assert!(told.updates.percentiles.is_some() && told.others.percentiles.is_none());
    }

    #[test]
    fn an_abandoned_call_counts_to_its_deadline_and_the_rest_when_it_returns() {
        let mut rig = Rig::new();
        let id = rig.start_update(0);
        let why = AbandonReason::Deadline;
        rig.apply(1_000, Event::Abandoned { id, why });
        let told = rig.usage.report(at(2_000)).updates;
        assert_eq!((told.calls, told.wall_max_us), (1, 1_000_000.0));
        assert_eq!(told.late_total_us, 0.0);
        rig.end(5_500, id);
        let told = rig.usage.report(at(6_000)).updates;
        assert_eq!((told.calls, told.wall_max_us), (1, 1_000_000.0));
        assert_eq!(told.late_total_us, 4_500_000.0);
    }

    #[test]
    fn an_abandoned_call_of_an_instance_before_counts_when_it_returns_too() {
        let mut rig = Rig::new();
        let id = rig.start_update(0);
        let why = AbandonReason::Deadline;
        rig.apply(1_000, Event::Abandoned { id, why });
        let create = rig.apply(2_000, Event::CreateStarted(CreateReason::Reset));
        rig.end(2_001, create.unwrap());
        rig.end(3_000, id);
        assert_eq!(
            rig.usage.report(at(3_000)).updates.late_total_us,
            2_000_000.0
        );
    }

    #[test]
    fn of_updates_in_quick_succession_one_a_second_is_measured_with_care() {
        let mut usage = UsageRecord::default();
        let taken = (0..5_000).filter(|&milli| usage.take_sample(at(milli)));
        assert_eq!(taken.count(), 6);
    }

    #[test]
    fn of_updates_a_second_apart_each_is_measured_also_if_one_starts_a_little_early() {
        let mut usage = UsageRecord::default();
        let starts = (0..100).map(|n| n * 1_000 + if n % 2 == 0 { 50 } else { 0 });
        assert_eq!(
            starts.filter(|&at_ms| usage.take_sample(at(at_ms))).count(),
            100
        );
    }

    #[test]
    fn cpu_time_is_estimated_from_the_updates_that_were_measured() {
        let mut usage = UsageRecord::default();
        assert!(usage.take_sample(at(0)));
        for _ in 0..100 {
            usage.add(CallKind::Update, 10_000);
        }
        usage.add_cpu(
            CallKind::Update,
            Duration::from_micros(10),
            Duration::from_micros(4),
        );
        usage.add_cpu(CallKind::Create, MILLI, MILLI);
        let told = usage.report(at(1));
        assert_eq!(told.updates.cpu_total_us, Some(400.0));
        assert_eq!(told.updates.cpu_share, Some(0.4));
        assert_eq!(told.cpu_total_us, Some(1_400.0));
        assert_eq!(told.cpu_sampled_calls, 2);
    }

    #[test]
    fn what_is_long_past_is_forgotten_in_what_was_used_lately() {
        let mut usage = UsageRecord::default();
        let none = || UsageLimits::none(10 * SECOND);
        let mut now = 0;
        let mut second = |usage: &mut UsageRecord, millis: u64| {
            assert!(usage.take_sample(at(now)));
            let time = Duration::from_millis(millis);
            usage.add(CallKind::Update, nanos(time));
            usage.add_cpu(CallKind::Update, time, time);
            now += 1_000;
            assert_eq!(usage.judge(at(now), none), None);
            usage.report(at(now)).recent.unwrap()
        };
        for _ in 0..10 {
            second(&mut usage, 500);
        }
        let slow = second(&mut usage, 500);
        assert_eq!((slow.span_ms, slow.cpu_percent), (11_000, Some(50.0)));
        for _ in 0..19 {
            second(&mut usage, 10);
        }
        let quick = second(&mut usage, 10);
        assert_eq!((quick.span_ms, quick.cpu_percent), (11_000, Some(1.0)));
        assert_eq!(quick.update_mean_us, Some(10_000.0));
    }

    #[test]
    fn a_reset_and_other_code_begin_anew_and_a_new_instance_after_a_panic_does_not() {
        let mut rig = Rig::new();
        let limits = || {
            let mut limits = UsageLimits::none(SECOND);
            limits.update_mean = Levels {
                degraded: Some(MILLI),
                unhealthy: None,
            };
            limits
        };
        let pass = |rig: &mut Rig, from: u64| {
            rig.usage.take_sample(at(from));
            let id = rig.start_update(from);
            rig.end(from + 500, id);
            rig.usage.judge(at(from + 1_000), limits)
        };
        assert!(pass(&mut rig, 0).is_some());
        assert!(pass(&mut rig, 1_000).is_none());
        let create = rig.apply(2_000, Event::CreateStarted(CreateReason::Reset));
        rig.end(2_000, create.unwrap());
        assert_eq!(rig.usage.report(at(2_000)).limits, LimitLevel::Kept);
        assert!(pass(&mut rig, 3_000).is_some());

        let id = rig.start_update(4_000);
        let report =
            plugin_engine_core::FaultReport::new(plugin_engine_core::FaultKind::Panic, "!");
        let outcome = CallOutcome::Panicked(report);
        rig.apply(4_000, Event::CallEnded { id, outcome });
        let create = rig.apply(4_000, Event::CreateStarted(CreateReason::Anew));
        rig.end(4_000, create.unwrap());
        assert_eq!(rig.usage.report(at(4_000)).limits, LimitLevel::Degraded);
    }
}
