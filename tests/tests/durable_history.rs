//! History that outlives the process: it goes on where it ended, joins what is in memory with what is on disk, and survives what disks do.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use plugin_engine::{Cause, Engine, HistoryAnswer, HistoryFilter, HistoryMark, Transition};
use plugin_engine_history_store::{HistoryEntry, Reader};
use plugin_engine_tests::{DurableSite, Gate, built, wait_for};
use tempfile::TempDir;

const BUDGET: Duration = Duration::from_secs(30);

fn on_disk(site: &DurableSite) -> Vec<HistoryEntry> {
    let mut reader = Reader::open(&site.file()).unwrap();
    reader.query(&HistoryFilter::default(), u64::MAX).unwrap()
}

fn seqs(entries: &[Transition]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq).collect()
}

/// Every number up to the last one is in the answer once: as an entry, or as a mark that stands for it.
fn assert_complete(answer: &HistoryAnswer) {
    assert_eq!(answer.problem, None);
    let mut numbers: HashSet<u64> = HashSet::new();
    let mut counted = 0;
    for entry in &answer.entries {
        assert!(numbers.insert(entry.seq), "{} is there twice", entry.seq);
    }
    for mark in &answer.marks {
        match mark {
            HistoryMark::Started { seq, lost, .. } => {
                assert!(numbers.insert(*seq));
                counted += lost.map_or(0, |(first, last)| last - first + 1);
            }
            HistoryMark::Stopped { seq, .. } => assert!(numbers.insert(*seq)),
            HistoryMark::Folded { transitions, .. } => counted += transitions,
            HistoryMark::Gap { count, .. } => counted += count,
            _ => {}
        }
    }
    assert_eq!(numbers.len() as u64 + counted, answer.last_seq);
}

#[test]
fn numbers_and_generations_go_on_where_the_engine_before_has_stopped() {
    let site = DurableSite::of(&[("noop", "p")]);
    let first = site.loaded();
    site.cycles(&first, 3);
    first.shutdown(BUDGET).unwrap();
    let before: Vec<_> = first.history("p").into_iter().collect();
    // The stop has a number, too.
    let last = first.last_seq();
    drop(first);

    let second = site.loaded();
    let answer = second.query(&HistoryFilter::default());
    assert_complete(&answer);
    assert_eq!(
        answer.entries[..before.len()],
        before,
        "the same, from the disk"
    );
    assert_eq!(second.snapshot("p").generation, 2);
    let starts: Vec<_> = answer
        .marks
        .iter()
        .map(|mark| matches!(mark, HistoryMark::Started { lost: None, .. }))
        .collect();
    assert_eq!(starts, [true, false, true], "a start, a stop, a start");
    assert_eq!(answer.marks[1].seq(), last);
    assert_eq!(answer.marks[2].seq(), last + 1);
}

#[test]
fn an_engine_that_was_not_stopped_has_its_lost_numbers_named_and_used_by_nobody() {
    let site = DurableSite::of(&[("noop", "p")]);
    let first = site.loaded();
    site.cycles(&first, 3);
    assert!(first.flush_history(BUDGET));
    let durable = first.history_status().unwrap().durable_seq;
    // As a kill leaves it: without an end. The lock of the directory goes with the process, here with a copy.
    let copy = site.dir.path().join("killed");
    copy_dir(&site.state(), &copy);
    first.shutdown(BUDGET).unwrap();

    let second = Engine::builder().state_dir(&copy).build().unwrap();
    let answer = second.query(&HistoryFilter::default());
    let Some(HistoryMark::Started { seq, lost, .. }) = answer.marks.last() else {
        panic!("{:?}", answer.marks);
    };
    assert_eq!(*lost, Some((durable + 1, seq - 1)));
    assert!(
        *seq > first.last_seq(),
        "no number of the first engine is used again"
    );
    assert_complete(&answer);
}

