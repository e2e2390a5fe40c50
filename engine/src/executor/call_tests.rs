//! What becomes of one update, of a create and of a restart that meets something else: a command, a requirement, a crowd, an end.

use std::sync::atomic::Ordering as Std;

use plugin_api::abi::status;
use plugin_engine_core::{
    CreateReason, Event, FaultKind, FaultReport, HealthPolicy, Moment, PluginState, RejectReason,
    RestartPolicy,
};

use super::call::{Caller, UpdateEnd};
use super::test_rig::{
    INTERVAL, OTHER_TIMEOUT, Rig, TIMEOUT, destroyed, made, next_call, require_what_is_missing,
};
use super::*;
use crate::clock::Clock as _;

/// A worker beside that of the rig.
const OTHER: usize = 2;

fn caller<'a>(executor: &'a Arc<Executor>, cell: &'a Arc<PluginCell>) -> Caller<'a> {
    Caller {
        executor,
        slot: &executor.slots[OTHER],
        cell,
    }
}

/// An update by that other worker: what a command asks for, or what a cycle offers.
fn update(executor: &Arc<Executor>, cell: &Arc<PluginCell>, on_demand: bool) -> UpdateEnd {
    let now = executor.board.ledger.time.now();
    caller(executor, cell).update(now, on_demand)
}

/// A plugin whose next update is due, made on the plain way.
fn plain(rig: &Rig) -> Arc<PluginCell> {
    let cell = rig.plugin("a");
    assert_eq!(rig.cycle(&[&cell]).completed, 1);
    rig.advance(INTERVAL);
    made();
    cell
}

/// A plugin that waits for its restart, which is due.
fn to_be_restarted(rig: &Rig) -> Arc<PluginCell> {
    let cell = rig.plugin("a");
    let policy = HealthPolicy {
        panic_limit: Some(1),
        restart: RestartPolicy {
            jitter_percent: 0,
            ..RestartPolicy::default()
        },
        ..HealthPolicy::default()
    };
    cell.lock().machine.set_health_policy(policy);
    next_call(|| status::PANICKED);
    assert_eq!(rig.cycle(&[&cell]).panicked, 1);
    assert_eq!(rig.snapshot(&cell).state, PluginState::Error);
    rig.advance(RestartPolicy::default().first_delay);
    made();
    cell
}

fn kind(rig: &Rig, cell: &PluginCell) -> Option<FaultKind> {
    rig.snapshot(cell).error.map(|error| error.kind)
}

#[test]
fn a_good_update_that_is_not_to_be_measured_takes_the_plain_way_and_no_cpu_time_is_asked_for() {
    let rig = Rig::new(1, 4);
    let cell = rig.plugin("a");
    let sampled = || {
        assert_eq!(rig.cycle(&[&cell]).completed, 1);
        rig.advance(INTERVAL);
        let report = cell.lock().usage.report(rig.clock.now());
        report.cpu_sampled_calls
    };
    let first = sampled();
    assert_eq!([sampled(), sampled()], [first, first]);
    // A second later one is measured again, and so is one that somebody asks for.
    rig.advance(TIMEOUT);
    assert_eq!(sampled(), first + 1);
    assert_eq!(rig.snapshot(&cell).counts.successes, 5);
}

#[test]
fn a_tick_waits_for_who_holds_updates_back_and_what_they_ask_for_does_not() {
    let rig = Rig::new(1, 4);
    let cell = plain(&rig);
    cell.lock().waiters = 1;
    let report = rig.cycle(&[&cell]);
    assert_eq!((report.skipped, made()), (1, vec![]));
    assert!(cell.lock().tick_waits, "it is offered again");
    assert_eq!(rig.snapshot(&cell).counts.skipped, 0, "and so not missed");
    let end = rig.task(&cell, TaskCall::Update);
    assert!(matches!(end, TaskEnd::Ended(Verdict::Completed, None)));
}

#[test]
fn nothing_is_called_any_more_when_the_engine_stops() {
    let rig = Rig::new(1, 4);
    let cell = plain(&rig);
    rig.executor.board.stopping.store(true, Std::Relaxed);
    assert_eq!(rig.cycle(&[&cell]).skipped, 1);
    let end = rig.task(&cell, TaskCall::Update);
    assert!(matches!(end, TaskEnd::NotMade(RejectReason::Illegal(_))));
    assert_eq!(made(), [""; 0]);
}

