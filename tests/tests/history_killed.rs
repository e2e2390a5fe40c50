//! A process that is killed at any moment, under full load, leaves a history that the next one opens: complete up to its last number, and nothing twice.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use plugin_engine::{HistoryFilter, WallTime};
use plugin_engine_history_store::{HistoryEntry, Reader};
use plugin_engine_tests::{built, command, wait_for};
use tempfile::TempDir;

/// How many are killed altogether, and how many at the same time.
const KILLS: usize = 200;
const AT_A_TIME: usize = 4;

/// Plugins that are called each millisecond, some of which fail.
struct Site {
    dir: TempDir,
}

impl Site {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let plugins = dir.path().join("plugins");
        std::fs::create_dir(&plugins).unwrap();
        for name in ["noop", "fails"] {
            std::fs::copy(built(name), plugins.join(format!("{name}.so"))).unwrap();
        }
        let entry = |n| {
            let file = if n % 4 == 0 { "fails.so" } else { "noop.so" };
            format!("[[plugin]]\nid = \"p{n}\"\nfile = \"{file}\"\ninterval = \"1ms\"\n")
        };
        let config: String = (0..12).map(entry).collect();
        std::fs::write(dir.path().join("engine.toml"), config).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts an engine and kills it when its history has grown by so many numbers. How old the newest durable entry was then.
    fn kill_after(&self, growth: u64) -> Duration {
        let before = last_seq(&self.path("state/history.db"));
        let mut command = command();
        command.args(["run", "--no-watch", "--plugins"]);
        command.arg(self.path("plugins"));
        command.arg("--config").arg(self.path("engine.toml"));
        command.arg("--state").arg(self.path("state"));
        let mut child = command
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.path("stderr")).unwrap())
            .spawn()
            .unwrap();
        wait_for("the history to grow", || {
            if let Some(status) = child.try_wait().unwrap() {
                let said = std::fs::read_to_string(self.path("stderr")).unwrap();
                panic!("it has ended by itself: {status}: {said}");
            }
            last_seq(&self.path("state/history.db")) > before + growth
        });
        child.kill().unwrap();
        child.wait().unwrap();
        let now = WallTime::from(SystemTime::now());
        now.saturating_since(newest(&self.path("state/history.db")))
    }
}

fn last_seq(file: &Path) -> u64 {
    let seq = Reader::open(file).and_then(|mut reader| reader.last_seq());
    // Before the first engine has made it, and while it makes it.
    seq.unwrap_or(0)
}

fn newest(file: &Path) -> WallTime {
    let newest = HistoryFilter {
        newest_first: true,
        limit: Some(1),
        ..HistoryFilter::default()
    };
    let found = Reader::open(file)
        .unwrap()
        .query(&newest, u64::MAX)
        .unwrap();
    match &found[0] {
        HistoryEntry::Transition(transition) => transition.at,
        HistoryEntry::Started(started) => started.at,
        HistoryEntry::Folded { folded, .. } => folded.last_at,
        HistoryEntry::Gap { gap, .. } => gap.last_at,
        HistoryEntry::Stopped(stopped) => stopped.at,
    }
}

/// Every number up to the last durable one stands for something, once. How many starts there are.
fn starts_of_a_complete(file: &Path) -> usize {
    let mut reader = Reader::open(file).unwrap();
    let last = reader.last_seq().unwrap();
    let entries = reader.query(&HistoryFilter::default(), u64::MAX).unwrap();
    let (mut starts, mut counted, mut newest) = (0, 0, 0);
    for entry in entries {
        assert!(
            entry.seq() > newest,
            "{} twice or out of order",
            entry.seq()
        );
        newest = entry.seq();
        counted += match entry {
            HistoryEntry::Transition(_) | HistoryEntry::Stopped(_) => 1,
            HistoryEntry::Started(started) => {
                starts += 1;
                1 + started.lost.map_or(0, |(first, last)| last - first + 1)
            }
            HistoryEntry::Folded { folded, .. } => folded.transitions,
            HistoryEntry::Gap { gap, .. } => gap.count,
        };
    }
    assert_eq!(counted, last, "numbers that stand for nothing");
    starts
}

#[test]
fn two_hundred_kills_under_full_load_leave_no_hole_and_use_no_number_twice() {
    built("noop");
    let mut ages: Vec<Duration> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..AT_A_TIME)
            .map(|lane| {
                scope.spawn(move || {
                    let site = Site::new();
                    let kills = KILLS / AT_A_TIME;
                    let ages: Vec<_> = (0..kills)
                        // From the very start to some flushes later.
                        .map(|kill| site.kill_after(((kill * 7 + lane) % 11 * 150) as u64))
                        .collect();
                    let starts = starts_of_a_complete(&site.path("state/history.db"));
                    assert_eq!(starts, kills, "each start is there");
                    ages
                })
            })
            .collect();
        lanes
            .into_iter()
            .flat_map(|lane| lane.join().unwrap())
            .collect()
    });
    ages.sort();
    println!(
        "newest durable entry when killed: median {:?} old, at most {:?}",
        ages[ages.len() / 2],
        ages[ages.len() - 1]
    );
}
