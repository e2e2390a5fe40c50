//! One plugin, built by other compilers, in other profiles and with other flags: all builds of it are the same plugin.

use plugin_engine::{Code, LoadOutcome, PluginState};
use plugin_engine_tests::{Build, Rig};

#[test]
fn a_plugin_runs_however_it_was_built_and_each_build_takes_over_from_the_one_before() {
    let rig = Rig::new();
    let file = rig.dir().join("counter.so");
    let mut builds = 0;
    for build in Build::GOOD {
        let Some(built) = build.counter() else {
            continue;
        };
        println!(
            "{build:?}: {} bytes",
            std::fs::metadata(&built).unwrap().len()
        );
        std::fs::copy(built, &file).unwrap();
        if builds == 0 {
            rig.load();
        } else {
            rig.engine
                .reload("counter")
                .unwrap_or_else(|error| panic!("{build:?}: {error}"));
        }
        builds += 1;
        rig.advance(1_000);
        assert_eq!(rig.engine.run_cycle().completed, 1, "{build:?}");
        // Two updates of each: the trial at a reload, and the one when it was due; the first build had no trial.
        let shown = rig.engine.display("counter").unwrap();
        assert_eq!(
            shown.as_text(),
            Some(format!("{} so far", 2 * builds - 1).as_str()),
            "{build:?}"
        );
        assert_eq!(rig.snapshot("counter").generation, builds);
        assert_eq!(rig.error("counter"), None, "{build:?}");
    }
    assert!(builds >= 6, "only {builds} builds were tried");
    rig.engine.unload("counter").unwrap();
    assert_eq!(rig.state("counter"), PluginState::Unloaded);
}

#[test]
fn a_plugin_whose_panics_would_end_the_process_is_refused() {
    let rig = Rig::new();
    let built = Build::Abort.counter().unwrap();
    std::fs::copy(built, rig.dir().join("counter.so")).unwrap();
    let outcome = rig.load_any().remove(0);
    let LoadOutcome::Refused { error, .. } = &outcome else {
        panic!("{outcome}");
    };
    assert_eq!(error.code(), Code::PANIC_STRATEGY);
}

#[test]
fn a_plugin_with_an_allocator_of_its_own_shares_no_block_with_the_engine() {
    let rig = Rig::new();
    rig.drop_in("own-allocator");
    rig.load();
    for _ in 0..200 {
        assert_eq!(rig.engine.run_cycle().completed, 1);
        rig.advance(1_000);
    }
    assert_eq!(
        rig.engine.display("own-allocator").unwrap().as_text(),
        Some("100")
    );
    rig.rebuild("own-allocator", "own-allocator");
    rig.engine.reload("own-allocator").unwrap();
    assert_eq!(rig.snapshot("own-allocator").generation, 2);
    rig.engine.unload("own-allocator").unwrap();
}
