//! What a person asks of a plugin: done, already so, refused in words, or waiting for a call and no longer.

use std::sync::Mutex;
use std::time::Duration;

use plugin_engine::{Cause, Command, Engine, Error, PluginState};
use plugin_engine_tests::{Gate, Rig, built, lines_of, on_line, patched, wait_for};

fn command(engine: &Engine, command: Command, id: &str) -> Result<(), Error> {
    match command {
        Command::Load => engine.load(id).map(drop),
        Command::Enable => engine.enable(id),
        Command::Disable => engine.disable(id),
        Command::Reset => engine.reset(id),
        Command::Update => engine.update(id),
        Command::Display => engine.display(id).map(drop),
        Command::Unload => engine.unload(id),
        Command::Reload => engine.reload(id).map(drop),
        Command::Forget => engine.forget(id),
    }
}

/// A rig whose plugin `p` is in this state.
fn rig_in(state: PluginState, gate: &Gate) -> Rig {
    let rig = Rig::with(|builder| builder.startup_budget(Duration::from_millis(1)));
    let settings = match state {
        PluginState::Error => gate.settings("then = \"permanent\""),
        _ => gate.settings(""),
    };
    let off = if state == PluginState::Disabled {
        "enabled = false\n"
    } else {
        ""
    };
    rig.drop_as("gated", "p", &format!("{off}{settings}"));
    let _ = rig.load_any();
    match state {
        PluginState::Unloaded => {
            wait_for("the start", || rig.state("p") == PluginState::Enabled);
            rig.engine.unload("p").unwrap();
        }
        PluginState::Error => {
            gate.open_all();
            wait_for("the start", || rig.state("p") == PluginState::Enabled);
            rig.engine.update("p").unwrap_err();
            // The answer comes before what the instance held is given back, which is a call, too.
            wait_for("the create, the update and the destroy", || {
                let snapshot = rig.snapshot("p");
                snapshot.counts.calls == 3 && snapshot.in_flight.is_none()
            });
        }
        _ => {}
    }
    wait_for("the state", || rig.state("p") == state);
    rig
}

#[test]
fn a_command_that_is_not_legal_is_refused_in_words_and_changes_nothing() {
    use PluginState::{Disabled, Enabled, Error as Failed, Unloaded};
    let illegal: &[(PluginState, &[Command])] = &[
        (
            Unloaded,
            &[
                Command::Enable,
                Command::Disable,
                Command::Reset,
                Command::Update,
                Command::Display,
            ],
        ),
        (
            Failed,
            &[
                Command::Load,
                Command::Update,
                Command::Display,
                Command::Forget,
            ],
        ),
        (
            Disabled,
            &[Command::Update, Command::Display, Command::Forget],
        ),
        (Enabled, &[Command::Forget]),
    ];
    for (state, commands) in illegal {
        let gate = Gate::new();
        let rig = rig_in(*state, &gate);
        let before = rig.snapshot("p");
        for asked in *commands {
            let error = command(&rig.engine, *asked, "p").unwrap_err();
            assert!(matches!(&error, Error::Denied { denied, .. }
                if denied.state == *state && denied.command == *asked));
            let says = format!("p: {asked} is not possible in the state {state}; possible now: ");
            let said = error.to_string();
            let legal = said.strip_prefix(&says).unwrap_or_else(|| panic!("{said}"));
            let names: Vec<_> = Command::legal_in(*state).map(Command::name).collect();
            assert_eq!(legal, names.join(", "));
        }
        assert_eq!(rig.snapshot("p"), before);
    }
}

#[test]
fn a_command_that_is_already_so_succeeds_without_an_entry() {
    use PluginState::{Disabled, Enabled, Unloaded};
    for (state, asked) in [
        (Enabled, Command::Enable),
        (Enabled, Command::Load),
        (Disabled, Command::Disable),
        (Disabled, Command::Load),
        (Unloaded, Command::Unload),
    ] {
        let gate = Gate::new();
        let rig = rig_in(state, &gate);
        let before = rig.engine.last_seq();
        command(&rig.engine, asked, "p").unwrap();
        assert_eq!(rig.engine.last_seq(), before, "{asked} in {state}");
    }
}

