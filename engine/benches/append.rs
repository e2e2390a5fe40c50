//! The history in memory by itself: what entering a transition costs, and how much memory one takes.

/// The very code that an update runs.
#[allow(
    dead_code,
    unexpected_cfgs,
    unused_imports,
    reason = "the part of the engine that is measured by itself, of which the benchmark needs the half and none of its features"
)]
#[path = "../src/history/mod.rs"]
mod history;

use std::sync::Arc;
use std::time::Duration;

use history::{HistoryBudget, PluginHistory};
use plugin_engine_core::{Cause, Fault, FaultKind, FaultReport, PluginState, Record, WallTime};

use crate::rounds::{Contestant, Table};

const ROUNDS: usize = 15;
/// How many updates make a round.
const UPDATES: usize = 100_000;
/// Enough for every ring to have grown.
const UPDATES_BEFORE: usize = 1_000;

/// Histories of plugins that are updated in turn.
struct Histories {
    all: Vec<PluginHistory>,
    budget: HistoryBudget,
    seq: u64,
}

impl Histories {
    fn new(count: usize) -> Self {
        let mut histories = Self {
            all: (0..count).map(|_| PluginHistory::default()).collect(),
            budget: HistoryBudget::new(usize::MAX / 4),
            seq: 0,
        };
        histories.update(UPDATES_BEFORE * count);
        histories
    }

    /// Enters the start and the completion of so many updates.
    fn update(&mut self, count: usize) {
        for _ in 0..count / self.all.len() {
            for history in &mut self.all {
                let at = WallTime::from_unix_nanos(self.seq * 100);
                history.push_start(&self.budget, self.seq + 1, at);
                let end = WallTime::from_unix_nanos(self.seq * 100 + 50);
                history.push_completion(&self.budget, self.seq + 2, end, 50);
                self.seq += 2;
            }
        }
    }

    /// Enters so many failures.
    fn fail(&mut self, count: usize, fault: &Arc<Fault>) {
        for _ in 0..count / self.all.len() {
            for history in &mut self.all {
                self.seq += 1;
                let record = Record {
                    from: PluginState::Running,
                    to: PluginState::Enabled,
                    cause: Cause::UpdateFailed,
                    error: Some(Arc::clone(fault)),
                    duration: Some(Duration::from_nanos(50)),
                };
                let at = WallTime::from_unix_nanos(self.seq * 100);
                history.push(&self.budget, self.seq, at, record);
            }
        }
    }

    fn bytes_each(&self) -> f64 {
        let entries: usize = self.all.iter().map(PluginHistory::len).sum();
        self.budget.used() as f64 / entries as f64
    }
}

/// What entering costs, of one plugin and of many in turn, whose memory comes from further away.
pub(crate) fn measure() {
    let report = FaultReport::new(FaultKind::Failed, "no answer");
    let fault = Arc::new(Fault::new(&report, WallTime::default(), None, true, 1));
    let mut histories = [1, 1_000, 1_000].map(Histories::new);
    let [one, many, failing] = &mut histories;
    let mut contestants = [
        Contestant::new("append in memory, one plugin", 2 * UPDATES, || {
            one.update(UPDATES);
        }),
        Contestant::new(
            "append in memory, 1,000 plugins in turn",
            2 * UPDATES,
            || {
                many.update(UPDATES);
            },
        ),
        Contestant::new(
            "append of a failure, 1,000 plugins in turn",
            UPDATES,
            || {
                failing.fail(UPDATES, &fault);
            },
        ),
    ];
    let mut table = Table::new(Vec::new());
    table.measure(&mut contestants, ROUNDS);
    drop(contestants);
    table.print();
    println!(
        "{:>8.1}  bytes a transition without an error   at most 64",
        histories[1].bytes_each()
    );
    println!();
}
