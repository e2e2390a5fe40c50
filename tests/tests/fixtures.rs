//! Plugins that do what plugins should not, and are neither slow nor broken: what they leave on threads, how much they say, and whose
//! name they bear.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use plugin_engine::{Cause, FaultKind, LoadError, LoadOutcome, PluginState};
use plugin_engine_tests::{Rig, built, lines_of, wait_for};
use tempfile::TempDir;

const BUDGET: Duration = Duration::from_secs(30);

/// A rig with this plugin as `p`, and a good one beside it.
fn rig(name: &str, config: &str) -> Rig {
    let rig = Rig::new();
    rig.drop_as(name, "p", config);
    rig.drop_in("noop");
    rig.load();
    rig
}

/// Held by tests that start threads of one name, which one of them counts.
static RUNTIMES: Mutex<()> = Mutex::new(());

/// How many threads of this process have this name. The system knows 15 characters of it.
fn threads_called(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|comm| comm.trim_end() == name)
        .count()
}

#[test]
fn a_destructor_that_a_plugin_leaves_on_a_thread_finds_its_code_when_the_thread_ends() {
    let dir = TempDir::new().unwrap();
    let farewells = dir.path().join("farewells");
    let rig = rig(
        "thread-locals",
        &format!("[settings]\nfarewells = {farewells:?}\n"),
    );
    for _ in 0..3 {
        assert_eq!(rig.engine.run_cycle().completed, 2);
        rig.advance(1_000);
    }
    rig.engine.unload("p").unwrap();
    // The code is needed after the plugin has gone: its threads are the engine's, and go on.
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert!(!farewells.exists());
    rig.engine.shutdown(BUDGET).unwrap();
    drop(rig);
    let calls = || -> u64 {
        let text = std::fs::read_to_string(&farewells).unwrap_or_default();
        let counts = text.lines().map(|line| line.split(' ').next().unwrap());
        counts.map(|count| count.parse::<u64>().unwrap()).sum()
    };
    wait_for("the destructors", || calls() == 3);
}

#[test]
fn a_plugin_may_ask_which_thread_it_is_on_and_park_it() {
    let rig = rig("current-thread", "");
    for _ in 0..20 {
        assert_eq!(rig.engine.run_cycle().completed, 2);
        rig.advance(1_000);
    }
    let shown = rig.engine.display("p").unwrap();
    let shown = shown.as_text().unwrap();
    assert!(
        shown.starts_with("20 updates; created on ThreadId("),
        "{shown}"
    );
    rig.engine.unload("p").unwrap();
    rig.engine.shutdown(BUDGET).unwrap();
}

#[test]
fn a_plugin_may_bring_a_runtime_of_its_own_which_ends_with_the_instance() {
    let _turn = RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner);
    let rig = rig("own-runtime", "");
    wait_for("its threads", || threads_called("own-runtime") == 2);
    for _ in 0..3 {
        assert_eq!(rig.engine.run_cycle().completed, 2);
        rig.advance(1_000);
    }
    let beats = || {
        let shown = rig.engine.display("p").unwrap();
        let (updates, beats) = shown.as_text().unwrap().split_once(" updates, ").unwrap();
        assert_eq!(updates, "3");
        beats
            .strip_suffix(" beats")
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    // It works between calls, too.
    let before = beats();
    wait_for("a beat", || beats() > before);
    rig.engine.unload("p").unwrap();
    assert_eq!(rig.causes("p").last(), Some(&Cause::Unloaded));
    wait_for("the threads", || threads_called("own-runtime") == 0);
    assert_eq!(rig.engine.run_cycle().completed, 1);
}

#[test]
fn a_runtime_in_a_plugin_is_not_the_one_that_the_host_is_in() {
    let _turn = RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let rig = Rig::new();
        rig.drop_as("own-runtime", "p", "");
        rig.load();
        assert_eq!(rig.engine.run_cycle().completed, 1);
        rig.engine.shutdown(BUDGET).unwrap();
        assert_eq!(rig.state("p"), PluginState::Unloaded);
    });
}

#[test]
fn a_destroy_that_takes_too_long_is_recorded_and_waited_for_no_longer() {
    let rig = Rig::real(|builder| builder.destroy_timeout(Duration::from_millis(50)));
    rig.drop_as("slow-destroy", "p", "[settings]\nms = 700\n");
    rig.drop_in("noop");
    rig.load();
    assert_eq!(rig.engine.run_cycle().completed, 2);
    rig.engine.unload("p").unwrap();
    assert_eq!(rig.state("p"), PluginState::Unloaded);
    let entry = rig.engine.history("p").cause(Cause::DestroyFailed);
    let entry = entry.into_iter().next().expect("the failure is recorded");
    assert_eq!(entry.error.unwrap().kind, FaultKind::Timeout);
    rig.engine.update("noop").unwrap();
    wait_for("the destroy", || rig.snapshot("p").counts.late == 1);
    rig.engine.shutdown(BUDGET).unwrap();
}

#[test]
fn a_panic_whose_payload_is_no_text_is_told_by_its_place() {
    let rig = rig("non-text-payload", "");
    let report = rig.engine.run_cycle();
    assert_eq!((report.panicked, report.completed), (1, 1));
    let error = rig.snapshot("p").error.unwrap();
    assert_eq!(&*error.message, "a panic whose payload is no text");
    assert!(
        error.location.contains("non-text-payload/src/lib.rs:"),
        "{error}"
    );
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().panicked, 1);
    assert_eq!(rig.snapshot("p").counts.panics, 2);
}

/// How much memory this process holds, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

