//! A reload: a plugin of another type, as of another version, is tried beside the one that there is, and takes over or is refused.

use std::fmt;

use plugin_api::Plugin;

use crate::error::CallError;
use crate::host::TestHost;
use crate::plugin::TestPlugin;

/// A reload that was refused: the plugin before goes on.
pub struct ReloadRefused<P: Plugin> {
    /// The plugin before.
    pub plugin: TestPlugin<P>,
    /// Why.
    pub error: CallError,
}

impl<P: Plugin> fmt::Debug for ReloadRefused<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadRefused")
            .field("plugin", &self.plugin)
            .field("error", &self.error)
            .finish()
    }
}

impl<P: Plugin> fmt::Display for ReloadRefused<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the reload was refused: {}", self.error)
    }
}

impl<P: Plugin> std::error::Error for ReloadRefused<P> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<P: Plugin> TestPlugin<P> {
    /// Replaces the plugin by one of the type `Q`, with the settings of `host`, in the order of an engine: create, save of the one before
    /// and restore where both have a `STATE_VERSION`, a trial update, the switch, and only then the destroy of the one before. What the new
    /// one publishes becomes known with the switch.
    ///
    /// # Errors
    /// Any of that failed. The plugin before is in the error, and goes on.
    pub fn reload_as<Q: Plugin>(
        mut self,
        host: &TestHost,
    ) -> Result<TestPlugin<Q>, Box<ReloadRefused<P>>> {
        match self.replacement::<Q>(host) {
            Ok(replacement) => {
                replacement.context.take_over();
                drop(self);
                Ok(replacement)
            }
            Err(error) => Err(Box::new(ReloadRefused {
                plugin: self,
                error,
            })),
        }
    }

    fn replacement<Q: Plugin>(&mut self, host: &TestHost) -> Result<TestPlugin<Q>, CallError> {
        let mut replacement = TestPlugin::<Q>::create(host, true)?;
        if P::STATE_VERSION > 0 && Q::STATE_VERSION > 0 {
            let state = self.save_state()?;
            replacement.restore_state(&state)?;
        }
        replacement.update()?;
        Ok(replacement)
    }
}
