//! The plugin `counter` over another version of the crate `libc` than the engine has, in a workspace of its own below the target directory.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::files::variants_dir;
use crate::sources::Sources;

/// A version of 2021, as it stands in Cargo's index.
const VERSION: &str = "0.2.100";
const CHECKSUM: &str = "a1fa8cddc8fbbee11227ef194b5317ed014b8acbf15139bd716a18ad3fe99ec5";

/// Where its workspace lies.
const NAME: &str = "otherlibc";

const MANIFEST: &str = "plugins/counter/Cargo.toml";
const SOURCE: &str = "plugins/counter/src/lib.rs";

/// Writes the workspace and builds it into `target_dir`. `false`, with words on standard error, where that version of the crate cannot be
/// had.
pub(crate) fn build_counter(target_dir: &Path) -> bool {
    let workspace = variants_dir().join(NAME);
    write(&workspace);
    // All builds of the plugin leave their file under the same name, so one that Cargo takes for fresh would leave that of another build.
    fs::File::options()
        .append(true)
        .open(workspace.join(NAME).join(SOURCE))
        .and_then(|source| source.set_modified(std::time::SystemTime::now()))
        .expect("a source can be touched");
    let build = || {
        let mut build = cargo(&workspace);
        build.args(["build", "--offline", "--target-dir"]);
        run(build.arg(target_dir))
    };
    // This one crate no build before has needed, so it may have to be fetched.
    if build().is_err() {
        if let Err(said) = run(cargo(&workspace).arg("fetch")) {
            eprintln!("a plugin with libc {VERSION} WAS NOT TRIED: it cannot be had: {said}");
            return false;
        }
        build().unwrap_or_else(|said| panic!("building it failed: {said}"));
    }
    let lock = fs::read_to_string(workspace.join("Cargo.lock")).expect("it can be read");
    let libc = format!("name = \"libc\"\nversion = \"{VERSION}\"\n");
    assert!(lock.contains(&libc), "it has another libc");
    true
}

fn cargo(workspace: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(workspace).arg("--quiet");
    cargo
}

fn run(cargo: &mut Command) -> Result<(), String> {
    let output = cargo.output().expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(said)
}

fn write(workspace: &Path) {
    fs::create_dir_all(workspace).expect("a directory can be made");
    let mut text = Sources::of_workspace(NAME, "plugins/counter");
    let here = "[[package]]\nname = \"libc\"\nversion = \"";
    let version = text.between("Cargo.lock", here, "\"");
    assert_ne!(version, VERSION, "that is the engine's own");
    let checksum = text.between("Cargo.lock", &format!("{here}{version}\""), "\n\n");
    let (source, _) = checksum
        .split_once("checksum")
        .expect("it comes from the registry");
    text.edit(
        "Cargo.lock",
        &format!("{here}{version}\"{checksum}"),
        &format!("{here}{VERSION}\"{source}checksum = \"{CHECKSUM}\""),
    );
    // It calls the crate itself, too, and not only what it depends on does.
    let serde = "serde.workspace = true";
    let libc = format!("{serde}\nlibc = \"={VERSION}\"");
    text.edit(MANIFEST, serde, &libc);
    let count = "        self.count += 1;\n";
    let clock = "        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };\n\
        if unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) } != 0 || now.tv_nsec < 0 {\n\
        return Err(PluginError::permanent(\"there is no clock\"));\n}\n";
    text.edit(SOURCE, count, &format!("{clock}{count}"));
    let counter = "name = \"counter\"\nversion = \"";
    let counter_version = text.between("Cargo.lock", counter, "\"");
    let dependencies = format!("{counter}{counter_version}\"\ndependencies = [\n");
    text.edit(
        "Cargo.lock",
        &dependencies,
        &format!("{dependencies} \"libc\",\n"),
    );
    text.write(workspace, NAME);
}
