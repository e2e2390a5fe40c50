//! What is loaded is what was verified; what is refused is refused in words and keeps nobody else from starting.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use plugin_engine::{CallKind, Error, FaultKind, LoadError, LoadOutcome, PluginState};
use plugin_engine_tests::{Gate, Rig, built, built_with_abort, patched, target_dir, wait_for};

/// Loads a directory with a good plugin and `bad`, and says why that was refused. The good one runs.
fn refusal(write: impl FnOnce(&Path)) -> String {
    let rig = Rig::new();
    rig.drop_in("noop");
    let bad = rig.dir().join("bad.so");
    write(&bad);
    let outcomes = rig.load_any();
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    let refused = outcomes.iter().find_map(|outcome| match outcome {
        LoadOutcome::Refused { file, error } if *file == bad => Some(error.to_string()),
        _ => None,
    });
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(
        (rig.state("noop"), rig.error("noop")),
        (PluginState::Enabled, None)
    );
    let refused = refused.unwrap_or_else(|| panic!("was not refused: {outcomes:?}"));
    assert!(
        refused.len() < 1_000 && !refused.contains('\n'),
        "{refused}"
    );
    assert!(refused.contains("bad.so"), "{refused}");
    refused
}

fn refused_with(says: &str, write: impl FnOnce(&Path)) {
    let refused = refusal(write);
    assert!(refused.contains(says), "{refused}");
}

#[test]
fn what_is_no_plugin_file_is_refused_in_words() {
    refused_with("it looks like a script", |bad| {
        std::fs::write(bad, "#!/bin/sh\n").unwrap()
    });
    refused_with("it is empty", |bad| std::fs::write(bad, "").unwrap());
    refused_with("is a directory, not a regular file", |bad| {
        std::fs::create_dir(bad).unwrap()
    });
    refused_with("is a pipe, not a regular file", |bad| {
        let made = std::process::Command::new("mkfifo").arg(bad).status();
        assert!(made.unwrap().success());
    });
    refused_with("cannot be read", |bad| {
        std::os::unix::fs::symlink("nowhere.so", bad).unwrap();
    });
    refused_with("leads out of the plugin directory", |bad| {
        std::os::unix::fs::symlink(built("noop"), bad).unwrap();
    });
}

#[test]
fn an_executable_is_refused_though_it_can_be_mapped_like_a_library() {
    let own = std::env::current_exe().unwrap();
    refused_with("is a program (a position-independent one)", |bad| {
        std::fs::copy(own, bad).unwrap();
    });
}

#[test]
fn a_library_without_a_manifest_is_refused_before_its_code_runs() {
    // A library that every build of this workspace leaves behind, and that is no plugin.
    let foreign = std::fs::read_dir(target_dir().join("deps"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.ends_with(".so") && name.contains("derive")
        })
        .expect("a derive macro was built");
    refused_with("has no manifest", |bad| {
        std::fs::copy(foreign, bad).unwrap();
    });
}

