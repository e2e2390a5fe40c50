//! The example plugins that touch the world outside: trees of directories, and feeds from files and servers.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plugin_engine::{FaultKind, PluginState, Subscription};
use plugin_engine_tests::{Rig, Server, on_line, program, wait_for};
use tempfile::TempDir;

/// The payloads of the events that wait.
fn payloads(events: &Subscription) -> Vec<String> {
    std::iter::from_fn(|| events.try_next())
        .map(|event| event.payload.to_string())
        .collect()
}

fn text(rig: &Rig, id: &str) -> String {
    let view = rig.engine.display(id).unwrap();
    view.as_text().unwrap().to_owned()
}

/// A directory with `width` directories of one file each, every file of 100 bytes.
fn tree(width: usize) -> TempDir {
    let root = TempDir::new().unwrap();
    for number in 0..width {
        let dir = root.path().join(format!("d{number}"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("file"), [0; 100]).unwrap();
    }
    root
}

fn size_of(rig: &Rig, id: &str, path: &Path, more: &str) {
    let config = format!("{more}\n[settings]\npath = {path:?}\n");
    rig.drop_as("directory-size", id, &config);
}

#[test]
fn a_tree_is_added_up_shown_and_published() {
    let root = tree(12);
    fs::create_dir(root.path().join("large")).unwrap();
    fs::write(root.path().join("large/file"), vec![0; 5_000]).unwrap();
    std::os::unix::fs::symlink(root.path(), root.path().join("large/back")).unwrap();
    let rig = Rig::new();
    size_of(&rig, "tree", root.path(), "timeout = \"1day\"");
    rig.load();
    let sizes = rig.engine.subscribe("plugin.tree.size");
    assert_eq!(text(&rig, "tree"), "no complete walk yet\n");
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(payloads(&sizes), ["6200"]);
    let shown = text(&rig, "tree");
    let lines: Vec<_> = shown.lines().collect();
    let head = format!("{}: 6.1 KiB in 13 files", root.path().display());
    assert!(lines[0].starts_with(&head), "{shown}");
    assert!(lines[0].contains(" and 13 directories"), "{shown}");
    assert_eq!(lines[2], "   4.9 KiB   81 %  large", "{shown}");
    assert_eq!(
        lines.last(),
        Some(&"     300 B    5 %  (3 smaller directories)"),
        "{shown}"
    );
    assert!(rig.snapshot("tree").last_progress.is_some());
}

#[test]
fn a_tree_too_large_for_one_update_is_walked_to_its_end_in_several_that_are_all_in_time() {
    let root = tree(30);
    let rig = Rig::new();
    size_of(
        &rig,
        "large-tree",
        root.path(),
        "interval = \"1h\"\ntimeout = \"500ms\"",
    );
    rig.load();
    let sizes = rig.engine.subscribe("plugin.large-tree.size");
    let clock = rig.clock.clone();
    on_line("large-tree", move |line| {
        // Each directory takes 40 of the 500 milliseconds.
        if line.message.starts_with("reading") {
            clock.advance(Duration::from_millis(40));
        }
    });
    // A tenth of the time is kept back, so an update ends in the twelfth directory, before its file.
    for entries in [23, 47] {
        assert_eq!(rig.engine.run_cycle().failed, 1);
        let snapshot = rig.snapshot("large-tree");
        assert_eq!(snapshot.state, PluginState::Enabled);
        let error = snapshot.error.unwrap();
        assert_eq!(error.kind, FaultKind::Failed);
        let said = error.to_string();
        assert!(said.contains("not finished"), "{said}");
        let so_far = format!("{entries} entries so far");
        assert!(said.contains(&so_far), "{said}");
        assert!(text(&rig, "large-tree").contains("not finished"));
        assert_eq!(payloads(&sizes), [""; 0]);
        // It goes on after a second, not after the hour that lies between two walks.
        rig.advance(1_000);
    }
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(payloads(&sizes), ["3000"]);
    let shown = text(&rig, "large-tree");
    assert!(shown.contains("in 30 files and 30 directories"), "{shown}");
    assert!(!shown.contains("not finished"), "{shown}");
    assert_eq!(rig.error("large-tree"), None);
    assert_eq!(rig.snapshot("large-tree").counts.timeouts, 0);
}

#[test]
fn what_was_found_last_stays_on_display_while_the_tree_is_walked_again() {
    let root = tree(30);
    let rig = Rig::new();
    size_of(
        &rig,
        "again",
        root.path(),
        "timeout = \"500ms\"\ninterval = \"1h\"",
    );
    rig.load();
    assert_eq!(rig.engine.run_cycle().completed, 1);
    let clock = rig.clock.clone();
    on_line("again", move |line| {
        if line.message.starts_with("reading") {
            clock.advance(Duration::from_millis(40));
        }
    });
    rig.advance(3_600_000);
    assert_eq!(rig.engine.run_cycle().failed, 1);
    let shown = text(&rig, "again");
    assert!(shown.contains("in 30 files and 30 directories"), "{shown}");
    assert!(shown.contains("the walk: not finished"), "{shown}");
}

#[test]
fn a_walk_that_would_never_end_ends_when_its_plugin_is_switched_off() {
    // Whenever a directory is about to be read, three more are made in it, up to a number that no test waits for.
    const DIRECTORIES_MAX: u64 = 30_000;
    let root = tree(1);
    let rig = Rig::new();
    size_of(&rig, "endless", root.path(), "timeout = \"1day\"");
    rig.load();
    let made = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&made);
    on_line("endless", move |line| {
        let Some(path) = line.message.strip_prefix("reading path=") else {
            return;
        };
        for name in ["a", "b", "c"] {
            if count.fetch_add(1, Ordering::SeqCst) < DIRECTORIES_MAX {
                fs::create_dir(Path::new(path).join(name)).unwrap();
            }
        }
    });
    let cycle = rig.engine.start_cycle();
    wait_for("the walk to begin", || made.load(Ordering::SeqCst) > 0);
    rig.engine.disable("endless").unwrap();
    assert_eq!(cycle.wait().failed, 1);
    assert_eq!(rig.state("endless"), PluginState::Disabled);
    assert!(made.load(Ordering::SeqCst) < DIRECTORIES_MAX);
}

