//! How much a plugin logs: its lines are counted in place of being written.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber, subscriber};

static LINES: AtomicU64 = AtomicU64::new(0);
static LONGEST: AtomicU64 = AtomicU64::new(0);

/// How many lines there were so far.
pub(super) fn lines() -> u64 {
    LINES.load(Ordering::Relaxed)
}

/// How long the longest was, in bytes.
pub(super) fn longest() -> u64 {
    LONGEST.load(Ordering::Relaxed)
}

/// Counts from now on.
pub(super) fn start() {
    // A child starts it once; there is no other subscriber that could be in the way.
    let _ = subscriber::set_global_default(Count);
}

struct Count;

/// What a line says, if a plugin says it: those of the engine have no such field.
#[derive(Default)]
struct Line {
    is_of_plugin: bool,
    len: u64,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.len = format!("{value:?}").len() as u64;
        }
    }

    fn record_str(&mut self, field: &Field, _: &str) {
        self.is_of_plugin |= field.name() == "plugin";
    }
}

impl Subscriber for Count {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        if line.is_of_plugin {
            LINES.fetch_add(1, Ordering::Relaxed);
            LONGEST.fetch_max(line.len, Ordering::Relaxed);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
