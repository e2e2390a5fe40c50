//! What calls used within a span of time: two windows that follow each other, so that what is long past is forgotten.

use std::time::Duration;

use plugin_engine_core::Moment;

use super::cpu::SampledCpu;

/// Everything that was used up to a moment. Only grows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) updates: u64,
    pub(super) update_ns: u64,
    /// What updates took beyond their deadlines.
    pub(super) update_late_ns: u64,
    pub(super) update_cpu: SampledCpu,
    /// Of calls that are not updates, each is measured.
    pub(super) other_cpu: SampledCpu,
}

impl Totals {
    fn since(&self, before: &Self) -> Self {
        Self {
            updates: self.updates - before.updates,
            update_ns: self.update_ns - before.update_ns,
            update_late_ns: self.update_late_ns - before.update_late_ns,
            update_cpu: self.update_cpu.since(&before.update_cpu),
            other_cpu: self.other_cpu.since(&before.other_cpu),
        }
    }

    /// The CPU time of all updates, by those that were measured.
    pub(super) fn update_cpu_ns(&self) -> Option<u64> {
        let wall_ns = self.update_ns.saturating_add(self.update_late_ns);
        self.update_cpu.estimate_ns(wall_ns)
    }

    /// The CPU time of all calls; `None` if nothing was measured.
    pub(super) fn cpu_ns(&self) -> Option<u64> {
        let others = (self.other_cpu.calls > 0).then_some(self.other_cpu.cpu_ns);
        match (self.update_cpu_ns(), others) {
            (None, None) => None,
            (updates, others) => Some(
                updates
                    .unwrap_or_default()
                    .saturating_add(others.unwrap_or_default()),
            ),
        }
    }

    pub(super) fn update_mean_ns(&self) -> Option<u64> {
        self.update_ns.checked_div(self.updates)
    }
}

/// What was used within a span of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    pub(super) span: Duration,
    pub(super) totals: Totals,
}

impl Used {
    pub(super) fn span_ns(&self) -> u64 {
        u64::try_from(self.span.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[derive(Debug, Clone, Copy)]
struct Begin {
    at: Moment,
    totals: Totals,
}

impl Begin {
    fn until(&self, now: Moment, totals: &Totals) -> Used {
        Used {
            span: now.saturating_since(self.at),
            totals: totals.since(&self.totals),
        }
    }
}

/// Where the present window began, and the one before it. Made with the first window: a plugin that is not called has none.
#[derive(Debug, Default)]
pub(super) struct Windows(Option<Box<Begun>>);

#[derive(Debug)]
struct Begun {
    before: Option<Begin>,
    present: Begin,
}

impl Windows {
    /// Begins the first window, unless there is one.
    pub(super) fn begin(&mut self, at: Moment, totals: &Totals) {
        self.0.get_or_insert_with(|| {
            Box::new(Begun {
                before: None,
                present: Begin {
                    at,
                    totals: *totals,
                },
            })
        });
    }

    /// Closes the present window if it has lasted for `length`, and begins the next. What comes rarer than that makes it longer.
    pub(super) fn close(&mut self, now: Moment, totals: &Totals, length: Duration) -> Option<Used> {
        let begun = self.0.as_deref_mut()?;
        let used = begun.present.until(now, totals);
        if used.span < length || used.span.is_zero() {
            return None;
        }
        begun.before = Some(std::mem::replace(
            &mut begun.present,
            Begin {
                at: now,
                totals: *totals,
            },
        ));
        Some(used)
    }

    /// What was used since the window before the present one began.
    pub(super) fn recent(&self, now: Moment, totals: &Totals) -> Option<Used> {
        let begun = self.0.as_deref()?;
        let begin = begun.before.unwrap_or(begun.present);
        Some(begin.until(now, totals))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Moment {
        Moment::ZERO.saturating_add(SECOND * u32::try_from(seconds).unwrap())
    }

    fn totals(updates: u64) -> Totals {
        Totals {
            updates,
            update_ns: updates * 1_000,
            ..Totals::default()
        }
    }

    #[test]
    fn a_window_closes_when_it_has_lasted_and_forgets_what_was_before_it() {
        let mut windows = Windows::default();
        assert!(windows.close(at(9), &totals(1), SECOND).is_none());
        windows.begin(at(10), &totals(100));
        windows.begin(at(12), &totals(7));
        assert!(windows.close(at(19), &totals(150), 10 * SECOND).is_none());
        let used = windows.close(at(20), &totals(160), 10 * SECOND).unwrap();
        assert_eq!((used.span, used.totals.updates), (10 * SECOND, 60));
        let used = windows.close(at(30), &totals(161), 10 * SECOND).unwrap();
        assert_eq!((used.span, used.totals.updates), (10 * SECOND, 1));
    }

    #[test]
    fn the_window_of_a_plugin_that_is_called_rarely_lasts_from_call_to_call() {
        let mut windows = Windows::default();
        windows.begin(at(0), &totals(0));
        let used = windows.close(at(3_600), &totals(1), 10 * SECOND).unwrap();
        assert_eq!((used.span, used.totals.updates), (3_600 * SECOND, 1));
    }

    #[test]
    fn recent_is_the_window_before_and_what_there_is_of_the_present_one() {
        let mut windows = Windows::default();
        assert!(windows.recent(at(1), &totals(1)).is_none());
        windows.begin(at(0), &totals(0));
        assert_eq!(windows.recent(at(2), &totals(2)).unwrap().totals.updates, 2);
        windows.close(at(10), &totals(10), 10 * SECOND).unwrap();
        windows.close(at(20), &totals(20), 10 * SECOND).unwrap();
        let recent = windows.recent(at(25), &totals(25)).unwrap();
        assert_eq!((recent.span, recent.totals.updates), (15 * SECOND, 15));
    }

    #[test]
    fn what_updates_took_beyond_their_deadlines_counts_for_their_cpu_time() {
        let mut totals = totals(1);
        assert_eq!(totals.cpu_ns(), None);
        totals.update_late_ns = 3_000;
        totals.update_cpu.add(4_000, 2_000);
        assert_eq!(totals.cpu_ns(), Some(2_000));
        totals.other_cpu.add(10, 5);
        assert_eq!(totals.cpu_ns(), Some(2_005));
        assert_eq!(totals.update_mean_ns(), Some(1_000));
    }
}
