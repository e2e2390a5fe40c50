//! How the file is opened for writing.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{StoreError, Trouble};
use crate::schema;

/// How a [`Store`](crate::Store) writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Whether each append waits for the disk, so that not even a loss of power takes back what was written. Off by default, see
    /// [`Store`](crate::Store).
    pub sync_each_append: bool,
    /// How long to wait for another writer. 1 s by default.
    pub busy_timeout: Duration,
    /// How many rows with few entries wait before they are merged. More make merging cheaper, and questions dearer: all that wait are looked
    /// at. 8,192 by default.
    pub waiting_rows_max: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            sync_each_append: false,
            busy_timeout: Duration::from_secs(1),
            waiting_rows_max: 8_192,
        }
    }
}

/// Makes the file if there is none. Files that SQLite puts beside it get the same mode.
pub(crate) fn make(path: &Path) -> Result<bool, StoreError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(StoreError::io(path, "cannot be made", error)),
    }
}

pub(crate) fn connect(path: &Path, options: &StoreOptions) -> Result<Connection, Trouble> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(options.busy_timeout)?;
    keep_statements(&connection)?;
    // Looked at before anything is changed: the file may be somebody else's.
    schema::look(&connection)?;
    // Takes effect in a new file only, and there has to come before everything else.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Trouble::Foreign(format!(
            "its file system does not allow a write-ahead log (journal mode {mode})"
        )));
    }
    synchronous(&connection, options.sync_each_append)?;
    // In pages of 4 KiB. More of them a checkpoint are written fewer times.
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    // A log that a long reader has let grow is cut when that has gone.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

pub(crate) fn synchronous(connection: &Connection, full: bool) -> Result<(), Trouble> {
    let level = if full { "FULL" } else { "NORMAL" };
    Ok(connection.pragma_update(None, "synchronous", level)?)
}

/// Statements are prepared once and stay as they are. SQLite would otherwise prepare one again whenever another value is bound that
/// could change its plan, which takes longer than to run it.
pub(crate) fn keep_statements(connection: &Connection) -> Result<(), Trouble> {
    connection.set_prepared_statement_cache_capacity(32);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Lets the file take so many bytes and no more.
pub(crate) fn limit(connection: &Connection, bytes_max: Option<u64>) -> Result<(), Trouble> {
    let page_size: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let most = u64::from(u32::MAX - 1);
    let pages = bytes_max.map_or(most, |bytes| {
        (bytes / page_size.unsigned_abs()).clamp(1, most)
    });
    connection.pragma_update_and_check(None, "max_page_count", pages as i64, |_| Ok(()))?;
    Ok(())
}
