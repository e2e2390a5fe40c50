//! Plugins in C and C++ through the real engine: what they do right, what they do wrong, and files that are not what they say.

use std::fs;

use plugin_engine::{Cause, FaultKind, PluginState, Verdict, VerifyPolicy, inspect};
use plugin_engine_tests::{
    Rig, ThreadHooks, await_late, build_in_c, is_mapped, lines_of, sealed_copies, wait_for,
};

const SCRIPTED: &str = "tests/foreign/scripted.c";

/// A rig with a plugin that does this.
fn scripted(id: &str, task: &str, more: &str) -> Rig {
    let rig = Rig::with(|builder| builder.thread_census(ThreadHooks));
    let config = format!("{more}[settings]\ndo = \"{task}\"\nstart = 40\n");
    rig.drop_c(SCRIPTED, id, &[], &config);
    rig.load();
    rig
}

fn text(rig: &Rig, id: &str) -> String {
    let view = rig.engine.display(id).unwrap();
    view.as_text().unwrap().to_owned()
}

#[test]
fn a_plugin_in_c_is_updated_displayed_and_heard() {
    let _ = lines_of("heard");
    let rig = scripted("heard", "work", "");
    let events = rig.engine.subscribe("plugin.heard.count");
    for count in ["41", "42"] {
        assert_eq!(
            rig.engine.run_cycle().completed,
            1,
            "{:?}",
            rig.error("heard")
        );
        assert_eq!(&*events.try_next().unwrap().payload, count);
        rig.advance(1_000);
    }
    assert_eq!(text(&rig, "heard"), "heard 1.0.0: 42, in time");
    assert!(rig.snapshot("heard").last_progress.is_some());
    let lines = lines_of("heard");
    assert!(
        lines
            .iter()
            .any(|line| line.message == "counted" && line.level == "INFO")
    );
    rig.engine.unload("heard").unwrap();
    assert!(
        lines_of("heard")
            .iter()
            .any(|line| line.message == "destroyed")
    );
}

