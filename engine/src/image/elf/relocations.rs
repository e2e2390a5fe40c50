//! Relocations, as far as the system's loader takes for granted what they are: where glibc finds them otherwise it ends the process.

use std::mem::size_of;

use object::elf;
use object::pod::slice_from_bytes;
use object::{Endianness, U64};

use super::dynamic::Entries;
use super::malformed;
use super::mapped::Mapped;
use crate::image::ImageError;

/// What glibc takes for granted in a library with addresses of 64 bits, for the processors that it and this engine have in common
/// (`elf_get_dynamic_info` in `elf/get-dynamic-info.h`, `_ELF_DYNAMIC_DO_RELOC` in `elf/dynamic-link.h`, `elf_dynamic_do_Rela` in `elf/do-rel.h`).
/// Most of it is asserted; that the first relocations are of that kind is only on x86-64 (`elf_machine_rela_relative` in
/// `sysdeps/x86_64/dl-machine.h`), elsewhere they are made as if they were. Of other processors nothing is said.
/// That each table has its length, and lies in what is mapped, was looked at before.
pub(super) fn check(
    entries: &Entries,
    machine: elf::Machine,
    endian: Endianness,
    mapped: &Mapped<'_>,
) -> Result<(), ImageError> {
    let relative = match machine {
        elf::EM_X86_64 => elf::R_X86_64_RELATIVE,
        elf::EM_AARCH64 => elf::R_AARCH64_RELATIVE,
        elf::EM_RISCV => elf::R_RISCV_RELATIVE,
        _ => return Ok(()),
    };
    let entry_len = size_of::<elf::Rela64<Endianness>>();
    let is_of = |table, len_tag, len: usize| {
        let len_of_entry = entries.find(len_tag);
        entries.find(table).is_none() || len_of_entry == Some(len as u64)
    };
    if !is_of(elf::DT_RELA, elf::DT_RELAENT, entry_len)
        || !is_of(elf::DT_RELR, elf::DT_RELRENT, size_of::<U64<Endianness>>())
    {
        return Err(malformed("its relocations have an unknown size"));
    }
    let kind = entries.find(elf::DT_PLTREL);
    if kind.is_some_and(|kind| kind != elf::DT_RELA.0 as u64) {
        return Err(malformed(
            "relocations of its functions are of another kind than this machine has",
        ));
    }
    if kind.is_some() && entries.find(elf::DT_JMPREL).is_none() {
        return Err(malformed("relocations of its functions are nowhere"));
    }
    let [address, len, counted] =
        [elf::DT_RELA, elf::DT_RELASZ, elf::DT_RELACOUNT].map(|tag| entries.find(tag));
    let (Some(address), Some(len), Some(counted)) = (address, len, counted) else {
        return Ok(());
    };
    let Some(start) = mapped.file_offset(address, len) else {
        return Ok(());
    };
    let table = mapped.file_range(start, len)?;
    let count = table.len() / entry_len;
    let (table, _) = slice_from_bytes::<elf::Rela64<Endianness>>(table, count)
        .map_err(|()| malformed("its relocations cannot be read"))?;
    let counted = usize::try_from(counted)
        .ok()
        .filter(|counted| *counted <= count)
        .ok_or_else(|| {
            // Newer versions of the loader go on behind the end of the table.
            malformed(format!(
                "of {count} relocations {counted} are said to be of one kind"
            ))
        })?;
    let other = |one: &elf::Rela64<Endianness>| one.r_type(endian, false) != relative;
    match table.iter().take(counted).position(other) {
        None => Ok(()),
        Some(at) => Err(malformed(format!(
            "relocation {at} is not of the kind that the first {counted} are said to be of"
        ))),
    }
}
