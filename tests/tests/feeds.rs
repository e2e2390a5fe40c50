//! The feed plugin over its real file: feeds from files and from servers, good and bad.

use std::fs;
use std::process::Command;

use plugin_engine::{FaultKind, PluginState, Subscription};
use plugin_engine_tests::{Rig, Server, program};
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
