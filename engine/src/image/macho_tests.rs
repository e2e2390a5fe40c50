use super::*;
use crate::image::read;
use crate::image::samples::{MACH_O_AARCH64, MACH_O_X86_64, MANIFEST, patched, position};

/// Places in the header, in a segment's command and in a section's entry.
const CPU: usize = 4;
const KIND: usize = 12;
const COMMANDS_LEN: usize = 20;
const VMSIZE: usize = 32;
const FILEOFF: usize = 40;
const FILESIZE: usize = 48;
const SECTION_OFFSET: usize = 48;

/// Where the command of a segment begins.
fn segment(name: &[u8; 16]) -> usize {
    position(MACH_O_AARCH64, name) - 8
}

/// Where the entry of the manifest's section begins.
fn section() -> usize {
    position(MACH_O_AARCH64, b"__plugin_engine\0__DATA")
}

fn refusal(patches: &[(usize, &[u8])]) -> String {
    read(&patched(MACH_O_AARCH64, patches))
        .unwrap_err()
        .to_string()
}

/// A file for several machines. Each part begins at a multiple of 64 KiB.
fn several(parts: &[(macho::CpuType, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0xca, 0xfe, 0xba, 0xbe];
    bytes.extend((parts.len() as u32).to_be_bytes());
    for (index, (cpu, part)) in parts.iter().enumerate() {
        let start = (index as u32 + 1) << 16;
        for word in [cpu.0, 0, start, part.len() as u32, 16] {
            bytes.extend(word.to_be_bytes());
        }
    }
    for (index, (_, part)) in parts.iter().enumerate() {
        bytes.resize((index + 1) << 16, 0);
        bytes.extend(*part);
    }
    bytes
}

#[test]
fn a_library_is_read() {
    for (bytes, machine) in [(MACH_O_AARCH64, "aarch64"), (MACH_O_X86_64, "x86_64")] {
        let image = read(bytes).unwrap();
        assert_eq!(image.format, Format::MachO);
        assert_eq!(
            (&*image.machine, image.bits, image.little_endian),
            (machine, 64, true)
        );
        assert_eq!(image.manifest, Some(MANIFEST));
        assert_eq!(image.needed, ["@rpath/libneeded.dylib"]);
        let path = SearchPath {
            tag: "LC_RPATH",
            path: "@loader_path/lib".to_owned(),
        };
        assert_eq!(image.search_paths, [path]);
    }
}

#[test]
fn another_systems_library_does_not_fit() {
    if !cfg!(target_vendor = "apple") {
        let error = read(MACH_O_X86_64)
            .unwrap()
            .fits_this_machine()
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("is Mach-O, a library of another system")
        );
    }
}

#[test]
fn of_a_file_for_several_machines_the_part_for_this_one_is_read() {
    let bytes = several(&[
        (macho::CPU_TYPE_ARM64, MACH_O_AARCH64),
        (macho::CPU_TYPE_X86_64, MACH_O_X86_64),
    ]);
    let image = read(&bytes).unwrap();
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        assert_eq!(image.machine, std::env::consts::ARCH);
    }
    assert_eq!(image.manifest, Some(MANIFEST));
}

#[test]
fn a_file_for_several_other_machines_says_for_which() {
    let bytes = several(&[(macho::CPU_TYPE_POWERPC, MACH_O_AARCH64)]);
    assert_eq!(read(&bytes).unwrap().machine, "aarch64");
}

#[test]
fn a_broken_file_for_several_machines_is_refused() {
    let whole = several(&[(macho::CPU_TYPE_X86_64, MACH_O_X86_64)]);
    for len in (4..whole.len()).step_by(64) {
        assert!(read(&whole[..len]).is_err(), "cut at {len}");
    }
    let part_len = 20;
    for (bytes, says) in [
        (several(&[]), "for no machine"),
        (patched(&whole, &[(part_len, &[0xff])]), "is cut off"),
        (
            patched(&whole, &[(part_len, &[0, 0, 1, 0])]),
            "reaches out of the part",
        ),
        (
            several(&[(macho::CPU_TYPE_ARM64, b"text")]),
            "does not begin like one",
        ),
        (
            several(&[(macho::CPU_TYPE_ARM64, &b""[..]); 33]),
            "the limit is 32",
        ),
    ] {
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn what_is_no_library_is_named() {
    for (kind, says) in [
        (macho::MH_EXECUTE, "a program"),
        (macho::MH_OBJECT, "an object file"),
        (macho::MH_CORE, "core dump"),
        (macho::MH_DSYM, "debugging information"),
        (macho::MH_DYLIB_STUB, "linked against"),
        (macho::FileType(99), "type 99"),
    ] {
        let error = refusal(&[(KIND, &kind.0.to_le_bytes())]);
        assert!(
            error.starts_with("is no dynamic library but") && error.contains(says),
            "{error}"
        );
    }
}

#[test]
fn an_unknown_machine_is_told_by_its_number() {
    let bytes = patched(MACH_O_AARCH64, &[(CPU, &77_u32.to_le_bytes())]);
    assert_eq!(read(&bytes).unwrap().machine, "Mach-O machine 77");
}

#[test]
fn every_cut_is_refused_as_one() {
    for len in (4..MACH_O_X86_64.len()).step_by(3) {
        let error = read(&MACH_O_X86_64[..len]).unwrap_err();
        assert!(
            matches!(error, ImageError::CutOff { .. }),
            "cut at {len}: {error}"
        );
    }
}

#[test]
fn commands_that_cannot_be_are_refused() {
    let text = segment(b"__TEXT\0\0\0\0\0\0\0\0\0\0");
    let path = position(MACH_O_AARCH64, b"@loader_path/lib") - 4;
    for (patch, says) in [
        ((COMMANDS_LEN, &[0xff; 4][..]), "more than 1048576 bytes"),
        ((COMMANDS_LEN, &[8, 0]), "load command"),
        ((text + 4, &[0; 4]), "load command size"),
        ((text + FILEOFF, &[0xff; 8]), "is cut off"),
        ((text + FILESIZE, &[0xff; 8]), "is cut off"),
        (
            (text + VMSIZE, &[0; 8]),
            "longer in the file than in memory",
        ),
        ((text + 64, &[0xff; 4]), "number of sections"),
        (
            (section() + SECTION_OFFSET, &[0xff; 4]),
            "section size or offset",
        ),
        ((path, &[0xff; 4]), "string offset"),
    ] {
        let error = refusal(&[patch]);
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn a_broken_or_absent_note_is_told() {
    let name = position(MACH_O_AARCH64, b"plugin-manifest\0");
    assert!(refusal(&[(name - 8, &[0xff; 4])]).contains("longer than the room"));
    let other = patched(MACH_O_AARCH64, &[(section(), b"__another")]);
    assert_eq!(read(&other).unwrap().manifest, None);
}
