//! Tells a file by its first bytes.

use super::{Format, ImageError};

/// As much of the file as is looked at to tell text from other things.
const LOOK_LEN: usize = 512;

/// Beginnings of what people drop into a plugin directory instead of a library.
const OTHERS: [(&[u8], &str); 22] = [
    (b"#!", "a script"),
    (b"!<arch>\n", "a static library (an archive)"),
    (b"!<thin>\n", "a static library (a thin archive)"),
    (b"\x1f\x8b", "a gzip file; unpack it first"),
    (b"PK\x03\x04", "a zip file; unpack it first"),
    (b"BZh", "a bzip2 file; unpack it first"),
    (b"\xfd7zXZ\0", "an xz file; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd file; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z file; unpack it first"),
    (b"\0asm", "a WebAssembly module"),
    (b"BC\xc0\xde", "LLVM bitcode"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"SQLite format 3\0", "an SQLite database"),
    (
        b"version https://git-lfs",
        "a Git LFS pointer; fetch the file itself",
    ),
    (b"<!DOCTYPE", "a web page"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"/* GNU ld script", "a linker script"),
    (b"INPUT(", "a linker script"),
    (b"GROUP (", "a linker script"),
];

/// The format that the first bytes announce.
pub(super) fn format(bytes: &[u8]) -> Result<Format, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    match bytes {
        [0x7f, b'E', b'L', b'F', ..] => Ok(Format::Elf),
        // A Java class begins like a Mach-O file for several machines. The next word is its version there, from 45 on, and the
        // number of machines here, which nobody makes that large.
        [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 0..45, ..]
        | [0xca, 0xfe, 0xba, 0xbf, ..]
        | [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..]
        | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..] => Ok(Format::MachO),
        [0xca, 0xfe, 0xba, 0xbe, ..] => Err(looks_like("a Java class")),
        [b'M', b'Z', ..] => Ok(Format::Pe),
        _ => Err(looks_like(guess(bytes))),
    }
}

fn looks_like(looks_like: &'static str) -> ImageError {
    ImageError::NoLibrary { looks_like }
}

fn guess(bytes: &[u8]) -> &'static str {
    if let Some((_, name)) = OTHERS.iter().find(|(start, _)| bytes.starts_with(start)) {
        return name;
    }
    let look = &bytes[..bytes.len().min(LOOK_LEN)];
    if look.iter().all(|byte| *byte == 0) {
        return "zeros, as a file has whose content has not arrived";
    }
    let is_text = match std::str::from_utf8(look) {
        Ok(text) => is_printable(text),
        // The look may end within a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&look[..error.valid_up_to()]).is_ok_and(is_printable)
        }
        Err(_) => false,
    };
    if is_text {
        "text"
    } else {
        "nothing that is known"
    }
}

fn is_printable(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| !c.is_control() || c.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_library_is_named_by_what_it_looks_like() {
        for (bytes, says) in [
            (&b"#!/bin/sh\n"[..], "a script"),
            (b"!<arch>\nlib.rlib/", "a static library"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (b"PK\x03\x04", "zip"),
            (b"\xca\xfe\xba\xbe\0\0\0\x34", "a Java class"),
            (b"/* GNU ld script */", "a linker script"),
            (b"interval = \"1s\"\n", "text"),
            ("fünf".as_bytes(), "text"),
            (b"f\xc3", "text"),
            (b"\0\0\0\0\0\0", "zeros"),
            (b"\x7fELE", "nothing that is known"),
            (b"text\x01", "nothing that is known"),
            (b"\xff\xfe", "nothing that is known"),
        ] {
            let error = format(bytes).unwrap_err().to_string();
            assert!(
                error.starts_with("is no dynamic library: ") && error.contains(says),
                "{error}"
            );
        }
        assert_eq!(format(b""), Err(ImageError::Empty));
    }

    #[test]
    fn every_format_is_known_by_its_first_bytes() {
        for (bytes, expected) in [
            (&b"\x7fELF"[..], Format::Elf),
            (b"MZ", Format::Pe),
            (b"\xcf\xfa\xed\xfe", Format::MachO),
            (b"\xfe\xed\xfa\xce", Format::MachO),
            (b"\xca\xfe\xba\xbe\0\0\0\x02", Format::MachO),
        ] {
            assert_eq!(format(bytes), Ok(expected));
        }
    }
}
