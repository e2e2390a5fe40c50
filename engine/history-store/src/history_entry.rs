//! What a question is answered with.

use plugin_engine_core::{Cause, HistoryFilter, PluginId, PluginState, Transition};

use crate::batch::{Folded, Gap, Started, Stopped};

/// One entry of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryEntry {
    /// A transition of a plugin.
    Transition(Transition),
    /// The engine was started.
    Started(Started),
    /// The engine was stopped.
    Stopped(Stopped),
    /// Plain updates of a plugin that were counted instead of kept.
    Folded {
        /// The plugin.
        id: PluginId,
        /// The generation that was active.
        generation: u32,
        /// What is known of them.
        folded: Folded,
    },
    /// Entries of a plugin that left before they could be written.
    Gap {
        /// The plugin.
        id: PluginId,
        /// What is known of them.
        gap: Gap,
    },
}

impl HistoryEntry {
    /// The number by which it stands in order: its own, or the last one of those that it stands for.
    #[must_use]
    pub fn seq(&self) -> u64 {
        match self {
            Self::Transition(transition) => transition.seq,
            Self::Started(started) => started.seq,
            Self::Stopped(stopped) => stopped.seq,
            Self::Folded { folded, .. } => folded.last_seq,
            Self::Gap { gap, .. } => gap.last_seq,
        }
    }

    /// Whether `filter` wants it, as far as can be known: what stands for several entries is wanted if one of them may be.
    pub(crate) fn is_wanted(&self, filter: &HistoryFilter) -> bool {
        let overlaps = |from, to| {
            filter.since.is_none_or(|since| to >= since)
                && filter.until.is_none_or(|until| from <= until)
        };
        match self {
            Self::Transition(transition) => filter.takes(transition),
            Self::Started(started) => {
                wants_engine(filter)
                    && filter.takes_seq(started.seq)
                    && filter.takes_time(started.at)
            }
            Self::Stopped(stopped) => {
                wants_engine(filter)
                    && filter.takes_seq(stopped.seq)
                    && filter.takes_time(stopped.at)
            }
            Self::Folded {
                id,
                generation,
                folded,
            } => {
                filter.takes_id(id)
                    && filter.takes_generation(*generation)
                    && wants_plain(filter)
                    && filter.takes_seq(folded.last_seq)
                    && overlaps(folded.first_at, folded.last_at)
            }
            Self::Gap { id, gap } => {
                filter.takes_id(id)
                    && filter.takes_seq(gap.last_seq)
                    && overlaps(gap.first_at, gap.last_at)
            }
        }
    }
}

/// Whether starts and stops of the engine are wanted: by who asks for everything of a time.
pub(crate) fn wants_engine(filter: &HistoryFilter) -> bool {
    filter.ids.is_empty()
        && filter.generations.is_none()
        && filter.from_states.is_empty()
        && filter.to_states.is_empty()
        && filter.causes.is_empty()
        && !filter.errors_only
}

/// Whether starts or completions of plain updates are wanted.
pub(crate) fn wants_plain(filter: &HistoryFilter) -> bool {
    use PluginState::{Enabled, Running};
    !filter.errors_only
        && (filter.takes_move(Enabled, Running, Cause::UpdateStarted)
            || filter.takes_move(Running, Enabled, Cause::UpdateCompleted))
}
