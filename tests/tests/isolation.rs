//! A slow or hung plugin delays no other, and takes no more threads than it may.

use std::time::{Duration, Instant};

use plugin_engine::{Cause, Cycle, FaultKind, Moment, PluginState, RunLimit};
use plugin_engine_tests::{Gate, Rig, wait_for};

#[test]
fn eight_plugins_that_hang_take_no_update_from_those_that_work() {
    let rig = Rig::real(|builder| builder.workers(2));
    for n in 0..8 {
        rig.drop_as(
            "hangs",
            &format!("hangs{n}"),
            "interval = \"100ms\"\ntimeout = \"50ms\"\n",
        );
    }
    for n in 0..5 {
        rig.drop_as("noop", &format!("noop{n}"), "interval = \"100ms\"\n");
    }
    rig.load();
    // What was due while others were still being loaded is no concern of this test.
    rig.engine
        .run_until(RunLimit::For(Duration::from_millis(50)));
    let before: Vec<_> = (0..5)
        .map(|n| rig.snapshot(&format!("noop{n}")).counts)
        .collect();
    rig.engine.run_until(RunLimit::For(Duration::from_secs(2)));
    for (n, before) in before.iter().enumerate() {
        let id = format!("noop{n}");
        let counts = rig.snapshot(&id).counts;
        let started = rig.engine.history(&id).cause(Cause::UpdateStarted);
        let started: Vec<_> = started.into_iter().collect();
        assert_eq!(started.len() as u64, counts.updates);
        assert_eq!(counts.skipped, before.skipped, "{id}: {counts:?}");
        // Every tick from the creation to the last start was one update, but for those that came during the load.
        let created = rig.engine.history(&id).cause(Cause::Created);
        let created = created.into_iter().next().unwrap().at;
        let span = started.last().unwrap().at.saturating_since(created);
        let ticks = span.as_millis() as u64 / 100 + 1;
        assert_eq!(counts.updates + counts.skipped, ticks, "{id}: {span:?}");
        assert!(counts.updates >= 20, "{id}: {counts:?}");
    }
    for n in 0..8 {
        let snapshot = rig.snapshot(&format!("hangs{n}"));
        assert_eq!(snapshot.error.unwrap().kind, FaultKind::Timeout);
        assert_eq!(snapshot.counts.updates, 1);
    }
    let usage = rig.engine.usage();
    assert_eq!(usage.slow_threads, 8);
    assert!(usage.threads <= 8 + 2 * usage.workers, "{usage:?}");
}

#[test]
fn a_call_that_hangs_holds_up_no_other_of_its_cycle() {
    let gate = Gate::new();
    let rig = Rig::with(|builder| builder.workers(1));
    rig.drop_as("gated", "a", &gate.settings(""));
    for n in 0..70 {
        rig.drop_as("noop", &format!("b{n}"), "");
    }
    rig.load();
    let cycle = rig.engine.start_cycle();
    wait_for("the others", || cycle.report().completed == 70);
    // A thread that gets no time may not have come as far as to say that it is there.
    gate.await_entry(1);
    assert!(!gate.has_entered(2));
    rig.advance(500);
    assert_eq!(cycle.wait().timed_out, 1);
}

#[test]
fn an_instance_that_no_thread_could_be_had_to_destroy_is_destroyed_when_there_is_one() {
    let gates = [Gate::new(), Gate::new()];
    let rig = Rig::with(|builder| builder.workers(1).threads_max(2));
    rig.drop_as("noop", "noop", "");
    rig.load();
    let _ = rig.engine.run_cycle();
    for (n, gate) in gates.iter().enumerate() {
        rig.drop_as("gated", &format!("gated{n}"), &gate.settings(""));
    }
    rig.load();
    let hangs = rig.engine.start_cycle();
    gates.iter().for_each(|gate| gate.await_entry(1));
    rig.engine.disable("noop").unwrap();
    let calls = rig.snapshot("noop").counts.calls;
    gates.iter().for_each(|gate| gate.open_all());
    let _ = hangs.wait();
    let _ = rig.engine.run_cycle();
    assert_eq!(rig.snapshot("noop").counts.calls, calls + 1);
    // It is destroyed once.
    rig.advance(1_000);
    let _ = rig.engine.run_cycle();
    assert_eq!(rig.snapshot("noop").counts.calls, calls + 1);
}