#[test]
fn a_command_that_is_legal_leads_where_it_says() {
    use PluginState::{Disabled, Enabled, Error as Failed, Unloaded};
    for (state, asked, to, cause) in [
        (Enabled, Command::Disable, Disabled, Cause::SwitchedOff),
        (Enabled, Command::Reset, Enabled, Cause::Reset),
        (Enabled, Command::Unload, Unloaded, Cause::Unloaded),
        (Disabled, Command::Enable, Enabled, Cause::SwitchedOn),
        (Disabled, Command::Reset, Enabled, Cause::Reset),
        (Disabled, Command::Unload, Unloaded, Cause::Unloaded),
        (Failed, Command::Enable, Enabled, Cause::SwitchedOn),
        (Failed, Command::Disable, Disabled, Cause::SwitchedOff),
        (Failed, Command::Reset, Enabled, Cause::Reset),
        (Failed, Command::Unload, Unloaded, Cause::Unloaded),
        (Unloaded, Command::Load, Enabled, Cause::Created),
    ] {
        let gate = Gate::new();
        let rig = rig_in(state, &gate);
        command(&rig.engine, asked, "p").unwrap();
        let entry = rig.history("p").pop().unwrap();
        assert_eq!(
            (rig.state("p"), entry.cause),
            (to, cause),
            "{asked} in {state}"
        );
        assert_eq!(rig.error("p"), None);
    }
}

/// Issues a command while an update stands in the gate, and ends the update by `end`.
fn during_a_call(asked: Command, end: impl FnOnce(&Rig, &Gate)) -> (Rig, Result<(), Error>) {
    let gate = Gate::new();
    let rig = rig_in(PluginState::Enabled, &gate);
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    let answer = std::thread::scope(|scope| {
        let (sent, got) = std::sync::mpsc::channel();
        let engine = rig.engine.clone();
        scope.spawn(move || sent.send(command(&engine, asked, "p")).unwrap());
        // Nothing shows that a command waits. It must not have been answered however long this takes.
        for _ in 0..100 {
            assert!(got.try_recv().is_err(), "{asked} did not wait");
            assert_eq!(rig.state("p"), PluginState::Running);
            std::thread::yield_now();
        }
        end(&rig, &gate);
        let _ = cycle.wait();
        got.recv().unwrap()
    });
    gate.open_all();
    (rig, answer)
}

#[test]
fn a_command_during_a_call_waits_for_its_end() {
    for asked in [
        Command::Disable,
        Command::Reset,
        Command::Unload,
        Command::Display,
    ] {
        let (rig, answer) = during_a_call(asked, |_, gate| gate.open(1));
        answer.unwrap();
        let causes = rig.causes("p");
        assert_eq!(
            causes[2..4],
            [Cause::UpdateStarted, Cause::UpdateCompleted],
            "{asked}"
        );
        let last = match asked {
            Command::Disable => Cause::SwitchedOff,
            Command::Reset => Cause::Reset,
            Command::Unload => Cause::Unloaded,
            _ => Cause::UpdateCompleted,
        };
        assert_eq!(causes.last(), Some(&last));
    }
}

#[test]
fn a_command_during_a_call_waits_no_longer_than_its_deadline() {
    for asked in [Command::Disable, Command::Reset, Command::Unload] {
        let (rig, answer) = during_a_call(asked, |rig, _| rig.advance(500));
        answer.unwrap();
        assert!(rig.causes("p").contains(&Cause::UpdateTimedOut), "{asked}");
        // The late return changes nothing of what the command did.
        wait_for("the late return", || rig.snapshot("p").counts.late == 1);
        let expected = match asked {
            Command::Disable => PluginState::Disabled,
            Command::Reset => PluginState::Enabled,
            _ => PluginState::Unloaded,
        };
        assert_eq!(rig.state("p"), expected, "{asked}");
    }
    let (_, answer) = during_a_call(Command::Display, |rig, _| rig.advance(500));
    assert_eq!(
        answer.unwrap_err().to_string(),
        "p: an abandoned call has not returned"
    );
}

