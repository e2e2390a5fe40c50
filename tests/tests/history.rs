//! The history: one counter without gaps, bounded, and nobody who follows it misses anything.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use plugin_engine::{Cause, PluginState, Transition, WallTime};
use plugin_engine_tests::Rig;

fn seqs(entries: impl IntoIterator<Item = Transition>) -> Vec<u64> {
    entries.into_iter().map(|entry| entry.seq).collect()
}

/// A rig with one plugin that fails every other update.
fn failing() -> Rig {
    let rig = Rig::new();
    rig.drop_as("fails", "fails", "[settings]\nevery = 2\n");
    rig.load();
    rig
}

/// As many plugins that write at full speed, each in its own way.
fn writers(rig: &Rig) {
    rig.drop_as("noop", "a", "interval = \"1ms\"\n");
    rig.drop_as("fails", "b", "interval = \"1ms\"\n[settings]\nevery = 2\n");
    rig.drop_as("fails-permanently", "c", "[settings]\non_update = 1\n");
    rig.drop_as("panics", "d", "interval = \"1ms\"\n[settings]\nevery = 3\n");
    rig.load();
}

fn write(rig: &Rig, rounds: u32, pause: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for id in ["a", "b"] {
            let pause = &pause;
            scope.spawn(move || {
                for _ in 0..rounds {
                    pause();
                    let _ = rig.engine.update(id);
                    let _ = rig.engine.display(id);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..rounds / 4 {
                pause();
                let _ = rig.engine.update("c");
                let _ = rig.engine.reset("c");
                let _ = rig.engine.disable("c");
                let _ = rig.engine.enable("c");
            }
        });
        for _ in 0..rounds {
            pause();
            rig.advance(1);
            let _ = rig.engine.run_cycle();
        }
    });
}

#[test]
fn numbers_run_without_gaps_over_all_plugins_under_concurrent_commands_and_cycles() {
    let rig = Rig::new();
    writers(&rig);
    // Few enough that nothing has left the bounded memory.
    write(&rig, 60, || {});
    assert_eq!(rig.engine.history_of_all().lost(), 0);
    let found = seqs(rig.engine.history_of_all());
    assert_eq!(found, (1..=rig.engine.last_seq()).collect::<Vec<_>>());
}

#[test]
fn each_entry_of_a_plugin_begins_in_the_state_in_which_the_one_before_ended() {
    let rig = Rig::new();
    writers(&rig);
    write(&rig, 60, || {});
    for id in ["a", "b", "c", "d"] {
        let mut state = PluginState::Unloaded;
        for entry in rig.history(id) {
            assert_eq!(entry.from, state, "{entry}");
            state = entry.to;
        }
        assert_eq!(state, rig.state(id));
    }
}

#[test]
fn a_follower_misses_nothing_and_sees_nothing_twice() {
    let rig = Rig::new();
    writers(&rig);
    let (seen, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| {
            loop {
                let last_round = done.load(Ordering::SeqCst);
                for entry in rig
                    .engine
                    .history_of_all()
                    .after(seen.load(Ordering::SeqCst))
                {
                    let before = seen.swap(entry.seq, Ordering::SeqCst);
                    assert_eq!(entry.seq, before + 1, "{entry}");
                }
                if last_round {
                    return;
                }
            }
        });
        // Writers wait for a follower that falls behind, because what left the bounded memory is lost to anybody.
        write(&rig, 1_500, || {
            while rig.engine.last_seq() > seen.load(Ordering::SeqCst) + 300
                && !follower.is_finished()
            {
                std::thread::yield_now();
            }
        });
        done.store(true, Ordering::SeqCst);
    });
    assert_eq!(seen.load(Ordering::SeqCst), rig.engine.last_seq());
    assert!(rig.engine.last_seq() > 5_000);
}

#[test]
fn a_wall_clock_that_jumps_by_a_day_changes_no_schedule() {
    let rig = Rig::new();
    rig.drop_in("noop");
    rig.load();
    assert_eq!(rig.engine.run_cycle().due, 1);
    let due = rig.engine.next_due();
    let day = Duration::from_secs(86_400);
    let wall = rig.snapshot("noop").last_update.unwrap();
    for jumped in [
        wall.saturating_add(day),
        WallTime::from_unix_nanos(wall.as_unix_nanos() - day.as_nanos() as u64),
    ] {
        rig.clock.set_wall(jumped);
        assert_eq!(rig.engine.next_due(), due);
        assert_eq!(rig.engine.run_cycle().due, 0);
        let next = rig.snapshot("noop").next_update.unwrap();
        assert_eq!(next, jumped.saturating_add(Duration::from_secs(1)));
    }
    rig.advance(999);
    assert_eq!(rig.engine.run_cycle().due, 0);
    rig.advance(1);
    assert_eq!(rig.engine.run_cycle().completed, 1);
}

#[test]
fn the_reason_of_an_old_failure_is_kept_after_a_thousand_good_updates() {
    let rig = Rig::new();
    rig.drop_as(
        "fails",
        "fails",
        "interval = \"1ms\"\n[settings]\nevery = 1003\n",
    );
    rig.load();
    for _ in 0..1_003 {
        let _ = rig.engine.run_cycle();
        rig.advance(1);
    }
    for _ in 0..1_002 {
        let _ = rig.engine.run_cycle();
        rig.advance(1);
    }
    let history = rig.history("fails");
    assert!(history.len() <= 1_024, "{}", history.len());
    let errors: Vec<_> = rig.engine.history("fails").errors().into_iter().collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(
        &*errors[0].error.as_ref().unwrap().message,
        "update 1003 fails as asked"
    );
    // The first entries are notable, too, so they are still there.
    assert_eq!(history[0].cause, Cause::Mapped);
    let lost = rig.engine.history("fails").lost();
    assert_eq!(lost + history.len() as u64, rig.engine.last_seq());
    assert_eq!(rig.snapshot("fails").history_len, history.len());
}

