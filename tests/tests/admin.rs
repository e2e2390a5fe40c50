//! What the admin server answers, and that it answers as it is described.

use plugin_engine::Engine;
use plugin_engine_admin::{Admin, AdminError, AdminOptions};
use plugin_engine_tests::{Asked, Rig, Served, wait_for};
use serde_json::{Value, json};

#[test]
fn both_ways_in_lead_to_the_same() {
    let served = Served::with_one_of_each();
    let snapshot = |asked: &Asked| {
        let snapshot = asked.json("/plugins/panics");
        (snapshot["seq"].clone(), snapshot["error"].clone())
    };
    assert_eq!(snapshot(&served.by_socket()), snapshot(&served.by_http()));
    let engine = served.by_http().json("/engine");
    assert_eq!(engine["pid"], std::process::id());
    assert_eq!(engine["state_dir"], served.state().to_str().unwrap());
    assert_eq!(engine["refused"][0]["code"], "PE0110");
    assert_eq!(engine["refused"][0]["id"], Value::Null);
}

#[test]
fn each_command_is_carried_out_and_tells_how_the_plugin_stands() {
    let served = Served::with_one_of_each();
    let asked = served.by_socket();
    for (command, state) in [
        ("disable", "Disabled"),
        ("enable", "Enabled"),
        ("update", "Enabled"),
        ("reset", "Enabled"),
        ("reload", "Enabled"),
        ("unload", "Unloaded"),
        ("forget", "Unloaded"),
        ("load", "Enabled"),
    ] {
        let reply = asked.post(&format!("/plugins/clock/{command}"));
        assert_eq!(reply.status, 200, "{command}: {}", reply.text());
        let done = reply.json();
        assert_eq!(done["command"], command);
        assert_eq!(done["done"], true);
        assert_eq!(done["snapshot"]["state"], state, "{command}");
        assert_eq!(served.rig.state("clock").name(), state, "{command}");
    }
}

#[test]
fn a_command_that_is_refused_says_why_and_changes_nothing() {
    let served = Served::with_one_of_each();
    let asked = served.by_socket();
    let before = served.rig.snapshot("clock").generation;
    let reply = asked.post("/plugins/clock/forget");
    assert_eq!((reply.status, reply.code()), (409, "PE0402".to_owned()));
    let failed = asked.post("/plugins/panics/update");
    assert_eq!((failed.status, failed.code()), (409, "PE0404".to_owned()));
    assert_eq!(served.rig.snapshot("clock").generation, before);
}

#[test]
fn what_a_plugin_shows_comes_as_what_it_is_and_in_a_sandbox() {
    let served = Served::new();
    served.rig.drop_in("system");
    served.rig.load();
    served.rig.engine.run_cycle();
    let asked = served.by_http();
    let shown = asked.get("/plugins/system/display");
    assert_eq!(shown.status, 200, "{}", shown.text());
    assert_eq!(shown.header("content-type"), Some("image/svg+xml"));
    let policy = shown.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("sandbox; default-src 'none';"),
        "{policy}"
    );
    assert!(!policy.contains("allow-"), "{policy}");
    assert_eq!(shown.header("x-content-type-options"), Some("nosniff"));
    let accept = &[("accept", "application/json")];
    let json = asked
        .ask("GET", "/plugins/system/display", accept, b"")
        .json();
    assert_eq!(json["kind"], "svg");
    assert!(json["text"].as_str().unwrap().starts_with("<svg"), "{json}");
}

