//! Code of a plugin file that does not return while the file is being unmapped. The system's loader holds its lock meanwhile, for the
//! whole process: so these tests are a process of their own, and come one after another.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use plugin_engine::{Code, LoadOutcome, PluginState};
use plugin_engine_tests::{Builds, Rig, ThreadHooks, is_mapped, sealed_copies, wait_for};
use tempfile::TempDir;

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why the file of this plugin is mapped; `None` if it is not.
fn why(rig: &Rig, id: &str) -> Option<String> {
    let file = rig.dir().join(format!("{id}.so"));
    let mapped = rig.engine.mapped_libraries();
    let mut mapped = mapped.into_iter().filter(|one| one.file == file);
    mapped.next().map(|one| one.why)
}

fn await_unmapped(rig: &Rig, id: &str) {
    wait_for("the unmap", || why(rig, id).is_none());
    let file = format!("{id}.so");
    assert!(!is_mapped(&file) && sealed_copies(&file) == 0);
}

/// A rig with a plugin that is just being unmapped and does not come to an end until `open` is in the directory.
fn lingering(id: &str, more: Duration) -> (Rig, TempDir) {
    let rig = Rig::with(|builder| builder.load_timeout(more).thread_census(ThreadHooks));
    let dir = TempDir::new().unwrap();
    let config = format!(
        "unmap = \"when-safe\"\n[settings]\ndir = {:?}\n",
        dir.path()
    );
    rig.drop_as("lingers", id, &config);
    rig.load();
    rig.engine.unload(id).unwrap();
    wait_for("the unmap to begin", || {
        dir.path().join("unmapping").exists()
    });
    (rig, dir)
}

fn open(dir: &Path) {
    std::fs::write(dir.join("open"), "").unwrap();
}

#[test]
fn a_file_that_is_loaded_while_it_is_being_unmapped_waits_and_is_mapped_anew() {
    let _turn = turn();
    let (rig, dir) = lingering("meanwhile", Duration::from_secs(60));
    assert_eq!(
        why(&rig, "meanwhile").as_deref(),
        Some("unloaded, is just being unmapped")
    );
    std::thread::scope(|scope| {
        let load = scope.spawn(|| rig.engine.load("meanwhile"));
        // It cannot end before the unmap does; nor does it keep anything else from going on.
        assert_eq!(rig.engine.run_cycle().due, 0);
        assert!(!load.is_finished());
        open(dir.path());
        let outcome = load.join().unwrap().unwrap();
        assert!(outcome.is_good(), "{outcome}");
    });
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(why(&rig, "meanwhile").as_deref(), Some("used by meanwhile"));
    assert_eq!(sealed_copies("meanwhile.so"), 1);
    rig.engine.unload("meanwhile").unwrap();
    await_unmapped(&rig, "meanwhile");
}

#[test]
fn an_unmap_that_hangs_is_told_by_who_waits_for_it_and_ends_at_last() {
    let _turn = turn();
    let (rig, dir) = lingering("hangs-at-its-end", Duration::from_secs(1));
    Builds::of("noop").write(0, &rig.dir().join("waits.so"));
    let outcomes = rig.load_any();
    let refused = outcomes
        .iter()
        .find(|one| one.code() == Some(Code::UNMAP_BUSY));
    let text = refused.expect("it waits in vain").to_string();
    assert!(
        text.contains("waits.so: waits for") && text.contains("hangs-at-its-end.so"),
        "{text}"
    );
    open(dir.path());
    await_unmapped(&rig, "hangs-at-its-end");
    wait_for("the loader", || {
        rig.load_any().iter().all(LoadOutcome::is_good)
    });
    assert_eq!(rig.state("noop"), PluginState::Enabled);
}

#[test]
fn a_shutdown_does_not_wait_for_an_unmap_that_hangs() {
    let _turn = turn();
    let (rig, dir) = lingering("hangs-at-the-end-of-all", Duration::from_secs(60));
    let began = std::time::Instant::now();
    rig.engine.shutdown(Duration::from_millis(300)).unwrap();
    assert!(began.elapsed() < Duration::from_secs(20));
    open(dir.path());
}
