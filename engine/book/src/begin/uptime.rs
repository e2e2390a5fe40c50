//! Says how often it was called.

use plugin_api::prelude::*;

struct Uptime {
    updates: u64,
}

impl Plugin for Uptime {
    fn create(_: &CreateContext) -> Result<Self, PluginError> {
        Ok(Self { updates: 0 })
    }

    fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
        self.updates += 1;
        tracing::info!(updates = self.updates, "still here");   // reaches the host's subscriber
        cx.publish("updates", self.updates.to_string());        // the event plugin.uptime.updates
        Ok(())
    }
}

export_plugin!(Uptime, id = "uptime", interval = "1s", timeout = "500ms");
