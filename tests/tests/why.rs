//! Why a plugin is as it is, asked of an engine over real plugins.

use std::time::Duration;

use plugin_engine::{Cause, EngineEnd, NextKind, PluginState, Why, WhyInput, WhyPolicy, explain};
use plugin_engine_tests::{Gate, Rig, await_late, built, time_out, wait_for};

fn rig(fixture: &str, config: &str) -> Rig {
    let rig = Rig::new();
    rig.drop_as(fixture, "p", config);
    rig.load_any();
    rig
}

/// Cycles, one second apart.
fn seconds(rig: &Rig, count: u32) {
    for _ in 0..count {
        rig.advance(1_000);
        cycle(rig);
    }
}

/// A cycle, and the destroy of an instance that was given up in it, which is none of the cycle's business.
fn cycle(rig: &Rig) {
    let _ = rig.engine.run_cycle();
    wait_for("the calls to end", || {
        let in_flight = rig.snapshot("p").in_flight;
        in_flight.is_none_or(|call| call.abandoned)
    });
}

/// Has an explanation in exactly these lines. What stands for the plugin directory is written as `DIR`.
#[track_caller]
fn says(rig: &Rig, why: &Why, wanted: &str) {
    let got = why.to_string().replace(rig.dir().to_str().unwrap(), "DIR");
    let wanted = wanted.trim_matches('\n');
    assert!(got == wanted, "got:\n{got}\n\nwanted:\n{wanted}");
}

fn decides(why: &Why, key: &str) -> WhyPolicy {
    let found = why.policies.iter().find(|policy| policy.key == key);
    found.unwrap_or_else(|| panic!("{key}: {why}")).clone()
}

#[test]
fn a_plugin_that_hangs_is_explained_with_its_call_and_its_policy_and_again_after_its_return() {
    let gate = Gate::new();
    let rig = rig("gated", &gate.settings(""));
    time_out(&rig, &gate, 1);
    rig.advance(12_000);
    let why = rig.engine.why("p");
    says(
        &rig,
        &why,
        r#"
p 0.1.0 is Enabled since 00:00:00Z (12 s ago), with an error since 00:00:00Z (12 s ago). Health: degraded.
good:   no update of it has completed since this engine was started
then:   00:00:00Z (12 s ago): its instance was created
then:   00:00:00Z (12 s ago): an update timed out
error:  00:00:00Z: it took too long [timeout]: update has not returned within its timeout of 500ms; it is running since 2026-01-01T00:00:00.000Z
call:   update does not return: it is running since 00:00:00Z (12 s), and its deadline has passed
next:   nothing, until its update returns: a call cannot be ended from outside, and updates that come due are skipped; `reset p` puts another instance in its place
policy: on_hung = "wait" (default)
"#,
    );
    assert_eq!(why.next.kind, NextKind::CallReturns);
    assert_eq!(why.in_flight, rig.snapshot("p").in_flight);
    assert_eq!(why.error, rig.snapshot("p").error);

    gate.open(1);
    await_late(&rig, "p", 1);
    let why = rig.engine.why("p");
    assert_eq!(why.next.kind, NextKind::Retry, "{why}");
    assert_eq!(why.steps.last().unwrap().cause, Cause::ReturnedLate);
    assert_eq!(why.next.at, rig.snapshot("p").next_update);
}

#[test]
fn what_a_reset_promises_for_a_plugin_that_hangs_is_what_it_does() {
    let gate = Gate::new();
    let rig = rig("gated", &gate.settings(""));
    time_out(&rig, &gate, 1);
    assert!(
        rig.engine
            .why("p")
            .next
            .text
            .contains("`reset p` puts another instance in its place")
    );
    rig.engine.reset("p").unwrap();
    let why = rig.engine.why("p");
    assert_eq!(
        (why.next.kind, why.error.as_ref()),
        (NextKind::Update, None),
        "{why}"
    );
}

