//! Puts a file's bytes where nobody can change them any more, before they are looked at: what is verified is what is loaded.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use memmap2::MmapMut;
use parking_lot::Mutex;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

/// The largest room that is kept for the bytes of a file.
const ROOM_MAX: usize = 2 << 20;

/// For how many files room is kept.
const ROOMS_MAX: usize = 4;

/// Room for the bytes of the next files. To have the system hand out pages anew for each file takes longer than to read it into them. Pages of
/// their own and none of the allocator's, which keeps what large files took for whatever comes, in each thread.
static ROOMS: Mutex<Vec<MmapMut>> = Mutex::new(Vec::new());

/// How often sealing is tried. Each time the system (`memfd_wait_for_pins` of Linux) waits for about 0.15 s before it says that
/// it cannot be done now.
const SEAL_ATTEMPTS: u32 = 20;

/// Bytes in memory that neither this process nor another can change, grow or cut.
///
/// The descriptor stays open while the library is mapped: if its number were used again, the system's loader would take
/// the next file for this one.
#[derive(Debug)]
pub(crate) struct SealedFile {
    descriptor: OwnedFd,
    len: u64,
    /// The bytes, read out of the sealed copy, at the beginning of a room; `None` where there are none, and after they were let go.
    room: Option<MmapMut>,
}

/// Why there is no sealed copy.
#[derive(Debug)]
pub(crate) enum SealError {
    /// The file has more bytes than wanted.
    TooLarge,
    /// The copy could not be made.
    Copy(io::Error),
}

impl From<io::Error> for SealError {
    fn from(error: io::Error) -> Self {
        Self::Copy(error)
    }
}

impl From<Errno> for SealError {
    fn from(errno: Errno) -> Self {
        Self::Copy(errno.into())
    }
}

impl SealedFile {
    /// Copies a file, at most `len_max` bytes of it, and seals the copy. `name` is what debuggers and profilers show.
    pub(crate) fn copy_of(file: &File, name: &str, len_max: u64) -> Result<Self, SealError> {
        let descriptor =
            rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let len = copy(file, &descriptor, len_max)?;
        seal(&descriptor, 0..SEAL_ATTEMPTS)?;
        let room = read(&descriptor, len)?;
        Ok(Self {
            descriptor,
            len,
            room,
        })
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        first(self.room.as_ref(), self.len)
    }

    /// The bytes, also after they were let go: read again for as long as `look` takes.
    pub(crate) fn with_bytes<R>(&self, look: impl FnOnce(&[u8]) -> R) -> io::Result<R> {
        if self.room.is_some() {
            return Ok(look(self.bytes()));
        }
        let room = read(&self.descriptor, self.len)?;
        let looked = look(first(room.as_ref(), self.len));
        give_back(room);
        Ok(looked)
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Lets go of the bytes, of which the system's loader makes a mapping of its own.
    pub(crate) fn let_go_of_bytes(&mut self) {
        give_back(self.room.take());
    }

    /// A path under which the system's loader finds the bytes.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.descriptor.as_raw_fd()))
    }
}

impl Drop for SealedFile {
    fn drop(&mut self) {
        self.let_go_of_bytes();
    }
}

/// The bytes of a file of this length in its room.
fn first(room: Option<&MmapMut>, len: u64) -> &[u8] {
    let bytes = room.and_then(|room| room.get(..usize::try_from(len).ok()?));
    bytes.unwrap_or_default()
}

