//! The layout of the file. Version 1:
//!
//! | at | what |
//! |---|---|
//! | 0 | magic, version, order of bytes, how many places for threads, process, when it was opened, boot, checksum of these |
//! | 128 | what is said of the process as a whole ([`ProcessWords`]) |
//! | 4096 | one place of 128 bytes for each thread ([`Slot`]) |
//! | behind them | names, one after another, each with its lengths and a checksum |
//!
//! Numbers are in the order of bytes of the machine that wrote them, which the file names. What lives here: where what stands. What never
//! will: a file.

use std::sync::atomic::AtomicU64;

pub(crate) const MAGIC: [u8; 8] = *b"PE-CALLS";
pub(crate) const VERSION: u32 = 1;
/// Reads otherwise on a machine of the other order of bytes.
pub(crate) const ORDER_OF_BYTES: u32 = 0x0102_0304;

pub(crate) const PROCESS_AT: usize = 128;
pub(crate) const SLOTS_AT: usize = 4_096;
pub(crate) const SLOT_LEN: usize = 128;
const BOOT_ID_LEN: usize = 40;
/// The checksum stands behind what it is of.
const CHECKED_LEN: usize = 32 + BOOT_ID_LEN;
/// Lengths and digest of a name, before its texts.
const NAME_HEAD_LEN: usize = 36;
/// The longest id and the longest path of a name; a longer path is cut, because it is only shown.
const ID_LEN_MAX: usize = 64;
const PATH_LEN_MAX: usize = 4_096;

/// How one thread, or the process, came to its end.
#[repr(C)]
#[derive(Default)]
pub(crate) struct MarkWords {
    /// The number of the call that it is of, or 1 in that of the process; 0 for none.
    pub(crate) of: AtomicU64,
    /// The how-manieth mark of the process it was.
    pub(crate) order: AtomicU64,
    /// [`How::word`].
    pub(crate) how: AtomicU64,
    /// When, in nanoseconds since 1970.
    pub(crate) at: AtomicU64,
}

/// What one thread is calling. Two cache lines, because processors fetch them in pairs.
#[repr(C, align(128))]
#[derive(Default)]
pub(crate) struct Slot {
    /// The number of the name, and above it the kind of call; 0 while no call is in flight.
    pub(crate) what: AtomicU64,
    /// Since when, in nanoseconds of the clock of the process.
    pub(crate) since: AtomicU64,
    /// The how-manieth call of this place it is.
    pub(crate) number: AtomicU64,
    /// The system's number of the thread, and above it what it is; 0 for a place that nobody has.
    pub(crate) thread: AtomicU64,
    pub(crate) mark: MarkWords,
}

/// What is said of the process as a whole.
#[repr(C, align(128))]
pub(crate) struct ProcessWords {
    /// What is added to the clock of the process to get the time of day, as a signed number.
    pub(crate) wall_offset: AtomicU64,
    /// Whether it ended as it should.
    pub(crate) ended: AtomicU64,
    /// The thread on which the mark was made.
    pub(crate) thread: AtomicU64,
    pub(crate) mark: MarkWords,
}

const _: () = assert!(size_of::<Slot>() == SLOT_LEN && align_of::<Slot>() == SLOT_LEN);
const _: () = assert!(PROCESS_AT + size_of::<ProcessWords>() <= SLOTS_AT);
const _: () = assert!(CHECKED_LEN + 8 <= PROCESS_AT);

/// A kind of call into the code of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Call {
    /// What runs when its file is loaded: constructors, initialisation.
    Load = 1,
    /// Create.
    Create = 2,
    /// Update.
    Update = 3,
    /// Display.
    Display = 4,
    /// Destroy.
    Destroy = 5,
    /// Saving the state.
    SaveState = 6,
    /// Restoring a state.
    RestoreState = 7,
    /// What runs when its file is unmapped.
    Unmap = 8,
}

impl Call {
    pub(crate) fn of(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Load,
            2 => Self::Create,
            3 => Self::Update,
            4 => Self::Display,
            5 => Self::Destroy,
            6 => Self::SaveState,
            7 => Self::RestoreState,
            8 => Self::Unmap,
            _ => return None,
        })
    }
}

/// What a thread is that calls plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Updates plugins.
    Worker = 1,
    /// Makes one call of a replacement.
    Aside = 2,
    /// Loads files.
    Loader = 3,
    /// Unmaps one.
    Unmap = 4,
}

impl Role {
    pub(crate) fn of(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Worker,
            2 => Self::Aside,
            3 => Self::Loader,
            4 => Self::Unmap,
            _ => return None,
        })
    }
}

