//! Plugin files that are good but for their manifest.

use super::Writer;
use crate::foreign::{Header, good_manifest, write_claim};

/// The name of the note, `plugin_api::manifest::NOTE_NAME`.
const NOTE_NAME: &[u8; 16] = b"plugin-manifest\0";

const BAD: &str = "PE0121";

pub(super) fn write(writer: &mut Writer<'_>) {
    texts(writer);
    lengths(writer);
    let long = format!("{}padding={}\n", good_manifest(), "x".repeat(4_096));
    let what = "a manifest that is longer than an engine reads";
    let path = writer.file("manifest-oversized", what, (BAD, "the limit is 4096"));
    write_claim(&path, &long, Header::Absent);
}

/// Texts of the manifest of `counter`, each replaced by one of the same length.
fn texts(writer: &mut Writer<'_>) {
    let changes: [(&str, &'static str, &str, &[u8], &'static str); 15] = [
        (
            "not-utf8",
            "no UTF-8",
            "version=0",
            b"version=\xff",
            "it is no UTF-8 text",
        ),
        (
            "key-twice",
            "a key that stands twice",
            "compiler=",
            b"interval=",
            "stands twice",
        ),
        (
            "key-missing",
            "no target",
            "target=",
            b"tarket=",
            "the key target is missing",
        ),
        (
            "value-missing",
            "an empty panic strategy",
            "panic=unwind",
            b"panic=\npad=x",
            "the key panic is missing",
        ),
        (
            "interval-zero",
            "an interval of zero",
            "interval=1s",
            b"interval=0s",
            "interval is",
        ),
        (
            "interval-nonsense",
            "an interval that is no duration",
            "interval=1s",
            b"interval=1x",
            "interval is",
        ),
        (
            "timeout-zero",
            "a timeout of zero",
            "timeout=500ms",
            b"timeout=000ms",
            "timeout is",
        ),
        (
            "no-key",
            "a line without a key",
            "panic=unwind",
            b"panic:unwind",
            "is no key=value",
        ),
        (
            "format-2",
            "another version of the format",
            "manifest=1",
            b"manifest=2",
            "is not version 1",
        ),
        (
            "id-upper-case",
            "an id with a capital",
            "id=counter",
            b"id=Counter",
            "is no plugin id",
        ),
        (
            "id-path",
            "an id that is a path",
            "id=counter",
            b"id=../../x",
            "is no plugin id",
        ),
        (
            "id-escape",
            "an id that steers a terminal",
            "id=counter",
            b"id=\x1b[31mxx",
            "has control characters",
        ),
        (
            "api-other",
            "another contract",
            "\napi=0.1.0",
            b"\napi=9.9.9",
            "9.9.9",
        ),
        (
            "api-nonsense",
            "a contract whose version is none",
            "\napi=0.1.0",
            b"\napi=x.y.z",
            "x.y.z",
        ),
        (
            "panic-other",
            "a panic strategy that ends the process",
            "panic=unwind",
            b"panic=aborts",
            "aborts",
        ),
    ];
    for (stem, what, from, to, says) in changes {
        let code = match stem {
            "api-other" | "api-nonsense" => "PE0122",
            "panic-other" => "PE0123",
            _ => BAD,
        };
        writer.changed(&format!("manifest-{stem}"), what, (code, says), |bytes| {
            let note = note_at(bytes);
            let at = find(&bytes[note..], from.as_bytes())
                .unwrap_or_else(|| panic!("{from:?} does not stand in the manifest"));
            assert_eq!(from.len(), to.len(), "{stem}");
            bytes[note + at..][..to.len()].copy_from_slice(to);
        });
    }
}

/// The three words and the name that the note begins with, each with something else in it.
fn lengths(writer: &mut Writer<'_>) {
    let what = "a note whose first words lie";
    let words: [(&str, usize, u32, &'static str); 8] = [
        ("name-len-huge", 0, u32::MAX, BAD),
        ("name-len-wrapping", 0, u32::MAX - 2, BAD),
        ("name-len-short", 0, 15, ""),
        ("description-len-huge", 4, u32::MAX, BAD),
        ("description-len-wrapping", 4, u32::MAX - 3, BAD),
        ("description-len-long", 4, 400, BAD),
        ("description-len-zero", 4, 0, BAD),
        ("type-other", 8, 2, BAD),
    ];
    for (stem, offset, value, code) in words {
        writer.changed(&format!("note-{stem}"), what, (code, ""), |bytes| {
            let at = note_at(bytes) + offset;
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        });
    }
    let what = "a note of another name";
    writer.changed("note-name-other", what, ("PE0120", ""), |bytes| {
        let at = note_at(bytes) + 12;
        bytes[at] = b'P';
    });
}

/// Where the note of the manifest begins.
fn note_at(bytes: &[u8]) -> usize {
    let mut from = 12;
    loop {
        let name = from + find(&bytes[from..], NOTE_NAME).expect("the good file has a manifest");
        if bytes[name - 12..name - 8] == 16_u32.to_le_bytes() {
            return name - 12;
        }
        from = name + 1;
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
