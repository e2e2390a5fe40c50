//! `plugin-engine config schema`.

use std::io::{self, Write};

pub(super) fn run() -> io::Result<i32> {
    io::stdout().write_all(plugin_engine::config::schema().as_bytes())?;
    Ok(0)
}
