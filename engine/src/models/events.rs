//! Subscribers miss nothing, are told once, and are let go at the end (H2).

use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{PluginId, WallTime};

use super::check;
use crate::events::{EventBus, Subscription};
use crate::threading::{Mutex, thread};
use crate::topics::Pattern;

const LONG: Duration = Duration::from_secs(3_600);

fn id() -> PluginId {
    PluginId::new("a").expect("it is one")
}

fn told(subscription: &Subscription) -> Vec<u64> {
    let events = std::iter::from_fn(|| subscription.try_next());
    events.map(|event| event.seq).collect()
}

#[test]
fn who_waits_for_events_gets_all_of_them_in_order_and_then_the_end() {
    check(|| {
        let bus = Arc::new(EventBus::default());
        let subscription = bus.subscribe(Pattern::new("**"), |_| ());
        let publishing = Arc::clone(&bus);
        let publisher = thread::spawn(move || {
            publishing.publish_state(WallTime::default(), &id(), "Enabled");
            publishing.publish_state(WallTime::default(), &id(), "Error");
            publishing.close();
        });
        let mut seen = Vec::new();
        while let Some(event) = subscription.next_within(LONG) {
            seen.push(event.seq);
        }
        assert_eq!(seen, [1, 2]);
        publisher.join().unwrap();
    });
}

/// Nothing else wakes it, not even the end.
#[test]
fn who_waits_for_an_event_is_woken_by_it() {
    check(|| {
        let bus = Arc::new(EventBus::default());
        let subscription = bus.subscribe(Pattern::new("**"), |_| ());
        let publishing = Arc::clone(&bus);
        let publisher =
            thread::spawn(move || publishing.publish_state(WallTime::default(), &id(), "Enabled"));
        let event = subscription.next_within(LONG).expect("nobody ends it");
        assert_eq!(event.seq, 1);
        publisher.join().unwrap();
    });
}

#[test]
fn an_event_that_two_publish_at_once_reaches_every_subscriber_in_one_order() {
    check(|| {
        let bus = Arc::new(EventBus::default());
        let subscriptions = [0, 1].map(|_| bus.subscribe(Pattern::new("**"), |_| ()));
        let publishing = Arc::clone(&bus);
        let publisher =
            thread::spawn(move || publishing.publish_state(WallTime::default(), &id(), "Enabled"));
        bus.publish_state(WallTime::default(), &id(), "Error");
        publisher.join().unwrap();
        for subscription in &subscriptions {
            assert_eq!(told(subscription), [1, 2]);
        }
    });
}

/// The episode is told under the lock of its cell, and looked up under it by who subscribes: here a lock with the number in it.
#[test]
fn an_unhealthy_episode_is_told_once_to_who_subscribes_while_it_begins() {
    check(|| {
        let bus = Arc::new(EventBus::default());
        let episode = Arc::new(Mutex::new(None));
        let (telling, of) = (Arc::clone(&bus), Arc::clone(&episode));
        let teller = thread::spawn(move || {
            let mut episode = of.lock();
            *episode = Some(telling.publish_unhealthy(WallTime::default(), &id(), "panicked"));
        });
        let subscription = bus.subscribe(Pattern::new("**"), |begin| {
            if let Some(told) = *episode.lock() {
                begin.unhealthy(WallTime::default(), &id(), told, "panicked");
            }
        });
        teller.join().unwrap();
        assert_eq!(told(&subscription).len(), 1);
    });
}

/// While one subscriber goes and another comes, whoever asks whether anybody listens may not be told no for good.
#[test]
fn who_has_subscribed_is_heard_also_if_another_leaves_at_that_moment() {
    check(|| {
        let bus = Arc::new(EventBus::default());
        let leaves = bus.subscribe(Pattern::new("**"), |_| ());
        let publishing = Arc::clone(&bus);
        let publisher = thread::spawn(move || {
            drop(leaves);
            publishing.publish_state(WallTime::default(), &id(), "Enabled");
        });
        let stays = bus.subscribe(Pattern::new("**"), |_| ());
        publisher.join().unwrap();
        assert!(bus.is_heard());
        drop(stays);
    });
}
