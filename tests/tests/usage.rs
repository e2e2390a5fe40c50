//! What the calls of plugins use, and limits of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plugin_engine::{
    Cause, Clock, FaultKind, Health, LimitLevel, Moment, PluginState, PluginUsage, SystemClock,
    WallTime,
};
use plugin_engine_tests::{Gate, Rig, await_late, gated, time_out};

/// The machine's clock, of which seconds can be left out.
#[derive(Clone, Default)]
struct SkippingClock {
    system: Arc<SystemClock>,
    skipped_ns: Arc<AtomicU64>,
}

impl SkippingClock {
    fn skip(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap();
        self.skipped_ns.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Clock for SkippingClock {
    fn now(&self) -> Moment {
        let skipped = self.skipped_ns.load(Ordering::SeqCst);
        Moment::from_nanos(self.system.now().as_nanos() + skipped)
    }

    fn wall(&self) -> WallTime {
        self.system.wall()
    }

    fn real_time_until(&self, moment: Moment) -> Option<Duration> {
        Some(moment.saturating_since(self.now()))
    }
}

fn usage(rig: &Rig, id: &str) -> PluginUsage {
    rig.engine.plugin_usage(id).expect("the id is known")
}

/// Makes an update that takes so long by the rig's clock.
fn update_for(rig: &Rig, gate: &Gate, n: u32, millis: u64) {
    let cycle = rig.engine.start_cycle();
    gate.await_entry(n);
    rig.advance(millis);
    gate.open(n);
    assert_eq!(cycle.wait().completed, 1);
}

fn count(rig: &Rig, id: &str, cause: Cause) -> usize {
    let causes = rig.causes(id);
    causes.into_iter().filter(|one| *one == cause).count()
}

#[test]
fn one_that_computes_uses_its_time_as_cpu_time_and_one_that_waits_next_to_none() {
    let rig = Rig::real(|builder| builder);
    let slow = "timeout = \"1h\"\n[settings]\nms = 50\n";
    rig.drop_as("computes", "computes", slow);
    rig.drop_as("hangs-awhile", "waits", slow);
    rig.load();
    let share = |id: &str| {
        rig.engine.update(id).unwrap();
        let updates = usage(&rig, id).updates;
        assert!(updates.wall_total_us >= 50_000.0, "{updates:?}");
        assert_eq!(updates.cpu_sampled_calls, 1);
        updates.cpu_share.unwrap()
    };
    let (computes, waits) = (share("computes"), share("waits"));
    assert!(computes > 5.0 * waits, "{computes} beside {waits}");
    let total = |id| usage(&rig, id).updates.cpu_total_us.unwrap();
    assert!(total("computes") > 5.0 * total("waits"));
}

#[test]
fn of_updates_in_quick_succession_all_are_counted_and_one_a_second_is_measured_with_care() {
    let rig = Rig::new();
    rig.drop_as("noop", "noop", "interval = \"10ms\"\n");
    rig.load();
    let cycles = |count: u64| {
        for _ in 0..count {
            assert_eq!(rig.engine.run_cycle().completed, 1);
            rig.advance(10);
        }
        let updates = usage(&rig, "noop").updates;
        (updates.calls, updates.cpu_sampled_calls)
    };
    // Nine tenths of a second, so that of a plugin that is called each second every update is measured.
    assert_eq!(cycles(90), (90, 1));
    assert_eq!(cycles(1), (91, 2));
    assert_eq!(cycles(89), (180, 2));
    assert_eq!(cycles(1), (181, 3));
}

#[test]
fn every_kind_of_call_is_counted_with_how_long_it_took() {
    let gate = Gate::new();
    let rig = gated(&gate, "slow", "");
    update_for(&rig, &gate, 1, 100);
    rig.advance(1_000);
    update_for(&rig, &gate, 2, 300);
    rig.engine.display("slow").unwrap();
    let told = usage(&rig, "slow");
    assert_eq!((told.updates.calls, told.others.calls), (2, 2));
    assert_eq!(told.updates.wall_total_us, 400_000.0);
    assert_eq!(told.updates.wall_mean_us, 200_000.0);
    assert_eq!(told.updates.wall_max_us, 300_000.0);
    let percentiles = told.updates.percentiles.unwrap();
    assert!((100_000.0..=112_500.0).contains(&percentiles.p50_us));
    assert_eq!(percentiles.p999_us, 300_000.0);
    assert_eq!(told.others.cpu_sampled_calls, 2);
    assert!(told.others.percentiles.is_none());
}

#[test]
fn a_call_that_is_abandoned_counts_to_its_deadline_and_what_it_took_since_when_it_returns() {
    let gate = Gate::new();
    let rig = gated(&gate, "stuck", "");
    time_out(&rig, &gate, 1);
    let told = usage(&rig, "stuck").updates;
    assert_eq!((told.calls, told.wall_total_us), (1, 500_000.0));
    rig.advance(250);
    gate.open(1);
    await_late(&rig, "stuck", 1);
    let told = usage(&rig, "stuck").updates;
    assert_eq!((told.calls, told.wall_total_us), (1, 500_000.0));
    assert_eq!((told.late_total_us, told.cpu_sampled_calls), (250_000.0, 1));
}

#[test]
fn an_unknown_id_has_no_usage_and_a_switched_off_plugin_one_of_nothing() {
    let rig = Rig::new();
    rig.drop_as("noop", "off", "enabled = false\n");
    rig.load();
    assert!(rig.engine.plugin_usage("nobody").is_none());
    let told = usage(&rig, "off");
    assert_eq!((told.updates.calls, told.others.calls), (0, 0));
    assert_eq!((told.cpu_total_us, told.recent), (None, None));
    let all = rig.engine.plugin_usages();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].0.as_str(), &all[0].1), ("off", &told));
}

