//! An engine with its admin server, in directories of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use plugin_engine::EngineBuilder;
use plugin_engine_admin::{Admin, AdminHandle, AdminOptions};
use tempfile::TempDir;

use crate::{Asked, Reply, Rig};

/// An engine that is served.
pub struct Served {
    /// The server; ends before the engine.
    pub admin: AdminHandle,
    /// The engine.
    pub rig: Rig,
    state: TempDir,
}

impl Served {
    /// An engine with a plugin that is well, one that panics and a file that was refused, after one cycle.
    #[must_use]
    pub fn with_one_of_each() -> Self {
        let served = Self::new();
        served.rig.drop_in("clock");
        served.rig.drop_as(
            "panics",
            "panics",
            "panic_limit = 1\non_unhealthy = \"none\"",
        );
        std::fs::write(served.rig.dir().join("broken.so"), "no library")
            .expect("a file can be written");
        served.rig.load_any();
        served.rig.engine.run_cycle();
        served
    }

    /// Over the socket and over HTTP on this machine, with the machine's clock.
    pub fn new() -> Self {
        Self::with(AdminOptions::default())
    }

    /// [`Served::new`] with other options.
    pub fn with(options: AdminOptions) -> Self {
        Self::built(options, |builder| builder)
    }

    /// [`Served::with`] an engine of which more is said.
    ///
    /// # Panics
    /// It cannot be served.
    pub fn built(
        mut options: AdminOptions,
        more: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Self {
        let state = TempDir::new().expect("a directory can be made");
        let rig = Rig::real(|builder| more(builder.state_dir(state.path().join("state"))));
        let anywhere: SocketAddr = ([127, 0, 0, 1], 0).into();
        options.http.get_or_insert(anywhere);
        let admin = Admin::serve(&rig.engine, options).expect("it can be served");
        Self { admin, rig, state }
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.state.path().join("state")
    }

    /// Over the socket.
    pub fn by_socket(&self) -> Asked {
        Asked::Socket(self.admin.socket().expect("there is one").to_owned())
    }

    /// Over HTTP.
    pub fn by_http(&self) -> Asked {
        Asked::Http(self.admin.http_addr().expect("there is one"))
    }

    /// Waits until the tasks that were started have all said that they are alive.
    pub fn await_liveness(&self) {
        crate::wait_for("the tasks to be alive", || {
            self.by_socket().get("/livez").status == 200
        });
    }

    /// The header with the token.
    pub fn token(&self) -> String {
        let file: &Path = self.admin.token_file().expect("there is one");
        let token = std::fs::read_to_string(file).expect("it can be read");
        format!("Bearer {}", token.trim())
    }

    /// Tells something over HTTP, with the token.
    pub fn post(&self, path: &str) -> Reply {
        let token = self.token();
        self.by_http()
            .ask("POST", path, &[("authorization", &token)], b"")
    }
}

impl Default for Served {
    fn default() -> Self {
        Self::new()
    }
}