#[test]
fn a_missing_tree_may_come_back_and_a_file_is_none_for_good() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("tree");
    let rig = Rig::new();
    size_of(&rig, "comes", &path, "interval = \"1s\"");
    rig.load();
    assert_eq!(rig.engine.run_cycle().failed, 1);
    let said = rig.error("comes").unwrap();
    assert!(said.contains(path.to_str().unwrap()), "{said}");
    assert_eq!(rig.state("comes"), PluginState::Enabled);
    fs::create_dir(&path).unwrap();
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "").unwrap();
    rig.advance(1_000);
    let _ = rig.engine.run_cycle();
    assert_eq!(rig.state("comes"), PluginState::Error);
    let said = rig.error("comes").unwrap();
    assert!(said.contains(path.to_str().unwrap()), "{said}");
}

#[test]
fn settings_that_cannot_work_keep_either_plugin_from_starting_and_are_named() {
    for (number, (file, settings, said)) in [
        ("directory-size", "", "missing field `path`"),
        ("directory-size", "path = \"\"", "settings.path"),
        (
            "directory-size",
            "path = \"/\"\nlargest = 101",
            "settings.largest",
        ),
        (
            "directory-size",
            "path = \"/\"\ndepth = 1",
            "unknown field `depth`",
        ),
        ("feed", "", "missing field `source`"),
        ("feed", "source = \"f\"\nlimit = 0", "settings.limit: 0"),
        ("feed", "source = \"f\"\nlimit = \"all\"", "settings.limit"),
        (
            "feed",
            "source = \"f\"\nlimits = 1",
            "unknown field `limits`",
        ),
        (
            "feed",
            "source = \"http://192.0.2.7/feed\"",
            "not this machine",
        ),
        (
            "feed",
            "source = \"https://127.0.0.1/feed\"",
            "https is not supported",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("bad-{number}");
        let rig = Rig::new();
        rig.drop_as(file, &id, &format!("[settings]\n{settings}\n"));
        let outcomes = rig.load_any();
        assert!(!outcomes[0].is_good(), "{settings}: {}", outcomes[0]);
        assert_eq!(rig.state(&id), PluginState::Error);
        let error = rig.snapshot(&id).error.unwrap();
        assert!(!error.recoverable, "{settings}: {error}");
        assert!(error.to_string().contains(said), "{settings}: {error}");
    }
}

fn atom(entries: &[(&str, &str, &str)]) -> String {
    let entries: String = entries
        .iter()
        .map(|(id, title, updated)| {
            format!(
                "<entry><id>{id}</id><title>{title}</title><updated>{updated}</updated></entry>"
            )
        })
        .collect();
    format!(
        "<?xml version=\"1.0\"?><feed xmlns=\"http://www.w3.org/2005/Atom\"><id>urn:f</id>\
         <title>Harbour news</title><updated>2026-01-01T00:00:00Z</updated>{entries}</feed>"
    )
}

fn feed_of(rig: &Rig, id: &str, source: &str, more: &str) {
    let config =
        format!("interval = \"1s\"\ntimeout = \"60s\"\n[settings]\nsource = {source:?}\n{more}\n");
    rig.drop_as("feed", id, &config);
}

#[test]
fn an_atom_file_is_shown_newest_first_and_each_new_entry_is_told_once() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("feed.xml");
    let (one, two) = (
        ("urn:1", "Low tide", "2026-01-01T08:00:00Z"),
        ("urn:2", "High &#27;[31mtide", "2026-01-02T09:00:00Z"),
    );
    fs::write(&file, atom(&[one, two])).unwrap();
    let rig = Rig::new();
    feed_of(&rig, "atom", file.to_str().unwrap(), "limit = 2");
    rig.load();
    let news = rig.engine.subscribe("plugin.atom.new");
    assert_eq!(text(&rig, "atom"), "nothing read yet\n");
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(payloads(&news), ["Low tide", "High [31mtide"]);
    let expected = "Harbour news (2 entries)\n\n\
                    2026-01-02 09:00  High [31mtide\n\
                    2026-01-01 08:00  Low tide\n";
    assert_eq!(text(&rig, "atom"), expected);
    let three = ("urn:3", "Ebb", "2026-01-03T10:00:00Z");
    fs::write(&file, atom(&[three, one, two])).unwrap();
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(payloads(&news), ["Ebb"]);
    let shown = text(&rig, "atom");
    assert!(
        shown.starts_with("Harbour news (3 entries)\n\n2026-01-03 10:00  Ebb\n"),
        "{shown}"
    );
    assert!(!shown.contains("Low tide"), "{shown}");
}

