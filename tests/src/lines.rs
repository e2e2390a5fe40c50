//! What this test binary's subscriber heard: the lines of the engine and of the plugins, by plugin.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Once};

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// One line of log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    /// The target.
    pub target: String,
    /// The level.
    pub level: String,
    /// The message.
    pub message: String,
    /// All other fields.
    pub fields: HashMap<String, String>,
}

type Hook = Arc<dyn Fn(&Line) + Send + Sync>;

// No locks of the standard library, whose orders ThreadSanitizer does not see where two threads want one at once.
static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());
static HOOKS: Mutex<Vec<(String, Hook)>> = Mutex::new(Vec::new());
static INSTALLED: Once = Once::new();

fn install() {
    INSTALLED.call_once(|| {
        tracing::subscriber::set_global_default(Ears).expect("there is no other subscriber");
    });
}

/// The lines of this plugin so far. Listening begins with the first call, or with the first [`on_line`].
pub fn lines_of(plugin: &str) -> Vec<Line> {
    install();
    let lines = LINES.lock();
    lines
        .iter()
        .filter(|line| line.is_of(plugin))
        .cloned()
        .collect()
}

/// The lines that name this file so far. Listening begins as with [`lines_of`].
pub fn lines_about(file: &Path) -> Vec<Line> {
    install();
    let file = file.display().to_string();
    let lines = LINES.lock();
    lines
        .iter()
        .filter(|line| line.fields.get("file") == Some(&file))
        .cloned()
        .collect()
}

/// How many lines of the engine have both texts in their message. Listening begins as with [`lines_of`].
pub fn count_lines(one: &str, other: &str) -> usize {
    install();
    let lines = LINES.lock();
    let said = |line: &&Line| line.message.contains(one) && line.message.contains(other);
    lines.iter().filter(said).count()
}

/// The lines that have this text in their message so far. Listening begins as with [`lines_of`].
pub fn lines_with(text: &str) -> Vec<Line> {
    install();
    let lines = LINES.lock();
    let said = lines.iter().filter(|line| line.message.contains(text));
    said.cloned().collect()
}

/// Calls `hook` for every line of this plugin, on the thread that logs it.
pub fn on_line(plugin: &str, hook: impl Fn(&Line) + Send + Sync + 'static) {
    install();
    HOOKS.lock().push((plugin.to_owned(), Arc::new(hook)));
}

impl Line {
    fn is_of(&self, plugin: &str) -> bool {
        self.fields.get("plugin").is_some_and(|of| of == plugin)
    }
}

struct Ears;

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.insert(field.name().to_owned(), text);
        }
    }
}

impl Subscriber for Ears {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line {
            target: event.metadata().target().to_owned(),
            level: event.metadata().level().to_string(),
            ..Line::default()
        };
        event.record(&mut line);
        LINES.lock().push(line.clone());
        // Called without the lock: a hook may ask the engine, which may log.
        let hooks: Vec<Hook> = HOOKS
            .lock()
            .iter()
            .filter(|(plugin, _)| line.is_of(plugin))
            .map(|(_, hook)| Arc::clone(hook))
            .collect();
        for hook in hooks {
            hook(&line);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
