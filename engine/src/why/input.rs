//! What an explanation is made from: facts of one moment, as plain data. Never where they come from.

use std::path::PathBuf;
use std::time::Duration;

use plugin_engine_core::{
    CallLimits, Cause, Health, HealthPolicy, PluginId, PluginState, Transition, WallTime,
};

use super::WhyPolicy;
use crate::code::Code;
use crate::effective::Effective;
use crate::snapshot::{InFlightCall, Snapshot};

/// How the engine is whose plugin is explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineEnd {
    /// It runs.
    None,
    /// It was shut down.
    Stopped {
        /// When.
        at: WallTime,
    },
    /// It ended without having been shut down: it crashed, or was killed, or the machine stopped.
    Killed {
        /// The last time that is known of it, if one is.
        last_seen: Option<WallTime>,
    },
}

/// Everything that [`explain`](super::explain) looks at. An engine that runs fills it in by itself ([`Engine::why`](crate::Engine::why));
/// for one that does not, it is made from the history that is left.
///
/// ```
/// use plugin_engine::{EngineEnd, WallTime, WhyInput, explain};
///
/// let now = WallTime::from_unix_nanos(1_000_000_000);
/// let end = EngineEnd::Stopped { at: now };
/// let input = WhyInput::of_ended_engine("clock", now, end, Vec::new(), 0, ["clocks"]);
/// println!("{}", explain(&input));
/// ```
#[derive(Debug, Clone)]
pub struct WhyInput {
    /// The id that was asked for, as it was written.
    pub(crate) asked: String,
    pub(crate) now: WallTime,
    pub(crate) end: EngineEnd,
    /// Whether a plugin has the id.
    pub(crate) is_known: bool,
    pub(crate) snapshot: Snapshot,
    pub(crate) counted: Counted,
    pub(crate) left: Left,
    pub(crate) policies: Option<Policies>,
    /// The files that were refused and may have to do with it.
    pub(crate) refused: Vec<RefusedFile>,
    /// The known id that was probably meant.
    pub(crate) nearest: Option<String>,
}

/// What is left of its history.
#[derive(Debug, Clone, Default)]
pub(crate) struct Left {
    /// Its entries, the oldest first.
    pub(crate) entries: Vec<Transition>,
    /// How many entries of it have left the history.
    pub(crate) lost: u64,
    /// Why what is on disk is missing, if it is.
    pub(crate) problem: Option<String>,
}

/// What a snapshot does not have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted {
    /// A person has switched it off.
    pub(crate) off_by_hand: bool,
    /// A person has unloaded it.
    pub(crate) unloaded_by_hand: bool,
    /// The state is Error until the next restart.
    pub(crate) waits_for_restart: bool,
    /// Restarts within the window, with one that is waited for.
    pub(crate) restarts: u32,
    /// Panics that count towards the limit.
    pub(crate) panics: u32,
    /// The first update that completed since the last failure.
    pub(crate) well_since: Option<WallTime>,
    /// The instance has panicked and is created anew before the next update.
    pub(crate) poisoned: bool,
    /// Earlier instances that are stuck in calls.
    pub(crate) orphans: usize,
    /// Until when the generation before is kept.
    pub(crate) probation_until: Option<WallTime>,
}

/// What holds for the plugin.
#[derive(Debug, Clone)]
pub(crate) struct Policies {
    pub(crate) health: HealthPolicy,
    pub(crate) limits: CallLimits,
    pub(crate) interval: Duration,
    /// As a configuration file would say it, and who said it.
    pub(crate) said: Vec<Effective>,
}

/// A file that was refused.
#[derive(Debug, Clone)]
pub(crate) struct RefusedFile {
    pub(crate) path: PathBuf,
    pub(crate) code: Code,
    /// What is wrong, with the path.
    pub(crate) message: String,
}

impl WhyInput {
    /// What is known of a plugin of an engine that does not run any more, from the history that is left: `entries` are those of the plugin,
    /// the oldest first, `lost` is how many older ones are gone, and `now` is the time of whoever asks. Entries of other plugins are not
    /// looked at. `known` are the ids that the history knows; the nearest is named where it has no entry of this one.
    #[must_use]
    pub fn of_ended_engine<'a>(
        id: &str,
        now: WallTime,
        end: EngineEnd,
        mut entries: Vec<Transition>,
        lost: u64,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        entries.retain(|entry| entry.id.as_str() == id);
        let is_known = !entries.is_empty() || lost > 0;
        let nearest = crate::config::nearest(id, known).map(str::to_owned);
        Self {
            asked: id.to_owned(),
            now,
            end,
            is_known,
            snapshot: as_left(id, &entries),
            counted: Counted::default(),
            left: Left {
                entries,
                lost,
                problem: None,
            },
            policies: None,
            refused: Vec::new(),
            nearest: nearest.filter(|_| !is_known),
        }
    }
}

