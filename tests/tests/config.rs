//! What a person says of plugins and of the engine holds, and is refused with its place where it cannot.

use std::path::Path;
use std::time::Duration;

use plugin_engine::effective::{Origin, effective};
use plugin_engine::{Error, FaultKind, LoadOutcome, PluginState};
use plugin_engine_tests::{Rig, built, lines_of, misconfigured, problem_lines};
use tempfile::TempDir;

/// A rig whose engine has this configuration file. Files of secrets lie beside it.
fn configured(text: &str) -> (Rig, TempDir) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("engine.toml");
    std::fs::write(&file, text).unwrap();
    let rig = Rig::with(|builder| builder.config_file(&file));
    (rig, dir)
}

/// Drops the file of a crate in as it is, with nothing beside it.
fn drop_bare(rig: &Rig, name: &str) {
    let file = built(name);
    std::fs::copy(&file, rig.dir().join(file.file_name().unwrap())).unwrap();
}

#[test]
fn settings_that_do_not_fit_the_schema_are_refused_before_any_instance_is_made() {
    let rig = Rig::new();
    rig.drop_as(
        "quotes-settings",
        "misfit",
        "[settings]\npanic = \"no\"\ntoken = 3\nmroe = []\n[[settings.more]]\nkey = \"x\"\nextra = 1\n",
    );
    rig.drop_in("noop");
    let outcomes = rig.load_any();
    assert_eq!(
        misconfigured(&outcomes),
        [
            "PE0310 misfit.toml:3:9: `settings.panic`: \"no\" is not of type \"boolean\"; -",
            "PE0310 misfit.toml:4:9: `settings.token`: 3 is not of type \"string\"; -",
            "PE0310 misfit.toml:5:1: unknown key `settings.mroe`; did you mean `more`?",
            "PE0310 misfit.toml:8:1: unknown key `settings.more.0.extra`; -",
        ]
    );
    let snapshot = rig.snapshot("misfit");
    let error = snapshot.error.unwrap();
    assert_eq!(
        (snapshot.state, error.kind),
        (PluginState::Error, FaultKind::Config)
    );
    assert!(
        !error.recoverable && error.message.contains("[PE0310]"),
        "{error}"
    );
    let created = |line: &plugin_engine_tests::Line| line.message.starts_with("created");
    assert!(!lines_of("misfit").iter().any(created));
    assert_eq!(rig.state("noop"), PluginState::Enabled);
}

#[test]
fn settings_that_are_missing_altogether_are_named_where_they_should_be() {
    let rig = Rig::new();
    drop_bare(&rig, "quotes-settings");
    assert_eq!(
        misconfigured(&rig.load_any()),
        ["PE0310 libquotes_settings.toml:0:0: `settings`: \"token\" is a required property; -"]
    );
}

#[test]
fn settings_that_fit_go_to_the_plugin_typed() {
    let (rig, _dir) = configured("[[plugin]]\nid = \"counter\"\n[plugin.settings]\nstart = 41\n");
    drop_bare(&rig, "counter");
    rig.load();
    rig.engine.update("counter").unwrap();
    let view = rig.engine.display("counter").unwrap();
    assert_eq!(view.as_text(), Some("42 so far"));
}

#[test]
fn a_file_whose_schema_panics_or_is_none_is_refused_in_words() {
    let rig = Rig::new();
    for name in ["panics-in-schema", "schema-is-none", "noop"] {
        drop_bare(&rig, name);
    }
    let outcomes = rig.load_any();
    assert_eq!(outcomes.len(), 3);
    for (id, says) in [
        (
            "panics-in-schema",
            "it panicked: the fixture panics over its schema",
        ),
        (
            "schema-is-none",
            "the schema of its settings is none: \"no such type\"",
        ),
    ] {
        let error = rig.snapshot(id).error.unwrap();
        assert_eq!(
            (rig.state(id), error.kind),
            (PluginState::Error, FaultKind::Load)
        );
        assert!(error.message.contains(says), "{error}");
    }
    assert_eq!(rig.state("noop"), PluginState::Enabled);
}