/// The late return is numbered, and seen by whoever still has the engine; nobody writes it any more.
#[test]
fn a_call_that_returns_after_the_end_of_its_engine_has_a_number_that_the_next_engine_does_not_use()
{
    let (site, gate) = (DurableSite::new(), Gate::new());
    let plugins = site.dir.path().join("plugins");
    std::fs::copy(built("gated"), plugins.join("gated.so")).unwrap();
    std::fs::write(plugins.join("gated.toml"), gate.settings("")).unwrap();
    let first = site.loaded();
    let cycle = first.start_cycle();
    gate.await_entry(1);
    first.shutdown(Duration::from_millis(200)).unwrap();
    let _ = cycle.wait();
    let stopped = first.last_seq();

    let second = site.engine();
    gate.open_all();
    wait_for("the late return", || first.stuck_calls().is_empty());
    let history = first.history("gated").newest_first().limit(1);
    let late = history.into_iter().next().unwrap();
    assert_eq!(late.cause, Cause::ReturnedLate);
    assert!(late.seq > stopped);
    let answer = second.query(&HistoryFilter::default());
    let Some(HistoryMark::Started { seq, lost, .. }) = answer.marks.last() else {
        panic!("{:?}", answer.marks);
    };
    assert!(*seq > late.seq, "{seq}, after {}", late.seq);
    assert_eq!(*lost, Some((stopped + 1, seq - 1)));
    assert_complete(&answer);
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn a_thousand_questions_have_the_answer_that_a_plain_list_gives() {
    let site = DurableSite::of(&[("noop", "a"), ("noop", "b"), ("fails", "c")]);
    let first = site.loaded();
    site.cycles(&first, 400);
    first.shutdown(BUDGET).unwrap();
    drop(first);
    let engine = site.loaded();
    // Followed from the beginning, each entry is seen before it can leave the memory.
    let mut list: Vec<Transition> = Vec::new();
    let mut follow = |engine: &Engine| {
        let filter = HistoryFilter {
            after: Some(list.last().map_or(0, |entry| entry.seq)),
            ..HistoryFilter::default()
        };
        let answer = engine.query(&filter);
        list.extend(answer.entries);
    };
    follow(&engine);
    for round in 0..20 {
        site.cycles(&engine, 40);
        if round % 3 == 0 {
            assert!(engine.flush_history(BUDGET));
        }
        follow(&engine);
    }
    assert!(list.len() > 3_000, "more than memory holds: {}", list.len());
    assert_complete(&engine.query(&HistoryFilter::default()));

    let mut random = Random(7);
    for n in 0..1_000 {
        let filter = random.filter(&list);
        let mut expected: Vec<_> = list
            .iter()
            .filter(|entry| filter.takes(entry))
            .cloned()
            .collect();
        if filter.newest_first {
            expected.reverse();
        }
        let answer = engine.query(&filter);
        expected.truncate(filter.limit());
        assert_eq!(
            seqs(&answer.entries),
            seqs(&expected),
            "question {n}: {filter}"
        );
        assert_eq!(answer.entries, expected, "question {n}: {filter}");
    }
}

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn filter(&mut self, list: &[Transition]) -> HistoryFilter {
        let mut filter = HistoryFilter::default();
        let some = |random: &mut Self| list[random.below(list.len())].clone();
        if self.below(2) == 0 {
            filter.ids.push(some(self).id);
        }
        if self.below(4) == 0 {
            filter.ids.push(some(self).id);
            filter.ids.dedup();
        }
        if self.below(4) == 0 {
            filter.since = Some(some(self).at);
        }
        if self.below(4) == 0 {
            filter.until = Some(some(self).at);
        }
        if self.below(4) == 0 {
            filter.causes.push(some(self).cause);
        }
        if self.below(6) == 0 {
            filter.to_states.push(some(self).to);
        }
        if self.below(6) == 0 {
            filter.from_states.push(some(self).from);
        }
        if self.below(6) == 0 {
            filter.generations = Some(1..=1 + self.below(2) as u32);
        }
        filter.errors_only = self.below(6) == 0;
        if self.below(3) == 0 {
            filter.after = Some(some(self).seq);
        }
        filter.newest_first = self.below(2) == 0;
        if self.below(2) == 0 {
            filter.limit = Some(self.below(200));
        }
        filter
    }
}

