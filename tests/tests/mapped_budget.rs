//! More different builds of a plugin than a process can hold: by default they stay mapped, and the end is a refusal in words.

use plugin_engine::Code;
use plugin_engine_tests::{Builds, Rig};

/// The most builds that are tried: more than there are keys.
const BUILDS: u64 = 1_200;

/// Loads, calls and unloads builds of a plugin that asks for a key for thread-local values, until one is refused. Returns how many were
/// mapped, and the refusal.
fn fill(rig: &Rig, builds: &Builds, numbers: std::ops::Range<u64>) -> (u64, Code, String) {
    let file = rig.dir().join("builds.so");
    let begin = numbers.start;
    for number in numbers {
        builds.write(number, &file);
        let loaded = if number == begin {
            rig.load_any().remove(0)
        } else {
            match rig.engine.load("current-thread") {
                Ok(outcome) => outcome,
                Err(error) => return (number - begin, error.code(), error.to_string()),
            }
        };
        assert!(loaded.is_good(), "{loaded}");
        assert_eq!(rig.engine.run_cycle().completed, 1, "{number}");
        rig.engine.unload("current-thread").unwrap();
        rig.advance(1_000);
    }
    panic!("nothing was refused");
}

#[test]
fn builds_without_end_are_refused_at_the_budget_and_before_the_keys_run_out() {
    let builds = Builds::of("current-thread");
    let rig = Rig::with(|builder| builder.libraries_max(100));
    let (mapped, code, text) = fill(&rig, &builds, 0..BUILDS);
    assert_eq!((mapped, code), (100, Code::TOO_MANY_LIBRARIES), "{text}");
    assert!(
        text.contains("100 mapped files that nothing uses any more"),
        "{text}"
    );
    assert!(text.contains("unmap = \"when-safe\""), "{text}");
    let usage = rig.engine.usage();
    assert_eq!((usage.libraries_in_use, usage.libraries_retired), (0, 100));
    // With more room it is the keys that there are not enough of, each mapped build having taken one.
    let rig = Rig::with(|builder| builder.libraries_max(2_000));
    let (mapped, code, text) = fill(&rig, &builds, BUILDS..2 * BUILDS);
    assert_eq!(code, Code::THREAD_KEYS, "{text}");
    assert!((800..1_000).contains(&mapped), "{mapped}");
    assert!(
        text.contains(&format!("{mapped} mapped files that nothing uses")),
        "{text}"
    );
    // What is mapped can be used again.
    builds.write(BUILDS, &rig.dir().join("builds.so"));
    rig.engine.enable("current-thread").unwrap();
    assert_eq!(rig.engine.run_cycle().completed, 1);
}
