//! The latest events, kept for whoever comes later, and read by all streams: a stream has a place in it and no queue of its own, so one that is
//! not read costs nothing and holds up nobody.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use plugin_engine::{Engine, Event, Health, PluginId, Subscription, TopicPattern};
use tokio::sync::watch;

/// How many events are kept, and how many bytes of what they say.
const EVENTS_MAX: usize = 1_000;
const BYTES_MAX: usize = 8 * 1_024 * 1_024;

/// The latest events of an engine, from the start of the server on.
pub(crate) struct EventRing {
    subscription: Subscription,
    kept: Mutex<Kept>,
    /// Told the place after the newest event.
    newest: watch::Sender<u64>,
}

/// Events have places without gaps; those of events that were lost are empty.
#[derive(Default)]
struct Kept {
    events: VecDeque<(u64, Arc<Event>)>,
    bytes: usize,
    /// The place of the next event.
    next: u64,
    /// How many events the subscription had lost.
    lost: u64,
    /// The number of the newest event that was put out.
    put_out: u64,
    /// What was last said of a plugin that it is unhealthy, also when that was put out since.
    unhealthy: BTreeMap<PluginId, Arc<Event>>,
}

/// What was read from a place on.
pub(crate) struct Read {
    pub(crate) events: Vec<Arc<Event>>,
    /// How many there had been before or between them that are kept no more.
    pub(crate) lost: u64,
    /// The place to go on at.
    pub(crate) next: u64,
}

impl EventRing {
    /// Begins to listen.
    pub(crate) fn new(engine: &Engine) -> Self {
        Self {
            subscription: engine.subscribe("**"),
            kept: Mutex::default(),
            newest: watch::Sender::new(0),
        }
    }

    /// Waits for events and keeps all that are there.
    pub(crate) async fn keep(&self) {
        let Some(event) = self.subscription.next().await else {
            // Nothing more will come.
            return std::future::pending().await;
        };
        let mut kept = self.kept.lock();
        let lost = self.subscription.lost();
        kept.next += lost - kept.lost;
        kept.lost = lost;
        kept.push(event);
        let rest = std::iter::from_fn(|| self.subscription.try_next());
        rest.take(EVENTS_MAX).for_each(|event| kept.push(event));
        let next = kept.next;
        drop(kept);
        self.newest.send_replace(next);
    }

    /// Tells when there is something to be read.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// At most `max` events from a place on.
    pub(crate) fn read(&self, from: u64, max: usize) -> Read {
        let kept = self.kept.lock();
        let begin = kept.events.partition_point(|(place, _)| *place < from);
        let (mut next, mut lost, mut events) = (from, 0, Vec::new());
        for (place, event) in kept.events.range(begin..).take(max) {
            lost += place - next;
            next = place + 1;
            events.push(Arc::clone(event));
        }
        Read { events, lost, next }
    }

    /// Where somebody goes on who has seen the event of a number, and how many events after it are kept no more at most. A number that is
    /// larger than any comes from an engine before this one, and nothing was seen of this one then.
    pub(crate) fn after(&self, seen: u64) -> (u64, u64) {
        let kept = self.kept.lock();
        let newest = kept
            .events
            .back()
            .map_or(kept.put_out, |(_, event)| event.seq);
        let oldest = kept.events.front();
        let begin = oldest.map_or(kept.next, |(place, _)| *place);
        if seen > newest {
            return (begin, 0);
        }
        let later = kept.events.iter().find(|(_, event)| event.seq > seen);
        let place = later.map_or(kept.next, |(place, _)| *place);
        let lost = match oldest {
            Some((_, oldest)) if kept.put_out > seen => oldest.seq - 1 - seen,
            _ => 0,
        };
        (place, lost)
    }

    /// The place of the oldest event that is kept.
    pub(crate) fn begin(&self) -> u64 {
        let kept = self.kept.lock();
        kept.events.front().map_or(kept.next, |(place, _)| *place)
    }

    /// What was said of the plugins that are unhealthy now, where it is kept for that reason alone.
    pub(crate) fn unhealthy(&self, engine: &Engine, pattern: &TopicPattern) -> Vec<Arc<Event>> {
        let mut kept = self.kept.lock();
        kept.unhealthy
            .retain(|id, _| engine.snapshot(id.as_str()).health == Health::Unhealthy);
        let oldest = kept.events.front().map_or(u64::MAX, |(_, event)| event.seq);
        let told = kept.unhealthy.values();
        let mut events: Vec<_> = told
            .filter(|event| event.seq < oldest && pattern.matches(&event.topic))
            .map(Arc::clone)
            .collect();
        events.sort_by_key(|event| event.seq);
        events
    }

