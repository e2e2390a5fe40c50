use std::time::Duration;

use plugin_engine_core::{FaultKind, FaultReport, HistoryFilter, PluginId, Transition};

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
        let at = WallTime::from_unix_nanos(1_000 + seq);
        if seq % 2 == 1 {
            history.push_start(budget, seq, at);
        } else {
            history.push_completion(budget, seq, at, 1);
        }
    }
}

fn seqs(history: &PluginHistory, filter: &HistoryFilter) -> Vec<u64> {
    let id = PluginId::new("a").unwrap();
    numbers(&history.query(&id, filter, u64::MAX))
}

fn numbers(found: &Found) -> Vec<u64> {
    found.places().into_iter().map(|(seq, _)| seq).collect()
}

fn transitions(history: &PluginHistory, filter: &HistoryFilter) -> Vec<Transition> {
    let id = PluginId::new("a").unwrap();
    shown(&history.query(&id, filter, u64::MAX))
}

fn shown(found: &Found) -> Vec<Transition> {
    let mut transitions = Vec::new();
    found.show_all(|entry| transitions.push(entry.clone()));
    transitions
}

#[test]
fn a_thousand_good_updates_do_not_push_out_the_reason_for_a_failure() {
    let budget = HistoryBudget::new(1 << 20);
    let mut history = PluginHistory::default();
    let failed = record(Cause::UpdateFailed, true);
    history.push(&budget, 1, WallTime::default(), failed);
    fill(&mut history, &budget, 3..=1_002);
    let errors = HistoryFilter {
        errors_only: true,
        ..HistoryFilter::default()
    };
    assert_eq!(seqs(&history, &errors), [1]);
    assert_eq!(history.len(), RING_LEN_MAX + 1);
}

#[test]
fn both_rings_are_read_in_one_order_either_way() {
    let budget = HistoryBudget::new(1 << 20);
    let mut history = PluginHistory::default();
    fill(&mut history, &budget, 1..=2);
    let failed = record(Cause::UpdateFailed, true);
    history.push(&budget, 3, WallTime::from_unix_nanos(1_003), failed);
    // A thread may panic in the middle of an update that then completes.
    history.push_start(&budget, 4, WallTime::from_unix_nanos(1_004));
    let panicked = record(Cause::ThreadPanicked, true);
    history.push(&budget, 5, WallTime::from_unix_nanos(1_005), panicked);
    history.push_completion(&budget, 6, WallTime::from_unix_nanos(1_006), 2);
    assert_eq!(
        seqs(&history, &HistoryFilter::default()),
        [1, 2, 3, 4, 5, 6]
    );
    let newest = HistoryFilter {
        newest_first: true,
        limit: Some(3),
        ..HistoryFilter::default()
    };
    assert_eq!(seqs(&history, &newest), [6, 5, 4]);
    let middle = HistoryFilter {
        after: Some(1),
        until: Some(WallTime::from_unix_nanos(1_004)),
        ..HistoryFilter::default()
    };
    assert_eq!(seqs(&history, &middle), [2, 3, 4]);
}

#[test]
fn the_budget_bounds_all_histories_but_leaves_each_a_few_entries() {
    let budget = HistoryBudget::new(0);
    let mut history = PluginHistory::default();
    fill(&mut history, &budget, 1..=100);
    assert_eq!(history.len(), RING_LEN_MIN);
    assert_eq!(
        seqs(&history, &HistoryFilter::default()),
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
            record(Cause::UpdateFailed, true),
        );
    }
    let full = budget.used();
    for seq in 0..5_000 {
        history.push(
            &budget,
            seq,
            WallTime::default(),
            record(Cause::UpdateFailed, true),
        );
    }
    assert_eq!(budget.used(), full);
}

