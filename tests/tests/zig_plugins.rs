//! Plugins in Zig through the real engine. `tests/zig.sh` brings the compiler, builds them and says where they lie.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use plugin_engine::{Cause, FaultKind, PluginState, Verdict, VerifyPolicy, inspect};
use plugin_engine_tests::{Rig, ThreadHooks, is_mapped, sealed_copies, wait_for};
use tempfile::TempDir;

/// The plugin file of a source, built by the script.
fn built(name: &str) -> PathBuf {
    let dir = std::env::var_os("ZIG_PLUGINS").expect("tests/zig.sh says where the files lie");
    PathBuf::from(dir).join(format!("{name}.so"))
}

/// A rig with one of them as the plugin `id`.
fn rig(name: &str, id: &str, config: &str) -> Rig {
    let rig = Rig::with(|builder| builder.thread_census(ThreadHooks));
    fs::copy(built(name), rig.dir().join(format!("{id}.so"))).unwrap();
    rig.configure(id, config);
    rig
}

/// A rig with a plugin that breaks like this.
fn breaking(id: &str, way: &str) -> Rig {
    let rig = rig("breaks", id, &format!("[settings]\nbreak = \"{way}\"\n"));
    rig.load();
    rig
}

fn text(rig: &Rig, id: &str) -> String {
    let view = rig.engine.display(id).unwrap();
    view.as_text().unwrap().to_owned()
}

