//! `history` and `events` of a running engine: what they ask for, page by page, and how they go on with a stream.

use std::sync::atomic::{AtomicUsize, Ordering};

use plugin_engine_tests::{Answer, Ended, Running, StandIn, command, ended, golden, objects};
use serde_json::{Value, json};

fn ask(stand_in: &StandIn, args: &[&str]) -> Ended {
    let mut command = command();
    command.args(args).arg("--state").arg(stand_in.dir());
    ended(&mut command)
}

fn entry(seq: u64) -> Value {
    let mut entry: Value = serde_json::from_str(&golden("transition")).unwrap();
    entry["seq"] = seq.into();
    entry
}

fn page(seqs: impl IntoIterator<Item = u64>, last_seq: u64) -> Answer {
    let entries: Vec<_> = seqs.into_iter().map(entry).collect();
    Answer::json(json!({"entries": entries, "last_seq": last_seq, "lost": 0}).to_string())
}

fn message(seq: u64) -> String {
    format!("event: transition\nid: {seq}\ndata: {}\n\n", entry(seq))
}

fn seqs(out: &str) -> Vec<u64> {
    let lines = objects(out);
    lines
        .iter()
        .map(|line| line["seq"].as_u64().unwrap())
        .collect()
}

#[test]
fn history_is_shown_in_aligned_columns() {
    let stand_in = StandIn::new(|_| Answer::json(golden("history")));
    let Ended { status, out, err } = ask(&stand_in, &["history"]);
    assert_eq!(status, 0);
    assert_eq!(
        err,
        "plugin-engine: 3 older entries are not held any more\n"
    );
    assert_eq!(
        out,
        "number  time                      id     state               cause              took  error\n    \
         94  2026-01-31T02:59:50.123Z         -                   engine started           \
         version 0.1.0, process 4711; nothing is known of 80 to 93\n    \
         95  2026-01-31T02:59:54.123Z  hangs  Running -> Enabled  update_timed_out  500ms  \
         timeout: has not returned within 500ms (at src/lib.rs:3:5)\n    \
         96  2026-01-31T02:59:55.123Z  clock  Running -> Enabled  update_completed   97µs  \n"
    );
}

#[test]
fn all_that_can_be_asked_for_is_asked_for() {
    let stand_in = StandIn::new(|_| page([], 0));
    let Ended { status, err, .. } = ask(
        &stand_in,
        &[
            "history",
            "clock",
            "--since",
            "2026-01-01T00:00:00Z",
            "--until",
            "2026-01-02 00:00:00",
            "--from-state",
            "running",
            "--to-state",
            "Enabled,Error",
            "--to-state",
            "Disabled",
            "--cause",
            "update_failed",
            "--errors",
            "--generation",
            "2..5",
            "--after",
            "7",
            "--limit",
            "20",
            "--newest-first",
        ],
    );
    assert_eq!(status, 0, "{err}");
    assert_eq!(
        stand_in.asked(),
        [
            "GET /history?id=clock&generation=2..5&since=2026-01-01T00:00:00.000000000Z\
          &until=2026-01-02T00:00:00.000000000Z&from_state=Running&to_state=Enabled,Error,Disabled\
          &cause=update_failed&errors=true&after=7&order=newest&limit=20"
        ]
    );
}

#[test]
fn what_cannot_be_asked_for_is_a_wrong_command_line() {
    let stand_in = StandIn::new(|_| page([], 0));
    for args in [
        &["--since", "yesterday"][..],
        &["--cause", "bad_luck"],
        &["--to-state", "Zombie"],
        &["--generation", "5..2"],
        &["--limit", "few"],
        &["--follow", "--newest-first"],
    ] {
        let args = [&["history"], args].concat();
        let Ended { status, out, .. } = ask(&stand_in, &args);
        assert_eq!((status, &*out), (2, ""), "{args:?}");
    }
    assert!(stand_in.asked().is_empty());
}

