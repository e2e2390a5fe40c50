//! The list of all unsafe code: where it is, and what it relies on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use crate::files::root;

/// How many lines above an unsafe block its comment is looked for.
const LOOK_BACK: usize = 12;

/// One place with unsafe code.
struct Place {
    /// The function or the line that it stands in.
    within: String,
    promise: String,
}

/// The list as it is kept in `engine/UNSAFE.md`. The tests, the fuzzing and the measurements of the workspace are not listed: nobody runs them but those
/// who work on it.
///
/// # Panics
/// A place says nothing of what it relies on.
#[must_use]
pub fn unsafe_inventory() -> String {
    let mut files: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for (name, text) in sources() {
        if is_shipped(&name) {
            let places = places(&name, &text);
            if !places.is_empty() {
                files.insert(name, places);
            }
        }
    }
    let count: usize = files.values().map(Vec::len).sum();
    let mut page = format!(
        "# Unsafe code\n\n\
        Every `unsafe` block and `unsafe impl` of the engine, of `plugin-api`, of the plugins and of the fixtures, with what it relies on, as\n\
        the comment above it says: {count} places in {} files. In which files there may be any is in `tests/tests/tidy.rs`. Written by\n\
        `cargo run --package plugin-engine-tests --example unsafe_inventory > engine/UNSAFE.md`; a test compares it with the code.\n",
        files.len()
    );
    for (file, places) in files {
        // Writing to a text does not fail.
        let _ = write!(page, "\n## `{file}`\n\n");
        for Place { within, promise } in places {
            let _ = writeln!(page, "- `{within}`: {promise}");
        }
    }
    page
}

/// All Rust files, by their path from the root, with their text.
fn sources() -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    let mut dirs: Vec<_> = ["engine", "plugin-api", "plugins", "fixtures"]
        .map(|dir| root.join(dir))
        .into();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("a directory can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                dirs.extend((!path.ends_with("target")).then_some(path));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("it lies in it");
                let text = fs::read_to_string(&path).expect("a source is text");
                found.push((name.to_string_lossy().into_owned(), text));
            }
        }
    }
    found
}

fn is_shipped(name: &str) -> bool {
    let dirs: Vec<_> = name.split('/').collect();
    let is_test = name.starts_with("tests/") || dirs.contains(&"tests");
    let is_tool = ["benches", "fuzz", "fuzzing"]
        .iter()
        .any(|dir| dirs.contains(dir));
    !is_test && !is_tool
}

fn places(name: &str, text: &str) -> Vec<Place> {
    let lines: Vec<&str> = text.lines().collect();
    let found = lines.iter().enumerate().filter(|(_, line)| {
        let code = line.split("//").next().unwrap_or_default();
        code.contains("unsafe {") || code.trim_start().starts_with("unsafe impl ")
    });
    found
        .map(|(at, line)| Place {
            within: within(&lines, at, line),
            promise: promise(&lines, at)
                .unwrap_or_else(|| panic!("{name}, line {}: no SAFETY above it", at + 1)),
        })
        .collect()
}

/// What the place stands in: an `impl` is its own name.
fn within(lines: &[&str], at: usize, line: &str) -> String {
    if let Some(of) = line.trim_start().strip_prefix("unsafe impl ") {
        return format!("impl {}", of.trim_end_matches(['{', '}', ' ']));
    }
    let function = lines[..=at].iter().rev().find_map(|line| {
        let (before, after) = line.split_once("fn ")?;
        let is_definition = before.is_empty() || before.ends_with([' ', '"']);
        let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        (is_definition && end > 0 && !before.contains("//")).then(|| &after[..end])
    });
    function.unwrap_or("the file").to_owned()
}

/// The comment above that says why it is sound, in one line.
fn promise(lines: &[&str], at: usize) -> Option<String> {
    let start = (at.saturating_sub(LOOK_BACK)..=at)
        .rev()
        .find(|line| lines[*line].contains("// SAFETY: "))?;
    let comment = lines[start..at]
        .iter()
        .map_while(|line| line.trim_start().strip_prefix("// "));
    let text: Vec<&str> = comment.map(str::trim).collect();
    Some(text.join(" ").replacen("SAFETY: ", "", 1))
}