/// How the plugin was when the engine ended, as far as its entries tell. A shutdown unloads everything: what was before that is meant.
fn as_left(id: &str, entries: &[Transition]) -> Snapshot {
    let mut left = Snapshot::unknown(id);
    let shut_down = entries.last().filter(|last| last.cause == Cause::ShutDown);
    let before = &entries[..entries.len() - usize::from(shut_down.is_some())];
    let completed = |entry: &&Transition| entry.cause == Cause::UpdateCompleted;
    left.last_success = entries.iter().rev().find(completed).map(|entry| entry.at);
    let Some(last) = before.last() else {
        // Nothing but the shutdown is left, which says what it was in before.
        left.state = shut_down.map_or(PluginState::Unloaded, |entry| entry.from);
        return left;
    };
    left.state = last.to;
    left.since = before
        .iter()
        .rev()
        .find(|entry| entry.from != entry.to)
        .map(|entry| entry.at);
    left.generation = last.generation;
    left.seq = last.seq;
    if let Some(version) = &last.version {
        left.set_version(version);
    }
    left.error = standing_error(before);
    if last.cause == Cause::UpdateStarted {
        left.in_flight = Some(InFlightCall {
            call: plugin_engine_core::CallKind::Update,
            since: last.at,
            abandoned: false,
        });
    }
    left.health = Health::Unknown;
    left
}

/// The error that stood after these entries: the last failure of an update, unless one has completed since, or why the state was Error.
fn standing_error(entries: &[Transition]) -> Option<std::sync::Arc<plugin_engine_core::Fault>> {
    let ends_it = |cause: Cause| {
        matches!(
            cause,
            Cause::UpdateCompleted
                | Cause::Mapped
                | Cause::Reset
                | Cause::SwitchedOn
                | Cause::Reloaded
                | Cause::RolledBack
                | Cause::Unloaded
                | Cause::FileRemoved
        )
    };
    let stands = |entry: &Transition| {
        entry.to == PluginState::Error && entry.from != PluginState::Error
            || matches!(
                entry.cause,
                Cause::UpdateFailed
                    | Cause::UpdateTimedOut
                    | Cause::UpdatePanicked
                    | Cause::CallRefused
                    | Cause::CreateFailed
                    | Cause::GaveUp
                    | Cause::RequirementUnmet
            )
    };
    entries
        .iter()
        .rev()
        .take_while(|entry| !ends_it(entry.cause))
        .find(|entry| stands(entry))
        .and_then(|entry| entry.error.clone())
}

impl Policies {
    /// A key and its value, with who said it; more than once where several say something that adds up.
    pub(crate) fn policies(&self, key: &str) -> impl Iterator<Item = WhyPolicy> {
        self.said
            .iter()
            .filter(move |said| said.key == key)
            .map(|said| WhyPolicy {
                key: said.key.clone(),
                value: said.value.clone(),
                said_by: said.origin.to_string(),
            })
    }
}

impl RefusedFile {
    /// Whether it may be the file of this id, by its name: `libclock.so`, `clock.so`, `clock-1.2.so`.
    pub(crate) fn may_be(&self, id: &str) -> bool {
        let stem = self.path.file_stem().and_then(|stem| stem.to_str());
        let plain = |text: &str| text.replace('_', "-");
        let id = plain(id);
        stem.is_some_and(|stem| {
            let stem = plain(stem);
            let stem = stem.strip_prefix("lib").unwrap_or(&stem);
            stem == id
                || stem
                    .strip_prefix(id.as_str())
                    .is_some_and(|rest| rest.starts_with(['.', '-']))
        })
    }
}

/// The id that was probably meant by one that nobody has.
pub(crate) fn nearest_of<'a>(
    asked: &str,
    known: impl IntoIterator<Item = &'a PluginId>,
) -> Option<String> {
    crate::config::nearest(asked, known.into_iter().map(PluginId::as_str)).map(str::to_owned)
}
