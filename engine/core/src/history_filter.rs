//! The one language in which history is asked for: by the library, on the command line and over HTTP.
//!
//! What lives here: what can be asked for, how it is written as keys and values, and whether an entry is wanted. What never will: where entries
//! are kept, and how they are found.

use std::fmt;
use std::ops::RangeInclusive;

use crate::{
    Cause, PluginId, PluginIdError, PluginState, Transition, UnknownCause, UnknownState, WallTime,
};

/// How many ids, states or causes one filter can name each; more is no question that anybody has.
pub const FILTER_NAMES_MAX: usize = 64;

/// Which entries of the history are wanted, and in which order. The default wants all, oldest first.
///
/// Everything that is asked for has to hold: an entry of one of the ids *and* of one of the causes.
///
/// ```
/// use plugin_engine_core::{HistoryFilter, PluginId, PluginState, WallTime};
///
/// let now = WallTime::from_unix_nanos(7_200_000_000_000);
/// let mut filter = HistoryFilter::of(PluginId::new("clock")?);
/// filter.set("since", "10m", now)?;                  // an age, or RFC 3339
/// filter.set("generation", "2..5", now)?;
/// filter.set("to_state", "Error", now)?;
/// filter.set("limit", "20", now)?;
/// assert!(filter.set("limit", "many", now).is_err());
///
/// assert_eq!(filter.limit(), 20);
/// assert!(filter.takes_id(&PluginId::new("clock")?));
/// assert!(filter.takes_generation(5) && !filter.takes_generation(6));
/// assert!(filter.takes_time(now) && filter.takes_seq(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryFilter {
    /// Of these plugins; of all if there are none.
    pub ids: Vec<PluginId>,
    /// Of these generations.
    pub generations: Option<RangeInclusive<u32>>,
    /// At this time or later.
    pub since: Option<WallTime>,
    /// At this time or earlier.
    pub until: Option<WallTime>,
    /// From one of these states; from any if there are none.
    pub from_states: Vec<PluginState>,
    /// To one of these states; to any if there are none.
    pub to_states: Vec<PluginState>,
    /// For one of these causes; for any if there are none.
    pub causes: Vec<Cause>,
    /// Only what came with an error.
    pub errors_only: bool,
    /// Only what has a larger number.
    pub after: Option<u64>,
    /// The newest first.
    pub newest_first: bool,
    /// No more than so many: the first ones in the order asked for.
    pub limit: Option<usize>,
}

/// What a [`HistoryFilter`] can be told, as it is written in the query of an address.
pub const FILTER_KEYS: [&str; 11] = [
    "id",
    "generation",
    "since",
    "until",
    "from_state",
    "to_state",
    "cause",
    "errors",
    "after",
    "order",
    "limit",
];

impl HistoryFilter {
    /// A filter that wants all of one plugin.
    #[must_use]
    pub fn of(id: PluginId) -> Self {
        Self {
            ids: vec![id],
            ..Self::default()
        }
    }

    /// Asks for more, in words. The keys are [`FILTER_KEYS`]; `id`, `from_state`, `to_state` and `cause` take several values, said one after another or
    /// with commas between them. A time is RFC 3339 or an age before `now`, like `10m`; a generation is `3` or `2..5`, both included.
    ///
    /// # Errors
    /// There is no such key, or the value is none for it; the filter is as it was.
    pub fn set(&mut self, key: &str, value: &str, now: WallTime) -> Result<(), FilterError> {
        let bad = |problem: Problem| FilterError {
            key: shown(key),
            value: shown(value),
            problem: Box::new(problem),
        };
        match key {
            "id" => extend(&mut self.ids, value, PluginId::new).map_err(bad)?,
            "from_state" => {
                extend(&mut self.from_states, value, str::parse::<PluginState>).map_err(bad)?;
            }
            "to_state" => {
                extend(&mut self.to_states, value, str::parse::<PluginState>).map_err(bad)?;
            }
            "cause" => extend(&mut self.causes, value, str::parse::<Cause>).map_err(bad)?,
            "generation" => self.generations = Some(range(value).map_err(bad)?),
            "since" => self.since = Some(time(value, now).map_err(bad)?),
            "until" => self.until = Some(time(value, now).map_err(bad)?),
            "errors" => self.errors_only = yes_or_no(value).map_err(bad)?,
            "after" => self.after = Some(value.parse().map_err(|_| bad(Problem::Number))?),
            "limit" => self.limit = Some(value.parse().map_err(|_| bad(Problem::Number))?),
            "order" => {
                self.newest_first = match value {
                    "oldest" => false,
                    "newest" => true,
                    _ => return Err(bad(Problem::Order)),
                }
            }
            _ => return Err(bad(Problem::Key)),
        }
        Ok(())
    }

