use super::*;
use crate::image::samples::{ELF_SAMPLES, ELF_X86_64, MANIFEST, patched};
use crate::image::{SearchPath, read};

/// Places in the sample's header and in the entries of its program headers.
const TYPE: usize = 16;
const PHOFF: usize = 32;
const SHOFF: usize = 40;
const PHNUM: usize = 56;
const SHNUM: usize = 60;
const P_OFFSET: usize = 8;
const P_VADDR: usize = 16;
const P_FILESZ: usize = 32;
const P_MEMSZ: usize = 40;
const P_ALIGN: usize = 48;

fn word(at: usize) -> usize {
    u64::from_le_bytes(ELF_X86_64[at..at + 8].try_into().unwrap()) as usize
}

/// Where the sample's `nth` program header of a kind stands.
fn segment(kind: elf::ProgramType, nth: usize) -> usize {
    (0..usize::from(ELF_X86_64[PHNUM]))
        .map(|index| word(PHOFF) + index * 56)
        .filter(|at| ELF_X86_64[*at..at + 4] == kind.0.to_le_bytes())
        .nth(nth)
        .unwrap()
}

/// Where the sample's dynamic entry of a tag stands.
fn entry(tag: elf::DynamicTag) -> usize {
    let dynamic = segment(elf::PT_DYNAMIC, 0);
    (0..word(dynamic + P_FILESZ) / 16)
        .map(|index| word(dynamic + P_OFFSET) + index * 16)
        .find(|at| word(*at) == tag.0 as usize)
        .unwrap()
}

/// Where the note of the manifest begins.
fn note() -> usize {
    let name = ELF_X86_64
        .windows(16)
        .position(|bytes| bytes == b"plugin-manifest\0");
    name.unwrap() - 12
}

fn refusal(patches: &[(usize, &[u8])]) -> String {
    match read(&patched(ELF_X86_64, patches)) {
        Ok(image) => panic!("it is taken: {image:?}"),
        Err(error) => error.to_string(),
    }
}

fn u64_of(value: usize) -> [u8; 8] {
    (value as u64).to_le_bytes()
}

#[test]
fn a_library_of_every_class_and_byte_order_is_read() {
    for (bytes, machine, bits, little_endian) in ELF_SAMPLES {
        let image = read(bytes).unwrap();
        assert_eq!(image.format, Format::Elf);
        assert_eq!(
            (&*image.machine, image.bits, image.little_endian),
            (machine, bits, little_endian)
        );
        assert_eq!(image.manifest, Some(MANIFEST), "{machine}");
        assert_eq!(image.needed, ["libneeded.so.1"]);
        let path = SearchPath {
            tag: "RUNPATH",
            path: "$ORIGIN/lib".to_owned(),
        };
        assert_eq!(image.search_paths, [path]);
    }
}

#[test]
fn what_a_filter_names_is_needed_like_any_other() {
    for tag in [elf::DT_FILTER, elf::DT_AUXILIARY] {
        let tag = u64_of(tag.0 as usize);
        let bytes = patched(ELF_X86_64, &[(entry(elf::DT_NEEDED), &tag)]);
        assert_eq!(read(&bytes).unwrap().needed, ["libneeded.so.1"]);
    }
}

#[test]
fn a_library_that_must_stay_mapped_says_so() {
    assert!(!read(ELF_X86_64).unwrap().stays_mapped);
    // Where its name stands a flag can stand as well.
    let at = entry(elf::DT_RUNPATH);
    let flag = u64_of(elf::DF_1_NODELETE.0 as usize);
    let tag = u64_of(elf::DT_FLAGS_1.0 as usize);
    let bytes = patched(ELF_X86_64, &[(at, &tag), (at + 8, &flag)]);
    assert!(read(&bytes).unwrap().stays_mapped);
}

#[test]
fn a_library_without_section_headers_is_read() {
    let bytes = patched(ELF_X86_64, &[(SHOFF, &[0; 8]), (SHNUM, &[0; 4])]);
    assert_eq!(read(&bytes), read(ELF_X86_64));
}

#[test]
fn a_library_at_an_odd_address_is_read() {
    let mut bytes = vec![0];
    bytes.extend(ELF_X86_64);
    assert_eq!(read(&bytes[1..]), read(ELF_X86_64));
}

#[test]
fn an_old_search_path_is_told_from_a_new_one() {
    let bytes = patched(
        ELF_X86_64,
        &[(entry(elf::DT_RUNPATH), &elf::DT_RPATH.0.to_le_bytes())],
    );
    assert_eq!(read(&bytes).unwrap().search_paths[0].tag, "RPATH");
}

#[test]
fn what_is_no_library_is_named() {
    for (kind, says) in [
        (elf::ET_EXEC, "a program"),
        (elf::ET_REL, "an object file"),
        (elf::ET_CORE, "core dump"),
        (elf::FileType(77), "type 77"),
    ] {
        let error = refusal(&[(TYPE, &kind.0.to_le_bytes())]);
        assert!(
            error.starts_with("is no dynamic library but") && error.contains(says),
            "{error}"
        );
    }
}