#[test]
fn an_rss_file_is_read_and_what_is_bad_in_it_passes_with_it() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("rss.xml");
    let rss = "<rss version=\"2.0\"><channel><title>Quay</title><link>http://localhost/</link>\
               <item><title>Berth free</title><guid>1</guid>\
               <pubDate>Thu, 01 Jan 2026 07:30:00 +0100</pubDate></item></channel></rss>";
    fs::write(&file, &rss[..150]).unwrap();
    let rig = Rig::new();
    feed_of(&rig, "rss", file.to_str().unwrap(), "");
    rig.load();
    assert_eq!(rig.engine.run_cycle().failed, 1);
    let said = rig.error("rss").unwrap();
    assert!(said.contains("rss.xml") && said.contains("XML"), "{said}");
    assert_eq!(rig.state("rss"), PluginState::Enabled);
    fs::write(&file, rss).unwrap();
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(
        text(&rig, "rss"),
        "Quay (1 entry)\n\n2026-01-01 06:30  Berth free\n"
    );
    fs::write(&file, vec![b' '; (4 << 20) + 1]).unwrap();
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().failed, 1);
    let said = rig.error("rss").unwrap();
    assert!(said.contains("longer than 4 MiB"), "{said}");
    assert!(text(&rig, "rss").contains("Berth free"));
}

fn response(status: &str, headers: &str, body: &str) -> Option<Vec<u8>> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n");
    Some((head + body).into_bytes())
}

#[test]
fn a_feed_from_a_server_is_asked_for_again_only_if_it_has_changed() {
    let server = Server::new(|request| {
        if request.contains("if-none-match: \"one\"") {
            return response("304 Not Modified", "", "");
        }
        let body = atom(&[("urn:1", "Fog", "2026-01-01T08:00:00Z")]);
        let headers = "ETag: \"one\"\r\nLast-Modified: Thu, 01 Jan 2026 08:00:00 GMT\r\n";
        response("200 OK", headers, &body)
    });
    let rig = Rig::new();
    // By its name, which no resolver is asked for.
    let source = format!("http://localhost:{}/feed.xml", server.port());
    feed_of(&rig, "served", &source, "");
    rig.load();
    let news = rig.engine.subscribe("plugin.served.new");
    for _ in 0..2 {
        assert_eq!(
            rig.engine.run_cycle().completed,
            1,
            "{:?}",
            rig.error("served")
        );
        assert!(text(&rig, "served").contains("2026-01-01 08:00  Fog"));
        rig.advance(1_000);
    }
    assert_eq!(payloads(&news), ["Fog"]);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(
        requests[0].starts_with("GET /feed.xml HTTP/1.1\r\n"),
        "{}",
        requests[0]
    );
    assert!(!requests[0].contains("\r\nif-"), "{}", requests[0]);
    for condition in [
        "if-none-match: \"one\"",
        "if-modified-since: Thu, 01 Jan 2026 08:00:00 GMT",
    ] {
        assert!(requests[1].contains(condition), "{}", requests[1]);
    }
}

