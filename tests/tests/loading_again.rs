//! Loading more than once: the same directory again, a file that has changed, an id that was let go.

use plugin_engine::{Code, LoadOutcome};
use plugin_engine_tests::{Rig, built};

fn codes(outcomes: &[LoadOutcome]) -> Vec<Option<Code>> {
    outcomes.iter().map(LoadOutcome::code).collect()
}

fn put(rig: &Rig, fixture: &str, file: &str) {
    std::fs::copy(built(fixture), rig.dir().join(file)).unwrap();
}

/// How many sealed copies of files of this name the process holds.
fn sealed(name: &str) -> usize {
    let begin = format!("/memfd:{name}");
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    links
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter(|link| link.to_string_lossy().starts_with(&begin))
        .count()
}

#[test]
fn a_file_that_is_refused_once_it_was_mapped_is_mapped_once_however_often_it_is_loaded() {
    let rig = Rig::new();
    put(&rig, "schema-is-none", "mapped-once.so");
    for _ in 0..4 {
        let outcomes = rig.load_any();
        assert_eq!(codes(&outcomes), [Some(Code::CONFIG_BAD_SCHEMA)]);
        assert!(outcomes[0].to_string().contains("mapped-once.so"));
        assert_eq!(sealed("mapped-once.so"), 1);
    }
    assert_eq!(rig.engine.usage().libraries, 1);
}