#[test]
fn nothing_of_a_plugin_is_markup_of_the_page_and_nothing_foreign_is_loaded() {
    let served = Served::with_one_of_each();
    let page = served.by_http().get("/");
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    let policy = page.header("content-security-policy").unwrap();
    for part in [
        "default-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert!(page.header("set-cookie").is_none());
    for address in ["http://", "https://", "//"] {
        let foreign = page.text().matches(&format!("=\"{address}")).count();
        assert_eq!(foreign, 0, "{address}");
    }
}

fn waiting(served: &Served) -> (u16, Value) {
    let reply = served.by_socket().get("/readyz");
    (reply.status, reply.json()["waiting_for"].clone())
}

#[test]
fn the_engine_is_ready_when_it_has_loaded_and_all_plugins_run_that_are_required() {
    let served = Served::new();
    let not_yet = served.by_socket().get("/readyz");
    assert_eq!(
        (not_yet.status, not_yet.json()["ready"] == false),
        (503, true)
    );
    served.rig.drop_as("clock", "clock", "required = true");
    served.rig.drop_in("counter");
    served.rig.load();
    assert_eq!(waiting(&served), (200, json!([])));
    served.rig.engine.disable("counter").unwrap();
    assert_eq!(waiting(&served).0, 200, "nobody requires it");
    served.rig.engine.disable("clock").unwrap();
    let (status, waiting_for) = waiting(&served);
    assert_eq!(status, 503);
    assert_eq!(
        waiting_for,
        json!([{"id": "clock", "state": "Disabled", "message": null}])
    );
    assert_eq!(served.by_socket().get("/livez").status, 200, "it is alive");
    served.rig.engine.enable("clock").unwrap();
    assert_eq!(waiting(&served).0, 200);
}

#[test]
fn a_required_plugin_whose_file_is_missing_or_was_refused_is_waited_for() {
    let state = tempfile::TempDir::new().unwrap();
    let file = state.path().join("engine.toml");
    let text = "[[plugin]]\nid = \"absent\"\nfile = \"absent.so\"\nrequired = true\n\
        [[plugin]]\nfile = \"nameless.so\"\nrequired = true\n\
        [[plugin]]\nid = \"clock\"\nrequired = false\n";
    std::fs::write(&file, text).unwrap();
    let served = Served::built(AdminOptions::default(), |builder| {
        builder.config_file(&file)
    });
    served.rig.drop_as("clock", "clock", "required = true");
    let broken = |name: &str| std::fs::write(served.rig.dir().join(name), "no library").unwrap();
    broken("broken.so");
    broken("nameless.so");
    broken("harmless.so");
    let beside = served.rig.dir().join("broken.toml");
    std::fs::write(beside, "id = \"broken\"\nrequired = true\n").unwrap();
    served.rig.load_any();
    let (status, waiting_for) = waiting(&served);
    assert_eq!(status, 503);
    let named: Vec<_> = waiting_for.as_array().unwrap().iter().collect();
    let names: Vec<_> = named
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    let nameless = served.rig.dir().join("nameless.so");
    assert_eq!(names, [nameless.to_str().unwrap(), "absent", "broken"]);
    for one in named {
        assert!(!one["message"].is_null(), "{one}");
    }
}

#[test]
fn the_history_is_asked_in_its_own_language() {
    let served = Served::with_one_of_each();
    let asked = served.by_socket();
    let all = asked.json("/history");
    let entries = all["entries"].as_array().unwrap();
    // The start of the engine has a number, too.
    let marks = all["marks"].as_array().unwrap();
    let numbers = entries.len() + marks.len();
    assert_eq!(numbers as u64, all["last_seq"].as_u64().unwrap());
    let causes = |query: &str| -> Vec<String> {
        let answer = asked.json(query);
        let entries = answer["entries"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["cause"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        causes("/plugins/clock/history?cause=mapped,created"),
        ["mapped", "created"]
    );
    assert_eq!(
        causes("/history?id=clock&order=newest&limit=1"),
        ["update_completed"]
    );
    assert_eq!(
        causes("/history?errors=true&id=panics&limit=1"),
        ["update_panicked"]
    );
    let bad = asked.get("/history?since=yesterday");
    assert_eq!((bad.status, bad.code()), (400, "PE0715".to_owned()));
    assert!(bad.text().contains("since"), "{}", bad.text());
}

/// The value of a sample.
fn sample(text: &str, name: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("{name} in {text}"));
    line.parse().expect("a number")
}

#[test]
fn the_metrics_say_what_the_snapshots_say() {
    let served = Served::with_one_of_each();
    let reply = served.by_http().get("/metrics");
    let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(reply.header("content-type"), Some(format));
    let text = reply.text();
    assert!(text.ends_with("# EOF\n"));
    for (labels, value) in [
        ("state{plugin=\"clock\",state=\"Enabled\"}", 1.0),
        ("state{plugin=\"clock\",state=\"Error\"}", 0.0),
        ("health{plugin=\"panics\",health=\"unhealthy\"}", 1.0),
        ("health{plugin=\"panics\",health=\"healthy\"}", 0.0),
        ("panics_total{plugin=\"panics\"}", 1.0),
        ("panics_total{plugin=\"clock\"}", 0.0),
        ("updates_total{plugin=\"clock\"}", 1.0),
        ("generation{plugin=\"clock\"}", 1.0),
        ("update_duration_seconds_count{plugin=\"clock\"}", 1.0),
        (
            "update_duration_seconds_bucket{le=\"+Inf\",plugin=\"clock\"}",
            1.0,
        ),
    ] {
        let name = format!("plugin_engine_plugin_{labels}");
        assert_eq!(sample(text, &name), value, "{name}");
    }
    assert_eq!(sample(text, "plugin_engine_refused_files"), 1.0);
    assert_eq!(sample(text, "plugin_engine_plugins"), 2.0);
    assert_eq!(
        sample(text, "plugin_engine_task_stale{task=\"admin\"}"),
        0.0
    );
    assert!(sample(text, "plugin_engine_libraries_mapped_bytes{use=\"in_use\"}") > 0.0);
    let accept = &[("accept", "text/plain;version=0.0.4")];
    let classic = served.by_http().ask("GET", "/metrics", accept, b"");
    assert!(
        classic
            .header("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
    assert!(
        classic
            .text()
            .contains("# TYPE plugin_engine_plugin_calls_total counter\n")
    );
    assert!(!classic.text().contains("# EOF"));
}

#[test]
fn an_engine_without_a_state_directory_has_no_socket_and_no_http() {
    let rig = Rig::new();
    let served = Admin::serve(&rig.engine, AdminOptions::default()).unwrap();
    assert_eq!((served.socket(), served.http_addr()), (None, None));
    drop(served);
    let options = AdminOptions {
        http: Some(([127, 0, 0, 1], 0).into()),
        ..AdminOptions::default()
    };
    let error = Admin::serve(&rig.engine, options).unwrap_err();
    assert!(matches!(error, AdminError::NoStateDir), "{error}");
    assert_eq!(error.code(), "PE0701");
}

#[test]
fn an_engine_has_one_server_at_a_time_and_the_first_one_is_not_disturbed() {
    let served = Served::new();
    let second = Admin::serve(&served.rig.engine, AdminOptions::default()).unwrap_err();
    assert_eq!(second.code(), "PE0612");
    served.await_liveness();
    let Served { admin, rig, .. } = &served;
    assert!(admin.socket().unwrap().exists());
    assert!(
        rig.engine
            .liveness()
            .iter()
            .any(|task| &*task.name == "admin")
    );
}

#[test]
fn a_server_that_was_stopped_can_be_started_again_and_one_of_a_stopped_engine_cannot() {
    let Served { admin, rig, .. } = Served::new();
    let socket = admin.socket().unwrap().to_owned();
    admin.stop();
    assert!(!socket.exists());
    // The state directory is that of the engine, which is there no more.
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let again = Admin::serve(&rig.engine, AdminOptions::default()).unwrap();
    assert_eq!(Asked::Socket(socket.clone()).get("/engine").status, 200);
    rig.engine
        .shutdown(std::time::Duration::from_secs(5))
        .unwrap();
    assert!(
        !socket.exists(),
        "the end of the engine is that of its server"
    );
    drop(again);
    let error = Admin::serve(&rig.engine, AdminOptions::default()).unwrap_err();
    assert_eq!(error.code(), "PE0405");
}

#[test]
fn the_server_is_a_task_that_is_alive_and_goes_with_its_engine() {
    let served = Served::new();
    let is_alive = |engine: &Engine| {
        let tasks = engine.liveness();
        let admin = tasks.iter().find(|task| &*task.name == "admin");
        admin.is_some_and(|task| task.last_progress.is_some() && task.stale.is_none())
    };
    wait_for("the first progress", || is_alive(&served.rig.engine));
    let tasks = served.by_socket().json("/admin/liveness");
    let tasks = tasks["tasks"].as_array().unwrap();
    assert!(
        tasks.iter().any(|task| task["name"] == "admin"),
        "{tasks:?}"
    );
}
