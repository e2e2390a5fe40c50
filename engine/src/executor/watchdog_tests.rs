//! What one look of the watchdog sees and does, call by call.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use plugin_api::abi::status;
use plugin_engine_core::{CallId, FaultKind, HealthPolicy, Moment, OnUnhealthy, WallTime};

use super::*;
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::executor::test_rig::{
    IDLE, INTERVAL, OTHER_TIMEOUT, Rig, TIMEOUT, WORKER, made, next_call,
};
use crate::executor::{Slot, TaskCall, TaskEnd};
use crate::instance::CallTicket;

/// What a slot shows while it is in no plugin.
const NO_CELL: u32 = u32::MAX;

fn slot(rig: &Rig, index: usize) -> &Slot {
    &rig.executor.slots[index]
}

/// A call that begins in a slot, of no plugin.
fn begin(rig: &Rig, index: usize, deadline: Moment) {
    let ticket = CallTicket {
        id: CallId(1),
        since: Moment::ZERO,
        deadline,
    };
    slot(rig, index).busy.store(true, Ordering::SeqCst);
    slot(rig, index).begin(NO_CELL, ticket);
}

fn set_slow(rig: &Rig, index: usize, slow: bool) {
    slot(rig, index).set_slow(slow);
}

fn look(rig: &Rig) -> Next {
    rig.executor.watchdog.look(&rig.executor)
}

/// Makes what was seen in a slot older, as if time had passed.
fn age(rig: &Rig, index: usize) {
    rig.executor.watchdog.age(index);
}

#[test]
fn while_nobody_works_there_is_nothing_to_look_for() {
    let rig = Rig::new(1, 3);
    assert_eq!(look(&rig), Next::Whenever);
}

#[test]
fn a_worker_at_work_is_looked_at_again_soon_whether_or_not_it_is_in_a_call() {
    let rig = Rig::new(1, 3);
    slot(&rig, IDLE).busy.store(true, Ordering::SeqCst);
    assert_eq!(look(&rig), Next::Soon);
    begin(&rig, IDLE, Moment::FAR);
    assert_eq!(look(&rig), Next::Soon);
}

#[test]
fn of_calls_that_are_known_to_be_slow_the_nearest_deadline_counts() {
    let rig = Rig::new(1, 3);
    rig.use_slots(3);
    let nearest = Moment::from_nanos(5_000);
    for (index, deadline) in [Moment::FAR, Moment::from_nanos(7_000), nearest]
        .into_iter()
        .enumerate()
    {
        begin(&rig, index, deadline);
        set_slow(&rig, index, true);
    }
    assert_eq!(look(&rig), Next::At(nearest));
    slot(&rig, 2).end();
    slot(&rig, 1).end();
    slot(&rig, 1).busy.store(false, Ordering::SeqCst);
    slot(&rig, 2).busy.store(false, Ordering::SeqCst);
    assert_eq!(look(&rig), Next::Whenever, "that one has none");
    // One that is fast is at work beside them.
    begin(&rig, 1, Moment::from_nanos(3_000));
    set_slow(&rig, 1, false);
    begin(&rig, 2, nearest);
    assert_eq!(look(&rig), Next::Soon);
}

#[test]
fn a_call_is_slow_when_it_has_been_seen_for_a_millisecond_and_another_call_is_not() {
    let rig = Rig::new(1, 3);
    begin(&rig, WORKER, Moment::FAR);
    look(&rig);
    assert!(!slot(&rig, WORKER).is_slow(), "seen for the first time");
    age(&rig, WORKER);
    slot(&rig, WORKER).end();
    begin(&rig, WORKER, Moment::FAR);
    look(&rig);
    assert!(!slot(&rig, WORKER).is_slow(), "this is another call");
    age(&rig, WORKER);
    look(&rig);
    assert!(slot(&rig, WORKER).is_slow());
    assert_eq!(rig.executor.threads().1, 1);
}

