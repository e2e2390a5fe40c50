//! The example plugins that wrap widely used crates: C code, a runtime, a script engine, a pool of threads. Each is called, replaced, and
//! unmapped, for what such a crate leaves behind in a process is what the boundary has to stand.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use plugin_engine::PluginState;
use plugin_engine_tests::{Rig, ThreadHooks, is_mapped, wait_for};
use tempfile::TempDir;

const SAFE: &str = "unmap = \"when-safe\"\ntimeout = \"60s\"\ninterval = \"1s\"\n";

fn rig() -> Rig {
    Rig::with(|builder| builder.thread_census(ThreadHooks))
}

fn put(rig: &Rig, name: &str, id: &str, more: &str) {
    rig.drop_as(name, id, &format!("{SAFE}{more}"));
}

fn text(rig: &Rig, id: &str) -> String {
    let view = rig.engine.display(id).unwrap();
    view.as_text().unwrap().to_owned()
}

fn update(rig: &Rig) {
    rig.advance(1_000);
    let report = rig.engine.run_cycle();
    assert_eq!((report.completed, report.failed), (1, 0));
}

/// Puts another build in its place, calls that, unloads it, and waits until both files are gone from the process.
fn replace_and_unmap(rig: &Rig, name: &str, id: &str) {
    rig.rebuild(name, id);
    rig.engine.reload(id).unwrap();
    update(rig);
    assert_eq!(rig.snapshot(id).generation, 2);
    rig.engine.unload(id).unwrap();
    let mut why = Vec::new();
    wait_for("both builds to be unmapped", || {
        why = rig.engine.mapped_libraries();
        if !why.is_empty() {
            eprintln!("{why:?}");
        }
        why.is_empty()
    });
    assert!(!is_mapped(&format!("{id}.so")));
    // It can come back.
    rig.engine.load(id).unwrap();
    update(rig);
    assert_eq!(rig.state(id), PluginState::Enabled);
}

fn load_log(rig: &Rig, id: &str, dir: &Path, more: &str) {
    let path = dir.join("load.db");
    let config = format!("{more}\n[settings]\nrows = 3\npath = {path:?}\n");
    put(rig, "load-log", id, &config);
}

#[test]
fn sqlite_inside_a_plugin_keeps_its_rows_over_a_replacement_and_is_unmapped() {
    let dir = TempDir::new().unwrap();
    let rig = rig();
    load_log(&rig, "rows", dir.path(), "reload = \"stop-first\"");
    rig.load();
    for count in 1..=3 {
        update(&rig);
        let shown = text(&rig, "rows");
        assert!(
            shown.starts_with(&format!("{count} rows, mean ")),
            "{shown}"
        );
    }
    // The oldest leave.
    update(&rig);
    assert!(text(&rig, "rows").starts_with("3 rows"));
    replace_and_unmap(&rig, "load-log", "rows");
    assert!(text(&rig, "rows").starts_with("3 rows"));
}

#[test]
fn two_copies_of_sqlite_never_have_one_file_open_at_the_same_time() {
    let dir = TempDir::new().unwrap();
    let rig = rig();
    load_log(&rig, "exclusive", dir.path(), "");
    rig.load();
    update(&rig);
    rig.rebuild("load-log", "exclusive");
    let refused = rig.engine.reload("exclusive").unwrap_err().to_string();
    assert!(refused.contains("reload = \"stop-first\""), "{refused}");
    update(&rig);
    assert!(text(&rig, "exclusive").starts_with("2 rows"));
    assert_eq!(rig.snapshot("exclusive").generation, 1);
}

