use plugin_engine_core::{FaultKind, FaultReport};

use super::*;

fn record(cause: Cause, error: bool) -> Record {
    let fault = || {
        let report = FaultReport::new(FaultKind::Failed, "no");
        Arc::new(Fault::new(&report, WallTime::default(), None, true, 1))
    };
    Record {
        from: PluginState::Running,
        to: PluginState::Enabled,
        cause,
        error: error.then(fault),
        duration: Some(Duration::from_nanos(5)),
    }
}

fn fill(history: &mut PluginHistory, budget: &HistoryBudget, seqs: std::ops::RangeInclusive<u64>) {
    for seq in seqs {
        history.push(
            budget,
            seq,
            WallTime::from_unix_nanos(seq),
            1,
            record(Cause::UpdateCompleted, false),
        );
    }
}

fn seqs(history: &PluginHistory, filter: &Filter) -> Vec<u64> {
    let id = PluginId::new("a").unwrap();
    let found = history.query(&id, filter);
    found.iter().map(|transition| transition.seq).collect()
}

#[test]
fn a_thousand_good_updates_do_not_push_out_the_reason_for_a_failure() {
    let budget = HistoryBudget::new(1 << 20);
    let mut history = PluginHistory::default();
    let failed = record(Cause::UpdateFailed, true);
    history.push(&budget, 1, WallTime::default(), 1, failed);
    fill(&mut history, &budget, 2..=1_001);
    let errors = Filter {
        errors_only: true,
        ..Filter::default()
    };
    assert_eq!(seqs(&history, &errors), [1]);
    assert_eq!(history.len(), RING_LEN_MAX + 1);
    assert_eq!(history.lost(), 1_000 - RING_LEN_MAX as u64);
}

#[test]
fn both_rings_are_read_in_one_order_either_way() {
    let budget = HistoryBudget::new(1 << 20);
    let mut history = PluginHistory::default();
    fill(&mut history, &budget, 1..=2);
    let failed = record(Cause::UpdateFailed, true);
    history.push(&budget, 3, WallTime::from_unix_nanos(3), 1, failed);
    fill(&mut history, &budget, 4..=5);
    assert_eq!(seqs(&history, &Filter::default()), [1, 2, 3, 4, 5]);
    let newest = Filter {
        newest_first: true,
        limit: 3,
        ..Filter::default()
    };
    assert_eq!(seqs(&history, &newest), [5, 4, 3]);
    let middle = Filter {
        after: Some(1),
        until: Some(WallTime::from_unix_nanos(4)),
        ..Filter::default()
    };
    assert_eq!(seqs(&history, &middle), [2, 3, 4]);
}

#[test]
fn the_budget_bounds_all_histories_but_leaves_each_a_few_entries() {
    let budget = HistoryBudget::new(0);
    let mut history = PluginHistory::default();
    fill(&mut history, &budget, 1..=100);
    assert_eq!(history.len(), RING_LEN_MIN);
    assert_eq!(history.lost(), 100 - RING_LEN_MIN as u64);
    assert_eq!(
        seqs(&history, &Filter::default()),
        (101 - RING_LEN_MIN as u64..=100).collect::<Vec<_>>()
    );
}

#[test]
fn faults_that_leave_give_their_memory_back() {
    let budget = HistoryBudget::new(1 << 20);
    let mut history = PluginHistory::default();
    for seq in 0..RING_LEN_MAX as u64 {
        history.push(
            &budget,
            seq,
            WallTime::default(),
            1,
            record(Cause::UpdateFailed, true),
        );
    }
    let full = budget.used();
    for seq in 0..5_000 {
        history.push(
            &budget,
            seq,
            WallTime::default(),
            1,
            record(Cause::UpdateFailed, true),
        );
    }
    assert_eq!(budget.used(), full);
}

#[test]
fn a_routine_entry_takes_32_bytes_and_a_notable_one_40() {
    assert_eq!(size_of::<Entry>(), 32);
    assert_eq!(size_of::<NotableEntry>(), 40);
}
