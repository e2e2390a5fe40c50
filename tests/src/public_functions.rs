//! Which functions of a crate people can call, and which of them an example shows. Read from the sources as rustfmt leaves them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::files::root;

/// A function, a method, or a method of a trait that people can call or write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicFunction {
    /// With its type in front, as in `Engine::load_all`.
    pub name: String,
    /// Whether it has an example, or one of its type calls it or writes it.
    pub has_example: bool,
}

/// What a crate offers by name.
#[derive(Default)]
struct Offered {
    names: BTreeSet<String>,
    /// The files of modules that are public, in which all that is public is offered.
    files: BTreeSet<String>,
}

/// A function as it was found, before it is known what its type shows.
struct Found {
    /// The type or trait; empty for a function of its own.
    of: String,
    name: String,
    file: String,
    has_example: bool,
}

/// The public functions of `plugin-api` and `plugin-engine`, with what the latter hands on of other crates.
///
/// # Panics
/// A source cannot be read.
#[must_use]
pub fn public_functions() -> Vec<PublicFunction> {
    let engine = offered("engine/src", "");
    let mut all = functions("plugin-api/src", &offered("plugin-api/src", ""));
    all.extend(functions("engine/src", &engine));
    for (dir, name) in [
        ("engine/core/src", "plugin_engine_core::"),
        ("engine/crash-marks/src", "plugin_engine_crash_marks::"),
    ] {
        all.extend(functions(dir, &offered("engine/src", name)));
    }
    all.sort();
    all.dedup();
    all
}

/// What the crate in `dir` offers of itself, or, where a crate is named, what it hands on of that.
fn offered(dir: &str, handed_on: &str) -> Offered {
    let mut offered = Offered::default();
    let mut files = vec!["lib.rs".to_owned()];
    while let Some(file) = files.pop() {
        let text = read(&Path::new(dir).join(&file));
        let mut is_hidden = false;
        for line in statements(&text) {
            if line == "#[doc(hidden)]" {
                is_hidden = true;
                continue;
            }
            if let Some(module) = line
                .strip_prefix("pub mod ")
                .and_then(|rest| rest.strip_suffix(';'))
            {
                let in_dir = format!("{module}/mod.rs");
                let path = if root().join(dir).join(&in_dir).is_file() {
                    in_dir
                } else {
                    format!("{module}.rs")
                };
                if !is_hidden && handed_on.is_empty() {
                    offered.files.insert(format!("{dir}/{path}"));
                    files.push(path);
                }
            } else if let Some(used) = line.strip_prefix("pub use ") {
                let is_other = used.starts_with("plugin_");
                if !is_hidden
                    && (if handed_on.is_empty() {
                        !is_other
                    } else {
                        used.starts_with(handed_on)
                    })
                {
                    offered.names.extend(names(used));
                }
            }
            is_hidden = is_hidden && line.starts_with("#[");
        }
    }
    offered
}

/// The lines of a file at its top level, each with what belongs to it on the lines after it.
fn statements(text: &str) -> Vec<String> {
    let mut statements: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        match statements.last_mut() {
            Some(last) if is_open => last.push_str(line.trim()),
            _ => statements.push(line.to_owned()),
        }
        is_open = statements
            .last()
            .is_some_and(|line| line.starts_with("pub use ") && !line.ends_with(';'));
    }
    statements
}

/// The names in `a::b::{C, d::E as F};`, as they are where they come from.
fn names(used: &str) -> Vec<String> {
    let inner = used.trim_end_matches(';');
    let inner = inner.split_once('{').map_or(inner, |(_, inner)| inner);
    let inner = inner.trim_end_matches('}').split(',').map(str::trim);
    let name = |one: &str| {
        let path = one.split(" as ").next().unwrap_or(one);
        path.rsplit("::").next().unwrap_or(path).to_owned()
    };
    inner.filter(|one| !one.is_empty()).map(name).collect()
}

fn functions(dir: &str, offered: &Offered) -> Vec<PublicFunction> {
    let mut found = Vec::new();
    // The examples of types, by their names.
    let mut examples: BTreeMap<String, String> = BTreeMap::new();
    for file in sources(dir) {
        scan(&file, &read(Path::new(&file)), &mut found, &mut examples);
    }
    let is_offered = |one: &Found| {
        // What a macro makes for several types is offered if any of them is.
        let name = if one.of.is_empty() {
            &one.name
        } else {
            &one.of
        };
        name.starts_with('$') || offered.names.contains(name) || offered.files.contains(&one.file)
    };
    let shown = |one: &Found| {
        let example = examples.get(&one.of).map_or("", String::as_str);
        let calls = [".", "::", "fn "].iter().any(|before| {
            ["(", "::<", "<"]
                .iter()
                .any(|after| example.contains(&format!("{before}{}{after}", one.name)))
        });
        one.has_example || calls
    };
    let found = found.into_iter().filter(is_offered);
    found
        .map(|one| PublicFunction {
            has_example: shown(&one),
            name: if one.of.is_empty() {
                one.name
            } else {
                format!("{}::{}", one.of, one.name)
            },
        })
        .collect()
}

