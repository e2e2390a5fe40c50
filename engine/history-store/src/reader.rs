//! The one that reads: beside a writer, or of an engine that is stopped.
//!
//! What lives here: how the file is opened without changing anything, and the questions. What never will: how entries are found.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plugin_engine_core::{HistoryFilter, PluginId};
use rusqlite::{Connection, OpenFlags};

use crate::batch::PluginRow;
use crate::connection::keep_statements;
use crate::error::{StoreError, Trouble};
use crate::history_entry::HistoryEntry;
use crate::schema::{self, Found};
use crate::walk::Walk;

/// The history on disk, opened for reading.
///
/// Each question sees the history as it was at one moment, and neither waits for a writer nor holds one up.
///
/// It may be sent between threads, but is used by one at a time.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
    /// How the file looked, if it was opened on the word that nobody writes to it.
    at_rest: Option<Seen>,
}

/// What changes when somebody writes.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl From<Metadata> for Seen {
    fn from(file: Metadata) -> Self {
        Self {
            inode: file.ino(),
            len: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
        }
    }
}

impl Reader {
    /// Opens the history at this path. Nothing is made or changed: only where an engine was killed, SQLite may need to make the index of
    /// its log anew, in the file `-shm` beside it.
    ///
    /// # Errors
    /// [`Missing`](crate::StoreErrorKind::Missing) if there is no such file; otherwise trouble with it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let seen = std::fs::metadata(path)
            .map_err(|error| StoreError::io(path, "cannot be read", error))?;
        // A file that nobody writes to, and that was left in good order, has none beside it. SQLite would make them.
        let at_rest = (!exists(path, "-wal") && !exists(path, "-shm")).then(|| Seen::from(seen));
        let connection = connect(path, at_rest.is_some()).map_err(|trouble| trouble.of(path))?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            at_rest,
        })
    }

    /// The entries that `filter` wants among those with numbers up to `upto`, in its order and no more than its limit.
    ///
    /// What was folded and what is a gap is among them if one of the entries that it stands for may be wanted. Starts and stops of the engine are
    /// among them if `filter` asks for nothing but a time and numbers.
    ///
    /// The time this takes grows with what is wanted, and with the number of plugins asked about; not with what there is.
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn query(
        &mut self,
        filter: &HistoryFilter,
        upto: u64,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        self.ask(|connection| {
            let numbers = numbers(connection, filter)?;
            let mut walk = Walk::new(connection, filter, upto, &numbers)?;
            let mut found = Vec::new();
            while found.len() < filter.limit()
                && let Some(entry) = walk.next()?
            {
                found.push(entry);
            }
            Ok(found)
        })
    }

    /// How many transitions were removed by [`retain`](crate::Store::retain) that `filter` may have wanted, by its ids, `after` and `since`.
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn lost(&mut self, filter: &HistoryFilter) -> Result<u64, StoreError> {
        self.ask(|connection| crate::retention::lost(connection, filter))
    }

    /// The last number in it; 0 if there is none.
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn last_seq(&mut self) -> Result<u64, StoreError> {
        self.ask(|connection| {
            let last: i64 =
                connection.query_row("SELECT last_seq FROM state", [], |row| row.get(0))?;
            Ok(last.unsigned_abs())
        })
    }

    /// What is remembered of plugins, by id.
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn plugins(&mut self) -> Result<Vec<PluginRow>, StoreError> {
        self.ask(|connection| {
            let all = crate::plugins::all(connection)?;
            Ok(all.into_iter().map(|(_, row)| row).collect())
        })
    }

    /// Answers a question as of one moment.
    fn ask<T>(
        &mut self,
        question: impl Fn(&Connection) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        let answer = self.ask_once(&question);
        if self.is_still_at_rest() {
            return answer.map_err(|trouble| trouble.of(&self.path));
        }
        // Somebody has begun to write meanwhile, so the answer may be of no moment at all.
        self.connection = connect(&self.path, false).map_err(|trouble| trouble.of(&self.path))?;
        self.at_rest = None;
        self.ask_once(&question)
            .map_err(|trouble| trouble.of(&self.path))
    }

    fn ask_once<T>(
        &self,
        question: &impl Fn(&Connection) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let transaction = self.connection.unchecked_transaction()?;
        let answer = question(&transaction)?;
        transaction.finish()?;
        Ok(answer)
    }

    fn is_still_at_rest(&self) -> bool {
        let Some(seen) = &self.at_rest else {
            return true;
        };
        let now = std::fs::metadata(&self.path).map(Seen::from);
        now.is_ok_and(|now| now == *seen) && !exists(&self.path, "-wal")
    }
}

/// The numbers of the plugins that are asked about.
fn numbers(
    connection: &Connection,
    filter: &HistoryFilter,
) -> Result<HashMap<i64, PluginId>, Trouble> {
    if filter.ids.is_empty() {
        let all = crate::plugins::all(connection)?;
        return Ok(all
            .into_iter()
            .map(|(number, row)| (number, row.id))
            .collect());
    }
    let mut select = connection.prepare_cached("SELECT number FROM plugin WHERE id = ?1")?;
    let mut numbers = HashMap::new();
    for id in &filter.ids {
        let mut rows = select.query([id.as_str()])?;
        if let Some(row) = rows.next()? {
            numbers.insert(row.get(0)?, id.clone());
        }
    }
    Ok(numbers)
}

/// The file beside `path` whose name has this at the end.
pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

fn exists(path: &Path, end: &str) -> bool {
    beside(path, end).symlink_metadata().is_ok()
}

fn connect(path: &Path, at_rest: bool) -> Result<Connection, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if at_rest {
        let address = format!("file:{}?immutable=1", escaped(path));
        Connection::open_with_flags(address, flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        Connection::open_with_flags(path, flags)?
    };
    connection.busy_timeout(Duration::from_secs(1))?;
    keep_statements(&connection)?;
    match schema::look(&connection)? {
        Found::Version(schema::VERSION) => Ok(connection),
        Found::Version(version) => Err(Trouble::Foreign(format!(
            "its format is version {version}, which an engine has to bring up to date first"
        ))),
        Found::Nothing => Err(Trouble::Foreign("the file is empty".to_owned())),
    }
}

/// A path as SQLite wants it in an address.
fn escaped(path: &Path) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                text.push(char::from(*byte));
            }
            _ => {
                // Writing to a text does not fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}