#[test]
fn a_feed_that_could_not_be_read_is_asked_for_anew_although_the_server_knows_it() {
    let server = Server::new(|_| response("200 OK", "ETag: \"bad\"\r\n", "<feed><title>half"));
    let rig = Rig::new();
    feed_of(&rig, "half", &server.url("/"), "");
    rig.load();
    for tick in 1..=2 {
        assert_eq!(rig.engine.run_cycle().failed, 1);
        let requests = server.requests();
        assert_eq!(requests.len(), tick);
        assert!(
            !requests[tick - 1].contains("if-none-match"),
            "{requests:?}"
        );
        rig.advance(1_000);
    }
}

#[test]
fn a_server_that_never_answers_costs_the_time_of_one_call_and_no_more() {
    let server = Server::new(|_| None);
    let rig = Rig::new();
    // Its own clock stands still, so it is the plugin that gives up.
    let config = format!(
        "interval = \"1s\"\ntimeout = \"200ms\"\n[settings]\nsource = {:?}\n",
        server.url("/")
    );
    rig.drop_as("feed", "mute", &config);
    rig.load();
    for tick in 1..=2 {
        assert_eq!(rig.engine.run_cycle().failed, 1);
        let snapshot = rig.snapshot("mute");
        assert_eq!(snapshot.state, PluginState::Enabled);
        let error = snapshot.error.unwrap();
        assert!(
            error.recoverable && error.kind == FaultKind::Failed,
            "{error}"
        );
        assert!(
            error.to_string().contains("no whole answer within 180ms"),
            "{error}"
        );
        assert_eq!(error.consecutive, tick);
        rig.advance(1_000);
    }
}

#[test]
fn an_answer_that_stops_in_the_middle_or_never_ends_is_an_error_that_may_pass() {
    let server = Server::new(|request| {
        if request.starts_with("GET /cut") {
            return Some(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<feed>".to_vec());
        }
        if request.starts_with("GET /declared") {
            // Said to be long, and cut: the first is what counts.
            return Some(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n<feed>".to_vec());
        }
        let mut long = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        long.resize((4 << 20) + 100_000, b' ');
        Some(long)
    });
    for (id, path, why) in [
        ("cut", "/cut", "disconnected"),
        ("declared", "/declared", "longer than 4 MiB"),
        ("long", "/", "longer than 4 MiB"),
    ] {
        let rig = Rig::new();
        feed_of(&rig, id, &server.url(path), "");
        rig.load();
        assert_eq!(rig.engine.run_cycle().failed, 1);
        let said = rig.error(id).unwrap();
        assert!(said.contains(why), "{said}");
        assert_eq!(rig.state(id), PluginState::Enabled);
    }
}

#[test]
fn a_redirect_is_not_followed_and_a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    let server = Server::new(|request| {
        if request.starts_with("GET /moved") {
            return response("302 Found", "Location: http://192.0.2.7/feed\r\n", "");
        }
        response("503 Service Unavailable", "Retry-After: 120\r\n", "")
    });
    let rig = Rig::new();
    feed_of(&rig, "moved", &server.url("/moved"), "");
    feed_of(&rig, "busy", &server.url("/"), "");
    rig.load();
    assert_eq!(rig.engine.run_cycle().failed, 2);
    let said = rig.error("moved").unwrap();
    assert!(said.contains("the server answered 302 Found"), "{said}");
    let said = rig.error("busy").unwrap();
    assert!(said.contains("503 Service Unavailable"), "{said}");
    rig.advance(119_999);
    let _ = rig.engine.run_cycle();
    assert_eq!(rig.snapshot("busy").counts.updates, 1);
    rig.advance(1);
    let _ = rig.engine.run_cycle();
    assert_eq!(rig.snapshot("busy").counts.updates, 2);
}

#[test]
fn a_server_that_is_not_there_is_an_error_that_may_pass() {
    let url = Server::new(|_| None).url("/feed");
    let rig = Rig::new();
    feed_of(&rig, "gone", &url, "");
    rig.load();
    assert_eq!(rig.engine.run_cycle().failed, 1);
    let said = rig.error("gone").unwrap();
    assert!(said.contains(&url) && said.contains("refused"), "{said}");
    assert_eq!(rig.state("gone"), PluginState::Enabled);
}

#[test]
fn a_proxy_of_the_environment_is_not_asked_for_what_lies_on_this_machine() {
    let server = Server::new(|_| response("200 OK", "", &atom(&[])));
    let proxy = Server::new(|_| response("502 Bad Gateway", "", ""));
    let rig = Rig::new();
    feed_of(&rig, "direct", &server.url("/feed"), "");
    let mut run = Command::new(program());
    run.args(["run", "--cycles", "1", "--plugins"])
        .arg(rig.dir());
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        run.env(variable, proxy.url(""));
    }
    let output = run.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(proxy.requests(), [""; 0]);
    assert_eq!(server.requests().len(), 1);
}
