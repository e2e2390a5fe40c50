//! Contracts that were released, as they were frozen then: today's differs from each by what stands at its ends alone, and plugin files
//! of that time are loaded and run.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use plugin_engine::{LoadOutcome, PluginState};
use plugin_engine_tests::{Build, Rig, await_late, wait_for};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The directories of the releases, by version.
fn releases() -> Vec<(String, PathBuf)> {
    let dirs = fs::read_dir(root().join("fixtures/files/contract")).unwrap();
    let mut found: Vec<_> = dirs
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

/// The numbers of a version up to the first that is not zero, which is what compatibility goes by.
fn significant(version: &str) -> Vec<u64> {
    let mut numbers = Vec::new();
    for number in version.split('.') {
        numbers.push(number.parse().unwrap());
        if numbers.last() != Some(&0) {
            break;
        }
    }
    numbers
}

/// Those of the releases whose plugins today's engine takes.
fn compatible() -> Vec<(String, PathBuf)> {
    let own = significant(env!("CARGO_PKG_VERSION"));
    let mut releases = releases();
    releases.retain(|(version, _)| significant(version) == own);
    releases
}

/// A description, by type: the line of the type and those of its fields. Constants are types of one line.
fn sections(text: &str) -> HashMap<String, Vec<String>> {
    let mut sections: HashMap<String, Vec<String>> = HashMap::new();
    let mut name = String::new();
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        if ["const", "struct", "table"].contains(&words[0]) {
            name = words[..2].join(" ");
        }
        sections
            .entry(name.clone())
            .or_default()
            .push(line.to_owned());
    }
    sections
}

/// How today's description differs from a frozen one in another way than by fields at the ends of tables and by new types.
fn broken(frozen: &str, today: &str) -> Vec<String> {
    let (frozen, today) = (sections(frozen), sections(today));
    let mut broken = Vec::new();
    for (name, then) in &frozen {
        let now = today.get(name).map_or(&[] as &[String], Vec::as_slice);
        let may_be_longer = name.starts_with("table ");
        let same = now.get(..then.len()) == Some(then.as_slice());
        if !same || (!may_be_longer && now.len() != then.len()) {
            let line = then.iter().zip(now).find(|(then, now)| then != now);
            broken.push(match line {
                Some((then, now)) => format!("\"{then}\" has become \"{now}\""),
                None => format!("{name} has {} lines, not {}", now.len(), then.len()),
            });
        }
    }
    broken
}

#[test]
fn the_contract_differs_from_released_ones_by_what_stands_at_its_ends_alone() {
    let today = fs::read_to_string(root().join("plugin-api/c/contract.txt")).unwrap();
    for (version, dir) in compatible() {
        let frozen = fs::read_to_string(dir.join("contract.txt")).unwrap();
        let broken = broken(&frozen, &today);
        assert!(
            broken.is_empty(),
            "plugins built against plugin-api {version} would break: {}; add fields at the ends of PluginModule and HostServices only, or \
             raise the version so that such plugins are refused",
            broken.join("; ")
        );
    }
}

#[test]
fn every_other_change_of_a_contract_is_noticed() {
    let today = fs::read_to_string(root().join("plugin-api/c/contract.txt")).unwrap();
    assert_eq!(broken(&today, &today), [""; 0]);
    let longer = today.clone()
        + "PluginModule.more @80 fn()\nstruct Extra 8 8\nExtra.what @0 u64\nconst PLUGIN_LATER 9\n";
    assert_eq!(broken(&today, &longer), [""; 0]);
    assert!(!broken(&longer, &today).is_empty());
    for (from, to) in [
        (
            "CallFrame.log_level_max @40 u8\n",
            "CallFrame.log_level_max @40 u8\nCallFrame.more @48 u64\n",
        ),
        (
            "HostServices.now_ns @16 fn(HostHandle) -> u64",
            "HostServices.now_ns @16 fn(HostHandle) -> u32",
        ),
        ("PluginModule.update", "PluginModule.refresh"),
        ("table PluginModule 5", "table PluginModule 6"),
        ("const PLUGIN_FAILED 1", "const PLUGIN_FAILED 3"),
        ("struct Panic 40 8\n", "struct Panic 48 8\n"),
        (
            "PluginModule.create @8",
            "PluginModule.warm_up @8 fn()\nPluginModule.create @16",
        ),
    ] {
        assert_eq!(today.matches(from).count(), 1, "{from}");
        assert!(!broken(&today, &today.replace(from, to)).is_empty(), "{to}");
    }
}

