//! `history` and `why` over the state directory of an engine that does not run any more.

use std::path::Path;
use std::time::Duration;

use plugin_engine::{Cause, PluginId, PluginState, WallTime};
use plugin_engine_history_store::{
    Batch, Change, EngineRecord, Entry, Gap, PluginEntries, Started, Stopped, Store, Update,
};
use plugin_engine_tests::{Answer, Ended, StandIn, command, ended, objects};
use tempfile::TempDir;

fn at(second: u64) -> WallTime {
    WallTime::from_unix_nanos((1_767_225_600 + second) * 1_000_000_000)
}

/// Leaves a history as an engine would: begun after a crash, a failure, updates, a gap, and stopped.
fn write(dir: &Path, updates: u64) {
    let (mut store, _) = Store::open(&dir.join("history.db")).unwrap();
    let started = Started {
        seq: 10,
        at: at(0),
        pid: 4711,
        version: "0.1.0".into(),
        lost: Some((5, 9)),
    };
    let mut entries = vec![
        Entry::Change(Change {
            seq: 11,
            at: at(1),
            from: PluginState::Unloaded,
            to: PluginState::Loaded,
            cause: Cause::Mapped,
            error: None,
            duration: None,
        }),
        Entry::Gap(Gap {
            first_seq: 12,
            last_seq: 14,
            count: 3,
            first_at: at(2),
            last_at: at(3),
        }),
    ];
    entries.extend((0..updates).map(|n| {
        Entry::Update(Update {
            start_seq: 15 + 2 * n,
            end_seq: 16 + 2 * n,
            at: at(4),
            duration: Duration::from_micros(97),
        })
    }));
    let last_seq = 15 + 2 * updates;
    let stopped = Stopped {
        seq: last_seq,
        at: at(5),
    };
    store
        .append(&Batch {
            first_seq: 10,
            last_seq,
            plugins: vec![PluginEntries {
                id: PluginId::new("clock").unwrap(),
                generation: 1,
                version: Some("0.1.0".into()),
                entries,
            }],
            engine: vec![
                EngineRecord::Started(started),
                EngineRecord::Stopped(stopped),
            ],
            rows: Vec::new(),
        })
        .unwrap();
}

fn history(dir: &Path, args: &[&str]) -> Ended {
    let mut command = command();
    command.arg("history").args(args).arg("--state").arg(dir);
    ended(&mut command)
}

#[test]
fn the_history_that_a_stopped_engine_has_left_is_shown_and_said_to_be_that() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), 1);
    let Ended { status, out, err } = history(dir.path(), &[]);
    assert_eq!(status, 0, "{err}");
    assert_eq!(
        err,
        format!(
            "plugin-engine: no engine runs with the state directory {}; this is from the history in it\n",
            dir.path().display()
        )
    );
    let lines: Vec<_> = out.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "    10  2026-01-01T00:00:00.000Z         -                   engine started          version 0.1.0, process 4711; nothing is known of 5 to 9",
            "    11  2026-01-01T00:00:01.000Z  clock  Unloaded -> Loaded  mapped                  ",
            "    14  2026-01-01T00:00:03.000Z  clock  -                   gap                     3 entries since number 12 could not be kept",
            "    15  2026-01-01T00:00:04.000Z  clock  Enabled -> Running  update_started          ",
            "    16  2026-01-01T00:00:04.000Z  clock  Running -> Enabled  update_completed  97µs  ",
            "    17  2026-01-01T00:00:05.000Z         -                   engine stopped          ",
        ]
    );
}

#[test]
fn it_is_asked_in_the_same_words_as_a_running_engine() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), 3_000);
    let seqs = |args: &[&str]| -> Vec<u64> {
        let Ended { status, out, err } = history(dir.path(), &[args, &["--json"]].concat());
        assert_eq!(status, 0, "{err}");
        let lines = objects(&out);
        lines
            .iter()
            .map(|line| line["seq"].as_u64().unwrap())
            .collect()
    };
    // More than a page of them, each once.
    let mut all = vec![10, 11, 14];
    all.extend(15..=6_015);
    assert_eq!(seqs(&[]), all);
    assert_eq!(seqs(&["--cause", "mapped,created"]), [11, 14]);
    assert_eq!(seqs(&["clock", "--limit", "2"]), [6_013, 6_014]);
    assert_eq!(seqs(&["--limit", "2", "--newest-first"]), [6_015, 6_014]);
    assert_eq!(seqs(&["--after", "6012"]), [6_013, 6_014, 6_015]);
}

#[test]
fn what_is_no_history_is_said_to_be_unreadable_and_a_directory_without_one_has_no_engine() {
    let dir = TempDir::new().unwrap();
    let Ended { status, err, .. } = history(dir.path(), &[]);
    assert_eq!(status, 3, "{err}");
    assert!(err.ends_with("[PE0731]\n"), "{err}");
    std::fs::write(dir.path().join("history.db"), "no database at all, by far").unwrap();
    let Ended { status, out, err } = history(dir.path(), &[]);
    assert_eq!((status, &*out), (1, ""));
    assert!(err.ends_with("[PE0736]\n"), "{err}");
}

#[test]
fn why_explains_a_plugin_of_an_engine_that_has_ended() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), 1);
    let why = |args: &[&str]| {
        let mut command = command();
        command.arg("why").args(args).arg("--state").arg(dir.path());
        ended(&mut command)
    };
    let Ended { status, out, err } = why(&["clock"]);
    assert_eq!(status, 0, "{err}");
    assert!(
        out.starts_with("The engine was shut down at 2026-01-01 00:00:05Z"),
        "{out}"
    );
    let object = &objects(&why(&["clock", "--json"]).out)[0];
    assert_eq!(object["state"], "Enabled");
    assert_eq!(object["engine"]["is"], "stopped");
    assert_eq!(object["next"]["kind"], "engine_start");

    let Ended { status, out, err } = why(&["clokc"]);
    assert_eq!((status, &*out), (1, ""));
    assert!(err.ends_with("[PE0401]\n"), "{err}");
}

#[test]
fn an_engine_that_runs_is_asked_itself() {
    let stand_in = StandIn::new(|_| Answer::json(r#"{"entries":[],"last_seq":0,"lost":0}"#));
    write(stand_in.dir(), 1);
    let Ended { status, out, err } = history(stand_in.dir(), &["--json"]);
    assert_eq!((status, &*out, &*err), (0, "", ""));
}
