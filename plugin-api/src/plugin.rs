//! The one trait that an author implements.

use crate::{
    CreateContext, DisplayContext, PluginError, RestoreContext, SaveContext, UpdateContext, View,
};

/// A plugin: an object that is created once, updated when due, shown when asked for, and destroyed.
///
/// The engine calls an instance from one thread at a time, not always from the same one. Each call has a deadline
/// ([`UpdateContext::time_left`]); a call that passes it is recorded as timed out and its result, when it comes at last,
/// is discarded. A panic in any call is caught: the instance is then destroyed and created anew before the next update.
///
/// ```standalone_crate
/// use plugin_api::prelude::*;
///
/// struct Uptime {
///     updates: u64,
/// }
///
/// impl Plugin for Uptime {
///     fn create(_: &CreateContext) -> Result<Self, PluginError> {
///         Ok(Self { updates: 0 })
///     }
///
///     fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
///         self.updates += 1;
///         tracing::info!(updates = self.updates, "still here");   // reaches the host's subscriber
///         cx.publish("updates", self.updates.to_string());        // the event plugin.uptime.updates
///         Ok(())
///     }
/// }
///
/// export_plugin!(Uptime, id = "uptime", interval = "1s", timeout = "500ms");
/// # fn main() {}
/// ```
pub trait Plugin: Sized + Send + 'static {
    /// The version of what [`save_state`](Self::save_state) returns; 0, as it is unless the author says otherwise, says that instances
    /// of this plugin hand over no state at a reload.
    const STATE_VERSION: u32 = 0;

    /// Makes the instance. Called once per load, and again after a panic or a reset.
    ///
    /// # Errors
    /// Whatever keeps the plugin from starting. The plugin is then in the state Error, with this as the reason.
    fn create(cx: &CreateContext) -> Result<Self, PluginError>;

    /// Does the plugin's work, once per interval.
    ///
    /// # Errors
    /// A recoverable error leaves the plugin enabled, with the error shown, and is tried again one interval later
    /// or after [`PluginError::retry_after`]. A permanent one puts it into the state Error.
    fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError>;

    /// What a person sees of the plugin. Shows nothing unless the author says otherwise.
    ///
    /// ```
    /// # use plugin_api::prelude::*;
    /// # struct Counter { count: u64 }
    /// # impl Plugin for Counter {
    /// #     fn create(_: &CreateContext) -> Result<Self, PluginError> { Ok(Self { count: 0 }) }
    /// #     fn update(&mut self, _: &UpdateContext) -> Result<(), PluginError> { Ok(()) }
    ///     fn display(&mut self, _: &DisplayContext) -> Result<View, PluginError> {
    ///         Ok(View::text(format!("{} so far", self.count)))
    ///     }
    /// # }
    /// # let mut counter = plugin_test_host::TestHost::new().create::<Counter>().unwrap();
    /// # assert_eq!(counter.display().unwrap().as_text(), Some("0 so far"));
    /// ```
    /// # Errors
    /// Shown to the person who asked, and kept until the next display that succeeds. The state does not change.
    fn display(&mut self, cx: &DisplayContext) -> Result<View, PluginError> {
        let _ = cx;
        Ok(View::empty())
    }

    /// What the settings have to be, as a JSON Schema. The engine checks them against it before it creates an instance, and tells
    /// the operator every violation with file, line and column. Asked for once, when the file is loaded; at most 256 KiB.
    ///
    /// With the feature `schema`, [`plugin_api::schema`](crate::schema) derives it from the type of the settings.
    /// ```
    /// # use plugin_api::prelude::*;
    /// # struct Counter { count: u64 }
    /// # impl Plugin for Counter {
    /// #     fn create(_: &CreateContext) -> Result<Self, PluginError> { Ok(Self { count: 0 }) }
    /// #     fn update(&mut self, _: &UpdateContext) -> Result<(), PluginError> { Ok(()) }
    ///     fn settings_schema() -> Option<String> {
    ///         Some(r#"{ "properties": { "start": { "type": "integer", "minimum": 0 } } }"#.to_owned())
    ///     }
    /// # }
    /// # let host = plugin_test_host::TestHost::new();
    /// # assert!(host.settings(serde_json::json!({ "start": -1 })).create::<Counter>().is_err());
    /// ```
    #[must_use]
    fn settings_schema() -> Option<String> {
        None
    }

    /// What the instance that takes over at a reload shall know, as bytes that [`restore_state`](Self::restore_state) understands. Called
    /// if both have a [`STATE_VERSION`](Self::STATE_VERSION), between two updates, within 5 s; updates wait until the reload is
    /// through. If the reload is refused, this very instance goes on, so it must stay as it is. At most 64 MiB.
    ///
    /// ```
    /// # use plugin_api::prelude::*;
    /// # struct Counter { count: u64 }
    /// # impl Plugin for Counter {
    /// #     fn create(_: &CreateContext) -> Result<Self, PluginError> { Ok(Self { count: 0 }) }
    /// #     fn update(&mut self, _: &UpdateContext) -> Result<(), PluginError> { Ok(()) }
    ///     const STATE_VERSION: u32 = 1;
    ///
    ///     fn save_state(&mut self, _: &SaveContext) -> Result<Vec<u8>, PluginError> {
    ///         Ok(self.count.to_le_bytes().to_vec())
    ///     }
    /// # }
    /// # let mut counter = plugin_test_host::TestHost::new().create::<Counter>().unwrap();
    /// # counter.save_state().unwrap();
    /// ```
    /// # Errors
    /// The reload is refused, with this as the reason.
    fn save_state(&mut self, cx: &SaveContext) -> Result<Vec<u8>, PluginError> {
        let _ = cx;
        Err(PluginError::permanent(
            "it has a STATE_VERSION and does not implement save_state",
        ))
    }

    /// Takes over what the instance before has saved: called once, right after `create`, if there is something to take over. `version`
    /// is the [`STATE_VERSION`](Self::STATE_VERSION) of who saved it, which may be older than this one's, or newer.
    ///
    /// ```
    /// # use plugin_api::prelude::*;
    /// # struct Counter { count: u64 }
    /// # impl Plugin for Counter {
    /// #     fn create(_: &CreateContext) -> Result<Self, PluginError> { Ok(Self { count: 0 }) }
    /// #     fn update(&mut self, _: &UpdateContext) -> Result<(), PluginError> { Ok(()) }
    ///     const STATE_VERSION: u32 = 1;
    ///
    /// #     fn save_state(&mut self, _: &SaveContext) -> Result<Vec<u8>, PluginError> { Ok(vec![7; 8]) }
    ///     fn restore_state(&mut self, _: &RestoreContext, version: u32, state: &[u8]) -> Result<(), PluginError> {
    ///         if version != Self::STATE_VERSION {
    ///             return Err(PluginError::permanent(format!("cannot read state of version {version}")));
    ///         }
    ///         self.count = u64::from_le_bytes(state.try_into()?);
    ///         Ok(())
    ///     }
    /// # }
    /// # let mut counter = plugin_test_host::TestHost::new().create::<Counter>().unwrap();
    /// # let state = counter.save_state().unwrap();
    /// # counter.restore_state(&state).unwrap();
    /// ```
    /// # Errors
    /// The reload is refused, and the instance before goes on.
    fn restore_state(
        &mut self,
        cx: &RestoreContext,
        version: u32,
        state: &[u8],
    ) -> Result<(), PluginError> {
        let _ = (cx, state);
        Err(PluginError::permanent(format!(
            "it has a STATE_VERSION and does not implement restore_state, so that it cannot take over state of version {version}"
        )))
    }

    /// Gives back what the instance holds, for work that should not wait for `Drop` or that wants a name.
    /// ```
    /// # use plugin_api::prelude::*;
    /// # struct Counter { count: u64 }
    /// # impl Plugin for Counter {
    /// #     fn create(_: &CreateContext) -> Result<Self, PluginError> { Ok(Self { count: 0 }) }
    /// #     fn update(&mut self, _: &UpdateContext) -> Result<(), PluginError> { Ok(()) }
    ///     fn destroy(self) {
    ///         tracing::info!(self.count, "counted");
    ///     }
    /// # }
    /// # plugin_test_host::TestHost::new().create::<Counter>().unwrap().destroy().unwrap();
    /// ```
    fn destroy(self) {}
}
