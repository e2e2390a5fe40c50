//! Who is stale and who is not: a test for each rule.

use std::time::Duration;

use plugin_engine_core::{
    EnterError, Liveness, Moment, PluginProgress, Stale, Staleness, TASKS_MAX, TaskEnd, TaskFacts,
    TaskKind, TaskReport, TaskRun, stale_after,
};

fn at(seconds: u64) -> Moment {
    Moment::ZERO.saturating_add(secs(seconds))
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn facts(period: u64) -> TaskFacts {
    TaskFacts {
        kind: TaskKind::Engine,
        period: secs(period),
        expected: true,
    }
}

/// A registry with one expected task of this period that has begun.
fn begun(period: u64) -> (Liveness, TaskRun) {
    let mut liveness = Liveness::default();
    let id = liveness.enter("task", facts(period)).unwrap();
    let run = liveness.begin(id);
    (liveness, run)
}

fn report(liveness: &Liveness, now: u64) -> TaskReport {
    let mut reports = liveness.report(&[], at(now));
    assert_eq!(reports.len(), 1);
    reports.remove(0)
}

fn silent(since: u64, limit: u64) -> Option<Staleness> {
    Some(Staleness::Silent {
        since: secs(since),
        limit: secs(limit),
    })
}

fn names(result: Result<(), Vec<Stale>>) -> Vec<String> {
    let stale = result.err().unwrap_or_default();
    stale.iter().map(ToString::to_string).collect()
}

#[test]
fn a_task_is_stale_after_three_of_its_periods_and_not_before() {
    let (mut liveness, run) = begun(10);
    liveness.progress(run, at(100));
    assert_eq!(report(&liveness, 130).stale, None);
    assert_eq!(report(&liveness, 131).stale, silent(31, 30));
    liveness.progress(run, at(131));
    assert_eq!(report(&liveness, 131).stale, None);
    assert_eq!(report(&liveness, 131).last_progress, Some(at(131)));
}

#[test]
fn no_task_is_stale_sooner_than_after_five_seconds() {
    assert_eq!(stale_after(Duration::from_millis(1)), secs(5));
    assert_eq!(stale_after(secs(2)), secs(6));
    assert_eq!(stale_after(Duration::MAX), Duration::MAX);
    let (mut liveness, run) = begun(0);
    liveness.progress(run, at(0));
    assert_eq!(report(&liveness, 5).stale, None);
    assert_eq!(report(&liveness, 6).stale, silent(6, 5));
}

#[test]
fn an_expected_task_that_never_ticked_is_stale() {
    let (mut liveness, run) = begun(10);
    assert_eq!(report(&liveness, 0).stale, Some(Staleness::NoProgressYet));
    assert_eq!(
        names(liveness.check(&[], None, &[], at(0))),
        ["task: it has never made progress"]
    );
    liveness.progress(run, at(0));
    assert_eq!(liveness.check(&[], None, &[], at(0)), Ok(()));
}

#[test]
fn a_task_that_is_not_expected_is_judged_from_its_first_progress_on() {
    let mut liveness = Liveness::default();
    let facts = TaskFacts {
        kind: TaskKind::Embedder,
        expected: false,
        ..facts(1)
    };
    let id = liveness.enter("task", facts).unwrap();
    let run = liveness.begin(id);
    assert_eq!(report(&liveness, 1_000).stale, None);
    assert_eq!(liveness.check(&[], None, &[], at(1_000)), Ok(()));
    // Named by who asks, it is expected.
    assert_eq!(
        names(liveness.check(&["task"], None, &[], at(1_000))),
        ["task: it has never made progress"]
    );
    liveness.progress(run, at(1_000));
    assert_eq!(report(&liveness, 1_006).stale, silent(6, 5));
    assert_eq!(liveness.check(&[], None, &[], at(1_006)), Ok(()));
}

#[test]
fn a_task_that_returned_or_was_cancelled_reads_ended_and_is_not_stale() {
    for end in [TaskEnd::Returned, TaskEnd::Cancelled] {
        let mut liveness = Liveness::default();
        let id = liveness.enter("task", facts(1)).unwrap();
        let run = liveness.begin(id);
        liveness.begin_busy(run, at(0));
        liveness.end(id, end);
        let report = report(&liveness, 1_000);
        assert_eq!(
            (report.stale, report.ended, report.busy_since),
            (None, Some(end), None)
        );
        assert_eq!(liveness.check(&["task"], None, &[], at(1_000)), Ok(()));
    }
}

#[test]
fn a_task_that_was_given_up_is_stale_and_says_how_often_it_was_started_again() {
    let mut liveness = Liveness::default();
    let id = liveness.enter("task", facts(1)).unwrap();
    for _ in 0..3 {
        let run = liveness.begin(id);
        liveness.progress(run, at(0));
    }
    liveness.end(id, TaskEnd::GaveUp);
    let report = report(&liveness, 0);
    assert_eq!(report.stale, Some(Staleness::GaveUp { restarts: 2 }));
    assert_eq!((report.ended, report.restarts), (Some(TaskEnd::GaveUp), 2));
}

#[test]
fn a_long_round_in_a_protected_zone_is_busy_since_and_not_stale() {
    let (mut liveness, run) = begun(1);
    liveness.progress(run, at(0));
    liveness.begin_busy(run, at(1));
    liveness.enter_zone(run, at(2));
    let long = report(&liveness, 10_000);
    assert_eq!(
        (long.stale, long.busy_since, long.protected),
        (None, Some(at(1)), true)
    );
    liveness.leave_zone(run);
    let after = report(&liveness, 10_000);
    assert_eq!((after.protected, after.busy_since), (false, Some(at(1))));
    assert_eq!(after.stale, silent(10_000, 5));
}

#[test]
fn a_long_round_that_nothing_protects_is_busy_since_and_stale() {
    let (mut liveness, run) = begun(1);
    liveness.progress(run, at(0));
    liveness.begin_busy(run, at(1));
    let report = report(&liveness, 6);
    assert_eq!(
        (report.stale, report.busy_since, report.protected),
        (silent(6, 5), Some(at(1)), false)
    );
}

#[test]
fn zones_and_rounds_may_lie_in_one_another_and_end_with_the_outermost() {
    let (mut liveness, run) = begun(1);
    liveness.progress(run, at(0));
    liveness.enter_zone(run, at(1));
    liveness.enter_zone(run, at(2));
    liveness.leave_zone(run);
    let inside = report(&liveness, 100);
    assert_eq!(
        (inside.protected, inside.busy_since, inside.stale),
        (true, Some(at(1)), None)
    );
    liveness.leave_zone(run);
    let outside = report(&liveness, 100);
    assert_eq!((outside.protected, outside.busy_since), (false, None));
    // One too many ends nothing that begins later.
    liveness.leave_zone(run);
    liveness.enter_zone(run, at(101));
    assert!(report(&liveness, 200).protected);
}

#[test]
fn what_an_earlier_run_reports_is_not_heard() {
    let mut liveness = Liveness::default();
    let id = liveness.enter("task", facts(1)).unwrap();
    let old = liveness.begin(id);
    liveness.progress(old, at(1));
    liveness.enter_zone(old, at(1));
    let new = liveness.begin(id);
    let report_at = |liveness: &Liveness| {
        let report = report(liveness, 100);
        (report.protected, report.last_progress, report.restarts)
    };
    assert_eq!(report_at(&liveness), (false, Some(at(1)), 1));
    liveness.progress(old, at(50));
    assert_eq!(report_at(&liveness), (false, Some(at(1)), 1));
    // Its zone ends none of the new one.
    liveness.enter_zone(new, at(60));
    liveness.leave_zone(old);
    assert_eq!(report_at(&liveness), (true, Some(at(1)), 1));
    liveness.progress(new, at(70));
    assert_eq!(report_at(&liveness), (true, Some(at(70)), 1));
}

#[test]
fn between_two_runs_a_task_is_busy_with_nothing_and_goes_stale() {
    let (mut liveness, run) = begun(1);
    liveness.progress(run, at(0));
    liveness.enter_zone(run, at(0));
    liveness.pause(run);
    let report = report(&liveness, 6);
    assert_eq!(
        (report.busy_since, report.protected, report.stale),
        (None, false, silent(6, 5))
    );
}

#[test]
fn progress_does_not_go_back() {
    let (mut liveness, run) = begun(1);
    liveness.progress(run, at(7));
    liveness.progress(run, at(3));
    assert_eq!(report(&liveness, 7).last_progress, Some(at(7)));
}

#[test]
fn a_name_is_taken_until_its_task_has_ended() {
    let mut liveness = Liveness::default();
    let first = liveness.enter("task", facts(1)).unwrap();
    assert_eq!(liveness.enter("task", facts(1)), Err(EnterError::Taken));
    liveness.end(first, TaskEnd::Returned);
    let second = liveness.enter("task", facts(1)).unwrap();
    assert_ne!(first, second);
    assert_eq!(report(&liveness, 0).ended, None);
    // The end of the one before is not its end.
    liveness.end(first, TaskEnd::Cancelled);
    assert_eq!(report(&liveness, 0).ended, None);
}

#[test]
fn one_that_takes_the_place_of_another_is_heard_alone() {
    let mut liveness = Liveness::default();
    let old = liveness.enter("task", facts(1)).unwrap();
    let old = liveness.begin(old);
    let new = liveness.succeed("task", facts(1)).unwrap();
    let new = liveness.begin(new);
    liveness.progress(old, at(5));
    assert_eq!(report(&liveness, 5).last_progress, None);
    liveness.progress(new, at(5));
    assert_eq!(report(&liveness, 5).last_progress, Some(at(5)));
}

#[test]
fn there_are_only_so_many_tasks_of_a_kind_and_only_so_many_that_have_ended_are_remembered() {
    let mut liveness = Liveness::default();
    let embedders = TaskFacts {
        kind: TaskKind::Embedder,
        ..facts(1)
    };
    let ids: Vec<_> = (0..TASKS_MAX)
        .map(|number| {
            liveness
                .enter(&format!("task-{number}"), embedders)
                .unwrap()
        })
        .collect();
    assert_eq!(liveness.enter("one-more", embedders), Err(EnterError::Full));
    // Those of the engine are none of them.
    liveness.enter("engine", facts(1)).unwrap();
    for id in &ids {
        liveness.end(*id, TaskEnd::Returned);
    }
    for number in 0..5 {
        let id = liveness
            .enter(&format!("late-{number}"), embedders)
            .unwrap();
        liveness.end(id, TaskEnd::Returned);
    }
    let reports = liveness.report(&[], at(0));
    assert_eq!(reports.len(), TASKS_MAX + 1);
    assert_eq!(&*reports[0].name, "task-5");
    assert_eq!(&*reports.last().unwrap().name, "late-4");
}

#[test]
fn whoever_asks_may_say_how_long_is_too_long() {
    let (mut liveness, run) = begun(100);
    liveness.progress(run, at(0));
    assert_eq!(liveness.check(&[], None, &[], at(60)), Ok(()));
    assert_eq!(liveness.check(&[], Some(secs(60)), &[], at(60)), Ok(()));
    assert_eq!(
        names(liveness.check(&[], Some(secs(59)), &[], at(60))),
        ["task: no progress for 1m, longer than 59s"]
    );
}

#[test]
fn those_that_are_stale_are_named_each_with_why_and_those_that_are_well_are_not() {
    let mut liveness = Liveness::default();
    let runs = ["wedged", "well", "dead"].map(|name| {
        let id = liveness.enter(name, facts(2)).unwrap();
        liveness.begin(id)
    });
    liveness.progress(runs[0], at(0));
    liveness.progress(runs[1], at(7));
    assert_eq!(
        names(liveness.check(&["well", "ghost"], None, &[], at(7))),
        [
            "dead: it has never made progress",
            "ghost: no such task was ever started",
            "wedged: no progress for 7s, longer than 6s"
        ]
    );
}

fn plugin(call_began: Option<u64>) -> PluginProgress {
    PluginProgress {
        name: "plugin.clock".into(),
        last_progress: at(10),
        call_began: call_began.map(at),
        period: secs(1),
        unloaded: false,
    }
}

fn stale_plugin(call_began: Option<u64>, now: u64) -> Option<Staleness> {
    let reports = Liveness::default().report(&[plugin(call_began)], at(now));
    reports[0].stale.clone()
}

#[test]
fn a_plugin_is_stale_only_in_a_call_that_neither_began_nor_progressed_for_too_long() {
    assert_eq!(stale_plugin(None, 1_000), None);
    // It recorded progress long ago, in an earlier call.
    assert_eq!(stale_plugin(Some(1_000), 1_005), None);
    assert_eq!(stale_plugin(Some(1_000), 1_006), silent(6, 5));
    // The call began before its last progress.
    assert_eq!(stale_plugin(Some(1), 15), None);
    assert_eq!(stale_plugin(Some(1), 16), silent(6, 5));
}

#[test]
fn a_plugin_says_since_when_it_is_called_and_fails_no_check_unless_named() {
    let liveness = Liveness::default();
    let plugins = [plugin(Some(100))];
    let reports = liveness.report(&plugins, at(200));
    assert_eq!(
        (reports[0].kind, reports[0].busy_since),
        (TaskKind::Plugin, Some(at(100)))
    );
    assert_eq!(liveness.check(&[], None, &plugins, at(200)), Ok(()));
    assert_eq!(
        names(liveness.check(&["plugin.clock"], None, &plugins, at(200))),
        ["plugin.clock: no progress for 1m 40s, longer than 5s"]
    );
    let unloaded = PluginProgress {
        unloaded: true,
        ..plugin(None)
    };
    let reports = liveness.report(&[unloaded], at(200));
    assert_eq!(reports[0].ended, Some(TaskEnd::Returned));
}

#[test]
fn a_task_that_is_forgotten_leaves_the_others_where_they_are() {
    let mut liveness = Liveness::default();
    let first = liveness.enter("first", facts(1)).unwrap();
    liveness.enter("second", facts(1)).unwrap();
    liveness.forget(first);
    assert_eq!(&*report(&liveness, 0).name, "second");
    assert_eq!(liveness.enter("second", facts(1)), Err(EnterError::Taken));
}

#[test]
fn tasks_that_have_ended_are_forgotten_for_one_of_their_own_kind_only() {
    let mut liveness = Liveness::default();
    let embedders = TaskFacts {
        kind: TaskKind::Embedder,
        ..facts(1)
    };
    for number in 0..TASKS_MAX {
        let id = liveness
            .enter(&format!("ended-{number}"), facts(1))
            .unwrap();
        liveness.end(id, TaskEnd::Returned);
    }
    liveness.enter("of the embedder", embedders).unwrap();
    let names = |liveness: &Liveness| -> Vec<String> {
        let reports = liveness.report(&[], at(0));
        reports.iter().map(|task| task.name.to_string()).collect()
    };
    assert_eq!(names(&liveness).len(), TASKS_MAX + 1);
    liveness.enter("of the engine", facts(1)).unwrap();
    let left = names(&liveness);
    assert_eq!(left.len(), TASKS_MAX + 1);
    assert!(!left.contains(&"ended-0".to_owned()), "the oldest has gone");
    assert!(left.contains(&"of the embedder".to_owned()));
}
