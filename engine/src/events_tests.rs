use super::*;

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
    bus.publish(
        at,
        &id,
        &TopicName::of_plugin("a.unhealthy").unwrap(),
        "nobody",
    );
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

#[test]
fn every_subscriber_whose_pattern_fits_gets_an_event_and_no_other() {
    let bus = EventBus::default();
    let id = PluginId::new("a").unwrap();
    let fits = ["**", "plugin.b.state", "plugin.a.*", "plugin.*.state"];
    let subscriptions = fits.map(|pattern| bus.subscribe(Pattern::new(pattern), |_| {}));
    bus.publish_state(WallTime::default(), &id, "Enabled");
    let taken = subscriptions.map(|one| one.try_next().map(|event| event.seq));
    assert_eq!(taken, [Some(1), None, Some(1), Some(1)]);
}

#[test]
fn a_topic_that_comes_again_reaches_those_who_are_there_by_then() {
    let bus = EventBus::default();
    let id = PluginId::new("a").unwrap();
    let publish = || bus.publish_state(WallTime::default(), &id, "Enabled");
    let taken = |one: &Subscription| std::iter::from_fn(|| one.try_next()).count();
    let other = bus.subscribe(Pattern::new("plugin.b.*"), |_| {});
    let [first, second] = [(); 2].map(|()| bus.subscribe(Pattern::new("plugin.a.*"), |_| {}));
    publish();
    assert_eq!([&other, &first, &second].map(taken), [0, 1, 1]);
    let later = bus.subscribe(Pattern::new("**"), |_| {});
    publish();
    assert_eq!([&other, &first, &second, &later].map(taken), [0, 1, 1, 1]);
    // Those behind it move up.
    drop(other);
    publish();
    assert_eq!([&first, &second, &later].map(taken), [1, 1, 1]);
    drop(first);
    publish();
    assert_eq!([&second, &later].map(taken), [1, 1]);
}

#[test]
fn a_future_that_waits_is_woken_though_nobody_has_waited_like_that_before() {
    struct Woken(std::sync::atomic::AtomicBool);
    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let bus = EventBus::default();
    let id = PluginId::new("a").unwrap();
    let subscription = bus.subscribe(Pattern::new("**"), |_| {});
    bus.publish_state(WallTime::default(), &id, "Enabled");
    assert_eq!(subscription.try_next().unwrap().seq, 1);
    let woken = Arc::new(Woken(false.into()));
    let waker = Arc::clone(&woken).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut next = std::pin::pin!(subscription.next());
    assert!(next.as_mut().poll(&mut context).is_pending());
    bus.publish_state(WallTime::default(), &id, "Disabled");
    assert!(woken.0.load(Ordering::SeqCst));
    let next = next.as_mut().poll(&mut context);
    assert!(matches!(next, std::task::Poll::Ready(Some(event)) if event.seq == 2));
}