#[test]
fn a_plugin_whose_restarts_are_used_up_is_told_with_every_one_of_them() {
    let config = "panic_limit = 1\nrestart = { delay = \"1s\", jitter_percent = 0, max_restarts = 2 }\n[settings]\nevery = 1\n";
    let rig = rig("panics", config);
    cycle(&rig);
    let first = rig.engine.why("p");
    assert_eq!(
        (first.state, first.next.kind),
        (PluginState::Error, NextKind::Restart)
    );
    assert_eq!(first.next.at, rig.snapshot("p").next_update);
    assert!(
        first
            .next
            .text
            .contains("that is number 1 of at most 2 within 10m, 1 more may follow"),
        "{first}"
    );
    assert_eq!(decides(&first, "restart.max_restarts").value, "2");
    seconds(&rig, 1);
    let second = rig.engine.why("p");
    assert!(
        second
            .next
            .text
            .contains("that is number 2 of at most 2 within 10m: if it fails again"),
        "{second}"
    );
    seconds(&rig, 2);
    let last = rig.engine.why("p");
    assert_eq!(
        (last.state, last.next.kind),
        (PluginState::Error, NextKind::Change)
    );
    let told: Vec<_> = last
        .steps
        .iter()
        .map(|step| (step.cause, step.count))
        .collect();
    assert_eq!(
        told,
        [
            (Cause::Created, 1),
            (Cause::UpdatePanicked, 3),
            (Cause::Unhealthy, 2),
            (Cause::Restarted, 2),
            (Cause::GaveUp, 1),
        ]
    );
    let said_by = decides(&last, "restart.max_restarts").said_by;
    assert!(said_by.ends_with("p.toml:3"), "{said_by}");
    // What it says helps does.
    assert!(last.next.text.contains("`reset p`"));
    rig.engine.reset("p").unwrap();
    assert_eq!(rig.engine.why("p").next.kind, NextKind::Update);
}

#[test]
fn panics_are_counted_against_the_limit_that_the_configuration_sets() {
    let rig = rig(
        "panics",
        "panic_limit = 5\non_unhealthy = \"disable\"\n[settings]\nevery = 1\n",
    );
    cycle(&rig);
    seconds(&rig, 1);
    let why = rig.engine.why("p");
    assert!(
        why.notes[0].starts_with("2 panics so far of 5 that make it unhealthy"),
        "{why}"
    );
    assert_eq!(decides(&why, "on_unhealthy").value, "\"disable\"");
    assert!(why.next.text.contains("created anew"), "{why}");
    let error = why
        .lines()
        .into_iter()
        .find(|line| line.starts_with("error:"))
        .unwrap();
    assert!(error.contains("(at ") && error.contains(".rs:"), "{error}");
    seconds(&rig, 3);
    let why = rig.engine.why("p");
    assert_eq!(why.state, PluginState::Disabled);
    assert!(
        why.steps
            .last()
            .unwrap()
            .text
            .contains("as its policy says"),
        "{why}"
    );
}

#[test]
fn an_open_breaker_is_told_with_the_time_of_its_probe() {
    let rig = rig(
        "fails",
        "[breaker]\nfailures = 2\ncool_down = \"10s\"\n[settings]\nevery = 1\n",
    );
    cycle(&rig);
    let why = rig.engine.why("p");
    assert!(
        why.notes.iter().any(|note| note.ends_with("so far: 1")),
        "{why}"
    );
    seconds(&rig, 1);
    let why = rig.engine.why("p");
    assert_eq!(
        (why.next.kind, why.next.at),
        (NextKind::Probe, rig.snapshot("p").next_update)
    );
    assert!(why.next.text.contains("at 00:00:11Z (in 10 s)"), "{why}");
    assert_eq!(decides(&why, "breaker.cool_down").value, "\"10s\"");
}

#[test]
fn a_plugin_that_waits_for_another_says_for_which_and_stops_saying_so_when_it_comes() {
    let rig = Rig::new();
    rig.drop_as("noop", "p", "requires = [\"q\"]\n");
    rig.load_any();
    let why = rig.engine.why("p");
    assert_eq!(
        (why.state, why.next.kind),
        (PluginState::Error, NextKind::Requirement)
    );
    assert!(
        why.error.as_ref().unwrap().message.contains("requires q"),
        "{why}"
    );
    assert_eq!(decides(&why, "requires").value, "[\"q\"]");
    rig.drop_as("noop", "q", "");
    rig.load_any();
    plugin_engine_tests::wait_for("p to be created", || rig.state("p") == PluginState::Enabled);
    let why = rig.engine.why("p");
    assert_eq!(
        why.steps.last().unwrap().cause,
        Cause::RequirementMet,
        "{why}"
    );
    assert!(why.error.is_none());
}

#[test]
fn a_refused_file_is_told_with_its_code_under_its_id_or_by_its_name() {
    let rig = Rig::new();
    std::fs::write(rig.dir().join("libclock.so"), "no library at all").unwrap();
    rig.load_any();
    let why = rig.engine.why("clock");
    assert!(!why.is_known);
    let note = why.notes.join("\n");
    assert!(
        note.contains("libclock.so") && note.contains("[PE0"),
        "{why}"
    );

    rig.drop_as("noop", "p", "");
    rig.drop_as("noop", "z", "");
    std::fs::write(rig.dir().join("z.toml"), "id = \"p\"\n").unwrap();
    rig.load_any();
    let why = rig.engine.why("p");
    assert!(why.notes.iter().any(|note| note.contains("z.so")), "{why}");
}