#[test]
fn enabling_during_a_call_is_already_so_and_does_not_wait() {
    let gate = Gate::new();
    let rig = rig_in(PluginState::Enabled, &gate);
    let _cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    rig.engine.enable("p").unwrap();
    rig.engine.load("p").unwrap();
    assert_eq!(rig.state("p"), PluginState::Running);
}

#[test]
fn a_reset_beside_a_stuck_call_gives_a_new_instance_that_works() {
    let gate = Gate::new();
    let rig = rig_in(PluginState::Enabled, &gate);
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    rig.advance(500);
    let _ = cycle.wait();
    rig.engine.reset("p").unwrap();
    gate.open(2);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(rig.error("p"), None);
}

#[test]
fn instances_that_are_stuck_beside_the_current_one_have_a_limit() {
    let gate = Gate::new();
    let rig = rig_in(PluginState::Enabled, &gate);
    for n in 1..=4 {
        let cycle = rig.engine.start_cycle();
        gate.await_entry(n);
        rig.advance(500);
        assert_eq!(cycle.wait().timed_out, 1);
        let reset = rig.engine.reset("p");
        assert_eq!(reset.is_ok(), n <= 3, "{n}: {reset:?}");
    }
    gate.open_all();
    wait_for("the late returns", || rig.snapshot("p").counts.late == 4);
    rig.engine.reset("p").unwrap();
    assert_eq!(rig.engine.run_cycle().completed, 1);
}

#[test]
fn a_listener_may_command_the_plugin_that_it_hears_of_also_while_a_command_waits() {
    let rig = Rig::with(|builder| builder.workers(1));
    rig.drop_as("fails-permanently", "heard", "[settings]\non_update = 1\n");
    rig.load();
    let engine = rig.engine.clone();
    on_line("heard", move |line| {
        if line
            .fields
            .get("cause")
            .is_some_and(|cause| cause == "failed_permanently")
        {
            engine.reset("heard").unwrap();
        }
        if line
            .fields
            .get("cause")
            .is_some_and(|cause| cause == "switched_off")
        {
            engine.enable("heard").unwrap();
        }
    });
    // One worker hears of the failure, and has to be relieved for the reset to be made.
    rig.engine.update("heard").unwrap_err();
    wait_for("the reset", || rig.causes("heard").contains(&Cause::Reset));
    rig.engine.disable("heard").unwrap();
    assert_eq!(rig.state("heard"), PluginState::Enabled);
    rig.advance(1_000);
    let _ = rig.engine.run_cycle();
    wait_for("the other reset", || {
        rig.state("heard") == PluginState::Enabled
    });
}

#[test]
fn a_listener_that_panics_costs_neither_a_worker_nor_a_cycle() {
    let rig = Rig::with(|builder| builder.workers(1));
    rig.drop_as("fails", "deaf", "[settings]\nevery = 1\n");
    rig.drop_in("noop");
    rig.load();
    on_line("deaf", |line| {
        panic!("the listener panics as asked: {line:?}")
    });
    for _ in 0..3 {
        let report = rig
            .engine
            .start_cycle()
            .wait_within(Duration::from_secs(60));
        assert_eq!((report.failed, report.completed), (1, 1));
        rig.advance(1_000);
    }
    rig.engine.update("deaf").unwrap_err();
    rig.engine.disable("deaf").unwrap();
    assert_eq!(rig.state("deaf"), PluginState::Disabled);
}

