//! How long the steps of a reload take. Only measures.

use std::time::{Duration, Instant};

use plugin_engine_core::PluginId;

/// How long the steps of a reload took, for whoever wants to know why one took long.
pub(super) struct Steps {
    began: Instant,
    last: Instant,
    taken: Vec<(&'static str, Duration)>,
}

impl Steps {
    pub(super) fn begin() -> Self {
        let began = Instant::now();
        Self {
            began,
            last: began,
            taken: Vec::new(),
        }
    }

    pub(super) fn end(&mut self, step: &'static str) {
        let now = Instant::now();
        self.taken.push((step, now - self.last));
        self.last = now;
    }

    pub(super) fn log(&self, id: &PluginId) {
        let micros = |step: &str| {
            let taken = self.taken.iter().filter(|(taken, _)| *taken == step);
            taken.map(|(_, time)| time.as_secs_f64() * 1e6).sum::<f64>()
        };
        tracing::debug!(
            target: "plugin_engine",
            plugin = %id,
            create_us = micros("create"),
            state_us = micros("state"),
            trial_us = micros("trial"),
            // For a call that is in flight, and then all that the plugin notices: how long it cannot be called.
            wait_us = micros("wait"),
            switch_us = micros("switch"),
            destroy_us = micros("destroy"),
            all_us = self.began.elapsed().as_secs_f64() * 1e6,
            "reloaded"
        );
    }
}
