//! The sample libraries of `fixtures/files`, and ways to spoil them.

pub(super) const ELF_X86_64: &[u8] = include_bytes!("../../../fixtures/files/elf-x86_64.so");

/// ELF libraries with their machine, the width of its addresses, and whether it is little-endian.
pub(super) const ELF_SAMPLES: [(&[u8], &str, u8, bool); 4] = [
    (ELF_X86_64, "x86_64", 64, true),
    (
        include_bytes!("../../../fixtures/files/elf-aarch64.so"),
        "aarch64",
        64,
        true,
    ),
    (
        include_bytes!("../../../fixtures/files/elf-x86.so"),
        "x86",
        32,
        true,
    ),
    (
        include_bytes!("../../../fixtures/files/elf-powerpc64.so"),
        "powerpc64",
        64,
        false,
    ),
];

pub(super) const MACH_O_AARCH64: &[u8] =
    include_bytes!("../../../fixtures/files/macho-aarch64.dylib");
pub(super) const MACH_O_X86_64: &[u8] =
    include_bytes!("../../../fixtures/files/macho-x86_64.dylib");
pub(super) const PE_X86_64: &[u8] = include_bytes!("../../../fixtures/files/pe-x86_64.dll");
pub(super) const PE_AARCH64: &[u8] = include_bytes!("../../../fixtures/files/pe-aarch64.dll");

/// The text of the manifest of all samples.
pub(super) const MANIFEST: &[u8] =
    b"manifest=1\nid=sample\nversion=1.0.0\napi=0.1.0\ncompiler=clang\ntarget=sample\npanic=unwind\n";

/// A copy with other bytes at some places.
pub(super) fn patched(bytes: &[u8], patches: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, patch) in patches {
        bytes[*at..at + patch.len()].copy_from_slice(patch);
    }
    bytes
}

/// All samples.
pub(super) const SAMPLES: [&[u8]; 8] = [
    ELF_SAMPLES[0].0,
    ELF_SAMPLES[1].0,
    ELF_SAMPLES[2].0,
    ELF_SAMPLES[3].0,
    MACH_O_AARCH64,
    MACH_O_X86_64,
    PE_X86_64,
    PE_AARCH64,
];

/// Where some bytes stand in a sample for the first time.
pub(super) fn position(sample: &[u8], wanted: &[u8]) -> usize {
    sample
        .windows(wanted.len())
        .position(|bytes| bytes == wanted)
        .expect("the sample has it")
}