#[test]
fn a_file_for_another_machine_is_refused() {
    refused_with("is a library for riscv64", |bad| {
        std::fs::copy(built("noop"), bad).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(bad).unwrap();
        // `e_machine` lies at byte 18; 0xf3 is RISC-V, and this test is no test there.
        file.write_all_at(&[0xf3, 0], 18).unwrap();
    });
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused_or_whole_in_all_that_is_mapped() {
    let whole = std::fs::read(built("noop")).unwrap();
    let rig = Rig::new();
    rig.drop_in("noop");
    rig.load();
    let cut = rig.dir().join("cut.so");
    let some = whole.len() / 40;
    let lens = (0..whole.len())
        .step_by(some)
        .chain([1, 4, 63, 64, 65, whole.len() - 1]);
    for len in lens {
        std::fs::write(&cut, &whole[..len]).unwrap();
        let outcomes = rig.engine.load_file(&cut).unwrap();
        assert!(
            matches!(outcomes[..], [LoadOutcome::Refused { .. }]),
            "{len}: {outcomes:?}"
        );
    }
    assert_eq!(rig.engine.usage().libraries, 1);
    assert_eq!(rig.engine.refused().len(), 1);
    assert_eq!(rig.engine.run_cycle().completed, 1);
}

#[test]
fn the_original_may_be_overwritten_cut_off_or_removed_after_the_load() {
    let rig = Rig::new();
    for id in ["overwritten", "cut", "removed", "replaced"] {
        rig.drop_as("noop", id, "");
    }
    rig.load();
    let file = |id: &str| rig.dir().join(format!("{id}.so"));
    let len = std::fs::metadata(file("overwritten")).unwrap().len();
    let same = std::fs::OpenOptions::new()
        .write(true)
        .open(file("overwritten"))
        .unwrap();
    same.write_all_at(&vec![0xcc; len as usize], 0).unwrap();
    let same = std::fs::OpenOptions::new()
        .write(true)
        .open(file("cut"))
        .unwrap();
    same.set_len(0).unwrap();
    std::fs::remove_file(file("removed")).unwrap();
    std::fs::rename(file("overwritten"), file("replaced")).unwrap();
    for _ in 0..3 {
        assert_eq!(rig.engine.run_cycle().completed, 4);
        rig.advance(1_000);
    }
    assert_eq!(rig.engine.display("cut").unwrap().as_text(), Some("3"));
    // Nor does looking again change anything.
    assert!(rig.load_any().iter().all(LoadOutcome::is_good));
}

#[test]
fn the_same_bytes_under_two_ids_are_mapped_once() {
    let rig = Rig::new();
    rig.drop_as("noop", "one", "");
    rig.drop_as("noop", "two", "");
    rig.load();
    let usage = rig.engine.usage();
    assert_eq!((usage.libraries, usage.plugins), (1, 2));
    rig.engine.update("one").unwrap();
    assert_eq!(rig.engine.display("one").unwrap().as_text(), Some("1"));
    assert_eq!(rig.engine.display("two").unwrap().as_text(), Some("0"));
}

#[test]
fn of_two_files_with_one_id_the_first_by_name_has_it_and_the_other_is_refused_with_both_paths() {
    let rig = Rig::new();
    let (first, second) = (rig.dir().join("a.so"), rig.dir().join("b.so"));
    std::fs::copy(built("noop"), &second).unwrap();
    std::fs::copy(built("noop"), &first).unwrap();
    for _ in 0..2 {
        let outcomes = rig.load_any();
        let said: Vec<_> = outcomes.iter().map(ToString::to_string).collect();
        let duplicates = outcomes.iter().filter_map(|outcome| match outcome {
            LoadOutcome::Refused { error, .. } => Some(error),
            _ => None,
        });
        let [LoadError::Duplicate { path, id, holder }] =
            &duplicates.map(|error| &**error).collect::<Vec<_>>()[..]
        else {
            panic!("{said:?}");
        };
        assert_eq!((path, holder, id.as_str()), (&second, &first, "noop"));
        assert!(
            said.iter()
                .any(|said| said.contains("a.so") && said.contains("b.so"))
        );
        assert_eq!(rig.state("noop"), PluginState::Enabled);
    }
    assert_eq!(rig.snapshot("noop").file(), Some(&*first));
}

#[test]
fn a_plugin_whose_create_hangs_keeps_no_other_from_starting_and_is_named_deferred() {
    let gate = Gate::new();
    let rig = Rig::with(|builder| builder.workers(1).startup_budget(Duration::from_secs(2)));
    rig.drop_as("gated", "a", &gate.settings("in_call = \"create\""));
    for id in ["b", "c"] {
        rig.drop_as("noop", id, "");
    }
    let began = Instant::now();
    let outcomes = rig.load_any();
    assert!(began.elapsed() < Duration::from_secs(10));
    for outcome in &outcomes {
        match outcome {
            LoadOutcome::Deferred { id, .. } => assert_eq!(id, &"a", "{outcomes:?}"),
            outcome => assert!(outcome.is_good(), "{outcome}"),
        }
    }
    assert!(
        outcomes
            .iter()
            .any(|outcome| outcome.to_string().contains("a: still starting"))
    );
    let in_flight = rig.snapshot("a").in_flight.unwrap();
    assert_eq!(
        (rig.state("a"), in_flight.call),
        (PluginState::Loaded, CallKind::Create)
    );
    assert_eq!(rig.engine.run_cycle().completed, 2);
    gate.open_all();
    wait_for("the start", || rig.state("a") == PluginState::Enabled);
}

#[test]
fn a_create_that_passes_its_deadline_is_the_state_error_and_what_it_makes_later_is_not_used() {
    let gate = Gate::new();
    let rig = Rig::with(|builder| builder.startup_budget(Duration::from_millis(1)));
    rig.drop_as("gated", "a", &gate.settings("in_call = \"create\""));
    let _ = rig.load_any();
    gate.await_entry(1);
    rig.advance(30_000);
    let error = rig.snapshot("a").error.unwrap();
    assert_eq!(
        (rig.state("a"), error.kind),
        (PluginState::Error, FaultKind::Timeout)
    );
    gate.open(1);
    wait_for("the late return", || rig.snapshot("a").counts.late == 1);
    assert_eq!(rig.state("a"), PluginState::Error);
    gate.open_all();
    rig.engine.enable("a").unwrap();
    assert_eq!(rig.state("a"), PluginState::Enabled);
}

#[test]
fn text_of_a_plugin_is_bounded_and_cannot_steer_a_terminal() {
    let rig = Rig::new();
    rig.drop_in("long-text");
    rig.load();
    let said = rig.engine.update("long-text").unwrap_err().to_string();
    let error = rig.snapshot("long-text").error.unwrap();
    assert!(error.message.len() <= 1_024, "{}", error.message.len());
    assert!(error.message.starts_with("\u{1b}[31m") && error.message.ends_with('…'));
    let entry = rig.history("long-text").pop().unwrap().to_string();
    for text in [said, error.to_string(), entry] {
        assert!(
            text.len() < 2_000 && !text.chars().any(char::is_control),
            "{text:?}"
        );
        assert!(text.contains("\\u{1b}[31m"), "{text:?}");
    }
    let view = rig.engine.display("long-text").unwrap();
    assert_eq!(view.as_text().map(str::len), Some(1 << 20));
}

#[test]
fn a_refused_file_whose_manifest_can_be_read_shows_the_reason_under_its_id() {
    let rig = Rig::new();
    let file = rig.dir().join("noop.so");
    patched("noop", "panic=unwind", "panic=aborts", &file);
    let outcomes = rig.load_any();
    assert!(
        matches!(outcomes[..], [LoadOutcome::Refused { .. }]),
        "{outcomes:?}"
    );
    let snapshot = rig.snapshot("noop");
    assert_eq!(
        (snapshot.state, snapshot.counts.calls),
        (PluginState::Error, 0)
    );
    let error = snapshot.error.unwrap();
    assert_eq!(error.kind, FaultKind::Load);
    assert!(error.message.contains("would end this process"), "{error}");
    // A file that was mended is taken at the next load.
    std::fs::copy(built("noop"), &file).unwrap();
    rig.load();
    assert_eq!(
        (rig.state("noop"), rig.error("noop")),
        (PluginState::Enabled, None)
    );
}

#[test]
fn a_refused_file_shows_the_reason_under_the_id_that_its_configuration_gives_it() {
    let rig = Rig::new();
    rig.drop_as("noop", "mine", "interval = \"7s\"\n");
    patched(
        "noop",
        "panic=unwind",
        "panic=aborts",
        &rig.dir().join("mine.so"),
    );
    let _ = rig.load_any();
    assert_eq!(rig.state("noop"), PluginState::Unloaded);
    assert_eq!(rig.state("mine"), PluginState::Error);
    // And what it says holds when the file was mended and somebody switches the plugin on.
    std::fs::copy(built("noop"), rig.dir().join("mine.so")).unwrap();
    rig.engine.enable("mine").unwrap();
    assert_eq!(rig.snapshot("mine").interval(), Duration::from_secs(7));
}

#[test]
fn a_plugin_built_to_abort_on_a_panic_is_refused_before_it_is_mapped() {
    let rig = Rig::new();
    rig.drop_in("counter");
    let file = rig.dir().join("aborts.so");
    std::fs::copy(built_with_abort("noop"), &file).unwrap();
    let outcomes = rig.load_any();
    let refused = outcomes.iter().find_map(|outcome| match outcome {
        LoadOutcome::Refused { error, .. } => Some(error.to_string()),
        _ => None,
    });
    let said = refused.unwrap_or_else(|| panic!("was not refused: {outcomes:?}"));
    for part in [
        "aborts.so",
        "panic = \"abort\"",
        "build it with panic = \"unwind\"",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(rig.state("noop"), PluginState::Error);
    assert_eq!(rig.engine.usage().libraries, 1);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(!maps.contains("aborts.so"), "{maps}");
    assert_eq!(rig.engine.run_cycle().completed, 1);
}

#[test]
fn a_contract_of_another_version_is_refused_with_both_versions() {
    let rig = Rig::new();
    let file = rig.dir().join("noop.so");
    patched("noop", "\napi=0.1.0", "\napi=9.9.9", &file);
    let said = rig.load_any()[0].to_string();
    assert!(said.contains("9.9.9") && said.contains("0.1.0"), "{said}");
    assert_eq!(rig.state("noop"), PluginState::Error);
    let again = rig.engine.enable("noop").unwrap_err();
    assert!(matches!(again, Error::Load(_)), "{again}");
    assert_eq!(rig.state("noop"), PluginState::Error);
}

#[test]
fn a_file_that_the_systems_loader_refuses_shows_the_reason_under_its_id() {
    let rig = Rig::new();
    patched(
        "noop",
        "__xpg_strerror_r",
        "__xpg_strerror_q",
        &rig.dir().join("noop.so"),
    );
    let said = rig.load_any()[0].to_string();
    assert!(
        said.contains("undefined symbol: __xpg_strerror_q") && said.contains("[PE0202]"),
        "{said}"
    );
    let error = rig.snapshot("noop").error.unwrap();
    assert_eq!(
        (rig.state("noop"), error.kind),
        (PluginState::Error, FaultKind::Load)
    );
    assert_eq!(
        (rig.engine.refused().len(), rig.engine.usage().libraries),
        (0, 0)
    );
}

#[test]
fn a_file_that_is_refused_again_for_the_same_reason_is_one_entry() {
    let rig = Rig::new();
    let file = rig.dir().join("noop.so");
    patched("noop", "panic=unwind", "panic=aborts", &file);
    for _ in 0..3 {
        let _ = rig.load_any();
    }
    assert_eq!(rig.history("noop").len(), 1);
    patched("noop", "\napi=0.1.0", "\napi=9.9.9", &file);
    let _ = rig.load_any();
    assert!(rig.error("noop").unwrap().contains("9.9.9"));
}

#[test]
fn no_more_different_files_are_mapped_than_the_engine_was_told() {
    let rig = Rig::with(|builder| builder.libraries_max(2));
    for name in ["fails", "noop", "publishes"] {
        rig.drop_in(name);
    }
    let refused: Vec<_> = rig
        .load_any()
        .iter()
        .filter_map(LoadOutcome::code)
        .collect();
    assert_eq!(refused, [plugin_engine::Code::TOO_MANY_LIBRARIES]);
    assert_eq!(rig.state("publishes"), PluginState::Error);
    // Another plugin of the same bytes needs no room.
    rig.drop_as("noop", "another", "");
    let _ = rig.load_any();
    assert_eq!(rig.state("another"), PluginState::Enabled);
    let usage = rig.engine.usage();
    assert_eq!((usage.libraries, usage.libraries_max), (2, 2));
    // Unloading makes none: code that was mapped stays so.
    rig.engine.unload("fails").unwrap();
    assert!(rig.engine.enable("publishes").is_err());
}