#[test]
fn a_command_from_within_a_call_of_the_same_plugin_is_refused_and_no_deadlock() {
    let rig = Rig::new();
    rig.drop_as("publishes", "within", "");
    rig.load();
    static ANSWERS: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let engine = rig.engine.clone();
    on_line("within", move |line| {
        if line.message.starts_with("published events") {
            for asked in [Command::Disable, Command::Update, Command::Unload] {
                let answer = command(&engine, asked, "within").unwrap_err();
                ANSWERS.lock().unwrap().push(answer.to_string());
            }
            assert_eq!(engine.snapshot("within").state, PluginState::Running);
        }
    });
    assert_eq!(rig.engine.run_cycle().completed, 1);
    let answers = ANSWERS.lock().unwrap();
    assert!(
        answers.len() == 3 && answers.iter().all(|said| said.contains("from within")),
        "{answers:?}"
    );
}

#[test]
fn a_line_of_a_plugin_reaches_the_hosts_subscriber_with_all_that_belongs_to_it() {
    lines_of("logs");
    let rig = Rig::new();
    rig.drop_as("publishes", "logs", "[settings]\nburst = 3\n");
    rig.load();
    let _ = rig.engine.run_cycle();
    let lines = lines_of("logs");
    let line = |level: &str| {
        let of_plugin = |line: &&_| {
            let line: &plugin_engine_tests::Line = line;
            line.target == "publishes" && line.level == level
        };
        lines
            .iter()
            .find(of_plugin)
            .unwrap_or_else(|| panic!("{lines:?}"))
    };
    assert_eq!(line("INFO").message, "published events=3");
    assert_eq!(line("INFO").fields["spans"], "work{update=1}");
    assert_eq!(line("WARN").message, "published 3 through the other log");
    assert_eq!(line("WARN").fields["spans"], "work{update=1}");
}

#[test]
fn an_old_instance_whose_destroy_hangs_does_not_hold_up_the_new_one() {
    let gate = Gate::new();
    let rig = Rig::new();
    rig.drop_as("gated", "p", &gate.settings("also_in_destroy = true"));
    rig.load();
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    rig.advance(500);
    let _ = cycle.wait();
    rig.engine.reset("p").unwrap();
    // The old one comes home, and its destroy stands in the gate from now on.
    gate.open(1);
    gate.await_entry(2);
    rig.advance(60_000);
    let cycle = rig.engine.start_cycle();
    gate.await_entry(3);
    gate.open(3);
    assert_eq!(cycle.wait().completed, 1);
    std::thread::scope(|scope| {
        let disabled = scope.spawn(|| rig.engine.disable("p"));
        gate.await_entry(4);
        rig.advance(5_000);
        disabled.join().unwrap().unwrap();
    });
}

#[test]
fn a_listener_that_hears_of_a_timeout_may_wait_for_a_call_that_times_out_itself() {
    let gate = Gate::new();
    let rig = Rig::real(|builder| builder.workers(1));
    for id in ["hears", "waits"] {
        let config = format!("timeout = \"50ms\"\n{}", gate.settings(""));
        rig.drop_as("gated", id, &config);
    }
    rig.load();
    let engine = rig.engine.clone();
    on_line("hears", move |line| {
        if line
            .fields
            .get("cause")
            .is_some_and(|cause| cause == "update_timed_out")
        {
            engine.update("waits").unwrap_err();
        }
    });
    rig.engine.update("hears").unwrap_err();
    wait_for("the other timeout", || {
        rig.snapshot("waits").counts.timeouts == 1
    });
}

#[test]
fn switching_on_a_plugin_whose_file_was_mended_comes_before_the_configuration() {
    for command in [Engine::enable, Engine::reset] {
        let rig = Rig::new();
        rig.drop_as("noop", "mine", "enabled = false\n");
        let file = rig.dir().join("mine.so");
        patched("noop", "panic=unwind", "panic=aborts", &file);
        let _ = rig.load_any();
        assert_eq!(rig.state("mine"), PluginState::Error);
        std::fs::copy(built("noop"), &file).unwrap();
        command(&rig.engine, "mine").unwrap();
        assert_eq!(rig.state("mine"), PluginState::Enabled);
    }
}
