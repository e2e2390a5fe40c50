//! Crashes in an engine that is part of another program: in every kind of call, and what a person does about a plugin that is kept out.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use plugin_engine::{
    CallKind, Cause, Engine, EngineBuilder, Error, FaultKind, FoundCall, HistoryQuery, LoadOutcome,
    PluginState, StateError, install_crash_marks,
};
use plugin_engine_tests::{ThreadHooks, built, wait_for, write_other_build};
use tempfile::TempDir;

/// What the child of a test does, and where.
const DOES: &str = "CRASHES_TEST_DOES";
const DIR: &str = "CRASHES_TEST_DIR";

const BUDGET: Duration = Duration::from_secs(30);

/// An engine over `plugins`, with its state in `state`, both in this directory.
fn builder(dir: &Path) -> EngineBuilder {
    Engine::builder()
        .plugin_dir(dir.join("plugins"))
        .state_dir(dir.join("state"))
        .thread_census(ThreadHooks)
}

fn drop_as(dir: &Path, name: &str, id: &str, config: &str) {
    let plugins = dir.join("plugins");
    std::fs::create_dir_all(&plugins).unwrap();
    std::fs::copy(built(name), plugins.join(format!("{id}.so"))).unwrap();
    let config = format!("id = \"{id}\"\n{config}");
    std::fs::write(plugins.join(format!("{id}.toml")), config).unwrap();
}

/// The plugin `p`, which aborts in this call.
fn aborting_in(call: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    let config = format!("[settings]\nin_call = \"{call}\"\n");
    drop_as(dir.path(), "aborts", "p", &config);
    dir
}

/// No test by itself: the process that is brought to its end, as [`DOES`] says.
#[test]
fn the_child() {
    let (Ok(does), Some(dir)) = (std::env::var(DOES), std::env::var_os(DIR)) else {
        return;
    };
    let dir = Path::new(&dir);
    install_crash_marks();
    let mut builder = builder(dir);
    let config = dir.join("engine.toml");
    if config.is_file() {
        builder = builder.config_file(config);
    }
    let engine = builder.build().unwrap();
    for outcome in engine.load_all() {
        assert!(outcome.is_good(), "{outcome}");
    }
    let ended = match does.as_str() {
        "display" => engine.display("p").map(drop),
        "reload" => {
            write_other_build("aborts", &dir.join("plugins/p.so"));
            engine.reload("p").map(drop)
        }
        "unload" => {
            engine.unload("p").unwrap();
            wait_for("the unmap", || engine.mapped_libraries().is_empty());
            Ok(())
        }
        _ => panic!("{does}"),
    };
    panic!("it goes on: {ended:?}");
}

/// Has the child come to its end by the plugin.
fn crash(dir: &TempDir, does: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_child", "--nocapture"])
        .env(DOES, does)
        .env(DIR, dir.path())
        .env("PLUGIN_ENGINE_TEST_ABORT", "unmap")
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{does}: {err}");
}

/// The history of `p` since this engine was started; what was before is on disk.
fn of_this_start(engine: &Engine) -> HistoryQuery {
    let started = engine.history_status().unwrap().started_seq;
    engine.history("p").after(started)
}

/// The next engine, and what it has found of `p`.
fn next(dir: &TempDir) -> (Engine, FoundCall) {
    let engine = builder(dir.path()).build().unwrap();
    let [found] = engine.found_calls() else {
        panic!("{:?}", engine.found_calls());
    };
    let found = found.clone();
    assert_eq!(found.id, "p");
    assert!(found.crashed, "{found}");
    let entry = of_this_start(&engine).into_iter().next().unwrap();
    assert_eq!(
        (entry.cause, entry.to),
        (Cause::Crashed, PluginState::Unloaded)
    );
    let error = entry.error.unwrap();
    assert_eq!((error.kind, error.call), (FaultKind::Crash, found.call));
    assert_eq!(*error.message, found.message);
    (engine, found)
}

#[test]
fn a_crash_in_any_call_is_that_of_the_plugin() {
    for (call, does, kind, thread) in [
        ("display", "display", CallKind::Display, "plugin-worker ("),
        (
            "save_state",
            "reload",
            CallKind::SaveState,
            "plugin-worker (",
        ),
        (
            "restore_state",
            "reload",
            CallKind::RestoreState,
            "plugin-aside (",
        ),
        // Of the replacement: nothing runs cycles.
        ("update", "reload", CallKind::Update, "plugin-aside ("),
    ] {
        let dir = aborting_in(call);
        crash(&dir, does);
        let (_engine, found) = next(&dir);
        assert_eq!(
            (found.call, found.crashes),
            (Some(kind), 1),
            "{call}: {found}"
        );
        assert!(found.message.contains(thread), "{call}: {found}");
    }
}

#[test]
fn a_crash_while_a_file_is_unmapped_is_that_of_its_plugins() {
    let dir = TempDir::new().unwrap();
    drop_as(
        dir.path(),
        "aborts-in-loader",
        "p",
        "unmap = \"when-safe\"\n",
    );
    crash(&dir, "unload");
    let (_engine, found) = next(&dir);
    assert_eq!(found.call, None);
    let says = "crashed the engine while its file was unmapped: SIGABRT at ";
    assert!(found.message.starts_with(says), "{found}");
    assert!(found.message.contains("plugin-unmap ("), "{found}");
}

fn quarantined(engine: &Engine, id: &str) {
    let snapshot = engine.snapshot(id);
    assert_eq!(snapshot.state, PluginState::Error, "{snapshot:?}");
    let error = snapshot.error.unwrap();
    assert_eq!(
        (error.kind, &*error.type_name),
        (FaultKind::Crash, "PE0621")
    );
    assert!(
        error.message.contains("crashed the engine twice"),
        "{error}"
    );
}

