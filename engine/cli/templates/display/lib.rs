//! Draws how long ago each of its last updates was.

use std::num::NonZeroUsize;
use std::time::Instant;

use plugin_api::prelude::*;

#[cfg(test)]
mod tests;

#[derive(serde::Deserialize, plugin_api::schemars::JsonSchema)]
#[schemars(crate = "plugin_api::schemars", deny_unknown_fields)]
struct Settings {
    /// How many updates are shown; 10 if nothing else is said.
    shown: Option<NonZeroUsize>,
}

struct PluginName {
    shown: usize,
    updates: Vec<Instant>,
}

impl Plugin for PluginName {
    fn create(cx: &CreateContext) -> Result<Self, PluginError> {
        let settings: Settings = cx.settings()?;
        Ok(Self {
            shown: settings.shown.map_or(10, NonZeroUsize::get),
            updates: Vec::new(),
        })
    }

    fn update(&mut self, _cx: &UpdateContext) -> Result<(), PluginError> {
        self.updates.insert(0, Instant::now());
        self.updates.truncate(self.shown);
        Ok(())
    }

    fn display(&mut self, _cx: &DisplayContext) -> Result<View, PluginError> {
        let ago = self.updates.iter().map(|update| update.elapsed().as_secs());
        let lines = ago.map(|seconds| format!("{seconds} s ago\n"));
        Ok(View::text(lines.collect::<String>()))
    }

    fn settings_schema() -> Option<String> {
        plugin_api::schema::<Settings>()
    }
}

export_plugin!(PluginName, id = "plugin-name", interval = "1s");
