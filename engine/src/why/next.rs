//! What happens next to a plugin, when, and which key of the configuration decides that. Plugins that are called are in
//! [`next_running`](super::next_running). Never what led there.

use plugin_engine_core::{CallKind, Cause, FaultKind, PluginState, Transition, WallTime};

use super::chain::is_off_by_configuration;
use super::input::{EngineEnd, WhyInput};
use super::{NextKind, WhyNext, WhyPolicy, words};

/// What happens next, and what belongs to that.
pub(super) struct Outlook {
    pub(super) next: WhyNext,
    pub(super) policies: Vec<WhyPolicy>,
    pub(super) notes: Vec<String>,
}

/// An outlook that is being put together.
pub(super) struct Draft<'a> {
    pub(super) input: &'a WhyInput,
    policies: Vec<WhyPolicy>,
    pub(super) notes: Vec<String>,
}

impl Draft<'_> {
    /// These keys decide, as far as they hold.
    pub(super) fn decided_by(&mut self, keys: &[&str]) {
        for key in keys {
            let Some(policies) = &self.input.policies else {
                return;
            };
            for policy in policies.policies(key) {
                if !self.policies.contains(&policy) {
                    self.policies.push(policy);
                }
            }
        }
    }

    /// The id as somebody would type it.
    pub(super) fn id(&self) -> String {
        words::quote(&self.input.asked)
    }

    /// A moment at which something is to happen: when it is, or since when it is overdue.
    pub(super) fn when(&self, at: WallTime) -> String {
        let now = self.input.now;
        if at > now {
            format!("at {}", words::future(at, now))
        } else {
            format!(
                "as soon as a cycle is run: it is due since {}",
                words::past(at, now)
            )
        }
    }

    fn last(&self) -> Option<&Transition> {
        self.input.left.entries.last()
    }

    /// The last entry that changed the state.
    fn last_change(&self) -> Option<&Transition> {
        let changes = |entry: &&Transition| entry.from != entry.to;
        self.input.left.entries.iter().rev().find(changes)
    }
}

pub(super) fn step(kind: NextKind, at: Option<WallTime>, text: String) -> WhyNext {
    WhyNext { kind, at, text }
}

pub(super) fn outlook(input: &WhyInput) -> Outlook {
    let mut draft = Draft {
        input,
        policies: Vec::new(),
        notes: Vec::new(),
    };
    let next = next(&mut draft);
    if input.is_known && input.policies.is_none() && input.end != EngineEnd::None {
        draft
            .notes
            .push("which policies held is not in the history".to_owned());
    }
    if let Some(problem) = &input.left.problem {
        draft.notes.push(format!(
            "the history on disk is not here: {}",
            words::quote(problem)
        ));
    }
    for file in &input.refused {
        let text = words::quote(&file.message);
        let told = input.snapshot.error.as_ref();
        if !told.is_some_and(|error| words::message(error).contains(&text)) {
            draft
                .notes
                .push(format!("a file was refused: {text} [{}]", file.code));
        }
    }
    Outlook {
        next,
        policies: draft.policies,
        notes: draft.notes,
    }
}

fn next(draft: &mut Draft<'_>) -> WhyNext {
    let id = draft.id();
    if !draft.input.is_known {
        let text = match &draft.input.nearest {
            Some(nearest) => format!("nothing; did you mean {nearest}?"),
            None => "nothing, until a plugin file with this id is loaded".to_owned(),
        };
        return step(NextKind::Change, None, text);
    }
    if draft.input.end != EngineEnd::None {
        let text = "nothing, until the engine is started again".to_owned();
        return step(NextKind::EngineStart, None, text);
    }
    match draft.input.snapshot.state {
        PluginState::Unloaded => unloaded(draft, &id),
        PluginState::Loaded => loaded(draft),
        PluginState::Enabled | PluginState::Running => super::next_running::next(draft, &id),
        PluginState::Error => error(draft, &id),
        PluginState::Disabled => disabled(draft, &id),
    }
}

