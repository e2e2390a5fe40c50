//! Configuration: what a person says of plugins and of the engine, in TOML.
//!
//! Two kinds of file: one beside a plugin file, of the same name with the ending `.toml`, and one for the engine, given with
//! [`EngineBuilder::config_file`](crate::EngineBuilder::config_file). Both are read against one table of keys, and every problem
//! of a file is told with its place.
//!
//! What lives here: reading, checking, and what holds where several files speak of one plugin. What never will: what is done
//! with it.

mod check;
mod choices;
mod crash_keys;
mod engine_file;
mod error;
mod health_keys;
mod health_layer;
pub(crate) mod history_keys;
mod in_force;
mod key_reference;
pub(crate) mod keys;
mod layer;
mod limit_keys;
mod limits;
mod nearest;
mod plugin;
mod preparation;
mod readiness_keys;
mod reading;
mod reference;
mod schema;
pub(crate) mod settings;
mod settings_schema;
pub(crate) mod source;
mod walk;
mod wanted;

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use toml::de::DeTable;

use error::Problems;
use reading::Reading;
use source::Source;

pub(crate) use choices::ReloadWay;
pub(crate) use engine_file::{EngineConfig, EngineSays};
pub(crate) use error::code;
pub(crate) use in_force::{Applies, ConfigInForce};
pub(crate) use layer::Layer;
pub(crate) use limit_keys::USAGE_WINDOW;
pub(crate) use nearest::nearest;
pub(crate) use plugin::{Holds, PluginConfig, SaidBy};
pub(crate) use preparation::Preparation;
pub(crate) use settings_schema::SettingsSchema;

pub use check::{FileKind, check};
pub use choices::UnmapPolicy;
pub use error::{ConfigError, Problem};
pub use key_reference::key_reference;
pub use schema::schema;

/// The longest file with bad syntax of which more than the first mistake is looked for, in bytes: each costs memory.
const ALL_MISTAKES_LEN_MAX: usize = 256 * 1024;

/// Reads the file beside a plugin file; an absent one says nothing.
pub(crate) fn read_beside(path: &Path) -> Result<Arc<Layer>, ConfigError> {
    /// Of all files that have none beside them.
    static NOTHING: LazyLock<Arc<Layer>> = LazyLock::new(Arc::default);
    match source(path)? {
        Some(source) => read_beside_text(&source).map(Arc::new),
        None => Ok(Arc::clone(&NOTHING)),
    }
}

/// Reads the engine's file.
pub(crate) fn read_engine(path: &Path) -> Result<EngineConfig, ConfigError> {
    read_engine_text(&engine_source(path)?)
}

/// The text of the engine's file.
fn engine_source(path: &Path) -> Result<Arc<Source>, ConfigError> {
    let absent = || ConfigError::unreadable(path, std::io::Error::from_raw_os_error(ENOENT));
    source(path)?.ok_or_else(absent)
}

/// A file's text; an absent one is `None`.
fn source(path: &Path) -> Result<Option<Arc<Source>>, ConfigError> {
    Source::read(path).map_err(|error| ConfigError::unreadable(path, error))
}

/// "No such file or directory", in the words of the system.
const ENOENT: i32 = rustix::io::Errno::NOENT.raw_os_error();

pub(crate) fn read_beside_text(source: &Arc<Source>) -> Result<Layer, ConfigError> {
    read(source, |walk, table, span| {
        let found = walk.table(&keys::BESIDE, table, span);
        Layer::new(found, walk)
    })
}

/// Reads what the engine's file says.
pub(crate) fn read_engine_text(source: &Arc<Source>) -> Result<EngineConfig, ConfigError> {
    read(source, |walk, table, span| {
        let found = walk.table(&keys::ENGINE_FILE, table, span);
        EngineConfig::new(found, walk)
    })
}

/// Reads a text as each of the two kinds of file, for those who have no file.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_text(text: &str) -> [Result<(), ConfigError>; 2] {
    let source = Source::new(Path::new("text"), text.to_owned());
    [
        read_engine_text(&source).map(drop),
        read_beside_text(&source).map(drop),
    ]
}

/// Holds settings, as the lines of their table, against a schema that a plugin might ship. Those that refer to something are not looked up.
/// The outer error says why the schema is none.
#[cfg(any(test, fuzzing))]
pub(crate) fn check_settings(
    schema: &str,
    settings: &str,
) -> Result<Result<(), ConfigError>, String> {
    let schema = Arc::new(SettingsSchema::compile(schema)?);
    let path = Path::new("text");
    let source = Source::new(path, format!("[settings]\n{settings}\n"));
    let config = PluginConfig {
        entry: None,
        beside: Arc::new(read_beside_text(&source).unwrap_or_default()),
        defaults: Arc::default(),
    };
    let preparation = Preparation::new(&config, Some(&schema), path);
    if !preparation.is_constant() {
        return Ok(Ok(()));
    }
    Ok(preparation.prepare().map(drop))
}

/// The tree of a text, as far as it could be read, and its mistakes.
fn parse(text: &str) -> (toml::Spanned<DeTable<'_>>, Vec<toml::de::Error>) {
    match DeTable::parse(text) {
        Ok(table) => (table, Vec::new()),
        Err(_) if text.len() <= ALL_MISTAKES_LEN_MAX => DeTable::parse_recoverable(text),
        Err(first) => (toml::Spanned::new(0..0, DeTable::new()), vec![first]),
    }
}

/// Parses, and walks what could be parsed. Where both find something in one line, the syntax is what is wrong with it.
fn read<T>(
    source: &Arc<Source>,
    make: impl FnOnce(&mut Reading<'_>, &DeTable<'_>, &Range<usize>) -> T,
) -> Result<T, ConfigError> {
    let (table, mistakes) = parse(&source.text);
    let mut syntax = Problems::default();
    for mistake in &mistakes {
        let place = source.place(&mistake.span().unwrap_or(0..0));
        let reason = mistake.message().trim().replace('\n', " ");
        let reason = plugin_engine_core::bounded(&reason, 400);
        syntax.add(Problem::new(code::SYNTAX, &place, reason));
    }
    let mut walk = Reading {
        source,
        problems: Problems::default(),
    };
    let read = make(&mut walk, table.get_ref(), &table.span());
    let mut problems = walk.problems;
    if !mistakes.is_empty() {
        let lines = syntax.lines();
        problems.keep(|problem| {
            // What is missing may be what could not be parsed.
            problem.code() != code::NAMELESS
                && problem.line().is_none_or(|line| !lines.contains(&line))
        });
    }
    problems.append(syntax);
    problems.or(read)
}

#[cfg(test)]
mod tests;