    /// Whether this entry is wanted. Order and limit are not looked at.
    ///
    /// ```
    /// use plugin_engine_core::{Cause, HistoryFilter, PluginId, PluginState, Transition, WallTime};
    ///
    /// let entry = Transition {
    ///     seq: 7,
    ///     at: WallTime::from_unix_nanos(1),
    ///     id: PluginId::new("clock")?,
    ///     generation: 1,
    ///     version: None,
    ///     from: PluginState::Enabled,
    ///     to: PluginState::Running,
    ///     cause: Cause::UpdateStarted,
    ///     error: None,
    ///     duration: None,
    /// };
    /// assert!(HistoryFilter { after: Some(6), ..HistoryFilter::default() }.takes(&entry));
    /// assert!(!HistoryFilter { errors_only: true, ..HistoryFilter::default() }.takes(&entry));
    /// # Ok::<(), plugin_engine_core::PluginIdError>(())
    /// ```
    #[must_use]
    pub fn takes(&self, entry: &Transition) -> bool {
        self.takes_id(&entry.id)
            && self.takes_generation(entry.generation)
            && self.takes_move(entry.from, entry.to, entry.cause)
            && (!self.errors_only || entry.error.is_some())
            && self.takes_seq(entry.seq)
            && self.takes_time(entry.at)
    }

    /// Whether entries of this plugin are wanted.
    #[must_use]
    pub fn takes_id(&self, id: &PluginId) -> bool {
        self.ids.is_empty() || self.ids.contains(id)
    }

    /// Whether entries of this generation are wanted.
    #[must_use]
    pub fn takes_generation(&self, generation: u32) -> bool {
        let wanted = self.generations.as_ref();
        wanted.is_none_or(|wanted| wanted.contains(&generation))
    }

    /// Whether entries with this number are wanted.
    #[must_use]
    pub fn takes_seq(&self, seq: u64) -> bool {
        self.after.is_none_or(|after| seq > after)
    }

    /// Whether entries of this time are wanted.
    #[must_use]
    pub fn takes_time(&self, at: WallTime) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at <= until)
    }

    /// Whether entries of such a move are wanted.
    ///
    /// ```
    /// use plugin_engine_core::{Cause, HistoryFilter, PluginState};
    ///
    /// let mut filter = HistoryFilter::default();
    /// filter.to_states = vec![PluginState::Disabled];
    /// assert!(!filter.takes_move(PluginState::Enabled, PluginState::Running, Cause::UpdateStarted));
    /// ```
    #[must_use]
    pub fn takes_move(&self, from: PluginState, to: PluginState, cause: Cause) -> bool {
        (self.from_states.is_empty() || self.from_states.contains(&from))
            && (self.to_states.is_empty() || self.to_states.contains(&to))
            && (self.causes.is_empty() || self.causes.contains(&cause))
    }

    /// The most entries that are wanted.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }
}

