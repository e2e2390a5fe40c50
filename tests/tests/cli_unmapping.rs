//! The program itself puts its own functions in front of the system's, so that it can unmap plugin files.

use plugin_engine_tests::{built, command, ended};
use tempfile::TempDir;

/// What the program says of a file that turned out to be no plugin once it was mapped, with this configuration beside it.
fn said(config: &str) -> String {
    let dir = TempDir::new().unwrap();
    for (fixture, file) in [("schema-is-none", "none.so"), ("noop", "noop.so")] {
        std::fs::copy(built(fixture), dir.path().join(file)).unwrap();
    }
    std::fs::write(dir.path().join("none.toml"), config).unwrap();
    let ran = ended(
        command()
            .env("RUST_LOG", "plugin_engine=info")
            .args(["run", "--cycles", "2", "--plugins"])
            .arg(dir.path()),
    );
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.err
}

#[test]
fn the_program_unmaps_what_it_is_told_to_and_counts_its_threads_for_that() {
    let told = |err: &str, word: &str| {
        let mut lines = err.lines();
        lines.any(|line| line.contains(word) && line.contains("none.so"))
    };
    let err = said("unmap = \"when-safe\"\n");
    assert!(
        told(&err, "unmapped") && !told(&err, "still mapped"),
        "{err}"
    );
    let err = said("");
    assert!(!told(&err, "unmapped"), "{err}");
}
