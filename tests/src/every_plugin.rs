//! One of each plugin that this repository has, good and bad, in one directory, but for those that end the process.

use std::path::Path;

use crate::files::{CRASHING, plugin_crates};
use crate::{Gate, built};

/// Copies the plugin file of each crate into `dir`, under the crate's name, with the configuration that it needs. Returns the
/// names, sorted.
///
/// Ids are those of the manifests, so two that share one are in each other's way, as they are meant to be. The gated plugin
/// stands at `gate`.
pub fn write_every_plugin(dir: &Path, gate: &Gate) -> Vec<String> {
    let mut names = plugin_crates();
    names.retain(|name| !CRASHING.contains(&name.as_str()));
    names.sort();
    for name in &names {
        std::fs::copy(built(name), dir.join(format!("{name}.so"))).expect("a file can be copied");
        if let Some(config) = config(name, dir, gate) {
            std::fs::write(dir.join(format!("{name}.toml")), config)
                .expect("a file can be written");
        }
    }
    names
}

/// A feed without entries.
const FEED: &str = "<?xml version=\"1.0\"?>
<feed xmlns=\"http://www.w3.org/2005/Atom\"><id>urn:none</id><title>none</title>\
<updated>2026-01-01T00:00:00Z</updated></feed>
";

/// What a plugin is not created without.
fn config(name: &str, dir: &Path, gate: &Gate) -> Option<String> {
    match name {
        "directory-size" | "duplicates" => Some(format!("[settings]\npath = {dir:?}\n")),
        "feed" => {
            let source = dir.join("feed.xml");
            std::fs::write(&source, FEED).expect("a file can be written");
            Some(format!("[settings]\nsource = {source:?}\n"))
        }
        "load-log" => {
            // Not among the plugin files, where nothing is to be left behind.
            let path = gate.path().join("load.db");
            Some(format!(
                "reload = \"stop-first\"\n[settings]\npath = {path:?}\n"
            ))
        }
        // Nobody listens there, which is an error that may pass.
        "probe" => Some("[settings]\naddress = \"127.0.0.1:9\"\n".to_owned()),
        "script" => Some("[settings]\nscript = \"updates * 2\"\n".to_owned()),
        "gated" => Some(gate.settings("")),
        "settings" => Some("[settings]\ngreeting = \"hello\"\n".to_owned()),
        _ => None,
    }
}
