//! Counts its updates: the smallest plugin that uses everything an author has.

use plugin_api::prelude::*;

#[derive(serde::Deserialize, plugin_api::schemars::JsonSchema)]
#[schemars(crate = "plugin_api::schemars")]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The number to count from.
    #[serde(default)]
    start: u64,
}

struct Counter {
    count: u64,
}

impl Plugin for Counter {
    /// The state below: eight bytes, the count, lowest first.
    const STATE_VERSION: u32 = 1;

    fn create(cx: &CreateContext) -> Result<Self, PluginError> {
        let settings: Settings = cx.settings()?;
        Ok(Self {
            count: settings.start,
        })
    }

    fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
        if cx.is_cancelled() || cx.time_left() < std::time::Duration::from_millis(5) {
            return Err(PluginError::recoverable("no time left")
                .retry_after(std::time::Duration::from_secs(2)));
        }
        cx.record_progress();
        self.count += 1;
        tracing::info!(count = self.count, "counted");
        cx.publish("count", self.count.to_string());
        Ok(())
    }

    fn display(&mut self, _cx: &DisplayContext) -> Result<View, PluginError> {
        Ok(View::text(format!("{} so far", self.count)))
    }

    fn save_state(&mut self, _cx: &SaveContext) -> Result<Vec<u8>, PluginError> {
        Ok(self.count.to_le_bytes().to_vec())
    }

    fn restore_state(
        &mut self,
        _cx: &RestoreContext,
        version: u32,
        state: &[u8],
    ) -> Result<(), PluginError> {
        if version != Self::STATE_VERSION {
            let reason = format!("it cannot take over state of version {version}");
            return Err(PluginError::permanent(reason));
        }
        self.count = u64::from_le_bytes(state.try_into()?);
        Ok(())
    }

    fn settings_schema() -> Option<String> {
        plugin_api::schema::<Settings>()
    }

    fn destroy(self) {}
}

export_plugin!(Counter, id = "counter", interval = "1s", timeout = "500ms");
