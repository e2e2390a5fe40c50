//! `plugin-engine config`: what is wrong with a configuration, what holds, and what an editor is told.

use std::path::Path;

use plugin_engine_tests::{Ended, built, command, ended, objects};
use tempfile::TempDir;

/// Runs `plugin-engine config` in a directory: exit status, standard output, standard error.
fn config(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let mut config = command();
    config.arg("config").args(args).current_dir(dir).env_clear();
    let Ended { status, out, err } = ended(&mut config);
    (status, out, err)
}

fn dir_with(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().expect("a directory can be made");
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).expect("a file can be written");
    }
    dir
}

fn drop_in(dir: &TempDir, name: &str) {
    let file = built(name);
    let to = dir
        .path()
        .join(file.file_name().expect("a file has a name"));
    std::fs::copy(&file, to).expect("a file can be copied");
}

#[test]
fn check_says_ok_to_a_good_file_of_either_kind() {
    let dir = dir_with(&[
        ("engine.toml", "[engine]\nworkers = 2\n"),
        ("libclock.toml", "interval = \"2s\"\n"),
    ]);
    for (file, kind) in [("engine.toml", "engine"), ("libclock.toml", "plugin")] {
        let checked = config(dir.path(), &["check", file]);
        assert_eq!(checked, (0, "ok\n".to_owned(), String::new()));
        let (status, stdout, _) = config(dir.path(), &["check", file, "--json"]);
        let json = format!("{{\"ok\":true,\"path\":\"{file}\",\"kind\":\"{kind}\"}}\n");
        assert_eq!((status, stdout), (0, json));
    }
}

#[test]
fn check_shows_every_problem_in_its_line() {
    let dir = dir_with(&[(
        "engine.toml",
        "[[plugin]]\nid = \"clock\"\n\tintervall = \"\u{1b}]1s\"\ntimeout = \"0s\" # ü\nbroken\n",
    )]);
    // A control character is bad syntax, and nothing of it may reach a terminal.
    let (status, stdout, stderr) = config(dir.path(), &["check", "engine.toml"]);
    assert_eq!((status, stdout.as_str()), (1, ""));
    assert!(
        !stderr.contains('\u{1b}') && stderr.contains("\\u{1b}]1s"),
        "{stderr}"
    );

    let dir = dir_with(&[(
        "engine.toml",
        "[[plugin]]\nid = \"clock\"\n\tintervall = \"1s\"\ntimeout = \"0s\" # ü\nbroken\n",
    )]);
    let (status, stdout, stderr) = config(dir.path(), &["check", "engine.toml"]);
    assert_eq!((status, stdout.as_str()), (1, ""));
    let shown = "\
error[PE0303]: unknown key `intervall` in [[plugin]]
 --> engine.toml:3:2
  |
3 |     intervall = \"1s\"
  |     ^^^^^^^^^
  |
  = help: did you mean `interval`?

error[PE0305]: `timeout` is \"0s\", which is out of range
 --> engine.toml:4:11
  |
4 | timeout = \"0s\" # ü
  |           ^^^^
  |
  = help: write a duration in quotes, from \"1ms\" to \"1day\", such as \"1s\"

error[PE0302]: key with no value, expected `=`
 --> engine.toml:5:7
  |
5 | broken
  |       ^

";
    assert_eq!(stderr, shown, "{stderr}");

    let (status, stdout, stderr) = config(dir.path(), &["check", "engine.toml", "--json"]);
    assert_eq!((status, stderr.as_str()), (1, ""));
    let problems = objects(&stdout);
    assert_eq!(problems.len(), 3);
    assert_eq!(
        problems[1].to_string(),
        serde_json::json!({
            "code": "PE0305", "path": "engine.toml", "line": 4, "column": 11, "length": 4,
            "reason": "`timeout` is \"0s\", which is out of range",
            "help": "write a duration in quotes, from \"1ms\" to \"1day\", such as \"1s\"",
            "source": "timeout = \"0s\" # ü",
        })
        .to_string()
    );
}

#[test]
fn check_of_a_file_that_is_not_there_says_so() {
    let dir = dir_with(&[]);
    let (status, stdout, stderr) = config(dir.path(), &["check", "none.toml"]);
    assert_eq!((status, stdout.as_str()), (1, ""));
    assert!(
        stderr
            .starts_with("error[PE0301]: cannot be read: No such file or directory (os error 2)\n"),
        "{stderr}"
    );
    assert!(stderr.contains("none.toml"), "{stderr}");
}

