//! How a watch ends. Alone in its process, because it counts threads.

use std::time::Duration;

use plugin_engine_tests::{Rig, built, slow_to_remove, threads_of, wait_for};

/// The threads of all watches in this process, those of the library that reports changes included.
fn threads() -> usize {
    let threads = threads_of("self");
    let watches = threads
        .iter()
        .filter(|name| *name == "plugin-watch" || name.starts_with("notify-rs"));
    watches.count()
}

#[test]
fn a_watch_ends_with_its_handle_and_with_its_engine_and_survives_a_panic_of_who_is_told() {
    let rig = Rig::with(slow_to_remove);
    let watch = rig.engine.watch(|_| ()).unwrap();
    wait_for("the watch", || threads() == 2);
    drop(watch);
    wait_for("the end of the watch", || threads() == 0);

    let told = std::sync::atomic::AtomicUsize::new(0);
    let watch = rig.engine.watch(move |outcome| {
        let before = told.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        assert_ne!(before, 0, "told of {outcome}");
    });
    let watch = watch.unwrap();
    for id in ["counter", "noop"] {
        std::fs::copy(built(id), rig.dir().join(format!("{id}.so"))).unwrap();
        wait_for(id, || rig.snapshot(id).generation == 1);
    }
    rig.engine.shutdown(Duration::from_secs(1)).unwrap();
    wait_for("the end of the watch", || threads() == 0);
    drop(watch);

    // A watch does not keep an engine alive either.
    let rig = Rig::with(slow_to_remove);
    let watch = rig.engine.watch(|_| ()).unwrap();
    wait_for("the watch", || threads() == 2);
    drop(rig);
    wait_for("the end of the watch", || threads() == 0);
    drop(watch);
}
