//! What stands in a list of history: transitions, and what stands between them.

use plugin_engine::{PluginState, escape_control};
use plugin_engine_wire::{History, Mark, Transition};
use serde::{Deserialize, Serialize};

use crate::columns::{Align, Cells, Titles};
use crate::listing::Listed;
use crate::paint::Style;
use crate::table::brief;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum HistoryEntry {
    Mark(Mark),
    Transition(Box<Transition>),
}

impl HistoryEntry {
    /// The number by which it stands in order.
    pub(crate) fn seq(&self) -> u64 {
        match self {
            Self::Mark(mark) => mark.seq(),
            Self::Transition(entry) => entry.seq,
        }
    }

    /// What an answer has, in its order.
    pub(crate) fn all(answer: History, newest_first: bool) -> Vec<Self> {
        let entries = answer.entries.into_iter();
        let mut all: Vec<_> = entries
            .map(Self::from)
            .chain(answer.marks.into_iter().map(Self::Mark))
            .collect();
        all.sort_by_key(Self::seq);
        if newest_first {
            all.reverse();
        }
        all
    }
}

impl From<Transition> for HistoryEntry {
    fn from(entry: Transition) -> Self {
        Self::Transition(Box::new(entry))
    }
}

impl Listed for HistoryEntry {
    const TITLES: Titles = &[
        ("number", Align::Right),
        ("time", Align::Left),
        ("id", Align::Left),
        ("state", Align::Left),
        ("cause", Align::Left),
        ("took", Align::Right),
        ("error", Align::Left),
    ];
    const MANY: &str = "entries";

    fn cells(&self) -> Cells {
        match self {
            Self::Mark(mark) => of_mark(mark),
            Self::Transition(entry) => of_transition(entry),
        }
    }
}

fn escaped(text: &str) -> String {
    escape_control(text).into_owned()
}

fn of_transition(entry: &Transition) -> Cells {
    let to = match entry.to.parse() {
        Ok(PluginState::Error) => Style::Bad,
        _ if entry.error.is_some() => Style::Warning,
        Ok(PluginState::Enabled) => Style::Good,
        Ok(PluginState::Running | PluginState::Loaded) => Style::Busy,
        _ => Style::Faint,
    };
    let state = if entry.from == entry.to {
        entry.to.to_string()
    } else {
        format!("{} -> {}", entry.from, entry.to)
    };
    let took = entry.duration_us.map(|micros| brief(micros as f64));
    let error = entry.error.as_ref();
    let error = error.map(|error| match &error.location {
        Some(location) => format!("{}: {} (at {location})", error.kind, error.message),
        None => format!("{}: {}", error.kind, error.message),
    });
    vec![
        (Style::Faint, entry.seq.to_string()),
        (Style::Plain, entry.at.0.to_string()),
        (Style::Strong, escaped(&entry.id)),
        (to, escaped(&state)),
        (Style::Plain, escaped(&entry.cause)),
        (Style::Plain, took.unwrap_or_default()),
        (to, escaped(&error.unwrap_or_default())),
    ]
}

fn of_mark(mark: &Mark) -> Cells {
    let (at, id, what, took, more) = match mark {
        Mark::Started {
            at,
            pid,
            version,
            lost,
            ..
        } => {
            let mut more = format!("version {version}, process {pid}");
            if let Some(lost) = lost {
                more = format!(
                    "{more}; nothing is known of {} to {}",
                    lost.first, lost.last
                );
            }
            (Some(at), "", "engine started", None, more)
        }
        Mark::Stopped { at, .. } => (Some(at), "", "engine stopped", None, String::new()),
        Mark::Folded {
            first_seq,
            at,
            id,
            updates,
            total_us,
            ..
        } => {
            let more = format!("{updates} good updates since number {first_seq}, kept as a sum");
            (Some(at), &**id, "folded", Some(*total_us), more)
        }
        Mark::Gap {
            first_seq,
            at,
            id,
            count,
            ..
        } => {
            let more = format!("{count} entries since number {first_seq} could not be kept");
            (Some(at), &**id, "gap", None, more)
        }
        Mark::Unknown => (None, "", "of a later version", None, String::new()),
    };
    let seq = mark.seq();
    let took = took.map(|micros| brief(micros as f64));
    vec![
        (
            Style::Faint,
            if seq == 0 {
                String::new()
            } else {
                seq.to_string()
            },
        ),
        (
            Style::Plain,
            at.map(|at| at.0.to_string()).unwrap_or_default(),
        ),
        (Style::Strong, escaped(id)),
        (Style::Faint, "-".to_owned()),
        (Style::Faint, what.to_owned()),
        (Style::Plain, took.unwrap_or_default()),
        (Style::Faint, escaped(&more)),
    ]
}
