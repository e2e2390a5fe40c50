//! Writes `plugin-api/c/contract.txt` and the generated part of `plugin-api/c/plugin_api.h` anew from the Rust types.
//!
//! The types are read from their layouts, not from their sources: what the tables of functions are in memory is made by a derive
//! macro, which a generator that reads sources (cbindgen is one) does not see. Only comments and constants come from the sources.

mod description;
mod docs;
mod files;
mod header;

fn main() -> std::io::Result<()> {
    for (path, text) in files::files() {
        std::fs::write(files::dir().join(path), text)?;
    }
    Ok(())
}