/// Reads all of a sealed copy, which nobody can change or cut any more. `None` of one without a byte.
fn read(sealed: &OwnedFd, len: u64) -> io::Result<Option<MmapMut>> {
    let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    if len == 0 {
        return Ok(None);
    }
    let kept = ROOMS.lock().pop().filter(|room| room.len() >= len);
    let mut room = match kept {
        Some(room) => room,
        None => MmapMut::map_anon(len)?,
    };
    let mut rest = &mut room[..len];
    while !rest.is_empty() {
        let at = (len - rest.len()) as u64;
        match rustix::io::pread(sealed, &mut *rest, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => rest = &mut rest[read..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(Some(room))
}

/// Keeps the room for the next file, unless it is large or there is enough already.
fn give_back(room: Option<MmapMut>) {
    let mut rooms = ROOMS.lock();
    if rooms.len() < ROOMS_MAX {
        rooms.extend(room.filter(|room| room.len() <= ROOM_MAX));
    }
}

/// Seals a copy. The system does not seal while somebody holds a page of it, which may be the system itself: it moves pages, or joins them
/// to larger ones. That passes, and is no reason to refuse a plugin.
fn seal(copy: &OwnedFd, attempts: impl Iterator<Item = u32>) -> Result<(), Errno> {
    let mut sealed = Err(Errno::BUSY);
    for _ in attempts {
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        sealed = rustix::fs::fcntl_add_seals(copy, seals);
        if sealed != Err(Errno::BUSY) {
            break;
        }
    }
    sealed
}

/// Copies to the end of the file, wherever that is by then, and returns how many bytes that were. A file that grows meanwhile is not copied
/// for ever.
fn copy(from: &File, to: &OwnedFd, len_max: u64) -> Result<u64, SealError> {
    let mut len = 0;
    loop {
        let rest = usize::try_from(len_max + 1 - len).unwrap_or(usize::MAX);
        // Within the system: the bytes do not go through this process.
        let copied = match rustix::fs::sendfile(to, from, None, rest) {
            Ok(copied) => copied as u64,
            Err(Errno::INTR) => continue,
            // A file system that cannot do this.
            Err(Errno::INVAL | Errno::NOSYS) if len == 0 => {
                return copy_by_hand(from, to, len_max);
            }
            Err(errno) => return Err(errno.into()),
        };
        len += copied;
        if len > len_max {
            return Err(SealError::TooLarge);
        }
        if copied == 0 {
            return Ok(len);
        }
    }
}

fn copy_by_hand(from: &File, to: &OwnedFd, len_max: u64) -> Result<u64, SealError> {
    let mut limited = io::Read::take(from, len_max + 1);
    let len = io::copy(&mut limited, &mut File::from(to.try_clone()?))?;
    if len > len_max {
        return Err(SealError::TooLarge);
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn a_sealed_file_holds_the_bytes_and_cannot_be_changed() {
        let sealed = SealedFile::copy_of(&file(b"verified"), "test", 100).unwrap();
        assert_eq!((sealed.bytes(), sealed.len()), (&b"verified"[..], 8));
        assert_eq!(std::fs::read(sealed.path()).unwrap(), b"verified");
        let write = std::fs::OpenOptions::new().write(true).open(sealed.path());
        let changed = write.and_then(|mut file| file.write_all(b"other"));
        assert!(changed.is_err());
        let cut = std::fs::OpenOptions::new()
            .write(true)
            .open(sealed.path())
            .and_then(|file| file.set_len(1));
        assert!(cut.is_err());
        assert_eq!(std::fs::read(sealed.path()).unwrap(), b"verified");
        assert_eq!(sealed.bytes(), b"verified");
    }

    #[test]
    fn a_copy_is_complete_up_to_the_limit_and_refused_beyond_it() {
        let bytes: Vec<_> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let len = bytes.len() as u64;
        let sealed = SealedFile::copy_of(&file(&bytes), "test", len).unwrap();
        assert!(sealed.bytes() == bytes);
        let longer = SealedFile::copy_of(&file(&bytes), "test", len - 1);
        assert!(matches!(longer, Err(SealError::TooLarge)), "{longer:?}");
        let empty = SealedFile::copy_of(&file(b""), "test", 0).unwrap();
        assert_eq!((empty.bytes(), empty.len()), (&b""[..], 0));
    }

    #[test]
    fn a_page_that_is_held_for_a_while_does_not_keep_a_file_from_being_sealed() {
        let memory = rustix::fs::memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap();
        copy(&file(&[7; 9_000]), &memory, 9_000).unwrap();
        // A pipe holds the page itself, no copy of it, until it is read.
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let flags = rustix::pipe::SpliceFlags::empty();
        rustix::pipe::splice(&memory, Some(&mut 0), &writer, None, 4_096, flags).unwrap();
        assert_eq!(seal(&memory, 0..1), Err(Errno::BUSY));
        let let_go = |attempt: &u32| {
            if *attempt == 1 {
                rustix::io::read(&reader, &mut [0; 4_096][..]).unwrap();
            }
        };
        assert_eq!(seal(&memory, (0..2).inspect(let_go)), Ok(()));
    }

    #[test]
    fn a_copy_by_hand_is_the_same() {
        let bytes = vec![7; 200_000];
        let to = rustix::fs::memfd_create("test", MemfdFlags::CLOEXEC).unwrap();
        assert_eq!(copy_by_hand(&file(&bytes), &to, 200_000).unwrap(), 200_000);
        let path = format!("/proc/self/fd/{}", to.as_raw_fd());
        assert!(std::fs::read(path).unwrap() == bytes);
        let longer = copy_by_hand(&file(&bytes), &to, 199_999);
        assert!(matches!(longer, Err(SealError::TooLarge)));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let directory = File::open("/").unwrap();
        let copied = SealedFile::copy_of(&directory, "test", 100);
        assert!(matches!(copied, Err(SealError::Copy(_))), "{copied:?}");
    }
}
