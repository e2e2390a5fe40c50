//! The plugin files that tests load and the program that they run, built by the very Cargo that runs the tests.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie one level below the root")
}

/// What lies among the fixtures and is no plugin.
const NO_PLUGINS: [&str; 1] = ["constructor-mark"];

/// Plugins that end the process which calls them.
pub(crate) const CRASHING: [&str; 7] = [
    "aborts",
    "aborts-in-loader",
    "exhausts-memory",
    "exits",
    "overflows-stack",
    "panics-twice",
    "segfaults",
];

/// The crates of `plugins` or of `fixtures`, in no order.
pub fn crates_of(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let crates = std::fs::read_dir(root().join(group)).expect("the group is there");
    for entry in crates {
        let entry = entry.expect("an entry can be read");
        // One directory holds files that are no crate's.
        if entry.path().join("Cargo.toml").is_file() {
            let name = entry.file_name().into_string();
            names.push(name.expect("a crate's name is text"));
        }
    }
    names
}

/// The crates of `plugins` and `fixtures` that are plugins, in no order.
pub(crate) fn plugin_crates() -> Vec<String> {
    let mut names: Vec<_> = ["plugins", "fixtures"]
        .map(crates_of)
        .into_iter()
        .flatten()
        .collect();
    names.retain(|name| !NO_PLUGINS.contains(&name.as_str()));
    names
}

/// Where Cargo puts what it builds, which a setting or a variable may have moved.
pub fn target_dir() -> PathBuf {
    // A test binary lies in `<target>/<profile>/deps`, a program one level higher.
    let program = std::env::current_exe().expect("a program knows its own file");
    let dir = program.parent().expect("a file lies somewhere");
    let profile_dir = match dir.ends_with("deps") || dir.ends_with("examples") {
        true => dir.parent().expect("deps lies in a profile"),
        false => dir,
    };
    profile_dir.to_owned()
}

/// Where Cargo puts what it builds with a profile below a target directory: one level deeper if it is told for which target.
pub(crate) fn profile_dir(target_dir: &Path, profile: &str) -> PathBuf {
    target_dir.join(build_target()).join(profile)
}

/// The target that Cargo is told, by the variable that tells its children, too; empty if it is told none.
fn build_target() -> OsString {
    std::env::var_os("CARGO_BUILD_TARGET").unwrap_or_default()
}

/// The plugin file of the crate `name`, built if need be. All are built at the first call, or those that the variable `TEST_PLUGINS`
/// names.
pub fn built(name: &str) -> PathBuf {
    built_file(&format!("lib{}.so", name.replace('-', "_")))
}

/// Where plugin files are built that are not as this workspace has them. They share what they need.
pub(crate) fn variants_dir() -> PathBuf {
    target_dir().join("variants")
}

/// The plugin file of the crate `name`, built with `panic = "abort"`.
pub fn built_with_abort(name: &str) -> PathBuf {
    let target_dir = variants_dir().join("target");
    let status = Command::new(env!("CARGO"))
        .current_dir(root())
        .env("CARGO_PROFILE_DEV_PANIC", "abort")
        .args(["build", "--quiet", "--offline", "--locked", "--package"])
        .arg(name)
        .arg("--target-dir")
        .arg(&target_dir)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "building {name} with abort failed");
    profile_dir(&target_dir, "debug").join(format!("lib{}.so", name.replace('-', "_")))
}

/// The program `plugin-engine`, built with them.
pub fn program() -> PathBuf {
    built_file("plugin-engine")
}

fn built_file(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let file = BUILT.get_or_init(build_all).join(name);
    assert!(file.is_file(), "{} was not built", file.display());
    file
}

fn build_all() -> PathBuf {
    let profile_dir = target_dir();
    let release = profile_dir.ends_with("release");
    let levels = if build_target().is_empty() { 1 } else { 2 };
    let target_dir = profile_dir
        .ancestors()
        .nth(levels)
        .expect("a profile lies in a target directory");
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(root())
        .args(["build", "--quiet", "--offline", "--locked", "--target-dir"])
        .arg(target_dir);
    if release {
        command.arg("--release");
    }
    match std::env::var("TEST_PLUGINS") {
        // Where building everything would take too long, as with a sanitizer: without the program.
        Ok(names) => {
            for name in names.split_whitespace() {
                command.args(["--package", name]);
            }
        }
        Err(_) => {
            // With the tests, so that what plugins share with them is built with the same features, and not once more.
            for name in ["plugin-engine-cli", "plugin-engine-tests"] {
                command.args(["--package", name]);
            }
            for name in plugin_crates().iter().map(String::as_str).chain(NO_PLUGINS) {
                command.args(["--package", name]);
            }
        }
    }
    let status = command.status().expect("cargo runs");
    assert!(status.success(), "building the plugin files failed");
    profile_dir
}

/// A copy of a plugin file in which `from`, a text of its manifest, reads `to`.
pub fn patched(name: &str, from: &str, to: &str, file: &Path) {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(built(name)).expect("a file can be read and written");
    let at: Vec<_> = (0..bytes.len() - from.len())
        .filter(|at| bytes[*at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!at.is_empty(), "{from} is not there");
    for at in at {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    std::fs::write(file, bytes).expect("a file can be read and written");
}
