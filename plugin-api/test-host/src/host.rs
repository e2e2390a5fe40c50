//! What holds for the instances of a plugin: its id, its settings, the clock, how long calls may take.

use std::time::Duration;

use plugin_api::Plugin;
use serde::Serialize;
use serde_json::Value;

use crate::clock::Clock;
use crate::error::CallError;
use crate::plugin::TestPlugin;

/// An engine's side of a plugin, without an engine. Made once, it can create any number of plugins.
#[derive(Debug, Clone)]
pub struct TestHost {
    pub(crate) id: String,
    pub(crate) settings: Result<Value, String>,
    pub(crate) timeout: Duration,
    pub(crate) clock: Clock,
}

impl TestHost {
    /// A host with no settings, the id `test`, a clock that stands still, and 30 s for each call.
    #[must_use]
    pub fn new() -> Self {
        Self {
            id: "test".to_owned(),
            settings: Ok(Value::Object(serde_json::Map::new())),
            timeout: Duration::from_secs(30),
            clock: Clock::manual(),
        }
    }

    /// The id that the configuration gives the plugin.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// The plugin's settings: `json!({ "start": 5 })`, a map, or a struct of the test's own. What is no table of keys is refused by
    /// [`TestHost::create`].
    #[must_use]
    pub fn settings(mut self, settings: impl Serialize) -> Self {
        self.settings = serde_json::to_value(settings).map_err(|error| error.to_string());
        self
    }

    /// How long each call may take, by the host's clock.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Another clock than one of its own that stands still.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Creates an instance of `P`, as an engine does when the plugin is loaded.
    ///
    /// # Errors
    /// The settings do not fit the plugin's schema, or its `create` fails, panics or returns too late.
    pub fn create<P: Plugin>(&self) -> Result<TestPlugin<P>, CallError> {
        TestPlugin::create(self, false)
    }
}

impl Default for TestHost {
    fn default() -> Self {
        Self::new()
    }
}
