//! The plugin's own `tracing` and `log` calls, on their way to the host's subscriber.
//!
//! A plugin file has its own copy of `tracing`, so the host's subscriber does not see its events. This subscriber turns
//! each into one line of text and hands it over. It keeps no thread-local with a destructor: which spans are
//! entered stands in the call's frame on the stack.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use abi_stable::std_types::RStr;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::abi::LogRecord;
use crate::guard::{self, SPAN_DEPTH_MAX};
use crate::host;

/// How many spans may be open at once in one plugin file; further ones are not named in its log lines.
const OPEN_SPANS_MAX: usize = 4_096;

/// Installs both, once per mapped file. A plugin that installed its own before keeps it.
pub(crate) fn install() {
    // The log lines of `log` name the same spans, so both look at one subscriber.
    let _ = tracing::subscriber::set_global_default(&*SPANS);
    if log::set_logger(&HostLogger).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

/// What hands lines over to the host of the call that a thread is in, for whoever calls a plugin in a program that has a subscriber of its
/// own.
#[must_use]
pub fn dispatch() -> &'static tracing::Dispatch {
    static DISPATCH: LazyLock<tracing::Dispatch> =
        LazyLock::new(|| tracing::Dispatch::new(&*SPANS));
    &DISPATCH
}

/// Gives back what can be given back before the file is unmapped. `tracing` keeps the reference to the subscriber and a list of such
/// references, some hundred bytes, which nothing takes back.
pub(crate) fn release() {
    *SPANS.spans() = HashMap::new();
}

fn level_number(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

fn forward(level: u8, target: &str, message: &str, spans: &str) {
    let record = LogRecord {
        level,
        target: RStr::from_str(target),
        message: RStr::from_str(message),
        spans: RStr::from_str(spans),
    };
    guard::with_active(|active| match (active, guard::module_host()) {
        (Some(active), _) => host::log(active.frame, &record),
        (None, Some(module)) => module.log(0, &record),
        (None, None) => {}
    });
}

static SPANS: LazyLock<HostSubscriber> = LazyLock::new(HostSubscriber::default);

#[derive(Default)]
struct HostSubscriber {
    last_span: AtomicU64,
    spans: Mutex<HashMap<u64, OpenSpan>>,
}

struct OpenSpan {
    text: String,
    handles: usize,
}

impl HostSubscriber {
    fn spans(&self) -> std::sync::MutexGuard<'_, HashMap<u64, OpenSpan>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entered(&self) -> String {
        guard::with_active(|active| {
            let mut text = String::new();
            let Some(active) = active else { return text };
            let depth = active.span_depth.get().min(SPAN_DEPTH_MAX);
            if depth == 0 {
                return text;
            }
            let entered = active.spans.get();
            let open = self.spans();
            for id in &entered[..depth] {
                if let Some(span) = open.get(id) {
                    if !text.is_empty() {
                        text.push(':');
                    }
                    text.push_str(&span.text);
                }
            }
            text
        })
    }
}

impl Subscriber for &'static HostSubscriber {
    // The host's level changes at run time, so no call site may remember an answer for good.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        level_number(metadata.level()) <= guard::log_level_max()
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = self.last_span.fetch_add(1, Ordering::Relaxed) + 1;
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let name = attributes.metadata().name();
        let text = if fields.text.is_empty() {
            name.to_owned()
        } else {
            format!("{name}{{{}}}", fields.text.trim_start())
        };
        let mut open = self.spans();
        if open.len() < OPEN_SPANS_MAX {
            open.insert(id, OpenSpan { text, handles: 1 });
        }
        Id::from_u64(id)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(span) = self.spans().get_mut(&id.into_u64()) {
            span.text
                .push_str(&format!("{{{}}}", fields.text.trim_start()));
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.message + &fields.text;
        forward(
            level_number(event.metadata().level()),
            event.metadata().target(),
            message.trim_start(),
            &self.entered(),
        );
    }

    fn enter(&self, id: &Id) {
        guard::with_active(|active| {
            let Some(active) = active else { return };
            let depth = active.span_depth.get();
            let mut spans = active.spans.get();
            if let Some(slot) = spans.get_mut(depth) {
                *slot = id.into_u64();
                active.spans.set(spans);
            }
            active.span_depth.set(depth + 1);
        });
    }

    fn exit(&self, _: &Id) {
        guard::with_active(|active| {
            if let Some(active) = active {
                active
                    .span_depth
                    .set(active.span_depth.get().saturating_sub(1));
            }
        });
    }

    fn clone_span(&self, id: &Id) -> Id {
        if let Some(span) = self.spans().get_mut(&id.into_u64()) {
            span.handles += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut open = self.spans();
        let Some(span) = open.get_mut(&id.into_u64()) else {
            return false;
        };
        span.handles -= 1;
        if span.handles == 0 {
            open.remove(&id.into_u64());
            return true;
        }
        false
    }
}

/// The message of an event, and its other fields as ` key=value` each.
#[derive(Default)]
struct Fields {
    message: String,
    text: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string fails only if the value's own Debug does, and then the rest of the line still counts.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.text, " {}={value:?}", field.name())
        };
    }
}

struct HostLogger;

impl log::Log for HostLogger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() as usize <= usize::from(guard::log_level_max())
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let message = record.args().to_string();
            forward(
                record.level() as u8,
                record.target(),
                &message,
                &SPANS.entered(),
            );
        }
    }

    fn flush(&self) {}
}
