//! Plugin files of other contracts: copies of `plugin-api` and `noop` in a workspace of their own, with one change each, built
//! once and kept below the target directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files::{profile_dir, variants_dir};
use crate::sources::Sources;

/// The version that the copies of `plugin-api` have.
pub const VERSION: &str = "0.1.7";

/// A contract that differs from the engine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contract {
    /// No other at all, in the copy's version: what all others are measured by.
    Same,
    /// One more field at the end of what a plugin offers, and one at the end of what the engine does for it.
    Newer,
    /// Nothing behind the last field that every version has. The same as [`Contract::Same`] where nothing stands there.
    Older,
    /// `PluginModule` without `display`.
    FieldRemoved,
    /// `HostServices` without `record_progress`.
    ServiceRemoved,
    /// `HostServices::now_ns` returns another type.
    TypeChanged,
    /// `CallFrame::deadline_ns` is of another type.
    FrameChanged,
    /// `PluginModule` with a field between `create` and `update`.
    FieldInserted,
    /// `CallFrame` with a field at its end, which is no place to add one.
    FrameExtended,
    /// `PluginModule::update` under another name.
    FieldRenamed,
    /// `PluginModule` with `update` and `display` the other way round.
    FieldsSwapped,
}

impl Contract {
    /// The plugin file of `noop`, built against this contract.
    ///
    /// # Panics
    /// It cannot be built, be it that an edit of the contract no longer finds what it changes.
    #[must_use]
    pub fn noop(self) -> PathBuf {
        let name = format!("{self:?}").to_lowercase();
        let dir = variants_dir();
        let workspace = dir.join(&name);
        fs::create_dir_all(&workspace).expect("a directory can be made");
        // Tests run as threads of one process and as several processes, and the copies are theirs together.
        let lock = File::create(dir.join("lock")).expect("a file can be made");
        lock.lock().expect("a file can be locked");
        self.write(&workspace, &name);
        // What the compiler says of parts that nobody uses any more is of no interest.
        let output = Command::new(env!("CARGO"))
            .current_dir(&workspace)
            .args(["build", "--quiet", "--offline", "--target-dir"])
            .arg(dir.join("target"))
            .output()
            .expect("cargo runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "building {self:?} failed: {said}");
        profile_dir(&dir.join("target"), "debug").join(format!("libnoop_{name}.so"))
    }

    /// Writes the workspace, leaving alone what is written already, so that nothing is built twice.
    fn write(self, workspace: &Path, name: &str) {
        let mut text = Sources::of_workspace(name, "fixtures/noop");
        let version = format!("version = \"{}\"", env!("CARGO_PKG_VERSION"));
        text.edit("Cargo.toml", &version, &format!("version = \"{VERSION}\""));
        // Each has a file name of its own: they are built into one directory.
        let named = format!("name = \"noop-{name}\"");
        text.edit("fixtures/noop/Cargo.toml", "name = \"noop\"", &named);
        self.apply(&mut text);
        text.write(workspace, name);
    }

    fn apply(self, text: &mut Sources) {
        match self {
            Self::Same => {}
            Self::Newer => {
                let field = "    /// More.\n    pub more: unsafe extern \"C\" fn() -> u8,\n";
                append(text, ABI, MODULE, "\n}\n", field);
                append(text, EXPORT, TABLE, "\n        });", "            more,\n");
                let service = "    /// More.\n    pub more: unsafe extern \"C\" fn(host: HostHandle) -> u64,\n";
                append(text, ABI, SERVICES, "\n}\n", service);
                // It asks for what an engine of today has not got, and does without.
                let init = "    guard::init(handle, services, telemetry::install);";
                let asks = "    if let Some(more) = services.more() {\n        unsafe { more(handle) };\n    }\n";
                text.edit(EXPORT, init, &format!("{asks}{init}"));
                let more = "unsafe extern \"C\" fn more() -> u8 {\n    7\n}\n\n";
                let before = "unsafe extern \"C\" fn init(";
                text.edit(EXPORT, before, &format!("{more}{before}"));
            }
            Self::Older => {
                for begin in [MODULE, SERVICES] {
                    let fields = text.between(ABI, begin, "\n}\n");
                    let (first, last) = fields
                        .split_once("#[sabi(last_prefix_field)]")
                        .expect("a last field of the prefix is marked");
                    let last = last.split("\n    ///").next().unwrap_or(last);
                    let kept = format!("{first}#[sabi(last_prefix_field)]{last}");
                    text.edit(
                        ABI,
                        &format!("{begin}{fields}\n}}"),
                        &format!("{begin}{kept}\n}}"),
                    );
                }
                let values = text.between(EXPORT, TABLE, "\n        });");
                let destroy = "destroy: destroy::<P>,";
                let (kept, _) = values.split_once(destroy).expect("the table has a destroy");
                text.edit(EXPORT, &values, &format!("{kept}{destroy}"));
            }
            Self::FieldRemoved => {
                text.edit(
                    ABI,
                    &format!("    /// Displays the instance.\n    pub display: {CALL},\n"),
                    "",
                );
                text.edit(EXPORT, "            display: display::<P>,\n", "");
            }
            Self::ServiceRemoved => {
                let service = "    pub record_progress: unsafe extern \"C\" fn(host: HostHandle, call_id: u64),\n";
                text.edit(ABI, service, "");
                let doc = "    /// Records that the call is getting on with its work.\n";
                text.edit(ABI, doc, "");
                let call = "unsafe { frame.services.record_progress()(frame.host, frame.call_id) }";
                text.edit(HOST, call, "let _ = frame;");
            }
            Self::TypeChanged => {
                let service = "pub now_ns: unsafe extern \"C\" fn(host: HostHandle) -> ";
                text.edit(ABI, &format!("{service}u64,"), &format!("{service}u32,"));
                let call = "unsafe { frame.services.now_ns()(frame.host) }";
                text.edit(HOST, call, &format!("u64::from({call})"));
            }
            Self::FrameChanged => {
                text.edit(ABI, "pub deadline_ns: u64,", "pub deadline_ns: i64,");
                let use_of = ".deadline_ns";
                text.edit(CONTEXT, use_of, &format!("{use_of}.cast_unsigned()"));
            }
            Self::FieldInserted => {
                let before = "    /// Updates the instance.\n";
                let field = format!("    /// Warms up.\n    pub warm_up: {CALL},\n{before}");
                text.edit(ABI, before, &field);
                let before = "            update: update::<P>,\n";
                text.edit(
                    EXPORT,
                    before,
                    &format!("            warm_up: update::<P>,\n{before}"),
                );
            }
            Self::FrameExtended => {
                let last = "    pub log_level_max: u8,\n";
                text.edit(
                    ABI,
                    last,
                    &format!("{last}    /// More.\n    pub more: u64,\n"),
                );
            }
            Self::FieldRenamed => {
                text.edit(ABI, "    pub update: ", "    pub refresh: ");
                text.edit(
                    EXPORT,
                    "            update: update",
                    "            refresh: update",
                );
            }
            Self::FieldsSwapped => {
                text.edit(ABI, "    pub update: ", "    pub other: ");
                text.edit(ABI, "    pub display: ", "    pub update: ");
                text.edit(ABI, "    pub other: ", "    pub display: ");
            }
        }
    }
}

const ABI: &str = "plugin-api/src/abi.rs";
const CONTEXT: &str = "plugin-api/src/context.rs";
const EXPORT: &str = "plugin-api/src/export.rs";
const HOST: &str = "plugin-api/src/host.rs";
const MODULE: &str = "pub struct PluginModule {";
const SERVICES: &str = "pub struct HostServices {";
const TABLE: &str = "WithMetadata::new(PluginModule {";
const CALL: &str = "unsafe extern \"C\" fn(instance: *mut (), frame: &CallFrame) -> u8";

/// Adds a line at the end of what stands between `begin` and `end`.
fn append(text: &mut Sources, path: &str, begin: &str, end: &str, line: &str) {
    let inner = text.between(path, begin, end);
    let line = line.trim_end();
    text.edit(
        path,
        &format!("{begin}{inner}{end}"),
        &format!("{begin}{inner}\n{line}{end}"),
    );
}
