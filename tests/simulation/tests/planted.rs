//! Each bug that is planted is found, by a check of a promise that it breaks.

use plugin_engine_simulation::{Planted, first_failure, run, shrink, steps_of};

/// How many seeds it may take.
const SEEDS_MAX: u64 = 400;

fn is_found(planted: Planted) {
    let Err((seed, failure)) = first_failure(0..SEEDS_MAX, Some(planted)) else {
        panic!("{SEEDS_MAX} seeds do not find {planted:?}");
    };
    let promise = &failure.violation.promise;
    println!(
        "{planted:?}: found by {promise} after {} seeds, {failure}",
        seed + 1
    );
    assert!(
        planted.breaks().contains(&promise.as_str()),
        "{planted:?} breaks {:?}, and what is seen is {failure}",
        planted.breaks()
    );
}

#[test]
fn steps_that_a_failure_does_not_need_are_left_out() {
    let planted = Some(Planted::ErrorLost);
    let Err((seed, failure)) = first_failure(0..SEEDS_MAX, planted) else {
        panic!("it is not found");
    };
    let all = steps_of(seed);
    let (steps, shrunk) = shrink(seed, all.clone(), failure.clone(), planted);
    assert!(steps.len() <= 5, "{} of {} steps", steps.len(), all.len());
    assert_eq!(shrunk.violation.promise, failure.violation.promise);
    let again = run(seed, &steps, planted)
        .map(drop)
        .map_err(|failure| failure.to_string());
    assert_eq!(
        again,
        Err(shrunk.to_string()),
        "it is seen by these steps alone"
    );
}

macro_rules! found {
    ($($test:ident: $bug:ident,)+) => {
        $(#[test]
        fn $test() {
            is_found(Planted::$bug);
        })+

        #[test]
        fn every_bug_of_the_list_has_a_test() {
            assert_eq!(Planted::ALL, [$(Planted::$bug),+]);
        }
    };
}

found! {
    a_wall_clock_that_moves_the_schedule_is_found: WallClockSchedules,
    a_number_that_is_left_out_is_found: NumberLeftOut,
    a_number_that_is_used_twice_is_found: NumberUsedTwice,
    a_failure_that_is_not_published_is_found: FailureNotPublished,
    an_entry_with_a_wrong_state_is_found: WrongState,
    an_error_that_is_lost_is_found: ErrorLost,
    a_deadline_that_is_ignored_is_found: DeadlineIgnored,
    a_timeout_that_is_final_is_found: TimeoutIsFinal,
    a_failure_that_is_taken_for_a_success_is_found: FailureTakenForSuccess,
    successes_that_drift_are_found: SuccessesDrift,
    successes_that_hurry_are_found: SuccessesHurry,
    a_retry_that_comes_early_is_found: RetriedEarly,
    a_retry_after_that_is_ignored_is_found: RetryAfterIgnored,
    timers_that_are_not_told_are_found: TimersNotTold,
    a_tick_that_is_lost_is_found: TickLost,
    an_instance_that_is_called_twice_is_found: InstanceCalledTwice,
    the_end_of_a_display_that_is_lost_is_found: EndOfDisplayLost,
    a_late_return_that_is_lost_is_found: LateReturnLost,
    a_breaker_that_opens_late_is_found: BreakerOpensLate,
    a_cool_down_that_is_too_short_is_found: CoolDownTooShort,
    a_cool_down_that_is_too_long_is_found: CoolDownTooLong,
    an_unhealthy_episode_that_is_not_told_is_found: UnhealthyNotTold,
    an_unhealthy_episode_that_is_told_again_is_found: UnhealthyToldAgain,
    a_panic_limit_that_is_off_by_one_is_found: PanicLimitOffByOne,
    restarts_that_do_not_back_off_are_found: NoBackOff,
    restarts_that_are_never_given_up_are_found: NeverGivesUp,
    a_restart_that_is_forgotten_is_found: RestartForgotten,
    a_plugin_that_comes_back_by_itself_is_found: Resurrected,
    a_reload_that_is_entered_as_refused_is_found: RefusedReloadReplaces,
    a_history_that_is_too_large_is_found: HistoryTooLarge,
    workers_that_are_too_many_are_found: TooManyWorkers,
    threads_that_never_end_are_found: ThreadsNeverEnd,
    an_instance_that_is_leaked_is_found: InstanceLeaked,
    a_panic_that_is_counted_twice_is_found: PanicCountedTwice,
    a_shutdown_that_takes_too_long_is_found: ShutdownWaits,
    a_wake_up_that_is_lost_is_found: WakeUpLost,
    a_requirement_that_is_ignored_is_found: RequirementIgnored,
    a_plugin_that_is_held_back_for_ever_is_found: HeldBackForever,
    a_first_reason_that_stands_is_found: FirstReasonStands,
    plugins_that_are_stopped_as_they_were_started_are_found: StoppedAsStarted,
    a_batch_that_is_lost_is_found: BatchLost,
    an_entry_that_is_written_otherwise_is_found: WrittenOtherwise,
    a_forget_that_is_lost_is_found: ForgetLost,
    a_switching_off_that_is_not_remembered_is_found: SwitchedOffForgotten,
    generations_that_begin_anew_are_found: GenerationsBeginAnew,
    a_history_of_which_nothing_holds_that_was_read_late_is_found: ReadTooLate,
    a_mark_that_is_lost_is_found: MarkLost,
    a_file_that_counts_at_once_is_found: SettlesAtOnce,
    a_removal_that_counts_at_once_is_found: NoGrace,
    a_directory_that_is_taken_for_empty_is_found: GoneIsEmpty,
    a_file_that_is_not_finished_and_is_loaded_is_found: TemporaryLoaded,
    a_change_that_is_lost_is_found: ChangeLost,
    a_removal_that_is_lost_is_found: RemovalLost,
    a_refusal_at_each_look_is_found: RefusedEachLook,
    a_duplicate_that_takes_the_id_is_found: DuplicateTakesId,
    an_unloaded_plugin_that_comes_back_is_found: UnloadedComesBack,
    a_plugin_that_is_off_and_comes_back_is_found: OffComesBack,
}
