//! The plugins in C and C++ that this repository has: what each promises to whoever drops it in.

use std::fs;

use plugin_engine_tests::{Rig, build_in_c};

fn text(rig: &Rig, id: &str) -> String {
    let view = rig.engine.display(id).unwrap();
    view.as_text().unwrap().to_owned()
}

#[test]
fn free_space_tells_once_when_there_is_too_little_also_over_a_reload() {
    let rig = Rig::new();
    let source = "plugins/c/free_space.c";
    // There is never as much, so there is too little.
    let config = "[settings]\npath = \"/\"\nleast_mib = 1000000000000\n";
    rig.drop_c(source, "free-space", &[], config);
    rig.load();
    let low = rig.engine.subscribe("plugin.free-space.low");
    let enough = rig.engine.subscribe("plugin.free-space.enough");
    assert_eq!(text(&rig, "free-space"), "not looked at yet");
    for _ in 0..2 {
        assert_eq!(rig.engine.run_cycle().completed, 1);
        rig.advance(30_000);
    }
    assert!(low.try_next().unwrap().payload.ends_with(" MiB"));
    assert!(low.try_next().is_none());
    assert!(text(&rig, "free-space").ends_with("MiB free, which is too little"));
    build_in_c(
        source,
        &rig.dir().join("free-space.so"),
        &[("ANOTHER_BUILD", "1"), ("PLUGIN_PANIC", "\"unwind\"")],
    );
    rig.engine.reload("free-space").unwrap();
    assert!(low.try_next().is_none());
    rig.configure("free-space", "[settings]\npath = \"/\"\nleast_mib = 0\n");
    rig.engine.reload("free-space").unwrap();
    rig.advance(30_000);
    let _ = rig.engine.run_cycle();
    assert!(!text(&rig, "free-space").contains("too little"));
    assert!(enough.try_next().is_some());
}

#[test]
fn free_space_refuses_settings_that_cannot_work_and_says_what_is_not_there() {
    let rig = Rig::new();
    let source = "plugins/c/free_space.c";
    rig.drop_c(source, "odd", &[], "[settings]\npath = \"\"\n");
    rig.drop_c(
        source,
        "gone",
        &[],
        "[settings]\npath = \"/no/such \\\"path\\\"\"\n",
    );
    let _ = rig.load_any();
    assert!(
        rig.error("odd").unwrap().contains("`settings.path`"),
        "{:?}",
        rig.error("odd")
    );
    assert_eq!(rig.engine.run_cycle().failed, 1);
    let error = rig.error("gone").unwrap();
    assert!(error.contains("/no/such \"path\": No such file"), "{error}");
}

#[test]
fn log_matches_tells_each_line_once_also_over_a_reload() {
    let rig = Rig::new();
    let log = rig.dir().join("log.txt");
    fs::write(
        &log,
        "one error\nfine\nanother error\nan error without an end",
    )
    .unwrap();
    let config = format!("[settings]\nfile = {log:?}\npattern = \"err(or|no)\"\n");
    if !rig.drop_cpp("plugins/cpp/log_matches.cpp", "log-matches", &config) {
        return;
    }
    rig.load();
    let events = rig.engine.subscribe("plugin.log-matches.match");
    let told = || -> Vec<String> {
        std::iter::from_fn(|| events.try_next())
            .map(|event| event.payload.to_string())
            .collect()
    };
    assert_eq!(
        rig.engine.run_cycle().completed,
        1,
        "{:?}",
        rig.error("log-matches")
    );
    assert_eq!(told(), ["one error", "another error"]);
    fs::write(
        &log,
        "one error\nfine\nanother error\nan error without an end\nerrno 5\n",
    )
    .unwrap();
    // Other bytes, the same code: what is behind the end of the file belongs to nobody.
    let file = rig.dir().join("log-matches.so");
    let mut bytes = fs::read(&file).unwrap();
    bytes.push(0);
    fs::write(&file, bytes).unwrap();
    rig.engine.reload("log-matches").unwrap();
    assert_eq!(told(), ["an error without an end", "errno 5"]);
    assert!(text(&rig, "log-matches").starts_with("4 lines of "));
    fs::remove_file(&log).unwrap();
    rig.advance(5_000);
    assert_eq!(rig.engine.run_cycle().failed, 1);
}