#[test]
fn reset_tries_a_plugin_again_that_is_kept_out_and_forgets_its_crashes() {
    let dir = aborting_in("display");
    crash(&dir, "display");
    crash(&dir, "display");
    let (engine, found) = next(&dir);
    assert_eq!(found.crashes, 2);
    let outcomes = engine.load_all();
    let [LoadOutcome::Refused { error, .. }] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert_eq!(error.code(), "PE0621");
    assert!(engine.mapped_libraries().is_empty(), "it is not mapped");
    quarantined(&engine, "p");
    // Whatever else is tried, it is kept out.
    for refused in [engine.enable("p").err(), engine.reload("p").err()] {
        assert_eq!(refused.unwrap().code(), "PE0621");
        quarantined(&engine, "p");
    }
    assert!(matches!(engine.load("p"), Err(Error::Denied { .. })));

    engine.reset("p").unwrap();
    assert_eq!(engine.snapshot("p").state, PluginState::Enabled);
    assert_eq!(engine.run_cycle().completed, 1);
    assert_eq!(engine.snapshot("p").error, None);
    engine.shutdown(BUDGET).unwrap();

    // What was before the reset counts no more.
    crash(&dir, "display");
    let (engine, found) = next(&dir);
    assert_eq!(found.crashes, 1);
    assert!(engine.load_all().iter().all(LoadOutcome::is_good));
}

#[test]
fn reset_tries_a_plugin_again_that_is_kept_out_and_was_unloaded_since() {
    let dir = aborting_in("display");
    crash(&dir, "display");
    crash(&dir, "display");
    let (engine, _) = next(&dir);
    assert!(!engine.load_all()[0].is_good());
    quarantined(&engine, "p");
    engine.unload("p").unwrap();
    assert_eq!(engine.load("p").unwrap_err().code(), "PE0621");
    engine.unload("p").unwrap();
    engine.reset("p").unwrap();
    assert_eq!(engine.snapshot("p").state, PluginState::Enabled);
    assert_eq!(engine.run_cycle().completed, 1);
}

#[test]
fn of_several_plugins_of_one_file_only_the_one_that_crashed_is_kept_out() {
    let dir = aborting_in("display");
    std::fs::remove_file(dir.path().join("plugins/p.toml")).unwrap();
    let config = dir.path().join("engine.toml");
    let entry = |id: &str| {
        format!(
            "[[plugin]]\nfile = \"p.so\"\nid = \"{id}\"\nsettings = {{ in_call = \"display\" }}\n"
        )
    };
    std::fs::write(&config, entry("p") + &entry("q")).unwrap();
    crash(&dir, "display");
    crash(&dir, "display");
    let engine = builder(dir.path()).config_file(&config).build().unwrap();
    engine.load_all();
    quarantined(&engine, "p");
    assert_eq!(engine.snapshot("q").state, PluginState::Enabled);
    let causes: Vec<_> = of_this_start(&engine)
        .into_iter()
        .map(|entry| entry.cause)
        .collect();
    assert_eq!(causes, [Cause::Crashed, Cause::Quarantined]);
    // Said once, however often somebody looks.
    engine.load_all();
    assert_eq!(of_this_start(&engine).into_iter().count(), 2);
    engine.reset("p").unwrap();
    assert_eq!(engine.snapshot("p").state, PluginState::Enabled);
}

#[test]
fn bytes_that_crashed_take_over_from_no_others() {
    let dir = aborting_in("display");
    let file = dir.path().join("plugins/p.so");
    crash(&dir, "display");
    crash(&dir, "display");
    let crashed = std::fs::read(&file).unwrap();
    write_other_build("aborts", &file);
    let (engine, _) = next(&dir);
    assert!(engine.load_all().iter().all(LoadOutcome::is_good));
    std::fs::write(&file, crashed).unwrap();
    let error = engine.reload("p").unwrap_err();
    assert!(matches!(error, Error::ReloadRefused { .. }), "{error}");
    assert_eq!(error.code(), "PE0621");
    assert_eq!(engine.snapshot("p").state, PluginState::Enabled);
    assert_eq!(engine.run_cycle().completed, 1);
}

#[test]
fn one_state_directory_is_of_one_engine_until_that_is_shut_down() {
    let dir = aborting_in("display");
    let first = builder(dir.path()).build().unwrap();
    let Err(error) = builder(dir.path()).build() else {
        panic!("it is taken");
    };
    assert_eq!(error.code(), "PE0623");
    assert!(matches!(error, Error::State(StateError::InUse { .. })));
    first.shutdown(BUDGET).unwrap();
    let second = builder(dir.path()).build().unwrap();
    assert!(second.found_calls().is_empty());
}

#[test]
fn a_mended_file_is_loaded_under_a_running_engine_and_the_one_that_crashed_is_told_once() {
    let dir = aborting_in("display");
    crash(&dir, "display");
    crash(&dir, "display");
    let (engine, _) = next(&dir);
    engine.load_all();
    quarantined(&engine, "p");
    let sync = || {
        let mut outcomes = Vec::new();
        engine.sync(|outcome| outcomes.push(outcome)).unwrap();
        outcomes
    };
    let again = sync();
    assert!(
        again
            .iter()
            .all(|one| one.code().is_some_and(|code| code == "PE0621"))
    );
    quarantined(&engine, "p");
    assert_eq!(
        of_this_start(&engine).into_iter().count(),
        2,
        "it is entered once"
    );
    write_other_build("aborts", &dir.path().join("plugins/p.so"));
    let mended = sync();
    assert!(
        matches!(&mended[..], [LoadOutcome::Enabled { .. }]),
        "{mended:?}"
    );
}
