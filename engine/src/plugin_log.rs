//! What plugins log, handed to the host's own subscriber with the target and the level that the plugin gave it.
//!
//! `tracing` wants metadata that lives for ever, so each pair of target and level a plugin uses gets a call site that is leaked
//! on purpose. There is a bound; beyond it lines appear under the target `plugin`.

use std::collections::HashMap;
use std::sync::LazyLock;

use parking_lot::RwLock;
use plugin_engine_core::{PluginId, bounded, escape_control};
use tracing_core::callsite::{Callsite, Identifier};
use tracing_core::field::{FieldSet, Value};
use tracing_core::subscriber::Interest;
use tracing_core::{Event, Kind, Level, Metadata, dispatcher};

/// How many call sites are made.
const SITES_MAX: usize = 1_024;
/// The longest target, in bytes.
const TARGET_LEN_MAX: usize = 128;
/// The target of what comes beyond that.
const OVERFLOW_TARGET: &str = "plugin";

static FIELDS: &[&str] = &["message", "plugin", "spans"];

type Sites = HashMap<(Box<str>, u8), &'static Site>;

static SITES: LazyLock<RwLock<Sites>> = LazyLock::new(RwLock::default);

struct Site {
    metadata: std::sync::OnceLock<Metadata<'static>>,
}

impl Callsite for Site {
    // Whether a line is wanted is asked each time: plugins log seldom, and the answer may change.
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.metadata.get_or_init(|| {
            // Reached only if a subscriber asks before `site` has filled it in, which it does first.
            metadata_of(OVERFLOW_TARGET, Level::INFO, &FALLBACK)
        })
    }
}

static FALLBACK: Site = Site {
    metadata: std::sync::OnceLock::new(),
};

fn metadata_of(target: &'static str, level: Level, site: &'static Site) -> Metadata<'static> {
    Metadata::new(
        "log of a plugin",
        target,
        level,
        None,
        None,
        None,
        FieldSet::new(FIELDS, Identifier(site)),
        Kind::EVENT,
    )
}

fn level_of(number: u8) -> Level {
    match number {
        0 | 1 => Level::ERROR,
        2 => Level::WARN,
        3 => Level::INFO,
        4 => Level::DEBUG,
        _ => Level::TRACE,
    }
}

fn site(target: &str, level: u8) -> &'static Site {
    // Formatters write it as it is.
    let target = escape_control(target);
    let target = bounded(&target, TARGET_LEN_MAX);
    let level = level.clamp(1, 5);
    // A borrowed pair cannot be looked up in a map of owned ones; a plugin's line costs far more than this copy.
    let key = (Box::from(target), level);
    if let Some(site) = SITES.read().get(&key) {
        return site;
    }
    let mut sites = SITES.write();
    if let Some(site) = sites.get(&key) {
        return site;
    }
    let (key, target): (_, &'static str) = if sites.len() < SITES_MAX {
        (key, Box::leak(Box::from(target)))
    } else {
        let key = (Box::from(OVERFLOW_TARGET), level);
        if let Some(site) = sites.get(&key) {
            return site;
        }
        (key, OVERFLOW_TARGET)
    };
    let site: &'static Site = Box::leak(Box::new(Site {
        metadata: std::sync::OnceLock::new(),
    }));
    site.metadata
        .get_or_init(|| metadata_of(target, level_of(level), site));
    sites.insert(key, site);
    drop(sites);
    tracing_core::callsite::register(site);
    site
}

/// Hands a line to the subscriber of this thread, or the global one.
pub(crate) fn emit(id: &PluginId, level: u8, target: &str, message: &str, spans: &str) {
    let metadata = site(target, level).metadata.get();
    let Some(metadata) = metadata else { return };
    dispatcher::get_default(|dispatch| {
        if !dispatch.enabled(metadata) {
            return;
        }
        let mut fields = metadata.fields().iter();
        let (Some(text), Some(plugin), Some(within)) =
            (fields.next(), fields.next(), fields.next())
        else {
            return;
        };
        let message = escape_control(message);
        let message = format_args!("{message}");
        let within_value = (!spans.is_empty()).then_some(spans);
        let values = [
            (&text, Some(&message as &dyn Value)),
            (&plugin, Some(&id.as_str() as &dyn Value)),
            (
                &within,
                within_value.as_ref().map(|spans| spans as &dyn Value),
            ),
        ];
        dispatch.event(&Event::new(metadata, &metadata.fields().value_set(&values)));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_bounded_and_cannot_steer_a_terminal() {
        let target = |given: &str| site(given, 3).metadata.get().unwrap().target();
        assert_eq!(target("a::b"), "a::b");
        assert_eq!(target("a\x1b[31m\nb"), "a\\u{1b}[31m\\nb");
        assert_eq!(target(&"x".repeat(10_000)).len(), TARGET_LEN_MAX);
    }
}
