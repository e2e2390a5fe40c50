//! Events: what plugins publish and what the engine says of their states, to whoever subscribed.
//!
//! Subscribers pull; nothing of theirs runs inside the engine. Each has a bounded queue of its own, from which the oldest
//! event leaves when it is full, and is counted. That a plugin is unhealthy leaves only where there is nothing else.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use plugin_engine_core::{PluginId, WallTime};
use tokio::sync::Notify;

use crate::threading::{
    Mutex,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
use crate::waiting::Condvar;

/// How many events wait for one subscriber, beside those it began with, before one leaves.
const QUEUE_LEN_MAX: usize = 1_024;

/// Something that happened, for subscribers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The number of the event, from one counter for the whole engine. Not that of transitions.
    pub seq: u64,
    /// When.
    pub at: WallTime,
    /// `plugin.<id>.state` for a notable change of state, `plugin.<id>.health` for a change of health, `plugin.<id>.unhealthy` once per
    /// unhealthy episode, `plugin.<id>.<name>` for what a plugin publishes.
    pub topic: Arc<str>,
    /// The plugin it is about.
    pub id: Option<PluginId>,
    /// What a plugin said, as it said it; for a state, the state and the error; for health, the health and the reason; for an unhealthy
    /// episode, the reason.
    pub payload: Arc<str>,
}

impl Event {
    /// Whether it is the one event of an unhealthy episode: `plugin.<id>.unhealthy`. What a plugin publishes never is, whatever its name.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let events = engine.subscribe("**");
    /// while let Some(event) = events.try_next() {
    ///     if event.is_unhealthy() {
    ///         eprintln!("{} is unhealthy: {}", event.topic, event.payload);
    ///     }
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn is_unhealthy(&self) -> bool {
        // An id has no dots, and the name alone is reserved.
        self.topic.ends_with(".unhealthy") && self.topic.matches('.').count() == 2
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = plugin_engine_core::escape_control(&self.payload);
        write!(f, "{} {} {payload}", self.at, self.topic)
    }
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

/// All subscribers.
#[derive(Default)]
pub(crate) struct EventBus {
    subscribers: Mutex<Vec<Weak<Queue>>>,
    count: AtomicUsize,
    seq: AtomicU64,
}

struct Queue {
    pattern: Pattern,
    state: Mutex<QueueState>,
    arrived: Condvar,
    arrived_async: Notify,
}

#[derive(Default)]
struct QueueState {
    events: VecDeque<Event>,
    /// How many events it began with, for which there is room beside those that come: nobody could have taken them before they are in.
    begun: usize,
    lost: u64,
    closed: bool,
}

impl EventBus {
    /// Whether anybody listens. One load, so that nobody listening costs nothing.
    #[inline]
    pub(crate) fn is_heard(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Publishes what a plugin says.
    pub(crate) fn publish(&self, at: WallTime, id: &PluginId, name: &TopicName<'_>, payload: &str) {
        self.send(at, id, name.0, payload);
    }

    /// Publishes a state of a plugin.
    pub(crate) fn publish_state(&self, at: WallTime, id: &PluginId, payload: &str) {
        self.send(at, id, "state", payload);
    }

    /// Publishes the health of a plugin.
    pub(crate) fn publish_health(&self, at: WallTime, id: &PluginId, payload: &str) {
        self.send(at, id, "health", payload);
    }

    /// Publishes that a plugin has become unhealthy. Returns the number of the event.
    pub(crate) fn publish_unhealthy(&self, at: WallTime, id: &PluginId, reason: &str) -> u64 {
        self.send(at, id, "unhealthy", reason)
    }

    fn send(&self, at: WallTime, id: &PluginId, name: &str, payload: &str) -> u64 {
        let topic = format!("plugin.{id}.{name}");
        let mut subscribers = self.subscribers.lock();
        // Under the lock, so that every subscriber sees the numbers in order.
        let event = Event {
            seq: self.seq.fetch_add(1, Ordering::Relaxed) + 1,
            at,
            topic: topic.into(),
            id: Some(id.clone()),
            payload: payload.into(),
        };
        subscribers.retain(|subscriber| {
            let Some(queue) = subscriber.upgrade() else {
                return false;
            };
            if queue.pattern.matches(&event.topic) {
                queue.push(event.clone());
            }
            true
        });
        self.count.store(subscribers.len(), Ordering::Relaxed);
        event.seq
    }

    /// Adds a subscriber. `current` gives the events it begins with, after the subscriber is heard by those who publish, so that no
    /// change falls between the beginning and the first live event.
    pub(crate) fn subscribe(
        &self,
        pattern: Pattern,
        current: impl FnOnce(&Beginning<'_>),
    ) -> Subscription {
        let queue = Arc::new(Queue {
            pattern,
            state: Mutex::new(QueueState::default()),
            arrived: Condvar::new(),
            arrived_async: Notify::new(),
        });
        // Heard before the current states are read: a change meanwhile comes as a live event, maybe one that is said twice.
        let mut subscribers = self.subscribers.lock();
        subscribers.push(Arc::downgrade(&queue));
        self.count.fetch_add(1, Ordering::Relaxed);
        let heard_since = self.seq.load(Ordering::Relaxed);
        drop(subscribers);
        current(&Beginning {
            bus: self,
            queue: &queue,
            heard_since,
        });
        Subscription { queue }
    }

    /// Tells all subscribers that nothing more will come.
    pub(crate) fn close(&self) {
        for queue in self.subscribers.lock().iter().filter_map(Weak::upgrade) {
            queue.state.lock().closed = true;
            queue.arrived.notify_all();
            queue.arrived_async.notify_waiters();
        }
    }
}

/// What a subscription begins with.
pub(crate) struct Beginning<'a> {
    bus: &'a EventBus,
    queue: &'a Queue,
    /// The number of the last event that was not heard.
    heard_since: u64,
}

impl Beginning<'_> {
    /// The present state of a plugin.
    pub(crate) fn state(&self, at: WallTime, id: &PluginId, payload: &str) {
        self.begin(at, id, "state", payload);
    }

