//! The admin server of a plugin engine: which state is every plugin in, since when, and why, and do something about it; over a Unix
//! socket in the state directory and, where asked for, over HTTP.
//!
//! ```no_run
//! use plugin_engine::Engine;
//! use plugin_engine_admin::{Admin, AdminOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::builder().plugin_dir("plugins.d").state_dir("state").build()?;
//! let admin = Admin::serve(&engine, AdminOptions {
//!     http: Some("127.0.0.1:8080".parse()?),
//!     ..AdminOptions::default()
//! })?;
//! println!("http://{}", admin.http_addr().unwrap());
//! engine.load_all();
//! engine.run();
//! # Ok(()) }
//! ```
//!
//! Both ways lead to the same operations, which `/openapi.json` describes. The socket has mode 0600 and needs no token. HTTP listens
//! wherever it is told to, by default nowhere: what changes something needs the token of the state directory, and on an address that is not
//! loopback everything but the files of the status page does. Anything that is told of a plugin is data: nothing of it is ever run or
//! rendered outside a sandbox.
//!
//! One thread, `admin`, serves everybody; what has to wait for a plugin waits on others, of which there is a bounded number. The thread is a
//! task of the engine's supervisor: it is started again after a panic, and stale when it hangs.

#![forbid(unsafe_code)]

mod access;
mod address;
mod answer;
mod connection;
mod display;
mod error;
mod event_ring;
mod event_stream;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod history_stream;
mod metrics;
mod operations;
mod options;
mod page;
mod patient;
mod query;
mod routes;
mod server;
mod server_sent;
mod socket;
mod token;
mod why;

pub use error::AdminError;
pub use options::{AdminLimits, AdminOptions};
pub use routes::routes;
pub use server::{Admin, AdminHandle};

/// The name of the socket in the state directory.
pub const SOCKET_NAME: &str = "admin.sock";
/// The name of the file with the token in the state directory.
pub const TOKEN_NAME: &str = "token";
