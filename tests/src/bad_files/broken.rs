//! No dynamic libraries, or what is left of one.

use super::{Refusal, SOME, Writer};

const MACHINE: Refusal = ("PE0113", "this engine runs");
const MALFORMED: Refusal = ("PE0111", "is a broken library");

/// Where the fields of a 64-bit ELF header lie.
mod at {
    pub(super) const CLASS: usize = 4;
    pub(super) const BYTE_ORDER: usize = 5;
    pub(super) const TYPE: usize = 16;
    pub(super) const MACHINE: usize = 18;
    pub(super) const SEGMENTS: usize = 32;
    pub(super) const SECTIONS: usize = 40;
    pub(super) const SEGMENT_COUNT: usize = 56;
    pub(super) const SECTION_COUNT: usize = 60;
    pub(super) const NAME_SECTION: usize = 62;
}

const HEADER_LEN: usize = 64;
const SEGMENT_LEN: usize = 56;

pub(super) fn write(writer: &mut Writer<'_>) {
    writer.bytes("empty", "nothing", ("PE0110", "it is empty"), "");
    writer.bytes(
        "text",
        "a script",
        ("PE0110", "a script"),
        "#!/bin/sh\nexit 0\n",
    );
    writer.bytes("magic-alone", "four bytes of an ELF file", SOME, b"\x7fELF");
    cut_off(writer);
    random(writer);
    headers(writer);
    tables(writer);
}

fn cut_off(writer: &mut Writer<'_>) {
    let len = writer.good.len();
    let near_the_start = [1, 3, 4, 5, 16, 18, 63, 64, 65, 120, 4_096];
    let everywhere = (1..32).map(|part| len * part / 32);
    for at in near_the_start
        .into_iter()
        .chain(everywhere)
        .chain([len - 1])
    {
        let what = "the first part of a good plugin file";
        let start = writer.good[..at].to_vec();
        writer.bytes(&format!("cut-at-{at:07}"), what, SOME, start);
    }
}

fn random(writer: &mut Writer<'_>) {
    let good = writer.good;
    let segments_end = HEADER_LEN + SEGMENT_LEN * usize::from(u16_at(good, at::SEGMENT_COUNT));
    for seed in 1..=8 {
        for (whole, name) in [(HEADER_LEN, "header"), (segments_end, "segments")] {
            let mut bytes = good.to_vec();
            Noise(seed).fill(&mut bytes[whole..]);
            let what = "random bytes behind the beginning of a good plugin file";
            writer.bytes(&format!("random-{seed}-behind-{name}"), what, SOME, bytes);
        }
    }
}

fn headers(writer: &mut Writer<'_>) {
    // RISC-V and 32-bit ARM: not what this is tested on.
    for (machine, name) in [(0xf3, "riscv"), (0x28, "arm")] {
        let what = "a library for another machine";
        writer.changed(&format!("machine-{name}"), what, MACHINE, |bytes| {
            bytes[at::MACHINE] = machine;
        });
    }
    let what = "a 64-bit library that says it is a 32-bit one";
    writer.changed("class-32", what, MALFORMED, |bytes| bytes[at::CLASS] = 1);
    let what = "a library of a class that there is not";
    writer.changed("class-9", what, MALFORMED, |bytes| bytes[at::CLASS] = 9);
    let what = "the header of a 32-bit library";
    writer.bytes("header-32", what, MALFORMED, header_32());
    let what = "a library of the other byte order in name alone";
    writer.changed("big-endian-said", what, SOME, |bytes| {
        bytes[at::BYTE_ORDER] = 2;
    });
    let what = "the header of a library for 64-bit POWER, which has the other byte order";
    writer.bytes("big-endian", what, MALFORMED, header_big_endian());
    for (kind, name, says) in [
        (0, "none", "of type 0"),
        (1, "relocatable", "an object file"),
        (2, "executable", "a program"),
        (4, "core", "core dump"),
    ] {
        let what = "an ELF file of another type";
        writer.changed(&format!("type-{name}"), what, ("PE0114", says), |bytes| {
            bytes[at::TYPE] = kind;
        });
    }
}

/// Headers that point where there is nothing.
fn tables(writer: &mut Writer<'_>) {
    for (offset, name) in [(at::SEGMENTS, "segments"), (at::SECTIONS, "sections")] {
        for (value, where_to) in [(u64::MAX, "nowhere"), (u64::MAX - 4_000, "wrapping")] {
            let what = "a library whose header points out of the file";
            writer.changed(&format!("{name}-{where_to}"), what, SOME, |bytes| {
                bytes[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
            });
        }
    }
    for (offset, name) in [
        (at::SEGMENT_COUNT, "segment-count"),
        (at::SECTION_COUNT, "section-count"),
        (at::NAME_SECTION, "name-section"),
    ] {
        let what = "a library whose header counts more than there is";
        writer.changed(&format!("{name}-too-high"), what, SOME, |bytes| {
            bytes[offset..offset + 2].copy_from_slice(&[0xfe, 0xff]);
        });
        // Nobody needs the names of sections: the system's loader goes by segments, and so does the engine.
        writer.last().is_taken = offset == at::NAME_SECTION;
    }
    let what = "a library with a segment that ends behind the file";
    writer.changed("segment-too-long", what, ("PE0112", ""), |bytes| {
        // Some segment of the good file is one that is loaded; to lengthen all of them lengthens that one.
        let count = usize::from(u16_at(bytes, at::SEGMENT_COUNT));
        for segment in 0..count {
            let len = HEADER_LEN + segment * SEGMENT_LEN + 32;
            bytes[len..len + 8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
        }
    });
}

fn header_32() -> Vec<u8> {
    let mut header = vec![0; 52];
    header[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
    // A dynamic library for i386.
    header[16..20].copy_from_slice(&[3, 0, 3, 0]);
    header[40] = 52;
    header
}

fn header_big_endian() -> Vec<u8> {
    let mut header = vec![0; HEADER_LEN];
    header[..7].copy_from_slice(b"\x7fELF\x02\x02\x01");
    header[at::TYPE..at::TYPE + 4].copy_from_slice(&[0, 3, 0, 21]);
    header[53] = 64;
    header
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Bytes that look random and are the same in every run (xorshift).
struct Noise(u64);

impl Noise {
    fn fill(mut self, bytes: &mut [u8]) {
        self.0 = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}