fn unloaded(draft: &mut Draft<'_>, id: &str) -> WhyNext {
    let last = draft
        .last_change()
        .map(|entry| (entry.cause, entry.error.is_some()));
    let (kind, text) = match last {
        // Of this process; that of another one is long over.
        Some((Cause::ShutDown, _)) if draft.input.snapshot.since.is_some() => (
            NextKind::EngineStart,
            "nothing, until the engine is started again".to_owned(),
        ),
        Some((Cause::FileRemoved, _)) => {
            let file = draft.input.snapshot.file();
            let file = file.map_or_else(
                || "its file".to_owned(),
                |file| words::quote(&file.display().to_string()),
            );
            (
                NextKind::Change,
                format!("nothing, until {file} is there again; then it is loaded"),
            )
        }
        Some((Cause::Unloaded, true)) => {
            draft.decided_by(&["on_unhealthy"]);
            (
                NextKind::Change,
                format!("nothing, until its file changes or somebody loads it: `load {id}`"),
            )
        }
        Some((Cause::Unloaded, false)) if draft.input.counted.unloaded_by_hand => (
            NextKind::Change,
            format!("nothing, until its file changes or somebody loads it: `load {id}`"),
        ),
        Some((Cause::Unloaded, false)) => (
            NextKind::Change,
            format!(
                "nothing, until its file or the configuration changes, or somebody loads it: `load {id}`"
            ),
        ),
        _ => (
            NextKind::Change,
            "nothing, until a plugin file with this id is loaded".to_owned(),
        ),
    };
    step(kind, None, text)
}

fn loaded(draft: &mut Draft<'_>) -> WhyNext {
    if let Some(next) = waited_for(draft) {
        return next;
    }
    let text = "its instance is created, as soon as a thread is free for that and what it requires is there";
    step(NextKind::Create, None, text.to_owned())
}

/// The end of a call that is in flight in time, if one is.
pub(super) fn waited_for(draft: &mut Draft<'_>) -> Option<WhyNext> {
    let now = draft.input.now;
    let call = draft
        .input
        .snapshot
        .in_flight
        .filter(|call| !call.abandoned)?;
    let limits = draft
        .input
        .policies
        .as_ref()
        .map(|one| one.limits.of(call.call));
    let Some(limit) = limits else {
        let text = format!("its {} ends, or passes its deadline", call.call);
        return Some(step(NextKind::CallEnds, None, text));
    };
    if call.call == CallKind::Update {
        draft.decided_by(&["timeout"]);
    }
    let deadline = call.since.saturating_add(limit);
    let limit = humantime::format_duration(limit);
    let text = if deadline > now {
        format!(
            "its {} ends, or is given up at {}: it may take {limit}",
            call.call,
            words::future(deadline, now)
        )
    } else {
        format!(
            "its {} ends or is given up now: it may take {limit}",
            call.call
        )
    };
    Some(step(NextKind::CallEnds, Some(deadline), text))
}

fn disabled(draft: &mut Draft<'_>, id: &str) -> WhyNext {
    if let Some(next) = waited_for(draft) {
        return next;
    }
    let by_policy = draft
        .input
        .left
        .entries
        .iter()
        .rev()
        .find(|entry| entry.cause == Cause::SwitchedOff)
        .is_some_and(|entry| entry.error.is_some());
    let text = if draft.input.counted.off_by_hand {
        format!(
            "nothing, whatever happens to its file or its configuration, until somebody switches it on: `enable {id}`"
        )
    } else if by_policy {
        draft.decided_by(&["on_unhealthy"]);
        format!("nothing, until somebody switches it on: `enable {id}`")
    } else if is_off_by_configuration(draft.input) {
        draft.decided_by(&["enabled"]);
        format!("nothing, until its configuration switches it on, or somebody does: `enable {id}`")
    } else {
        format!("nothing, until somebody switches it on: `enable {id}`")
    };
    step(NextKind::Command, None, text)
}