#[test]
fn a_call_is_abandoned_at_its_deadline_and_not_before_and_once() {
    let rig = Rig::new(1, 3);
    let cell = rig.plugin("a");
    let (clock, executor) = (rig.clock.clone(), Arc::clone(&rig.executor));
    let called = Arc::clone(&cell);
    next_call(move || {
        let look = || executor.watchdog.look(&executor);
        // In time, the call is fast.
        assert_eq!(look(), Next::Soon);
        executor.slots[WORKER].set_slow(true);
        executor.slow.store(1, Ordering::Relaxed);
        clock.advance(TIMEOUT - Duration::from_nanos(1));
        let deadline = Moment::ZERO.saturating_add(TIMEOUT);
        assert_eq!(look(), Next::At(deadline));
        assert!(called.lock().machine.error().is_none());
        clock.advance(Duration::from_nanos(1));
        look();
        assert_eq!(
            called.lock().machine.error().map(|error| error.kind),
            Some(FaultKind::Timeout)
        );
        assert_eq!(look(), Next::Whenever, "it is dealt with");
        status::COMPLETED
    });
    let report = rig.cycle(&[&cell]);
    assert_eq!((report.timed_out, report.completed), (1, 0));
    let counts = rig.snapshot(&cell).counts;
    assert_eq!((counts.timeouts, counts.late), (1, 1));
    // The next call of the same slot has a deadline of its own.
    rig.advance(INTERVAL);
    rig.next_call_takes(TIMEOUT);
    assert_eq!(rig.cycle(&[&cell]).timed_out, 1);
    assert_eq!(made(), ["update", "update"]);
}

#[test]
fn what_is_dealt_with_is_not_looked_at_again() {
    let rig = Rig::new(1, 3);
    let cell = rig.plugin("a");
    let (clock, executor) = (rig.clock.clone(), Arc::clone(&rig.executor));
    next_call(move || {
        clock.advance(TIMEOUT);
        executor.watchdog.look(&executor);
        let seen = executor.watchdog.seen.lock()[WORKER];
        assert!(seen.abandoned);
        status::COMPLETED
    });
    assert_eq!(rig.cycle(&[&cell]).timed_out, 1);
}

/// What the watchdog saw a moment ago may not be so any more: the call may have ended and another begun, or have got more time.
#[test]
fn only_the_very_call_that_was_seen_is_abandoned_and_only_past_its_deadline_of_now() {
    let rig = Rig::new(1, 3);
    let cell = rig.plugin("a");
    let (clock, executor) = (rig.clock.clone(), Arc::clone(&rig.executor));
    let called = Arc::clone(&cell);
    next_call(move || {
        let sample = executor.slots[WORKER].sample().expect("it is in a call");
        let is_abandoned = || {
            called
                .lock()
                .machine
                .in_flight()
                .is_none_or(|call| call.abandoned)
        };
        abandon(&executor, WORKER, sample);
        assert!(!is_abandoned(), "it has time left");
        clock.advance(TIMEOUT);
        let other = Sample {
            call: CallId(sample.call.0 + 1),
            ..sample
        };
        abandon(&executor, WORKER, other);
        assert!(!is_abandoned(), "that was another call");
        abandon(&executor, WORKER, sample);
        assert!(is_abandoned());
        status::COMPLETED
    });
    assert_eq!(rig.cycle(&[&cell]).timed_out, 1);
}

#[test]
fn at_the_end_calls_are_abandoned_whatever_time_they_have_left() {
    let rig = Rig::new(1, 3);
    let cell = rig.plugin("a");
    let executor = Arc::clone(&rig.executor);
    next_call(move || {
        abandon_all(&executor);
        status::COMPLETED
    });
    assert!(matches!(
        rig.task(&cell, TaskCall::Update),
        TaskEnd::Abandoned
    ));
    let snapshot = rig.snapshot(&cell);
    assert_eq!(snapshot.counts.late, 1);
}

/// The destroy of an instance that a policy has disposed of at the end of its update is no business of the cycle's.
#[test]
fn what_hangs_after_its_item_was_counted_is_not_counted_again() {
    let rig = Rig::new(1, 3);
    let cell = rig.plugin("a");
    let policy = HealthPolicy {
        panic_limit: Some(1),
        on_unhealthy: OnUnhealthy::Unload,
        ..HealthPolicy::default()
    };
    cell.lock().machine.set_health_policy(policy);
    let other = rig.plugin("b");
    next_call(|| status::PANICKED);
    rig.next_call_takes(OTHER_TIMEOUT);
    let report = rig.cycle(&[&cell, &other]);
    assert_eq!(made(), ["update", "destroy", "update"]);
    assert_eq!(rig.snapshot(&cell).counts.late, 1, "the destroy");
    assert_eq!(
        (report.panicked, report.completed, report.timed_out),
        (1, 1, 0)
    );
}

#[test]
fn somebody_is_fast_at_work_who_works_and_is_not_known_to_be_slow() {
    let rig = Rig::new(1, 3);
    let is_anybody = || rig.executor.watchdog.is_anybody_fast_at_work(&rig.executor);
    assert!(!is_anybody());
    slot(&rig, IDLE).busy.store(true, Ordering::SeqCst);
    assert!(is_anybody());
    set_slow(&rig, IDLE, true);
    assert!(!is_anybody());
}