/// A server that answers each request with the next of these statuses, and then no more.
fn server(statuses: &'static [u16]) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answers = std::thread::spawn(move || {
        for status in statuses {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            assert_eq!(lines.next().unwrap().unwrap(), "GET /well HTTP/1.1");
            while !lines.next().unwrap().unwrap().is_empty() {}
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 2\r\n\r\nhi");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, answers)
}

#[test]
fn an_async_client_inside_a_plugin_asks_a_server_and_is_unmapped() {
    let (address, answers) = server(&[200, 200, 503, 204, 204, 204]);
    let rig = rig();
    let config = format!("[settings]\naddress = \"{address}\"\npath = \"/well\"\n");
    put(&rig, "probe", "asks", &config);
    rig.load();
    let events = rig.engine.subscribe("plugin.asks.status");
    update(&rig);
    update(&rig);
    assert!(text(&rig, "asks").starts_with("200 after "));
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().failed, 1);
    let said = rig.error("asks").unwrap();
    assert!(said.contains("the status is 503"), "{said}");
    // The trial update of the replacement asks, too.
    replace_and_unmap(&rig, "probe", "asks");
    assert!(text(&rig, "asks").starts_with("204 after "));
    answers.join().unwrap();
    let told: Vec<_> = std::iter::from_fn(|| events.try_next())
        .map(|event| event.payload.to_string())
        .collect();
    // Once for each change, and once more for each new instance.
    assert_eq!(told, ["200", "503", "204", "204"]);
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().failed, 1, "nobody answers any more");
    assert_eq!(rig.state("asks"), PluginState::Enabled);
}

#[test]
fn a_script_keeps_its_memory_says_what_it_finds_and_is_unmapped() {
    let rig = rig();
    // Rhai has `${…}` as configurations have it, so the text is taken as it is.
    let script = "literal:let before = if memory == () { 1 } else { memory };\nmemory = before * 2;\n`${updates}: ${memory}`";
    put(
        &rig,
        "script",
        "doubles",
        &format!("[settings]\nscript = '''{script}'''\n"),
    );
    rig.load();
    for said in ["1: 2\n", "2: 4\n", "3: 8\n"] {
        update(&rig);
        assert_eq!(text(&rig, "doubles"), said);
    }
    replace_and_unmap(&rig, "script", "doubles");
}

#[test]
fn a_script_that_does_not_end_is_ended_before_the_deadline_and_one_that_is_wrong_never_starts() {
    let rig = rig();
    rig.drop_as(
        "script",
        "endless",
        "timeout = \"300ms\"\n[settings]\nscript = \"loop { }\"\n",
    );
    rig.drop_as(
        "script",
        "greedy",
        "[settings]\nscript = \"let text = `x`; loop { text += text; }\"\n",
    );
    rig.drop_as("script", "wrong", "[settings]\nscript = \"let = 1\"\n");
    let _ = rig.load_any();
    assert_eq!(rig.state("wrong"), PluginState::Error);
    let said = rig.error("wrong").unwrap();
    assert!(
        said.contains("settings.script") && said.contains("line 1"),
        "{said}"
    );
    assert_eq!(rig.engine.run_cycle().failed, 2);
    let said = rig.error("endless").unwrap();
    assert!(said.contains("terminated"), "{said}");
    let said = rig.error("greedy").unwrap();
    assert!(
        said.contains("string") && said.contains("too large"),
        "{said}"
    );
    assert_eq!(rig.snapshot("endless").counts.timeouts, 0);
}

#[test]
fn a_pool_of_threads_finds_what_lies_there_twice_and_is_unmapped() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("below")).unwrap();
    for (file, content) in [
        ("one", "the same"),
        ("below/two", "the same"),
        ("below/three", "the same"),
        ("four", "as long!"),
        ("five", "another length"),
        ("empty", ""),
        ("below/empty", ""),
    ] {
        fs::write(dir.path().join(file), content).unwrap();
    }
    let rig = rig();
    let config = format!("[settings]\nthreads = 3\npath = {:?}\n", dir.path());
    put(&rig, "duplicates", "twice", &config);
    rig.load();
    let wasted = rig.engine.subscribe("plugin.twice.wasted");
    update(&rig);
    let shown = "16 bytes lie there more than once\n";
    assert_eq!(text(&rig, "twice"), shown);
    assert_eq!(&*wasted.try_next().unwrap().payload, "16");
    replace_and_unmap(&rig, "duplicates", "twice");
    assert_eq!(text(&rig, "twice"), shown);
}
