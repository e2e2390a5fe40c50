//! The program as an operator runs it: its output, its exit status, and what it does when told to stop.

use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};

use plugin_engine_tests::{Ended, Running, built, command, ended, objects};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// A directory with these plugin files.
fn plugins(names: &[&str]) -> TempDir {
    let dir = TempDir::new().expect("a directory can be made");
    for name in names {
        let file = built(name);
        let to = dir
            .path()
            .join(file.file_name().expect("a file has a name"));
        std::fs::copy(&file, to).expect("a file can be copied");
    }
    dir
}

/// `plugin-engine run` over a directory.
fn run(dir: &TempDir, args: &[&str]) -> Command {
    let mut command = command();
    command
        .args(["run", "--plugins"])
        .arg(dir.path())
        .args(args);
    command
}

fn output(command: &mut Command) -> (i32, String, String) {
    let Ended { status, out, err } = ended(command);
    (status, out, err)
}

/// Checks that `lines` are transitions in order, without gaps or doubles, and one object of snapshots, which is returned.
fn check_stream(lines: &[Value]) -> &Vec<Value> {
    let (last, transitions) = lines.split_last().expect("there is output");
    for (at, transition) in transitions.iter().enumerate() {
        assert_eq!(transition["seq"], at + 1, "{transition}");
    }
    last["snapshots"].as_array().expect("snapshots come last")
}

fn nanos(time: &Value) -> i128 {
    let time = humantime::parse_rfc3339(time.as_str().expect("a time is text")).expect("RFC 3339");
    let since = time.duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_nanos().cast_signed()
}

fn of<'a>(snapshots: &'a [Value], id: &str) -> &'a Value {
    let found = snapshots.iter().find(|snapshot| snapshot["id"] == id);
    found.expect("the plugin is known")
}

#[test]
fn a_plugin_that_hangs_is_never_in_error_and_due_one_interval_after_each_failure() {
    let dir = plugins(&["clock", "hangs"]);
    let (status, stdout, stderr) = output(&mut run(&dir, &["--for", "5s", "--json"]));
    assert_eq!(status, 0, "{stderr}");
    let lines = objects(&stdout);
    let snapshots = check_stream(&lines);
    for transition in &lines[..lines.len() - 1] {
        assert_ne!(transition["to"], "Error", "{transition}");
    }
    let timed_out = lines
        .iter()
        .find(|line| line["cause"] == "update_timed_out")
        .expect("it has timed out");
    assert_eq!(timed_out["id"], "hangs");
    assert_eq!(timed_out["from"], "Running");
    assert_eq!(timed_out["to"], "Enabled");
    assert_eq!(timed_out["error"]["kind"], "timeout");
    assert_eq!(timed_out["error"]["recoverable"], true);

    let hangs = of(snapshots, "hangs");
    assert_eq!(hangs["state"], "Enabled");
    assert_eq!(hangs["timeouts"], 1);
    assert_eq!(hangs["in_flight"]["call"], "update");
    assert_eq!(hangs["in_flight"]["abandoned"], true);
    // One interval after the failure, and one more for each time that it was due and could not be called.
    let intervals = hangs["skipped"].as_i64().expect("a count") + 1;
    let interval = i128::from(hangs["interval_ms"].as_i64().expect("a number")) * 1_000_000;
    let after = nanos(&hangs["next_update"]) - nanos(&hangs["error"]["at"]);
    let off = after - i128::from(intervals) * interval;
    assert!(off.abs() <= 2_000_000, "off by {off} ns: {hangs}");

    let clock = of(snapshots, "clock");
    assert_eq!(clock["error"], Value::Null);
    assert!(clock["updates"].as_u64().expect("a count") >= 3, "{clock}");
    let used = &clock["usage"]["updates"];
    assert_eq!(used["calls"], clock["updates"], "{clock}");
    assert!(used["cpu_sampled_calls"].as_u64() >= Some(1), "{clock}");
    assert!(used["wall_max_us"].as_f64() >= used["percentiles"]["p999_us"].as_f64());
    assert!(used["cpu_total_us"].as_f64() > Some(0.0), "{clock}");
}

#[test]
fn a_plugin_whose_call_does_not_return_is_named_at_the_end() {
    let dir = plugins(&["clock", "hangs"]);
    let mut running = Running::start(&mut run(&dir, &["--json"]));
    running.await_line("update_timed_out");
    let told = Instant::now();
    running.signal(Signal::TERM);
    let (status, stdout, stderr) = running.end();
    assert_eq!(status, Some(0), "{stderr}");
    // The budget, and as much again for a machine that is busy.
    assert!(told.elapsed() < Duration::from_secs(10));
    let named = stderr
        .lines()
        .find(|line| line.starts_with("plugin-engine: hangs: its update has not returned for"));
    assert!(named.is_some(), "{stderr}");
    check_stream(&objects(&stdout));
}

#[test]
fn a_second_signal_does_not_wait() {
    let dir = plugins(&["hangs"]);
    // Inside its deadline, so that the shutdown waits for it.
    std::fs::write(dir.path().join("libhangs.toml"), "timeout = \"1h\"\n").unwrap();
    let mut running = Running::start(&mut run(&dir, &["--json"]));
    running.await_line("update_started");
    running.signal(Signal::INT);
    running.signal(Signal::TERM);
    let (status, _, stderr) = running.end();
    // Where both are there before either is taken, either may be the second.
    assert!(matches!(status, Some(130 | 143)), "{status:?} {stderr}");
}

