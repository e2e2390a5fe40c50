//! The dynamic table: which libraries a file needs, where it wants them to be looked for, and whether it is a program after all.

use object::Endianness;
use object::elf;
use object::read::elf::{Dyn, ProgramHeader};

use super::malformed;
use super::mapped::Mapped;
use crate::image::{ImageError, SearchPath, TEXT_LEN_MAX, TEXTS_MAX, terminated};

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

/// What the dynamic table says.
#[derive(Default)]
pub(super) struct Dynamic {
    pub(super) needed: Vec<String>,
    pub(super) search_paths: Vec<SearchPath>,
    has_name: bool,
    has_debug: bool,
    flags: u64,
}

impl Dynamic {
    pub(super) fn read(entries: &Entries, mapped: &Mapped<'_>) -> Result<Self, ImageError> {
        let find = |wanted| entries.find(wanted);
        for (what, address, len) in TABLES {
            let Some(address) = find(address) else {
                continue;
            };
            // The loader looks for the length where it has found the address, and follows what it has not found.
            let Some(len) = find(len) else {
                return Err(malformed(format!("{what} has no length")));
            };
            if mapped.file_offset(address, len).is_none() {
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
        for (tag, value) in &entries.0 {
            let path_tag = match *tag {
                // The loader maps what a filter names just as what is needed.
                elf::DT_NEEDED | elf::DT_FILTER | elf::DT_AUXILIARY => None,
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

    /// Whether the system's loader is told never to unmap it.
    pub(super) fn stays_mapped(&self) -> bool {
        self.flags & elf::DF_1_NODELETE.0 != 0
    }

    /// Whether this is a program that can be put at any address, which has the type of a library.
    pub(super) fn is_program(&self, has_interpreter: bool) -> bool {
        // Old linkers do not write the flag. An interpreter alone says little: some libraries print their version when run.
        // Only programs have a place for a debugger's data.
        self.flags & elf::DF_1_PIE.0 != 0 || (has_interpreter && self.has_debug && !self.has_name)
    }
}

/// The dynamic table up to its end mark: tags and values.
pub(super) struct Entries(Vec<(elf::DynamicTag, u64)>);

impl Entries {
    /// The value of a tag. Of one that comes several times the system's loader takes the last.
    pub(super) fn find(&self, wanted: elf::DynamicTag) -> Option<u64> {
        let entry = self.0.iter().rfind(|(tag, _)| *tag == wanted);
        entry.map(|(_, value)| *value)
    }
}

pub(super) fn entries<Segment: ProgramHeader<Endian = Endianness>>(
    segments: &[Segment],
    endian: Endianness,
    mapped: &Mapped<'_>,
) -> Result<Entries, ImageError> {
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
            return Ok(Entries(entries));
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
