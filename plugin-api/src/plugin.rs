//! The one trait that an author implements.

use crate::{CreateContext, DisplayContext, PluginError, UpdateContext, View};

/// A plugin: an object that is created once, updated when due, shown when asked for, and destroyed.
///
/// The engine calls an instance from one thread at a time, not always from the same one. Each call has a deadline
/// ([`UpdateContext::time_left`]); a call that passes it is recorded as timed out and its result, when it comes at last,
/// is discarded. A panic in any call is caught: the instance is then destroyed and created anew before the next update.
pub trait Plugin: Sized + Send + 'static {
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
    #[must_use]
    fn settings_schema() -> Option<String> {
        None
    }

    /// Gives back what the instance holds, for work that should not wait for `Drop` or that wants a name.
    fn destroy(self) {}
}