#[test]
fn a_completion_after_a_jump_of_the_wall_clock_keeps_its_own_time() {
    let budget = HistoryBudget::new(1 << 20);
    let mut history = PluginHistory::default();
    history.push_start(&budget, 1, WallTime::from_unix_nanos(1_000));
    history.push_completion(&budget, 2, WallTime::from_unix_nanos(9_000), 5);
    let found = transitions(&history, &HistoryFilter::default());
    let times: Vec<_> = found.iter().map(|entry| entry.at.as_unix_nanos()).collect();
    assert_eq!(times, [1_000, 9_000]);
    assert_eq!(found[1].duration, Some(Duration::from_nanos(5)));
    assert_eq!(history.len(), 2);
}

#[test]
fn entries_are_of_the_generation_that_was_active() {
    let budget = HistoryBudget::new(1 << 20);
    let mut history = PluginHistory::default();
    history.begin_generation(1, 1, "1.0.0".into());
    fill(&mut history, &budget, 1..=4);
    history.begin_generation(5, 2, "1.1.0".into());
    fill(&mut history, &budget, 5..=6);
    let second = HistoryFilter {
        generations: Some(2..=2),
        ..HistoryFilter::default()
    };
    assert_eq!(seqs(&history, &second), [5, 6]);
    let generations = |filter: &HistoryFilter| {
        let found = transitions(&history, filter);
        let of = |one: &Transition| (one.seq, one.generation, one.version.clone());
        found.iter().map(of).collect::<Vec<_>>()
    };
    let (old, new): (Option<Arc<str>>, Option<Arc<str>>) =
        (Some("1.0.0".into()), Some("1.1.0".into()));
    let mut all: Vec<_> = (1..=4).map(|seq| (seq, 1, old.clone())).collect();
    all.extend((5..=6).map(|seq| (seq, 2, new.clone())));
    assert_eq!(generations(&HistoryFilter::default()), all);
    // The other way round, and only what lies on either side.
    let newest = HistoryFilter {
        newest_first: true,
        ..HistoryFilter::default()
    };
    all.reverse();
    assert_eq!(generations(&newest), all);
    let limited = HistoryFilter {
        limit: Some(1),
        ..newest
    };
    assert_eq!(generations(&limited), [(6, 2, new)]);
    let mut before = PluginHistory::default();
    fill(&mut before, &budget, 1..=2);
    before.begin_generation(2, 1, "1.0.0".into());
    let found = transitions(&before, &HistoryFilter::default());
    assert_eq!((found[0].generation, &found[0].version), (0, &None));
    assert_eq!((found[1].generation, &found[1].version), (1, &old));
}

#[test]
fn an_error_is_shown_with_its_own_entry_and_with_no_other() {
    let budget = HistoryBudget::new(1 << 20);
    let mut history = PluginHistory::default();
    fill(&mut history, &budget, 1..=2);
    history.push(
        &budget,
        3,
        WallTime::default(),
        record(Cause::UpdateFailed, true),
    );
    fill(&mut history, &budget, 5..=6);
    let found = transitions(&history, &HistoryFilter::default());
    let with_error: Vec<_> = found.iter().filter(|one| one.error.is_some()).collect();
    assert_eq!(
        with_error.iter().map(|one| one.seq).collect::<Vec<_>>(),
        [3]
    );
    let durations: Vec<_> = found.iter().map(|one| one.duration.is_some()).collect();
    assert_eq!(durations, [false, true, true, false, true]);
}

#[test]
fn a_routine_transition_takes_16_bytes_and_a_notable_one_40() {
    assert_eq!(size_of::<PlainUpdate>(), 2 * 16);
    assert_eq!(size_of::<NotableEntry>(), 40);
}

