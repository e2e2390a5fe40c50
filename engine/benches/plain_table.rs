//! A plain SQLite table of transitions with an index per plugin, and the transitions to put into it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{Cause, PluginId, PluginState, Transition, WallTime};
use rusqlite::{Connection, params};

/// How many plugins the transitions are of.
pub(crate) const PLUGINS: u64 = 1_000;
/// How many of one plugin are asked for.
pub(crate) const NEWEST: usize = 1_000;

/// Plain updates of all plugins in turn, 1 µs apart.
pub(crate) fn transitions(count: usize) -> Vec<Transition> {
    let ids: Vec<_> = (0..PLUGINS)
        .map(|number| PluginId::new(&format!("plugin-{number}")).expect("it is an id"))
        .collect();
    let version: Arc<str> = "1.0.0".into();
    let made = (0..count as u64).map(|number| {
        let ends = number % 2 == 1;
        let mut transition = Transition {
            seq: number + 1,
            at: WallTime::from_unix_nanos(1_767_225_600_000_000_000 + number * 3_333),
            id: ids[(number / 2 % PLUGINS) as usize].clone(),
            generation: 1,
            version: Some(Arc::clone(&version)),
            from: PluginState::Enabled,
            to: PluginState::Running,
            cause: Cause::UpdateStarted,
            error: None,
            duration: None,
        };
        if ends {
            (transition.from, transition.to) = (transition.to, transition.from);
            transition.cause = Cause::UpdateCompleted;
            transition.duration = Some(Duration::from_nanos(3_333));
        }
        transition
    });
    made.collect()
}

/// The table that one would write: a row a transition, and an index by plugin.
pub(crate) struct PlainTable(Connection);

impl PlainTable {
    pub(crate) fn open(path: &Path) -> Self {
        let connection = Connection::open(path).expect("a file can be made");
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -16384;
                 CREATE TABLE transitions (seq INTEGER PRIMARY KEY, at INTEGER, plugin TEXT, generation INTEGER, version TEXT,
                     from_state INTEGER, to_state INTEGER, cause INTEGER, duration INTEGER, error TEXT);
                 CREATE INDEX by_plugin ON transitions (plugin, seq);",
            )
            .expect("tables can be made");
        Self(connection)
    }

    /// One that is there already.
    pub(crate) fn again(path: &Path) -> Self {
        Self(Connection::open(path).expect("it opens"))
    }

    /// In one transaction.
    pub(crate) fn append(&mut self, transitions: &[Transition]) {
        let transaction = self.0.transaction().expect("it begins");
        {
            let mut insert = transaction
                .prepare_cached(
                    "INSERT INTO transitions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )
                .expect("it is SQL");
            for transition in transitions {
                insert
                    .execute(params![
                        transition.seq as i64,
                        transition.at.as_unix_nanos() as i64,
                        transition.id.as_str(),
                        transition.generation,
                        transition.version.as_deref(),
                        transition.from as u8,
                        transition.to as u8,
                        transition.cause as u8,
                        transition
                            .duration
                            .map(|duration| duration.as_nanos() as i64),
                        transition.error.as_ref().map(ToString::to_string),
                    ])
                    .expect("it is taken");
            }
        }
        transaction.commit().expect("it is taken");
    }

    pub(crate) fn newest(&self, id: &PluginId) -> usize {
        let mut select = self
            .0
            .prepare_cached(
                "SELECT * FROM transitions WHERE plugin = ?1 ORDER BY seq DESC LIMIT ?2",
            )
            .expect("it is SQL");
        let rows = select
            .query_map(params![id.as_str(), NEWEST as i64], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, String>(2)?,
                ))
            })
            .expect("it answers");
        rows.inspect(|row| assert!(row.is_ok(), "it answers"))
            .count()
    }
}
