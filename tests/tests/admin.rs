//! What the admin server answers, and that it answers as it is described.

use std::collections::BTreeSet;

use plugin_engine::Engine;
use plugin_engine_admin::{Admin, AdminError, AdminOptions};
use plugin_engine_tests::{Asked, Reply, Rig, Served, wait_for};
use serde_json::{Value, json};

/// A served engine with a plugin that is well, one that panics and one that was refused.
fn served() -> Served {
    let served = Served::new();
    served.rig.drop_in("clock");
    served.rig.drop_as(
        "panics",
        "panics",
        "panic_limit = 1\non_unhealthy = \"none\"",
    );
    std::fs::write(served.rig.dir().join("broken.so"), "no library").unwrap();
    served.rig.load_any();
    served.rig.engine.run_cycle();
    served
}

fn is_described(described: &Value, reply: &Reply, schemas: &Value) {
    let status = reply.status.to_string();
    let mut answer = &described["responses"][&status];
    assert!(
        answer.is_object(),
        "{status} is described: {}",
        reply.text()
    );
    if let Some(name) = answer["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        answer = &schemas["responses"][name];
    }
    let media_type = reply.header("content-type").unwrap();
    let media_type = media_type.split(';').next().unwrap();
    let content = &answer["content"][media_type];
    assert!(
        content.is_object(),
        "{media_type} is described for {status}"
    );
    if media_type == "application/json" && content["schema"].is_object() {
        let schema = json!({"allOf": [content["schema"]], "components": schemas});
        let validator = jsonschema::validator_for(&schema).expect("it is a schema");
        let body = reply.json();
        let problems: Vec<_> = validator
            .iter_errors(&body)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{problems:?} in {body}");
    }
}

#[test]
fn every_route_is_described_and_every_description_is_kept_to() {
    let served = served();
    let asked = served.by_socket();
    let openapi = asked.json("/openapi.json");
    let described = |method: &str, path: &str| openapi["paths"][path][method].clone();
    let mut described_routes = BTreeSet::new();
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            described_routes.insert((method.clone(), path.clone()));
        }
    }
    let routes = plugin_engine_admin::routes();
    let routes: BTreeSet<_> = routes
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    assert_eq!(described_routes, routes);

    let schemas = &openapi["components"];
    let mut answered = BTreeSet::new();
    let mut check =
        |method: &str, path: &str, asks: &str, headers: &[(&str, &str)], status: u16| {
            let reply = asked.ask(&method.to_uppercase(), asks, headers, b"");
            assert_eq!(reply.status, status, "{method} {asks}: {}", reply.text());
            is_described(&described(method, path), &reply, schemas);
            answered.insert((method.to_owned(), path.to_owned()));
        };
    let json = &[("accept", "application/json")][..];
    for (method, path, asks, headers, status) in [
        ("get", "/livez", "/livez", &[][..], 200),
        ("get", "/readyz", "/readyz", &[], 200),
        ("get", "/admin/liveness", "/admin/liveness", &[], 200),
        ("get", "/engine", "/engine", &[], 200),
        ("get", "/plugins", "/plugins", &[], 200),
        ("get", "/plugins/{id}", "/plugins/clock", &[], 200),
        ("get", "/plugins/{id}", "/plugins/panics", &[], 200),
        ("get", "/plugins/{id}", "/plugins/nobody", &[], 404),
        ("get", "/plugins/{id}", "/plugins/No%20Id", &[], 404),
        (
            "get",
            "/plugins/{id}/display",
            "/plugins/clock/display",
            &[],
            200,
        ),
        (
            "get",
            "/plugins/{id}/display",
            "/plugins/clock/display",
            json,
            200,
        ),
        (
            "get",
            "/plugins/{id}/display",
            "/plugins/nobody/display",
            &[],
            404,
        ),
        (
            "get",
            "/plugins/{id}/history",
            "/plugins/panics/history",
            &[],
            200,
        ),
        (
            "get",
            "/plugins/{id}/history",
            "/plugins/nobody/history",
            &[],
            404,
        ),
        (
            "get",
            "/plugins/{id}/history",
            "/plugins/No%20Id/history",
            &[],
            404,
        ),
        (
            "get",
            "/plugins/{id}/history",
            "/plugins/clock/history?id=panics",
            &[],
            400,
        ),
        ("get", "/plugins/{id}/why", "/plugins/panics/why", &[], 200),
        ("get", "/plugins/{id}/why", "/plugins/nobody/why", &[], 404),
        (
            "get",
            "/history",
            "/history?errors=true&order=newest&limit=3",
            &[],
            200,
        ),
        ("get", "/history", "/history?colour=red", &[], 400),
        ("get", "/history", "/history?limit=100001", &[], 400),
        (
            "get",
            "/history",
            "/history?follow=true&order=newest",
            &[],
            400,
        ),
        (
            "get",
            "/events",
            "/events?follow=false&pattern=plugin.*.unhealthy",
            &[],
            200,
        ),
        ("get", "/events", "/events?follow=perhaps", &[], 400),
        ("get", "/events", "/events?colour=red", &[], 400),
        ("get", "/metrics", "/metrics", &[], 200),
        (
            "get",
            "/metrics",
            "/metrics",
            &[("accept", "text/plain")],
            200,
        ),
        ("get", "/openapi.json", "/openapi.json", &[], 200),
        ("get", "/", "/", &[], 200),
        ("get", "/{file}", "/style.css", &[], 200),
        ("get", "/{file}", "/nothing.css", &[], 404),
        (
            "post",
            "/plugins/{id}/{command}",
            "/plugins/clock/enable",
            &[],
            200,
        ),
        (
            "post",
            "/plugins/{id}/{command}",
            "/plugins/clock/forget",
            &[],
            409,
        ),
        (
            "post",
            "/plugins/{id}/{command}",
            "/plugins/nobody/enable",
            &[],
            404,
        ),
        (
            "post",
            "/plugins/{id}/{command}",
            "/plugins/clock/explode",
            &[],
            404,
        ),
        (
            "post",
            "/plugins/{id}/{command}",
            "/plugins/clock/enable?now=true",
            &[],
            400,
        ),
    ] {
        check(method, path, asks, headers, status);
    }
    assert_eq!(answered, routes, "each was asked");
    let reply = asked.post("/plugins");
    assert_eq!(reply.status, 405, "{}", reply.text());
}

#[test]
fn both_ways_in_lead_to_the_same() {
    let served = served();
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
    let served = served();
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
    let served = served();
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
    let served = served();
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
    let served = served();
    let asked = served.by_socket();
    let all = asked.json("/history");
    let entries = all["entries"].as_array().unwrap();
    assert_eq!(entries.len() as u64, all["last_seq"].as_u64().unwrap());
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
    let served = served();
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
    assert_eq!(served.by_socket().get("/livez").status, 200);
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
    assert_eq!(Asked::Socket(socket.clone()).get("/livez").status, 200);
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
