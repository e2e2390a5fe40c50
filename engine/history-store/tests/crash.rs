//! What was appended is there after the process was killed.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use plugin_engine_core::HistoryFilter;
use plugin_engine_history_store::{Batch, Reader, Store};
use support::{Engine, Random, transitions};

/// Where the child writes; it is one if this is set.
const PATH: &str = "HISTORY_STORE_CRASH_PATH";
const KILLS: u64 = 30;

/// Not a test of its own: the child of the test below appends until it is killed.
#[test]
fn child_that_appends() {
    let Ok(path) = std::env::var(PATH) else {
        return;
    };
    let (mut store, opened) = Store::open(Path::new(&path)).unwrap();
    let mut engine = Engine::new(opened.last_seq + 17, 20);
    engine.seq = opened.last_seq;
    let mut out = std::io::stdout().lock();
    loop {
        let count = 1 + engine.random.below(300);
        store
            .append(&Batch::of(&engine.some(count)).unwrap())
            .unwrap();
        writeln!(out, "\ndurable {}", store.last_seq()).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn after_kill_9_everything_that_was_said_to_be_durable_is_there_without_a_hole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let mut random = Random(0x5eed);
    let mut checked = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_that_appends", "--exact", "--nocapture"])
            .env(PATH, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = 0;
        let mut note = |line: String| {
            if let Some(seq) = line.strip_prefix("durable ") {
                said = seq.parse().unwrap();
            }
            said
        };
        // At a moment that is nobody's choice: so many appends from now, and then somewhere in the next one.
        let appends = random.below(60);
        let mut heard = 0;
        while heard < appends {
            let line = lines
                .next()
                .expect("it goes on until it is killed")
                .unwrap();
            heard += u64::from(line.starts_with("durable "));
            note(line);
        }
        std::thread::sleep(Duration::from_micros(random.below(4_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        // A last line that was cut short has no end; its number is not looked at.
        let mut rest: Vec<String> = lines.map_while(Result::ok).collect();
        rest.pop();
        for line in rest {
            note(line);
        }
        let said = note(String::new());
        // Half of the times it is read as it was left, before anybody has opened it for writing.
        if kill % 2 == 0 && said > 0 {
            let last_seq = Reader::open(&path).unwrap().last_seq().unwrap();
            assert!(
                last_seq >= said,
                "kill {kill}: {said} was durable, {last_seq} is read"
            );
        }
        let last_seq = Store::open(&path).unwrap().1.last_seq;
        assert!(
            last_seq >= said,
            "kill {kill}: {said} was durable, {last_seq} is there"
        );
        let mut reader = Reader::open(&path).unwrap();
        let filter = HistoryFilter {
            after: Some(checked),
            ..HistoryFilter::default()
        };
        for transition in transitions(&mut reader, &filter, u64::MAX) {
            checked += 1;
            assert_eq!(transition.seq, checked, "kill {kill}");
        }
        assert_eq!(checked, last_seq, "kill {kill}");
    }
    assert!(checked > 10_000, "it had time to write: {checked}");
    let mut reader = Reader::open(&path).unwrap();
    let all = transitions(&mut reader, &HistoryFilter::default(), u64::MAX);
    assert!((1..=checked).eq(all.iter().map(|transition| transition.seq)));
}
