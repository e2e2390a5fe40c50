//! Events: what plugins publish and what the engine says of their states, to whoever subscribed.
//!
//! Subscribers pull; nothing of theirs runs inside the engine. Each has a bounded queue of its own, from which the oldest
//! event leaves when it is full, and is counted. That a plugin is unhealthy leaves only where there is nothing else.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_engine_core::{PluginId, WallTime};
use tokio::sync::Notify;

use crate::threading::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use crate::topics::{Pattern, TopicName, Topics, topic_of};
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

/// All subscribers.
#[derive(Default)]
pub(crate) struct EventBus {
    subscribers: Mutex<Subscribers>,
    count: AtomicUsize,
}

#[derive(Default)]
struct Subscribers {
    /// The number of the last event.
    seq: u64,
    queues: Vec<Arc<Queue>>,
    /// How often the queues were others.
    changes: u64,
    topics: Topics,
}

impl Subscribers {
    /// The number of the next event.
    fn number(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }
}

struct Queue {
    pattern: Pattern,
    state: Mutex<QueueState>,
    arrived: Condvar,
    arrived_async: Notify,
    /// Whether nobody takes from it any more: who publishes next lets go of it.
    is_dropped: AtomicBool,
}

#[derive(Default)]
struct QueueState {
    events: VecDeque<Event>,
    /// How many events it began with, for which there is room beside those that come: nobody could have taken them before they are in.
    begun: usize,
    lost: u64,
    closed: bool,
    /// Whether anybody has ever waited for it as a future: to wake whoever may costs as much as all else here.
    is_awaited: bool,
}

impl EventBus {
    /// Whether anybody listens. One load, so that nobody listening costs nothing.
    #[inline]
    pub(crate) fn is_heard(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Publishes what a plugin says.
    pub(crate) fn publish(&self, at: WallTime, id: &PluginId, name: &TopicName<'_>, payload: &str) {
        self.send(at, id, name.as_str(), payload);
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
        let payload: Arc<str> = payload.into();
        let mut subscribers = self.subscribers.lock();
        // Under the lock, so that every subscriber sees the numbers in order.
        let seq = subscribers.number();
        let Subscribers {
            queues,
            topics,
            changes,
            ..
        } = &mut *subscribers;
        let known = queues.len();
        queues.retain(|queue| !queue.is_dropped.load(Ordering::Acquire));
        if queues.len() != known {
            *changes += 1;
            self.count.store(queues.len(), Ordering::Relaxed);
        }
        let (topic, fits) = topics
            .of(id.as_str(), name)
            .fits(queues.iter().map(|queue| &queue.pattern), *changes);
        let mut fits = fits.iter().filter_map(|at| queues.get(*at));
        let Some(mut last) = fits.next() else {
            return seq;
        };
        let event = Event {
            seq,
            at,
            topic: Arc::clone(topic),
            id: Some(id.clone()),
            payload,
        };
        for queue in fits {
            last.push(event.clone());
            last = queue;
        }
        // Handed on to the last one, which is mostly the only one.
        last.push(event);
        seq
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
            is_dropped: AtomicBool::new(false),
        });
        // Heard before the current states are read: a change meanwhile comes as a live event, maybe one that is said twice.
        let mut subscribers = self.subscribers.lock();
        subscribers.queues.push(Arc::clone(&queue));
        subscribers.changes += 1;
        self.count.fetch_add(1, Ordering::Relaxed);
        let heard_since = subscribers.seq;
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
        for queue in &self.subscribers.lock().queues {
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
        let topic = topic_of(id.as_str(), name);
        if self.queue.pattern.matches(&topic) {
            self.queue.state.lock().begun += 1;
            self.queue.push(Event {
                seq: self.bus.subscribers.lock().number(),
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
        let is_awaited = state.is_awaited;
        drop(state);
        self.arrived.notify_one();
        if is_awaited {
            self.arrived_async.notify_one();
        }
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
                // Under the lock: whoever publishes from now on sees it, and whoever did before has left something above.
                state.is_awaited = true;
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

impl Drop for Subscription {
    fn drop(&mut self) {
        self.queue.is_dropped.store(true, Ordering::Release);
        // The queue itself goes with the next event; what it holds goes now.
        let events = std::mem::take(&mut self.queue.state.lock().events);
        drop(events);
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

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