#[test]
fn settings_that_were_mended_are_taken_when_the_plugin_is_reset_or_loaded_again() {
    let rig = Rig::new();
    rig.drop_as("quotes-settings", "mended", "[settings]\ntoken = 1\n");
    let _ = rig.load_any();
    assert_eq!(rig.state("mended"), PluginState::Error);
    let say = |text: &str| {
        let text = format!("id = \"mended\"\n{text}");
        std::fs::write(rig.dir().join("mended.toml"), text).unwrap();
    };
    say("[settings]\ntoken = 2\n");
    let again = rig.engine.reset("mended").unwrap_err();
    assert!(again.to_string().contains("2 is not of type"), "{again}");
    say("interval = \"7s\"\n[settings]\ntoken = \"good\"\n");
    rig.engine.reset("mended").unwrap();
    assert_eq!(
        (rig.state("mended"), rig.error("mended")),
        (PluginState::Enabled, None)
    );
    assert_eq!(rig.snapshot("mended").interval(), Duration::from_secs(7));

    say("interval = \"9s\"\nx = 1\n[settings]\ntoken = \"good\"\n");
    rig.engine.unload("mended").unwrap();
    match rig.engine.load("mended").unwrap_err() {
        Error::Config(error) => assert_eq!(error.code(), "PE0303"),
        other => panic!("{other}"),
    }
    assert_eq!(rig.state("mended"), PluginState::Error);
    assert!(
        rig.error("mended")
            .unwrap()
            .contains("mended.toml:3:1: unknown key `x`")
    );
    say("interval = \"9s\"\n[settings]\ntoken = \"good\"\n");
    rig.engine.reset("mended").unwrap();
    assert_eq!(rig.snapshot("mended").interval(), Duration::from_secs(9));
}

#[test]
fn an_entry_of_no_plugin_is_named_with_the_plugin_that_was_probably_meant() {
    let (rig, _dir) = configured(
        "[[plugin]]\nid = \"nop\"\n[[plugin]]\nid = \"elsewhere\"\n[[plugin]]\nfile = \"libnop.so\"\n",
    );
    drop_bare(&rig, "noop");
    let outcomes = rig.load_any();
    let dir = rig.dir().display();
    assert_eq!(
        misconfigured(&outcomes),
        [
            format!(
                "PE0308 engine.toml:6:8: there is no plugin file \"libnop.so\" in {dir}; did you mean \"libnoop.so\"?"
            ),
            "PE0308 engine.toml:2:6: no plugin has the id \"nop\"; did you mean \"noop\"?"
                .to_owned(),
            "PE0308 engine.toml:4:6: no plugin has the id \"elsewhere\"; \
             an entry of a file that has another id of its own names the file, too"
                .to_owned(),
        ]
    );
    assert_eq!(rig.state("noop"), PluginState::Enabled);
}

#[test]
fn an_entry_that_speaks_of_a_plugin_which_another_entry_makes_is_named() {
    let (rig, _dir) = configured(
        "[[plugin]]\nfile = \"libnoop.so\"\n[[plugin]]\nid = \"noop\"\ninterval = \"7s\"\n",
    );
    drop_bare(&rig, "noop");
    assert_eq!(
        misconfigured(&rig.load_any()),
        ["PE0306 engine.toml:4:6: the entry in line 1 is of the plugin \"noop\" already; -"]
    );
    assert_eq!(rig.snapshot("noop").interval(), Duration::from_secs(1));
}

#[test]
fn several_plugins_come_from_one_file_and_share_what_is_said_beside_it() {
    let (rig, _dir) = configured(
        "[defaults]\nenabled = false\n\
         [[plugin]]\nfile = \"libnoop.so\"\nid = \"one\"\nenabled = true\n\
         [[plugin]]\nfile = \"./libnoop.so\"\nid = \"two\"\ninterval = \"5s\"\n",
    );
    drop_bare(&rig, "noop");
    std::fs::write(
        rig.dir().join("libnoop.toml"),
        "interval = \"9s\"\ntimeout = \"8s\"\n",
    )
    .unwrap();
    let outcomes = rig.load_any();
    assert!(outcomes.iter().all(LoadOutcome::is_good), "{outcomes:?}");
    let held = |id: &str| {
        let snapshot = rig.snapshot(id);
        (snapshot.state, snapshot.interval(), snapshot.timeout())
    };
    let seconds = Duration::from_secs;
    assert_eq!(held("one"), (PluginState::Enabled, seconds(9), seconds(8)));
    assert_eq!(held("two"), (PluginState::Disabled, seconds(5), seconds(8)));
    assert_eq!(rig.engine.usage().libraries, 1);
}

