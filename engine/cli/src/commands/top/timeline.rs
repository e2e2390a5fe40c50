//! How a plugin was in the last minutes, second by second, and as a bar of any width.

use std::collections::VecDeque;

use plugin_engine::PluginState;
use plugin_engine_wire::{Snapshot, Transition};

/// How many seconds are remembered.
pub(super) const SECONDS: usize = 300;

/// How a plugin was, the worst last: of what was in one stretch of time the worst is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Tone {
    /// Nothing is known of that time.
    #[default]
    Unknown,
    /// Unloaded or Disabled.
    Off,
    /// Nothing but an update in flight, or just loaded.
    Busy,
    /// Enabled, and all is well.
    Good,
    /// Enabled, with an error that stands.
    Failing,
    /// Error.
    Bad,
}

/// The last minutes of one plugin.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// The worst of each second; the last is `last_second`.
    seconds: VecDeque<Tone>,
    last_second: u64,
    /// What holds from the last entry on.
    now: Tone,
}

impl Tone {
    /// How a plugin is that is like that.
    pub(super) fn of(plugin: &Snapshot) -> Self {
        Self::of_state(&plugin.state, plugin.error.is_some())
    }

    fn of_state(state: &str, has_error: bool) -> Self {
        match state.parse() {
            Ok(PluginState::Error) => Self::Bad,
            Ok(PluginState::Enabled | PluginState::Running) if has_error => Self::Failing,
            Ok(PluginState::Enabled) => Self::Good,
            Ok(PluginState::Running | PluginState::Loaded) => Self::Busy,
            Ok(PluginState::Unloaded | PluginState::Disabled) => Self::Off,
            Err(_) => Self::Unknown,
        }
    }

    /// How a plugin is after this entry, and was like `self` before. An update that is started says nothing of the error before it.
    fn after(self, entry: &Transition) -> Self {
        let stands = entry.to == PluginState::Running.name() && self == Self::Failing;
        let same_state = entry.from == entry.to && entry.error.is_none() && self != Self::Unknown;
        if same_state {
            return self;
        }
        Self::of_state(&entry.to, entry.error.is_some() || stands)
    }
}

impl Timeline {
    /// Time has come to this second; nothing has changed meanwhile.
    pub(super) fn advance(&mut self, second: u64) {
        if self.seconds.is_empty() {
            self.seconds.push_back(self.now);
            self.last_second = second;
            return;
        }
        let passed = second.saturating_sub(self.last_second);
        let new = usize::try_from(passed).unwrap_or(SECONDS).min(SECONDS);
        self.seconds.extend(std::iter::repeat_n(self.now, new));
        while self.seconds.len() > SECONDS {
            self.seconds.pop_front();
        }
        self.last_second = self.last_second.max(second);
    }

    /// An entry of the history.
    pub(super) fn take(&mut self, entry: &Transition) {
        self.take_tone(
            entry.at.0.as_unix_nanos() / 1_000_000_000,
            self.now.after(entry),
        );
    }

    /// From this second on it is like that.
    pub(super) fn take_tone(&mut self, second: u64, tone: Tone) {
        self.advance(second);
        self.now = tone;
        // Time may have come further before the entry came here.
        let ago = usize::try_from(self.last_second.saturating_sub(second)).unwrap_or(SECONDS);
        let len = self.seconds.len();
        if let Some(first) = len.checked_sub(ago + 1) {
            self.seconds[first] = self.seconds[first].max(tone);
            for later in self.seconds.range_mut(first + 1..) {
                *later = tone;
            }
        }
    }

    /// Whether nothing is known of it.
    pub(super) fn is_unknown(&self) -> bool {
        self.now == Tone::Unknown
    }

    /// The last [`SECONDS`] in so many cells, the newest last, each the worst of its time.
    pub(super) fn bar(&self, cells: usize) -> Vec<Tone> {
        let missing = SECONDS - self.seconds.len();
        let at = |second: usize| match second.checked_sub(missing) {
            Some(known) => self.seconds[known],
            None => Tone::Unknown,
        };
        let edge = |cell: usize| cell * SECONDS / cells;
        (0..cells)
            .map(|cell| {
                let seconds = edge(cell)..edge(cell + 1).max(edge(cell) + 1);
                seconds.map(at).max().unwrap_or_default()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = include_str!("../../../../wire/fixtures/transition.json");

    fn entry(second: u64, from: &str, to: &str, failed: bool) -> Transition {
        let mut entry: Transition = serde_json::from_str(ENTRY).unwrap();
        entry.at.0 = plugin_engine::WallTime::from_unix_nanos(second * 1_000_000_000);
        (entry.from, entry.to) = (from.to_owned().into(), to.to_owned().into());
        if !failed {
            entry.error = None;
        }
        entry
    }

    /// A bar of a cell per second, of the last `seconds`.
    fn bar(timeline: &Timeline, seconds: usize) -> String {
        let tones = timeline.bar(SECONDS);
        let letters = tones[SECONDS - seconds..].iter();
        letters
            .map(|tone| match tone {
                Tone::Unknown => ' ',
                Tone::Off => 'o',
                Tone::Busy => 'r',
                Tone::Good => 'g',
                Tone::Failing => 'f',
                Tone::Bad => 'B',
            })
            .collect()
    }

    #[test]
    fn a_failure_lasts_until_an_update_completes() {
        let mut timeline = Timeline::default();
        for entry in [
            entry(100, "Running", "Enabled", false),
            entry(102, "Enabled", "Running", false),
            entry(102, "Running", "Enabled", true),
            entry(104, "Enabled", "Running", false),
            entry(105, "Running", "Enabled", false),
        ] {
            timeline.take(&entry);
        }
        timeline.advance(107);
        // In the second in which it completed, the failure still stood.
        assert_eq!(bar(&timeline, 9), " ggffffgg");
    }

    #[test]
    fn an_entry_that_comes_late_is_put_in_its_second() {
        let mut timeline = Timeline::default();
        timeline.take(&entry(100, "Running", "Enabled", false));
        timeline.advance(105);
        timeline.take(&entry(103, "Enabled", "Error", true));
        assert_eq!(bar(&timeline, 6), "gggBBB");
    }

    #[test]
    fn what_changes_no_state_changes_no_colour_and_what_is_long_past_is_forgotten() {
        let mut timeline = Timeline::default();
        timeline.take(&entry(100, "Enabled", "Error", true));
        timeline.take(&entry(101, "Error", "Error", false));
        assert_eq!(bar(&timeline, 3), " BB");
        timeline.take(&entry(102, "Error", "Disabled", false));
        timeline.advance(102 + 10 * SECONDS as u64);
        assert_eq!(timeline.seconds.len(), SECONDS);
        assert!(timeline.bar(7).iter().all(|tone| *tone == Tone::Off));
    }

    #[test]
    fn a_narrow_bar_shows_the_worst_of_each_stretch_and_a_wide_one_leaves_nothing_out() {
        let mut timeline = Timeline::default();
        timeline.take_tone(1_000, Tone::Good);
        timeline.take_tone(1_290, Tone::Bad);
        timeline.take_tone(1_291, Tone::Good);
        timeline.advance(1_299);
        let narrow = timeline.bar(10);
        assert_eq!(narrow[9], Tone::Bad);
        assert!(narrow[..9].iter().all(|tone| *tone == Tone::Good));
        assert_eq!(timeline.bar(600).len(), 600);
        assert!(timeline.bar(600).contains(&Tone::Bad));
    }
}
