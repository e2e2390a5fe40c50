//! Files whose `unmap` is `when-safe`: unmapped when nothing can run their code any more, and not before, with the reason told.
//!
//! Tests of one process share its maps, so each has file names of its own.

use plugin_engine::{Code, LoadOutcome, PluginState, UnmapPolicy};
use plugin_engine_tests::{
    Builds, Gate, Rig, ThreadHooks, await_late, is_mapped, sealed_copies, time_out, wait_for,
};
use tempfile::TempDir;

const SAFE: &str = "unmap = \"when-safe\"\n";

fn rig() -> Rig {
    Rig::with(|builder| builder.thread_census(ThreadHooks))
}

fn put(rig: &Rig, fixture: &str, id: &str, config: &str) {
    rig.drop_as(fixture, id, &format!("{SAFE}{config}"));
}

/// Why the file of this plugin is mapped; `None` if it is not.
fn why(rig: &Rig, id: &str) -> Option<String> {
    let file = rig.dir().join(format!("{id}.so"));
    let mapped = rig.engine.mapped_libraries();
    let mut mapped = mapped.into_iter().filter(|one| one.file == file);
    mapped.next().map(|one| one.why)
}

fn await_why(rig: &Rig, id: &str, says: &str) {
    let mut found = None;
    wait_for(says, || {
        found = why(rig, id);
        found.as_ref().is_some_and(|why| why.contains(says))
    });
    let file = format!("{id}.so");
    assert!(is_mapped(&file) && sealed_copies(&file) == 1);
}

fn await_unmapped(rig: &Rig, id: &str) {
    wait_for("the unmap", || why(rig, id).is_none());
    let file = format!("{id}.so");
    assert!(!is_mapped(&file), "{file} is still mapped");
    assert_eq!(sealed_copies(&file), 0);
}

#[test]
fn a_file_that_nothing_uses_any_more_is_unmapped_and_can_be_loaded_again() {
    let rig = rig();
    put(&rig, "noop", "unmapped", "");
    put(&rig, "counter", "stays", "");
    rig.load();
    for round in 1..=3 {
        assert_eq!(rig.engine.run_cycle().completed, 2, "{round}");
        assert_eq!(why(&rig, "unmapped").as_deref(), Some("used by unmapped"));
        let before = rig.snapshot("unmapped");
        rig.engine.unload("unmapped").unwrap();
        await_unmapped(&rig, "unmapped");
        // What was known of it is known still, though its bytes are gone.
        assert_eq!(before.sha256().map(str::len), Some(64));
        rig.engine.load("unmapped").unwrap();
        assert_eq!(rig.snapshot("unmapped").generation, round + 1);
        rig.advance(1_000);
    }
    let usage = rig.engine.usage();
    assert_eq!((usage.libraries_in_use, usage.libraries_retired), (2, 0));
    assert_eq!(rig.state("stays"), PluginState::Enabled);
}

#[test]
fn by_default_a_file_stays_mapped_and_says_so() {
    let rig = rig();
    rig.drop_as("noop", "by-default", "");
    rig.load();
    rig.engine.unload("by-default").unwrap();
    let mapped = rig.engine.mapped_libraries().remove(0);
    assert_eq!(mapped.unmap, UnmapPolicy::Never);
    assert!(mapped.retired_at.is_some() && mapped.bytes > 10_000);
    assert_eq!(mapped.version, env!("CARGO_PKG_VERSION"));
    let text = mapped.to_string();
    let says = "by-default.so: noop 0.1.0: unloaded, still mapped: unmap = \"never\" holds for it";
    assert!(text.ends_with(says), "{text}");
    let usage = rig.engine.usage();
    assert_eq!((usage.libraries, usage.libraries_retired), (1, 1));
    // The same bytes are used again, not mapped again.
    rig.load();
    rig.engine.load("by-default").unwrap();
    assert_eq!(rig.engine.usage().libraries_in_use, 1);
    assert_eq!(sealed_copies("by-default.so"), 1);
}

