use super::*;
use crate::verify::VerifyPolicy;

fn beside(text: &str) -> Result<Layer, ConfigError> {
    read_beside_text(&Source::new(Path::new("a.toml"), text.to_owned()))
}

fn engine(text: &str) -> Result<EngineConfig, ConfigError> {
    read_engine_text(&Source::new(Path::new("/etc/e.toml"), text.to_owned()))
}

/// The problems as lines, each with its code.
fn lines(error: &ConfigError) -> Vec<String> {
    let problems = error.problems().iter();
    problems
        .map(|problem| format!("{} {problem}", problem.code()))
        .collect()
}

#[test]
fn every_problem_beside_a_plugin_is_told_with_its_place_and_what_would_be_right() {
    let duration = "write a duration in quotes, from \"1ms\" to \"365days\", such as \"1s\"";
    for (text, says) in [
        (
            "interval = \"0s\"",
            format!("PE0305 a.toml:1:12: `interval` is \"0s\", which is out of range; {duration}"),
        ),
        (
            "\ninterval = 5",
            format!("PE0304 a.toml:2:12: `interval` is the whole number 5; {duration}"),
        ),
        (
            "interval = nan",
            format!("PE0304 a.toml:1:12: `interval` is the number nan; {duration}"),
        ),
        (
            "interval = -inf",
            format!("PE0304 a.toml:1:12: `interval` is the number -inf; {duration}"),
        ),
        (
            "interval = \"366days\"",
            format!("PE0305 a.toml:1:12: `interval` is \"366days\", which is out of range; {duration}"),
        ),
        (
            "  interval=\"-1s\"",
            format!(
                "PE0305 a.toml:1:12: `interval` is \"-1s\", which is no duration (expected number at 0); {duration}"
            ),
        ),
        (
            "timeout = \"999days\"",
            "PE0305 a.toml:1:11: `timeout` is \"999days\", which is out of range; \
             write a duration in quotes, from \"1ms\" to \"1day\", such as \"1s\""
                .to_owned(),
        ),
        (
            "interval = \"1s\"\njitter = \"2s\"",
            "PE0305 a.toml:2:10: `jitter` is longer than `interval`; write a duration of at most \"1s\""
                .to_owned(),
        ),
        (
            "intervall = \"1s\"",
            "PE0303 a.toml:1:1: unknown key `intervall` in the file beside a plugin; did you mean `interval`?"
                .to_owned(),
        ),
        (
            "file = \"x.so\"",
            "PE0303 a.toml:1:1: unknown key `file` in the file beside a plugin; it belongs into [[plugin]]"
                .to_owned(),
        ),
        (
            "colour = 1",
            "PE0303 a.toml:1:1: unknown key `colour` in the file beside a plugin; \
             known here are id, enabled, interval, timeout, jitter, required, requires, reload, trial_update, \
             probation, allow_downgrade, unmap, panic_limit, on_unhealthy, restart, breaker, on_hung, \
             hung_intervals, limits, after_crashes, settings"
                .to_owned(),
        ),
        (
            "panic_limit = 0",
            "PE0305 a.toml:1:15: `panic_limit` is 0, which is out of range; write a whole number from 1 to 1000000".to_owned(),
        ),
        (
            "on_unhealthy = \"reset\"",
            "PE0305 a.toml:1:16: `on_unhealthy` is \"reset\", which it cannot be; write \"none\" or \"restart\" or \"disable\" or \"unload\"".to_owned(),
        ),
        (
            "[restart]\ndelay = \"1m\"",
            "PE0305 a.toml:2:9: `delay` is 1m, and `delay_max` is 30s; write a `delay_max` that is no shorter than `delay`"
                .to_owned(),
        ),
        (
            "[restart]\nwindow = \"30s\"",
            "PE0305 a.toml:2:10: the delays of 5 restarts add up to 37s 200ms, and `window` is 30s: nothing would ever be given up; \
             write a longer `window`, or allow fewer restarts"
                .to_owned(),
        ),
        (
            "[breaker]\ncooldown = \"1s\"",
            "PE0303 a.toml:2:1: unknown key `cooldown` in breaker; did you mean `cool_down`?".to_owned(),
        ),
        (
            "breaker = true",
            "PE0304 a.toml:1:11: `breaker` is true; write a table".to_owned(),
        ),
        (
            "unmap = \"whensafe\"",
            "PE0305 a.toml:1:9: `unmap` is \"whensafe\", which it cannot be; did you mean \"when-safe\"?".to_owned(),
        ),
        (
            "unmap = \"sometimes, perhaps\"",
            "PE0305 a.toml:1:9: `unmap` is \"sometimes, perhaps\", which it cannot be; write \"never\" or \"when-safe\""
                .to_owned(),
        ),
        (
            "unmap = true",
            "PE0304 a.toml:1:9: `unmap` is true; write \"never\" or \"when-safe\"".to_owned(),
        ),
        (
            "id = \"Not An Id\"",
            "PE0305 a.toml:1:6: \"Not An Id\" is no plugin id: 1 to 64 characters of a-z, 0-9, _ and -, \
             beginning with a letter or digit"
                .to_owned(),
        ),
        (
            "id = 7",
            "PE0304 a.toml:1:6: `id` is the whole number 7; write an id in quotes, of a-z, 0-9, _ and -"
                .to_owned(),
        ),
        (
            "enabled = \"yes\"",
            "PE0304 a.toml:1:11: `enabled` is the text \"yes\"; write true or false".to_owned(),
        ),
        (
            "settings = 1979-05-27",
            "PE0304 a.toml:1:12: `settings` is a date or time; write a table".to_owned(),
        ),
        (
            "[settings]\nx = inf",
            "PE0305 a.toml:2:5: inf is a number that settings cannot carry; \
             whole numbers have 64 bits, others are finite"
                .to_owned(),
        ),
        (
            "[settings]\nx = 99999999999999999999",
            "PE0305 a.toml:2:5: 99999999999999999999 is a number that settings cannot carry; \
             whole numbers have 64 bits, others are finite"
                .to_owned(),
        ),
        (
            "[settings.deep]\nx = [1, \"${}\"]",
            "PE0309 a.toml:2:9: `${}` holds no name of an environment variable; \
             write literal: before a text that is meant as it is"
                .to_owned(),
        ),
        (
            "settings = { \"ü\" = nan }",
            "PE0305 a.toml:1:20: nan is a number that settings cannot carry; \
             whole numbers have 64 bits, others are finite"
                .to_owned(),
        ),
        (
            "requires = [\"clock\", \"clock => 1.2\"]",
            "PE0521 a.toml:1:22: an item of `requires` is wrong: \"clock => 1.2\" is no requirement: \
             \"=> 1.2\" is no version requirement (unexpected character '>' while parsing major version number); \
             write the id of a plugin and, where one is meant, a version: \"clock\", \"clock >= 1.2\", \"clock >= 1.2, < 2\""
                .to_owned(),
        ),
        (
            "requires = [\"clock\", 7]",
            "PE0304 a.toml:1:22: an item of `requires` is the whole number 7; \
             write a list of at most 64 texts such as \"clock\", \"clock >= 1.2\" or \"clock >= 1.2, < 2\""
                .to_owned(),
        ),
        (
            "requires = \"clock\"",
            "PE0304 a.toml:1:12: `requires` is the text \"clock\"; \
             write a list of at most 64 texts such as \"clock\", \"clock >= 1.2\" or \"clock >= 1.2, < 2\""
                .to_owned(),
        ),
        (
            &format!("requires = [{}]", "\"clock\",".repeat(65)),
            "PE0521 a.toml:1:12: `requires` has 65 items; the limit is 64".to_owned(),
        ),
        (
            "id = \"clock\"\nrequires = [\"feed\", \"clock >= 1\"]",
            "PE0521 a.toml:2:12: `requires` of the plugin \"clock\" names that plugin itself; \
             name the plugins that have to run for this one"
                .to_owned(),
        ),
        (
            "ü = 1\r\nx",
            "PE0302 a.toml:2:2: key with no value, expected `=`".to_owned(),
        ),
    ] {
        let error = beside(text).unwrap_err();
        assert_eq!(lines(&error).last(), Some(&says), "{text}");
    }
}

