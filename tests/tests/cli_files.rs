//! The commands that look at files without running them: `inspect`, `lock`, `explain`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use plugin_engine_tests::{Ended, built, command, ended};
use serde_json::Value;
use tempfile::TempDir;

fn run(args: &[&str]) -> Ended {
    ended(command().args(args))
}

fn inspect(args: &[&str], files: &[&Path]) -> Ended {
    ended(command().arg("inspect").args(args).args(files))
}

/// A directory with one good plugin, `noop.so`, and what else is asked for.
fn directory(more: &[(&str, &[u8])]) -> TempDir {
    let dir = TempDir::new().unwrap();
    let noop = dir.path().join("noop.so");
    std::fs::copy(built("noop"), &noop).unwrap();
    // Whatever the umask is.
    for (path, mode) in [(&*noop, 0o644), (dir.path(), 0o755)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    for (name, bytes) in more {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

#[test]
fn inspect_shows_manifest_digest_and_every_check() {
    let dir = directory(&[]);
    let Ended { status, out, err } = inspect(&[], &[&dir.path().join("noop.so")]);
    assert_eq!((status, &*err), (0, ""), "{out}");
    for says in [
        "  id           noop\n",
        "  version      0.1.0\n",
        "sha256",
        "\n  signature    passed",
        "\n  would be loaded\n",
    ] {
        assert!(out.contains(says), "{says}: {out}");
    }
    let lines = out.lines().filter(|line| line.contains(" passed  "));
    assert_eq!(lines.count(), 10, "{out}");
}

#[test]
fn inspect_of_a_file_that_would_be_refused_fails_and_names_the_code() {
    let dir = directory(&[("text.so", b"hello\n")]);
    let (good, bad) = (dir.path().join("noop.so"), dir.path().join("text.so"));
    let Ended { status, out, .. } = inspect(&[], &[&good, &bad]);
    assert_eq!(status, 1, "{out}");
    assert!(
        out.contains("format       refused  is no dynamic library"),
        "{out}"
    );
    assert!(
        out.contains("would be refused: `plugin-engine explain PE0110`"),
        "{out}"
    );
    let Ended { status, out, .. } = inspect(&["--json"], &[&good, &bad]);
    assert_eq!(status, 1);
    let objects: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects[0]["good"], true);
    assert_eq!(objects[0]["manifest"]["id"], "noop");
    assert_eq!(objects[0]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(objects[1]["code"], "PE0110");
    let format = objects[1]["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["check"] == "format");
    assert_eq!(format.unwrap()["verdict"], "refused");
}

#[test]
fn lock_writes_what_run_then_obeys() {
    let dir = directory(&[]);
    let plugins = dir.path().to_str().unwrap();
    let Ended { status, out, .. } = run(&["lock", "--plugins", plugins]);
    assert_eq!(status, 0);
    assert!(out.ends_with("plugins.lock: 1 file locked\n"), "{out}");
    assert_eq!(run(&["lock", "--plugins", plugins, "--check"]).status, 0);
    std::fs::copy(built("fails"), dir.path().join("fails.so")).unwrap();
    let Ended { status, err, .. } = run(&["lock", "--plugins", plugins, "--check"]);
    assert_eq!(
        (status, &*err),
        (1, "plugin-engine: fails.so: is not listed\n")
    );
    let Ended { status, err, .. } = run(&["run", "--plugins", plugins, "--cycles", "1"]);
    assert_eq!(status, 0, "{err}");
    assert!(
        err.contains("fails.so: is not listed in") && err.contains("[PE0130]"),
        "{err}"
    );
}

#[test]
fn lock_writes_nothing_when_a_file_would_be_refused_unless_told_to_leave_it_out() {
    let dir = directory(&[("text.so", b"hello\n")]);
    let plugins = dir.path().to_str().unwrap();
    let lock = dir.path().join("plugins.lock");
    let Ended { status, err, .. } = run(&["lock", "--plugins", plugins]);
    assert_eq!(status, 1);
    assert!(
        err.contains("text.so") && err.contains("[PE0110]") && err.contains("nothing was written"),
        "{err}"
    );
    assert!(!lock.exists());
    let Ended { status, out, .. } =
        run(&["lock", "--plugins", plugins, "--skip-refused", "--json"]);
    assert_eq!(status, 0);
    assert_eq!(
        serde_json::from_str::<Value>(&out).unwrap()["file"],
        "noop.so"
    );
    // Nothing but the lock is left behind.
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["noop.so", "plugins.lock", "text.so"]);
}

#[test]
fn the_configuration_says_what_files_must_fulfil() {
    let dir = directory(&[]);
    let config = dir.path().join("engine.toml");
    let key = "RWRMCU7N6gfWsSz0mxtBGYbmMkpNch1L2/wyYPVKvoiIM/mpge77NSNZ";
    std::fs::write(
        &config,
        format!("[verify]\nrequire_signature = true\ntrusted_keys = [\"{key}\"]\n"),
    )
    .unwrap();
    let config = config.to_str().unwrap();
    let Ended { status, out, .. } = inspect(&["--config", config], &[&dir.path().join("noop.so")]);
    assert_eq!(status, 1);
    assert!(out.contains("[PE0140]"), "{out}");
    let Ended { status, err, .. } =
        inspect(&["--config", "/nonexistent.toml"], &[Path::new("x.so")]);
    assert_eq!(status, 1);
    assert!(err.contains("[PE0301]"), "{err}");
}

#[test]
fn explain_says_what_a_code_means_and_lists_all() {
    let Ended { status, out, .. } = run(&["explain", "pe0113"]);
    assert_eq!(status, 0);
    assert!(
        out.starts_with("PE0113  the library is for another machine\n"),
        "{out}"
    );
    assert!(out.contains("What to do:"), "{out}");
    let all = run(&["explain"]).out;
    assert!(
        all.lines().count() > 40 && all.contains("\nPE0206  "),
        "{all}"
    );
    let object: Value = serde_json::from_str(&run(&["explain", "PE0120", "--json"]).out).unwrap();
    assert_eq!(object["code"], "PE0120");
    let Ended { status, out, err } = run(&["explain", "PE9999"]);
    assert_eq!((status, &*out), (1, ""));
    assert!(err.contains("there is no code \"PE9999\""), "{err}");
}