#[test]
fn in_a_crowd_only_what_hung_the_last_time_is_refused() {
    let rig = Rig::new(1, 4);
    let well = plain(&rig);
    let hung = rig.plugin("b");
    rig.next_call_takes(TIMEOUT);
    assert_eq!(rig.cycle(&[&hung]).timed_out, 1);
    rig.advance(TIMEOUT);
    made();
    rig.executor.slow.store(3, Ordering::Relaxed);
    let report = rig.cycle(&[&well, &hung]);
    assert_eq!((report.completed, report.skipped), (1, 1));
    assert_eq!(made(), ["update"]);
    assert_eq!(kind(&rig, &hung), Some(FaultKind::Refused));
    // It stays so at the next tick: what was refused has hung, too.
    rig.advance(TIMEOUT);
    assert_eq!(rig.cycle(&[&hung]).skipped, 1);
    rig.executor.slow.store(0, Ordering::Relaxed);
    rig.advance(TIMEOUT);
    assert_eq!(rig.cycle(&[&hung]).completed, 1);
    assert_eq!(kind(&rig, &hung), None);
}

#[test]
fn without_what_is_required_a_tick_is_refused_in_words_and_a_person_gets_the_reason_alone() {
    let rig = Rig::new(1, 4);
    let cell = plain(&rig);
    require_what_is_missing(&cell);
    let end = rig.task(&cell, TaskCall::Update);
    assert!(matches!(end, TaskEnd::NotMade(RejectReason::Unmet)));
    assert_eq!(kind(&rig, &cell), None, "it leaves no trace");
    assert_eq!(rig.cycle(&[&cell]).skipped, 1);
    let error = rig.snapshot(&cell).error.expect("a tick does");
    assert!(error.message.contains("missing"), "{error}");
    assert_eq!(made(), [""; 0]);
}

#[test]
fn a_call_meets_one_that_is_under_way_and_one_that_is_stuck() {
    let rig = Rig::new(1, 4);
    let cell = plain(&rig);
    let (clock, executor) = (rig.clock.clone(), Arc::clone(&rig.executor));
    let of = Arc::clone(&cell);
    let (tell, told) = std::sync::mpsc::channel();
    next_call(move || {
        let rejected = || update(&executor, &of, true).task_end();
        let _ = tell.send(rejected());
        clock.advance(TIMEOUT);
        executor.watchdog.sweep(&executor);
        let _ = tell.send(rejected());
        // A tick that cannot be made is counted.
        clock.advance(TIMEOUT);
        let _ = tell.send(update(&executor, &of, false).task_end());
        status::COMPLETED
    });
    assert_eq!(rig.cycle(&[&cell]).timed_out, 1);
    let ends: Vec<_> = told.iter().collect();
    let expected = [
        // While it runs, the state says so.
        RejectReason::Illegal(PluginState::Running),
        RejectReason::Stuck,
        RejectReason::Stuck,
    ];
    for (end, expected) in ends.iter().zip(expected) {
        assert!(
            matches!(end, TaskEnd::NotMade(reason) if *reason == expected),
            "{end:?}"
        );
    }
    assert_eq!((ends.len(), made()), (3, vec!["update"]));
    assert!(rig.snapshot(&cell).counts.skipped > 0);
}

#[test]
fn beside_a_display_an_update_finds_the_instance_busy() {
    let rig = Rig::new(1, 4);
    let cell = plain(&rig);
    let executor = Arc::clone(&rig.executor);
    let of = Arc::clone(&cell);
    let (tell, told) = std::sync::mpsc::channel();
    next_call(move || {
        // A tick first: it is counted as missed, after which none is due.
        let _ = tell.send(update(&executor, &of, false).task_end());
        let _ = tell.send(update(&executor, &of, true).task_end());
        status::COMPLETED
    });
    rig.task(&cell, TaskCall::Display);
    for end in told.iter() {
        assert!(
            matches!(end, TaskEnd::NotMade(RejectReason::Busy)),
            "{end:?}"
        );
    }
    assert_eq!(made(), ["display"]);
}

#[test]
fn an_instance_that_panicked_is_made_anew_before_the_next_update_also_for_one_who_holds_updates_back()
 {
    let rig = Rig::new(1, 4);
    let cell = plain(&rig);
    next_call(|| status::PANICKED);
    assert_eq!(rig.cycle(&[&cell]).panicked, 1);
    cell.lock().waiters = 1;
    let end = rig.task(&cell, TaskCall::Update);
    assert!(
        matches!(end, TaskEnd::Ended(Verdict::Completed, None)),
        "{end:?}"
    );
    assert_eq!(made(), ["update", "destroy", "create", "update"]);
}

