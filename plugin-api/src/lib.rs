//! What the author of a plugin sees: the [`Plugin`] trait, the contexts of its calls, and [`export_plugin!`].
//!
//! A plugin is a crate with `crate-type = ["cdylib"]`, one `impl Plugin` and one line that exports it. The file that
//! comes out runs in any engine that was built against a compatible `plugin-api`, whatever compiler built either.
//!
//! ```standalone_crate
//! use plugin_api::prelude::*;
//!
//! #[derive(serde::Deserialize)]
//! struct Settings { start: u64 }
//!
//! struct Counter { count: u64 }
//!
//! impl Plugin for Counter {
//!     fn create(cx: &CreateContext) -> Result<Self, PluginError> {
//!         let settings: Settings = cx.settings()?;              // typed; a mismatch names key and expected type
//!         Ok(Self { count: settings.start })
//!     }
//!
//!     fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
//!         if cx.is_cancelled() || cx.time_left() < std::time::Duration::from_millis(5) {
//!             return Err(PluginError::recoverable("no time left").retry_after(std::time::Duration::from_secs(2)));
//!         }
//!         cx.record_progress();
//!         self.count += 1;
//!         tracing::info!(count = self.count, "counted");          // reaches the host's subscriber, with the plugin's id
//!         cx.publish("count", self.count.to_string());            // an event `plugin.<id>.count`
//!         Ok(())
//!     }
//!
//!     fn display(&mut self, _cx: &DisplayContext) -> Result<View, PluginError> {   // optional
//!         Ok(View::text(format!("{} so far", self.count)))     // also View::svg, png, html, json
//!     }
//!
//!     fn destroy(self) {}                                         // optional
//! }
//!
//! export_plugin!(Counter, id = "counter", interval = "1s", timeout = "500ms");
//! # fn main() {}
//! ```
//!
//! Every call into the plugin has a deadline, at most one call per instance is in flight, and a panic is caught inside
//! the plugin file. A call may come from any thread of the engine, never from two at once.
//!
//! The modules: `plugin`, `context`, `error` and `view` are the author's side; `abi` is what crosses the boundary and
//! never holds behaviour; `c` is how files in C say what they were built against; `guard` is the panic barrier; `host` and `telemetry` reach the engine; `manifest` and `export`
//! are what the macro expands to. With the feature `async`, `asynchronous` is the author's side of plugins that wait, and `runtime` what
//! they wait in.

#![warn(missing_debug_implementations)]

#[expect(
    missing_debug_implementations,
    reason = "tables of addresses, which say nothing to anybody"
)]
pub mod abi;
#[cfg(feature = "async")]
mod asynchronous;
pub mod c;
mod context;
mod error;
mod export;
mod guard;
mod host;
pub mod limits;
pub mod manifest;
mod plugin;
mod requires;
#[cfg(feature = "async")]
mod runtime;
#[cfg(feature = "schema")]
mod schema;
mod telemetry;
mod view;

#[cfg(feature = "async")]
pub use asynchronous::{Async, AsyncPlugin};
pub use context::{
    CreateContext, DisplayContext, PublishError, RestoreContext, SaveContext, SettingsError,
    UpdateContext,
};
pub use error::PluginError;
pub use plugin::Plugin;
#[cfg(feature = "async")]
pub use runtime::Tasks;
#[cfg(feature = "schema")]
pub use schema::schema;
#[cfg(feature = "schema")]
pub use schemars;
#[cfg(feature = "async")]
pub use tokio;
pub use view::{View, ViewKind};

/// The version of this crate, which is the version of the contract between plugin and engine.
///
/// Two versions are compatible when their leftmost number that is not zero is the same, as Cargo has it. The engine
/// checks that first, and then compares the contract itself, structurally.
pub const API_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The symbol under which a plugin file exports its header.
pub const HEADER_SYMBOL: &str = abi_stable::library::ROOT_MODULE_LOADER_NAME_WITH_NUL;

/// What a plugin usually needs: `use plugin_api::prelude::*;`.
pub mod prelude {
    #[cfg(feature = "async")]
    pub use crate::{Async, AsyncPlugin, Tasks};
    pub use crate::{
        CreateContext, DisplayContext, Plugin, PluginError, PublishError, RestoreContext,
        SaveContext, UpdateContext, View, export_plugin,
    };
    pub use tracing;
}

/// What [`export_plugin!`] expands to, and what the test host calls in place of a file. No part of the contract with authors.
#[doc(hidden)]
pub mod __private {
    pub use crate::export::{LibHeader, header, module};
    pub use crate::guard::is_in_call;
    pub use crate::manifest::{Manifest, Note};
    pub use crate::telemetry::dispatch;
}
