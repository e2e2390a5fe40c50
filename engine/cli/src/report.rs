//! What a run says on standard error of its plugins: who does not run and why, who has crashed the process before, who was left behind.

use std::time::SystemTime;

use plugin_engine::{Engine, LoadOutcome, WallTime, escape_control};

use crate::screen::Screen;
use crate::table;

/// Says on standard error why a file or plugin does not run; returns the line of one that does, for where the run is shown.
pub(crate) fn report(outcome: &LoadOutcome, screen: &Screen) -> Option<String> {
    match outcome {
        good if good.is_good() => return Some(format!("{}\n", escape_control(&good.to_string()))),
        LoadOutcome::Misconfigured { error, .. } => screen.say_problems(error),
        outcome => screen.say(outcome),
    }
    None
}

/// How many plugins are named that were only being called when the process before ended.
const INTERRUPTED_NAMED_MAX: usize = 8;

/// Says in a line each who has crashed the process before, and in one who was only being called.
pub(crate) fn name_found_calls(engine: &Engine, screen: &Screen) {
    let (crashed, interrupted): (Vec<_>, Vec<_>) =
        engine.found_calls().iter().partition(|call| call.crashed);
    for call in crashed {
        screen.say(call);
    }
    if interrupted.is_empty() {
        return;
    }
    let named = interrupted.iter().take(INTERRUPTED_NAMED_MAX);
    let named: Vec<_> = named.map(|call| call.id.as_str()).collect();
    let more = match interrupted.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    screen.say(format_args!(
        "being called when the process before ended, and not counted: {}{more}",
        named.join(", ")
    ));
}

pub(crate) fn name_stuck_calls(engine: &Engine, screen: &Screen) {
    let now: WallTime = SystemTime::now().into();
    for stuck in engine.stuck_calls() {
        screen.say(format_args!(
            "{}: its {} has not returned for {} and was left behind",
            stuck.id,
            stuck.call,
            table::span(now.saturating_since(stuck.since)),
        ));
    }
}