#[test]
fn a_destroy_that_hangs_keeps_no_new_instance_from_being_made_and_a_create_that_hangs_does() {
    let rig = Rig::new(1, 4);
    let cell = plain(&rig);
    next_call(|| status::PANICKED);
    assert_eq!(rig.cycle(&[&cell]).panicked, 1);
    rig.advance(INTERVAL);
    made();
    let hangs_until = |also_hangs: bool| {
        let (clock, executor, of) = (
            rig.clock.clone(),
            Arc::clone(&rig.executor),
            Arc::clone(&cell),
        );
        move || {
            clock.advance(OTHER_TIMEOUT);
            executor.watchdog.sweep(&executor);
            clock.advance(INTERVAL);
            let end = update(&executor, &of, false).task_end();
            match also_hangs {
                true => assert!(
                    matches!(end, TaskEnd::Ended(Verdict::Completed, None)),
                    "{end:?}"
                ),
                false => assert!(matches!(end, TaskEnd::NotMade(_)), "{end:?}"),
            }
            status::COMPLETED
        }
    };
    next_call(hangs_until(true));
    rig.cycle(&[&cell]);
    assert_eq!(made(), ["destroy", "create", "update"]);
    assert_eq!(rig.snapshot(&cell).state, PluginState::Enabled);
}

#[test]
fn what_holds_updates_back_between_two_looks_keeps_an_instance_from_being_made_by_a_cycle() {
    let rig = Rig::new(1, 4);
    let cell = plain(&rig);
    next_call(|| status::PANICKED);
    assert_eq!(rig.cycle(&[&cell]).panicked, 1);
    made();
    cell.lock().waiters = 1;
    let end = caller(&rig.executor, &cell)
        .renew(true)
        .expect_err("not now");
    assert!(matches!(
        end.task_end(),
        TaskEnd::NotMade(RejectReason::Busy)
    ));
    assert!(cell.lock().tick_waits && made().is_empty());
    cell.lock().waiters = 0;
    assert!(caller(&rig.executor, &cell).renew(true).is_ok());
    assert_eq!(made(), ["destroy", "create"]);
    assert!(
        caller(&rig.executor, &cell).renew(true).is_ok(),
        "there is one"
    );
    assert_eq!(made(), [""; 0]);
}

#[test]
fn only_a_create_that_comes_by_itself_waits_for_who_holds_updates_back_and_for_requirements() {
    let rig = Rig::new(1, 4);
    let cell = rig.mapped("a");
    cell.lock().waiters = 1;
    for by_itself in [
        CreateReason::RequirementMet,
        CreateReason::Restart,
        CreateReason::Hung,
    ] {
        let end = rig.task(&cell, TaskCall::Create(by_itself));
        assert!(
            matches!(end, TaskEnd::NotMade(RejectReason::Busy)),
            "{end:?}"
        );
    }
    require_what_is_missing(&cell);
    let end = rig.task(&cell, TaskCall::Create(CreateReason::RequirementMet));
    assert!(
        matches!(end, TaskEnd::NotMade(RejectReason::Unmet)),
        "{end:?}"
    );
    let end = rig.task(&cell, TaskCall::Create(CreateReason::Load));
    assert!(
        matches!(end, TaskEnd::Ended(Verdict::Completed, None)),
        "{end:?}"
    );
    // There is an instance: it is not made anew, but may be made once more by a person.
    made();
    let end = rig.task(&cell, TaskCall::Create(CreateReason::Anew));
    assert!(
        matches!(end, TaskEnd::NotMade(RejectReason::NoInstance)),
        "{end:?}"
    );
    assert_eq!(made(), [""; 0]);
    let end = rig.task(&cell, TaskCall::Create(CreateReason::Reset));
    assert!(
        matches!(end, TaskEnd::Ended(Verdict::Completed, None)),
        "{end:?}"
    );
    assert_eq!(made(), ["create", "destroy"]);
}

#[test]
fn an_instance_whose_create_returns_late_pushes_out_none_that_was_made_beside_it() {
    let rig = Rig::new(1, 4);
    let cell = rig.mapped("a");
    let (clock, executor) = (rig.clock.clone(), Arc::clone(&rig.executor));
    let of = Arc::clone(&cell);
    next_call(move || {
        clock.advance(OTHER_TIMEOUT);
        executor.watchdog.sweep(&executor);
        let end = caller(&executor, &of).create(CreateReason::Reset);
        assert!(
            matches!(end, TaskEnd::Ended(Verdict::Completed, None)),
            "{end:?}"
        );
        status::COMPLETED
    });
    let end = rig.task(&cell, TaskCall::Create(CreateReason::Load));
    assert!(matches!(end, TaskEnd::Abandoned));
    assert_eq!(made(), ["create", "create", "destroy"]);
    assert_eq!(destroyed(), [1], "not the second, which is the plugin's");
    assert!(cell.lock().instance.is_some());
}

#[test]
fn what_is_loaded_again_is_created_while_what_a_policy_has_left_is_destroyed() {
    let rig = Rig::new(1, 4);
    let cell = rig.plugin("a");
    rig.apply(&cell, Event::ShutDown);
    rig.apply(&cell, Event::Mapped);
    let loaded = cell.lock().loaded.clone();
    assert!(cell.lock().has_leftover() && loaded.is_some());
    let (executor, of) = (Arc::clone(&rig.executor), Arc::clone(&cell));
    next_call(move || {
        let end = caller(&executor, &of).create(CreateReason::Load);
        assert!(
            matches!(end, TaskEnd::Ended(Verdict::Completed, None)),
            "{end:?}"
        );
        status::COMPLETED
    });
    assert_eq!(rig.cycle(&[&cell]).skipped, 1);
    assert_eq!(made(), ["destroy", "create"]);
    assert_eq!(rig.snapshot(&cell).state, PluginState::Enabled);
    assert_eq!(destroyed(), [1]);
}