/// How a process came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// By a fatal signal that this thread brought upon itself.
    Signal(i32),
    /// By an exit with this status.
    Exit(i32),
    /// By a signal that somebody else has sent.
    SentSignal(i32),
}

impl How {
    pub(crate) fn word(self) -> u64 {
        let (kind, value): (u64, i32) = match self {
            Self::Signal(signal) => (1, signal),
            Self::Exit(status) => (2, status),
            Self::SentSignal(signal) => (3, signal),
        };
        kind << 32 | u64::from(value.cast_unsigned())
    }

    pub(crate) fn of(word: u64) -> Option<Self> {
        let value = (word as u32).cast_signed();
        Some(match word >> 32 {
            1 => Self::Signal(value),
            2 => Self::Exit(value),
            3 => Self::SentSignal(value),
            _ => return None,
        })
    }
}

/// Two halves of a word.
pub(crate) fn halves(low: u32, high: u8) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

pub(crate) fn low(word: u64) -> u32 {
    word as u32
}

pub(crate) fn high(word: u64) -> u8 {
    (word >> 32) as u8
}

/// FNV-1a: what was cut or torn is noticed; whoever means harm is kept out by the permissions of the directory.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What never changes in a record.
pub(crate) struct Header {
    pub(crate) slots: u32,
    pub(crate) pid: u32,
    pub(crate) opened_ns: u64,
    pub(crate) boot_id: String,
}

/// Takes numbers and bytes off the front of bytes that may be too few.
pub(crate) struct Front<'a>(pub(crate) &'a [u8]);

impl<'a> Front<'a> {
    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_ne_bytes(self.bytes(2)?.try_into().ok()?))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_ne_bytes(self.bytes(4)?.try_into().ok()?))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_ne_bytes(self.bytes(8)?.try_into().ok()?))
    }
}

impl Header {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PROCESS_AT);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_ne_bytes());
        bytes.extend(ORDER_OF_BYTES.to_ne_bytes());
        bytes.extend(self.slots.to_ne_bytes());
        bytes.extend(self.pid.to_ne_bytes());
        bytes.extend(self.opened_ns.to_ne_bytes());
        let boot_id = self.boot_id.as_bytes();
        bytes.extend(&boot_id[..boot_id.len().min(BOOT_ID_LEN)]);
        bytes.resize(CHECKED_LEN, 0);
        bytes.extend(checksum(&bytes).to_ne_bytes());
        bytes
    }

    /// The header in these bytes, behind the magic and the version. `None` if it is damaged.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let checked = bytes.get(..CHECKED_LEN)?;
        if Front(bytes.get(CHECKED_LEN..)?).u64()? != checksum(checked) {
            return None;
        }
        let mut front = Front(&checked[16..]);
        let (slots, pid, opened_ns) = (front.u32()?, front.u32()?, front.u64()?);
        let boot_id = String::from_utf8_lossy(front.0);
        Some(Self {
            slots,
            pid,
            opened_ns,
            boot_id: boot_id.trim_end_matches('\0').to_owned(),
        })
    }
}

/// What a plugin is known by in a record: calls name it by the number of this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Its id.
    pub id: String,
    /// Its file.
    pub path: String,
    /// What the bytes of its file are known by.
    pub digest: [u8; 32],
}

fn cut(text: &str, len_max: usize) -> &str {
    &text[..text.floor_char_boundary(len_max)]
}

impl Name {
    pub(crate) fn write(&self, into: &mut Vec<u8>) {
        let at = into.len();
        let (id, path) = (cut(&self.id, ID_LEN_MAX), cut(&self.path, PATH_LEN_MAX));
        // Both are at most 4096.
        into.extend((id.len() as u16).to_ne_bytes());
        into.extend((path.len() as u16).to_ne_bytes());
        into.extend(self.digest);
        into.extend(id.as_bytes());
        into.extend(path.as_bytes());
        into.extend(checksum(&into[at..]).to_ne_bytes());
    }

    /// The name at the front, if it is all there and as it was written.
    pub(crate) fn read(front: &mut Front<'_>) -> Option<Self> {
        let all = front.0;
        let (id_len, path_len) = (usize::from(front.u16()?), usize::from(front.u16()?));
        if id_len == 0 || id_len > ID_LEN_MAX || path_len > PATH_LEN_MAX {
            return None;
        }
        let digest = front.bytes(32)?.try_into().ok()?;
        let (id, path) = (front.bytes(id_len)?, front.bytes(path_len)?);
        if front.u64()? != checksum(&all[..NAME_HEAD_LEN + id_len + path_len]) {
            return None;
        }
        Some(Self {
            id: String::from_utf8(id.to_vec()).ok()?,
            path: String::from_utf8(path.to_vec()).ok()?,
            digest,
        })
    }
}
