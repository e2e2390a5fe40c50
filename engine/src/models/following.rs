//! Who follows the history, and who writes it to the disk, misses no entry that was slow to be entered (S4, S5, S6).

use std::sync::Arc;

use plugin_engine_core::{HistoryFilter, PluginId, WallTime};

use super::check;
use crate::clock::{ManualClock, TimeSource};
use crate::history::{HistoryBudget, PluginHistory};
use crate::ledger::Ledger;
use crate::threading::atomic::Ordering;
use crate::threading::{Mutex, thread};

/// Two plugins and what they are entered into. A history is behind a lock, as in its cell.
struct Plugins {
    ledger: Ledger,
    histories: [Mutex<PluginHistory>; 2],
}

impl Plugins {
    fn new() -> Arc<Self> {
        let time = TimeSource::new(Arc::new(ManualClock::new(WallTime::default())));
        let plugins = Self {
            ledger: Ledger::new(time, 1 << 20),
            histories: [(); 2].map(|()| Mutex::default()),
        };
        plugins.ledger.unsaved.begin();
        for history in &plugins.histories {
            history.lock().write_from_now_on();
        }
        Arc::new(plugins)
    }

    /// As a cell enters the start of an update: numbered and appended under its lock.
    fn enter(&self, index: u32) {
        let mut history = self.histories[index as usize].lock();
        let seq = self.ledger.number(index);
        let budget: &HistoryBudget = &self.ledger.history_budget;
        history.push_start(budget, seq, WallTime::default());
    }

    /// As a question to the history is answered: the last number first, then plugin by plugin.
    fn ask(&self, after: u64) -> (Vec<u64>, u64) {
        let last = self.ledger.next_seq.load(Ordering::SeqCst);
        let filter = HistoryFilter {
            after: Some(after),
            ..HistoryFilter::default()
        };
        let mut found = Vec::new();
        for history in &self.histories {
            let entries = history.lock().query(&id(), &filter, last);
            found.extend(entries.places().into_iter().map(|(seq, _)| seq));
        }
        found.sort_unstable();
        (found, last)
    }

    /// As the writer of the history collects: the boundary, the marks, then the locks; `again` is who had more.
    fn collect(&self, again: &mut Vec<u32>) -> (Vec<u64>, u64) {
        let boundary = self
            .ledger
            .history_budget
            .boundary
            .draw(&self.ledger.next_seq);
        let mut marked = self.ledger.unsaved.take(2);
        marked.append(again);
        marked.sort_unstable();
        marked.dedup();
        let mut found = Vec::new();
        for index in marked {
            let mut history = self.histories[index as usize].lock();
            let unsaved = history.take_unsaved(&id(), boundary);
            if unsaved.has_more {
                again.push(index);
            }
            let groups = unsaved.entries.iter();
            found.extend(groups.flat_map(|group| group.entries.iter().map(|entry| entry.seq())));
        }
        found.sort_unstable();
        (found, boundary)
    }
}

fn id() -> PluginId {
    PluginId::new("a").expect("it is one")
}

#[test]
fn who_follows_the_history_sees_every_number_once_and_in_order() {
    check(|| {
        let plugins = Plugins::new();
        let workers = [0, 1].map(|index| {
            let plugins = Arc::clone(&plugins);
            thread::spawn(move || plugins.enter(index))
        });
        let (mut seen, last) = plugins.ask(0);
        assert_eq!(seen, (1..=last).collect::<Vec<_>>());
        for worker in workers {
            worker.join().unwrap();
        }
        seen.extend(plugins.ask(last).0);
        assert_eq!(seen, [1, 2]);
    });
}

#[test]
fn what_is_collected_to_be_written_is_complete_up_to_its_boundary() {
    check(|| {
        let plugins = Plugins::new();
        let workers = [0, 1].map(|index| {
            let plugins = Arc::clone(&plugins);
            thread::spawn(move || {
                plugins.enter(index);
                if index == 0 {
                    plugins.enter(index);
                }
            })
        });
        let mut again = Vec::new();
        let (mut written, boundary) = plugins.collect(&mut again);
        assert_eq!(written, (1..=boundary).collect::<Vec<_>>());
        for worker in workers {
            worker.join().unwrap();
        }
        written.extend(plugins.collect(&mut again).0);
        assert_eq!(written, [1, 2, 3]);
    });
}
