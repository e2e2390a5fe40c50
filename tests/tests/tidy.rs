//! Keeps the layout honest: which crate may know which, where unsafe code may be, how long a file may get.

use std::fs;
use std::path::{Path, PathBuf};

/// The longest file, in lines, without its tests.
const LINES_MAX: usize = 500;

/// The only files with unsafe code: where libraries are loaded, called and unloaded, what the boundary is made of, where threads and keys
/// are counted, and where a file is mapped and written to in signal handlers so that it says after a crash who was called.
const UNSAFE_FILES: [&str; 31] = [
    "engine/benches/peers.rs",
    "engine/benches/plugin_files.rs",
    "engine/crash-marks/src/current.rs",
    "engine/crash-marks/src/handlers.rs",
    "engine/crash-marks/src/marking.rs",
    "engine/crash-marks/src/record.rs",
    "engine/crash-marks/tests/record.rs",
    "engine/src/fuzzing/lent.rs",
    "engine/src/fuzzing/stand_in.rs",
    "engine/src/instance.rs",
    "engine/src/lent.rs",
    "engine/src/library/c_file.rs",
    "engine/src/library/mapping.rs",
    "engine/src/library/objects.rs",
    "engine/src/library/open.rs",
    "engine/src/services.rs",
    "engine/src/thread_keys.rs",
    "engine/src/threading/ordinary.rs",
    "engine/thread-hooks/src/exits.rs",
    "engine/thread-hooks/src/keys.rs",
    "engine/thread-hooks/src/next.rs",
    "engine/thread-hooks/src/threads.rs",
    "fixtures/exits/src/lib.rs",
    "fixtures/own-allocator/src/lib.rs",
    "fixtures/segfaults/src/lib.rs",
    "plugin-api/src/abi.rs",
    "plugin-api/src/export.rs",
    "plugin-api/src/guard.rs",
    "plugin-api/src/host.rs",
    "plugin-api/test-host/src/instance.rs",
    "plugin-api/test-host/src/services.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Rust files, by their path from the root, with their text.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut dirs: Vec<PathBuf> = ["engine", "plugin-api", "plugins", "fixtures", "tests"]
        .map(|dir| root().join(dir))
        .into();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    dirs.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
                found.push((name.to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 50, "the sources are where they are expected");
    found
}

#[test]
fn no_file_is_longer_than_can_be_read_in_one_go() {
    for (name, text) in sources() {
        let code = text.split("#[cfg(test)]").next().unwrap_or(&text);
        let lines = code.lines().count();
        assert!(
            lines <= LINES_MAX,
            "{name} has {lines} lines; split it by what its parts are about"
        );
    }
}

#[test]
fn unsafe_code_is_only_where_libraries_are_loaded_and_called() {
    for (name, text) in sources() {
        let has_unsafe = text
            .lines()
            .map(str::trim_start)
            .filter(|line| !line.starts_with("//"))
            .any(|line| {
                ["unsafe {", "unsafe fn", "unsafe impl"]
                    .iter()
                    .any(|word| line.contains(word))
            });
        if has_unsafe && !name.starts_with("tests/") {
            assert!(
                UNSAFE_FILES.contains(&name.as_str()),
                "{name} has unsafe code"
            );
        }
    }
}

#[test]
fn the_core_knows_no_clock_no_thread_no_file_and_no_lock() {
    for (name, text) in sources() {
        if !name.starts_with("engine/core/src/") {
            continue;
        }
        for word in [
            "Instant",
            "SystemTime::now",
            "std::thread",
            "std::fs",
            "std::io",
            "Mutex",
            "RwLock",
            "Atomic",
        ] {
            assert!(!text.contains(word), "{name} has {word}");
        }
    }
}

#[test]
fn the_arrows_between_crates_point_one_way() {
    let knows = |manifest: &str, crate_name: &str| {
        let text = fs::read_to_string(root().join(manifest).join("Cargo.toml")).unwrap();
        let dependencies = text.split("[dev-dependencies]").next().unwrap_or(&text);
        dependencies
            .lines()
            .any(|line| line.split(['.', ' ', '=']).next() == Some(crate_name))
    };
    for (from, not_to) in [
        ("engine/core", "plugin-api"),
        ("engine/core", "plugin-engine"),
        ("plugin-api", "plugin-engine"),
        ("plugin-api", "plugin-engine-core"),
        ("plugin-api", "plugin-test-host"),
        ("plugin-api/test-host", "plugin-engine"),
        ("plugin-api/test-host", "plugin-engine-core"),
        ("engine", "plugin-engine-tests"),
        ("engine", "clap"),
        // What opens sockets is opted into.
        ("engine", "plugin-engine-admin"),
        ("engine", "plugin-engine-wire"),
        ("engine", "axum"),
        ("engine/admin", "plugin-engine-cli"),
        ("engine/admin", "clap"),
        // It puts functions in front of the system's, which no embedder should get without having asked for it.
        ("engine", "plugin-engine-thread-hooks"),
        ("engine/thread-hooks", "plugin-engine"),
        ("engine", "plugin-engine-wire"),
        ("engine/wire", "clap"),
        ("engine/wire", "hyper"),
        ("engine/crash-marks", "plugin-engine"),
        ("engine/crash-marks", "plugin-engine-core"),
        ("engine/history-store", "plugin-engine"),
        ("engine/history-store", "plugin-api"),
    ] {
        assert!(!knows(from, not_to), "{from} must not depend on {not_to}");
    }
    assert!(knows("engine", "plugin-engine-core") && knows("engine/cli", "plugin-engine"));
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    for (name, _) in sources() {
        let stem = Path::new(&name).file_stem().unwrap().to_str().unwrap();
        for word in [
            "util", "utils", "common", "helpers", "manager", "imp", "types", "misc",
        ] {
            assert_ne!(stem, word, "{name}");
        }
    }
}

/// The lines of the first Rust code of the README below a heading.
fn readme_code(heading: &str) -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let block = readme.split(heading).nth(1).unwrap();
    let block = block.split("```rust\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    block.lines().map(str::to_owned).collect()
}

#[test]
fn the_readme_shows_the_code_of_the_documentation() {
    for (heading, file, comment) in [
        ("## Embed it", "engine/src/lib.rs", "//! "),
        ("## A plugin", "plugin-api/src/plugin.rs", "/// "),
        ("## A plugin", "engine/book/src/begin/uptime.rs", ""),
    ] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        let shown = readme_code(heading);
        let shown: Vec<_> = shown
            .iter()
            .map(|line| format!("{comment}{line}").trim_end().to_owned())
            .collect();
        assert!(
            lines.windows(shown.len()).any(|some| some == shown),
            "{file} has not what the README shows under {heading}"
        );
    }
}