#[test]
#[ignore = "needs Zig, which tests/zig.sh installs"]
fn a_panic_in_zig_ends_its_call_alone_and_the_instance_is_made_anew() {
    for (n, (way, says)) in [
        ("index", "index out of bounds: index 101, len 100"),
        ("overflow", "integer overflow"),
        ("null", "null"),
        ("unreachable", "unreachable"),
        ("own words", "0 is too much"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("breaks-{n}");
        let rig = breaking(&id, way);
        assert_eq!(rig.engine.run_cycle().panicked, 1, "{way}");
        let snapshot = rig.snapshot(&id);
        let error = snapshot.error.unwrap();
        assert_eq!(
            (snapshot.state, error.kind),
            (PluginState::Enabled, FaultKind::Panic),
            "{way}"
        );
        assert!(error.to_string().contains(says), "{way}: {error}");
        rig.advance(1_000);
        let _ = rig.engine.run_cycle();
        assert!(rig.causes(&id).contains(&Cause::CreatedAnew), "{way}");
        assert_eq!(rig.snapshot(&id).counts.panics, 2, "{way}");
    }
}

#[test]
#[ignore = "needs Zig, which tests/zig.sh installs"]
fn a_panic_in_zig_is_borne_in_each_kind_of_call() {
    let rig = breaking("displays", "in display");
    assert_eq!(rig.engine.run_cycle().completed, 1);
    let error = rig.engine.display("displays").unwrap_err().to_string();
    assert!(error.contains("nothing to see"), "{error}");

    let rig = breaking("ends", "in destroy");
    assert_eq!(rig.engine.run_cycle().completed, 1);
    rig.engine.unload("ends").unwrap();
    assert_eq!(rig.state("ends"), PluginState::Unloaded);

    let rig = self::rig("breaks", "begins", "[settings]\nbreak = \"in create\"\n");
    assert!(!rig.load_any().remove(0).is_good());
    let error = rig.error("begins").unwrap();
    assert!(error.contains("no beginning"), "{error}");
}

#[test]
#[ignore = "needs Zig, which tests/zig.sh installs"]
fn an_error_of_zig_is_a_failure_that_is_tried_again_or_not_as_it_says() {
    for (way, state, kind, says) in [
        ("error", PluginState::Enabled, FaultKind::Failed, "DiskFull"),
        (
            "later",
            PluginState::Enabled,
            FaultKind::Failed,
            "in a moment",
        ),
        (
            "for good",
            PluginState::Error,
            FaultKind::Permanent,
            "never",
        ),
    ] {
        let rig = breaking("fails", way);
        assert_eq!(rig.engine.run_cycle().failed, 1, "{way}");
        let snapshot = rig.snapshot("fails");
        let error = snapshot.error.unwrap();
        assert_eq!((snapshot.state, error.kind), (state, kind), "{way}");
        assert!(error.to_string().contains(says), "{way}: {error}");
        if way == "later" {
            rig.advance(250);
            assert_eq!(rig.engine.run_cycle().failed, 1);
        }
    }
}

#[test]
#[ignore = "needs Zig, which tests/zig.sh installs"]
fn many_panics_in_zig_leave_nothing_behind_that_keeps_the_file_mapped() {
    let rig = rig(
        "breaks",
        "often",
        "unmap = \"when-safe\"\non_unhealthy = \"none\"\n[settings]\nbreak = \"index\"\n",
    );
    rig.load();
    for _ in 0..30 {
        assert_eq!(
            rig.engine.run_cycle().panicked,
            1,
            "{:?}",
            rig.error("often")
        );
        rig.advance(1_000);
    }
    assert_eq!(rig.snapshot("often").counts.panics, 30);
    assert!(is_mapped("often.so"));
    rig.engine.unload("often").unwrap();
    wait_for("the unmap", || rig.engine.mapped_libraries().is_empty());
    assert!(!is_mapped("often.so"));
    assert_eq!(sealed_copies("often.so"), 0);
}

#[test]
#[ignore = "needs Zig, which tests/zig.sh installs"]
fn what_a_file_in_zig_says_of_itself_is_shown_before_any_of_its_code_runs() {
    let inspection = inspect(built("newest_file"), &VerifyPolicy::default());
    assert!(inspection.is_good(), "{:?}", inspection.refusal());
    let manifest = inspection.manifest.unwrap();
    assert_eq!(manifest.id.as_str(), "newest-file");
    assert_eq!(
        (manifest.contract.name(), manifest.panic.as_str()),
        ("c", "none")
    );
    assert!(
        manifest.compiler.starts_with("zig "),
        "{}",
        manifest.compiler
    );
    let passed = |(_, verdict): &(_, Verdict)| matches!(verdict, Verdict::Passed(_));
    assert!(inspection.checks.iter().any(passed));
}

#[test]
#[ignore = "needs Zig, which tests/zig.sh installs"]
fn newest_file_tells_once_that_nothing_new_has_come_also_over_a_reload() {
    let watched = TempDir::new().unwrap();
    let old = watched.path().join("old.tar");
    let long_ago = SystemTime::now() - Duration::from_secs(3 * 3_600);
    File::create(&old).unwrap().set_modified(long_ago).unwrap();
    fs::write(watched.path().join(".hidden"), "").unwrap();
    fs::create_dir(watched.path().join("directory")).unwrap();
    let config = format!(
        "[settings]\npath = {:?}\nmax_age_minutes = 60\n",
        watched.path()
    );
    let rig = rig("newest_file", "newest-file", &config);
    rig.load();
    let stale = rig.engine.subscribe("plugin.newest-file.stale");
    let fresh = rig.engine.subscribe("plugin.newest-file.fresh");
    assert_eq!(text(&rig, "newest-file"), "not looked at yet");
    for _ in 0..2 {
        assert_eq!(
            rig.engine.run_cycle().completed,
            1,
            "{:?}",
            rig.error("newest-file")
        );
        rig.advance(60_000);
    }
    assert_eq!(&*stale.try_next().unwrap().payload, "old.tar");
    assert!(stale.try_next().is_none());
    assert_eq!(
        text(&rig, "newest-file"),
        "old.tar, 180 min old, which is too old"
    );
    // Other bytes, the same code: what is behind the end of the file belongs to nobody.
    let file = rig.dir().join("newest-file.so");
    let mut bytes = fs::read(&file).unwrap();
    bytes.push(0);
    fs::write(&file, bytes).unwrap();
    rig.engine.reload("newest-file").unwrap();
    assert!(stale.try_next().is_none());
    fs::write(watched.path().join("new.tar"), "").unwrap();
    rig.advance(60_000);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(&*fresh.try_next().unwrap().payload, "new.tar");
    assert!(!text(&rig, "newest-file").contains("too old"));
    drop(watched);
    rig.advance(60_000);
    assert_eq!(rig.engine.run_cycle().failed, 1);
    let error = rig.error("newest-file").unwrap();
    assert!(error.contains("No such file"), "{error}");
}

#[test]
#[ignore = "needs Zig, which tests/zig.sh installs"]
fn newest_file_refuses_settings_that_cannot_work() {
    let rig = rig("newest_file", "odd", "[settings]\npath = \"\"\n");
    assert!(!rig.load_any().remove(0).is_good());
    let error = rig.error("odd").unwrap();
    assert!(error.contains("`settings.path`"), "{error}");
}