#[test]
fn what_a_plugin_in_c_says_of_its_failures_is_recorded() {
    for (n, (task, state, kind, says)) in [
        ("fail", PluginState::Enabled, FaultKind::Failed, "not today"),
        (
            "fail and retry",
            PluginState::Enabled,
            FaultKind::Failed,
            "in a moment",
        ),
        (
            "fail for good",
            PluginState::Error,
            FaultKind::Permanent,
            "never",
        ),
        (
            "panic",
            PluginState::Enabled,
            FaultKind::Panic,
            "out of my depth",
        ),
        (
            "fail in silence",
            PluginState::Error,
            FaultKind::Contract,
            "not why",
        ),
        (
            "return nonsense",
            PluginState::Error,
            FaultKind::Contract,
            "a status that the contract does not have",
        ),
        // Latin-1, which is no UTF-8.
        (
            "say nonsense",
            PluginState::Enabled,
            FaultKind::Failed,
            "caf\u{fffd}",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("says-{n}");
        let rig = scripted(&id, task, "");
        let _ = rig.engine.run_cycle();
        let snapshot = rig.snapshot(&id);
        let error = snapshot.error.unwrap();
        assert_eq!((snapshot.state, error.kind), (state, kind), "{task}");
        assert!(error.to_string().contains(says), "{task}: {error}");
        if task == "panic" {
            assert_eq!(&*error.location, "scripted.c:7:0");
        }
        if task == "fail and retry" {
            rig.advance(250);
            assert_eq!(rig.engine.run_cycle().failed, 1);
        }
    }
}

#[test]
fn a_plugin_in_c_that_makes_nothing_or_wants_its_settings_is_refused_with_the_reason() {
    for (id, settings, says) in [
        ("makes-nothing", "do = \"make nothing\"", "made nothing"),
        ("wants-settings", "start = 1", "settings.do is not given"),
    ] {
        let rig = Rig::new();
        rig.drop_c(SCRIPTED, id, &[], &format!("[settings]\n{settings}\n"));
        let outcome = rig.load_any().remove(0);
        assert!(!outcome.is_good());
        assert!(rig.error(id).unwrap().contains(says), "{:?}", rig.error(id));
    }
}

#[test]
fn a_call_of_a_plugin_in_c_that_passes_its_deadline_is_told_to_stop() {
    let rig = scripted("waits", "wait", "");
    let entered = rig.engine.subscribe("plugin.waits.waiting");
    let cycle = rig.engine.start_cycle();
    wait_for("the call", || entered.try_next().is_some());
    rig.advance(500);
    assert_eq!(cycle.wait().timed_out, 1);
    assert_eq!(rig.state("waits"), PluginState::Enabled);
    await_late(&rig, "waits", 1);
    assert_eq!(
        rig.snapshot("waits").error.unwrap().kind,
        FaultKind::Timeout
    );
}

#[test]
fn a_reload_hands_the_state_of_a_plugin_in_c_over_to_another_build_of_it() {
    let rig = scripted("handed", "work", "");
    assert_eq!(rig.engine.run_cycle().completed, 1);
    build_in_c(
        SCRIPTED,
        &rig.dir().join("handed.so"),
        &[("VERSION", "\"1.0.1\"")],
    );
    rig.engine.reload("handed").unwrap();
    // The trial update counts.
    assert_eq!(text(&rig, "handed"), "handed 1.0.1: 42, in time");
    assert_eq!(rig.snapshot("handed").generation, 2);
    assert!(rig.causes("handed").contains(&Cause::Reloaded));
}

#[test]
fn a_plugin_in_c_is_unmapped_when_nothing_uses_it_any_more() {
    let rig = scripted("leaves", "work", "unmap = \"when-safe\"\n");
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert!(is_mapped("leaves.so"));
    rig.engine.unload("leaves").unwrap();
    wait_for("the unmap", || rig.engine.mapped_libraries().is_empty());
    assert!(!is_mapped("leaves.so"));
    assert_eq!(sealed_copies("leaves.so"), 0);
}

#[test]
fn what_a_file_in_c_says_of_itself_is_shown_before_any_of_its_code_runs() {
    let rig = Rig::new();
    let file = rig.drop_c(SCRIPTED, "shown", &[], "");
    let inspection = inspect(&file, &VerifyPolicy::default());
    assert!(inspection.is_good(), "{:?}", inspection.refusal());
    let manifest = inspection.manifest.unwrap();
    assert_eq!(
        (manifest.contract.name(), manifest.panic.as_str()),
        ("c", "none")
    );
    assert!(
        manifest.compiler.contains("gcc") || manifest.compiler.to_lowercase().contains("clang")
    );
    assert!(
        manifest.target.starts_with(std::env::consts::ARCH),
        "{}",
        manifest.target
    );
    let panic = inspection
        .checks
        .iter()
        .find(|(check, _)| check.name() == "panic");
    let Some((_, Verdict::Passed(said))) = panic else {
        panic!("{panic:?}")
    };
    assert_eq!(said, "nothing in it unwinds, it says");
}

/// A text as a string of C.
fn quoted(text: &str) -> String {
    let bytes = text.bytes().map(|byte| format!("\\{byte:03o}"));
    format!("\"{}\"", bytes.collect::<String>())
}

#[test]
fn a_file_that_is_not_what_its_header_says_is_refused_in_words_and_nothing_of_it_is_called() {
    let contract = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../plugin-api/c/contract.txt"
    ))
    .unwrap();
    let changed = contract.replace(
        "now_ns @16 fn(HostHandle) -> u64",
        "now_ns @16 fn(HostHandle) -> u32",
    );
    let changed = ("TEXT", quoted(&changed));
    for (sin, define, says) in [
        (
            1,
            None,
            "what it exports as its header is none; export it with PLUGIN_EXPORT",
        ),
        (2, None, "its header has 8 bytes, 40 are expected"),
        (3, None, "its header has no contract"),
        (
            4,
            None,
            "its contract has 1048576 bytes, the limit is 65536",
        ),
        (
            5,
            Some(changed),
            "HostServices.now_ns is of another type, with fn(HostHandle) -> u32 where fn(HostHandle) -> u64 is expected; rebuild the plugin with the plugin_api.h",
        ),
        (6, None, "its contract is no UTF-8 text"),
        (7, None, "its table of functions stands at the address 0x0"),
        (
            8,
            None,
            "its table of functions has 40 bytes, and by its contract 80",
        ),
        (9, None, "PluginModule.update is a null pointer"),
        (10, None, "PluginModule.save_state is a null pointer"),
        (11, None, "it exports a header of export_plugin!, too"),
        (12, None, "it has no header plugin_api_c_header"),
        (15, None, "its table of functions stands at the address 0x"),
    ] {
        let rig = Rig::new();
        let number = sin.to_string();
        let mut defines = vec![("SIN", number.as_str())];
        defines.extend(define.as_ref().map(|(name, text)| (*name, text.as_str())));
        rig.drop_c("tests/foreign/misbuilt.c", "misbuilt", &defines, "");
        rig.drop_c(SCRIPTED, "good", &[], "[settings]\ndo = \"work\"\n");
        let outcomes = rig.load_any();
        let refused = outcomes.iter().find(|outcome| !outcome.is_good());
        let said = refused
            .unwrap_or_else(|| panic!("{sin} was taken"))
            .to_string();
        assert!(
            said.contains(says) && said.contains("misbuilt.so"),
            "{sin}: {said}"
        );
        assert!(said.len() < 600 && !said.contains('\n'), "{said}");
        let snapshot = rig.snapshot("misbuilt");
        assert_eq!(
            (snapshot.state, snapshot.counts.calls),
            (PluginState::Error, 0)
        );
        assert_eq!(rig.engine.run_cycle().completed, 1, "{sin}");
    }
}

