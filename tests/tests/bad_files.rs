//! Whatever lies in the plugin directory beside good plugins: it is refused in words, none of its code runs, nothing of it
//! stays, and the good ones run.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use plugin_engine::{LoadOutcome, PluginState};
use plugin_engine_tests::bad_files::{BadFile, write_all};
use plugin_engine_tests::{Ended, Gate, Rig, built, command, ended, program, write_every_plugin};
use rustix::process::{Pid, Signal, kill_process};
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
    assert_eq!(rig.engine.usage().libraries, 1 + mapped);
    assert_eq!(rig.engine.run_cycle().completed, 1);
}

/// `plugin-engine run` over `dir`, with the constructor of the foreign library told to leave `mark`.
fn command_to_run(dir: &Path, mark: &Path) -> Command {
    let mut command = command();
    command
        .args(["run", "--json", "--plugins"])
        .arg(dir)
        .env("PLUGIN_ENGINE_TEST_MARK", mark);
    command
}

/// Runs until `versioned`, which is the last to be loaded, was updated three times, and then tells it to stop.
fn run_until_told_to_stop(command: &mut Command) -> Ended {
    let mut child = command.spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let errors = thread::spawn(move || {
        let mut err = String::new();
        stderr.read_to_string(&mut err).expect("output is UTF-8");
        err
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let (mut out, mut updates) = (String::new(), 0);
    while updates < 3 {
        let mut line = String::new();
        assert_ne!(
            lines.read_line(&mut line).unwrap(),
            0,
            "it ended by itself: {out}"
        );
        let last = line.contains("\"id\":\"versioned\"") && line.contains("update_completed");
        updates += usize::from(last);
        out += &line;
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    lines.read_to_string(&mut out).unwrap();
    Ended {
        status: child.wait().unwrap().code().expect("it ends by itself"),
        out,
        err: errors.join().unwrap(),
    }
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
    let mut run = command_to_run(dir.path(), &mark);
    let Ended {
        status,
        out,
        err: stderr,
    } = ended(run.args(["--cycles", "1"]));
    assert!(
        stderr.contains("constructor-mark.so: has no manifest"),
        "{stderr}"
    );
    assert_eq!(status, 0, "{stderr}");
    let snapshots = snapshots(&out);
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

fn names_in(dir: &Path) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
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
    let before = names_in(dir.path());
    let mut run = command_to_run(dir.path(), &mark);
    let Ended {
        status,
        out,
        err: stderr,
    } = run_until_told_to_stop(&mut run);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(names_in(dir.path()), before, "something was left behind");
    assert!(!mark.exists(), "a constructor ran");
    for file in files {
        let refused = format!("refused: {}", dir.path().join(&file.name).display());
        let times = stderr.matches(&refused).count();
        assert_eq!(times, 1, "{file:?}: {stderr}");
    }
    let snapshots = snapshots(&out);
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
