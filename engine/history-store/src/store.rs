//! The one that writes: opens or makes the file, and appends to it.
//!
//! What lives here: opening and appending. What never will: what is read for people, and what is deleted.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plugin_engine_core::{PluginId, WallTime};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::batch::{Batch, PluginRow, check};
use crate::connection::{StoreOptions, connect, limit, make};
use crate::engine_runs::{self, EngineRun};
use crate::error::{StoreError, Trouble};
use crate::merge;
use crate::retention::{Limits, Retained, Space, Sweep};
use crate::rows::{Inserts, put, sql_seq};
use crate::{plugins, runs, schema};

/// How many more rows come before a merge that failed is tried again.
const RETRY_AFTER_ROWS: usize = 1_024;

/// The largest last number that is believed: nobody reaches it in a hundred thousand years at a million a second, and whoever goes on above it still
/// has as many numbers left as were used.
const LAST_SEQ_MAX: i64 = 1 << 61;

/// Rows with a longer text go to their plugin at once, instead of waiting among the recent ones for more.
const DIRECT_TEXT_LEN: usize = 400;

/// The history on disk, opened for writing.
///
/// What [`append`](Self::append) has returned `Ok` for is in the file, whole and in order, whatever becomes of the process: a `kill -9`
/// takes nothing of it away. A loss of power or a crash of the system may take the last appends, some seconds at most, but leaves no hole
/// and no half of one: the history then ends earlier. [`StoreOptions::sync_each_append`] rules that out, for a wait for the disk each.
///
/// It may be sent between threads, but is used by one at a time. Others read at the same time, through [`Reader`](crate::Reader)s.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    numbers: HashMap<PluginId, i64>,
    last_seq: u64,
    /// How many rows wait in the table `recent`, and with how many they are merged.
    recent_rows: usize,
    merge_at_rows: usize,
    waiting_rows_max: usize,
    sweep: Sweep,
    text: String,
}

/// What was found when the file was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Whether the file is new.
    pub created: bool,
    /// The version that its format had before, if it was brought up to date just now.
    pub migrated_from: Option<u32>,
    /// The last number in it; 0 if there is none.
    pub last_seq: u64,
    /// What is remembered of plugins, by id.
    pub plugins: Vec<PluginRow>,
    /// The last start of the engine.
    pub last_run: Option<EngineRun>,
}

impl Store {
    /// Opens the history at this path, or makes it with mode 0600. A history of an older version is brought up to date.
    ///
    /// # Errors
    /// Any [`StoreErrorKind`](crate::StoreErrorKind) but `Missing` and `Invalid`. The file is then as it was.
    pub fn open(path: &Path) -> Result<(Self, Opened), StoreError> {
        Self::open_with(path, &StoreOptions::default())
    }