#[cfg(feature = "history-sqlite")]
#[test]
fn what_is_forgotten_before_it_was_taken_to_be_written_is_still_counted() {
    use plugin_engine_history_store::Entry as Stored;

    let budget = HistoryBudget::new(1 << 20);
    let mut history = PluginHistory::default();
    history.write_from_now_on();
    let id = PluginId::new("a").unwrap();
    fill(&mut history, &budget, 1..=2);
    history.take_unsaved(&id, 2);
    fill(&mut history, &budget, 3..=6);
    let failed = record(Cause::UpdateFailed, true);
    history.push(&budget, 7, WallTime::default(), failed);
    history.forget(&budget);
    assert!(seqs(&history, &HistoryFilter::default()).is_empty());
    let unsaved = history.take_unsaved(&id, 7);
    let counted = unsaved.entries.iter().flat_map(|group| &group.entries);
    let counted: Vec<_> = counted
        .map(|entry| match entry {
            Stored::Folded(folded) => folded.transitions,
            Stored::Gap(gap) => gap.count,
            other => panic!("{other:?} is forgotten"),
        })
        .collect();
    assert_eq!(counted, [4, 1]);
}

/// Every question of a small set finds what reading all of the history and looking at each entry finds.
#[test]
fn questions_of_all_kinds_find_what_looking_at_every_entry_finds() {
    let budget = HistoryBudget::new(1 << 20);
    let mut history = PluginHistory::default();
    history.begin_generation(1, 1, "1.0.0".into());
    fill(&mut history, &budget, 1..=4);
    let at = |seq| WallTime::from_unix_nanos(1_000 + seq);
    history.push(&budget, 5, at(5), record(Cause::UpdateFailed, true));
    history.push_start(&budget, 6, at(6));
    history.push(&budget, 7, at(7), record(Cause::ThreadPanicked, true));
    history.push_completion(&budget, 8, at(8), 2);
    history.begin_generation(9, 2, "2.0.0".into());
    history.push(&budget, 9, at(9), record(Cause::Reloaded, false));
    history.push_start(&budget, 10, at(10));
    // The wall clock was set back meanwhile, so the completion stands for itself.
    history.push_completion(&budget, 11, at(2), 1);
    history.push_start(&budget, 12, at(12));
    let all = transitions(&history, &HistoryFilter::default());
    assert_eq!(all.len(), 12);

    let mut asked = 0;
    let moves: [(&[PluginState], &[Cause]); 5] = [
        (&[], &[]),
        (&[PluginState::Running], &[]),
        (&[PluginState::Enabled], &[]),
        (&[], &[Cause::UpdateStarted, Cause::ThreadPanicked]),
        (&[], &[Cause::Reloaded]),
    ];
    for (to_states, causes) in moves {
        for edge in 0..=13 {
            for bits in 0..32 {
                let on = |bit: u32| bits & (1 << bit) != 0;
                let filter = HistoryFilter {
                    to_states: to_states.to_vec(),
                    causes: causes.to_vec(),
                    newest_first: on(0),
                    limit: on(1).then_some(edge as usize / 2),
                    errors_only: on(2),
                    after: on(3).then_some(edge),
                    generations: on(4).then_some(2..=2),
                    since: (edge % 3 == 1).then_some(at(edge / 2)),
                    until: (edge % 3 == 2).then_some(at(edge)),
                    ..HistoryFilter::default()
                };
                for up_to in [0, edge, u64::MAX] {
                    let taken = |entry: &&Transition| filter.takes(entry) && entry.seq <= up_to;
                    let mut plain: Vec<_> = all.iter().filter(taken).cloned().collect();
                    if filter.newest_first {
                        plain.reverse();
                    }
                    plain.truncate(filter.limit());
                    let found = history.query(&PluginId::new("a").unwrap(), &filter, up_to);
                    assert_eq!(shown(&found), plain, "{filter}, up to {up_to}");
                    let plain: Vec<_> = plain.iter().map(|entry| entry.seq).collect();
                    assert_eq!(numbers(&found), plain, "{filter}, up to {up_to}");
                }
                asked += 1;
            }
        }
    }
    assert_eq!(asked, 5 * 14 * 32);
}