#[test]
fn a_position_independent_program_is_no_library() {
    // This test is one.
    let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let error = read(&bytes).unwrap_err().to_string();
    assert_eq!(
        error,
        "is no dynamic library but a program (a position-independent one)"
    );
}

#[test]
fn a_program_of_an_old_linker_is_told_by_its_interpreter_and_debugger_entry() {
    // The segment of the stack's permissions stands for the interpreter: nothing reads the latter's text.
    let interpreter = (
        segment(elf::PT_GNU_STACK, 0),
        &elf::PT_INTERP.0.to_le_bytes()[..],
    );
    let debug = (entry(elf::DT_HASH), &u64_of(elf::DT_DEBUG.0 as usize)[..]);
    assert!(read(&patched(ELF_X86_64, &[interpreter])).is_ok());
    assert!(read(&patched(ELF_X86_64, &[debug])).is_ok());
    assert!(refusal(&[interpreter, debug]).contains("position-independent"));
}

#[test]
fn an_unknown_class_version_or_byte_order_is_refused() {
    assert!(refusal(&[(4, &[3])]).contains("class 3"));
    assert!(refusal(&[(5, &[3])]).contains("byte order"));
    assert!(refusal(&[(6, &[0])]).contains("version"));
}

#[test]
fn a_segment_that_leaves_the_file_is_a_cut() {
    for kind in [
        elf::PT_LOAD,
        elf::PT_DYNAMIC,
        elf::PT_NOTE,
        elf::PT_GNU_RELRO,
    ] {
        let at = segment(kind, 0);
        for (field, value) in [
            (P_OFFSET, u64::MAX),
            (P_FILESZ, u64::MAX),
            (P_OFFSET, 1 << 40),
        ] {
            let error = refusal(&[(at + field, &value.to_le_bytes())]);
            assert!(error.starts_with("is cut off"), "{kind:?}: {error}");
        }
    }
}

#[test]
fn every_cut_is_refused_as_one() {
    for len in 1..ELF_X86_64.len() {
        let error = read(&ELF_X86_64[..len]).unwrap_err();
        match error {
            ImageError::CutOff { end, len: found } => {
                assert!(found == len as u64 && end > found && end <= ELF_X86_64.len() as u64);
            }
            ImageError::NoLibrary { .. } => assert!(len < 4),
            other => panic!("cut at {len}: {other}"),
        }
    }
}

