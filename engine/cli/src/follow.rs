//! Reads the history as it grows, in order, and notices what it did not get.

use plugin_engine::{Engine, Transition};

/// Where a reader of the history stands.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    last: u64,
}

/// What comes next for a reader.
#[derive(Debug)]
pub(crate) enum Next {
    Entry(Box<Transition>),
    /// So many entries after this number had left the bounded memory before they were read.
    Lost {
        count: u64,
        after: u64,
    },
}

impl Follower {
    /// A reader of all that this engine enters, and nothing of those before.
    pub(crate) fn of(engine: &Engine) -> Self {
        Self::after(
            engine
                .history_status()
                .map_or(0, |status| status.started_seq),
        )
    }

    /// A reader that has read all entries up to `seq`.
    pub(crate) fn after(seq: u64) -> Self {
        Self { last: seq }
    }

    /// All that is new.
    pub(crate) fn read(&mut self, engine: &Engine) -> Vec<Next> {
        self.take(engine.history_of_all().after(self.last))
    }

    fn take(&mut self, entries: impl IntoIterator<Item = Transition>) -> Vec<Next> {
        let mut read = Vec::new();
        for entry in entries {
            let missing = entry.seq - self.last - 1;
            if missing > 0 {
                read.push(Next::Lost {
                    count: missing,
                    after: self.last,
                });
            }
            self.last = entry.seq;
            read.push(Next::Entry(Box::new(entry)));
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use plugin_engine::{Cause, PluginId, PluginState, WallTime};

    use super::*;

    fn entry(seq: u64) -> Transition {
        Transition {
            seq,
            at: WallTime::default(),
            id: PluginId::new("a").unwrap(),
            generation: 1,
            version: None,
            from: PluginState::Enabled,
            to: PluginState::Running,
            cause: Cause::UpdateStarted,
            error: None,
            duration: None,
        }
    }

    #[test]
    fn what_was_not_read_in_time_is_counted() {
        let mut follower = Follower::default();
        let seen = |read: Vec<Next>| {
            read.iter()
                .map(|next| match next {
                    Next::Entry(entry) => format!("{}", entry.seq),
                    Next::Lost { count, after } => format!("{count} after {after}"),
                })
                .collect::<Vec<_>>()
                .join(", ")
        };
        assert_eq!(seen(follower.take([1, 2].map(entry))), "1, 2");
        assert_eq!(
            seen(follower.take([3, 6, 7].map(entry))),
            "3, 2 after 3, 6, 7"
        );
        assert_eq!(seen(follower.take([])), "");
        assert_eq!(seen(follower.take([9].map(entry))), "1 after 7, 9");
    }
}
