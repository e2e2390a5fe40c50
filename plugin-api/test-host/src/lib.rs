//! Calls a plugin as an engine does, inside an ordinary `cargo test`: no engine, no plugin file, and a clock that stands still.
//!
//! ```
//! use std::time::Duration;
//!
//! use plugin_api::prelude::*;
//! use plugin_test_host::{TestHost, Then, When};
//!
//! #[derive(serde::Deserialize)]
//! struct Settings { start: u64 }
//!
//! struct Counter { count: u64 }
//!
//! impl Plugin for Counter {
//!     fn create(cx: &CreateContext) -> Result<Self, PluginError> {
//!         let settings: Settings = cx.settings()?;
//!         Ok(Self { count: settings.start })
//!     }
//!
//!     fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
//!         if cx.is_cancelled() {
//!             return Err(PluginError::recoverable("cancelled"));
//!         }
//!         self.count += 1;
//!         cx.publish("count", self.count.to_string());
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<(), plugin_test_host::CallError> {
//! let host = TestHost::new().settings(serde_json::json!({ "start": 5 }));
//! let mut counter = host.create::<Counter>()?;
//! counter.update()?;
//! assert_eq!(counter.published()[0].payload, "6");
//!
//! // What a machine under load does once a year, at will.
//! counter.in_next_call(When::Question(1), Then::Cancel);
//! assert_eq!(counter.update().unwrap_err().message(), "cancelled");
//!
//! // Settings that do not fit.
//! let refused = TestHost::new().create::<Counter>().unwrap_err();
//! assert_eq!(refused.message(), "settings: missing field `start`");
//! counter.destroy()
//! # }
//! ```
//!
//! The plugin is called through the very shims that `export_plugin!` puts into a plugin file, with the same contexts, the same reading of
//! settings and the same panic barrier, and it is treated as an engine treats it: settings that violate the schema do not reach it, an
//! instance that has panicked is destroyed and created anew before the next call, one that has failed permanently is not called until it
//! is reset, and what a call says or returns after its deadline is discarded.
//!
//! What is not here: files, threads, schedules, policies. A call is made on the thread of the test, so one that never returns hangs the
//! test. A panic on a thread of the plugin's own is printed as any other of the test and not counted, and what such a thread logs goes to
//! standard error, or to the subscriber that the test has set.
//!
//! Modules: `host` is what holds for the instances of a plugin, `plugin` one plugin and how it is treated, `instance` and `services` the
//! boundary, `context` what the services do, `recording` what was said.

mod clock;
mod context;
mod error;
mod host;
mod instance;
mod interruption;
mod plugin;
mod process;
mod recording;
mod reload;
mod services;
mod settings;

pub use clock::Clock;
pub use error::{Call, CallError};
pub use host::TestHost;
pub use instance::SavedState;
pub use interruption::{Canceller, Then, When};
pub use plugin::TestPlugin;
pub use recording::{Level, LogLine, Published, Recording};
pub use reload::ReloadRefused;