#[test]
fn the_memory_of_all_histories_together_keeps_to_its_budget() {
    let rig = Rig::with(|builder| builder.history_bytes_max(64 * 1024));
    writers(&rig);
    write(&rig, 600, || {});
    assert!(rig.engine.history_of_all().lost() > 0);
    // Each plugin keeps 16 of each kind in any case.
    let used = rig.engine.usage().history_bytes;
    assert!(used <= 64 * 1024 + 4 * 32 * 1_024, "{used}");
}

#[test]
fn queries_take_what_they_are_asked_for() {
    let rig = failing();
    for _ in 0..4 {
        rig.advance(1_000);
        let _ = rig.engine.run_cycle();
    }
    rig.engine.disable("fails").unwrap();
    let all = rig.history("fails");
    let query = || rig.engine.history("fails");
    let by = |takes: &dyn Fn(&Transition) -> bool| {
        seqs(all.iter().filter(|entry| takes(entry)).cloned())
    };
    assert_eq!(seqs(query().errors()), by(&|entry| entry.error.is_some()));
    assert_eq!(seqs(query().errors()).len(), 2);
    assert_eq!(
        seqs(query().to_state(PluginState::Running)),
        by(&|entry| entry.to == PluginState::Running)
    );
    assert_eq!(
        seqs(query().cause(Cause::UpdateFailed)),
        by(&|entry| entry.cause == Cause::UpdateFailed)
    );
    assert_eq!(seqs(query().after(all[3].seq)), seqs(all[4..].to_vec()));
    assert_eq!(seqs(query().limit(3)), seqs(all[..3].to_vec()));
    let mut newest = seqs(all.clone());
    newest.reverse();
    assert_eq!(seqs(query().newest_first()), newest);
    assert_eq!(seqs(query().newest_first().limit(2)), newest[..2]);
    assert_eq!(
        seqs(rig.engine.history_of_all().newest_first().limit(2)),
        newest[..2]
    );
    let (since, until) = (all[4].at, all[7].at);
    assert!(all[0].at < since && until < all.last().unwrap().at);
    assert_eq!(
        seqs(query().since(since).until(until)),
        by(&|entry| (since..=until).contains(&entry.at))
    );
    assert_eq!(seqs(query().errors().newest_first().limit(1)).len(), 1);
    assert!(seqs(query().generation(2)).is_empty());
}

#[test]
fn visiting_shows_what_iterating_gives_with_and_without_a_disk() {
    let state = tempfile::tempdir().unwrap();
    let on_disk = Rig::with(|builder| builder.state_dir(state.path().join("state")));
    for rig in [&on_disk, &Rig::new()] {
        writers(rig);
        write(rig, 20, || {});
        rig.engine.unload("b").unwrap();
        rig.engine.load("b").unwrap();
        // Every other one fails.
        rig.engine.update("b").unwrap();
        rig.engine.update("b").unwrap_err();
        let of_all = || rig.engine.history_of_all();
        let of_one = || rig.engine.history("b");
        for (query, again) in [
            (of_all(), of_all()),
            (
                of_all().newest_first().limit(7),
                of_all().newest_first().limit(7),
            ),
            (of_all().errors().limit(5), of_all().errors().limit(5)),
            (of_one(), of_one()),
            (of_one().generation(2), of_one().generation(2)),
            (
                of_one().newest_first().limit(3),
                of_one().newest_first().limit(3),
            ),
        ] {
            let question = format!("{query:?}");
            let mut visited = Vec::new();
            query.visit(|entry| {
                // No lock is held.
                let _ = rig.engine.snapshot(entry.id.as_str());
                visited.push(entry.clone());
            });
            assert!(!visited.is_empty(), "{question}");
            assert_eq!(visited, again.into_iter().collect::<Vec<_>>(), "{question}");
        }
        rig.engine
            .history("No id!")
            .visit(|entry| panic!("{entry} is of nobody"));
    }
}

#[test]
fn the_history_survives_unload_and_load_and_tells_the_generations_apart() {
    let rig = failing();
    rig.engine.update("fails").unwrap();
    rig.engine.unload("fails").unwrap();
    let before = rig.history("fails");
    assert_eq!(before.last().unwrap().cause, Cause::Unloaded);
    rig.engine.load("fails").unwrap();
    let after = rig.history("fails");
    assert_eq!(after[..before.len()], before);
    assert_eq!(rig.snapshot("fails").generation, 2);
    let second = rig.engine.history("fails").generation(2);
    assert_eq!(seqs(second), seqs(after[before.len()..].to_vec()));
    assert!(
        after
            .iter()
            .all(|entry| entry.version.as_deref() == Some("0.1.0")),
        "{after:?}"
    );
}

#[test]
fn an_entry_says_how_long_the_call_took_that_ended_with_it() {
    let gate = plugin_engine_tests::Gate::new();
    let rig = Rig::new();
    rig.drop_as("gated", "gated", &gate.settings(""));
    rig.load();
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    rig.advance(250);
    gate.open(1);
    assert_eq!(cycle.wait().completed, 1);
    let entry = rig.history("gated").pop().unwrap();
    assert_eq!(entry.cause, Cause::UpdateCompleted);
    assert_eq!(entry.duration, Some(Duration::from_millis(250)));
}
