//! Every policy after everything that is no panic: failures, timeouts, limits of use, settings that are not good.

use plugin_engine_core::{CallOutcome, CreateReason, Event, FaultKind, HealthPolicy};

use super::cells::{DELAY_MS, cells};
use crate::rig::{Rig, TIMEOUT_MS, failed, failed_for_good, report};

fn update_failed(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    rig.update(failed("no network"));
    rig
}

cells! { update_failed:
    nothing_is_done_when_an_update_failed:  None    => "update_started update_failed", Enabled, Some(1_000), Degraded, 0;
    no_restart_when_an_update_failed:       Restart => "update_started update_failed", Enabled, Some(1_000), Degraded, 0;
    not_switched_off_when_an_update_failed: Disable => "update_started update_failed", Enabled, Some(1_000), Degraded, 0;
    not_unloaded_when_an_update_failed:     Unload  => "update_started update_failed", Enabled, Some(1_000), Degraded, 0;
}

fn update_timed_out(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    rig.hang();
    rig
}

cells! { update_timed_out:
    nothing_is_done_when_an_update_timed_out:  None    => "update_started update_timed_out", Enabled, Some(TIMEOUT_MS + 1_000), Degraded, 0;
    no_restart_when_an_update_timed_out:       Restart => "update_started update_timed_out", Enabled, Some(TIMEOUT_MS + 1_000), Degraded, 0;
    not_switched_off_when_an_update_timed_out: Disable => "update_started update_timed_out", Enabled, Some(TIMEOUT_MS + 1_000), Degraded, 0;
    not_unloaded_when_an_update_timed_out:     Unload  => "update_started update_timed_out", Enabled, Some(TIMEOUT_MS + 1_000), Degraded, 0;
}

fn update_failed_for_good(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    rig.update(failed_for_good("wrong machine"));
    rig
}

cells! { update_failed_for_good:
    error_when_an_update_failed_for_good:                      None    => "update_started failed_permanently", Error, None, Unhealthy, 1;
    error_without_a_restart_when_an_update_failed_for_good:    Restart => "update_started failed_permanently", Error, None, Unhealthy, 1;
    error_and_not_switched_off_when_an_update_failed_for_good: Disable => "update_started failed_permanently", Error, None, Unhealthy, 1;
    error_and_not_unloaded_when_an_update_failed_for_good:     Unload  => "update_started failed_permanently", Error, None, Unhealthy, 1;
}

fn limit_passed(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    rig.take(Event::LimitPassed {
        unhealthy: false,
        report: report(FaultKind::Limit, "much"),
    });
    rig
}

cells! { limit_passed:
    nothing_is_done_when_a_limit_was_passed:  None    => "limit_passed", Enabled, Some(0), Degraded, 0;
    no_restart_when_a_limit_was_passed:       Restart => "limit_passed", Enabled, Some(0), Degraded, 0;
    not_switched_off_when_a_limit_was_passed: Disable => "limit_passed", Enabled, Some(0), Degraded, 0;
    not_unloaded_when_a_limit_was_passed:     Unload  => "limit_passed", Enabled, Some(0), Degraded, 0;
}

fn limit_passed_by_far(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    rig.take(Event::LimitPassed {
        unhealthy: true,
        report: report(FaultKind::Limit, "too much"),
    });
    rig
}

cells! { limit_passed_by_far:
    nothing_is_done_when_a_limit_was_passed_by_far: None    => "limit_passed turned_unhealthy", Enabled, Some(0), Unhealthy, 1;
    restart_when_a_limit_was_passed_by_far:         Restart => "limit_passed unhealthy", Error, Some(DELAY_MS), Unhealthy, 1;
    switch_off_when_a_limit_was_passed_by_far:      Disable => "limit_passed switched_off", Disabled, None, Unhealthy, 1;
    unload_when_a_limit_was_passed_by_far:          Unload  => "limit_passed unloaded", Unloaded, None, Unhealthy, 1;
}

fn create_ended(policy: HealthPolicy, outcome: CallOutcome) -> Rig {
    let mut rig = Rig::loaded_under(policy);
    let id = rig.start(Event::CreateStarted(CreateReason::Load));
    rig.end(id, outcome);
    rig
}

fn create_failed(policy: HealthPolicy) -> Rig {
    create_ended(policy, failed("no memory"))
}

