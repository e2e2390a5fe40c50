//! Says how often it was updated.

use plugin_api::prelude::*;

#[cfg(test)]
mod tests;

#[derive(serde::Deserialize, plugin_api::schemars::JsonSchema)]
#[schemars(crate = "plugin_api::schemars", deny_unknown_fields)]
struct Settings {
    /// What is said at each update; "hello" if nothing else is.
    greeting: Option<String>,
}

struct PluginName {
    greeting: String,
    updates: u64,
}

impl Plugin for PluginName {
    fn create(cx: &CreateContext) -> Result<Self, PluginError> {
        let settings: Settings = cx.settings()?;
        let greeting = settings.greeting.unwrap_or("hello".to_owned());
        Ok(Self {
            greeting,
            updates: 0,
        })
    }

    fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
        self.updates += 1;
        tracing::info!(updates = self.updates, "{}", self.greeting);
        cx.publish("updates", self.updates.to_string());
        Ok(())
    }

    fn settings_schema() -> Option<String> {
        plugin_api::schema::<Settings>()
    }
}

export_plugin!(PluginName, id = "plugin-name", interval = "1s");