#[test]
fn a_plugin_in_c_of_an_older_or_a_newer_contract_runs() {
    let contract = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../plugin-api/c/contract.txt"
    ))
    .unwrap();
    let (older, _) = contract.split_once("PluginModule.save_state").unwrap();
    for (sin, text) in [("0", None), ("13", Some(quoted(older))), ("14", None)] {
        let rig = Rig::new();
        let mut defines = vec![("SIN", sin)];
        defines.extend(text.as_ref().map(|text| ("TEXT", text.as_str())));
        rig.drop_c("tests/foreign/misbuilt.c", "misbuilt", &defines, "");
        rig.load();
        assert_eq!(rig.engine.run_cycle().completed, 1, "{sin}");
        assert_eq!(rig.engine.display("misbuilt").unwrap().bytes(), b"");
    }
}

#[test]
fn a_manifest_of_the_c_contract_does_not_make_a_rust_header_one_of_c() {
    // The header of Rust is there, and nothing else: which one is looked for says the manifest, and the other is no way out.
    let rig = Rig::new();
    let manifest = plugin_engine_tests::foreign::good_manifest() + "contract=c\n";
    let file = rig.dir().join("claims.so");
    plugin_engine_tests::foreign::write_claim(
        &file,
        &manifest,
        plugin_engine_tests::foreign::Header::Nearly,
    );
    let said = rig.load_any().remove(0).to_string();
    assert!(
        said.contains("it exports a header of export_plugin!, too"),
        "{said}"
    );
}

#[test]
fn nothing_that_a_plugin_in_cpp_throws_leaves_it() {
    for (n, (throws, state, kind, says)) in [
        (
            "failure",
            PluginState::Enabled,
            FaultKind::Failed,
            "in a moment",
        ),
        (
            "permanent",
            PluginState::Error,
            FaultKind::Permanent,
            "never",
        ),
        (
            "runtime_error",
            PluginState::Enabled,
            FaultKind::Failed,
            "the disk is gone",
        ),
        (
            "out_of_range",
            PluginState::Enabled,
            FaultKind::Panic,
            "range",
        ),
        (
            "int",
            PluginState::Enabled,
            FaultKind::Panic,
            "an exception that is no std::exception",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("throws-{n}");
        let rig = Rig::new();
        if !rig.drop_cpp(
            "tests/foreign/throws.cpp",
            &id,
            &format!("[settings]\nthrow = \"{throws}\"\n"),
        ) {
            return;
        }
        rig.load();
        let _ = rig.engine.run_cycle();
        let snapshot = rig.snapshot(&id);
        let error = snapshot.error.unwrap();
        assert_eq!((snapshot.state, error.kind), (state, kind), "{throws}");
        assert!(error.to_string().contains(says), "{throws}: {error}");
        if throws == "runtime_error" {
            assert_eq!(&*error.type_name, "std::runtime_error");
        }
        if kind == FaultKind::Panic {
            // The instance was given up, and another one takes its place.
            rig.advance(1_000);
            let _ = rig.engine.run_cycle();
            assert!(rig.causes(&id).contains(&Cause::CreatedAnew));
        }
    }
}

#[test]
fn a_plugin_in_cpp_that_throws_nothing_works_and_one_that_cannot_begin_says_why() {
    let rig = Rig::new();
    if !rig.drop_cpp(
        "tests/foreign/throws.cpp",
        "calm",
        "[settings]\nthrow = \"in display\"\n",
    ) || !rig.drop_cpp(
        "tests/foreign/throws.cpp",
        "cannot",
        "[settings]\nthrow = \"in the constructor\"\n",
    ) {
        return;
    }
    let events = rig.engine.subscribe("plugin.calm.calm");
    assert_eq!(
        rig.load_any()
            .iter()
            .filter(|outcome| outcome.is_good())
            .count(),
        1
    );
    assert!(rig.error("cannot").unwrap().contains("it cannot begin"));
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(&*events.try_next().unwrap().payload, "3");
    let error = rig.engine.display("calm").unwrap_err().to_string();
    assert!(error.contains("nothing to see"), "{error}");
    assert_eq!(rig.state("calm"), PluginState::Enabled);
    rig.engine.unload("calm").unwrap();
    assert_eq!(rig.state("calm"), PluginState::Unloaded);
}
