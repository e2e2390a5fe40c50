//! The commands that ask a running engine, as a person at a shell would: what they ask, what they show, their exit statuses.

use std::process::Command;

use plugin_engine_tests::{Answer, Ended, StandIn, command, ended, golden, objects};
use tempfile::TempDir;

/// Answers every path with how its type is written.
fn engine() -> StandIn {
    StandIn::new(|request| match path(request) {
        "/plugins" => Answer::json(golden("plugins")),
        "/plugins/hangs" => Answer::json(golden("snapshot")),
        "/plugins/hangs/why" => Answer::json(golden("why")),
        "/plugins/hangs/display" if request.contains("accept: application/json") => {
            Answer::json(golden("view"))
        }
        "/plugins/hangs/display" => Answer::new("200 OK", "image/png", b"\x89PNG\0"),
        "/engine" => Answer::json(golden("engine_info")),
        "/admin/liveness" => Answer::json(golden("tasks")),
        "/events?pattern=**&follow=false" => Answer::json(golden("events")),
        _ => Answer::refusal("404 Not Found", "PE0401", "no plugin \"x\" is known"),
    })
}

fn path(request: &str) -> &str {
    request.split(' ').nth(1).expect("a request has a path")
}

fn asking(stand_in: &StandIn, args: &[&str]) -> Command {
    let mut command = command();
    command.args(args).arg("--state").arg(stand_in.dir());
    command
}

fn ask(stand_in: &StandIn, args: &[&str]) -> Ended {
    ended(&mut asking(stand_in, args))
}

#[test]
fn status_shows_every_plugin_and_every_refused_file_and_succeeds_also_if_they_are_bad() {
    let Ended { status, out, err } = ask(&engine(), &["status"]);
    assert_eq!((status, &*err), (0, ""));
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with("id "), "{out}");
    assert!(lines[1].starts_with("clock   Enabled"), "{out}");
    assert!(
        lines[2].contains("timeout: has not returned within 500ms"),
        "{out}"
    );
    // What a plugin says cannot steer the terminal.
    assert!(
        lines[3].ends_with("panic: two\\nlines \\u{1b}[31m"),
        "{out}"
    );
    assert_eq!(
        lines[4],
        "refused  plugins.d/notes.so: is no library [PE0113]"
    );
    assert!(
        lines[5].starts_with("3 plugins; engine 0.1.0, process 4711, started "),
        "{out}"
    );
    assert!(
        lines[6].starts_with("calls that have not returned: update of hangs ("),
        "{out}"
    );
    assert_eq!(lines.len(), 7, "{out}");
}

#[test]
fn status_for_programs_is_a_snapshot_per_line_and_the_refused_files() {
    let Ended { status, out, .. } = ask(&engine(), &["status", "--json"]);
    assert_eq!(status, 0);
    let lines = objects(&out);
    let plugins: serde_json::Value = serde_json::from_str(&golden("plugins")).unwrap();
    assert_eq!(lines[..3], plugins["plugins"].as_array().unwrap()[..]);
    assert_eq!(lines[3]["refused"]["code"], "PE0113");
    assert_eq!(lines.len(), 4);
}

#[test]
fn status_of_one_plugin_tells_all_that_is_known_of_it() {
    let Ended { status, out, .. } = ask(&engine(), &["status", "hangs"]);
    assert_eq!(status, 0);
    assert!(
        out.starts_with("hangs is Enabled since 2026-01-31T02:59:55.123Z ("),
        "{out}"
    );
    assert!(out.contains("its circuit breaker is half-open"), "{out}");
    let json = ask(&engine(), &["status", "hangs", "--json"]);
    let expected: serde_json::Value = serde_json::from_str(&golden("snapshot")).unwrap();
    assert_eq!(objects(&json.out), [expected]);
}

#[test]
fn an_id_that_nobody_has_is_refused_with_the_engines_words_and_one_that_nobody_can_have_is_not_asked_for()
 {
    let stand_in = engine();
    for args in [&["status", "x"][..], &["why", "x"]] {
        let Ended { status, out, err } = ask(&stand_in, args);
        assert_eq!((status, &*out), (1, ""));
        assert_eq!(err, "plugin-engine: no plugin \"x\" is known [PE0401]\n");
    }
    let asked = stand_in.asked().len();
    let Ended { status, err, .. } = ask(&stand_in, &["why", "../engine"]);
    assert_eq!(status, 2, "{err}");
    assert_eq!(stand_in.asked().len(), asked);
}

