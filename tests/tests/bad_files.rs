//! Whatever lies in the plugin directory beside good plugins: it is refused in words, none of its code runs, nothing of it
//! stays, and the good ones run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use plugin_engine::{LoadOutcome, PluginState};
use plugin_engine_tests::bad_files::{BadFile, write_all};
use plugin_engine_tests::{Gate, Rig, built, program, write_every_plugin};
use serde_json::Value;
use tempfile::TempDir;

/// Held by each test: they count what the whole process has open.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All bad files in a directory where nobody looks.
fn bad_files() -> (TempDir, Vec<BadFile>) {
    let dir = TempDir::new().unwrap();
    let files = write_all(dir.path());
    (dir, files)
}

fn take(file: &BadFile, from: &TempDir, to: &Path) -> PathBuf {
    let path = to.join(&file.name);
    std::fs::rename(from.path().join(&file.name), &path).unwrap();
    path
}

/// The code and what was said of this file, if it was refused.
fn refusal(outcomes: &[LoadOutcome], path: &Path) -> Option<(&'static str, String)> {
    outcomes.iter().find_map(|outcome| match outcome {
        LoadOutcome::Refused { file, error } if file == path => {
            Some((error.code().as_str(), error.to_string()))
        }
        _ => None,
    })
}

/// What is wrong with the way an engine treats this file, which lies beside a good plugin.
fn complaint(rig: &Rig, file: &BadFile, path: &Path) -> Option<String> {
    let outcomes = rig.load_any();
    let completed = rig.engine.run_cycle().completed;
    let noop = rig.snapshot("noop");
    if (noop.state, noop.error, noop.counts.updates) != (PluginState::Enabled, None, 1) {
        return Some("the good plugin suffers".to_owned());
    }
    let refused = refusal(&outcomes, path);
    match (&refused, file.is_taken) {
        (None, true) if completed == 2 && outcomes.len() == 2 => None,
        (Some((code, said)), false) if completed == 1 && outcomes.len() == 2 => {
            let is_one_line = said.len() < 1_000 && !said.chars().any(char::is_control);
            let fits = is_one_line
                && said.contains(&file.name)
                && said.contains(file.says)
                && (file.code.is_empty() || *code == file.code);
            (!fits).then(|| format!("says {code} {said:?}"))
        }
        _ => Some(format!("{completed} completed; {outcomes:?}")),
    }
}

#[test]
fn each_bad_file_is_refused_in_words_and_the_good_one_beside_it_runs() {
    let _alone = alone();
    let (dir, files) = bad_files();
    let complaints: Vec<_> = files
        .iter()
        .filter_map(|file| {
            let rig = Rig::new();
            rig.drop_in("noop");
            let path = take(file, &dir, rig.dir());
            complaint(&rig, file, &path).map(|complaint| format!("{file:?}: {complaint}"))
        })
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn a_refused_file_leaves_no_descriptor_and_no_mapping_behind() {
    let _alone = alone();
    let (dir, files) = bad_files();
    let rig = Rig::new();
    rig.drop_in("noop");
    rig.load();
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    let mut refused = 0;
    for file in files.iter().filter(|file| !file.is_taken) {
        let path = take(file, &dir, rig.dir());
        let outcomes = rig.engine.load_file(&path).unwrap();
        assert!(refusal(&outcomes, &path).is_some(), "{outcomes:?}");
        if file.is_mapped {
            continue;
        }
        refused += 1;
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(!maps.contains(&file.name), "{file:?} is mapped");
    }
    let mapped = files.iter().filter(|file| file.is_mapped).count();
    assert!(refused > 100, "{refused}");
    // Code that was mapped before its contract could be looked at stays, and so does its descriptor.
    assert_eq!(open() - before, mapped);
    assert_eq!(rig.engine.usage().libraries, 1);
    assert_eq!(rig.engine.run_cycle().completed, 1);
}

/// `plugin-engine run` over `dir`, with the constructor of the foreign library told to leave `mark`.
fn run(dir: &Path, mark: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(program())
        .args(["run", "--json", "--plugins"])
        .arg(dir)
        .args(args)
        .env("PLUGIN_ENGINE_TEST_MARK", mark)
        .env_remove("RUST_LOG")
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The snapshots that a run ends with.
fn snapshots(stdout: &str) -> Vec<Value> {
    let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    last["snapshots"].as_array().unwrap().clone()
}

#[test]
fn no_constructor_of_a_foreign_library_runs() {
    let _alone = alone();
    let (dir, _) = bad_files();
    std::fs::copy(built("noop"), dir.path().join("noop.so")).unwrap();
    let marks = TempDir::new().unwrap();
    let mark = marks.path().join("mark");
    let (code, stdout, stderr) = run(dir.path(), &mark, &["--cycles", "1"]);
    assert!(
        stderr.contains("constructor-mark.so: has no manifest"),
        "{stderr}"
    );
    assert_eq!(code, Some(0), "{stderr}");
    let snapshots = snapshots(&stdout);
    let noop = snapshots.iter().find(|one| one["id"] == "noop").unwrap();
    assert_eq!(
        (&noop["state"], &noop["updates"]),
        (&"Enabled".into(), &1.into())
    );
    assert!(!mark.exists(), "a constructor ran");
    // And it would have left the mark.
    let status = Command::new(program())
        .arg("--version")
        .env("LD_PRELOAD", built("constructor-mark"))
        .env("PLUGIN_ENGINE_TEST_MARK", &mark)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success() && mark.exists(), "{status}");
}

#[test]
fn every_plugin_and_every_bad_file_at_once_keep_no_good_plugin_from_its_ticks() {
    let _alone = alone();
    let (dir, files) = bad_files();
    // These would be taken, but lie behind others of their id; what they are is tested above.
    let files: Vec<_> = files.iter().filter(|file| !file.is_taken).collect();
    let gate = Gate::new();
    let names = write_every_plugin(dir.path(), &gate);
    let marks = TempDir::new().unwrap();
    let mark = marks.path().join("mark");
    let (code, stdout, stderr) = run(dir.path(), &mark, &["--for", "3s"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!mark.exists(), "a constructor ran");
    for file in files {
        let refused = format!("refused: {}", dir.path().join(&file.name).display());
        let times = stderr.matches(&refused).count();
        assert_eq!(times, 1, "{file:?}: {stderr}");
    }
    let snapshots = snapshots(&stdout);
    let of = |id: &str| snapshots.iter().find(|one| one["id"] == id);
    for name in &names {
        let is_refused = stderr.contains(&format!("{name}.so: the id"));
        assert!(
            of(name).is_some() || is_refused || name.starts_with("versioned"),
            "{name}"
        );
    }
    for (id, times) in [
        ("noop", 3),
        ("counter", 3),
        ("clock", 3),
        ("system", 3),
        ("settings", 3),
        ("versioned", 3),
        // Their intervals are longer.
        ("directory-size", 1),
        ("feed", 1),
    ] {
        let one = of(id).unwrap();
        assert_eq!(one["state"], "Enabled", "{one}");
        let sins = ["failures", "timeouts", "panics"].map(|count| one[count].as_u64());
        assert_eq!(sins, [Some(0); 3], "{one}");
        assert!(one["updates"].as_u64() >= Some(times), "{one}");
    }
}
