//! Reads Mach-O libraries, as Apple's systems have them, also one out of a file for several machines.

use std::borrow::Cow;
use std::mem::size_of;

use object::Endianness;
use object::macho;
use object::read::macho::{
    FatArch, LoadCommandVariant, MachHeader, MachOFatFile32, MachOFatFile64, Section, Segment,
};
use plugin_api::manifest::SECTION_MACH_O;

use super::notes::Notes;
use super::{Format, Image, ImageError, SearchPath, TEXT_LEN_MAX, TEXTS_MAX, end_inside, text};

/// The most machines that one file is for.
const MACHINES_MAX: usize = 32;
/// The most bytes of load commands. Linkers write some thousands.
const COMMANDS_LEN_MAX: u32 = 1024 * 1024;

fn malformed(reason: impl Into<String>) -> ImageError {
    ImageError::Malformed {
        format: Format::MachO,
        reason: reason.into(),
    }
}

fn refused(error: object::Error) -> ImageError {
    malformed(error.to_string())
}

pub(super) fn read(bytes: &[u8]) -> Result<Image<'_>, ImageError> {
    match bytes {
        [0xca, 0xfe, 0xba, 0xbe, ..] => {
            let file = MachOFatFile32::parse(bytes).map_err(refused)?;
            read_thin(this_machines(file.arches(), bytes)?, false)
        }
        [0xca, 0xfe, 0xba, 0xbf, ..] => {
            let file = MachOFatFile64::parse(bytes).map_err(refused)?;
            read_thin(this_machines(file.arches(), bytes)?, false)
        }
        _ => read_thin(bytes, true),
    }
}

/// The part that is for this machine, or the first one, which then says what it is for.
fn this_machines<'a>(parts: &[impl FatArch], bytes: &'a [u8]) -> Result<&'a [u8], ImageError> {
    if parts.len() > MACHINES_MAX {
        let count = parts.len();
        return Err(malformed(format!(
            "it is for {count} machines, the limit is {MACHINES_MAX}"
        )));
    }
    for part in parts {
        let (start, len) = part.file_range();
        end_inside(bytes, start, len)?;
    }
    parts
        .iter()
        .find(|part| machine(part.cputype()) == std::env::consts::ARCH)
        .or(parts.first())
        .ok_or_else(|| malformed("it is for no machine"))?
        .data(bytes)
        .map_err(refused)
}

/// `is_whole` is whether the bytes are a whole file, which may have been cut, and not a part of one.
fn read_thin(bytes: &[u8], is_whole: bool) -> Result<Image<'_>, ImageError> {
    match bytes {
        [0xfe, 0xed, 0xfa, 0xcf, ..] | [0xcf, 0xfa, 0xed, 0xfe, ..] => {
            read_class::<macho::MachHeader64<Endianness>>(bytes, is_whole)
        }
        [0xfe, 0xed, 0xfa, 0xce, ..] | [0xce, 0xfa, 0xed, 0xfe, ..] => {
            read_class::<macho::MachHeader32<Endianness>>(bytes, is_whole)
        }
        _ => Err(malformed("the part for a machine does not begin like one")),
    }
}

