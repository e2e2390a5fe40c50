//! `/events`: what is kept of the events, and what comes from now on.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use plugin_engine::TopicPattern;
use plugin_engine_wire::{Event, Events};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::answer::{Refusal, json};
use crate::query::{pairs, refuse_rest};
use crate::server::App;
use crate::server_sent::{HEARTBEAT, Messages, Source, stream};
use crate::{query, server_sent};

/// How many events are written at a time.
const BATCH: usize = 64;
/// The longest pattern, in bytes.
const PATTERN_LEN_MAX: usize = 256;

pub(crate) async fn events(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    let mut asked = pairs(uri.query())?;
    let follow = query::take_flag(&mut asked, "follow", true)?;
    let mut pattern = "**".to_owned();
    for (_, value) in asked.extract_if(.., |(key, _)| key == "pattern") {
        if value.is_empty() || value.len() > PATTERN_LEN_MAX {
            return Err(Refusal::bad_query(format!(
                "the pattern has to have 1 to {PATTERN_LEN_MAX} bytes, as in plugin.*.unhealthy"
            )));
        }
        pattern = value;
    }
    refuse_rest(&asked, "there are pattern, follow")?;
    let pattern = TopicPattern::new(&pattern);
    let seen = server_sent::last_seen(&headers)?;
    if follow {
        return Ok(stream(Following::new(app, pattern, seen)));
    }
    let from = seen.map_or_else(|| app.events.begin(), |seen| app.events.after(seen).0);
    let unhealthy = app.events.unhealthy(&app.engine, &pattern);
    let kept = app.events.read(from, usize::MAX).events.into_iter();
    let kept = kept.filter(|event| pattern.matches(&event.topic));
    let is_new = |seq: u64| seen.is_none_or(|seen| seq > seen);
    let events = unhealthy.into_iter().filter(|event| is_new(event.seq));
    let events = events.chain(kept).map(|event| Event::from(&*event));
    Ok(json(&Events {
        events: events.collect(),
    }))
}

/// Somebody who follows the events.
struct Following {
    app: Arc<App>,
    pattern: TopicPattern,
    /// The place of the next event.
    next: u64,
    /// The number of the one before.
    seen: u64,
    /// What comes before that.
    first: Messages,
    changed: watch::Receiver<u64>,
    /// When it has to be said that nothing has happened.
    beat: Instant,
}

impl Following {
    fn new(app: Arc<App>, pattern: TopicPattern, seen: Option<u64>) -> Self {
        let changed = app.events.watch();
        let (next, lost) = match seen {
            Some(seen) => app.events.after(seen),
            None => (app.events.begin(), 0),
        };
        let mut first = Messages::default();
        if lost > 0 {
            first.add_lost(lost, seen.unwrap_or(0));
        }
        for event in app.events.unhealthy(&app.engine, &pattern) {
            if seen.is_none_or(|seen| event.seq > seen) {
                first.add(None, Some(event.seq), &Event::from(&*event));
            }
        }
        let beat = Instant::now() + app.limits.heartbeat;
        Self {
            app,
            pattern,
            next,
            seen: seen.unwrap_or(0),
            first,
            changed,
            beat,
        }
    }

    /// What is there to be written.
    fn read(&mut self) -> Messages {
        let mut messages = std::mem::take(&mut self.first);
        while messages.is_empty() {
            let read = self.app.events.read(self.next, BATCH);
            if read.events.is_empty() {
                break;
            }
            self.next = read.next;
            if read.lost > 0 {
                messages.add_lost(read.lost, self.seen);
            }
            for event in &read.events {
                self.seen = event.seq;
                if self.pattern.matches(&event.topic) {
                    messages.add(None, Some(event.seq), &Event::from(&**event));
                }
            }
        }
        messages
    }
}

impl Source for Following {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.app.is_stopping() {
                return None;
            }
            // Before the look: what comes later is heard.
            self.changed.mark_unchanged();
            let messages = self.read();
            if !messages.is_empty() {
                self.beat = Instant::now() + self.app.limits.heartbeat;
                return Some(messages.into());
            }
            tokio::select! {
                _ = self.changed.changed() => {}
                () = self.app.stopped() => return None,
                () = sleep_until(self.beat) => {
                    self.beat = Instant::now() + self.app.limits.heartbeat;
                    return Some(Bytes::from_static(HEARTBEAT));
                }
            }
        }
    }
}
