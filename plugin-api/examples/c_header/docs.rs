//! What the sources say of the types: the comments that the header repeats, and the constants, which no layout has.

use std::collections::HashMap;

/// Where constants stand, and what their names begin with in C.
const PREFIXES: [(&str, &str); 3] = [
    ("status", "PLUGIN_"),
    ("publish_status", "PLUGIN_PUBLISH_"),
    ("ViewKind", "PLUGIN_VIEW_"),
];

/// A constant, with what it means.
pub(crate) struct Constant {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) says: String,
}

/// Comments by `Owner` and `Owner.field`, and constants by the module or enumeration that they stand in.
#[derive(Default)]
pub(crate) struct Docs {
    pub(crate) says: HashMap<String, String>,
    pub(crate) constants: HashMap<String, Vec<Constant>>,
}

impl Docs {
    /// Reads one source.
    pub(crate) fn read(&mut self, source: &str) {
        let mut comment = Vec::new();
        let mut owner = String::new();
        for line in source.lines() {
            let code = line.trim();
            if let Some(text) = code.strip_prefix("///") {
                comment.push(text.trim());
                continue;
            }
            if code.starts_with("#[") {
                continue;
            }
            let says = plain(&comment.join(" "));
            comment.clear();
            let word = |text: &str| -> String {
                let is_part = |c: char| c.is_alphanumeric() || c == '_';
                text.chars().take_while(|c| is_part(*c)).collect()
            };
            let begins = ["pub struct ", "pub mod ", "pub enum "];
            if let Some(rest) = begins.iter().find_map(|word| code.strip_prefix(word)) {
                owner = word(rest);
                self.says.insert(owner.clone(), says);
            } else if let Some(rest) = code.strip_prefix("pub const ") {
                self.constant(&owner, &word(rest), code, says);
            } else if let Some(rest) = code.strip_prefix("pub ") {
                self.says.insert(format!("{owner}.{}", word(rest)), says);
            } else if code.contains(" = ") && code.ends_with(',') && !says.is_empty() {
                self.constant(&owner, &word(code), code, says);
            }
        }
    }

    /// The constants as lines of the description.
    pub(crate) fn constant_lines(&self) -> String {
        let groups = PREFIXES.iter().map(|(owner, _)| &self.constants[*owner]);
        groups
            .flatten()
            .map(|constant| format!("const {} {}\n", constant.name, constant.value))
            .collect()
    }

    fn constant(&mut self, owner: &str, name: &str, code: &str, says: String) {
        let Some((_, value)) = code.split_once("= ") else {
            return;
        };
        let Some((_, prefix)) = PREFIXES.iter().find(|(known, _)| *known == owner) else {
            return;
        };
        self.constants
            .entry(owner.to_owned())
            .or_default()
            .push(Constant {
                name: format!("{prefix}{}", name.to_uppercase()),
                value: value.trim_end_matches([';', ',']).to_owned(),
                says,
            });
    }
}

/// A comment without what only the tool for Rust's documentation reads.
fn plain(text: &str) -> String {
    text.replace("[`", "`")
        .replace("`]", "`")
        .replace("super::", "")
        .replace("::", ".")
}
