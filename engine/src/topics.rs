//! The topics of events: the names that they are put together from, those that come again, and the patterns of subscribers over them. Who
//! subscribes, and what is sent to whom, is in `events`.

use std::sync::Arc;

/// How many topics are kept for when they come again.
const TOPICS_KEPT: usize = 64;

pub(crate) fn topic_of(id: &str, name: &str) -> String {
    format!("plugin.{id}.{name}")
}

/// A name that a plugin may publish under.
pub(crate) struct TopicName<'a>(&'a str);

impl<'a> TopicName<'a> {
    pub(crate) fn as_str(&self) -> &'a str {
        self.0
    }

    /// `name`, if it has the form and is not one of the engine's own.
    pub(crate) fn of_plugin(name: &'a str) -> Option<Self> {
        plugin_api::limits::is_event_name(name).then_some(Self(name))
    }
}

/// The topics that were last published under, so that one that comes again and again is neither put together nor allocated anew, nor compared with
/// patterns. Which place a topic has follows from its ends; two that share one take turns.
pub(crate) struct Topics(Box<[Option<Topic>]>);

pub(crate) struct Topic {
    pub(crate) text: Arc<str>,
    /// The places of the patterns that it fits, as of so many changes of these.
    fits: Vec<usize>,
    as_of: Option<u64>,
}

impl Topic {
    fn new(text: String) -> Self {
        Self {
            text: text.into(),
            fits: Vec::new(),
            as_of: None,
        }
    }

    /// The topic, and the places of the patterns that it fits. These are looked at when there have been other changes of them than the last time.
    pub(crate) fn fits<'a>(
        &mut self,
        patterns: impl Iterator<Item = &'a Pattern>,
        changes: u64,
    ) -> (&Arc<str>, &[usize]) {
        if self.as_of != Some(changes) {
            let all = patterns.enumerate();
            let fits = all.filter(|(_, pattern)| pattern.matches(&self.text));
            self.fits.clear();
            self.fits.extend(fits.map(|(at, _)| at));
            self.as_of = Some(changes);
        }
        (&self.text, &self.fits)
    }
}

impl Default for Topics {
    fn default() -> Self {
        Self((0..TOPICS_KEPT).map(|_| None).collect())
    }
}

impl Topics {
    /// The topic `plugin.<id>.<name>`.
    pub(crate) fn of(&mut self, id: &str, name: &str) -> &mut Topic {
        let ends = id.bytes().rev().take(8).chain(name.bytes().rev().take(4));
        let sum = ends.fold(0_usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        let kept = &mut self.0[sum % TOPICS_KEPT];
        let is_it = |topic: &Topic| {
            let rest = topic.text.strip_prefix("plugin.");
            let rest = rest.and_then(|rest| rest.strip_prefix(id)?.strip_prefix('.'));
            rest == Some(name)
        };
        if !kept.as_ref().is_some_and(is_it) {
            *kept = None;
        }
        kept.get_or_insert_with(|| Topic::new(topic_of(id, name)))
    }
}

/// A pattern over topics, part by part: `*` stands for one part, `**` at the end for all that follow.
///
/// ```
/// use plugin_engine::TopicPattern;
///
/// let unhealthy = TopicPattern::new("plugin.*.unhealthy");
/// assert!(unhealthy.matches("plugin.clock.unhealthy"));
/// assert!(!unhealthy.matches("plugin.clock.state"));
/// assert!(TopicPattern::new("plugin.clock.**").matches("plugin.clock.disk.full"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    parts: Vec<Box<str>>,
}