#[test]
fn of_a_million_events_a_subscriber_keeps_the_newest_and_is_told_how_many_it_missed() {
    const EVENTS: u64 = 1_000_000;
    let rig = rig("floods", "");
    let asleep = rig.engine.subscribe("plugin.p.drop");
    let elsewhere = rig.engine.subscribe("plugin.noop.**");
    let before = resident();
    assert_eq!(rig.engine.run_cycle().completed, 2);
    // A million events that are kept would be more than a hundred bytes each.
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    let kept: Vec<_> = std::iter::from_fn(|| asleep.try_next()).collect();
    assert_eq!(kept.len() as u64 + asleep.lost(), EVENTS);
    assert_eq!(kept.len(), 1_024);
    for (event, number) in kept.iter().rev().zip((1..=EVENTS).rev()) {
        assert_eq!(*event.payload, *number.to_string());
    }
    assert!(kept.is_sorted_by_key(|event| event.seq));
    assert_eq!(elsewhere.lost(), 0);
    assert_eq!(
        (rig.state("p"), rig.error("p")),
        (PluginState::Enabled, None)
    );
}

/// What a plugin says in the update of `long-text`, with these settings, however it says it.
fn long_text(through: &str, pad: usize, unit: &str) -> (Rig, String) {
    let id = format!("{through}-{pad}-{}", unit.len());
    let rig = Rig::new();
    // Heard before anything is said.
    let _ = lines_of(&id);
    let settings = format!("[settings]\nthrough = {through:?}\npad = {pad}\nunit = {unit:?}\n");
    rig.drop_as("long-text", &id, &settings);
    rig.load();
    let _ = rig.engine.run_cycle();
    (rig, id)
}

#[test]
fn a_text_is_cut_between_two_characters_wherever_the_cut_falls() {
    for unit in ["a", "é", "€", "🦀"] {
        for pad in 0..unit.len() {
            for through in ["error", "panic"] {
                let (rig, id) = long_text(through, pad, unit);
                let error = rig.snapshot(&id).error.unwrap();
                let message = &error.message;
                let body = message.strip_suffix('…').expect("it says that it was cut");
                let start = format!("\u{1b}[31m\u{7}line\nbreak{}", "a".repeat(pad));
                let units = body.strip_prefix(&start).expect("it begins as it was said");
                assert!(units.replace(unit, "").is_empty(), "{units}");
                // Not a character more is missing than has to be.
                assert!(
                    (1_024 - unit.len() + 1..=1_024).contains(&message.len()),
                    "{}",
                    message.len()
                );
            }
        }
    }
}

#[test]
fn a_line_of_log_is_cut_and_the_update_goes_on() {
    for pad in 0..4 {
        let (rig, id) = long_text("log", pad, "🦀");
        assert_eq!(rig.error(&id), None);
        let lines = lines_of(&id);
        let line = lines.iter().find(|line| line.level == "WARN").unwrap();
        // What a terminal would obey is written out, which makes these ten bytes longer.
        let len = line.message.len() - 10;
        assert!((8 * 1024 - 3..=8 * 1024).contains(&len), "{len}");
        assert!(line.message.starts_with(r"\u{1b}[31m\u{7}line\nbreak"));
        assert!(line.message.ends_with("🦀"), "{pad}");
    }
}

#[test]
fn an_event_or_a_view_that_is_too_long_is_refused_and_not_cut() {
    let (rig, id) = long_text("event", 0, "é");
    let said = rig.error(&id).unwrap();
    assert!(said.contains("refused") && said.len() < 200, "{said}");
    for (mib, fits) in [(16, true), (17, false)] {
        let rig = Rig::new();
        rig.drop_as("long-text", "p", &format!("[settings]\nview_mib = {mib}\n"));
        rig.load();
        let shown = rig.engine.display("p");
        assert_eq!(shown.is_ok(), fits, "{mib}");
        if let Err(error) = shown {
            assert!(error.to_string().contains("larger than 16 MiB"), "{error}");
        }
        assert_eq!(rig.state("p"), PluginState::Enabled);
    }
}

/// Copies the plugin file of a crate into the directory under its own name, without configuration.
fn copy(name: &str, dir: &Path) {
    std::fs::copy(built(name), dir.join(format!("{name}.so"))).unwrap();
}

#[test]
fn another_plugin_of_the_same_id_never_touches_the_one_that_has_it() {
    let rig = Rig::new();
    copy("same-id", rig.dir());
    rig.load();
    // By name it would be the first, but the other one has the id.
    copy("noop", rig.dir());
    for _ in 0..2 {
        let outcomes = rig.load_any();
        let duplicates = outcomes
            .iter()
            .filter(|outcome| {
                matches!(outcome, LoadOutcome::Refused { error, .. } if matches!(**error, LoadError::Duplicate { .. }))
            })
            .count();
        assert_eq!(duplicates, 1, "{outcomes:?}");
        let shown = rig.engine.display("noop").unwrap();
        assert_eq!(shown.as_text(), Some("the other noop"));
        assert_eq!(rig.engine.run_cycle().completed, 1);
        rig.advance(1_000);
    }
}

#[test]
fn three_versions_of_a_plugin_are_three_files_that_tell_who_they_are() {
    for (name, version, shown) in [
        ("versioned-0-9", "0.9.0", "0.9.0: 2"),
        ("versioned-1-1", "1.1.0", "1.1.0: 2"),
        ("versioned-1-1-rebuilt", "1.1.0", "1.1.0, rebuilt: 20"),
    ] {
        let rig = Rig::new();
        copy(name, rig.dir());
        rig.load();
        for _ in 0..2 {
            rig.engine.update("versioned").unwrap();
        }
        assert_eq!(
            rig.engine.display("versioned").unwrap().as_text(),
            Some(shown)
        );
        assert_eq!(rig.snapshot("versioned").version(), Some(version));
    }
}
