//! The table of transitions, the admission of commands, and every event in every state, each against an expectation
//! that is written here by hand and owes nothing to the code.

#[path = "../rig/mod.rs"]
mod rig;

mod grids;

use grids::{ADMISSIONS, EVENTS, EVENTS_BESIDE_A_STUCK_CALL, EVENTS_DURING_A_CALL, TRANSITIONS};
use plugin_engine_core::{
    AbandonReason, Admission, CAUSES, CallId, CallKind, CallOutcome, Cause, Command, CreateReason,
    Event, FaultKind, PastCall, PluginState, STATES, WallTime, next_state, table,
};
use rig::{DUE, ON_DEMAND, Rig, failed, failed_for_good, held_back, panicked, report, takeover};

/// The cells of a table as (row, column, cell).
fn cells(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    fn split(line: &'static str) -> impl Iterator<Item = &'static str> {
        line.split('|').map(str::trim)
    }
    let mut lines = text.trim().lines();
    let header: Vec<_> = split(lines.next().expect("a header")).collect();
    lines.flat_map(move |line| {
        let row: Vec<_> = split(line).collect();
        assert_eq!(row.len(), header.len(), "{line}");
        let name = row[0];
        let cells: Vec<_> = header.iter().copied().zip(row).skip(1).collect();
        cells
            .into_iter()
            .map(move |(column, cell)| (name, column, cell))
    })
}

fn state(name: &str) -> PluginState {
    name.parse().expect("a state")
}

/// What `TRANSITIONS` says.
fn expected_next(from: PluginState, cause: Cause) -> Option<PluginState> {
    let (_, _, cell) = cells(TRANSITIONS)
        .find(|(row, column, _)| *row == cause.name() && *column == from.name())
        .unwrap_or_else(|| panic!("no cell for {from} and {cause}"));
    (cell != "-").then(|| state(cell))
}

#[test]
fn every_pair_of_state_and_cause_leads_where_it_should() {
    let mut wrong = Vec::new();
    for from in STATES {
        for &cause in CAUSES {
            let (is, should) = (next_state(from, cause), expected_next(from, cause));
            if is != should {
                wrong.push(format!(
                    "{from} by {cause}: is {is:?}, should be {should:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_printed_table_has_a_line_for_every_legal_pair_and_no_other() {
    let printed = table();
    let mut legal = Vec::new();
    for from in STATES {
        for &cause in CAUSES {
            if let Some(to) = expected_next(from, cause) {
                legal.push(format!("| {from} | `{cause}` | {to} |"));
            }
        }
    }
    assert_eq!(printed.lines().skip(2).collect::<Vec<_>>(), legal);
}

#[test]
fn every_pair_of_state_and_command_is_admitted_as_it_should_be() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (row, column, cell) in cells(ADMISSIONS) {
        seen += 1;
        let command = Command::ALL
            .into_iter()
            .find(|command| command.name() == row)
            .expect("a command");
        let is = format!("{:?}", command.admission(state(column)));
        if is != cell {
            wrong.push(format!("{command} in {column}: is {is}, should be {cell}"));
        }
    }
    assert_eq!(seen, STATES.len() * Command::ALL.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_denied_command_names_the_state_the_command_and_what_is_legal_now() {
    for from in STATES {
        let rig = Rig::in_state(from);
        for command in Command::ALL {
            let Err(denied) = rig.machine.admit(command) else {
                continue;
            };
            let text = denied.to_string();
            let (what, legal) = text.split_once("possible now: ").expect("a list");
            assert!(
                what.contains(from.name()) && what.contains(command.name()),
                "{text}"
            );
            let legal: Vec<_> = legal.split(", ").collect();
            for (row, column, cell) in cells(ADMISSIONS) {
                if column == from.name() {
                    assert_eq!(legal.contains(&row), cell != "Denied", "{text}");
                }
            }
        }
    }
}

fn past_call(crashed: bool) -> Event {
    Event::PastCall(Box::new(PastCall {
        crashed,
        call: Some(CallKind::Update),
        at: WallTime::default(),
        report: report(FaultKind::Crash, "SIGSEGV"),
    }))
}

/// The event of this row, about the call `id`.
fn event(row: &str, id: CallId) -> Event {
    let ended = |outcome| Event::CallEnded { id, outcome };
    let abandoned = |why| Event::Abandoned { id, why };
    match row {
        "mapped" => Event::Mapped,
        "load failed" => Event::LoadFailed(report(FaultKind::Load, "no such segment")),
        "held back" => held_back("requires clock, which is Disabled"),
        "update, due" => DUE,
        "update, on demand" => ON_DEMAND,
        "display" => Event::DisplayStarted,
        "create, load" => Event::CreateStarted(CreateReason::Load),
        "create, switch" => Event::CreateStarted(CreateReason::SwitchedOn),
        "create, reset" => Event::CreateStarted(CreateReason::Reset),
        "create, anew" => Event::CreateStarted(CreateReason::Anew),
        "create, met" => Event::CreateStarted(CreateReason::RequirementMet),
        "create, restart" => Event::CreateStarted(CreateReason::Restart),
        "create, hung" => Event::CreateStarted(CreateReason::Hung),
        "destroy" => Event::DestroyStarted { current: true },
        "completed" => ended(CallOutcome::Completed),
        "failed" => ended(failed("later, perhaps")),
        "failed for good" => ended(failed_for_good("never")),
        "panicked" => ended(panicked("oh")),
        "deadline" => abandoned(AbandonReason::Deadline),
        "stop" => abandoned(AbandonReason::ShutDown),
        "tick skipped" => Event::TickSkipped,
        "call refused" => Event::CallRefused(report(FaultKind::Refused, "no thread")),
        "create refused" => Event::CreateRefused(report(FaultKind::Refused, "no thread")),
        "thread panicked" => Event::ThreadPanicked(report(FaultKind::ThreadPanic, "oh")),
        "judged" => Event::Judged,
        "restart refused" => Event::RestartRefused(report(FaultKind::Refused, "no")),
        "limit passed" => Event::LimitPassed {
            unhealthy: false,
            report: report(FaultKind::Limit, "much"),
        },
        "limits kept" => Event::LimitsKept,
        "settings hold" => Event::ConfigurationHolds,
        "switched off" => Event::SwitchedOff,
        "reloaded" => Event::Reloaded(Box::new(takeover(false))),
        "rolled back" => Event::Reloaded(Box::new(takeover(true))),
        "reload refused" => Event::ReloadRefused {
            report: report(FaultKind::Load, "half a file"),
            created_anew: false,
        },
        "not put back" => Event::NotPutBack(report(FaultKind::Failed, "the port is taken")),
        "replaced not gone" => {
            Event::ReplacedNotDestroyed(report(FaultKind::Panic, "in its destroy"))
        }
        "reconfigured" => Event::Reconfigured {
            schedule: takeover(false).schedule,
            limits: takeover(false).limits,
        },
        "save" => Event::SaveStarted,
        "unloaded" => Event::Unloaded,
        "file removed" => Event::FileRemoved,
        "shut down" => Event::ShutDown,
        "crashed" => past_call(true),
        "interrupted" => past_call(false),
        "quarantined" => Event::Quarantined(report(FaultKind::Crash, "crashed twice")),
        _ => panic!("{row} is no event"),
    }
}

/// Tries every cell on a machine of its own, and counts the cells.
#[track_caller]
fn check_events(grid: &'static str, situation: impl Fn(&str) -> Rig) {
    let mut wrong = Vec::new();
    for (row, column, cell) in cells(grid) {
        let mut rig = situation(column);
        let from = rig.state();
        let before = format!("{:?}", rig.machine);
        let id = rig.machine.in_flight().map_or(CallId(1), |call| call.id);
        let is = match rig.offer(event(row, id)) {
            Err(_) if before != format!("{:?}", rig.machine) => "refused with a trace",
            Err(_) => "-",
            Ok(step) => match &step.record {
                None if rig.state() != from => "a change without an entry",
                None => ".",
                Some(entry) if entry.from != from => "an entry from elsewhere",
                Some(entry) if entry.to != rig.state() => "an entry to elsewhere",
                Some(entry) if expected_next(from, entry.cause) != Some(entry.to) => {
                    "an entry against the table"
                }
                Some(entry) => entry.cause.name(),
            },
        };
        if is != cell {
            wrong.push(format!("{row} in {column}: is {is}, should be {cell}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_event_in_every_state_is_a_transition_of_the_table_or_refused_without_a_trace() {
    check_events(EVENTS, |column| Rig::in_state(state(column)));
}

fn during(call: &str) -> Rig {
    let (state, event) = match call {
        "loading" => (
            PluginState::Loaded,
            Event::CreateStarted(CreateReason::Load),
        ),
        "switching on" => (
            PluginState::Disabled,
            Event::CreateStarted(CreateReason::SwitchedOn),
        ),
        "mending" => (
            PluginState::Error,
            Event::CreateStarted(CreateReason::Reset),
        ),
        "coming back" => {
            let mut rig = Rig::loaded();
            rig.take(held_back("requires clock, and no plugin has that id"));
            rig.start(Event::CreateStarted(CreateReason::RequirementMet));
            return rig;
        }
        "resetting" => (
            PluginState::Enabled,
            Event::CreateStarted(CreateReason::Reset),
        ),
        "anew" => (
            PluginState::Enabled,
            Event::CreateStarted(CreateReason::Anew),
        ),
        "displaying" => (PluginState::Enabled, Event::DisplayStarted),
        "destroying" => (
            PluginState::Enabled,
            Event::DestroyStarted { current: true },
        ),
        _ => panic!("{call} is no call"),
    };
    let mut rig = Rig::in_state(state);
    rig.start(event);
    rig
}

#[test]
fn every_event_during_a_call_is_a_transition_of_the_table_or_refused_without_a_trace() {
    check_events(EVENTS_DURING_A_CALL, during);
}

fn beside_stuck(call: &str) -> Rig {
    let mut rig = match call {
        "display" => during("displaying"),
        "create" => during("mending"),
        "destroy" => during("destroying"),
        _ => Rig::in_state(PluginState::Running),
    };
    let id = rig.machine.in_flight().expect("a call").id;
    rig.time_out(id);
    match call {
        "off" => drop(rig.take(Event::SwitchedOff)),
        "gone" => drop(rig.take(Event::Unloaded)),
        _ => {}
    }
    rig
}

#[test]
fn every_event_beside_a_stuck_call_is_a_transition_of_the_table_or_refused_without_a_trace() {
    check_events(EVENTS_BESIDE_A_STUCK_CALL, beside_stuck);
}

#[test]
fn a_command_waits_for_any_call_that_is_waited_for() {
    for (row, column, cell) in cells(ADMISSIONS) {
        if column == "Enabled" && cell == "Accepted" {
            let rig = during("displaying");
            let command = Command::ALL
                .into_iter()
                .find(|command| command.name() == row);
            let admission = rig.machine.admit(command.expect("a command"));
            assert_eq!(admission, Ok(Admission::WhenCallEnds), "{row}");
        }
    }
}

#[test]
fn a_command_does_not_wait_for_an_abandoned_call() {
    let rig = beside_stuck("update");
    assert_eq!(rig.machine.admit(Command::Disable), Ok(Admission::Accepted));
}

#[test]
fn no_command_is_answered_while_a_create_is_about_to_change_the_state() {
    for call in ["loading", "switching on", "mending", "coming back"] {
        let rig = during(call);
        for command in Command::ALL {
            let admission = rig.machine.admit(command);
            assert_eq!(
                admission,
                Ok(Admission::WhenCallEnds),
                "{command} during {call}"
            );
        }
    }
}

#[test]
fn what_is_so_already_need_not_wait_for_the_new_instance_of_an_enabled_plugin() {
    for call in ["resetting", "anew", "displaying"] {
        let admission = during(call).machine.admit(Command::Enable);
        assert_eq!(admission, Ok(Admission::AlreadySo), "{call}");
    }
}