#[test]
fn check_against_a_directory_finds_entries_that_speak_of_no_plugin() {
    let dir = dir_with(&[("engine.toml", "[[plugin]]\nid = \"colck\"\n")]);
    drop_in(&dir, "clock");
    assert_eq!(config(dir.path(), &["check", "engine.toml"]).0, 0);
    let args = ["check", "engine.toml", "--plugins", ".", "--json"];
    let (status, stdout, _) = config(dir.path(), &args);
    let problems = objects(&stdout);
    assert_eq!((status, problems.len()), (1, 1));
    assert_eq!(problems[0]["code"], "PE0308");
    assert_eq!(problems[0]["help"], "did you mean \"clock\"?");
}

#[test]
fn show_says_what_holds_and_who_said_it_and_keeps_secrets_as_they_are_written() {
    let dir = dir_with(&[
        ("engine.toml", "[engine]\nworkers = 2\n"),
        (
            "libquotes_settings.toml",
            "[settings]\ntoken = \"${HOME}\"\n",
        ),
        ("libnone.so", "no library"),
    ]);
    drop_in(&dir, "quotes-settings");
    let args = [
        "show",
        "--effective",
        "--plugins",
        ".",
        "--config",
        "engine.toml",
    ];
    let (status, stdout, stderr) = config(dir.path(), &args);
    assert_eq!(status, 0, "{stderr}");
    assert!(
        stderr.starts_with("plugin-engine: refused: ./libnone.so: "),
        "{stderr}"
    );
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "id               key                            value              said by",
            "-                engine.workers                 2                  engine.toml:2",
            "-                engine.threads_max             512                default",
        ]
    );
    assert_eq!(
        lines[lines.len() - 26..],
        [
            "quotes-settings  interval                       \"1s\"               manifest",
            "quotes-settings  timeout                        \"5s\"               manifest",
            "quotes-settings  jitter                         \"0s\"               default",
            "quotes-settings  required                       false              default",
            "quotes-settings  requires                       []                 default",
            "quotes-settings  reload                         \"try-activate\"     default",
            "quotes-settings  trial_update                   true               default",
            "quotes-settings  probation                      \"0s\"               default",
            "quotes-settings  allow_downgrade                false              default",
            "quotes-settings  unmap                          \"never\"            default",
            "quotes-settings  panic_limit                    3                  default",
            "quotes-settings  on_unhealthy                   \"restart\"          default",
            "quotes-settings  restart.delay                  \"1s\"               default",
            "quotes-settings  restart.delay_max              \"30s\"              default",
            "quotes-settings  restart.jitter_percent         20                 default",
            "quotes-settings  restart.healthy_period         \"1m\"               default",
            "quotes-settings  restart.max_restarts           5                  default",
            "quotes-settings  restart.window                 \"10m\"              default",
            "quotes-settings  breaker.enabled                false              default",
            "quotes-settings  breaker.failures               3                  default",
            "quotes-settings  breaker.cool_down              \"5m\"               default",
            "quotes-settings  on_hung                        \"wait\"             default",
            "quotes-settings  hung_intervals                 3                  default",
            "quotes-settings  limits.window                  \"1m\"               default",
            "quotes-settings  after_crashes                  2                  default",
            "quotes-settings  settings.token                 \"${HOME}\"          ./libquotes_settings.toml:2",
        ]
    );
    let json = [&args[..], &["--json"]].concat();
    let values = objects(&config(dir.path(), &json).1);
    assert_eq!(
        values.last().expect("there are values").to_string(),
        serde_json::json!({
            "id": "quotes-settings", "file": "./libquotes_settings.so", "key": "settings.token",
            "value": "\"${HOME}\"",
            "origin": { "kind": "file", "path": "./libquotes_settings.toml", "line": 2 },
        })
        .to_string()
    );
}

#[test]
fn schema_prints_what_is_published() {
    let (status, stdout, _) = config(Path::new("."), &["schema"]);
    assert_eq!(status, 0);
    let published = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../engine/schema/config.schema.json"
    );
    assert_eq!(
        stdout,
        std::fs::read_to_string(published).expect("it is there")
    );
}

#[test]
fn a_run_shows_what_is_wrong_with_the_settings_of_a_plugin_and_goes_on_with_the_others() {
    let dir = dir_with(&[("libcounter.toml", "[settings]\nstart = -1\n")]);
    drop_in(&dir, "counter");
    drop_in(&dir, "clock");
    let mut run = command();
    run.args(["run", "--plugins", ".", "--cycles", "1"])
        .current_dir(dir.path())
        .env_clear()
        .env("RUST_LOG", "off");
    let Ended {
        status,
        out: stdout,
        err: stderr,
    } = ended(&mut run);
    assert_eq!(status, 0, "{stderr}");
    let shown = "\
error[PE0310]: `settings.start`: -1 is less than the minimum of 0
 --> ./libcounter.toml:2:9
  |
2 | start = -1
  |         ^^
";
    assert!(stderr.contains(shown), "{stderr}");
    assert!(stdout.starts_with("clock: enabled"), "{stdout}");
}
