//! What is known of a plugin, read while nothing happens and beside a writer; and an event, from who publishes it to who takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use plugin_engine::{Engine, Subscription};
use tempfile::TempDir;
use tokio::sync::broadcast;

use crate::engines::Fleet;
use crate::peers::{RawPlugin, Records};
use crate::report::{Does, Report};
use crate::rounds::{Contestant, Table};
use crate::site;

pub(crate) const SNAPSHOTS: &str = "one read of what is known of a plugin";
pub(crate) const EVENTS: &str = "one event to one subscriber";

const READS: usize = 10_000;
const AT_REST: &str = "the engine's snapshot: at rest";
const MANY_HELD: &str = "the engine's snapshot: by a thread that keeps a thousand";
const TWO: &str = "the engine's snapshot: by each of two threads";
const BESIDE: &str = "the engine's snapshot: beside updates at full speed";
const MUTEX_AT_REST: &str = "records under a mutex: at rest";
const MUTEX_TWO: &str = "records under a mutex: by each of two threads";
const MUTEX_BESIDE: &str = "records under a mutex: beside updates at full speed";

fn no_call(_: &str) -> Option<Does> {
    None
}

/// Does one thing while another thread does the other again and again.
fn beside(again: impl Fn() + Sync, work: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                again();
            }
        });
        work();
        stop.store(true, Ordering::Relaxed);
    });
}

pub(crate) fn measure_snapshots(report: &mut Report, rounds: usize) {
    let fleet = Fleet::due(1_000);
    let raw = RawPlugin::load();
    let records = Records::default();
    let read_records = || {
        for _ in 0..READS {
            std::hint::black_box(&records.read());
        }
    };
    let mut table = Table::new(Vec::new());
    let mut at_rest = [
        Contestant::new(AT_REST, READS, || fleet.read_snapshots(READS)),
        Contestant::new(MUTEX_AT_REST, READS, read_records),
    ];
    table.measure(&mut at_rest, rounds);
    let held = fleet.snapshots(1_000);
    let mut holding = [Contestant::new(MANY_HELD, READS, || {
        fleet.read_snapshots(READS);
    })];
    table.measure(&mut holding, rounds);
    drop(held);
    beside(
        || fleet.read_snapshots(READS),
        || {
            let mut two = [Contestant::new(TWO, READS, || fleet.read_snapshots(READS))];
            table.measure(&mut two, rounds);
        },
    );
    beside(read_records, || {
        let mut two = [Contestant::new(MUTEX_TWO, READS, read_records)];
        table.measure(&mut two, rounds);
    });
    fleet.busy(|| {
        let mut beside = [Contestant::new(BESIDE, READS, || {
            fleet.read_snapshots(READS);
        })];
        table.measure(&mut beside, rounds);
    });
    beside(
        || raw.calls_with_records(1_000, &records),
        || {
            let mut written = [Contestant::new(MUTEX_BESIDE, READS, read_records)];
            table.measure(&mut written, rounds);
        },
    );
    report.take(SNAPSHOTS, &table, no_call);
    report.judge_nanos("snapshot read, at rest", AT_REST, None, 30.0);
    report.judge_ratio(
        "snapshot read, by each of two threads / by one",
        TWO,
        AT_REST,
        // No slower, and as much as one run differs from the next.
        1.1,
    );
    report.judge_nanos("snapshot read, beside a writer", BESIDE, None, 100.0);
}

/// As many as an update publishes; a subscriber keeps a few more.
const BURST: usize = 1_000;
const UPDATES: usize = 10;
const HEARD: &str = "the engine: made by a plugin, published, taken";
const UNHEARD: &str = "the engine: made by a plugin, nobody has subscribed";
const MPSC: &str = "std mpsc: the same event made, sent, received";
const BROADCAST: &str = "tokio broadcast: the same event made, sent, received";

/// An engine with a plugin that publishes.
struct Publishing {
    engine: Engine,
    _dir: TempDir,
}

impl Publishing {
    fn new() -> Self {
        let dir = TempDir::new().expect("a directory can be made");
        let settings = format!("[settings]\nburst = {BURST}\n");
        std::fs::write(dir.path().join("publishes.toml"), settings).expect("a file can be written");
        let engine = site::loaded(site::over(dir.path(), &["publishes"], ""));
        Self { engine, _dir: dir }
    }

    fn run(&self, subscription: Option<&Subscription>) {
        for _ in 0..UPDATES {
            self.engine.update("publishes").expect("it is updated");
            if let Some(subscription) = subscription {
                let taken = std::iter::from_fn(|| subscription.try_next()).count();
                assert_eq!(taken, BURST);
            }
        }
    }
}

/// What the engine says of an event.
#[derive(Clone)]
struct Said {
    _seq: u64,
    _topic: Arc<str>,
    _payload: Arc<str>,
}

impl Said {
    fn new(seq: u64) -> Self {
        Self {
            _seq: seq,
            _topic: format!("plugin.{}.{}", "publishes", std::hint::black_box("tick")).into(),
            _payload: seq.to_string().into(),
        }
    }
}

pub(crate) fn measure_events(report: &mut Report, rounds: usize) {
    let (heard, unheard) = (Publishing::new(), Publishing::new());
    let subscription = heard.engine.subscribe("plugin.publishes.tick");
    let (sender, receiver) = mpsc::sync_channel(BURST);
    let (broadcasts, mut broadcast) = broadcast::channel(BURST);
    let mut contestants = [
        Contestant::new(HEARD, UPDATES * BURST, || heard.run(Some(&subscription))),
        Contestant::new(UNHEARD, UPDATES * BURST, || unheard.run(None)),
        Contestant::new(MPSC, BURST, || {
            for seq in 0..BURST as u64 {
                assert!(sender.send(Said::new(seq)).is_ok());
            }
            assert_eq!(receiver.try_iter().count(), BURST);
        }),
        Contestant::new(BROADCAST, BURST, || {
            for seq in 0..BURST as u64 {
                assert!(broadcasts.send(Said::new(seq)).is_ok());
            }
            let taken = std::iter::from_fn(|| broadcast.try_recv().ok()).count();
            assert_eq!(taken, BURST);
        }),
    ];
    let mut table = Table::new(Vec::new());
    table.measure(&mut contestants, rounds);
    report.take(EVENTS, &table, no_call);
    report.judge_nanos("event: heard, less unheard", HEARD, Some(UNHEARD), 100.0);
}
