//! The file: made, mapped, written to. One of the few places with unsafe code.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::{MmapOptions, MmapRaw};

use crate::current::{self, Attached};
use crate::layout::{
    Header, Name, PROCESS_AT, ProcessWords, Role, SLOT_LEN, SLOTS_AT, Slot, halves,
};
use crate::marking::{self, this_thread};
use crate::{NAMES_LEN_MAX, THREADS_MAX};

/// What a record begins with.
pub struct Start<'a> {
    /// How many threads may be attached at a time, at most [`THREADS_MAX`]. Each takes 128 bytes.
    pub threads: usize,
    /// When, in nanoseconds since 1970.
    pub opened_ns: u64,
    /// What tells this boot of the machine from others: at most 40 bytes.
    pub boot_id: &'a str,
}

/// A record that is being written.
pub struct Record {
    map: MmapRaw,
    slots: u32,
    names: Mutex<Names>,
    free: Mutex<Vec<u32>>,
}

/// The names behind what is mapped.
struct Names {
    file: File,
    /// Where the next one begins.
    end: u64,
    /// Up to where the file has bytes, zeros behind the last name.
    room: u64,
    limit: u64,
    count: u32,
}

impl Names {
    /// Has room behind the names again, before it is needed. Without it names are entered all the same as long as the disk takes them.
    fn make_room(&mut self) {
        let wanted = (self.end + ROOM).min(self.limit);
        if self.room.saturating_sub(self.end) < ROOM / 2 && wanted > self.room {
            let from = self.room.max(self.end);
            let zeros = vec![0; (wanted - from) as usize];
            if self.file.write_all_at(&zeros, from).is_ok() {
                self.room = wanted;
            }
        }
    }
}

/// How much room is kept behind the names for further ones, in bytes: some hundreds of them, with paths as they usually are. A plugin that
/// comes while the disk is full may be the one that crashes the process, too.
const ROOM: u64 = 65_536;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Record {
    /// Makes a record at this path, in place of one that is there. That stays until this one is complete, with room for every thread on
    /// the disk, and for some hundreds of names: nothing that is written later by [`begin`](crate::begin) can find it full, except where a
    /// file system gives changed bytes another place each time.
    ///
    /// # Errors
    /// The file cannot be made or mapped. What was at the path is still there.
    pub fn create(path: &Path, start: &Start<'_>) -> io::Result<Arc<Self>> {
        let slots = start.threads.clamp(1, THREADS_MAX) as u32;
        let header = Header {
            slots,
            pid: std::process::id(),
            opened_ns: start.opened_ns,
            boot_id: start.boot_id.to_owned(),
        };
        let mut bytes = header.bytes();
        // Written, not only made longer: a file with holes has no room for what is stored into them.
        let mapped_len = SLOTS_AT + slots as usize * SLOT_LEN;
        bytes.resize(mapped_len + ROOM as usize, 0);
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = Path::new(&new);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(new)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        let map = MmapOptions::new()
            .len(mapped_len)
            .populate()
            .map_raw(&file)?;
        std::fs::rename(new, path)?;
        let end = mapped_len as u64;
        let record = Arc::new(Self {
            map,
            slots,
            names: Mutex::new(Names {
                file,
                end,
                room: bytes.len() as u64,
                limit: end + NAMES_LEN_MAX,
                count: 0,
            }),
            // The first one is taken first.
            free: Mutex::new((0..slots).rev().collect()),
        });
        marking::open(record.process_address());
        Ok(record)
    }

    fn process_address(&self) -> *mut ProcessWords {
        self.map.as_mut_ptr().wrapping_add(PROCESS_AT).cast()
    }

    fn process(&self) -> &ProcessWords {
        // SAFETY: the mapping is longer than that, begins at a page and lives as long as `self`; its fields are atomic, and any bytes are
        // a value of them.
        unsafe { &*self.process_address() }
    }

    /// The place with this number, which is less than their count.
    pub(crate) fn slot(&self, slot: u32) -> &Slot {
        assert!(slot < self.slots, "a record gives out only places it has");
        let at = SLOTS_AT + slot as usize * SLOT_LEN;
        // SAFETY: the mapping has `slots` of them from there on, each aligned, as the mapping begins at a page; the rest is as in
        // `process`.
        unsafe { &*self.map.as_mut_ptr().wrapping_add(at).cast::<Slot>() }
    }

    /// Gives names the next numbers, from the one that is returned on. They are in the file when this returns. There is room for some
    /// hundreds of them on the disk before they come, and room is made for as many again whenever the disk has it.
    ///
    /// # Errors
    /// They cannot be written, or there is no room for them: 256 MiB altogether. None of them has a number then.
    pub fn enter(&self, names: &[Name]) -> io::Result<u32> {
        let mut bytes = Vec::new();
        names.iter().for_each(|name| name.write(&mut bytes));
        let mut list = locked(&self.names);
        let (end, count) = (
            list.end + bytes.len() as u64,
            u64::from(list.count) + names.len() as u64,
        );
        if end > list.limit || count >= u64::from(u32::MAX) {
            return Err(io::Error::other("there is no room for more names"));
        }
        list.file.write_all_at(&bytes, list.end)?;
        let first = list.count + 1;
        list.end = end;
        list.count = count as u32;
        list.make_room();
        Ok(first)
    }

    /// Gives this thread a place for as long as what is returned lives. `None` if all are taken, or the thread has one in this or another
    /// record: its calls are not recorded here then.
    pub fn attach(self: &Arc<Self>, role: Role) -> Option<Attached> {
        if current::is_attached() {
            return None;
        }
        let slot = locked(&self.free).pop()?;
        let words = self.slot(slot);
        words.what.store(0, Ordering::Relaxed);
        let thread = halves(this_thread(), role as u8);
        words.thread.store(thread, Ordering::Release);
        Some(Attached::new(Arc::clone(self), slot))
    }

    pub(crate) fn give_back(&self, slot: u32) {
        self.slot(slot).thread.store(0, Ordering::Release);
        locked(&self.free).push(slot);
    }

    /// What is added to the clock of the process to get the time of day, in nanoseconds. One store.
    pub fn set_wall_offset(&self, offset_ns: i64) {
        let offset = offset_ns.cast_unsigned();
        self.process().wall_offset.store(offset, Ordering::Relaxed);
    }

    /// Says that the process has ended its work as it should: whatever is in flight is of no interest any more.
    pub fn end(&self) {
        self.process().ended.store(1, Ordering::Release);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        marking::close(self.process_address());
    }
}