impl Pattern {
    /// A pattern as it is written. Any text is one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            parts: text.split('.').map(Into::into).collect(),
        }
    }

    /// Whether a topic fits.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        // From the next part on; `None` after the last one. By bytes, because each event that is published is compared with each pattern.
        let mut rest = Some(topic.as_bytes());
        for (at, pattern) in self.parts.iter().enumerate() {
            if &**pattern == "**" && at + 1 == self.parts.len() {
                return true;
            }
            let Some(topic) = rest else { return false };
            let len = if &**pattern == "*" {
                let dot = topic.iter().position(|byte| *byte == b'.');
                dot.unwrap_or(topic.len())
            } else if topic.starts_with(pattern.as_bytes()) {
                pattern.len()
            } else {
                return false;
            };
            rest = match topic[len..].split_first() {
                None => None,
                Some((b'.', next)) => Some(next),
                Some(_) => return false,
            };
        }
        rest.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_part_by_part() {
        for (pattern, topic, matches) in [
            ("**", "plugin.a.state", true),
            ("plugin.*.state", "plugin.a.state", true),
            ("plugin.*.state", "plugin.a.count", false),
            ("plugin.a.**", "plugin.a.x.y", true),
            ("plugin.a.*", "plugin.a.x.y", false),
            ("plugin.a", "plugin.a.x", false),
            ("plugin.*.state.more", "plugin.a.state", false),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(topic),
                matches,
                "{pattern} {topic}"
            );
        }
    }

    #[test]
    fn patterns_match_what_their_parts_say_whatever_is_put_together() {
        fn texts(parts: &[&str]) -> Vec<String> {
            let one = parts.iter().map(|one| (*one).to_owned());
            let two = parts
                .iter()
                .flat_map(|one| parts.iter().map(move |two| format!("{one}.{two}")));
            let two: Vec<_> = two.collect();
            let three = two
                .iter()
                .flat_map(|two| parts.iter().map(move |three| format!("{two}.{three}")));
            one.chain(two.clone())
                .chain(three.collect::<Vec<_>>())
                .collect()
        }
        fn says(pattern: &str, topic: &str) -> bool {
            let pattern: Vec<_> = pattern.split('.').collect();
            let topic: Vec<_> = topic.split('.').collect();
            let (pattern, any) = match pattern.split_last() {
                Some((&"**", before)) => (before, true),
                _ => (&pattern[..], false),
            };
            let same = |(one, other): (&&str, &&str)| *one == "*" || one == other;
            let long_enough = match any {
                true => topic.len() >= pattern.len(),
                false => topic.len() == pattern.len(),
            };
            long_enough && pattern.iter().zip(&topic).all(same)
        }
        for pattern in texts(&["", "a", "ab", "*", "**"]) {
            for topic in texts(&["", "a", "ab", "b", "*", "ä"]) {
                let matches = Pattern::new(&pattern).matches(&topic);
                assert_eq!(matches, says(&pattern, &topic), "{pattern} {topic}");
            }
        }
    }

    #[test]
    fn the_engines_own_names_are_refused() {
        for name in ["state", "unhealthy", "state.x", "", "A", ".a", "a b", "-a"] {
            assert!(TopicName::of_plugin(name).is_none(), "{name:?}");
        }
        for name in ["count", "a.b", "stateful", "0"] {
            assert!(TopicName::of_plugin(name).is_some(), "{name:?}");
        }
    }

    #[test]
    fn topics_that_come_again_are_kept_and_those_that_share_a_place_are_told_apart() {
        let mut topics = Topics::default();
        let first = Arc::clone(&topics.of("a", "tick").text);
        assert!(Arc::ptr_eq(&first, &topics.of("a", "tick").text));
        // More than there are places, and some whose parts are put together to the same text but for the dot.
        for number in 0..3 * TOPICS_KEPT {
            let (id, name) = (format!("p{number}"), format!("n.{number}"));
            for _ in 0..2 {
                assert_eq!(*topics.of(&id, &name).text, format!("plugin.{id}.{name}"));
                assert_eq!(*topics.of("p1", "n.1x").text, *"plugin.p1.n.1x");
                assert_eq!(*topics.of("p1-n", "1x").text, *"plugin.p1-n.1x");
            }
        }
    }
}
