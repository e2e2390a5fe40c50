//! Streams of the admin server: what they begin with, that nothing is missed, and that who does not read harms nobody.

use std::io::Read;
use std::time::{Duration, Instant};

use plugin_engine_admin::{AdminLimits, AdminOptions};
use plugin_engine_tests::{Followed, Served, wait_for};

fn with_limits(limits: AdminLimits) -> Served {
    Served::with(AdminOptions {
        limits,
        ..AdminOptions::default()
    })
}

fn clock(served: &Served) {
    served.rig.drop_in("clock");
    served.rig.load();
}

/// Switches the clock off and on, which is two events, or four with those of health.
fn switch(served: &Served) {
    served.rig.engine.disable("clock").unwrap();
    served.rig.engine.enable("clock").unwrap();
}

#[test]
fn a_stream_of_events_begins_with_what_is_kept_and_goes_on_with_what_comes() {
    let served = Served::new();
    clock(&served);
    let mut events = served
        .by_http()
        .follow("/events?pattern=plugin.clock.state", &[]);
    let mut payloads = |count: usize| -> Vec<String> {
        let messages = (0..count).map(|_| events.next_message().unwrap());
        messages
            .map(|message| message.data["payload"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(payloads(2), ["Loaded", "Enabled"]);
    switch(&served);
    assert_eq!(payloads(2), ["Disabled", "Enabled"]);
}

#[test]
fn who_comes_back_misses_nothing_and_gets_nothing_twice() {
    let served = Served::new();
    clock(&served);
    let path = "/events?pattern=plugin.clock.state";
    let mut events = served.by_http().follow(path, &[]);
    let first = events.await_message(|message| message.data["payload"] == "Enabled");
    drop(events);
    switch(&served);
    let seen = first.id.unwrap().to_string();
    let mut again = served.by_http().follow(path, &[("last-event-id", &seen)]);
    for payload in ["Disabled", "Enabled"] {
        let message = again.next_message().unwrap();
        assert_eq!(message.data["payload"], payload);
        assert!(message.id > first.id);
    }
    // The number of an engine that ran before this one.
    let mut from_before = served
        .by_http()
        .follow(path, &[("last-event-id", "99999999")]);
    assert_eq!(
        from_before.next_message().unwrap().data["payload"],
        "Loaded"
    );
    let bad = served
        .by_http()
        .ask("GET", path, &[("last-event-id", "x")], b"");
    assert_eq!(bad.status, 400);
}

#[test]
fn who_is_unhealthy_now_is_told_however_long_ago_that_was_said() {
    let served = Served::new();
    served.rig.drop_as(
        "panics",
        "panics",
        "panic_limit = 1\non_unhealthy = \"none\"",
    );
    clock(&served);
    served.rig.engine.run_cycle();
    let path = "/events?follow=false&pattern=plugin.*.unhealthy";
    let told = || {
        served.by_socket().json(path)["events"]
            .as_array()
            .unwrap()
            .len()
    };
    wait_for("the event", || told() == 1);
    // More than are kept.
    for _ in 0..600 {
        switch(&served);
    }
    let kept = || {
        served
            .by_socket()
            .json("/events?follow=false&pattern=plugin.clock.state")
    };
    wait_for("the newest event", || {
        let kept = kept();
        let newest = kept["events"].as_array().unwrap().last().unwrap().clone();
        newest["payload"] == "Enabled" && kept["events"].as_array().unwrap().len() > 450
    });
    assert_eq!(told(), 1, "it is still so");
    served.rig.engine.reset("panics").unwrap();
    assert_eq!(told(), 0, "it is over");
}

#[test]
fn who_comes_back_too_late_is_told_that_events_are_missing() {
    let served = Served::new();
    clock(&served);
    let mut events = served.by_http().follow("/events", &[]);
    let seen = events.next_message().unwrap().id.unwrap();
    drop(events);
    for _ in 0..600 {
        switch(&served);
    }
    let oldest = || {
        let kept = served.by_socket().json("/events?follow=false");
        kept["events"][0]["seq"].as_u64().unwrap()
    };
    wait_for("the first events to be gone", || oldest() > seen + 1);
    let header = seen.to_string();
    let mut again = served
        .by_http()
        .follow("/events", &[("last-event-id", &header)]);
    let lost = again.next_message().unwrap();
    assert_eq!(lost.event, "lost");
    let next = again.next_message().unwrap().id.unwrap();
    assert_eq!(lost.data["lost"].as_u64().unwrap(), next - seen - 1);
    assert_eq!(lost.data["after"], seen);
}

#[test]
fn a_stream_says_that_it_is_there_when_there_is_nothing_to_say() {
    let served = with_limits(AdminLimits {
        heartbeat: Duration::from_millis(20),
        ..AdminLimits::default()
    });
    for path in ["/events?pattern=nothing", "/history?follow=true"] {
        let mut stream = served.by_http().follow(path, &[]);
        for _ in 0..3 {
            assert!(stream.next_or_comment().unwrap().is_comment, "{path}");
        }
    }
}

#[test]
fn a_history_that_is_followed_has_every_entry_once_and_in_order() {
    let served = Served::new();
    clock(&served);
    let mut followed = served.by_http().follow("/history?follow=true", &[]);
    for _ in 0..100 {
        switch(&served);
    }
    let last = served.rig.engine.last_seq();
    let first = served.by_http().json("/history?limit=1");
    // Where the history is on disk, the start of the engine has a number, too.
    let mut expected = first["entries"][0]["seq"].as_u64().unwrap();
    assert!(expected <= 2);
    while expected <= last {
        let message = followed.next_message().unwrap();
        assert_eq!(message.event, "transition");
        assert_eq!(message.id, Some(expected));
        assert_eq!(message.data["seq"], expected);
        expected += 1;
    }
    let seen = [("last-event-id", "5")];
    let mut resumed = served.by_http().follow("/history?follow=true", &seen);
    assert_eq!(resumed.next_message().unwrap().id, Some(6));
    // Those that are there already come in several batches.
    for _ in 0..200 {
        switch(&served);
    }
    let last = served.rig.engine.last_seq();
    let kept = served.by_http().json("/history")["entries"].clone();
    let kept = kept.as_array().unwrap();
    assert!(kept.len() > 500, "{} are more than a batch", kept.len());
    let mut whole = served.by_http().follow("/history?follow=true", &[]);
    for entry in kept {
        // What came faster than it could be written may be missing, and is said to be.
        let next = whole.await_message(|message| message.event == "transition");
        assert_eq!(next.data["seq"], entry["seq"]);
    }
    let mut newest = served
        .by_http()
        .follow("/plugins/clock/history?follow=true&limit=2", &[]);
    assert_eq!(newest.next_message().unwrap().id, Some(last - 1));
    assert_eq!(newest.next_message().unwrap().id, Some(last));
    switch(&served);
    assert_eq!(newest.next_message().unwrap().id, Some(last + 1));
}

#[test]
fn of_a_hundred_streams_ten_are_never_read_and_nobody_else_notices() {
    let served = Served::new();
    clock(&served);
    served
        .rig
        .drop_as("floods", "floods", "interval = \"10ms\"");
    let asked = served.by_http();
    let request = b"GET /events HTTP/1.0\r\nhost: localhost\r\n\r\n";
    let _unread: Vec<_> = (0..10).map(|_| asked.say(request)).collect();
    let mut read: Vec<_> = (0..90)
        .map(|_| asked.follow("/events?pattern=plugin.clock.state", &[]))
        .collect();
    let first = |stream: &mut Followed, payload: &str| {
        stream
            .await_message(|message| message.data["payload"] == payload)
            .id
    };
    for stream in &mut read {
        first(stream, "Enabled");
    }
    // As much as fills what the system holds for those who do not read, and more.
    for _ in 0..200 {
        switch(&served);
    }
    served.rig.engine.unload("clock").unwrap();
    for stream in &mut read {
        first(stream, "Unloaded");
    }
    let began = Instant::now();
    assert_eq!(asked.get("/plugins").status, 200);
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert!(served.rig.engine.is_healthy(&[], None).is_ok());
}

#[test]
fn who_reads_nothing_of_what_is_written_is_dropped() {
    let served = with_limits(AdminLimits {
        connections: 1,
        write: Duration::from_millis(50),
        ..AdminLimits::default()
    });
    clock(&served);
    for _ in 0..300 {
        switch(&served);
    }
    let asked = served.by_socket();
    // The answers to these are far more than the system holds for who does not read.
    let one = "GET /history HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut deaf = asked.say(one.repeat(20).as_bytes());
    wait_for("the place to be free", || {
        let reply = std::panic::catch_unwind(|| asked.get("/engine").status);
        reply.is_ok_and(|status| status == 200)
    });
    let mut told = Vec::new();
    let _ = deaf.read_to_end(&mut told);
    let answers = told.windows(9).filter(|nine| nine == b"HTTP/1.1 ").count();
    assert!(answers < 20, "{answers} were answered");
}

#[test]
fn a_server_stops_at_once_and_cleanly_while_streams_are_open() {
    let served = Served::new();
    clock(&served);
    let mut streams: Vec<_> = (0..20)
        .map(|_| served.by_http().follow("/events", &[]))
        .chain((0..5).map(|_| served.by_socket().follow("/history?follow=true", &[])))
        .collect();
    let request = b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut in_chunks = served.by_socket().say(request);
    let mut first = [0; 16];
    in_chunks.read_exact(&mut first).unwrap();
    let socket = served.admin.socket().unwrap().to_owned();
    let began = Instant::now();
    served.rig.engine.shutdown(Duration::from_secs(5)).unwrap();
    assert!(!socket.exists());
    drop(served);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    for stream in &mut streams {
        while stream.next_message().is_some() {}
    }
    let mut rest = Vec::new();
    in_chunks.read_to_end(&mut rest).unwrap();
    let end = String::from_utf8_lossy(&rest);
    assert!(end.ends_with("\r\n0\r\n\r\n"), "it is not cut off: {end:?}");
}