#[test]
fn a_file_of_several_plugins_is_unmapped_when_all_of_them_say_so() {
    let rig = rig();
    put(&rig, "noop", "one", "");
    rig.drop_as("noop", "two", "");
    rig.load();
    rig.engine.unload("one").unwrap();
    assert_eq!(why(&rig, "one").as_deref(), Some("used by two"));
    rig.engine.unload("two").unwrap();
    await_why(&rig, "one", "unmap = \"never\"");
    // The last word of each counts.
    put(&rig, "noop", "two", "");
    rig.engine.load("two").unwrap();
    rig.engine.unload("two").unwrap();
    await_unmapped(&rig, "one");
}

#[test]
fn without_a_count_of_threads_a_file_stays_mapped_and_says_so() {
    let rig = Rig::new();
    put(&rig, "noop", "uncounted", "");
    rig.load();
    rig.engine.unload("uncounted").unwrap();
    await_why(
        &rig,
        "uncounted",
        "the program has to link the thread hooks",
    );
}

#[test]
fn a_plugin_that_is_unloaded_during_a_call_is_unmapped_after_it() {
    let (rig, gate) = (rig(), Gate::new());
    put(&rig, "gated", "during-a-call", &gate.settings(""));
    rig.load();
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    std::thread::scope(|scope| {
        let unload = scope.spawn(|| rig.engine.unload("during-a-call"));
        assert_eq!(
            why(&rig, "during-a-call").as_deref(),
            Some("used by during-a-call")
        );
        gate.open_all();
        unload.join().unwrap().unwrap();
    });
    assert_eq!(cycle.wait().completed, 1);
    await_unmapped(&rig, "during-a-call");
    assert_eq!(rig.state("during-a-call"), PluginState::Unloaded);
}

#[test]
fn an_abandoned_call_keeps_its_code_until_it_returns() {
    let (rig, gate) = (rig(), Gate::new());
    put(&rig, "gated", "abandoned", &gate.settings("talks = true"));
    rig.load();
    time_out(&rig, &gate, 1);
    rig.engine.unload("abandoned").unwrap();
    await_why(&rig, "abandoned", "a call of it has not returned");
    gate.open_all();
    await_late(&rig, "abandoned", 1);
    await_unmapped(&rig, "abandoned");
    assert_eq!(rig.state("abandoned"), PluginState::Unloaded);
}

#[test]
fn a_thread_of_the_plugin_keeps_its_code_until_it_ends() {
    let (rig, dir) = (rig(), TempDir::new().unwrap());
    let until = dir.path().join("until");
    let config = format!("[settings]\nuntil = {until:?}\n");
    put(&rig, "keeps-a-thread", "threaded", &config);
    rig.load();
    assert_eq!(rig.engine.run_cycle().completed, 1);
    rig.engine.unload("threaded").unwrap();
    await_why(&rig, "threaded", "the thread kept (");
    assert!(
        why(&rig, "threaded")
            .unwrap()
            .ends_with("that it started lives")
    );
    // It may be used again meanwhile, and is the same code.
    rig.engine.load("threaded").unwrap();
    assert_eq!(why(&rig, "threaded").as_deref(), Some("used by threaded"));
    assert_eq!(sealed_copies("threaded.so"), 1);
    rig.engine.unload("threaded").unwrap();
    await_why(&rig, "threaded", "the thread kept (");
    std::fs::write(until, "").unwrap();
    await_unmapped(&rig, "threaded");
}

#[test]
fn destructors_that_a_plugin_leaves_on_threads_run_before_their_code_is_unmapped() {
    let (rig, dir) = (rig(), TempDir::new().unwrap());
    let farewells = dir.path().join("farewells");
    let config = format!("[settings]\nfarewells = {farewells:?}\n");
    put(&rig, "thread-locals", "destructors", &config);
    put(&rig, "noop", "beside-destructors", "");
    rig.load();
    for _ in 0..3 {
        assert_eq!(rig.engine.run_cycle().completed, 2);
        rig.advance(1_000);
    }
    rig.engine.unload("destructors").unwrap();
    await_unmapped(&rig, "destructors");
    let text = std::fs::read_to_string(&farewells).unwrap();
    let counts = text.lines().map(|line| line.split(' ').next().unwrap());
    let sum: u64 = counts.map(|count| count.parse::<u64>().unwrap()).sum();
    assert_eq!(sum, 3);
    // The threads that took the places of those that have gone go on.
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(rig.engine.usage().slow_threads, 0);
}

