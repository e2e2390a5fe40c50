//! Reads ELF libraries by what the system's loader goes by: program headers and the dynamic table. Section headers, which may be
//! stripped, are only looked at for whether the file is complete.

mod dynamic;
mod mapped;
mod relocations;

use std::borrow::Cow;
use std::mem::size_of;

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};

use self::dynamic::Dynamic;
use self::mapped::Mapped;
use super::notes::Notes;
use super::{Format, Image, ImageError, end_inside};

/// The most program headers of one file. Linkers write about a dozen.
const SEGMENTS_MAX: u16 = 256;
fn malformed(reason: impl Into<String>) -> ImageError {
    ImageError::Malformed {
        format: Format::Elf,
        reason: reason.into(),
    }
}

fn not_a_library(kind: impl Into<String>) -> ImageError {
    ImageError::NotALibrary { kind: kind.into() }
}

pub(super) fn read(bytes: &[u8]) -> Result<Image<'_>, ImageError> {
    end_inside(bytes, 0, size_of::<elf::Ident>() as u64)?;
    match elf::FileClass(bytes[4]) {
        elf::ELFCLASS32 => read_class::<elf::FileHeader32<Endianness>>(bytes),
        elf::ELFCLASS64 => read_class::<elf::FileHeader64<Endianness>>(bytes),
        class => Err(malformed(format!(
            "class {class} is neither 32 nor 64 bits"
        ))),
    }
}

fn read_class<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Result<Image<'_>, ImageError> {
    end_inside(bytes, 0, size_of::<Elf>() as u64)?;
    let header = Elf::parse(bytes)
        .map_err(|_| malformed("its header has an unknown version or byte order"))?;
    let endian = header
        .endian()
        .map_err(|error| malformed(error.to_string()))?;
    match header.e_type(endian) {
        elf::ET_DYN => {}
        elf::ET_EXEC => return Err(not_a_library("a program")),
        elf::ET_REL => return Err(not_a_library("an object file that has not been linked")),
        elf::ET_CORE => return Err(not_a_library("the core dump of a program")),
        other => return Err(not_a_library(format!("an ELF file of type {}", other.0))),
    }
    let segments = segments(header, endian, bytes)?;
    let mapped = Mapped::new(segments, endian, bytes)?;
    let entries = dynamic::entries(segments, endian, &mapped)?;
    let dynamic = Dynamic::read(&entries, &mapped)?;
    let machine = machine(header.e_machine(endian), header.is_class_64());
    // A library of another machine is refused as that, and not for what this one's loader would say of it.
    if header.is_class_64() && machine == std::env::consts::ARCH {
        relocations::check(&entries, header.e_machine(endian), endian, &mapped)?;
    }
    let has_interpreter = segments
        .iter()
        .any(|segment| segment.p_type(endian) == elf::PT_INTERP);
    if dynamic.is_program(has_interpreter) {
        return Err(not_a_library("a program (a position-independent one)"));
    }
    let mut notes = Notes::default();
    for segment in segments {
        if segment.p_type(endian) == elf::PT_NOTE {
            let (start, len) = segment.file_range(endian);
            notes.walk(
                mapped.file_range(start, len)?,
                segment.p_align(endian).into(),
                endian,
            )?;
        }
    }
    Ok(Image {
        format: Format::Elf,
        machine,
        bits: if header.is_class_64() { 64 } else { 32 },
        little_endian: header.is_little_endian(),
        manifest: notes.manifest(),
        stays_mapped: dynamic.stays_mapped(),
        needed: dynamic.needed,
        search_paths: dynamic.search_paths,
    })
}

/// The program headers, none of which reaches out of the file.
fn segments<'a, Elf: FileHeader<Endian = Endianness>>(
    header: &Elf,
    endian: Endianness,
    bytes: &'a [u8],
) -> Result<&'a [Elf::ProgramHeader], ImageError> {
    let count = header.e_phnum(endian);
    if count == 0 {
        return Err(malformed(
            "it has no program headers, which say what is to be mapped",
        ));
    }
    if count > SEGMENTS_MAX {
        return Err(malformed(format!(
            "it has {count} program headers, the limit is {SEGMENTS_MAX}"
        )));
    }
    let table_len = u64::from(count) * u64::from(header.e_phentsize(endian));
    end_inside(bytes, header.e_phoff(endian).into(), table_len)?;
    // The section headers come last in a file, so a copy that is not complete lacks them first.
    let table_len = u64::from(header.e_shnum(endian)) * u64::from(header.e_shentsize(endian));
    end_inside(bytes, header.e_shoff(endian).into(), table_len)?;
    let segments = header
        .program_headers(endian, bytes)
        .map_err(|_| malformed("its program headers have an unknown size"))?;
    for segment in segments {
        let kind = segment.p_type(endian);
        let has_content = matches!(
            kind,
            elf::PT_LOAD
                | elf::PT_DYNAMIC
                | elf::PT_INTERP
                | elf::PT_NOTE
                | elf::PT_TLS
                | elf::PT_GNU_RELRO
        );
        if has_content {
            let (start, len) = segment.file_range(endian);
            // A mapped page behind the end of a file is a SIGBUS at first use, long after the load.
            end_inside(bytes, start, len)?;
            if len > segment.p_memsz(endian).into() {
                return Err(malformed("a segment is longer in the file than in memory"));
            }
        }
    }
    Ok(segments)
}

/// The processor, as `std::env::consts::ARCH` names it where it has a name for it.
fn machine(machine: elf::Machine, is_64: bool) -> Cow<'static, str> {
    Cow::Borrowed(match (machine, is_64) {
        // The second is x32, which has the same name and addresses of 32 bits.
        (elf::EM_X86_64, _) => "x86_64",
        (elf::EM_386, _) => "x86",
        (elf::EM_AARCH64, _) => "aarch64",
        (elf::EM_ARM, _) => "arm",
        (elf::EM_RISCV, true) => "riscv64",
        (elf::EM_RISCV, false) => "riscv32",
        (elf::EM_PPC64, _) => "powerpc64",
        (elf::EM_PPC, _) => "powerpc",
        (elf::EM_S390, true) => "s390x",
        (elf::EM_LOONGARCH, true) => "loongarch64",
        (elf::EM_LOONGARCH, false) => "loongarch32",
        (elf::EM_MIPS, true) => "mips64",
        (elf::EM_MIPS, false) => "mips",
        (elf::EM_SPARCV9, _) => "sparc64",
        (elf::EM_SPARC, _) => "sparc",
        (elf::EM_68K, _) => "m68k",
        _ => return Cow::Owned(format!("ELF machine {}", machine.0)),
    })
}

#[cfg(test)]
mod tests;
