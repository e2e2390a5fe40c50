//! The keys of the history on disk.

use std::time::Duration;

use super::keys::{Default, Key, Kind, key};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How long entries are kept on disk.
pub(crate) const KEPT_FOR_DEFAULT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How many bytes the file may take.
pub(crate) const FILE_BYTES_DEFAULT: u64 = 1 << 30;

pub(super) const KEPT_FOR: Key = key(
    "history_kept_for",
    Kind::Duration {
        min: Duration::from_secs(60),
        max: Duration::from_secs(3_650 * DAY.as_secs()),
    },
    Default::Duration(KEPT_FOR_DEFAULT),
    "How long entries of the history are kept on disk, where there is a state directory.",
);

pub(super) const FILE_BYTES_MAX: Key = key(
    "history_file_bytes_max",
    Kind::Count {
        min: 1 << 20,
        max: 1 << 44,
    },
    Default::Count(FILE_BYTES_DEFAULT),
    "How many bytes the history may take on disk before its oldest entries leave.",
);