#[test]
fn a_plugin_that_asks_for_its_thread_is_unmapped_and_its_key_is_given_back() {
    let rig = rig();
    put(&rig, "current-thread", "asks", "");
    // In each round the threads that called it end after it was unmapped, or before: neither finds a destructor that is gone.
    for _ in 0..5 {
        rig.load();
        if rig.state("asks") == PluginState::Unloaded {
            rig.engine.load("asks").unwrap();
        }
        assert_eq!(rig.engine.run_cycle().completed, 1);
        let file = rig.dir().join("asks.so");
        let mapped = rig.engine.mapped_libraries();
        assert!(mapped.iter().any(|one| one.file == file));
        let keys = plugin_engine_thread_hooks::keys();
        rig.engine.unload("asks").unwrap();
        await_unmapped(&rig, "asks");
        let left = plugin_engine_thread_hooks::keys();
        let gone = keys.iter().filter(|key| !left.contains(key)).count();
        assert!(gone >= 1, "{keys:?} {left:?}");
        rig.advance(1_000);
    }
}

#[test]
fn a_thread_of_the_engine_that_is_stuck_in_another_plugin_keeps_what_it_ran_before() {
    let gate = Gate::new();
    let rig = Rig::with(|builder| builder.workers(1).thread_census(ThreadHooks));
    put(&rig, "noop", "ran-before", "");
    put(&rig, "gated", "stuck-now", &gate.settings(""));
    rig.load();
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    rig.advance(500);
    assert_eq!(cycle.wait().timed_out, 1);
    rig.engine.unload("ran-before").unwrap();
    let why = "has not ended: it is in a call of stuck-now";
    await_why(&rig, "ran-before", why);
    gate.open_all();
    await_unmapped(&rig, "ran-before");
    rig.advance(2_000);
    assert_eq!(rig.engine.run_cycle().completed, 1);
}

#[test]
fn a_file_that_turned_out_to_be_no_plugin_is_unmapped_and_not_mapped_again() {
    let rig = rig();
    put(&rig, "schema-is-none", "no-plugin", "");
    let refused =
        |outcomes: Vec<LoadOutcome>| outcomes.iter().filter_map(LoadOutcome::code).next_back();
    assert_eq!(refused(rig.load_any()), Some(Code::CONFIG_BAD_SCHEMA));
    await_unmapped(&rig, "no-plugin");
    assert_eq!(refused(rig.load_any()), Some(Code::CONFIG_BAD_SCHEMA));
    assert_eq!(rig.engine.usage().libraries, 0);
    // By default it stays, with the reason.
    rig.drop_as("panics-in-schema", "no-plugin-either", "");
    assert_eq!(refused(rig.load_any()), Some(Code::CONFIG_BAD_SCHEMA));
    let said = why(&rig, "no-plugin-either").unwrap();
    assert!(said.starts_with("no plugin (it panicked:"), "{said}");
    assert!(
        said.ends_with("still mapped: unmap = \"never\" holds for it"),
        "{said}"
    );
}

#[test]
fn a_file_that_must_stay_mapped_or_brought_in_others_stays_and_says_so() {
    let rig = rig();
    for (fixture, says) in [
        (
            "stays-mapped",
            "it says itself that it must stay mapped (NODELETE)",
        ),
        ("brings-a-library", "libresolv.so.2"),
    ] {
        put(&rig, fixture, fixture, "");
        rig.load();
        assert_eq!(rig.engine.run_cycle().completed, 1);
        rig.engine.unload(fixture).unwrap();
        await_why(&rig, fixture, says);
        rig.advance(1_000);
    }
    assert_eq!(rig.engine.usage().libraries_retired, 2);
}

#[test]
fn builds_that_come_and_go_leave_nothing_behind() {
    let rig = rig();
    let builds = Builds::of("thread-locals");
    let file = rig.dir().join("come-and-go.so");
    std::fs::write(rig.dir().join("come-and-go.toml"), SAFE).unwrap();
    for number in 0..30 {
        builds.write(number, &file);
        rig.load_any();
        if number > 0 {
            rig.engine.load("thread-locals").unwrap();
        }
        assert_eq!(rig.engine.run_cycle().completed, 1, "{number}");
        rig.engine.unload("thread-locals").unwrap();
        await_unmapped(&rig, "come-and-go");
        rig.advance(1_000);
    }
    assert_eq!(rig.snapshot("thread-locals").generation, 30);
}
