//! A plugin that ends the process is named at the next start, counted, and left alone after the second time; whoever was only being called
//! is not.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus};

use plugin_engine_tests::{built, command, objects};
use serde_json::Value;
use tempfile::TempDir;

/// A plugin directory and a state directory.
struct Site {
    plugins: TempDir,
    state: TempDir,
}

/// What a run of the program came to.
struct Ran {
    status: ExitStatus,
    transitions: Vec<Value>,
    snapshots: Vec<Value>,
    err: String,
}

impl Site {
    /// The plugin, with a good one beside it.
    fn with(name: &str, config: &str) -> Self {
        let site = Self {
            plugins: TempDir::new().unwrap(),
            state: TempDir::new().unwrap(),
        };
        site.drop_as(name, name, config);
        site.drop_as("noop", "noop", "interval = \"1s\"\n");
        site
    }

    fn drop_as(&self, name: &str, id: &str, config: &str) {
        let file = self.plugins.path().join(format!("{id}.so"));
        std::fs::copy(built(name), file).unwrap();
        let config = format!("id = \"{id}\"\n{config}");
        std::fs::write(self.plugins.path().join(format!("{id}.toml")), config).unwrap();
    }

    fn run(&self) -> Command {
        let mut command = command();
        command.args(["run", "--no-watch", "--json", "--cycles", "1", "--plugins"]);
        command.arg(self.plugins.path());
        command.arg("--state").arg(self.state.path());
        command
    }

    fn runs(&self) -> Ran {
        ran(&mut self.run())
    }

    /// The runs that end by this plugin, and the two after them.
    fn check_quarantine(&self, id: &str, run: impl Fn() -> Command, says: &str) {
        let first = ran(&mut run());
        assert!(!first.status.success(), "{id}: {}", first.err);
        assert_eq!(first.entries(id, "crashed").len(), 0, "{id}");

        // That it comes to an end again shows that after one crash the plugin is still loaded and called.
        let second = ran(&mut run());
        assert!(!second.status.success(), "{id}: {}", second.err);
        // What it would write may be lost with it, but not what the start has said.
        let said = format!("plugin-engine: {id}: crashed the engine {says}");
        assert!(second.err.contains(&said), "{said}: {}", second.err);
        assert!(
            second.err.contains("; once so far [PE0622]"),
            "{}",
            second.err
        );

        let third = ran(&mut run());
        assert!(third.status.success(), "{id}: {}", third.err);
        let crashed = third.entries(id, "crashed");
        assert_eq!(crashed.len(), 1, "{id}: {}", third.err);
        let error = &crashed[0]["error"];
        assert_eq!(
            (&error["kind"], &error["type"]),
            (&"crash".into(), &"PE0622".into())
        );
        let message = error["message"].as_str().unwrap();
        assert!(
            message.starts_with(&format!("crashed the engine {says}")),
            "{message}"
        );
        assert!(message.contains("; twice so far"), "{message}");
        self.check_quarantined(&third, id);

        // It stays so, and nobody is named any more: the process before has ended as it should.
        let fourth = ran(&mut run());
        assert!(fourth.status.success(), "{id}: {}", fourth.err);
        assert_eq!(fourth.entries(id, "crashed").len(), 0);
        self.check_quarantined(&fourth, id);
    }

    fn check_quarantined(&self, ran: &Ran, id: &str) {
        let snapshot = ran.snapshot(id);
        assert_eq!(snapshot["state"], "Error", "{snapshot}");
        assert_eq!(snapshot["error"]["kind"], "crash", "{snapshot}");
        assert_eq!(snapshot["error"]["type"], "PE0621", "{snapshot}");
        let message = snapshot["error"]["message"].as_str().unwrap();
        assert!(
            message.starts_with("quarantined: crashed the engine twice, the last time at "),
            "{message}"
        );
        assert_eq!(ran.entries(id, "quarantined").len(), 1);
        assert_eq!(ran.entries(id, "mapped").len(), 0, "not even mapped");
        let noop = ran.snapshot("noop");
        assert_eq!(
            (&noop["state"], &noop["successes"]),
            (&"Enabled".into(), &2.into())
        );
    }
}

fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    // A process that was ended may have been in the middle of a line.
    let whole = out.rfind('\n').map_or("", |end| &out[..end]);
    let mut transitions = objects(whole);
    let last = transitions.pop_if(|last| last.get("snapshots").is_some());
    let snapshots = last.map(|last| last["snapshots"].as_array().unwrap().clone());
    Ran {
        status: output.status,
        transitions,
        snapshots: snapshots.unwrap_or_default(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    fn entries(&self, id: &str, cause: &str) -> Vec<&Value> {
        let is_that = |entry: &&Value| entry["id"] == id && entry["cause"] == cause;
        self.transitions.iter().filter(is_that).collect()
    }

    fn snapshot(&self, id: &str) -> &Value {
        let found = self.snapshots.iter().find(|one| one["id"] == id);
        found.unwrap_or_else(|| panic!("{id} is not known: {}", self.err))
    }
}

/// Runs with the plugin are ended by it twice; the third leaves it alone.
#[track_caller]
fn two_crashes_quarantine(name: &str, config: &str, says: &str) {
    let site = Site::with(name, config);
    site.check_quarantine(name, || site.run(), says);
}

#[test]
fn a_segmentation_fault_names_its_plugin_and_two_keep_it_out() {
    two_crashes_quarantine("segfaults", "", "in its update: SIGSEGV at ");
}

#[test]
fn an_abort_names_its_plugin_and_two_keep_it_out() {
    two_crashes_quarantine("aborts", "", "in its update: SIGABRT at ");
}

#[test]
fn an_overflow_of_the_stack_names_its_plugin_and_two_keep_it_out() {
    let site = Site::with("overflows-stack", "");
    site.check_quarantine(
        "overflows-stack",
        || site.run(),
        "in its update: SIGSEGV at ",
    );
}

#[test]
fn the_standard_library_still_tells_of_an_overflow_of_the_stack() {
    let site = Site::with("overflows-stack", "");
    let err = site.runs().err;
    assert!(err.contains("has overflowed its stack"), "{err}");
}

#[test]
fn a_second_panic_names_its_plugin_and_two_keep_it_out() {
    two_crashes_quarantine("panics-twice", "", "in its update: SIGABRT at ");
}

#[test]
fn an_exit_names_its_plugin_and_two_keep_it_out() {
    let says = "in its update: an exit of the process with the status 3 at ";
    two_crashes_quarantine("exits", "", says);
}

#[test]
fn an_exit_past_the_exit_handlers_names_its_plugin_and_two_keep_it_out() {
    let says = "in its update: an exit of the process with the status 3 at ";
    two_crashes_quarantine("exits", "[settings]\nat_once = true\n", says);
}

#[test]
fn no_memory_left_names_its_plugin_and_two_keep_it_out() {
    const ADDRESSES: u64 = 4 << 30;
    let site = Site::with("exhausts-memory", "timeout = \"1day\"\n");
    let run = || {
        let mut command = site.run();
        // SAFETY: one system call between fork and exec, which allocates nothing.
        unsafe {
            command.pre_exec(|| {
                let limit = libc::rlimit {
                    rlim_cur: ADDRESSES,
                    rlim_max: ADDRESSES,
                };
                match libc::setrlimit(libc::RLIMIT_AS, &raw const limit) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        command
    };
    site.check_quarantine("exhausts-memory", run, "in its update: SIGABRT at ");
}

#[test]
fn what_runs_when_a_file_is_loaded_counts_for_its_plugins() {
    let site = Site::with("aborts-in-loader", "");
    let run = || {
        let mut command = site.run();
        command.env("PLUGIN_ENGINE_TEST_ABORT", "load");
        command
    };
    for _ in 0..2 {
        assert_eq!(ran(&mut run()).status.signal(), Some(libc::SIGABRT));
    }
    let third = ran(&mut run());
    assert!(third.status.success(), "{}", third.err);
    let crashed = &third.entries("aborts-in-loader", "crashed")[0]["error"]["message"];
    let crashed = crashed.as_str().unwrap();
    assert!(
        crashed.contains("while its file was loaded: SIGABRT"),
        "{crashed}"
    );
    site.check_quarantined(&third, "aborts-in-loader");
}

#[test]
fn a_create_that_ends_the_process_names_its_plugin() {
    two_crashes_quarantine(
        "aborts",
        "[settings]\nin_call = \"create\"\n",
        "in its create: SIGABRT at ",
    );
}

#[test]
fn a_destroy_at_the_shutdown_that_ends_the_process_names_its_plugin() {
    two_crashes_quarantine(
        "aborts",
        "[settings]\nin_call = \"destroy\"\n",
        "in its destroy: SIGABRT at ",
    );
}

#[test]
fn a_fault_on_another_thread_counts_for_nobody() {
    let site = Site::with(
        "aborts",
        "timeout = \"1day\"\n[settings]\non_own_thread = true\n",
    );
    for _ in 0..4 {
        let ran = site.runs();
        assert_eq!(ran.status.signal(), Some(libc::SIGABRT), "{}", ran.err);
    }
    site.drop_as("aborts", "aborts", "enabled = false\n");
    let ran = site.runs();
    assert!(ran.status.success(), "{}", ran.err);
    assert_eq!(ran.snapshot("aborts")["state"], "Disabled", "it is loaded");
    assert!(ran.entries("aborts", "crashed").is_empty());
    let interrupted = ran.entries("aborts", "interrupted");
    assert_eq!(interrupted.len(), 1, "{}", ran.err);
    let error = &interrupted[0]["error"];
    assert_eq!(error["kind"], "crash");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("by SIGABRT on the thread "), "{message}");
    assert!(
        message.contains("in its update") && message.contains("not counted"),
        "{message}"
    );
    let line = "being called when the process before ended, and not counted: aborts";
    assert!(ran.err.contains(line), "{}", ran.err);
}

#[test]
fn where_the_policy_is_never_nothing_is_kept_out() {
    let site = Site::with("aborts", "after_crashes = 0\n");
    for n in 0..4 {
        let ran = site.runs();
        assert_eq!(ran.status.signal(), Some(libc::SIGABRT), "{n}: {}", ran.err);
    }
}

#[test]
fn other_bytes_get_a_chance_of_their_own() {
    let site = Site::with("aborts", "");
    for _ in 0..2 {
        assert!(!site.runs().status.success());
    }
    assert!(site.runs().status.success());
    let file = site.plugins.path().join("aborts.so");
    let good = std::fs::read(&file).unwrap();
    let noop = std::fs::read(built("noop")).unwrap();
    std::fs::write(&file, noop).unwrap();
    let mended = site.runs();
    assert_eq!(
        mended.snapshot("aborts")["state"],
        "Enabled",
        "{}",
        mended.err
    );
    // Those that crashed are still known.
    std::fs::write(&file, good).unwrap();
    let again = site.runs();
    assert!(again.status.success(), "{}", again.err);
    site.check_quarantined(&again, "aborts");
}

#[test]
fn a_plugin_whose_file_is_gone_is_named_all_the_same() {
    let site = Site::with("aborts", "");
    assert!(!site.runs().status.success());
    std::fs::remove_file(site.plugins.path().join("aborts.so")).unwrap();
    let ran = site.runs();
    assert!(ran.status.success(), "{}", ran.err);
    assert_eq!(ran.entries("aborts", "crashed").len(), 1);
    let snapshot = ran.snapshot("aborts");
    assert_eq!(snapshot["state"], "Unloaded");
    let file = snapshot["file"].as_str().unwrap();
    assert!(Path::new(file).ends_with("aborts.so"), "{file}");
}

#[test]
fn without_a_state_directory_nothing_is_written_and_a_crash_is_nobodys() {
    let site = Site::with("aborts", "");
    let before: Vec<_> = listing(site.plugins.path());
    let mut command = command();
    command.args(["run", "--no-watch", "--json", "--cycles", "1", "--plugins"]);
    command.arg(site.plugins.path());
    for _ in 0..3 {
        assert_eq!(ran(&mut command).status.signal(), Some(libc::SIGABRT));
    }
    assert_eq!(listing(site.plugins.path()), before);
    assert!(listing(site.state.path()).is_empty());
}

#[test]
fn the_environment_may_name_the_state_directory() {
    let site = Site::with("noop", "");
    let mut command = command();
    command.args(["run", "--no-watch", "--cycles", "1", "--plugins"]);
    command.arg(site.plugins.path());
    command.env("PLUGIN_ENGINE_STATE", site.state.path());
    assert!(command.output().unwrap().status.success());
    assert!(site.state.path().join("calls").is_file());
}

fn listing(dir: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    names
}

#[test]
fn damaged_files_in_the_state_directory_are_set_aside_and_the_run_goes_on() {
    let site = Site::with("noop", "");
    assert!(site.runs().status.success());
    for name in ["calls", "crashes.json"] {
        std::fs::write(site.state.path().join(name), "no such thing").unwrap();
    }
    let ran = site.runs();
    assert!(ran.status.success(), "{}", ran.err);
    for name in ["calls", "crashes.json"] {
        let aside = site.state.path().join(format!("{name}.set-aside"));
        assert_eq!(std::fs::read_to_string(aside).unwrap(), "no such thing");
        assert!(
            ran.err.contains(&format!("{name}.set-aside")),
            "{}",
            ran.err
        );
    }
    assert!(ran.err.contains("PE0625"), "{}", ran.err);
}
