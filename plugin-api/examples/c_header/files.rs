//! The files that are generated, whole or in part.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{description, docs::Docs, header};

/// What the generated part of the header stands between.
const BEGIN: &str = "/* generated from the Rust types: begin */\n";
const END: &str = "/* generated from the Rust types: end */\n";

/// Where the files lie.
pub(crate) fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("c")
}

/// The files with what they have to hold. What is written by hand is taken from the files as they are.
///
/// # Panics
/// A file is not there, or the header has lost the marks of its generated part.
pub(crate) fn files() -> [(&'static str, String); 2] {
    let types = description::types();
    let mut docs = Docs::default();
    docs.read(include_str!("../../src/abi.rs"));
    docs.read(include_str!("../../src/view.rs"));
    let text = docs.constant_lines() + &description::text(&types);
    let found = fs::read_to_string(dir().join("plugin_api.h")).expect("the header is there");
    let (head, rest) = found.split_once(BEGIN).expect("the generated part begins");
    let (_, tail) = rest.split_once(END).expect("the generated part ends");
    let part = header::generated(&types, &text, plugin_api::API_VERSION, &docs);
    let written = format!("{head}{BEGIN}{part}{END}{tail}");
    [("contract.txt", text), ("plugin_api.h", written)]
}
