use super::*;
use crate::image::read;
use crate::image::samples::{MANIFEST, PE_AARCH64, PE_X86_64, patched, position};

/// Places in the file header, in the optional header and in a section's entry.
const SECTIONS: usize = 6;
const OPTIONAL_LEN: usize = 20;
const CHARACTERISTICS: usize = 22;
const MAGIC: usize = 24;
const IMPORTS: usize = 24 + 112 + 8;
const RAW_LEN: usize = 16;
const RAW_START: usize = 20;

fn headers() -> usize {
    position(PE_X86_64, b"PE\0\0")
}

fn refusal(patches: &[(usize, &[u8])]) -> String {
    read(&patched(PE_X86_64, patches)).unwrap_err().to_string()
}

#[test]
fn a_library_is_read() {
    for (bytes, machine) in [(PE_X86_64, "x86_64"), (PE_AARCH64, "aarch64")] {
        let image = read(bytes).unwrap();
        assert_eq!(image.format, Format::Pe);
        assert_eq!(
            (&*image.machine, image.bits, image.little_endian),
            (machine, 64, true)
        );
        assert_eq!(image.manifest, Some(MANIFEST));
        assert_eq!(image.needed, ["needed.dll"]);
        assert_eq!(image.search_paths, []);
    }
}

#[test]
fn another_systems_library_does_not_fit() {
    if !cfg!(windows) {
        let error = read(PE_X86_64).unwrap().fits_this_machine().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("is PE, a library of another system")
        );
    }
}

#[test]
fn a_program_is_no_library() {
    let error = refusal(&[(headers() + CHARACTERISTICS, &[0x22, 0])]);
    assert_eq!(error, "is no dynamic library but a program");
    let error = refusal(&[(headers(), b"NE")]);
    assert_eq!(error, "is no dynamic library but a program for DOS");
}

#[test]
fn every_cut_is_refused_as_one() {
    for len in 2..PE_X86_64.len() {
        let error = read(&PE_X86_64[..len]).unwrap_err();
        assert!(
            matches!(error, ImageError::CutOff { .. }),
            "cut at {len}: {error}"
        );
    }
}

#[test]
fn headers_that_cannot_be_are_refused() {
    let (headers, section) = (headers(), position(PE_X86_64, b".plugeng"));
    for (patch, says) in [
        ((0x3c, &[0xff; 4][..]), "is cut off"),
        ((headers + MAGIC, &[7, 1]), "class 0x107"),
        ((headers + OPTIONAL_LEN, &[0, 0]), "optional header size"),
        ((headers + SECTIONS, &[0xff; 2]), "the limit is 256"),
        ((headers + SECTIONS, &[200, 0]), "is cut off"),
        ((section + RAW_START, &[0xff; 4]), "is cut off"),
        ((section + RAW_LEN, &[0xff; 4]), "is cut off"),
        ((headers + IMPORTS, &[0xff; 4]), "import"),
    ] {
        let error = refusal(&[patch]);
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn a_broken_or_absent_note_is_told() {
    let name = position(PE_X86_64, b"plugin-manifest\0");
    assert!(refusal(&[(name - 4, &[9])]).contains("is of type 9"));
    assert!(refusal(&[(name - 8, &[0xff; 4])]).contains("longer than the room"));
    let other = patched(
        PE_X86_64,
        &[(position(PE_X86_64, b".plugeng"), b".another")],
    );
    assert_eq!(read(&other).unwrap().manifest, None);
}
