//! Engines over plugin files of a directory, as benchmarks want them: configured by a text, everything loaded.

#![allow(dead_code, reason = "what benchmarks share, of which each uses a part")]

use std::fmt::Write as _;
use std::path::Path;

use plugin_engine::{Engine, EngineBuilder};
use plugin_engine_tests::built;

/// Entries of a configuration: plugins of one file, with these ids and keys.
pub(crate) fn entries(file: &str, ids: impl IntoIterator<Item = String>, keys: &str) -> String {
    let mut config = String::new();
    for id in ids {
        // Writing to a string does not fail.
        let _ = writeln!(
            config,
            "[[plugin]]\nid = \"{id}\"\nfile = \"{file}.so\"\n{keys}"
        );
    }
    config
}

/// An engine that is to be built over a directory with these plugin files and this configuration.
pub(crate) fn over(dir: &Path, files: &[&str], config: &str) -> EngineBuilder {
    for name in files {
        std::fs::copy(built(name), dir.join(format!("{name}.so"))).expect("a file can be copied");
    }
    let config_file = dir.join("engine.toml");
    std::fs::write(&config_file, config).expect("a file can be written");
    Engine::builder().plugin_dir(dir).config_file(config_file)
}

/// The engine, with all its plugins loaded.
pub(crate) fn loaded(builder: EngineBuilder) -> Engine {
    let engine = builder.build().expect("the engine can be built");
    let outcomes = engine
        .try_load_all()
        .expect("the configuration can be read");
    let bad = outcomes.iter().find(|outcome| !outcome.is_good());
    assert!(bad.is_none(), "{bad:?}");
    engine
}

/// An engine whose plugin `noop` has as many entries in memory as that.
pub(crate) fn remembering(dir: &Path, entries: usize) -> Engine {
    let engine = loaded(over(dir, &["noop"], ""));
    // Good updates have a ring of their own, so the rest is filled with what is kept apart from them.
    while engine.history("noop").limit(entries).into_iter().count() < entries {
        engine.update("noop").expect("it is updated");
        engine.disable("noop").expect("it is switched off");
        engine.enable("noop").expect("it is switched on");
    }
    engine
}