#[test]
fn a_signal_is_heard_while_a_plugin_is_being_created() {
    let dir = plugins(&["slow-create"]);
    let settings = "[settings]\nms = 20000\n";
    std::fs::write(dir.path().join("libslow_create.toml"), settings).unwrap();
    let mut running = Running::start(&mut run(&dir, &["--json"]));
    running.await_line("mapped");
    let told = Instant::now();
    running.signal(Signal::INT);
    let (status, stdout, stderr) = running.end();
    assert_eq!(status, Some(0), "{stderr}");
    assert!(told.elapsed() < Duration::from_secs(15));
    assert!(
        stderr.contains("plugin-engine: slow-create: its create has not returned for"),
        "{stderr}"
    );
    let lines = objects(&stdout);
    assert_eq!(check_stream(&lines)[0]["state"], "Loaded");
}

#[test]
fn a_reader_that_leaves_ends_the_run() {
    for args in [&["--json"][..], &[]] {
        let dir = plugins(&["clock"]);
        let mut running = Running::start(&mut run(&dir, args));
        running.await_line("clock");
        running.stop_reading();
        let (status, _, stderr) = running.end();
        assert_eq!(status, Some(0), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}

#[test]
fn an_output_that_is_full_is_a_failure() {
    let dir = plugins(&["clock"]);
    let full = File::create("/dev/full").expect("the device is there");
    let mut command = run(&dir, &["--json"]);
    let (status, _, stderr) = output(command.stdout(full));
    assert_eq!(status, 1);
    assert!(
        stderr.contains("plugin-engine: cannot write to standard output: No space left on device"),
        "{stderr}"
    );
}

#[test]
fn what_cannot_be_read_is_one_line_and_a_status() {
    let dir = plugins(&[]);
    let missing = dir.path().join("missing");
    let mut command = command();
    let (status, stdout, stderr) = output(command.args(["run", "--plugins"]).arg(&missing));
    assert_eq!((status, stdout.as_str()), (1, ""));
    assert_eq!(
        stderr,
        format!(
            "plugin-engine: cannot read the plugin directory {}: No such file or directory (os error 2); \
             create it, or name another with --plugins [PE0408]\n",
            missing.display()
        )
    );

    let config = dir.path().join("engine.toml");
    std::fs::write(&config, "[[plugin]]\nid = 7\n").unwrap();
    let config = config.to_str().expect("a path in UTF-8");
    let (status, stdout, stderr) = output(&mut run(&dir, &["--config", config, "--json"]));
    assert_eq!((status, stdout.as_str()), (1, ""));
    assert_eq!(
        stderr,
        format!(
            "error[PE0304]: `id` is the whole number 7\n \
             --> {config}:2:6\n  |\n2 | id = 7\n  |      ^\n  |\n  \
             = help: write an id in quotes, of a-z, 0-9, _ and -\n\n\
             plugin-engine: {config}: 1 problem; correct it, or run without --config\n"
        )
    );
}

#[test]
fn a_wrong_command_line_is_status_2() {
    let dir = plugins(&[]);
    for args in [
        &["--cycles", "0"][..],
        &["--for", "soon"],
        &["--for", "0s"],
        &["--for", "1s", "--cycles", "1"],
        &["--http", "nowhere"],
    ] {
        let (status, stdout, _) = output(&mut run(&dir, args));
        assert_eq!((status, stdout.as_str()), (2, ""), "{args:?}");
    }
}

#[test]
fn a_bad_file_is_named_and_keeps_no_other_from_running() {
    let dir = plugins(&["clock", "fails-in-create"]);
    std::fs::write(dir.path().join("libnone.so"), "no library").unwrap();
    let (status, stdout, stderr) = output(&mut run(&dir, &["--cycles", "2"]));
    assert_eq!(status, 0, "{stderr}");
    let of_file: Vec<_> = stderr
        .lines()
        .filter(|line| line.contains("libnone.so"))
        .collect();
    assert_eq!(of_file.len(), 1, "{stderr}");
    assert!(of_file[0].starts_with("plugin-engine: refused: "));
    assert!(
        stderr.contains("plugin-engine: fails-in-create: could not be created"),
        "{stderr}"
    );
    assert!(stdout.starts_with("clock: enabled, version "), "{stdout}");
    let table: Vec<_> = stdout
        .lines()
        .skip_while(|line| !line.starts_with("id "))
        .collect();
    assert_eq!(table.len(), 3, "{stdout}");
    let words: Vec<_> = table[1].split_whitespace().collect();
    // One create and two updates, all of them good.
    assert_eq!(words[..4], ["clock", "Enabled", "3", "3"], "{stdout}");
    assert!(table[2].starts_with("fails-in-create  Error"), "{stdout}");
}

#[test]
fn cycles_that_will_never_come_are_not_waited_for() {
    let dir = plugins(&["fails-in-create"]);
    let (status, _, stderr) = output(&mut run(&dir, &["--cycles", "3"]));
    assert_eq!(status, 0);
    assert!(
        stderr.contains("plugin-engine: stopped before the last cycle"),
        "{stderr}"
    );

    let (status, _, stderr) = output(&mut run(&plugins(&[]), &["--cycles", "3"]));
    assert_eq!(status, 0);
    assert!(
        stderr.contains("plugin-engine: no plugin files in "),
        "{stderr}"
    );
}

#[test]
fn a_log_filter_that_is_not_understood_is_a_warning() {
    let dir = plugins(&["clock"]);
    let mut command = run(&dir, &["--cycles", "1"]);
    let (status, _, stderr) = output(command.env("RUST_LOG", "clock=loudly"));
    assert_eq!(status, 0);
    assert!(
        stderr.starts_with("plugin-engine: RUST_LOG is not understood and ignored"),
        "{stderr}"
    );
}