#[test]
fn all_problems_of_a_file_are_told_in_their_order() {
    let error = beside(
        "enabled = 1\n\n  intervall = \"1s\"\ntimeout = \"0s\"\nbroken = \n[settings]\na = nan\n",
    )
    .unwrap_err();
    let places: Vec<_> = error
        .problems()
        .iter()
        .map(|problem| {
            (
                problem.code().as_str(),
                problem.line(),
                problem.column(),
                problem.length(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            ("PE0304", Some(1), Some(11), Some(1)),
            ("PE0303", Some(3), Some(3), Some(9)),
            ("PE0305", Some(4), Some(11), Some(4)),
            ("PE0302", Some(5), Some(10), Some(1)),
            ("PE0305", Some(7), Some(5), Some(3)),
        ]
    );
    let text = error.to_string();
    assert!(text.starts_with("a.toml:1:11: `enabled` is"), "{text}");
    assert!(
        text.ends_with("; write true or false (and 4 more)"),
        "{text}"
    );
    assert_eq!((error.code().as_str(), error.count()), ("PE0304", 5));
    let line = error.problems()[1].source_line().unwrap();
    assert_eq!(line, ("  intervall = \"1s\"", 2..11));
}

#[test]
fn every_problem_of_the_engines_file_is_told_with_its_place() {
    for (text, says) in [
        (
            "[[plugin]]\nid = \"a\"\n[[plugin]]\nid = \"a\"",
            "PE0306 /etc/e.toml:4:6: the id \"a\" is given twice, first in line 2",
        ),
        (
            "\n[[plugin]]\nenabled = true",
            "PE0307 /etc/e.toml:2:1: a [[plugin]] needs an id, or a file, or both",
        ),
        (
            "interval = \"1s\"",
            "PE0303 /etc/e.toml:1:1: unknown key `interval` in the engine's file; \
             it belongs into [[plugin]] or [defaults] or the file beside a plugin",
        ),
        (
            "[plugin]\nid = \"a\"",
            "PE0304 /etc/e.toml:1:1: `plugin` is a table; write a list of tables, each begun with [[plugin]]",
        ),
        (
            "plugin = [1]",
            "PE0304 /etc/e.toml:1:11: `plugin` is the whole number 1; write a list of tables, each begun with [[plugin]]",
        ),
        (
            "[[plugin]]\nfile = \"\"",
            "PE0305 /etc/e.toml:2:8: `file` is no path",
        ),
        (
            "[engine]\nworkers = 0",
            "PE0305 /etc/e.toml:2:11: `workers` is 0, which is out of range; write a whole number from 1 to 256",
        ),
        ("[engine]\nworkers = -0x1", "PE0302 /etc/e.toml:2:11: "),
        (
            "[engine]\nthreads_max = 99999999999999999999999",
            "PE0305 /etc/e.toml:2:15: `threads_max` is 99999999999999999999999, which is out of range; \
             write a whole number from 2 to 65536",
        ),
        (
            "[engine]\nworkers = 2.5",
            "PE0304 /etc/e.toml:2:11: `workers` is the number 2.5; write a whole number from 1 to 256",
        ),
        (
            "[verify]\ntrusted_keys = [\"abc\"]",
            "PE0305 /etc/e.toml:2:17: an item of `trusted_keys` is no public key of minisign, which has 56 characters of base64",
        ),
        (
            "[verify]\ntrusted_owners = [-1]",
            "PE0305 /etc/e.toml:2:19: an item of `trusted_owners` is -1, not from 0 to 4294967295",
        ),
        (
            "[verify]\ntrusted_owners = [\"root\"]",
            "PE0304 /etc/e.toml:2:19: an item of `trusted_owners` is the text \"root\"; \
             write a list of numbers of users, from 0 to 4294967295",
        ),
        (
            "[verify]\nrequire_signature = true",
            "PE0305 /etc/e.toml:2:21: `require_signature` is true, and `trusted_keys` names no key: \
             every plugin would be refused",
        ),
    ] {
        let error = engine(text).unwrap_err();
        let lines = lines(&error);
        let said = lines
            .iter()
            .any(|line| line == says || says.ends_with(": ") && line.starts_with(says));
        assert!(said, "{text}: {lines:#?}");
    }
}

#[test]
fn what_follows_from_another_problem_is_not_told() {
    let bad = "[verify]\nrequire_signature = true\ntrusted_keys = [\"abc\"]\n[[plugin]]\nid = 7\n[[plugin]]\nfile = 7";
    let codes: Vec<_> = engine(bad)
        .unwrap_err()
        .problems()
        .iter()
        .map(|problem| (problem.code().as_str(), problem.line()))
        .collect();
    assert_eq!(
        codes,
        [
            ("PE0305", Some(3)),
            ("PE0304", Some(5)),
            ("PE0304", Some(7))
        ]
    );
}

#[test]
fn a_good_file_of_the_engine_is_read_whole() {
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let config = engine(&format!(
        "[engine]\nworkers = 3\nload_timeout = \"3s\"\nbacktraces = true\n\
         [verify]\nrequire_signature = true\ntrusted_keys = [\"{key}\"]\nlock = \"plugins.lock\"\n\
         allow_rpath = true\ntrusted_owners = [0, 0x3e8]\n\
         [[plugin]]\nfile = \"a.so\"\n[[plugin]]\nid = \"b\"\n"
    ))
    .unwrap();
    assert_eq!(
        *config.verify,
        VerifyPolicy {
            require_signature: true,
            trusted_keys: vec![key.to_owned()],
            lock: Some("/etc/plugins.lock".into()),
            allow_rpath: true,
            trusted_owners: vec![0, 1_000],
        }
    );
    assert_eq!(config.engine.workers.as_ref().unwrap().value, 3);
    assert!(config.engine.backtraces.as_ref().unwrap().value);
    assert_eq!(config.plugins.len(), 2);
    assert!(config.by_id("b").is_some() && config.by_id("a").is_none());
}

#[test]
fn what_cannot_be_read_is_a_problem_of_the_file() {
    let dir = tempfile::TempDir::new().unwrap();
    assert!(read_beside(&dir.path().join("absent.toml")).is_ok());
    let latin = dir.path().join("latin.toml");
    std::fs::write(&latin, b"id = \"\xe4\"").unwrap();
    let huge = dir.path().join("huge.toml");
    let file = std::fs::File::create(&huge).unwrap();
    file.set_len(source::FILE_LEN_MAX + 1).unwrap();
    for (path, says) in [
        (
            dir.path().join("absent.toml"),
            "cannot be read: No such file",
        ),
        (
            dir.path().to_owned(),
            "cannot be read: it is no regular file of at most 16 MiB",
        ),
        (latin, "cannot be read: stream did not contain valid UTF-8"),
        (huge, "of at most 16 MiB"),
        ("/dev/zero".into(), "regular file"),
    ] {
        let error = read_engine(&path).unwrap_err();
        assert_eq!(error.code(), "PE0301");
        let text = error.to_string();
        assert!(
            text.starts_with(path.to_str().unwrap()) && text.contains(says),
            "{text}"
        );
    }
}

#[test]
fn what_is_nested_too_deep_is_refused_and_what_is_huge_is_refused_soon() {
    let deep = format!("[settings]\nx = {}{}", "[".repeat(70), "]".repeat(70));
    let said = lines(&beside(&deep).unwrap_err()).join("\n");
    assert!(
        said.contains("PE0305") && said.contains("deeper than 64"),
        "{said}"
    );
    let deeper = format!("[settings]\nx = {}", "[".repeat(100_000));
    assert_eq!(beside(&deeper).unwrap_err().code(), "PE0302");
    let dotted = format!("[settings]\n{}x = 1", "a.".repeat(10_000));
    assert!(beside(&dotted).is_err());

    let long = format!("[settings]\nx = \"{}\"", "y".repeat(1 << 20));
    let said = beside(&long).unwrap_err().to_string();
    assert!(said.contains("the limit is 1048576"), "{said}");

    let unknown: String = (0..1_000).map(|n| format!("[a{n}]\n")).collect();
    let error = engine(&unknown).unwrap_err();
    assert_eq!((error.problems().len(), error.count()), (100, 1_000));

    let garbage = "x\n".repeat(1 << 20);
    assert_eq!(beside(&garbage).unwrap_err().count(), 1);
    let mistakes = beside(&"x\n".repeat(1_000)).unwrap_err();
    assert_eq!((mistakes.problems().len(), mistakes.count()), (100, 1_000));
}

#[test]
fn a_problem_in_a_very_long_line_shows_what_is_near() {
    let text = format!(
        "[settings]\nx = [{} nan, {}]",
        "1,".repeat(5_000),
        "2,".repeat(5_000)
    );
    let error = beside(&text).unwrap_err();
    let problem = &error.problems()[0];
    assert_eq!((problem.line(), problem.column()), (Some(2), Some(10_007)));
    let (line, mark) = problem.source_line().unwrap();
    assert!(line.len() <= 400 && &line[mark] == "nan", "{line}");
}

#[test]
fn a_message_cannot_steer_a_terminal() {
    let error = beside("\"\\u001b[31m\" = 1").unwrap_err().to_string();
    assert!(
        error.contains("\\u{1b}[31m") && !error.contains('\u{1b}'),
        "{error}"
    );
}

#[test]
fn settings_become_json_with_their_types() {
    let layer = "[settings]\na = 1\nb = [true, 2.5, \"x\"]\nc = 1979-05-27T07:32:00Z\nd = { e = 0xff }\nf = \"literal:${x}\"";
    let source = Source::new(Path::new("a.toml"), layer.to_owned());
    let config = PluginConfig {
        entry: None,
        beside: Arc::new(read_beside_text(&source).unwrap()),
        defaults: Arc::default(),
    };
    let json = config.settings().unwrap().resolve().unwrap().json;
    assert_eq!(
        json,
        r#"{"a":1,"b":[true,2.5,"x"],"c":"1979-05-27T07:32:00Z","d":{"e":255},"f":"${x}"}"#
    );
}