cells! { create_failed:
    tried_again_when_the_create_failed:                      None    => "create_failed", Error, Some(DELAY_MS), Degraded, 0;
    restart_when_the_create_failed:                          Restart => "create_failed", Error, Some(DELAY_MS), Degraded, 0;
    tried_again_and_not_switched_off_when_the_create_failed: Disable => "create_failed", Error, Some(DELAY_MS), Degraded, 0;
    tried_again_and_not_unloaded_when_the_create_failed:     Unload  => "create_failed", Error, Some(DELAY_MS), Degraded, 0;
}

fn create_timed_out(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::loaded_under(policy);
    let id = rig.start(Event::CreateStarted(CreateReason::Load));
    rig.at(500).time_out(id);
    rig
}

cells! { create_timed_out:
    tried_again_when_the_create_timed_out:                      None    => "create_failed", Error, Some(500 + DELAY_MS), Degraded, 0;
    restart_when_the_create_timed_out:                          Restart => "create_failed", Error, Some(500 + DELAY_MS), Degraded, 0;
    tried_again_and_not_switched_off_when_the_create_timed_out: Disable => "create_failed", Error, Some(500 + DELAY_MS), Degraded, 0;
    tried_again_and_not_unloaded_when_the_create_timed_out:     Unload  => "create_failed", Error, Some(500 + DELAY_MS), Degraded, 0;
}

fn create_failed_for_good(policy: HealthPolicy) -> Rig {
    create_ended(policy, failed_for_good("wrong machine"))
}

cells! { create_failed_for_good:
    error_when_the_create_failed_for_good:                      None    => "create_failed", Error, None, Unhealthy, 1;
    error_without_a_restart_when_the_create_failed_for_good:    Restart => "create_failed", Error, None, Unhealthy, 1;
    error_and_not_switched_off_when_the_create_failed_for_good: Disable => "create_failed", Error, None, Unhealthy, 1;
    error_and_not_unloaded_when_the_create_failed_for_good:     Unload  => "create_failed", Error, None, Unhealthy, 1;
}

/// Nobody is going to try again, so only somebody else can help.
fn create_failed_where_no_restart_is_allowed(mut policy: HealthPolicy) -> Rig {
    policy.restart.max_restarts = Some(0);
    create_failed(policy)
}

cells! { create_failed_where_no_restart_is_allowed:
    error_when_the_create_failed_and_no_restart_is_allowed:                      None    => "create_failed", Error, None, Unhealthy, 1;
    error_without_a_restart_when_the_create_failed_and_none_is_allowed:          Restart => "create_failed", Error, None, Unhealthy, 1;
    error_and_not_switched_off_when_the_create_failed_and_no_restart_is_allowed: Disable => "create_failed", Error, None, Unhealthy, 1;
    error_and_not_unloaded_when_the_create_failed_and_no_restart_is_allowed:     Unload  => "create_failed", Error, None, Unhealthy, 1;
}

/// The plugin was never called, so nothing is known of it.
fn settings_bad(policy: HealthPolicy) -> Rig {
    let outcome = CallOutcome::Failed {
        report: report(FaultKind::Config, "start: not a number"),
        recoverable: false,
        retry_after: None,
    };
    create_ended(policy, outcome)
}

cells! { settings_bad:
    error_when_the_settings_are_bad:                      None    => "create_failed", Error, None, Unknown, 0;
    error_without_a_restart_when_the_settings_are_bad:    Restart => "create_failed", Error, None, Unknown, 0;
    error_and_not_switched_off_when_the_settings_are_bad: Disable => "create_failed", Error, None, Unknown, 0;
    error_and_not_unloaded_when_the_settings_are_bad:     Unload  => "create_failed", Error, None, Unknown, 0;
}

/// What holds is what the configuration said before.
fn settings_bad_at_a_reload(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    rig.take(Event::ReloadRefused {
        report: report(FaultKind::Config, "start: not a number"),
        created_anew: false,
    });
    rig
}

cells! { settings_bad_at_a_reload:
    degraded_when_the_settings_become_bad:                      None    => "reload_refused", Enabled, Some(0), Degraded, 0;
    degraded_without_a_restart_when_the_settings_become_bad:    Restart => "reload_refused", Enabled, Some(0), Degraded, 0;
    degraded_and_not_switched_off_when_the_settings_become_bad: Disable => "reload_refused", Enabled, Some(0), Degraded, 0;
    degraded_and_not_unloaded_when_the_settings_become_bad:     Unload  => "reload_refused", Enabled, Some(0), Degraded, 0;
}