/// Two workers, four threads, and more plugins that hang than that leaves room for.
fn crowded(gate: &Gate) -> Rig {
    let rig = Rig::with(|builder| builder.workers(2).threads_max(4));
    for n in 0..5 {
        rig.drop_as("gated", &format!("gated{n}"), &gate.settings(""));
    }
    for n in 0..3 {
        rig.drop_as("noop", &format!("noop{n}"), "");
    }
    rig.load();
    rig
}

/// Runs a cycle, and lets the deadlines pass of what hangs in it.
fn cycle(rig: &Rig) {
    let cycle = rig.engine.start_cycle();
    wait_for("the cycle to end", || {
        let report = cycle.report();
        let ended = report.completed + report.failed + report.skipped + report.timed_out;
        if ended < report.due {
            rig.advance(10);
        }
        ended == report.due
    });
}

#[test]
fn at_the_limit_of_threads_those_that_hang_are_refused_and_the_others_go_on() {
    let gates = [Gate::new(), Gate::new(), Gate::new()];
    let rig = Rig::with(|builder| builder.workers(2).threads_max(4));
    for (n, gate) in gates.iter().enumerate() {
        rig.drop_as("gated", &format!("gated{n}"), &gate.settings(""));
    }
    for n in 0..3 {
        rig.drop_as("noop", &format!("noop{n}"), "");
    }
    rig.load();
    cycle(&rig);
    gates[2].open(1);
    wait_for("the late return", || {
        rig.snapshot("gated2").counts.late == 1
    });
    wait_for("its thread", || rig.engine.usage().slow_threads == 2);
    for n in 2..=6 {
        rig.advance(1_000);
        cycle(&rig);
        assert!(rig.engine.usage().threads <= 4, "{:?}", rig.engine.usage());
        let counts = rig.snapshot("noop0").counts;
        assert_eq!((counts.updates, counts.skipped), (n, 0));
    }
    // Two threads hang, and the two that are left are for those that did not hang the last time.
    assert!(!gates[2].has_entered(2));
    let error = rig.snapshot("gated2").error.unwrap();
    assert_eq!(error.kind, FaultKind::Refused);
    assert!(error.message.contains("the limit is 4"), "{error}");
    gates[0].open(1);
    wait_for("the late return", || {
        rig.snapshot("gated0").counts.late == 1
    });
    wait_for("its thread", || rig.engine.usage().slow_threads == 1);
    rig.engine.disable("gated0").unwrap();
    gates[2].open_all();
    rig.advance(1_000);
    cycle(&rig);
    assert_eq!(rig.error("gated2"), None);
}

#[test]
fn all_recover_when_the_calls_that_hung_return() {
    let gate = Gate::new();
    let rig = crowded(&gate);
    for _ in 0..6 {
        cycle(&rig);
        rig.advance(1_000);
    }
    gate.open_all();
    wait_for("the late returns", || rig.engine.stuck_calls().is_empty());
    wait_for("the threads", || rig.engine.usage().slow_threads == 0);
    // A call that takes more than a millisecond on a busy machine is slow again, and may keep another one out for a tick.
    wait_for("all to recover", || {
        rig.advance(1_000);
        cycle(&rig);
        let snapshots = rig.engine.snapshots();
        snapshots.iter().all(|snapshot| snapshot.error.is_none())
    });
    assert!(rig.engine.usage().threads <= 4);
}

#[test]
fn refusals_are_said_once_and_not_once_per_tick() {
    let gate = Gate::new();
    let rig = crowded(&gate);
    for _ in 0..20 {
        cycle(&rig);
        rig.advance(1_000);
    }
    for n in 0..5 {
        let refused = rig
            .engine
            .history(&format!("gated{n}"))
            .cause(Cause::CallRefused);
        assert!(refused.into_iter().count() <= 2, "gated{n}");
    }
}

/// Has four plugins hang, each in a thread of its own.
fn take_four_threads(rig: &Rig, gate: &Gate) -> Cycle {
    for n in 0..4 {
        rig.drop_as("gated", &format!("gated{n}"), &gate.settings(""));
    }
    rig.load();
    let stuck = rig.engine.start_cycle();
    for n in 1..=4 {
        gate.await_entry(n);
    }
    wait_for("its threads", || rig.engine.usage().slow_threads == 4);
    stuck
}