#[test]
fn the_frozen_files_are_those_that_were_frozen() {
    for (version, dir) in releases() {
        let output = Command::new("sha256sum")
            .args(["--check", "--quiet", "sha256sums"])
            .current_dir(&dir)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{version}: {said}");
        let listed = fs::read_to_string(dir.join("sha256sums"))
            .unwrap()
            .lines()
            .count();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), listed + 1);
    }
}

/// Whether files of this machine are among the frozen ones; says so where they are not.
fn has_files_for_this_machine() -> bool {
    let has = cfg!(all(
        target_arch = "x86_64",
        target_os = "linux",
        target_env = "gnu"
    ));
    if !has {
        eprintln!("golden plugin files WERE NOT LOADED: they are for x86-64 Linux with glibc");
    }
    has
}

#[test]
fn plugins_that_were_built_against_released_contracts_run() {
    if !has_files_for_this_machine() {
        return;
    }
    for (version, dir) in compatible() {
        let rig = Rig::new();
        let file = |name: &str| rig.dir().join(format!("{name}.so"));
        fs::copy(dir.join("counter-x86_64.so"), file("counter")).unwrap();
        rig.configure("counter", "[settings]\nstart = 40\n");
        let drop_scripted = |id: &str, task: &str| {
            fs::copy(dir.join("scripted-x86_64.so"), file(id)).unwrap();
            rig.configure(id, &format!("[settings]\ndo = \"{task}\"\n"));
            rig.load();
        };
        drop_scripted("works", "work");
        drop_scripted("fails", "fail");
        let counted = rig.engine.subscribe("plugin.counter.count");
        let report = rig.engine.run_cycle();
        assert_eq!((report.completed, report.failed), (2, 1), "{version}");
        drop_scripted("waits", "wait");
        let waiting = rig.engine.subscribe("plugin.waits.waiting");
        let cycle = rig.engine.start_cycle();
        wait_for("the call", || waiting.try_next().is_some());
        rig.advance(500);
        assert_eq!(cycle.wait().timed_out, 1, "{version}");
        await_late(&rig, "waits", 1);
        assert_eq!(&*counted.try_next().unwrap().payload, "41");
        for (id, shows) in [
            ("counter", "41 so far"),
            ("works", "works 1.0.0: 1, in time"),
        ] {
            assert_eq!(
                rig.engine.display(id).unwrap().as_text(),
                Some(shows),
                "{version}"
            );
        }
        assert!(rig.error("fails").unwrap().contains("not today"));
        // Today's build takes over what that of then has saved.
        let today = Build::OneUnit.counter().unwrap();
        fs::copy(today, file("counter")).unwrap();
        rig.engine.reload("counter").unwrap();
        assert_eq!(
            rig.engine.display("counter").unwrap().as_text(),
            Some("42 so far")
        );
        for id in ["counter", "works", "fails", "waits"] {
            rig.engine.unload(id).unwrap();
            assert_eq!(rig.state(id), PluginState::Unloaded);
        }
    }
}

#[test]
fn plugins_of_contracts_that_no_longer_fit_are_refused_in_words() {
    if !has_files_for_this_machine() {
        return;
    }
    let own = significant(env!("CARGO_PKG_VERSION"));
    for (version, dir) in releases() {
        let rig = Rig::new();
        let file = rig.dir().join("golden.so");
        fs::copy(dir.join("scripted-x86_64.so"), &file).unwrap();
        let bytes = fs::read(&file).unwrap();
        // A release that is compatible is made one that is not.
        let (from, to) = (
            format!("api={version}\n"),
            format!("api=9{}\n", &version[1..]),
        );
        let at = bytes
            .windows(from.len())
            .position(|window| window == from.as_bytes());
        let mut bytes = bytes.clone();
        let is_compatible = significant(&version) == own;
        if is_compatible {
            bytes[at.unwrap()..][..to.len()].copy_from_slice(to.as_bytes());
        }
        fs::write(&file, bytes).unwrap();
        let outcome = rig.load_any().remove(0);
        let LoadOutcome::Refused { .. } = &outcome else {
            panic!("{version}: {outcome}");
        };
        assert!(outcome.to_string().contains("plugin-api"), "{outcome}");
    }
}