fn read_class<Header: MachHeader<Endian = Endianness>>(
    bytes: &[u8],
    is_whole: bool,
) -> Result<Image<'_>, ImageError> {
    let inside = |start: u64, len: u64| match end_inside(bytes, start, len) {
        Err(_) if !is_whole => Err(malformed(
            "something reaches out of the part for its machine",
        )),
        inside => inside,
    };
    inside(0, size_of::<Header>() as u64)?;
    let header = Header::parse(bytes, 0).map_err(refused)?;
    let endian = header.endian().map_err(refused)?;
    check_kind(header.filetype(endian))?;
    if header.sizeofcmds(endian) > COMMANDS_LEN_MAX {
        return Err(malformed(format!(
            "its load commands have more than {COMMANDS_LEN_MAX} bytes"
        )));
    }
    inside(size_of::<Header>() as u64, header.sizeofcmds(endian).into())?;
    let mut notes = Notes::default();
    let mut needed = Vec::new();
    let mut search_paths = Vec::new();
    for command in header.load_commands(endian, bytes, 0).map_err(refused)? {
        let command = command.map_err(refused)?;
        let name = |name| {
            let name = command.string(endian, name).map_err(refused)?;
            if name.len() > TEXT_LEN_MAX {
                return Err(malformed(format!(
                    "a name has more than {TEXT_LEN_MAX} bytes"
                )));
            }
            Ok(text(name))
        };
        match command.variant().map_err(refused)? {
            LoadCommandVariant::Segment32(segment, sections) => {
                let (start, len) = segment.file_range(endian);
                inside(start, len)?;
                walk(segment, sections, endian, bytes, &mut notes)?;
            }
            LoadCommandVariant::Segment64(segment, sections) => {
                let (start, len) = segment.file_range(endian);
                inside(start, len)?;
                walk(segment, sections, endian, bytes, &mut notes)?;
            }
            LoadCommandVariant::Dylib(library) => {
                // The others may be missing when it is loaded.
                if matches!(
                    command.cmd(),
                    macho::LC_LOAD_DYLIB | macho::LC_REEXPORT_DYLIB | macho::LC_LOAD_UPWARD_DYLIB
                ) {
                    needed.push(name(library.dylib.name)?);
                }
            }
            LoadCommandVariant::Rpath(path) => search_paths.push(SearchPath {
                tag: "LC_RPATH",
                path: name(path.path)?,
            }),
            _ => {}
        }
        if needed.len() + search_paths.len() > TEXTS_MAX {
            return Err(malformed(format!(
                "it names more than {TEXTS_MAX} libraries and paths"
            )));
        }
    }
    Ok(Image {
        format: Format::MachO,
        machine: machine(header.cputype(endian)),
        bits: if header.is_type_64() { 64 } else { 32 },
        little_endian: header.is_little_endian(),
        manifest: notes.manifest(),
        needed,
        search_paths,
        stays_mapped: false,
    })
}

fn check_kind(kind: macho::FileType) -> Result<(), ImageError> {
    let kind = match kind {
        macho::MH_DYLIB | macho::MH_BUNDLE => return Ok(()),
        macho::MH_EXECUTE => "a program".to_owned(),
        macho::MH_OBJECT => "an object file that has not been linked".to_owned(),
        macho::MH_CORE => "the core dump of a program".to_owned(),
        macho::MH_DYLIB_STUB => "what another library is linked against in its place".to_owned(),
        macho::MH_DSYM => "the debugging information of one".to_owned(),
        other => format!("a Mach-O file of type {}", other.0),
    };
    Err(ImageError::NotALibrary { kind })
}

/// Looks for the manifest among a segment's sections.
fn walk<'a, S: Segment<Endian = Endianness>>(
    segment: &S,
    sections: &'a [u8],
    endian: Endianness,
    bytes: &'a [u8],
    notes: &mut Notes<'a>,
) -> Result<(), ImageError> {
    if segment.filesize(endian).into() > segment.vmsize(endian).into() {
        return Err(malformed("a segment is longer in the file than in memory"));
    }
    for section in segment.sections(endian, sections).map_err(refused)? {
        let name = (section.segment_name(), section.name());
        if name == (SECTION_MACH_O.0.as_bytes(), SECTION_MACH_O.1.as_bytes()) {
            let content = section
                .data(endian, bytes, section.offset(endian).into())
                .map_err(refused)?;
            notes.walk(content, 4, endian)?;
        }
    }
    Ok(())
}

/// The processor, as `std::env::consts::ARCH` names it where it has a name for it.
fn machine(machine: macho::CpuType) -> Cow<'static, str> {
    Cow::Borrowed(match machine {
        macho::CPU_TYPE_X86_64 => "x86_64",
        macho::CPU_TYPE_X86 => "x86",
        macho::CPU_TYPE_ARM64 => "aarch64",
        macho::CPU_TYPE_ARM => "arm",
        macho::CPU_TYPE_POWERPC64 => "powerpc64",
        macho::CPU_TYPE_POWERPC => "powerpc",
        _ => return Cow::Owned(format!("Mach-O machine {}", machine.0)),
    })
}

#[cfg(test)]
#[path = "macho_tests.rs"]
mod tests;