#[test]
fn what_holds_is_shown_with_who_said_it() {
    let dir = TempDir::new().unwrap();
    let file = built("quotes-settings");
    let name = file.file_name().unwrap();
    std::fs::copy(&file, dir.path().join(name)).unwrap();
    let beside = dir.path().join("libquotes_settings.toml");
    std::fs::write(
        &beside,
        "timeout = \"3s\"\n[settings]\ntoken = \"${NO_SUCH_VARIABLE_7}\"\n[restart]\ndelay = \"2s\"\n",
    )
    .unwrap();
    let engine = dir.path().join("engine.toml");
    std::fs::write(
        &engine,
        "[defaults]\njitter = \"100ms\"\nunmap = \"when-safe\"\n[[plugin]]\nid = \"quotes-settings\"\nenabled = false\npanic_limit = 7\nbreaker = {}\n",
    )
    .unwrap();
    let found = effective(Some(dir.path()), Some(&engine)).unwrap();
    assert!(found.refused.is_empty(), "{:?}", found.refused);
    let at = |path: &Path, line| Origin::File {
        path: path.to_owned(),
        line,
    };
    let values: Vec<_> = found.plugins[0]
        .values
        .iter()
        .map(|value| {
            (
                value.key.as_str(),
                value.value.as_str(),
                value.origin.clone(),
            )
        })
        .collect();
    assert_eq!(
        values[..12],
        [
            ("id", "\"quotes-settings\"", at(&engine, 5)),
            ("enabled", "false", at(&engine, 6)),
            ("interval", "\"1s\"", Origin::Manifest),
            ("timeout", "\"3s\"", at(&beside, 1)),
            ("jitter", "\"100ms\"", at(&engine, 2)),
            ("required", "false", Origin::Default),
            ("requires", "[]", Origin::Default),
            ("reload", "\"try-activate\"", Origin::Default),
            ("trial_update", "true", Origin::Default),
            ("probation", "\"0s\"", Origin::Default),
            ("allow_downgrade", "false", Origin::Default),
            ("unmap", "\"when-safe\"", at(&engine, 3)),
        ]
    );
    assert_eq!(
        values.last(),
        Some(&(
            "settings.token",
            "\"${NO_SUCH_VARIABLE_7}\"",
            at(&beside, 3)
        ))
    );
    let value = |key| values.iter().find(|(name, ..)| *name == key).unwrap();
    for (key, holds, said_by) in [
        ("panic_limit", "7", at(&engine, 7)),
        ("restart.delay", "\"2s\"", at(&beside, 5)),
        ("breaker.enabled", "true", at(&engine, 8)),
        ("on_hung", "\"wait\"", Origin::Default),
    ] {
        assert_eq!(*value(key), (key, holds, said_by));
    }
}

#[test]
fn the_engines_own_section_holds_where_code_says_nothing() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("engine.toml");
    std::fs::write(&file, "[engine]\nworkers = 3\nthreads_max = 9\n").unwrap();
    let usage = |rig: &Rig| (rig.engine.usage().workers, rig.engine.usage().threads_max);
    let by_file = Rig::with(|builder| builder.config_file(&file));
    assert_eq!(usage(&by_file), (3, 9));
    let by_code = Rig::with(|builder| builder.workers(1).config_file(&file));
    assert_eq!(usage(&by_code), (1, 9));

    std::fs::write(&file, "[engine]\nworkers = 9\nthreads_max = 9\n").unwrap();
    let refused = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let builder = plugin_engine::Engine::builder().config_file(&file);
        match builder.build().unwrap_err() {
            Error::Config(error) => problem_lines(&error),
            other => panic!("{other}"),
        }
    };
    assert_eq!(
        refused("[engine]\nworkers = 9\nthreads_max = 9\n"),
        ["PE0305 engine.toml:3:15: `threads_max` is 9, with 9 workers; write at least 10"]
    );
    assert_eq!(
        refused("[engine]\ncreate_timeout = \"2days\"\nworker = 1\n"),
        [
            "PE0305 engine.toml:2:18: `create_timeout` is \"2days\", which is out of range; \
             write a duration in quotes, from \"1ms\" to \"1day\", such as \"1s\"",
            "PE0303 engine.toml:3:1: unknown key `worker` in [engine]; did you mean `workers`?",
        ]
    );
    for (built, says) in [
        (
            plugin_engine::Engine::builder().workers(0).build(),
            "workers must be from 1 to 256, not 0",
        ),
        (
            plugin_engine::Engine::builder()
                .load_timeout(Duration::ZERO)
                .build(),
            "load_timeout must be from 1ms to 1day, not 0s",
        ),
        (
            plugin_engine::Engine::builder()
                .workers(4)
                .threads_max(4)
                .build(),
            "threads_max must be from 5 to 65536, not 4",
        ),
    ] {
        match built.unwrap_err() {
            Error::Config(error) => {
                assert_eq!(
                    (error.code().as_str(), error.to_string().as_str()),
                    ("PE0312", says)
                );
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_file_of_the_engine_that_was_broken_since_is_an_error_of_the_load_and_touches_no_plugin() {
    let (rig, dir) = configured("");
    drop_bare(&rig, "noop");
    rig.load();
    std::fs::write(
        dir.path().join("engine.toml"),
        "[[plugin]]\nid = \"noop\"\nx = 1\n",
    )
    .unwrap();
    match rig.engine.try_load_all().unwrap_err() {
        Error::Config(error) => assert_eq!(error.code(), "PE0303"),
        other => panic!("{other}"),
    }
    assert_eq!(rig.state("noop"), PluginState::Enabled);
}