fn error(draft: &mut Draft<'_>, id: &str) -> WhyNext {
    // What is still being destroyed does not move the date of the restart; a create is the restart itself.
    let is_destroyed = draft
        .input
        .snapshot
        .in_flight
        .is_some_and(|call| call.call == CallKind::Destroy);
    if draft.input.counted.waits_for_restart && is_destroyed {
        return restart(draft, id);
    }
    if let Some(next) = waited_for(draft) {
        return next;
    }
    if draft.input.counted.waits_for_restart {
        return restart(draft, id);
    }
    let fault = draft.input.snapshot.error.as_ref();
    let kind = fault.map(|fault| fault.kind);
    let code = fault.map(|fault| fault.type_name.clone());
    let change = |text: String| step(NextKind::Change, None, text);
    match kind {
        Some(FaultKind::Requirement) => {
            draft.decided_by(&["requires"]);
            let text = "it is created by itself, as soon as what it requires is Enabled".to_owned();
            return step(NextKind::Requirement, None, text);
        }
        Some(FaultKind::Load) => {
            if let Some(code) = code.filter(|code| code.starts_with("PE")) {
                draft
                    .notes
                    .push(format!("`plugin-engine explain {code}` tells more"));
            }
            return change(format!(
                "nothing, until its file changes; `reset {id}` tries it as it is"
            ));
        }
        Some(FaultKind::Crash) => {
            draft.decided_by(&["after_crashes"]);
            return change(format!(
                "nothing, until another file is there; `reset {id}` takes this one for mended and tries it again"
            ));
        }
        Some(FaultKind::Config) => {
            return change(format!(
                "nothing, until its configuration changes; `reset {id}` reads it again now"
            ));
        }
        _ => {}
    }
    let text = match draft.last_change().map(|entry| entry.cause) {
        Some(Cause::GaveUp) => gave_up(draft, id),
        // Given up anew, out of Error into Error.
        _ if draft
            .last()
            .is_some_and(|entry| entry.cause == Cause::GaveUp) =>
        {
            gave_up(draft, id)
        }
        _ if fault.is_some_and(|fault| fault.recoverable) => {
            draft.decided_by(&["restart.max_restarts"]);
            format!(
                "nothing, until its file or its configuration changes, or somebody resets it: `reset {id}`"
            )
        }
        _ => format!(
            "nothing: {} is not tried again, until its file or its configuration changes, or somebody resets it: `reset {id}`",
            if kind == Some(FaultKind::Permanent) {
                "what a plugin itself calls permanent"
            } else {
                "such an error"
            }
        ),
    };
    change(text)
}

fn gave_up(draft: &mut Draft<'_>, id: &str) -> String {
    draft.decided_by(&["restart.max_restarts", "restart.window"]);
    format!(
        "nothing: its restarts are used up; until its file or its configuration changes, or somebody resets it: `reset {id}`"
    )
}

fn restart(draft: &mut Draft<'_>, id: &str) -> WhyNext {
    let input = draft.input;
    let at = input.snapshot.next_update;
    let unhealthy = draft
        .last_change()
        .is_some_and(|entry| entry.cause == Cause::Unhealthy);
    if unhealthy {
        draft.decided_by(&["on_unhealthy"]);
    }
    draft.decided_by(&["restart.delay", "restart.max_restarts", "restart.window"]);
    let when = at.map_or_else(|| "soon".to_owned(), |at| draft.when(at));
    let policy = input.policies.as_ref().map(|one| one.health.restart);
    let count = match policy.and_then(|policy| Some((policy.max_restarts?, policy.window))) {
        Some((most, window)) => {
            let window = humantime::format_duration(window);
            let made = input.counted.restarts;
            match most.saturating_sub(made) {
                0 => format!(
                    "; that is number {made} of at most {most} within {window}: if it fails again before the first of them is so long ago, it is given up"
                ),
                left => format!(
                    "; that is number {made} of at most {most} within {window}, {left} more may follow"
                ),
            }
        }
        None => String::new(),
    };
    let text = format!("it is restarted {when}{count}; `reset {id}` does so now");
    step(NextKind::Restart, at, text)
}