#[test]
fn program_headers_that_cannot_be_are_refused() {
    let load = segment(elf::PT_LOAD, 1);
    let first = segment(elf::PT_LOAD, 0);
    for (patch, says) in [
        ((PHNUM, &[0, 0][..]), "no program headers"),
        ((PHNUM, &[0xff, 0xff]), "the limit is 256"),
        ((PHNUM - 2, &[55, 0]), "unknown size"),
        (
            (load + P_MEMSZ, &[1, 0, 0, 0]),
            "longer in the file than in memory",
        ),
        ((load + P_MEMSZ, &[0xff; 8]), "behind the last address"),
        ((load + P_VADDR, &u64_of(0x1008)), "does not fit its place"),
        ((load + P_ALIGN, &[3, 0]), "does not fit its place"),
        ((load + P_VADDR, &[0; 8]), "overlap or are not in order"),
        (
            (first + P_MEMSZ, &u64_of(0x100_0000)),
            "overlap or are not in order",
        ),
    ] {
        let error = refusal(&[patch]);
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn a_dynamic_table_that_cannot_be_is_refused() {
    let dynamic = segment(elf::PT_DYNAMIC, 0);
    let (stack, null) = (segment(elf::PT_GNU_STACK, 0), u64_of(0x6fff_0000));
    let end = entry(elf::DT_NULL);
    let again = [u64_of(elf::DT_STRTAB.0 as usize), u64_of(0x99_0000)].concat();
    for (patch, says) in [
        ((dynamic, &[0, 0][..]), "not exactly one dynamic table"),
        (
            (stack, &elf::PT_DYNAMIC.0.to_le_bytes()),
            "not exactly one dynamic table",
        ),
        (
            (dynamic + P_VADDR, &u64_of(0x2010)),
            "not where it is mapped",
        ),
        // Mapped, but from another place of the file.
        ((dynamic + P_VADDR, &u64_of(0x10)), "not where it is mapped"),
        ((end, &null), "no end"),
        ((entry(elf::DT_SYMTAB), &null), "no dynamic symbols"),
        ((entry(elf::DT_STRTAB), &null), "no dynamic symbols"),
        (
            (entry(elf::DT_STRTAB) + 8, &u64_of(0x99_0000)),
            "the string table lies outside",
        ),
        (
            (entry(elf::DT_STRSZ) + 8, &u64_of(0x99_0000)),
            "the string table lies outside",
        ),
        (
            (entry(elf::DT_STRSZ) + 8, &[0xff; 8]),
            "the string table lies outside",
        ),
        (
            (entry(elf::DT_JMPREL) + 8, &[0xff; 8]),
            "a table of relocations lies outside",
        ),
        (
            (entry(elf::DT_PLTRELSZ), &null),
            "a table of relocations has no length",
        ),
        // One that comes again counts, instead of the one before.
        (
            (entry(elf::DT_HASH), &again),
            "the string table lies outside",
        ),
        (
            (entry(elf::DT_NEEDED) + 8, &[0xff; 8]),
            "outside of the string table",
        ),
        (
            (entry(elf::DT_STRSZ) + 8, &u64_of(1)),
            "outside of the string table",
        ),
    ] {
        let error = refusal(&[patch]);
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn relocations_at_which_the_systems_loader_would_end_the_process_are_refused() {
    // The one relocation that the sample has, in a table of its own. Entries that are not needed make room for what is said of it.
    let table = word(entry(elf::DT_JMPREL) + 8);
    let relative = u64_of(elf::R_X86_64_RELATIVE.0 as usize);
    let said = [
        (elf::DT_HASH, elf::DT_RELA, table),
        (elf::DT_GNU_HASH, elf::DT_RELASZ, 24),
        (elf::DT_RUNPATH, elf::DT_RELAENT, 24),
        (elf::DT_PLTGOT, elf::DT_RELACOUNT, 1),
    ];
    let bytes = |info: &[u8], other: Option<(elf::DynamicTag, usize)>| {
        let said = said.map(|(place, tag, value)| {
            let value = other
                .filter(|(of, _)| *of == tag)
                .map_or(value, |(_, value)| value);
            (
                entry(place),
                [u64_of(tag.0 as usize), u64_of(value)].concat(),
            )
        });
        let mut patches: Vec<_> = said.iter().map(|(at, bytes)| (*at, &bytes[..])).collect();
        patches.push((table + 8, info));
        patched(ELF_X86_64, &patches)
    };
    assert!(read(&bytes(&relative, None)).is_ok());
    for (bytes, says) in [
        (bytes(&[0; 8], None), "relocation 0 is not of the kind"),
        (
            bytes(&relative, Some((elf::DT_RELAENT, 16))),
            "unknown size",
        ),
        (
            bytes(&relative, Some((elf::DT_RELACOUNT, 2))),
            "of 1 relocations 2 are said",
        ),
        (
            bytes(&relative, Some((elf::DT_RELACOUNT, usize::MAX))),
            "are said to be of one kind",
        ),
        (
            patched(ELF_X86_64, &[(entry(elf::DT_PLTREL) + 8, &u64_of(17))]),
            "another kind",
        ),
        (
            patched(ELF_X86_64, &[(entry(elf::DT_JMPREL), &u64_of(0x6fff_0000))]),
            "nowhere",
        ),
    ] {
        let error = read(&bytes).expect_err("it is damaged").to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
    // None are said to be of that kind.
    assert!(read(&bytes(&[0; 8], Some((elf::DT_RELACOUNT, 0)))).is_ok());
}

#[test]
fn a_name_without_an_end_is_refused() {
    let strings = word(entry(elf::DT_STRTAB) + 8);
    let len = word(entry(elf::DT_STRSZ) + 8);
    let error = refusal(&[(strings, &vec![b'x'; len])]);
    assert!(error.contains("a name has no end"), "{error}");
}

#[test]
fn names_that_are_no_text_are_escaped() {
    let name = ELF_X86_64
        .windows(10)
        .position(|bytes| bytes == b"libneeded.")
        .unwrap();
    for (patch, reads) in [
        (&b"lib\x1b[1m"[..], "lib\\u{1b}[1med.so.1"),
        (b"lib\xff", "lib\\xffeeded.so.1"),
    ] {
        let bytes = patched(ELF_X86_64, &[(name, patch)]);
        assert_eq!(read(&bytes).unwrap().needed, [reads]);
    }
}

#[test]
fn a_library_that_is_no_plugin_has_no_manifest() {
    let bytes = patched(ELF_X86_64, &[(note() + 12, b"Plugin")]);
    assert_eq!(read(&bytes).unwrap().manifest, None);
}

#[test]
fn a_broken_note_is_refused() {
    let too_long = 0x1000_u32.to_le_bytes();
    for (patch, says) in [
        ((note(), &[0xff; 4][..]), "longer than the room"),
        ((note(), &too_long), "longer than the room"),
        ((note() + 4, &[0xff; 4]), "longer than the room"),
        ((note() + 8, &[2]), "is of type 2, this engine reads type 1"),
        (
            (segment(elf::PT_NOTE, 0) + P_ALIGN, &[16]),
            "aligned to 4 or 8 bytes, not 16",
        ),
    ] {
        let error = refusal(&[patch]);
        assert!(
            error.starts_with("has a bad note") && error.contains(says),
            "{says}: {error}"
        );
    }
}