    /// That a plugin is unhealthy, which was told as the event `told`: if that was heard, it is not told twice. To be called under the
    /// lock under which it was told.
    pub(crate) fn unhealthy(&self, at: WallTime, id: &PluginId, told: u64, reason: &str) {
        if told <= self.heard_since {
            self.begin(at, id, "unhealthy", reason);
        }
    }

    fn begin(&self, at: WallTime, id: &PluginId, name: &str, payload: &str) {
        let topic = format!("plugin.{id}.{name}");
        if self.queue.pattern.matches(&topic) {
            self.queue.state.lock().begun += 1;
            self.queue.push(Event {
                seq: self.bus.seq.fetch_add(1, Ordering::Relaxed) + 1,
                at,
                topic: topic.into(),
                id: Some(id.clone()),
                payload: payload.into(),
            });
        }
    }
}

impl Queue {
    fn push(&self, event: Event) {
        let mut state = self.state.lock();
        if state.events.len() >= state.begun + QUEUE_LEN_MAX {
            // That a plugin is unhealthy is told once: it does not leave because others have much to say.
            let oldest = state.events.iter().position(|one| !one.is_unhealthy());
            state.events.remove(oldest.unwrap_or(0));
            state.lost += 1;
        }
        state.events.push_back(event);
        drop(state);
        self.arrived.notify_one();
        self.arrived_async.notify_one();
    }
}

/// A stream of events, from the states at the moment of subscribing on. Dropping it unsubscribes.
///
/// ```
/// use std::time::Duration;
///
/// # let engine = plugin_engine::Engine::builder().build()?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// let events = engine.subscribe("plugin.clock.**");
/// assert!(events.try_next().is_none(), "nothing of that name is loaded");
/// assert!(events.next_within(Duration::from_millis(1)).is_none());
/// assert_eq!(events.lost(), 0);
///
/// engine.shutdown(Duration::from_secs(5))?;
/// assert!(runtime.block_on(events.next()).is_none(), "nothing comes any more");
/// # Ok::<(), plugin_engine::Error>(())
/// ```
pub struct Subscription {
    queue: Arc<Queue>,
}

impl Subscription {
    /// The next event, if one is there.
    #[must_use]
    pub fn try_next(&self) -> Option<Event> {
        self.queue.state.lock().events.pop_front()
    }

    /// The next event; waits for one as long as `timeout`, in real time. `None` if none came or the engine was shut down.
    #[must_use]
    pub fn next_within(&self, timeout: Duration) -> Option<Event> {
        let until = Instant::now().checked_add(timeout);
        let mut state = self.queue.state.lock();
        loop {
            if let Some(event) = state.events.pop_front() {
                return Some(event);
            }
            if state.closed {
                return None;
            }
            match until {
                Some(until) if Instant::now() >= until => return None,
                Some(until) => {
                    self.queue.arrived.wait_until(&mut state, until);
                }
                None => self.queue.arrived.wait(&mut state),
            }
        }
    }

