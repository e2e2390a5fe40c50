//! The number above which no transition has been numbered yet, kept on the disk ahead of what is used, so that no number is used twice whatever becomes of
//! the process or of the history.
//!
//! A file of its own that is overwritten in place: that works also when the disk is full, or the history is locked, damaged or gone.

use std::io;
use std::path::Path;

use super::disk::MarkFile;

/// How many numbers are set apart at a time, at least: at a million transitions a second as many as in a second.
const SET_APART_MIN: u64 = 1 << 20;
/// For how many times what was used since the last look numbers are set apart: with a look each 200 ms, for a minute.
const LOOKS_AHEAD: u64 = 300;
/// How many numbers are skipped where the mark cannot be read: more than an engine uses in its life, and nothing beside what there are.
const UNREADABLE_SKIPS: u64 = 1 << 40;
/// The largest mark that is believed. At a million transitions a second it is reached after a hundred thousand years, so a larger one is a damaged
/// one; and above it there is room for all that may be skipped and numbered before what a file of the history can take ends.
const MARK_MAX: u64 = 1 << 61;
/// The mark as text: twenty digits and the end of a line.
const LEN: usize = 21;

/// The mark.
pub(super) struct SequenceMark {
    file: MarkFile,
    /// Numbers up to this one may have been used. `None` where nobody knows.
    reserved: Option<u64>,
    /// The last number at the look before.
    seen: u64,
}

impl SequenceMark {
    /// Reads the mark of the process before.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = MarkFile::open(path)?;
        let mut bytes = [0; LEN];
        let read = match file.len()? {
            0 => Some(0),
            _ => {
                let read = file.read(&mut bytes);
                read.is_ok().then(|| parse(&bytes)).flatten()
            }
        };
        Ok(Self {
            file,
            reserved: read,
            seen: 0,
        })
    }

    /// Whether the mark of the process before could be read.
    pub(super) fn is_readable(&self) -> bool {
        self.reserved.is_some()
    }

    /// Up to which number the process before may have used numbers, if the last one that is known of is `last`.
    pub(super) fn used_before(&self, last: u64) -> u64 {
        match self.reserved {
            Some(reserved) => reserved.max(last),
            None => last.saturating_add(UNREADABLE_SKIPS),
        }
    }

    /// This engine begins after this number.
    pub(super) fn begin_after(&mut self, base: u64) {
        self.seen = base;
    }

    /// Sets numbers apart ahead of `last`, the last one that was used, if fewer than half of what is wanted are left. The disk has it when this returns.
    ///
    /// # Errors
    /// It cannot be written. What was set apart before still is; the next look tries again.
    pub(super) fn keep_ahead_of(&mut self, last: u64) -> io::Result<()> {
        let used = last.saturating_sub(self.seen);
        self.seen = last;
        let wanted = used.saturating_mul(LOOKS_AHEAD).max(SET_APART_MIN);
        let ahead = self
            .reserved
            .map_or(0, |reserved| reserved.saturating_sub(last));
        if ahead >= wanted / 2 {
            return Ok(());
        }
        self.write(last.saturating_add(wanted))
    }

    /// Says exactly what was used, for an orderly end.
    pub(super) fn end_at(&mut self, last: u64) -> io::Result<()> {
        self.write(last)
    }

    fn write(&mut self, reserved: u64) -> io::Result<()> {
        let text = format!("{reserved:020}\n");
        self.file.overwrite(text.as_bytes())?;
        self.reserved = Some(reserved);
        Ok(())
    }
}

fn parse(bytes: &[u8; LEN]) -> Option<u64> {
    let (digits, end) = bytes.split_at(LEN - 1);
    let digits = std::str::from_utf8(digits).ok()?;
    let plain = end == b"\n" && digits.bytes().all(|byte| byte.is_ascii_digit());
    let mark: Option<u64> = plain.then(|| digits.parse().ok()).flatten();
    mark.filter(|mark| *mark <= MARK_MAX)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn open(dir: &TempDir) -> SequenceMark {
        SequenceMark::open(&dir.path().join("sequence")).unwrap()
    }

    #[test]
    fn the_next_process_begins_above_everything_that_may_have_been_used() {
        let dir = TempDir::new().unwrap();
        let last = SET_APART_MIN / 2 - 1;
        {
            let mut mark = open(&dir);
            assert_eq!(mark.used_before(0), 0);
            mark.keep_ahead_of(0).unwrap();
            mark.keep_ahead_of(last).unwrap();
        }
        assert!(open(&dir).used_before(7) > last);
        assert_eq!(
            open(&dir).used_before(1 << 50),
            1 << 50,
            "the history knows of more"
        );
    }

    #[test]
    fn who_uses_many_numbers_has_more_set_apart() {
        let dir = TempDir::new().unwrap();
        let mut mark = open(&dir);
        mark.keep_ahead_of(1_000_000).unwrap();
        assert!(mark.used_before(0) >= 1_000_000 * (LOOKS_AHEAD / 2));
    }

    #[test]
    fn who_is_killed_again_and_again_skips_the_same_each_time() {
        let dir = TempDir::new().unwrap();
        let mut base = 0;
        for _ in 0..100 {
            let mut mark = open(&dir);
            let next = mark.used_before(0);
            assert!(next - base <= SET_APART_MIN + 10, "{next} after {base}");
            base = next;
            mark.begin_after(base);
            mark.keep_ahead_of(base + 10).unwrap();
        }
    }

    #[test]
    fn what_is_far_enough_ahead_is_not_written_again() {
        let dir = TempDir::new().unwrap();
        let mut mark = open(&dir);
        mark.keep_ahead_of(10).unwrap();
        let reserved = mark.used_before(0);
        mark.keep_ahead_of(1_000).unwrap();
        assert_eq!(mark.used_before(0), reserved);
    }

    #[test]
    fn an_orderly_end_leaves_no_number_unused() {
        let dir = TempDir::new().unwrap();
        let mut mark = open(&dir);
        mark.keep_ahead_of(0).unwrap();
        mark.end_at(17).unwrap();
        assert_eq!(open(&dir).used_before(3), 17);
    }

    #[test]
    fn a_mark_that_cannot_be_read_skips_more_numbers_than_anybody_has_used() {
        let dir = TempDir::new().unwrap();
        let last = 5 * UNREADABLE_SKIPS;
        for bad in [
            "",
            "17\n",
            "0000000000000000000x\n",
            "99999999999999999999\n",
            // Too large to have been reached.
            "18446744073709551615\n",
            "09223372036854775808\n",
            "02305843009213693953\n",
        ] {
            std::fs::write(dir.path().join("sequence"), bad).unwrap();
            let mark = open(&dir);
            assert_eq!(mark.is_readable(), bad.is_empty(), "{bad:?}");
            let skipped = mark.used_before(last) - last;
            assert_eq!(skipped == UNREADABLE_SKIPS, !bad.is_empty(), "{bad:?}");
        }
    }
}