#[test]
fn a_restart_for_which_there_is_no_thread_is_made_a_moment_later_and_not_an_interval() {
    let gate = Gate::new();
    let rig = Rig::with(|builder| builder.workers(2).threads_max(4));
    let restarts = "interval = \"1h\"\npanic_limit = 1\n[restart]\njitter_percent = 0\n";
    rig.drop_as("panics", "p", restarts);
    rig.load();
    assert_eq!(rig.engine.run_cycle().panicked, 1);
    let stuck = take_four_threads(&rig, &gate);
    rig.advance(500);
    assert_eq!(stuck.wait().timed_out, 4);
    rig.advance(500);
    assert_eq!(rig.engine.run_cycle().skipped, 1, "nobody is there for it");
    let error = rig.error("p").unwrap();
    let says = "refused: not restarted: 4 of 4 threads are in calls that do not return, and the limit is 4; tried again in 1s";
    assert_eq!(error, says);
    let next = rig.snapshot("p").next_update.unwrap();
    assert_eq!(next.saturating_since(rig.now()), Duration::from_secs(1));
    gate.open_all();
    wait_for("the threads", || rig.engine.usage().slow_threads == 0);
    rig.advance(1_000);
    let _ = rig.engine.run_cycle();
    assert!(rig.causes("p").contains(&Cause::Restarted));
}

#[test]
fn a_plugin_for_whose_create_there_is_no_thread_is_created_by_itself_as_soon_as_there_is_one() {
    let gate = Gate::new();
    let rig = Rig::with(|builder| builder.workers(2).threads_max(4));
    let stuck = take_four_threads(&rig, &gate);
    rig.drop_as("noop", "p", "");
    let said = rig
        .load_any()
        .iter()
        .map(ToString::to_string)
        .collect::<String>();
    let says = "refused: not created: 4 of 4 threads are in calls that do not return, and the limit is 4; tried again in 1s";
    assert!(said.contains(says), "{said}");
    assert_eq!(rig.error("p").unwrap(), says);
    assert_eq!(rig.state("p"), PluginState::Error);
    let next = rig.snapshot("p").next_update.unwrap();
    assert_eq!(next.saturating_since(rig.now()), Duration::from_secs(1));
    gate.open_all();
    let _ = stuck.wait();
    wait_for("the threads", || rig.engine.usage().slow_threads == 0);
    rig.advance(1_000);
    let _ = rig.engine.run_cycle();
    assert_eq!(rig.state("p"), PluginState::Enabled);
    assert!(rig.causes("p").contains(&Cause::Restarted));
}

#[test]
fn a_clock_that_leaps_runs_each_plugin_once_and_counts_the_rest() {
    let rig = Rig::new();
    for n in 0..5 {
        rig.drop_as("noop", &format!("noop{n}"), "");
    }
    rig.load();
    let _ = rig.engine.run_cycle();
    rig.advance(60_500);
    let report = rig.engine.run_cycle();
    assert_eq!((report.due, report.completed), (5, 5));
    assert_eq!(rig.engine.run_cycle().due, 0);
    for snapshot in rig.engine.snapshots() {
        assert_eq!((snapshot.counts.updates, snapshot.counts.skipped), (2, 59));
    }
    assert_eq!(
        rig.engine.next_due(),
        Some(Moment::from_nanos(61_000_000_000))
    );
}

#[test]
fn a_run_that_waits_hears_of_a_plugin_that_comes_after_another_run_has_ended() {
    let rig = Rig::real(|builder| builder);
    rig.drop_as("noop", "slow", "interval = \"1h\"\n");
    rig.load();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| rig.engine.run());
        wait_for("the first update", || {
            rig.snapshot("slow").counts.successes == 2
        });
        rig.engine
            .run_until(RunLimit::For(Duration::from_millis(50)));
        rig.drop_as("noop", "new", "");
        rig.load();
        let ended = Instant::now() + Duration::from_secs(20);
        while rig.snapshot("new").counts.updates == 0 && Instant::now() < ended {
            std::thread::yield_now();
        }
        rig.engine.stop();
        run.join().unwrap();
    });
    assert!(rig.snapshot("new").counts.updates > 0);
}
