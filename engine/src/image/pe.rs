//! Reads PE libraries, as Windows has them.

use std::borrow::Cow;
use std::mem::size_of;

use object::pe;
use object::read::coff::SectionTable;
use object::read::pe::{DataDirectories, ImageNtHeaders, optional_header_magic};
use object::{Endianness, LittleEndian as LE, ReadRef};
use plugin_api::manifest::SECTION_PE;

use super::notes::Notes;
use super::{Format, Image, ImageError, TEXT_LEN_MAX, TEXTS_MAX, end_inside, terminated};

/// The most sections of one file. Windows itself takes 96.
const SECTIONS_MAX: u16 = 256;

fn malformed(reason: impl Into<String>) -> ImageError {
    ImageError::Malformed {
        format: Format::Pe,
        reason: reason.into(),
    }
}

fn refused(error: object::Error) -> ImageError {
    malformed(error.to_string())
}

pub(super) fn read(bytes: &[u8]) -> Result<Image<'_>, ImageError> {
    end_inside(bytes, 0, size_of::<pe::ImageDosHeader>() as u64)?;
    let header = pe::ImageDosHeader::parse(bytes).map_err(refused)?;
    let start = u64::from(header.nt_headers_offset());
    let end = end_inside(bytes, start, 4)?;
    if bytes[start as usize..end as usize] != *b"PE\0\0" {
        return Err(ImageError::NotALibrary {
            kind: "a program for DOS".to_owned(),
        });
    }
    end_inside(bytes, start, size_of::<pe::ImageNtHeaders32>() as u64)?;
    match optional_header_magic(bytes).map_err(refused)? {
        pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC => read_class::<pe::ImageNtHeaders32>(bytes, start),
        pe::IMAGE_NT_OPTIONAL_HDR64_MAGIC => read_class::<pe::ImageNtHeaders64>(bytes, start),
        other => Err(malformed(format!(
            "class {other:#x} is neither 32 nor 64 bits"
        ))),
    }
}

fn read_class<Headers: ImageNtHeaders>(bytes: &[u8], start: u64) -> Result<Image<'_>, ImageError> {
    end_inside(bytes, start, size_of::<Headers>() as u64)?;
    // Signature and file header come before the optional header, which every library has.
    let optional = start + 24;
    let file_header = bytes
        .read_at::<pe::ImageFileHeader>(start + 4)
        .map_err(|()| malformed("it has no file header"))?;
    let optional_len = file_header.size_of_optional_header.get(LE);
    end_inside(bytes, optional, optional_len.into())?;
    let mut end = start;
    let (headers, directories) = Headers::parse(bytes, &mut end).map_err(refused)?;
    let header = headers.file_header();
    if !header.characteristics.get(LE).contains(pe::IMAGE_FILE_DLL) {
        return Err(ImageError::NotALibrary {
            kind: "a program".to_owned(),
        });
    }
    let count = header.number_of_sections.get(LE);
    if count > SECTIONS_MAX {
        return Err(malformed(format!(
            "it has {count} sections, the limit is {SECTIONS_MAX}"
        )));
    }
    let table_len = u64::from(count) * size_of::<pe::ImageSectionHeader>() as u64;
    end_inside(bytes, end, table_len)?;
    let sections = headers.sections(bytes, end).map_err(refused)?;
    let mut notes = Notes::default();
    for section in sections.iter() {
        let start = section.pointer_to_raw_data.get(LE);
        if start != 0 {
            end_inside(bytes, start.into(), section.size_of_raw_data.get(LE).into())?;
        }
        if section.raw_name() == SECTION_PE.as_bytes() {
            let content = section.pe_data(bytes).map_err(refused)?;
            notes.walk(content, 4, Endianness::Little)?;
        }
    }
    Ok(Image {
        format: Format::Pe,
        machine: machine(header.machine.get(LE)),
        bits: if headers.is_type_64() { 64 } else { 32 },
        little_endian: true,
        manifest: notes.manifest(),
        needed: imports(&directories, &sections, bytes)?,
        search_paths: Vec::new(),
        stays_mapped: false,
    })
}

/// The libraries of the table of imports.
fn imports(
    directories: &DataDirectories<'_>,
    sections: &SectionTable<'_>,
    bytes: &[u8],
) -> Result<Vec<String>, ImageError> {
    let mut needed = Vec::new();
    let Some(imports) = directories.import_table(bytes, sections).map_err(refused)? else {
        return Ok(needed);
    };
    for import in imports.descriptors().map_err(refused)? {
        let name = import.map_err(refused)?.name.get(LE);
        let name = sections
            .pe_data_at(bytes, name)
            .ok_or_else(|| malformed("a name lies outside of its sections"))?;
        needed.push(
            terminated(name).ok_or_else(|| {
                malformed(format!("a name has no end within {TEXT_LEN_MAX} bytes"))
            })?,
        );
        if needed.len() > TEXTS_MAX {
            return Err(malformed(format!(
                "it names more than {TEXTS_MAX} libraries"
            )));
        }
    }
    Ok(needed)
}

/// The processor, as `std::env::consts::ARCH` names it where it has a name for it.
fn machine(machine: pe::Machine) -> Cow<'static, str> {
    Cow::Borrowed(match machine {
        pe::IMAGE_FILE_MACHINE_AMD64 => "x86_64",
        pe::IMAGE_FILE_MACHINE_I386 => "x86",
        pe::IMAGE_FILE_MACHINE_ARM64 => "aarch64",
        pe::IMAGE_FILE_MACHINE_ARMNT => "arm",
        _ => return Cow::Owned(format!("PE machine {}", machine.0)),
    })
}

#[cfg(test)]
#[path = "pe_tests.rs"]
mod tests;
