//! The real engine with its workers, its watchdog and its commands, over plugins whose code is a script in this file (C1, C2, C3, C6, L7,
//! X2). Only the loader has no part: what it would map is put in its place.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::Duration;

use plugin_api::abi::{CallFrame, status};
use plugin_engine_core::{Cause, PluginState, Transition, WallTime};

use super::check_often;
use crate::clock::ManualClock;
use crate::engine::Engine;
use crate::library::{CallTable, LoadedLibrary};
use crate::manifest::Manifest;
use crate::plugins;
use crate::threading::thread;

const INTERVAL: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(3_600);

/// How many calls of an instance may have been made at once, and how many were. Scripts find it by the address of the instance.
#[derive(Default)]
struct Seen {
    now: AtomicI32,
    overlaps: AtomicU32,
    updates: AtomicU32,
    destroyed: AtomicU32,
}

thread_local! {
    /// What was seen of each instance, in the order in which they were created. All threads of a model are on one of the system's.
    static INSTANCES: std::cell::RefCell<Vec<Arc<Seen>>> = const { std::cell::RefCell::new(Vec::new()) };
}

fn seen(instance: *mut ()) -> Arc<Seen> {
    INSTANCES.with_borrow(|all| Arc::clone(&all[instance.addr() - 1]))
}

fn instances() -> Vec<Arc<Seen>> {
    INSTANCES.with_borrow(Clone::clone)
}

/// In a call: others go on meanwhile, for a while.
fn called(instance: *mut ()) {
    let seen = seen(instance);
    if seen.now.fetch_add(1, Ordering::Relaxed) != 0 || seen.destroyed.load(Ordering::Relaxed) != 0
    {
        // A panic here would end the process: who made the model looks at the end.
        seen.overlaps.fetch_add(1, Ordering::Relaxed);
    }
    for _ in 0..3 {
        thread::yield_now();
    }
    seen.now.fetch_sub(1, Ordering::Relaxed);
}

extern "C" fn create(_: &CallFrame, instance: &mut *mut ()) -> u8 {
    let number = INSTANCES.with_borrow_mut(|all| {
        all.push(Arc::default());
        all.len()
    });
    *instance = std::ptr::without_provenance_mut(number);
    called(*instance);
    status::COMPLETED
}

extern "C" fn update(instance: *mut (), _: &CallFrame) -> u8 {
    called(instance);
    seen(instance).updates.fetch_add(1, Ordering::Relaxed);
    status::COMPLETED
}

extern "C" fn destroy(instance: *mut (), _: &CallFrame) -> u8 {
    called(instance);
    seen(instance).destroyed.fetch_add(1, Ordering::Relaxed);
    status::COMPLETED
}

const CALLS: CallTable = CallTable {
    create,
    update,
    display: update,
    destroy,
};

/// An engine with these plugins, created and due.
fn engine(ids: &[&str]) -> (Engine, ManualClock) {
    INSTANCES.with_borrow_mut(Vec::clear);
    let clock = ManualClock::new(WallTime::from_unix_nanos(1_000_000_000));
    let engine = Engine::builder()
        .clock(clock.clone())
        .workers(2)
        .threads_max(8)
        .create_timeout(LONG)
        .display_timeout(LONG)
        .destroy_timeout(LONG)
        .build()
        .expect("nothing is wrong with it");
    for (number, id) in (1..).zip(ids) {
        let text = format!(
            "manifest=1\nid={id}\nversion=1.0.0\napi=0.1.0\ncompiler=any\ntarget=any\npanic=unwind\ninterval=10s\ntimeout=1s\n"
        );
        let manifest = Manifest::parse(text.as_bytes()).expect("it is one");
        let library = LoadedLibrary::unmapped(number, CALLS, None, manifest, [0; 32]);
        plugins::start_unmapped(engine.shared(), Path::new("model.so"), &Arc::new(library));
    }
    (engine, clock)
}

fn transitions(engine: &Engine) -> Vec<Transition> {
    engine.history_of_all().into_iter().collect()
}

/// What holds whatever happened: calls of one instance never overlap, numbers have no gaps, each plugin's entries are a chain, every start
/// of an update has one end.
fn look_at_the_end(engine: &Engine, ids: &[&str]) {
    for seen in instances() {
        assert_eq!(seen.overlaps.load(Ordering::Relaxed), 0, "calls overlap");
        assert!(
            seen.destroyed.load(Ordering::Relaxed) <= 1,
            "destroyed twice"
        );
    }
    let all = transitions(engine);
    let numbers: Vec<_> = all.iter().map(|entry| entry.seq).collect();
    assert_eq!(numbers, (1..=all.len() as u64).collect::<Vec<_>>());
    for id in ids {
        let mut state = PluginState::Unloaded;
        let of_plugin = all.iter().filter(|entry| entry.id.as_str() == *id);
        let (mut starts, mut ends) = (0, 0);
        for entry in of_plugin {
            assert_eq!(entry.from, state, "{entry}");
            state = entry.to;
            starts += u32::from(entry.to == PluginState::Running && entry.from != entry.to);
            ends += u32::from(entry.from == PluginState::Running && entry.from != entry.to);
        }
        assert_eq!(starts, ends, "{id}");
        assert_eq!(engine.snapshot(id).state, state, "{id}");
    }
}