/// Looks through one file.
fn scan(file: &str, text: &str, found: &mut Vec<Found>, examples: &mut BTreeMap<String, String>) {
    // The block that a line lies in: how far it is indented, whose it is, whether it is a trait.
    let mut block: Option<(usize, String, bool)> = None;
    let (mut docs, mut is_hidden) = (String::new(), false);
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    for line in code.lines() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if let Some(doc) = trimmed.strip_prefix("///") {
            docs.push_str(doc);
            docs.push('\n');
            continue;
        }
        if trimmed.starts_with("#[") {
            is_hidden |= trimmed == "#[doc(hidden)]";
            continue;
        }
        if trimmed == "}" && block.as_ref().is_some_and(|(at, ..)| *at == indent) {
            block = None;
        }
        let example = fenced(&docs);
        let docs_end = !trimmed.is_empty() && !trimmed.starts_with([')', '/']);
        if let Some(name) = declared(trimmed, &["pub struct ", "pub enum ", "pub trait "]) {
            examples.entry(name.clone()).or_default().push_str(&example);
            if trimmed.starts_with("pub trait ") && trimmed.ends_with('{') && !is_hidden {
                block = Some((indent, name, true));
            }
        } else if trimmed.starts_with("impl") && trimmed.ends_with('{') {
            block = owner(trimmed).map(|name| (indent, name, false));
        } else if let Some(name) = function(trimmed, block.as_ref().is_some_and(|(.., is)| *is)) {
            let is_free = block.is_none() && indent == 0;
            if (is_free || block.is_some()) && !is_hidden {
                found.push(Found {
                    of: block
                        .as_ref()
                        .map(|(_, of, _)| of.clone())
                        .unwrap_or_default(),
                    name,
                    file: file.to_owned(),
                    has_example: !example.is_empty(),
                });
            }
        }
        if docs_end {
            docs.clear();
            is_hidden = false;
        }
    }
}

/// What stands between fences.
fn fenced(docs: &str) -> String {
    let inner = docs.split("```").skip(1).step_by(2);
    inner.map(|code| format!("{code}\n")).collect()
}

/// The name that a line declares by one of these words.
fn declared(line: &str, words: &[&str]) -> Option<String> {
    let rest = words.iter().find_map(|word| line.strip_prefix(word))?;
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    Some(rest[..end.unwrap_or(rest.len())].to_owned())
}

/// Whose block `impl<'a> Name<'a> {` is. None for what a trait asks for, which is described there.
fn owner(line: &str) -> Option<String> {
    let rest = line.strip_prefix("impl")?;
    let rest = match rest.strip_prefix('<') {
        Some(generic) => generic.split_once("> ")?.1,
        None => rest.trim_start(),
    };
    if line.contains(" for ") {
        return None;
    }
    let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$')));
    Some(rest[..end.unwrap_or(rest.len())].to_owned())
}

/// The name of the public function that begins here; in a trait all are public.
fn function(line: &str, in_trait: bool) -> Option<String> {
    let mut rest = match line.strip_prefix("pub ") {
        Some(rest) => rest,
        None if in_trait => line,
        None => return None,
    };
    for word in ["const ", "async ", "unsafe "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    declared(rest, &["fn "])
}

/// The Rust files below a directory, by their paths from the root.
fn sources(dir: &str) -> Vec<String> {
    let (mut found, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        let entries = fs::read_dir(root().join(&dir)).expect("a directory can be read");
        for entry in entries {
            let entry = entry.expect("an entry can be read");
            let path = format!("{dir}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                dirs.push(path);
            } else if path.ends_with(".rs") {
                found.push(path);
            }
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String, bool)> {
        let (mut found, mut examples) = (Vec::new(), BTreeMap::new());
        scan("lib.rs", text, &mut found, &mut examples);
        let found = found.into_iter();
        found
            .map(|one| (one.of, one.name, one.has_example))
            .collect()
    }

    #[test]
    fn functions_are_found_with_their_types_and_examples() {
        let text = "\
/// A box.
pub struct Box<T>(T);

impl<T> Box<T> {
    /// Opens it.
    ///
    /// ```
    /// open();
    /// ```
    #[must_use]
    pub const fn open(&self) -> bool {
        true
    }

    /// Shuts it.
    pub fn shut(&self) {}

    pub(crate) fn inner(&self) {}

    #[doc(hidden)]
    pub fn secret(&self) {}
}

impl Clone for Box<u8> {
    pub fn clone(&self) {}
}

/// What opens.
pub trait Opens {
    /// Opens.
    fn opens(&self);
}

/// Free.
pub async fn free() {}
";
        let name = |of: &str, name: &str, shown| (of.to_owned(), name.to_owned(), shown);
        assert_eq!(
            found(text),
            [
                name("Box", "open", true),
                name("Box", "shut", false),
                name("Opens", "opens", false),
                name("", "free", false),
            ]
        );
    }

    #[test]
    fn names_are_read_from_what_is_handed_on() {
        let line = "plugin_engine_core::{Moment, time::WallTime as Wall, bounded};";
        assert_eq!(names(line), ["Moment", "WallTime", "bounded"]);
        assert_eq!(names("engine::Engine;"), ["Engine"]);
    }
}
