//! Keeps the load of the machine in an SQLite file, and shows how it was.
//!
//! It is a lesson in C code inside a plugin, and in something exclusive: two builds of this plugin are two copies of SQLite in one process,
//! which must not have one file open at the same time. So the instance that has it holds a lock beside it, and the next one is
//! told to wait for its turn with `reload = "stop-first"`. Waiting for the file is shorter than an update may take.

use std::fs::File;
use std::time::Duration;

use plugin_api::prelude::*;
use rusqlite::Connection;

/// Where the load is kept, and how much of it.
#[derive(serde::Deserialize, plugin_api::schemars::JsonSchema)]
#[schemars(crate = "plugin_api::schemars")]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The SQLite file; it is made if it is not there. There is no default.
    #[schemars(length(min = 1))]
    path: String,
    /// How many rows are kept. Default: 10000.
    #[serde(default = "default_rows")]
    rows: u32,
}

fn default_rows() -> u32 {
    10_000
}

struct LoadLog {
    db: Connection,
    rows: u32,
    /// Held for as long as the file is open, and let go of by whatever end the process comes to.
    _turn: File,
}

impl Plugin for LoadLog {
    fn create(cx: &CreateContext) -> Result<Self, PluginError> {
        let settings: Settings = cx.settings()?;
        let turn = File::create(format!("{}.lock", settings.path))?;
        turn.try_lock().map_err(|error| {
            PluginError::recoverable(format!(
                "{}: another instance may have it open, set reload = \"stop-first\": {error}",
                settings.path
            ))
        })?;
        let db = Connection::open(&settings.path)?;
        db.busy_timeout(Duration::from_millis(100))?;
        db.execute_batch(
            "CREATE TABLE IF NOT EXISTS load (id INTEGER PRIMARY KEY, at TEXT NOT NULL, load REAL NOT NULL)",
        )?;
        Ok(Self {
            db,
            rows: settings.rows,
            _turn: turn,
        })
    }

    fn update(&mut self, cx: &UpdateContext) -> Result<(), PluginError> {
        let text = std::fs::read_to_string("/proc/loadavg")?;
        let load: f64 = text.split(' ').next().unwrap_or_default().parse()?;
        let both = self.db.transaction()?;
        both.execute(
            "INSERT INTO load (at, load) VALUES (datetime('now'), ?1)",
            [load],
        )?;
        both.execute(
            "DELETE FROM load WHERE id <= (SELECT max(id) FROM load) - ?1",
            [self.rows],
        )?;
        both.commit()?;
        cx.publish("load", load.to_string());
        Ok(())
    }

    fn display(&mut self, _cx: &DisplayContext) -> Result<View, PluginError> {
        let question = "SELECT count(*), ifnull(avg(load), 0.0), ifnull(max(load), 0.0) FROM load";
        let (count, mean, most): (i64, f64, f64) = self.db.query_row(question, [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        Ok(View::text(format!(
            "{count} rows, mean {mean:.2}, at most {most:.2}\n"
        )))
    }

    fn settings_schema() -> Option<String> {
        plugin_api::schema::<Settings>()
    }
}

export_plugin!(LoadLog, id = "load-log", interval = "10s", timeout = "2s");
