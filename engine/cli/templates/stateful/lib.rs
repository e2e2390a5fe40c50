//! Counts its updates, and goes on counting where it was after a reload.

use plugin_api::prelude::*;

#[cfg(test)]
mod tests;

#[derive(serde::Deserialize, plugin_api::schemars::JsonSchema)]
#[schemars(crate = "plugin_api::schemars", deny_unknown_fields)]
struct Settings {
    /// The number to count from; 0 if nothing else is said.
    start: Option<u64>,
}

struct PluginName(u64);

impl Plugin for PluginName {
    /// Of the bytes below. A version that saves others has another number, and restores these, too.
    const STATE_VERSION: u32 = 1;

    fn create(cx: &CreateContext) -> Result<Self, PluginError> {
        Ok(Self(cx.settings::<Settings>()?.start.unwrap_or(0)))
    }

    fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
        self.0 += 1;
        cx.publish("count", self.0.to_string());
        Ok(())
    }

    fn save_state(&mut self, _cx: &SaveContext) -> Result<Vec<u8>, PluginError> {
        Ok(self.0.to_le_bytes().to_vec())
    }

    fn restore_state(
        &mut self,
        _: &RestoreContext,
        version: u32,
        state: &[u8],
    ) -> Result<(), PluginError> {
        if version != Self::STATE_VERSION {
            return Err(PluginError::permanent("a state of another version"));
        }
        self.0 = u64::from_le_bytes(state.try_into()?);
        Ok(())
    }

    fn settings_schema() -> Option<String> {
        plugin_api::schema::<Settings>()
    }
}

export_plugin!(PluginName, id = "plugin-name", interval = "1s");