fn end(engine: &Engine, ids: &[&str]) {
    engine.shutdown(LONG).expect("it ends");
    look_at_the_end(engine, ids);
}

/// Two cycles and a deadline that passes whenever it likes: each report adds up, and each call has one end.
#[test]
fn a_cycle_adds_up_while_a_deadline_passes() {
    check_often(400, || {
        let ids = ["a", "b"];
        let (engine, clock) = engine(&ids);
        let first = engine.start_cycle();
        let moved = clock.clone();
        let mover = thread::spawn(move || moved.advance(TIMEOUT));
        let report = first.wait();
        assert_eq!(report.due, 2);
        assert_eq!(report.completed + report.timed_out, 2, "{report:?}");
        mover.join().unwrap();
        let timed_out = transitions(&engine);
        let timed_out = timed_out
            .iter()
            .filter(|entry| entry.cause == Cause::UpdateTimedOut);
        assert_eq!(timed_out.count(), report.timed_out);
        clock.advance(INTERVAL);
        let second = engine.run_cycle();
        assert_eq!(
            second.due,
            second.completed + second.timed_out + second.skipped,
            "{second:?}"
        );
        end(&engine, &ids);
        // Not what returned too late either has changed what was reported.
        assert_eq!(first.wait(), report);
    });
}

/// Cycles, updates by hand, and deadlines at once: never two calls of one instance.
#[test]
fn an_instance_is_in_one_call_whoever_asks_for_more() {
    check_often(400, || {
        let ids = ["a"];
        let (engine, clock) = engine(&ids);
        let by_hand = engine.clone();
        let commander = thread::spawn(move || {
            let _ = by_hand.update("a");
            let _ = by_hand.display("a");
        });
        let moved = clock.clone();
        let mover = thread::spawn(move || moved.advance(TIMEOUT));
        let report = engine.run_cycle();
        assert!(report.completed + report.timed_out + report.skipped == report.due);
        commander.join().unwrap();
        mover.join().unwrap();
        end(&engine, &ids);
    });
}

/// A plugin that is unloaded during its call stays so, and what it was is destroyed once.
#[test]
fn an_unload_during_a_call_resurrects_nothing() {
    check_often(400, || {
        let ids = ["a"];
        let (engine, clock) = engine(&ids);
        let cycle = engine.start_cycle();
        let moved = clock.clone();
        let mover = thread::spawn(move || moved.advance(TIMEOUT));
        engine.unload("a").expect("it is loaded");
        assert_eq!(engine.snapshot("a").state, PluginState::Unloaded);
        let report = cycle.wait();
        mover.join().unwrap();
        let after = engine.run_cycle();
        assert_eq!(after.completed, 0);
        assert_eq!(engine.snapshot("a").state, PluginState::Unloaded);
        end(&engine, &ids);
        // One whose call was abandoned is destroyed when that returns, which nobody waits for.
        if report.timed_out == 0 {
            for seen in instances() {
                assert_eq!(seen.destroyed.load(Ordering::Relaxed), 1);
            }
        }
    });
}

/// A disable, an enable and a reset while the plugin ticks: whoever claims it lets go of it.
#[test]
fn a_plugin_that_was_switched_off_and_on_and_reset_ticks_again() {
    check_often(400, || {
        let ids = ["a"];
        let (engine, clock) = engine(&ids);
        let cycle = engine.start_cycle();
        let other = engine.clone();
        let resetter = thread::spawn(move || {
            let _ = other.reset("a");
        });
        let _ = engine.disable("a");
        let _ = engine.enable("a");
        resetter.join().unwrap();
        let _ = cycle.wait();
        // Whichever came last has left it on: a reset, too, switches on.
        assert_eq!(engine.snapshot("a").state, PluginState::Enabled);
        clock.advance(INTERVAL);
        let report = engine.run_cycle();
        assert_eq!((report.due, report.completed), (1, 1));
        end(&engine, &ids);
    });
}

/// A shutdown in the middle of everything ends, and leaves nothing Running.
#[test]
fn a_shutdown_during_calls_ends_them_all() {
    check_often(400, || {
        let ids = ["a", "b"];
        let (engine, clock) = engine(&ids);
        let _cycle = engine.start_cycle();
        let moved = clock.clone();
        let mover = thread::spawn(move || moved.advance(TIMEOUT));
        let by_hand = engine.clone();
        let commander = thread::spawn(move || {
            let _ = by_hand.update("b");
        });
        end(&engine, &ids);
        commander.join().unwrap();
        mover.join().unwrap();
        for id in ids {
            assert_eq!(engine.snapshot(id).state, PluginState::Unloaded);
        }
    });
}