#[test]
fn who_waits_for_a_requirement_is_created_when_it_is_met() {
    let rig = Rig::new(1, 4);
    let cell = rig.mapped("a");
    let report = FaultReport::new(FaultKind::Requirement, "not there");
    rig.apply(&cell, Event::RequirementUnmet(report));
    let end = rig.task(&cell, TaskCall::Create(CreateReason::RequirementMet));
    assert!(
        matches!(end, TaskEnd::Ended(Verdict::Completed, None)),
        "{end:?}"
    );
}

#[test]
fn a_restart_waits_for_who_holds_the_plugin_and_is_offered_again() {
    let rig = Rig::new(1, 4);
    let cell = to_be_restarted(&rig);
    cell.lock().waiters = 1;
    assert_eq!(rig.cycle(&[&cell]).skipped, 1);
    assert!(cell.lock().tick_waits && made().is_empty());
    cell.lock().waiters = 0;
    assert_eq!(rig.cycle(&[&cell]).completed, 1);
    assert_eq!(made(), ["create", "update"]);
    assert_eq!(rig.snapshot(&cell).state, PluginState::Enabled);
}

#[test]
fn a_restart_without_what_is_required_is_not_made_and_says_why() {
    let rig = Rig::new(1, 4);
    let cell = to_be_restarted(&rig);
    require_what_is_missing(&cell);
    assert_eq!(rig.cycle(&[&cell]).skipped, 1);
    let error = rig.snapshot(&cell).error.expect("it says so");
    assert!(error.message.contains("missing"), "{error}");
    assert_eq!(made(), [""; 0]);
}

#[test]
fn what_is_not_called_any_more_ticks_no_more() {
    let rig = Rig::new(1, 4);
    let cell = rig.mapped("a");
    let ledger = &rig.executor.board.ledger;
    let next = || ledger.timers.lock().next_due();
    ledger.rearm(cell.index, Some(Moment::ZERO), INTERVAL);
    assert_eq!(next(), Some(Moment::ZERO));
    assert_eq!(rig.cycle(&[&cell]).skipped, 1);
    assert_eq!(next(), None);
}

/// What the embedder's subscriber hears: the causes of transitions.
#[derive(Default)]
struct Heard(parking_lot::Mutex<Vec<String>>);

impl tracing::field::Visit for &Heard {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "cause" {
            self.0.lock().push(format!("{value:?}"));
        }
    }
}

/// A subscriber that keeps what it hears.
struct Subscriber(Arc<Heard>);

impl tracing::Subscriber for Subscriber {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut &*self.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn the_subscriber_hears_of_what_workers_and_the_watchdog_enter_once() {
    let rig = Rig::new(1, 4);
    let cell = plain(&rig);
    let heard = Arc::new(Heard::default());
    // With one subscriber alone, what other tests log first at a place would decide for this one, too, whether anybody listens there.
    let _beside = tracing::Dispatch::new(Subscriber(Arc::default()));
    tracing::subscriber::with_default(Subscriber(Arc::clone(&heard)), || {
        next_call(|| status::PANICKED);
        rig.cycle(&[&cell]);
        assert_eq!(std::mem::take(&mut *heard.0.lock()), ["update_panicked"]);
        rig.advance(INTERVAL);
        rig.task(&cell, TaskCall::Update);
        heard.0.lock().clear();
        rig.advance(INTERVAL);
        rig.next_call_takes(TIMEOUT);
        rig.cycle(&[&cell]);
        let mut causes = std::mem::take(&mut *heard.0.lock());
        causes.sort();
        assert_eq!(causes, ["returned_late", "update_timed_out"]);
        // By a worker, where one waits.
        let news = rig.history(&cell).pop().expect("there is some");
        rig.idle();
        rig.executor.tell_of(Box::new(news));
        assert!(rig.was_called() && heard.0.lock().is_empty());
        rig.work();
        assert_eq!(heard.0.lock().len(), 1);
    });
}

#[test]
fn whoever_listens_is_a_call_without_a_deadline_to_the_watchdog() {
    let slot = Slot::default();
    let mut seen = None;
    slot.outside(|| seen = slot.sample());
    let seen = seen.expect("it was done, within a call");
    assert_eq!((seen.deadline, seen.cell), (Moment::FAR, u32::MAX));
    assert_eq!(slot.sample(), None);
}