    /// How many events came faster than they could be kept.
    pub(crate) fn lost(&self) -> u64 {
        self.subscription.lost()
    }
}

impl Kept {
    fn push(&mut self, event: Event) {
        let event = Arc::new(event);
        if let Some(id) = &event.id
            && event.is_unhealthy()
        {
            self.unhealthy.insert(id.clone(), Arc::clone(&event));
        }
        self.bytes += size(&event);
        self.events.push_back((self.next, event));
        self.next += 1;
        while self.events.len() > EVENTS_MAX || self.bytes > BYTES_MAX {
            let Some((_, oldest)) = self.events.pop_front() else {
                break;
            };
            self.bytes -= size(&oldest);
            self.put_out = self.put_out.max(oldest.seq);
        }
    }
}

fn size(event: &Event) -> usize {
    event.payload.len() + event.topic.len()
}

#[cfg(test)]
mod tests {
    use plugin_engine::WallTime;

    use super::*;

    fn event(seq: u64, payload: &str) -> Event {
        Event {
            seq,
            at: WallTime::default(),
            topic: "plugin.a.state".into(),
            id: PluginId::new("a").ok(),
            payload: payload.into(),
        }
    }

    fn ring() -> EventRing {
        EventRing::new(&Engine::builder().build().unwrap())
    }

    fn seqs(read: &Read) -> Vec<u64> {
        read.events.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn a_reader_goes_on_where_it_was_and_learns_what_it_has_missed() {
        let ring = ring();
        let push = |seqs: std::ops::Range<u64>| {
            let mut kept = ring.kept.lock();
            seqs.for_each(|seq| kept.push(event(seq, "Enabled")));
        };
        push(1..6);
        let first = ring.read(0, 3);
        assert_eq!(
            (seqs(&first), first.lost, first.next),
            (vec![1, 2, 3], 0, 3)
        );
        let rest = ring.read(first.next, 10);
        assert_eq!((seqs(&rest), rest.lost, rest.next), (vec![4, 5], 0, 5));
        push(6..1_106);
        let later = ring.read(rest.next, 2);
        assert_eq!((seqs(&later), later.lost), (vec![106, 107], 100));
        assert_eq!(ring.begin(), 105);
    }

    #[test]
    fn what_a_plugin_publishes_under_a_name_like_it_does_not_take_the_place_of_being_unhealthy() {
        let ring = ring();
        let mut kept = ring.kept.lock();
        for (seq, topic) in [(1, "plugin.a.unhealthy"), (2, "plugin.a.x.unhealthy")] {
            let topic = topic.into();
            kept.push(Event {
                topic,
                ..event(seq, "")
            });
        }
        let told: Vec<_> = kept.unhealthy.values().map(|event| event.seq).collect();
        assert_eq!(told, [1]);
    }

    #[test]
    fn whoever_has_seen_a_number_goes_on_after_it() {
        let ring = ring();
        // Numbers of other subscriptions lie between.
        let mut kept = ring.kept.lock();
        (1..=1_100).for_each(|n| kept.push(event(n * 2, "Enabled")));
        drop(kept);
        let after = |seen| {
            let (place, lost) = ring.after(seen);
            (seqs(&ring.read(place, 1)), lost)
        };
        assert_eq!(after(2_198), (vec![2_200], 0));
        assert_eq!(after(2_197), (vec![2_198], 0));
        assert_eq!(after(2_200), (vec![], 0));
        assert_eq!(after(200), (vec![202], 0));
        assert_eq!(after(100), (vec![202], 101));
        assert_eq!(after(9_999), (vec![202], 0), "of another engine");
    }

    #[test]
    fn a_few_long_events_do_not_take_more_memory_than_many_short_ones() {
        let ring = ring();
        let long = "x".repeat(64 * 1_024);
        let mut kept = ring.kept.lock();
        (1..=500).for_each(|seq| kept.push(event(seq, &long)));
        assert!(kept.bytes <= BYTES_MAX);
        assert!(
            (100..130).contains(&kept.events.len()),
            "{}",
            kept.events.len()
        );
    }
}