#[test]
fn why_says_the_lines_of_the_engine() {
    let Ended { status, out, .. } = ask(&engine(), &["why", "hangs"]);
    assert_eq!(status, 0);
    assert_eq!(
        out,
        "hangs is Enabled since 3s, with an error\n  its update has not returned within 500ms\n"
    );
    let json = ask(&engine(), &["why", "hangs", "--json"]);
    assert_eq!(
        objects(&json.out)[0]["next_update"],
        "2026-01-31T02:59:56.123456Z"
    );
}

#[test]
fn liveness_fails_while_a_task_is_stale() {
    let Ended { status, out, .. } = ask(&engine(), &["liveness"]);
    assert_eq!(status, 1);
    let lines: Vec<_> = out.lines().collect();
    assert!(
        lines[1].starts_with("scheduler  engine") && lines[1].ends_with("alive"),
        "{out}"
    );
    assert!(
        lines[2].ends_with("stale: no progress for 40s, longer than 15s"),
        "{out}"
    );
    assert!(lines[3].ends_with("ended: returned"), "{out}");

    let well = StandIn::new(|_| {
        Answer::json(golden("tasks").replace("\"stale\": true", "\"stale\": false"))
    });
    let Ended { status, out, .. } = ask(&well, &["liveness", "--json"]);
    assert_eq!(status, 0);
    assert_eq!(objects(&out).len(), 3);
}

#[test]
fn readiness_fails_while_a_required_plugin_is_waited_for_or_the_engine_stops() {
    let body =
        |ready: bool, waiting: &str| format!("{{\"ready\":{ready},\"waiting_for\":[{waiting}]}}");
    let answers = |status: &'static str, body: String| {
        StandIn::new(move |_| Answer::new(status, "application/json", body.as_bytes()))
    };
    let bad = "503 Service Unavailable";
    let waiting = r#"{"id":"clock","state":"Error","message":"no\u001b disk"}"#;
    let not_ready = answers(bad, body(false, waiting));
    let Ended { status, out, .. } = ask(&not_ready, &["readiness"]);
    assert_eq!(status, 1);
    assert_eq!(out, "waits for clock, which is Error: no\\u{1b} disk\n");
    let Ended { status, out, .. } = ask(&not_ready, &["readiness", "--json"]);
    assert_eq!(status, 1);
    assert_eq!(objects(&out)[0]["waiting_for"][0]["id"], "clock");

    let loading = answers(bad, body(false, ""));
    let Ended { status, out, .. } = ask(&loading, &["readiness"]);
    assert_eq!((status, &*out), (1, "the first load is not done\n"));
    let ready = answers("200 OK", body(true, ""));
    let Ended { status, out, .. } = ask(&ready, &["readiness"]);
    assert_eq!((status, &*out), (0, "ready\n"));

    let stopping = StandIn::new(|_| Answer::refusal(bad, "PE0401", "the engine stops"));
    let Ended { status, err, .. } = ask(&stopping, &["readiness"]);
    assert_eq!(status, 1);
    assert!(err.contains("the engine stops"), "{err}");
}

#[test]
fn events_are_shown_with_control_characters_escaped() {
    let Ended { status, out, .. } = ask(&engine(), &["events"]);
    assert_eq!(status, 0);
    assert_eq!(
        out,
        "time                      topic                    says\n\
         2026-01-31T02:59:54.123Z  plugin.panics.unhealthy  3 panics\n\
         2026-01-31T02:59:55.123Z  plugin.clock.time        two\\nlines \\u{1b}[31m\n"
    );
}

#[test]
fn a_display_is_written_as_it_is_or_as_an_object() {
    let stand_in = engine();
    let mut command = asking(&stand_in, &["display", "hangs"]);
    let output = command.output().unwrap();
    assert_eq!(output.stdout, b"\x89PNG\0");
    let Ended { status, out, .. } = ask(&stand_in, &["display", "hangs", "--json"]);
    assert_eq!(status, 0);
    assert_eq!(objects(&out)[0]["text"], "22 so far");
}