/// One whose updates take so long is degraded above 50 ms on average; `n` of the last update comes back.
fn passes_the_mean(rig: &Rig, gate: &Gate) -> u32 {
    for n in 1..=2 {
        update_for(rig, gate, n, 100);
        rig.advance(900);
    }
    2
}

const MEAN: &str = "limits = { window = \"1s\", update_mean = \"50ms\" }\n";

fn limited(gate: &Gate, limits: &str) -> Rig {
    let rig = Rig::new();
    let config = format!("{limits}{}", gate.settings(""));
    rig.drop_as("gated", "slow", &config);
    rig.load();
    rig
}

#[test]
fn a_limit_that_is_passed_is_told_once_and_once_that_it_is_kept_again() {
    let gate = Gate::new();
    let rig = limited(&gate, MEAN);
    let mut n = passes_the_mean(&rig, &gate);
    let told = |level, passed, kept| {
        assert_eq!(usage(&rig, "slow").limits, level);
        assert_eq!(count(&rig, "slow", Cause::LimitPassed), passed);
        assert_eq!(count(&rig, "slow", Cause::LimitsKept), kept);
    };
    told(LimitLevel::Degraded, 1, 0);
    let history = rig.history("slow");
    let entry = history.iter().find(|one| one.cause == Cause::LimitPassed);
    let error = entry.unwrap().error.as_deref().unwrap();
    assert_eq!(error.kind, FaultKind::Limit);
    let says = "its updates took 100ms on average in the last 1s, and the limit is 50ms [PE0632]";
    assert_eq!(&*error.message, says);
    let mut more = |millis| {
        for _ in 0..5 {
            n += 1;
            update_for(&rig, &gate, n, millis);
            rig.advance(1_000 - millis);
        }
    };
    more(100);
    told(LimitLevel::Degraded, 1, 0);
    // Below the limit, and not by enough.
    more(45);
    told(LimitLevel::Degraded, 1, 0);
    more(40);
    told(LimitLevel::Kept, 1, 1);
    assert_eq!(rig.state("slow"), PluginState::Enabled);
    more(45);
    told(LimitLevel::Kept, 1, 1);
    more(60);
    told(LimitLevel::Degraded, 2, 1);
}

#[test]
fn one_that_is_unhealthy_by_a_limit_is_restarted_and_well_again_once_it_keeps_it() {
    let gate = Gate::new();
    let limits = "limits = { window = \"1s\", update_mean_unhealthy = \"50ms\" }\n";
    let rig = limited(&gate, limits);
    let mut n = passes_the_mean(&rig, &gate);
    assert_eq!(rig.state("slow"), PluginState::Error);
    assert_eq!(rig.snapshot("slow").health, Health::Unhealthy);
    assert_eq!(usage(&rig, "slow").limits, LimitLevel::Unhealthy);
    // Past the longest that a first delay is with jitter.
    rig.advance(1_200);
    n += 1;
    update_for(&rig, &gate, n, 1);
    assert_eq!(count(&rig, "slow", Cause::Restarted), 1);
    assert_eq!(usage(&rig, "slow").limits, LimitLevel::Kept);
    for _ in 0..3 {
        rig.advance(1_000);
        n += 1;
        update_for(&rig, &gate, n, 1);
    }
    assert_eq!(count(&rig, "slow", Cause::LimitPassed), 1);
    // The instance that passed it is gone, and the other one never did.
    assert_eq!(count(&rig, "slow", Cause::LimitsKept), 0);
}

#[test]
fn limits_of_a_configuration_that_changed_hold_for_the_same_instance() {
    let gate = Gate::new();
    let rig = limited(&gate, MEAN);
    let n = passes_the_mean(&rig, &gate);
    let config = format!(
        "id = \"slow\"\nlimits = {{ window = \"1s\", update_mean = \"200ms\" }}\n{}",
        gate.settings("")
    );
    std::fs::write(rig.dir().join("slow.toml"), config).unwrap();
    let outcome = rig.engine.reload("slow").unwrap();
    assert!(outcome.to_string().contains("configured anew"), "{outcome}");
    update_for(&rig, &gate, n + 1, 100);
    assert_eq!(usage(&rig, "slow").limits, LimitLevel::Kept);
    assert_eq!(rig.snapshot("slow").generation, 1);
}

#[test]
fn one_that_computes_passes_a_limit_of_cpu_time_and_one_that_waits_does_not() {
    let clock = SkippingClock::default();
    let rig = Rig::real(|builder| builder.clock(clock.clone()));
    let config =
        "timeout = \"1h\"\nlimits = { window = \"1s\", cpu_percent = 1 }\n[settings]\nms = 200\n";
    rig.drop_as("computes", "computes", config);
    rig.drop_as("hangs-awhile", "waits", config);
    rig.load();
    for _ in 0..3 {
        assert_eq!(rig.engine.run_cycle().completed, 2);
        clock.skip(Duration::from_secs(1));
    }
    let recent = |id| usage(&rig, id).recent.unwrap().cpu_percent.unwrap();
    let shares = (recent("computes"), recent("waits"));
    assert_eq!(
        usage(&rig, "computes").limits,
        LimitLevel::Degraded,
        "{shares:?}"
    );
    assert_eq!(usage(&rig, "waits").limits, LimitLevel::Kept, "{shares:?}");
    assert_eq!(count(&rig, "computes", Cause::LimitPassed), 1);
    let error = rig.history("computes");
    let error = error.iter().find_map(|entry| match entry.cause {
        Cause::LimitPassed => entry.error.as_ref(),
        _ => None,
    });
    assert!(
        error
            .unwrap()
            .message
            .ends_with("and the limit is 1 % [PE0631]")
    );
}
