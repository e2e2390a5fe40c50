//! Reads what a process has left behind. The bytes may be anything: nothing in them is believed that cannot be.

use crate::layout::{
    Call, Front, Header, How, MAGIC, Name, ORDER_OF_BYTES, PROCESS_AT, Role, SLOT_LEN, SLOTS_AT,
    VERSION, high, low,
};
use crate::{NAMES_LEN_MAX, THREADS_MAX};

/// Why a file is no record that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// Something else.
    #[error("it is no record of calls")]
    NotARecord,
    /// Written by a later version.
    #[error("it has the format {version}, and this version knows {VERSION}")]
    Newer {
        /// The version of the format.
        version: u32,
    },
    /// Written on a machine of another kind.
    #[error("it was written on a machine with another order of bytes")]
    OtherMachine,
    /// Not as it was written.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

/// Which run of which process it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunId {
    /// The boot of the machine.
    pub boot_id: String,
    /// The number of the process.
    pub pid: u32,
    /// When it began, in nanoseconds since 1970.
    pub opened_ns: u64,
}

/// How the process came to its end, as it was marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// How.
    pub how: How,
    /// When, in nanoseconds since 1970.
    pub at_ns: u64,
    /// The how-manieth mark of that process it was: the first one is why.
    pub order: u64,
}

/// A call that was in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallLeft {
    /// Whose code was called; `None` if the name is not in the file.
    pub name: Option<Name>,
    /// The kind of call.
    pub call: Call,
    /// Since when, in nanoseconds since 1970.
    pub since_ns: u64,
    /// The system's number of the thread.
    pub tid: u32,
    /// What the thread was.
    pub role: Option<Role>,
    /// How the process came to its end on this very thread, in this very call; `None` if it did not.
    pub mark: Option<Mark>,
}

/// What a process has left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// Which process.
    pub run: RunId,
    /// Whether it ended its work as it should. Calls that were in flight then without a mark are left out.
    pub ended: bool,
    /// How the process came to its end, and the system's number of the thread on which that was seen; `None` if nobody was there to see
    /// it, as with a kill, or a machine that lost its power.
    pub process: Option<(Mark, u32)>,
    /// The calls that were in flight, by the places of their threads.
    pub calls: Vec<CallLeft>,
    /// All names, in the order of their numbers.
    pub names: Vec<Name>,
}

/// The longest file that can be a record, in bytes.
pub(crate) const FILE_LEN_MAX: u64 = (SLOTS_AT + THREADS_MAX * SLOT_LEN) as u64 + NAMES_LEN_MAX;

impl Remains {
    /// The longest file that is worth reading, in bytes.
    pub const FILE_LEN_MAX: u64 = FILE_LEN_MAX;

    /// Reads what was left behind.
    ///
    /// # Errors
    /// It is not what this version writes. Names that are cut or damaged are no error: they, and those behind them, are not known.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut front = Front(bytes);
        let magic = front.bytes(MAGIC.len()).ok_or(Unreadable::NotARecord)?;
        if magic != MAGIC {
            return Err(Unreadable::NotARecord);
        }
        let cut = || Unreadable::Damaged("it ends too soon");
        let (version, order) = (front.u32().ok_or_else(cut)?, front.u32().ok_or_else(cut)?);
        if order == ORDER_OF_BYTES.swap_bytes() {
            return Err(Unreadable::OtherMachine);
        }
        if version > VERSION && order == ORDER_OF_BYTES {
            return Err(Unreadable::Newer { version });
        }
        let header = (version == VERSION && order == ORDER_OF_BYTES)
            .then(|| Header::read(bytes))
            .flatten()
            .ok_or(Unreadable::Damaged(
                "its beginning is not as it was written",
            ))?;
        if header.slots as usize > THREADS_MAX {
            return Err(Unreadable::Damaged("it has more threads than there can be"));
        }
        let slots_end = SLOTS_AT + header.slots as usize * SLOT_LEN;
        let (mapped, names) = bytes.split_at_checked(slots_end).ok_or_else(cut)?;
        let names = read_names(names);
        let process = Words(&mapped[PROCESS_AT..]);
        let ended = process.at(1) != 0;
        let wall_offset = process.at(0).cast_signed();
        let calls = mapped[SLOTS_AT..]
            .chunks_exact(SLOT_LEN)
            .filter_map(|slot| call_left(&Words(slot), wall_offset, &names))
            .filter(|call| !ended || call.mark.is_some())
            .collect();
        Ok(Self {
            run: RunId {
                boot_id: header.boot_id,
                pid: header.pid,
                opened_ns: header.opened_ns,
            },
            ended,
            process: process.mark(3, 1).map(|mark| (mark, low(process.at(2)))),
            calls,
            names,
        })
    }

    /// The call that brought the process to its end: the one with the first mark.
    #[must_use]
    pub fn culprit(&self) -> Option<&CallLeft> {
        let marked = self
            .calls
            .iter()
            .filter_map(|call| Some((call.mark?.order, call)));
        marked.min_by_key(|(order, _)| *order).map(|(_, call)| call)
    }
}