    /// [`open`](Self::open), with other than the default options.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: &Path, options: &StoreOptions) -> Result<(Self, Opened), StoreError> {
        let created = make(path)?;
        let mut connection = connect(path, options).map_err(|trouble| trouble.of(path))?;
        let opened = schema::migrate(&mut connection, schema::STEPS)
            .and_then(|before| found(&connection, created, before))
            .map_err(|trouble| trouble.of(path))?;
        let (opened, numbers, recent_rows) = opened;
        let store = Self {
            connection,
            path: path.to_owned(),
            numbers,
            last_seq: opened.last_seq,
            recent_rows,
            waiting_rows_max: options.waiting_rows_max,
            merge_at_rows: options.waiting_rows_max,
            sweep: Sweep::default(),
            text: String::new(),
        };
        Ok((store, opened))
    }

    /// The last number in it; 0 if there is none.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a batch, all of it or nothing.
    ///
    /// Now and then, when many small ones have come, it also brings them in order, which takes some ten milliseconds.
    ///
    /// # Errors
    /// [`Invalid`](crate::StoreErrorKind::Invalid) if the batch does not fit together, or begins with a number that is not larger than
    /// [`last_seq`](Self::last_seq). Anything else is trouble with the file: nothing of the batch is in it, and the same batch can be
    /// tried again.
    pub fn append(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let written = check(batch, self.last_seq)
            .and_then(|()| self.write(batch))
            .map_err(|trouble| trouble.of(&self.path))?;
        self.numbers.extend(written.new_numbers);
        self.last_seq = batch.last_seq;
        self.recent_rows += written.recent_rows;
        // All of it is in the file, whether the rows can be merged now or not. What hinders that hinders the next append, too, which says so.
        if self.recent_rows >= self.merge_at_rows && self.merge().is_err() {
            self.merge_at_rows = self.recent_rows + RETRY_AFTER_ROWS;
        }
        Ok(())
    }

    fn merge(&mut self) -> Result<(), Trouble> {
        merge::merge(&self.connection)?;
        self.recent_rows = 0;
        self.merge_at_rows = self.waiting_rows_max;
        Ok(())
    }

    /// Lets the file take so many bytes and no more, or as many as there is room for on the disk. What does not fit is refused as
    /// [`Full`](crate::StoreErrorKind::Full); unlike [`retain`](Self::retain), this deletes nothing. It holds until the store is closed. A file that
    /// is larger already stays so.
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn limit(&mut self, bytes_max: Option<u64>) -> Result<(), StoreError> {
        limit(&self.connection, bytes_max).map_err(|trouble| trouble.of(&self.path))
    }

    /// Removes what is older than `max_age`, and the oldest beyond that until the file has at most `max_bytes` (1 MiB or more); gives the space back to the file
    /// system. One step of that: about [`RETAIN_STEP`](crate::RETAIN_STEP) of work, so that whoever appends on the same thread is not held up for long. To be called again
    /// soon until it is [`done`](Retained::done), and then now and then.
    ///
    /// Oldest is what has the smallest numbers, over all plugins. Rows go as a whole, so that up to a row of each plugin stays longer than it has to, and
    /// by size a twentieth of all goes at a time. What is remembered of plugins, the last start of the engine and the last number stay.
    ///
    /// # Errors
    /// Trouble with the file. What this step would have removed is still there.
    pub fn retain(
        &mut self,
        max_age: Duration,
        max_bytes: u64,
        now: WallTime,
    ) -> Result<Retained, StoreError> {
        let step = |store: &mut Self| -> Result<Retained, Trouble> {
            if store.sweep.is_at_its_beginning() {
                let limits =
                    Limits::find(&store.connection, store.last_seq, max_age, max_bytes, now)?;
                // What goes from the rows that wait goes from their plugins.
                if limits.reach_recent(&store.connection)? {
                    store.merge()?;
                }
                store.sweep.begin(limits);
            }
            store.sweep.step(&store.connection)
        };
        step(self).map_err(|trouble| trouble.of(&self.path))
    }

    /// Removes all entries of a plugin and what is remembered of it. It is gone at once for who asks; the space is given back by
    /// [`retain`](Self::retain). An id that is appended later is that of a new plugin.
    ///
    /// # Errors
    /// Trouble with the file; the plugin is still there.
    pub fn forget(&mut self, id: &PluginId) -> Result<(), StoreError> {
        let forgotten = self
            .connection
            .execute("UPDATE plugin SET id = NULL WHERE id = ?1", [id.as_str()]);
        forgotten.map_err(|error| Trouble::from(error).of(&self.path))?;
        self.numbers.remove(id);
        Ok(())
    }

    /// How many bytes of the file are in use.
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        let space = Space::of(&self.connection).map_err(|trouble| trouble.of(&self.path))?;
        Ok(space.used())
    }

    /// Closes the file, with all that was written moved into it from the files beside it. Dropping does the same without a word about
    /// trouble.
    ///
    /// # Errors
    /// Trouble with the file. What was appended is there all the same.
    pub fn close(self) -> Result<(), StoreError> {
        let path = self.path;
        self.connection
            .close()
            .map_err(|(_, error)| Trouble::from(error).of(&path))
    }

    fn write(&mut self, batch: &Batch) -> Result<Written, Trouble> {
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let mut written = Written::default();
        {
            let mut insert = Inserts::prepare(&transaction)?;
            for group in &batch.plugins {
                let plugin = written.number(&transaction, &self.numbers, &group.id)?;
                let version = group.version.as_deref();
                runs::cut(&group.entries, &mut self.text, |row| {
                    let into = if row.text.len() < DIRECT_TEXT_LEN {
                        written.recent_rows += 1;
                        &mut insert.recent
                    } else {
                        &mut insert.run
                    };
                    put(into, plugin, group.generation, version, row)
                })?;
            }
            for row in &batch.rows {
                written.number(&transaction, &self.numbers, &row.id)?;
                plugins::update(&transaction, row)?;
            }
            for record in &batch.engine {
                engine_runs::write(&transaction, record)?;
            }
            transaction
                .prepare_cached("UPDATE state SET last_seq = ?1")?
                .execute([sql_seq(batch.last_seq)?])?;
        }
        transaction.commit()?;
        Ok(written)
    }
}

/// What a transaction wrote, to be remembered once it is committed.
#[derive(Default)]
struct Written {
    new_numbers: HashMap<PluginId, i64>,
    recent_rows: usize,
}

impl Written {
    /// The number of a plugin, which is entered if it is new.
    fn number(
        &mut self,
        connection: &Connection,
        known: &HashMap<PluginId, i64>,
        id: &PluginId,
    ) -> Result<i64, Trouble> {
        if let Some(number) = known.get(id).or_else(|| self.new_numbers.get(id)) {
            return Ok(*number);
        }
        let number = plugins::enter(connection, id)?;
        self.new_numbers.insert(id.clone(), number);
        Ok(number)
    }
}

type Found = (Opened, HashMap<PluginId, i64>, usize);

fn found(connection: &Connection, created: bool, before: i64) -> Result<Found, Trouble> {
    let last_seq: i64 = connection.query_row("SELECT last_seq FROM state", [], |row| row.get(0))?;
    if !(0..=LAST_SEQ_MAX).contains(&last_seq) {
        return Err(Trouble::Damaged(format!(
            "its last number is {last_seq}, where 0 to {LAST_SEQ_MAX} can be"
        )));
    }
    let recent_rows: u32 =
        connection.query_row("SELECT count(*) FROM recent", [], |row| row.get(0))?;
    let plugins = plugins::all(connection)?;
    let opened = Opened {
        created: created || before == 0,
        migrated_from: u32::try_from(before)
            .ok()
            .filter(|before| (1..schema::VERSION as u32).contains(before)),
        last_seq: last_seq.unsigned_abs(),
        plugins: plugins.iter().map(|(_, row)| row.clone()).collect(),
        last_run: engine_runs::last(connection)?,
    };
    let numbers = plugins
        .into_iter()
        .map(|(number, row)| (row.id, number))
        .collect();
    Ok((opened, numbers, recent_rows as usize))
}