#[test]
fn a_long_history_is_taken_page_by_page() {
    let stand_in = StandIn::new(|request| {
        let after = request.split("after=").nth(1);
        match after.and_then(|after| after.split('&').next()) {
            None => page(1..=3, 8),
            Some("3") => page(4..=6, 9),
            // A page that is shorter because the last of it was not asked for.
            Some("6") => page([7], 9),
            Some("7") => page([], 9),
            Some(other) => panic!("after {other}"),
        }
    });
    let Ended { status, out, .. } = ask(&stand_in, &["history", "--json"]);
    assert_eq!(status, 0);
    assert_eq!(seqs(&out), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(stand_in.asked().len(), 4);
}

#[test]
fn the_newest_are_asked_for_and_shown_oldest_first() {
    let stand_in = StandIn::new(|_| page([9, 8, 7], 9));
    let Ended { out, .. } = ask(&stand_in, &["history", "--json", "--limit", "3"]);
    assert_eq!(seqs(&out), [7, 8, 9]);
    let Ended { out, .. } = ask(
        &stand_in,
        &["history", "--json", "--limit", "3", "--newest-first"],
    );
    assert_eq!(seqs(&out), [9, 8, 7]);
    assert_eq!(stand_in.asked(), ["GET /history?order=newest&limit=3"; 2]);
}

#[test]
fn a_history_that_is_followed_goes_on_after_a_broken_connection_and_ends_with_the_engine() {
    let connections = AtomicUsize::new(0);
    let stand_in = StandIn::new(move |request| {
        if !request.contains("follow=true") {
            return page([1, 2], 2);
        }
        match connections.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::stream(&format!("{}{}", message(3), message(4)), false),
            // Breaks in the middle of a message, which comes again.
            1 => Answer::stream(
                &format!(": still here\n\n{}{}", message(5), &message(6)[..40]),
                false,
            ),
            2 => Answer::stream(
                &format!(
                    "event: lost\ndata: {{\"lost\":2,\"after\":5}}\n\n{}",
                    message(8)
                ),
                false,
            ),
            _ => Answer::refusal(
                "503 Service Unavailable",
                "PE0405",
                "the engine has been shut down",
            ),
        }
    });
    let Ended { status, out, err } = ask(&stand_in, &["history", "--follow", "--json"]);
    assert_eq!(status, 0, "{err}");
    assert_eq!(err, "plugin-engine: the engine has stopped\n");
    let lines = objects(&out);
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            line["seq"]
                .as_u64()
                .unwrap_or_else(|| 100 + line["lost"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(told, [1, 2, 3, 4, 5, 102, 8]);
    let resumed: Vec<_> = stand_in
        .requests()
        .iter()
        .filter(|request| request.contains("follow=true"))
        .map(|request| {
            let id = request
                .lines()
                .find_map(|line| line.strip_prefix("last-event-id: "));
            id.map(str::to_owned)
        })
        .collect();
    assert_eq!(
        resumed,
        [None, Some("4"), Some("5"), Some("8")].map(|id| id.map(str::to_owned))
    );
    assert_eq!(stand_in.asked()[1], "GET /history?after=2&follow=true");
}

#[test]
fn a_history_that_is_followed_ends_when_nobody_reads_it() {
    let stand_in = StandIn::new(|request| {
        if request.contains("follow=true") {
            let many: String = (3..5_000).map(message).collect();
            Answer::stream(&many, true)
        } else {
            page([1, 2], 2)
        }
    });
    let mut command = command();
    command
        .args(["history", "--follow", "--state"])
        .arg(stand_in.dir());
    let mut running = Running::start(&mut command);
    running.await_line("     3  ");
    running.stop_reading();
    let (status, _, err) = running.end();
    assert_eq!((status, &*err), (Some(0), ""));
}

#[test]
fn events_are_followed_by_their_pattern() {
    let events: Value = serde_json::from_str(&golden("events")).unwrap();
    let of = |at: usize| {
        format!(
            "id: {}\ndata: {}\n\n",
            events["events"][at]["seq"], events["events"][at]
        )
    };
    let stream = format!("{}event: lost\ndata: {{\"lost\":9}}\n\n{}", of(0), of(1));
    let begun = AtomicUsize::new(0);
    let stand_in = StandIn::new(move |_| match begun.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::stream(&stream, false),
        _ => Answer::refusal(
            "503 Service Unavailable",
            "PE0405",
            "the engine has been shut down",
        ),
    });
    let Ended { status, out, err } = ask(
        &stand_in,
        &["events", "--follow", "--pattern", "plugin.*.x&y"],
    );
    assert_eq!(status, 0, "{err}");
    assert!(out.contains("plugin.panics.unhealthy  3 panics"), "{out}");
    assert!(out.contains("two\\nlines"), "{out}");
    assert!(
        err.starts_with("plugin-engine: 9 events after number 0 had left the memory"),
        "{err}"
    );
    assert_eq!(stand_in.asked()[0], "GET /events?pattern=plugin.*.x%26y");
    assert!(stand_in.requests()[1].contains("last-event-id: 8"));
}

#[test]
fn a_stream_that_says_something_else_is_not_believed() {
    let stand_in = StandIn::new(|_| Answer::stream("data: hello\n\n", true));
    let Ended { status, err, .. } = ask(&stand_in, &["events", "--follow"]);
    assert_eq!(status, 3);
    assert!(err.ends_with("[PE0735]\n"), "{err}");
}
