//! The libraries of the system in a plugin directory: every one is refused in words, and none of their code runs.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use plugin_engine::{Code, LoadOutcome, VerifyPolicy, inspect};
use plugin_engine_tests::Rig;

/// The most files that are looked at; a system may have any number.
const FILES_MAX: usize = 3_000;

/// The libraries below a directory: real files and links, each with its path.
fn libraries(root: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![PathBuf::from(root)];
    while let Some(dir) = dirs.pop() {
        let Ok(entries) = fs::read_dir(dir) else {
            continue;
        };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                dirs.push(path);
            } else if name.to_string_lossy().contains(".so") && found.len() < FILES_MAX {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The files from which code is mapped into this process. Bytes that are only looked at are mapped too, but not to be run.
fn mapped() -> HashSet<String> {
    let maps = fs::read_to_string("/proc/self/maps").expect("the own mappings can be read");
    maps.lines()
        .filter(|line| {
            line.split(' ')
                .nth(1)
                .is_some_and(|rights| rights.contains('x'))
        })
        .filter_map(|line| line.find('/').map(|at| line[at..].to_owned()))
        .collect()
}

fn check_words(error: &str, path: &Path) {
    assert!(
        error.len() < 1_000 && !error.contains('\n') && !error.is_empty(),
        "{}: {error}",
        path.display()
    );
}

#[test]
fn every_library_of_the_system_is_refused_in_words_and_none_is_mapped() {
    let libraries = libraries("/usr/lib");
    let before = mapped();
    let policy = VerifyPolicy::default();
    let mut no_plugins = 0;
    for path in &libraries {
        let inspection = inspect(path, &policy);
        let refusal = inspection.refusal();
        let refusal = refusal.unwrap_or_else(|| panic!("{} would be loaded", path.display()));
        check_words(&refusal.to_string(), path);
        no_plugins += usize::from(refusal.code() == Code::NO_MANIFEST);
    }
    println!(
        "{} libraries, {no_plugins} without a manifest",
        libraries.len()
    );
    // Nearly all are good libraries: were they refused for another reason, a check would be wrong.
    assert!(no_plugins * 10 >= libraries.len() * 7, "{no_plugins}");
    // The other test in this process maps its plugin.
    let new: Vec<_> = mapped().difference(&before).cloned().collect();
    assert!(new.iter().all(|file| file.contains("memfd:")), "{new:?}");
}

#[test]
fn links_to_the_libraries_of_the_system_are_refused_and_keep_no_plugin_waiting() {
    let rig = Rig::new();
    rig.drop_in("noop");
    let libraries = libraries("/usr/lib");
    for (n, path) in libraries.iter().enumerate() {
        symlink(path, rig.dir().join(format!("link-{n}.so"))).unwrap();
    }
    // A link is judged by where it leads, so this one is refused for what it is.
    let before = mapped();
    let mut refused = 0;
    for outcome in rig.load_any() {
        if let LoadOutcome::Refused { file, error } = &outcome {
            check_words(&error.to_string(), file);
            assert!(
                [Code::FILE_LINK_OUT, Code::FILE_UNREADABLE].contains(&error.code()),
                "{outcome}"
            );
            refused += 1;
        } else {
            assert!(outcome.is_good(), "{outcome}");
        }
    }
    assert_eq!(refused, libraries.len());
    let new: Vec<_> = mapped().difference(&before).cloned().collect();
    assert!(
        new.iter().all(|file| file.contains("memfd:noop.so")),
        "{new:?}"
    );
    assert_eq!(rig.engine.run_cycle().completed, 1);
}
