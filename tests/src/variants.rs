//! Builds of one plugin with other compilers, profiles and flags than those of this workspace, kept below the target directory.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use crate::files::{profile_dir, root, variants_dir};

/// How a plugin file is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// By the nightly toolchain.
    Nightly,
    /// As small as it gets: optimised for size, link-time optimisation over all crates, stripped.
    Smallest,
    /// With all that a debugger wants.
    DebugInfo,
    /// Fast, in one unit.
    OneUnit,
    /// Fast, in as many units as there can be.
    ManyUnits,
    /// For the processor of this machine alone.
    TargetCpu,
    /// With checks of overflows, frame pointers, and symbols resolved at the first call.
    LazilyBound,
    /// Over another version of the crate `libc` than the engine has, which it calls.
    OtherLibc,
    /// With panics that end the process.
    Abort,
}

impl Build {
    /// All of them that can be loaded.
    pub const GOOD: [Self; 8] = [
        Self::Nightly,
        Self::Smallest,
        Self::DebugInfo,
        Self::OneUnit,
        Self::ManyUnits,
        Self::TargetCpu,
        Self::LazilyBound,
        Self::OtherLibc,
    ];

    /// The plugin file of the crate `counter`, built like this. `None`, with words on standard error, where there is no such toolchain
    /// or what it needs cannot be had.
    ///
    /// # Panics
    /// It cannot be built.
    #[must_use]
    pub fn counter(self) -> Option<PathBuf> {
        if self == Self::Nightly && !has_nightly() {
            eprintln!(
                "a plugin built by the nightly toolchain WAS NOT TRIED: rustup knows no such toolchain here"
            );
            return None;
        }
        let dir = variants_dir();
        fs::create_dir_all(&dir).expect("a directory can be made");
        // Each build puts its file in the same place.
        let lock = File::create(dir.join("builds.lock")).expect("a file can be made");
        lock.lock().expect("a file can be locked");
        let target_dir = dir.join(if self == Self::Nightly {
            "nightly"
        } else {
            "target"
        });
        if self == Self::OtherLibc {
            if !crate::other_libc::build_counter(&target_dir) {
                return None;
            }
        } else {
            let mut command = self.command();
            command.arg("--target-dir").arg(&target_dir);
            if !self.flags().is_empty() {
                command.arg("--").args(self.flags());
            }
            let output = command.output().expect("cargo runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "building {self:?} failed: {said}");
        }
        let profile = if self == Self::Smallest {
            "release"
        } else {
            "debug"
        };
        let file = dir.join(format!("counter-{self:?}.so").to_lowercase());
        fs::copy(
            profile_dir(&target_dir, profile).join("libcounter.so"),
            &file,
        )
        .expect("a file can be copied");
        Some(file)
    }

    fn command(self) -> Command {
        let mut command = match self {
            Self::Nightly => {
                let mut command = Command::new("rustup");
                command.args(["run", "nightly", "cargo"]);
                // What the Cargo that runs the tests says to its children is meant for its own toolchain.
                for name in ["RUSTUP_TOOLCHAIN", "RUSTC", "RUSTDOC", "CARGO"] {
                    command.env_remove(name);
                }
                command
            }
            _ => Command::new(env!("CARGO")),
        };
        command.current_dir(root());
        command.args([
            "rustc",
            "--quiet",
            "--offline",
            "--locked",
            "--package",
            "counter",
        ]);
        if self == Self::Smallest {
            command.arg("--release");
            for (key, value) in [
                ("LTO", "fat"),
                ("OPT_LEVEL", "z"),
                ("STRIP", "symbols"),
                ("CODEGEN_UNITS", "1"),
                ("DEBUG", "none"),
            ] {
                command.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
            }
        }
        command
    }

    /// Flags for the plugin's own crate. What it depends on is built once for all.
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Nightly | Self::Smallest | Self::OtherLibc => &[],
            Self::DebugInfo => &["-Cdebuginfo=2", "-Csplit-debuginfo=off"],
            Self::OneUnit => &["-Copt-level=3", "-Ccodegen-units=1"],
            Self::ManyUnits => &["-Copt-level=2", "-Ccodegen-units=256"],
            Self::TargetCpu => &["-Copt-level=3", "-Ctarget-cpu=native"],
            Self::LazilyBound => &[
                "-Coverflow-checks=on",
                "-Cforce-frame-pointers=yes",
                "-Crelro-level=off",
            ],
            Self::Abort => &["-Cpanic=abort"],
        }
    }
}

fn has_nightly() -> bool {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "rustc", "--version"]);
    let output = command.env_remove("RUSTUP_TOOLCHAIN").output();
    output.is_ok_and(|output| output.status.success())
}