#[test]
fn while_the_file_is_locked_the_engine_goes_on_and_afterwards_nothing_is_unaccounted_for() {
    let site = DurableSite::of(&[("noop", "p"), ("fails", "f")]);
    let engine = site.loaded();
    site.cycles(&engine, 3);
    assert!(engine.flush_history(BUDGET));
    let locked = site.lock();
    site.cycles(&engine, 3);
    assert!(!engine.flush_history(BUDGET), "nothing can be written");
    wait_for("the problem", || {
        engine.history_status().unwrap().problem.is_some()
    });
    // Nothing more is taken now. More than memory holds of either kind.
    site.cycles(&engine, 2_000);
    let status = engine.history_status().unwrap();
    assert!(status.held > 3_000, "{status:?}");
    let newest = HistoryFilter {
        newest_first: true,
        limit: Some(10),
        ..HistoryFilter::default()
    };
    let answer = engine.query(&newest);
    assert_eq!(
        answer.entries[0].seq, answer.last_seq,
        "what is held can be asked for"
    );

    locked.execute_batch("ROLLBACK").unwrap();
    drop(locked);
    wait_for("what is held to be written", || {
        engine.flush_history(BUDGET) && engine.history_status().unwrap().problem.is_none()
    });
    let answer = engine.query(&HistoryFilter::default());
    assert_complete(&answer);
    let folded = answer
        .marks
        .iter()
        .any(|mark| matches!(mark, HistoryMark::Folded { id, .. } if id.as_str() == "p"));
    let gap = answer
        .marks
        .iter()
        .any(|mark| matches!(mark, HistoryMark::Gap { id, .. } if id.as_str() == "f"));
    assert!(
        folded && gap,
        "good updates in a sum, failures in a gap: {:?}",
        answer.marks
    );
    engine.shutdown(BUDGET).unwrap();
    assert_eq!(
        on_disk(&site).last().map(HistoryEntry::seq),
        Some(engine.last_seq())
    );
}

#[test]
fn a_damaged_file_is_set_aside_and_the_engine_starts() {
    let site = DurableSite::of(&[("noop", "p")]);
    let first = site.loaded();
    site.cycles(&first, 3);
    first.shutdown(BUDGET).unwrap();
    let last = first.last_seq();
    drop(first);
    std::fs::write(site.file(), vec![b'x'; 100_000]).unwrap();
    let second = site.loaded();
    site.cycles(&second, 3);
    assert!(second.flush_history(BUDGET));
    assert_eq!(second.history_status().unwrap().problem, None);
    assert!(
        second
            .history("p")
            .into_iter()
            .all(|entry| entry.seq > last)
    );
    let aside = std::fs::read_dir(site.state()).unwrap().any(|file| {
        let file = file.unwrap();
        let name = file.file_name().to_string_lossy().into_owned();
        name != "history.db"
            && name.starts_with("history.db")
            && file.metadata().unwrap().len() == 100_000
    });
    assert!(aside, "it can be looked at");
}

#[test]
fn an_engine_without_a_state_directory_writes_nothing_and_numbers_from_one() {
    let dir = TempDir::new().unwrap();
    std::fs::copy(built("noop"), dir.path().join("noop.so")).unwrap();
    let engine = Engine::builder().plugin_dir(dir.path()).build().unwrap();
    engine.load_all();
    assert!(engine.history_status().is_none());
    assert!(engine.flush_history(BUDGET));
    let answer = engine.query(&HistoryFilter::default());
    assert_eq!(answer.entries[0].seq, 1);
    assert!(answer.marks.is_empty());
}
