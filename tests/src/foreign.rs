//! Files that no Rust compiler made: the C sources of `tests/foreign`, built by the `cc` that links everything here anyway.

use std::path::Path;
use std::process::Command;

/// The name that engines look up in a plugin file, `plugin_api::HEADER_SYMBOL`, without the zero byte.
const SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";

/// What a library that claims to be a plugin exports as its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// No such symbol.
    Absent,
    /// Bytes that look like nothing.
    Garbage,
    /// Nothing but zero bytes.
    Zeros,
    /// Nearly what is expected.
    Nearly,
    /// A function.
    Code,
    /// Data at an odd address.
    Crooked,
    /// The address 0.
    Nowhere,
}

impl Header {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Absent,
        Self::Garbage,
        Self::Zeros,
        Self::Nearly,
        Self::Code,
        Self::Crooked,
        Self::Nowhere,
    ];
}

/// A manifest as good as any, of the plugin `claims` and this version of `plugin-api`.
#[must_use]
pub fn good_manifest() -> String {
    // All crates of the workspace have one version.
    let api = env!("CARGO_PKG_VERSION");
    format!(
        "manifest=1\nid=claims\nversion=1.0.0\napi={api}\ncompiler=cc\ntarget=c\npanic=unwind\ninterval=1s\n"
    )
}

/// Writes a library with this manifest and header to `file`.
pub fn write_claim(file: &Path, manifest: &str, header: Header) {
    link(
        "claims.c",
        file,
        &["-shared", "-fPIC", "-nostdlib"],
        &claim(manifest, header),
    );
}

/// Writes a program that carries a good manifest, which a library that can be loaded like a program is not.
pub fn write_program_with_manifest(file: &Path) {
    let defines = claim(&good_manifest(), Header::Garbage);
    link(
        "claims.c",
        file,
        &["-pie", "-fPIE", "-nostdlib", "-Wl,-e,0"],
        &defines,
    );
}

/// Writes what the C compiler makes of an empty program with `options`.
pub fn write_program(file: &Path, options: &[&str]) {
    link("program.c", file, options, &[]);
}

/// Writes a copy of a plugin file without symbols and debugging information, as packages have it: a tenth of the size.
pub fn write_stripped(from: &Path, to: &Path) {
    run(Command::new("strip").arg("-o").arg(to).arg(from));
}

fn claim(manifest: &str, header: Header) -> [String; 3] {
    let manifest: String = manifest
        .bytes()
        .map(|byte| format!("\\{byte:03o}"))
        .collect();
    [
        format!("-DMANIFEST=\"{manifest}\""),
        format!("-DSYMBOL=\"{SYMBOL}\""),
        format!("-DHEADER={}", header as u32),
    ]
}

/// Compiles and links.
fn link(source: &str, file: &Path, options: &[&str], defines: &[String]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("foreign")
        .join(source);
    run(Command::new("cc")
        .args([
            "-Wall",
            "-Werror",
            "-Wno-unused-const-variable",
            "-O1",
            "-o",
        ])
        .arg(file)
        .args(options)
        .args(defines)
        .arg(source));
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
