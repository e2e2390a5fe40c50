//! Reads ELF libraries by what the system's loader goes by: program headers and the dynamic table. Section headers, which may be
//! stripped, are only looked at for whether the file is complete.

use std::borrow::Cow;
use std::mem::size_of;

use object::Endianness;
use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

use super::notes::Notes;
use super::{
    Format, Image, ImageError, SearchPath, TEXT_LEN_MAX, TEXTS_MAX, end_inside, terminated,
};

/// The most program headers of one file. Linkers write about a dozen.
const SEGMENTS_MAX: u16 = 256;
/// The most entries of a dynamic table.
const DYNAMIC_LEN_MAX: usize = 4_096;

/// Tables whose address and length stand in the dynamic table. The system's loader reads them without a further look.
const TABLES: [(&str, elf::DynamicTag, elf::DynamicTag); 7] = [
    ("the string table", elf::DT_STRTAB, elf::DT_STRSZ),
    ("a table of relocations", elf::DT_RELA, elf::DT_RELASZ),
    ("a table of relocations", elf::DT_REL, elf::DT_RELSZ),
    ("a table of relocations", elf::DT_RELR, elf::DT_RELRSZ),
    ("a table of relocations", elf::DT_JMPREL, elf::DT_PLTRELSZ),
    (
        "the table of constructors",
        elf::DT_INIT_ARRAY,
        elf::DT_INIT_ARRAYSZ,
    ),
    (
        "the table of destructors",
        elf::DT_FINI_ARRAY,
        elf::DT_FINI_ARRAYSZ,
    ),
];

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
    let dynamic = Dynamic::read(segments, endian, &mapped)?;
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
        machine: machine(header.e_machine(endian), header.is_class_64()),
        bits: if header.is_class_64() { 64 } else { 32 },
        little_endian: header.is_little_endian(),
        manifest: notes.manifest(),
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

/// A part of the file that is mapped.
struct Load {
    address: u64,
    memory_end: u64,
    offset: u64,
    len: u64,
}

/// What lies where in memory once the file is mapped.
struct Mapped<'a> {
    bytes: &'a [u8],
    loads: Vec<Load>,
}

impl<'a> Mapped<'a> {
    fn new<Segment: ProgramHeader<Endian = Endianness>>(
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
    fn file_range(&self, start: u64, len: u64) -> Result<&'a [u8], ImageError> {
        let end = end_inside(self.bytes, start, len)?;
        // Both are at most the length of a slice.
        Ok(&self.bytes[start as usize..end as usize])
    }

    /// Where in the file the content of `len` bytes of memory stands, if all of it does.
    fn file_offset(&self, address: u64, len: u64) -> Option<u64> {
        self.loads.iter().find_map(|load| {
            let within = address.checked_sub(load.address)?;
            let end = within.checked_add(len)?;
            (end <= load.len).then(|| load.offset + within)
        })
    }
}

/// What the dynamic table says.
#[derive(Default)]
struct Dynamic {
    needed: Vec<String>,
    search_paths: Vec<SearchPath>,
    has_name: bool,
    has_debug: bool,
    flags: u64,
}

impl Dynamic {
    fn read<Segment: ProgramHeader<Endian = Endianness>>(
        segments: &[Segment],
        endian: Endianness,
        mapped: &Mapped<'_>,
    ) -> Result<Self, ImageError> {
        let entries = entries(segments, endian, mapped)?;
        let find = |wanted| {
            entries
                .iter()
                .find(|(tag, _)| *tag == wanted)
                .map(|(_, value)| *value)
        };
        for (what, address, len) in TABLES {
            if let Some(address) = find(address)
                && mapped
                    .file_offset(address, find(len).unwrap_or(0))
                    .is_none()
            {
                return Err(malformed(format!("{what} lies outside of what is mapped")));
            }
        }
        // The system's loader follows both without a look at whether they are there.
        let (Some(strings), Some(_)) = (find(elf::DT_STRTAB), find(elf::DT_SYMTAB)) else {
            return Err(malformed("it has no dynamic symbols"));
        };
        let len = find(elf::DT_STRSZ).unwrap_or(0);
        let strings = match mapped.file_offset(strings, len) {
            Some(start) => mapped.file_range(start, len)?,
            None => &[],
        };
        let mut dynamic = Self::default();
        for (tag, value) in &entries {
            let path_tag = match *tag {
                elf::DT_NEEDED => None,
                elf::DT_RPATH => Some("RPATH"),
                elf::DT_RUNPATH => Some("RUNPATH"),
                elf::DT_SONAME => {
                    dynamic.has_name = true;
                    continue;
                }
                elf::DT_DEBUG => {
                    dynamic.has_debug = true;
                    continue;
                }
                elf::DT_FLAGS_1 => {
                    dynamic.flags = *value;
                    continue;
                }
                _ => continue,
            };
            let text = string(strings, *value)?;
            match path_tag {
                None => dynamic.needed.push(text),
                Some(tag) => dynamic.search_paths.push(SearchPath { tag, path: text }),
            }
            if dynamic.needed.len() + dynamic.search_paths.len() > TEXTS_MAX {
                return Err(malformed(format!(
                    "it names more than {TEXTS_MAX} libraries and paths"
                )));
            }
        }
        Ok(dynamic)
    }

    /// Whether this is a program that can be put at any address, which has the type of a library.
    fn is_program(&self, has_interpreter: bool) -> bool {
        // Old linkers do not write the flag. An interpreter alone says little: some libraries print their version when run.
        // Only programs have a place for a debugger's data.
        self.flags & elf::DF_1_PIE.0 != 0 || (has_interpreter && self.has_debug && !self.has_name)
    }
}

/// The dynamic table up to its end mark.
fn entries<Segment: ProgramHeader<Endian = Endianness>>(
    segments: &[Segment],
    endian: Endianness,
    mapped: &Mapped<'_>,
) -> Result<Vec<(elf::DynamicTag, u64)>, ImageError> {
    let mut tables = segments
        .iter()
        .filter(|segment| segment.p_type(endian) == elf::PT_DYNAMIC);
    let (Some(segment), None) = (tables.next(), tables.next()) else {
        return Err(malformed("it has not exactly one dynamic table"));
    };
    let (start, len) = segment.file_range(endian);
    // The system's loader goes by the address, so what is read here has to be what lies there.
    if mapped.file_offset(segment.p_vaddr(endian).into(), len) != Some(start) {
        return Err(malformed("its dynamic table is not where it is mapped"));
    }
    let table = segment
        .dynamic(endian, mapped.bytes)
        .ok()
        .flatten()
        .ok_or_else(|| malformed("its dynamic table cannot be read"))?;
    let mut entries = Vec::with_capacity(table.len().min(64));
    for entry in table {
        let tag = entry.tag(endian);
        if tag == elf::DT_NULL {
            return Ok(entries);
        }
        if entries.len() == DYNAMIC_LEN_MAX {
            return Err(malformed(format!(
                "its dynamic table has more than {DYNAMIC_LEN_MAX} entries"
            )));
        }
        entries.push((tag, entry.val(endian)));
    }
    Err(malformed("its dynamic table has no end"))
}

fn string(strings: &[u8], start: u64) -> Result<String, ImageError> {
    let rest = usize::try_from(start)
        .ok()
        .and_then(|start| strings.get(start..))
        .ok_or_else(|| malformed("a name lies outside of the string table"))?;
    terminated(rest).ok_or_else(|| {
        malformed(format!(
            "a name has no end within the string table and {TEXT_LEN_MAX} bytes"
        ))
    })
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
#[path = "elf_tests.rs"]
mod tests;