#[test]
fn a_refused_reload_is_told_while_the_generation_before_goes_on() {
    let rig = rig("noop", "");
    cycle(&rig);
    std::fs::copy(built("fails-in-create"), rig.dir().join("new")).unwrap();
    std::fs::rename(rig.dir().join("new"), rig.dir().join("p.so")).unwrap();
    rig.advance(1_000);
    rig.engine.reload("p").unwrap_err();
    let why = rig.engine.why("p");
    assert_eq!(why.state, PluginState::Enabled);
    let last = why.steps.last().unwrap();
    assert_eq!(last.cause, Cause::ReloadRefused);
    assert!(last.text.contains("what was active went on"), "{why}");
}

#[test]
fn who_switched_off_or_unloaded_is_told() {
    let rig = rig("noop", "");
    rig.engine.disable("p").unwrap();
    let why = rig.engine.why("p");
    assert!(
        why.steps
            .last()
            .unwrap()
            .text
            .ends_with("switched off by a command"),
        "{why}"
    );
    assert_eq!(why.next.kind, NextKind::Command);
    rig.engine.unload("p").unwrap();
    let why = rig.engine.why("p");
    assert!(
        why.steps
            .last()
            .unwrap()
            .text
            .ends_with("unloaded by a command"),
        "{why}"
    );

    let off = self::rig("noop", "enabled = false\n");
    let why = off.engine.why("p");
    assert!(
        why.steps
            .last()
            .unwrap()
            .text
            .ends_with("as its configuration says"),
        "{why}"
    );
    assert!(
        decides(&why, "enabled").said_by.ends_with("p.toml:2"),
        "{why}"
    );
}

#[test]
fn an_unknown_id_is_answered_with_the_nearest_one() {
    let rig = rig("noop", "");
    rig.drop_as("noop", "counter", "");
    rig.load_any();
    let why = rig.engine.why("conuter");
    assert!(
        !why.is_known && why.next.text.contains("did you mean counter?"),
        "{why}"
    );
    for id in ["", "\u{1b}[2J", &"x".repeat(100_000), "../../p"] {
        let why = rig.engine.why(id);
        assert!(!why.is_known && why.lines().len() == 2, "{why}");
        assert!(!why.to_string().contains('\u{1b}'));
    }
}

#[test]
fn failures_beyond_what_memory_keeps_are_said_to_be_missing() {
    let rig = rig("fails", "interval = \"1s\"\n[settings]\nevery = 1\n");
    cycle(&rig);
    seconds(&rig, 1_100);
    let why = rig.engine.why("p");
    let failed = why
        .steps
        .iter()
        .find(|step| step.cause == Cause::UpdateFailed)
        .unwrap();
    assert!(failed.count < 1_101, "{}", failed.count);
    assert_eq!(why.error_since, None, "its beginning is not known any more");
    assert!(
        why.notes
            .iter()
            .any(|note| note.starts_with("updates failed 1101 times in a row")),
        "{why}"
    );
}

#[test]
fn the_history_of_an_engine_that_was_shut_down_explains_what_was_before() {
    let rig = rig("fails", "[settings]\nevery = 1\n");
    cycle(&rig);
    seconds(&rig, 2);
    let standing = rig.engine.why("p");
    let at = rig.now();
    rig.engine.shutdown(Duration::from_secs(5)).unwrap();
    let input = |asked: &str| {
        let end = EngineEnd::Stopped { at };
        WhyInput::of_ended_engine(asked, at, end, rig.history("p"), 0, ["p"])
    };
    let why = explain(&input("p"));
    assert_eq!(
        (why.state, why.next.kind),
        (PluginState::Enabled, NextKind::EngineStart)
    );
    assert_eq!(why.error, standing.error);
    assert_eq!(why.error_since, standing.error_since);
    assert_eq!(why.steps, standing.steps);
    assert_eq!(why.version, standing.version);
}

/// The rig's clock stands still, so nothing but the arguments decides.
#[test]
fn the_same_facts_are_explained_in_the_same_words_again() {
    let rig = rig("fails", "[settings]\nevery = 1\n");
    cycle(&rig);
    assert_eq!(rig.engine.why("p"), rig.engine.why("p"));
}
