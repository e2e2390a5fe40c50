//! What the engine says of the steps of a load, summed up.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Microseconds per step and load, by the names of the fields.
static STEPS: Mutex<BTreeMap<&str, Vec<f64>>> = Mutex::new(BTreeMap::new());

struct Listener;

struct Steps;

impl Visit for Steps {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name().ends_with("_us")
            && let Ok(mut steps) = STEPS.lock()
        {
            steps.entry(field.name()).or_default().push(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "plugin_engine" && *metadata.level() == Level::DEBUG
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Steps);
    }

    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Begins to listen, for the life of the process.
pub(crate) fn listen() {
    tracing::subscriber::set_global_default(Listener).expect("there is no other subscriber");
}

/// Prints the median of each of these steps.
pub(crate) fn print(names: &[&str]) {
    let Ok(steps) = STEPS.lock() else { return };
    println!("{:<20} {:>10}", "microseconds", "median");
    for name in names {
        let Some(taken) = steps.get(name) else {
            continue;
        };
        let mut taken = taken.clone();
        taken.sort_by(f64::total_cmp);
        println!(
            "{:<20} {:>10.1}",
            name.trim_end_matches("_us"),
            taken[taken.len() / 2]
        );
    }
}