/// The book says so of them.
#[test]
fn plugins_that_wrap_a_crate_have_less_than_a_hundred_lines() {
    for name in ["load-log", "probe", "script", "duplicates"] {
        let file = root().join("plugins").join(name).join("src/lib.rs");
        let lines = fs::read_to_string(file).unwrap().lines().count();
        assert!(
            lines < 100,
            "plugins/{name} has {lines} lines; a lesson is read at once"
        );
    }
}

#[test]
fn the_readme_is_no_longer_than_is_read_at_once() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let lines = readme.lines().count();
    assert!(
        lines <= 200,
        "the README has {lines} lines; what is long belongs into the book"
    );
}

#[test]
fn the_architecture_shows_the_table_as_it_is() {
    let text = fs::read_to_string(root().join("engine/ARCHITECTURE.md")).unwrap();
    let table = plugin_engine_core::table();
    assert!(
        text.contains(&table),
        "the table in engine/ARCHITECTURE.md is not the one in the code; `cargo run --package plugin-engine-core --example table` prints it"
    );
}

#[test]
fn the_reference_of_codes_is_what_the_program_explains() {
    let page = fs::read_to_string(root().join("engine/CODES.md")).unwrap();
    assert!(
        page == plugin_engine::Code::reference(),
        "write it anew: cargo run --package plugin-engine --example codes > engine/CODES.md"
    );
}

/// A code that stands in the documentation or in a source is one that is explained.
#[test]
fn every_code_that_is_mentioned_is_explained() {
    let mut pages: Vec<_> = ["README.md", "engine/ARCHITECTURE.md", "engine/CHANGELOG.md"]
        .map(|page| root().join(page))
        .into();
    for part in fs::read_dir(root().join("engine/book/src")).unwrap() {
        let part = part.unwrap().path();
        if part.is_dir() {
            pages.extend(fs::read_dir(part).unwrap().map(|page| page.unwrap().path()));
        }
    }
    let pages = pages.into_iter().map(|page| {
        (
            page.display().to_string(),
            fs::read_to_string(page).unwrap(),
        )
    });
    for (name, text) in sources().into_iter().chain(pages) {
        for (at, _) in text.match_indices("PE0") {
            let Some(code) = text.get(at..at + 6) else {
                continue;
            };
            let is_code = code[2..].bytes().all(|c| c.is_ascii_digit());
            assert!(
                !is_code || plugin_engine::Code::find(code).is_some(),
                "{name} mentions {code}"
            );
        }
    }
}

/// Bugs are planted now and then, by `tests/models.sh --planted` and `tests/sanitize.sh --planted`; what they change has to be there all the time.
#[test]
fn the_planted_bugs_fit_the_sources() {
    let mut hunks = 0;
    let dirs = [
        "models/planted",
        "sanitizers/planted/address",
        "sanitizers/planted/thread",
    ];
    let bugs = dirs.map(|dir| fs::read_dir(root().join("tests").join(dir)).unwrap());
    for bugs in bugs.into_iter().flatten() {
        let bugs = bugs.unwrap().path();
        let text = fs::read_to_string(&bugs).unwrap();
        for part in text.split("\n--- a/").skip(1) {
            let (file, part) = part.split_once('\n').unwrap();
            let source = fs::read_to_string(root().join(file)).unwrap();
            for hunk in part.split("\n@@ ").skip(1) {
                let before: String = hunk
                    .lines()
                    .skip(1)
                    .take_while(|line| !line.starts_with("diff "))
                    .filter_map(|line| line.strip_prefix([' ', '-']))
                    .map(|line| format!("{line}\n"))
                    .collect();
                let fits = !before.is_empty() && source.contains(&before);
                assert!(fits, "{} no longer fits {file}:\n{before}", bugs.display());
                hunks += 1;
            }
        }
    }
    assert!(hunks > 10, "{hunks}");
}