fn read_names(bytes: &[u8]) -> Vec<Name> {
    let mut front = Front(bytes);
    std::iter::from_fn(|| Name::read(&mut front)).collect()
}

/// Words of eight bytes, of which there are enough.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn at(&self, word: usize) -> u64 {
        let mut front = Front(self.0);
        front.bytes(word * 8);
        front.u64().unwrap_or(0)
    }

    /// The mark that begins at this word, if it is one of that.
    fn mark(&self, word: usize, of: u64) -> Option<Mark> {
        let is_of = of != 0 && self.at(word) == of;
        is_of.then_some(())?;
        Some(Mark {
            order: self.at(word + 1),
            how: How::of(self.at(word + 2))?,
            at_ns: self.at(word + 3),
        })
    }
}

fn call_left(slot: &Words<'_>, wall_offset: i64, names: &[Name]) -> Option<CallLeft> {
    let what = slot.at(0);
    let call = Call::of(high(what))?;
    let name = usize::try_from(low(what)).ok()?.checked_sub(1)?;
    let thread = slot.at(3);
    Some(CallLeft {
        name: names.get(name).cloned(),
        call,
        since_ns: slot.at(1).wrapping_add_signed(wall_offset),
        tid: low(thread),
        role: Role::of(high(thread)),
        mark: slot.mark(4, slot.at(2)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &[u8] = include_bytes!("../../../fixtures/files/state/calls-1");
    const OPENED: u64 = 1_767_225_600_123_456_789;
    const ZERO: u64 = 1_767_225_600_000_000_000;

    fn name(id: &str, path: &str, digest: u8) -> Name {
        Name {
            id: id.to_owned(),
            path: path.to_owned(),
            digest: [digest; 32],
        }
    }

    fn names() -> [Name; 2] {
        [
            name("clock", "plugins.d/libclock.so", 0xab),
            name("exits", "plugins.d/libexits.so", 1),
        ]
    }

    /// The golden file with one word of it changed.
    fn with(at: usize, word: u64) -> Vec<u8> {
        let mut bytes = GOLDEN.to_vec();
        bytes[at..at + 8].copy_from_slice(&word.to_ne_bytes());
        bytes
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_first_version_of_the_file_is_read_as_it_ever_was() {
        let mark = Mark {
            how: How::Signal(11),
            at_ns: OPENED + 2_000_000_000,
            order: 1,
        };
        let [clock, exits] = names();
        let remains = Remains::read(GOLDEN).unwrap();
        let update = CallLeft {
            name: Some(clock.clone()),
            call: Call::Update,
            since_ns: ZERO + 1_000_000_000,
            tid: 4712,
            role: Some(Role::Worker),
            // That mark is of an earlier call of the same thread.
            mark: None,
        };
        let create = CallLeft {
            name: Some(exits.clone()),
            call: Call::Create,
            since_ns: ZERO + 1_500_000_000,
            tid: 4713,
            role: Some(Role::Worker),
            mark: Some(mark),
        };
        assert_eq!(remains.culprit(), Some(&create));
        assert_eq!(
            remains,
            Remains {
                run: RunId {
                    boot_id: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".to_owned(),
                    pid: 4711,
                    opened_ns: OPENED,
                },
                ended: false,
                process: Some((mark, 4713)),
                calls: vec![update, create],
                names: vec![clock, exits],
            }
        );
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_first_version_of_the_file_is_written_as_it_ever_was() {
        let header = Header {
            slots: 3,
            pid: 4711,
            opened_ns: OPENED,
            boot_id: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".to_owned(),
        };
        let bytes = header.bytes();
        assert_eq!(bytes, &GOLDEN[..bytes.len()]);
        let mut bytes = Vec::new();
        names().iter().for_each(|name| name.write(&mut bytes));
        assert_eq!(bytes, &GOLDEN[SLOTS_AT + 3 * SLOT_LEN..]);
    }

    #[test]
    fn after_an_end_as_it_should_be_only_marks_are_told() {
        let remains = Remains::read(&with(PROCESS_AT + 8, 1)).unwrap();
        assert!(remains.ended);
        let calls: Vec<_> = remains.calls.iter().map(|call| call.call).collect();
        assert_eq!(calls, [Call::Create]);
    }

    #[test]
    fn of_two_marks_the_first_is_why() {
        let slot = SLOTS_AT;
        let mut bytes = with(slot + 4 * 8, 7);
        bytes[slot + 5 * 8..slot + 6 * 8].copy_from_slice(&2_u64.to_ne_bytes());
        let remains = Remains::read(&bytes).unwrap();
        assert!(remains.calls.iter().all(|call| call.mark.is_some()));
        assert_eq!(remains.culprit().unwrap().call, Call::Create);
    }

    #[test]
    fn names_that_are_not_all_there_are_not_known_and_calls_of_them_are() {
        let remains = Remains::read(&GOLDEN[..GOLDEN.len() - 1]).unwrap();
        assert_eq!(remains.names.len(), 1);
        assert_eq!(remains.calls[1].name, None);
        let mut torn = GOLDEN.to_vec();
        torn[SLOTS_AT + 3 * SLOT_LEN + 40] ^= 1;
        assert_eq!(Remains::read(&torn).unwrap().names, []);
    }

    #[test]
    fn what_is_no_record_is_told_in_words() {
        let newer = with(8, u64::from(ORDER_OF_BYTES) << 32 | 2);
        let other = with(8, u64::from(ORDER_OF_BYTES.swap_bytes()) << 32 | 1);
        let damaged = with(16, 3 | 4712 << 32);
        let end = SLOTS_AT + 3 * SLOT_LEN;
        for (bytes, why) in [
            (&b""[..], Unreadable::NotARecord),
            (b"PE-CALL", Unreadable::NotARecord),
            (&[0; 8192], Unreadable::NotARecord),
            (&newer, Unreadable::Newer { version: 2 }),
            (&other, Unreadable::OtherMachine),
            (
                &damaged,
                Unreadable::Damaged("its beginning is not as it was written"),
            ),
            (&GOLDEN[..10], Unreadable::Damaged("it ends too soon")),
            (&GOLDEN[..end - 1], Unreadable::Damaged("it ends too soon")),
        ] {
            assert_eq!(Remains::read(bytes).unwrap_err(), why);
        }
    }

    #[test]
    fn no_bytes_bring_the_reader_down() {
        // Each bit of what is not covered by a checksum, and each length.
        for at in (0..SLOTS_AT + 3 * SLOT_LEN).chain(GOLDEN.len() - 100..GOLDEN.len()) {
            let mut bytes = GOLDEN.to_vec();
            bytes[at] ^= 0xff;
            if let Ok(remains) = Remains::read(&bytes) {
                assert!(remains.calls.len() <= 3 && remains.names.len() <= 2);
            }
        }
        for len in 0..GOLDEN.len() {
            let _ = Remains::read(&GOLDEN[..len]);
        }
    }
}