    /// The next event, as a future. `None` once the engine has been shut down and all events were taken.
    pub async fn next(&self) -> Option<Event> {
        loop {
            let arrived = self.queue.arrived_async.notified();
            {
                let mut state = self.queue.state.lock();
                if let Some(event) = state.events.pop_front() {
                    return Some(event);
                }
                if state.closed {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// How many events left the queue unread because it was full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.queue.state.lock().lost
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.queue.state.lock().events.len();
        f.debug_struct("Subscription")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
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
        let mut parts = topic.split('.');
        for (at, pattern) in self.parts.iter().enumerate() {
            if &**pattern == "**" && at + 1 == self.parts.len() {
                return true;
            }
            match parts.next() {
                Some(part) if &**pattern == "*" || &**pattern == part => {}
                _ => return false,
            }
        }
        parts.next().is_none()
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
    fn the_engines_own_names_are_refused() {
        for name in ["state", "unhealthy", "state.x", "", "A", ".a", "a b", "-a"] {
            assert!(TopicName::of_plugin(name).is_none(), "{name:?}");
        }
        for name in ["count", "a.b", "stateful", "0"] {
            assert!(TopicName::of_plugin(name).is_some(), "{name:?}");
        }
    }

    #[test]
    fn a_subscriber_that_never_reads_loses_the_oldest_and_is_told() {
        let bus = EventBus::default();
        let subscription = bus.subscribe(Pattern::new("**"), |_| {});
        let id = PluginId::new("a").unwrap();
        for _ in 0..QUEUE_LEN_MAX + 5 {
            bus.publish_state(WallTime::default(), &id, "Enabled");
        }
        assert_eq!(subscription.lost(), 5);
        assert_eq!(subscription.try_next().unwrap().seq, 6);
    }

    #[test]
    fn a_dropped_subscription_is_no_longer_heard() {
        let bus = EventBus::default();
        let id = PluginId::new("a").unwrap();
        drop(bus.subscribe(Pattern::new("**"), |_| {}));
        bus.publish_state(WallTime::default(), &id, "Enabled");
        assert!(!bus.is_heard());
    }

    /// How often a subscription tells that the plugin is unhealthy.
    fn told(subscription: &Subscription) -> usize {
        let events = std::iter::from_fn(|| subscription.try_next());
        events
            .filter(|event| &*event.topic == "plugin.a.unhealthy")
            .count()
    }

    #[test]
    fn an_unhealthy_episode_is_told_once_also_if_it_begins_while_somebody_subscribes() {
        let bus = EventBus::default();
        let id = PluginId::new("a").unwrap();
        let at = WallTime::default();
        let before = bus.publish_unhealthy(at, &id, "panicked");
        let later = bus.subscribe(Pattern::new("**"), |begin| {
            begin.unhealthy(at, &id, before, "panicked");
        });
        assert_eq!(told(&later), 1);
        // It is told live after the subscriber is heard of, and before it has looked at the plugin.
        let meanwhile = bus.subscribe(Pattern::new("**"), |begin| {
            let told = bus.publish_unhealthy(at, &id, "panicked");
            begin.unhealthy(at, &id, told, "panicked");
        });
        assert_eq!(told(&meanwhile), 1);
    }

    #[test]
    fn a_subscription_begins_with_all_that_is_so_however_many_plugins_there_are() {
        let bus = EventBus::default();
        let id = PluginId::new("a").unwrap();
        let at = WallTime::default();
        let subscription = bus.subscribe(Pattern::new("**"), |begin| {
            begin.unhealthy(at, &id, 0, "panicked");
            for _ in 0..2 * QUEUE_LEN_MAX {
                begin.state(at, &id, "Enabled");
            }
        });
        for _ in 0..QUEUE_LEN_MAX {
            bus.publish_state(at, &id, "Enabled");
        }
        assert_eq!(subscription.lost(), 0);
        bus.publish_state(at, &id, "Enabled");
        assert_eq!(subscription.lost(), 1);
        let left = subscription.queue.state.lock().events.len();
        assert_eq!(left, 3 * QUEUE_LEN_MAX + 1);
    }

    #[test]
    fn that_a_plugin_is_unhealthy_does_not_leave_the_queue_for_a_flood_of_others() {
        let bus = EventBus::default();
        let (id, other) = (PluginId::new("a").unwrap(), PluginId::new("b").unwrap());
        let at = WallTime::default();
        let subscription = bus.subscribe(Pattern::new("**"), |_| {});
        bus.publish_unhealthy(at, &id, "panicked");
        // What a plugin says under a name like it is as anything else.
        bus.publish(at, &id, &TopicName("a.unhealthy"), "nobody");
        for _ in 0..2 * QUEUE_LEN_MAX {
            bus.publish_state(at, &other, "Enabled");
        }
        assert_eq!(subscription.lost() as usize, QUEUE_LEN_MAX + 2);
        let first = subscription.try_next().unwrap();
        assert_eq!(&*first.topic, "plugin.a.unhealthy");
        assert_eq!(told(&subscription), 0, "once");
    }

    #[test]
    fn where_more_plugins_are_unhealthy_than_a_queue_takes_the_oldest_leaves() {
        let bus = EventBus::default();
        let id = PluginId::new("a").unwrap();
        let subscription = bus.subscribe(Pattern::new("**"), |_| {});
        for _ in 0..QUEUE_LEN_MAX + 3 {
            bus.publish_unhealthy(WallTime::default(), &id, "panicked");
        }
        assert_eq!(subscription.lost(), 3);
        assert_eq!(subscription.try_next().unwrap().seq, 4);
    }
}
