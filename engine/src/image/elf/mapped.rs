//! Where in the file that stands which the system's loader reads from memory.

use object::Endianness;
use object::elf;
use object::read::elf::ProgramHeader;

use super::malformed;
use crate::image::{ImageError, end_inside};

/// A part of the file that is mapped.
struct Load {
    address: u64,
    memory_end: u64,
    offset: u64,
    len: u64,
}

/// What lies where in memory once the file is mapped.
pub(super) struct Mapped<'a> {
    pub(super) bytes: &'a [u8],
    loads: Vec<Load>,
}

impl<'a> Mapped<'a> {
    pub(super) fn new<Segment: ProgramHeader<Endian = Endianness>>(
        segments: &[Segment],
        endian: Endianness,
        bytes: &'a [u8],
    ) -> Result<Self, ImageError> {
        let mut loads: Vec<Load> = Vec::new();
        for segment in segments {
            if segment.p_type(endian) != elf::PT_LOAD {
                continue;
            }
            let address: u64 = segment.p_vaddr(endian).into();
            let memory_end = address
                .checked_add(segment.p_memsz(endian).into())
                .ok_or_else(|| malformed("a segment ends behind the last address"))?;
            let align: u64 = segment.p_align(endian).into();
            let (offset, len) = segment.file_range(endian);
            if align > 1 && !(align.is_power_of_two() && address % align == offset % align) {
                return Err(malformed(
                    "a segment's address does not fit its place in the file",
                ));
            }
            // The system's loader reserves room up to the end of the last one. One that lies elsewhere would be mapped over
            // whatever is there.
            if loads.last().is_some_and(|last| last.memory_end > address) {
                return Err(malformed("its segments overlap or are not in order"));
            }
            loads.push(Load {
                address,
                memory_end,
                offset,
                len,
            });
        }
        if loads.is_empty() {
            return Err(malformed("it has no segment that is to be mapped"));
        }
        Ok(Self { bytes, loads })
    }

    /// Bytes by their place in the file.
    pub(super) fn file_range(&self, start: u64, len: u64) -> Result<&'a [u8], ImageError> {
        let end = end_inside(self.bytes, start, len)?;
        // Both are at most the length of a slice.
        Ok(&self.bytes[start as usize..end as usize])
    }

    /// Where in the file the content of `len` bytes of memory stands, if all of it does.
    pub(super) fn file_offset(&self, address: u64, len: u64) -> Option<u64> {
        self.loads.iter().find_map(|load| {
            let within = address.checked_sub(load.address)?;
            let end = within.checked_add(len)?;
            (end <= load.len).then(|| load.offset + within)
        })
    }
}