#[test]
fn a_worker_that_begins_wakes_a_watchdog_that_sleeps_deeply() {
    let rig = Rig::new(1, 3);
    let cell = rig.plugin("a");
    let executor = Arc::clone(&rig.executor);
    executor.watchdog.set_deep(true);
    next_call(move || {
        assert!(!executor.watchdog.set_deep(false));
        assert!(executor.slots[WORKER].busy.load(Ordering::SeqCst));
        status::COMPLETED
    });
    rig.cycle(&[&cell]);
    assert_eq!(made(), ["update"]);
    assert!(!slot(&rig, WORKER).busy.load(Ordering::SeqCst));
}

/// Until when a test waits for what comes at once.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// A clock that counts how often it is asked.
struct CountingClock(ManualClock, Arc<AtomicU64>);

impl Clock for CountingClock {
    fn now(&self) -> Moment {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.now()
    }

    fn wall(&self) -> WallTime {
        self.0.wall()
    }

    fn real_time_until(&self, moment: Moment) -> Option<Duration> {
        self.0.real_time_until(moment)
    }
}

/// A rig whose watchdog has a thread, which sleeps deeply by now; and how often the clock was asked.
fn watched() -> (Rig, Supervisor, Arc<AtomicU64>) {
    let (clock, asked) = (ManualClock::new(WallTime::default()), Arc::default());
    let counting = Arc::new(CountingClock(clock.clone(), Arc::clone(&asked)));
    let rig = Rig::with(counting.clone(), clock, 1, 3);
    let supervisor = Supervisor::new(counting, None);
    start(&rig.executor, &supervisor).expect("a thread can be had");
    await_deep(&rig);
    (rig, supervisor, asked)
}

fn await_deep(rig: &Rig) {
    let until = soon();
    while !rig.executor.watchdog.deep.load(Ordering::SeqCst) {
        assert!(Instant::now() < until, "it does not sleep");
        std::thread::yield_now();
    }
}

fn end(rig: &Rig, supervisor: &Supervisor) {
    rig.executor.watchdog.end();
    let left = supervisor.join_all(Some(soon()));
    assert!(left.is_empty(), "it has not ended");
}

#[test]
fn while_nobody_works_it_sleeps_deeply_and_ends_all_the_same_when_it_is_told() {
    let (rig, supervisor, asked) = watched();
    for _ in 0..1_000 {
        std::thread::yield_now();
    }
    let asked = asked.load(Ordering::SeqCst);
    assert!(
        asked < 500,
        "it has asked the clock {asked} times for nothing"
    );
    end(&rig, &supervisor);
}

#[test]
fn from_its_deep_sleep_it_sees_a_call_that_begins_and_lasts() {
    let (rig, supervisor, _) = watched();
    let cell = rig.plugin("a");
    for _ in 0..3 {
        await_deep(&rig);
        let executor = Arc::clone(&rig.executor);
        next_call(move || {
            let until = soon();
            while !executor.slots[WORKER].is_slow() {
                assert!(Instant::now() < until, "nobody has seen it");
                std::thread::yield_now();
            }
            status::COMPLETED
        });
        assert_eq!(rig.cycle(&[&cell]).completed, 1);
        assert_eq!(rig.executor.threads().1, 0);
        rig.advance(INTERVAL);
    }
    end(&rig, &supervisor);
}

#[test]
fn it_sleeps_for_as_long_as_what_it_has_seen_allows() {
    let rig = Rig::new(1, 3);
    let wait = |next| until(&rig.executor, next);
    assert_eq!(wait(Next::Soon), Some(SLOW));
    assert_eq!(wait(Next::Whenever), None);
    assert_eq!(
        wait(Next::At(Moment::FAR)),
        None,
        "a clock that is moved by hand wakes it"
    );
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let rig = Rig::with(clock, rig.clock, 1, 3);
    let wait = until(
        &rig.executor,
        Next::At(Moment::from_nanos(3_600_000_000_000)),
    );
    let wait = wait.expect("the machine's clock knows");
    assert!(
        wait > Duration::from_secs(1) && wait <= Duration::from_secs(3_600),
        "{wait:?}"
    );
}

impl Watchdog {
    /// Makes what was seen in a slot older, as if a call had lasted long enough to be slow.
    pub(in crate::executor) fn age(&self, index: usize) {
        let mut seen = self.seen.lock();
        let older = seen[index].at.checked_sub(SLOW);
        seen[index].at = older.expect("the machine runs for longer");
    }

    /// Says whether the thread sleeps deeply. Returns what was said before.
    pub(in crate::executor) fn set_deep(&self, deep: bool) -> bool {
        self.deep.swap(deep, Ordering::SeqCst)
    }
}