#[test]
fn the_state_directory_can_be_named_by_a_variable() {
    let stand_in = engine();
    let mut command = command();
    command
        .args(["status", "hangs"])
        .env("PLUGIN_ENGINE_STATE", stand_in.dir());
    assert_eq!(ended(&mut command).status, 0);
}

#[test]
fn a_state_directory_may_have_a_path_that_is_too_long_for_the_address_of_a_socket() {
    let stand_in = engine();
    let around = TempDir::new().unwrap();
    let long = around.path().join("d".repeat(150));
    std::fs::rename(stand_in.dir(), &long).unwrap();
    let mut command = command();
    command.args(["status", "hangs", "--state"]).arg(&long);
    let asked = ended(&mut command);
    std::fs::rename(&long, stand_in.dir()).unwrap();
    assert_eq!(asked.status, 0, "{}", asked.err);
}

/// The only line of standard error of a question that has failed.
fn failure(command: &mut Command) -> (i32, String) {
    let Ended { status, out, err } = ended(command);
    assert_eq!(out, "");
    assert_eq!(err.lines().count(), 1, "{err}");
    (status, err)
}

#[test]
fn without_an_engine_every_command_says_how_to_start_one() {
    let none = TempDir::new().unwrap();
    let absent = none.path().join("absent");
    let stale = engine().kill();
    let every_command: [&[&str]; 16] = [
        &["status"],
        &["status", "clock"],
        &["history", "--follow"],
        &["why", "clock"],
        &["events"],
        &["events", "--follow"],
        &["liveness"],
        &["readiness"],
        &["display", "clock"],
        &["enable", "clock"],
        &["disable", "clock"],
        &["load", "clock"],
        &["reload", "clock"],
        &["reset", "clock"],
        &["unload", "clock"],
        &["forget", "clock", "--wait", "1s"],
    ];
    for (at, args) in every_command.into_iter().enumerate() {
        let dir = [absent.as_path(), none.path(), stale.path()][at % 3];
        let mut command = command();
        command.args(args).arg("--state").arg(dir);
        let (status, err) = failure(&mut command);
        assert_eq!(status, 3, "{args:?}: {err}");
        let how = format!(
            "start one with: plugin-engine run --plugins DIR --state {} [PE0731]\n",
            dir.display()
        );
        assert!(err.ends_with(&how), "{args:?}: {err}");
    }
}

#[test]
fn what_is_no_socket_is_not_taken_for_an_engine() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("admin.sock"), "").unwrap();
    let mut status_of = command();
    status_of.args(["status", "--state"]).arg(dir.path());
    let (status, err) = failure(&mut status_of);
    assert_eq!(status, 3);
    assert!(
        err.contains("is no socket") && err.ends_with("[PE0732]\n"),
        "{err}"
    );

    let mut of_file = command();
    of_file
        .args(["status", "--state"])
        .arg(dir.path().join("admin.sock"));
    let (status, err) = failure(&mut of_file);
    assert_eq!(status, 3);
    assert!(
        err.contains("is no directory") && err.ends_with("[PE0732]\n"),
        "{err}"
    );
}

#[test]
fn whoever_answers_otherwise_than_an_engine_is_not_believed() {
    for (answer, code) in [
        ("hello\n", "PE0735"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", "PE0735"),
        ("HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\n[]", "PE0735"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{", "PE0734"),
        ("", "PE0734"),
    ] {
        let stand_in = StandIn::new(move |_| Answer::Bytes(answer.into()));
        let (status, err) = failure(&mut asking(&stand_in, &["status"]));
        assert_eq!(status, 3, "{answer:?}: {err}");
        assert!(err.ends_with(&format!("[{code}]\n")), "{answer:?}: {err}");
    }
}

#[test]
fn an_answer_that_is_too_large_is_not_taken_in() {
    let stand_in = StandIn::new(|_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n";
        Answer::Bytes([head.as_bytes(), &vec![b' '; 70 << 20][..]].concat())
    });
    let (status, err) = failure(&mut asking(&stand_in, &["status"]));
    assert_eq!(status, 1);
    assert!(
        err.contains("larger than 64 MiB") && err.ends_with("[PE0735]\n"),
        "{err}"
    );
}
