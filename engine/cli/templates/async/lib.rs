//! Waits for what a task of its own measures.

use std::time::Duration;

use plugin_api::prelude::*;
use tokio::sync::watch;
use tokio::time::sleep;

#[cfg(test)]
mod tests;

#[derive(serde::Deserialize, plugin_api::schemars::JsonSchema)]
#[schemars(crate = "plugin_api::schemars", deny_unknown_fields)]
struct Settings {
    /// How long a measurement takes, in milliseconds; 10 if nothing else is said.
    milliseconds: Option<u64>,
}

struct PluginName {
    measured: watch::Receiver<u64>,
}

impl AsyncPlugin for PluginName {
    async fn create(cx: &CreateContext<'_>, tasks: &Tasks) -> Result<Self, PluginError> {
        let settings: Settings = cx.settings()?;
        let takes = Duration::from_millis(settings.milliseconds.unwrap_or(10));
        let (sender, measured) = watch::channel(0);
        // Goes on between the calls, and ends with the instance.
        tasks.spawn("measure", async move {
            loop {
                sleep(takes).await;
                sender.send_modify(|number| *number += 1);
            }
        });
        Ok(Self { measured })
    }

    async fn update(&mut self, cx: &UpdateContext<'_>) -> Result<(), PluginError> {
        // Given up at the deadline.
        self.measured.changed().await?;
        cx.publish("measured", self.measured.borrow().to_string());
        Ok(())
    }

    fn settings_schema() -> Option<String> {
        plugin_api::schema::<Settings>()
    }
}

export_plugin!(Async<PluginName>, id = "plugin-name", interval = "1s");