/// Why a filter could not be told something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot ask the history for {key} = \"{value}\": {problem}")]
pub struct FilterError {
    key: String,
    value: String,
    #[source]
    problem: Box<Problem>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("no such key; the keys are {}", FILTER_KEYS.join(", "))]
    Key,
    #[error("not a whole number from 0 on")]
    Number,
    #[error("write a generation, or two with .. between them, the smaller one first: 3 or 2..5")]
    Generation,
    #[error(
        "write a time as in 2026-01-31T12:00:00Z, or how long ago it was as in 90s, 10m or 2h 30m"
    )]
    Time,
    #[error("write true or false")]
    YesOrNo,
    #[error("write oldest or newest")]
    Order,
    #[error("more than {FILTER_NAMES_MAX} of them")]
    TooMany,
    #[error("nothing is named")]
    Nothing,
    #[error(transparent)]
    Id(#[from] PluginIdError),
    #[error(transparent)]
    State(#[from] UnknownState),
    #[error(transparent)]
    Cause(#[from] UnknownCause),
}

/// What somebody wrote, so that it can be said to them.
fn shown(text: &str) -> String {
    let escaped = crate::escape_control(crate::bounded(text, 80));
    // Bounded again: an escape is several times as long as what it stands for.
    crate::bounded(&escaped, 160).to_owned()
}

/// Adds what is named, all or nothing.
fn extend<T: PartialEq, E: Into<Problem>>(
    list: &mut Vec<T>,
    names: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<(), Problem> {
    let mut more = Vec::new();
    for name in names.split(',').map(str::trim) {
        if name.is_empty() {
            return Err(Problem::Nothing);
        }
        let named = read(name).map_err(Into::into)?;
        if !list.contains(&named) && !more.contains(&named) {
            more.push(named);
        }
        if list.len() + more.len() > FILTER_NAMES_MAX {
            return Err(Problem::TooMany);
        }
    }
    list.append(&mut more);
    Ok(())
}

fn range(text: &str) -> Result<RangeInclusive<u32>, Problem> {
    let number = |text: &str| text.trim().parse::<u32>().map_err(|_| Problem::Generation);
    let (low, high) = match text.split_once("..") {
        Some((low, high)) => (number(low)?, number(high)?),
        None => (number(text)?, number(text)?),
    };
    if low > high {
        return Err(Problem::Generation);
    }
    Ok(low..=high)
}

fn time(text: &str, now: WallTime) -> Result<WallTime, Problem> {
    let text = text.trim();
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        return Ok(time.into());
    }
    let ago = humantime::parse_duration(text).map_err(|_| Problem::Time)?;
    Ok(WallTime::from_unix_nanos(
        now.as_unix_nanos().saturating_sub(crate::time::nanos(ago)),
    ))
}

fn yes_or_no(text: &str) -> Result<bool, Problem> {
    match text {
        "true" | "" => Ok(true),
        "false" => Ok(false),
        _ => Err(Problem::YesOrNo),
    }
}

impl fmt::Display for HistoryFilter {
    /// As the query of an address: what [`HistoryFilter::set`] takes, with `&` between, times in full.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        let joined = |names: Vec<&str>| names.join(",");
        if !self.ids.is_empty() {
            pairs.push((
                "id",
                joined(self.ids.iter().map(PluginId::as_str).collect()),
            ));
        }
        if let Some(range) = &self.generations {
            pairs.push(("generation", format!("{}..{}", range.start(), range.end())));
        }
        let nanos = |time: WallTime| humantime::format_rfc3339_nanos(time.into()).to_string();
        pairs.extend(self.since.map(|time| ("since", nanos(time))));
        pairs.extend(self.until.map(|time| ("until", nanos(time))));
        for (key, states) in [
            ("from_state", &self.from_states),
            ("to_state", &self.to_states),
        ] {
            if !states.is_empty() {
                pairs.push((
                    key,
                    joined(states.iter().map(|state| state.name()).collect()),
                ));
            }
        }
        if !self.causes.is_empty() {
            pairs.push((
                "cause",
                joined(self.causes.iter().map(|cause| cause.name()).collect()),
            ));
        }
        if self.errors_only {
            pairs.push(("errors", "true".to_owned()));
        }
        pairs.extend(self.after.map(|seq| ("after", seq.to_string())));
        if self.newest_first {
            pairs.push(("order", "newest".to_owned()));
        }
        pairs.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        for (n, (key, value)) in pairs.iter().enumerate() {
            let between = if n == 0 { "" } else { "&" };
            write!(f, "{between}{key}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_quoted_in_a_bounded_line_also_where_every_character_is_escaped() {
        let text = "\0".repeat(500);
        for (key, value) in [("cause", &*text), ("id", &*text), (&*text, "1")] {
            let mut filter = HistoryFilter::default();
            let error = filter
                .set(key, value, WallTime::from_unix_nanos(0))
                .unwrap_err();
            let said = error.to_string();
            assert!(said.len() <= 1_000 && said.contains("\\u{0}"), "{said}");
        }
    }
}
