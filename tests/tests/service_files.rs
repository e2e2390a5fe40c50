//! The files for running the engine as a service: what they refer to is there. What linters say of them is told by `tests/service.sh`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use plugin_engine_tests::Served;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join("engine/docs/service").join(name)).unwrap()
}

#[test]
fn the_container_is_built_by_the_compiler_of_the_workspace_from_files_that_are_there() {
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let version = workspace
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap()
        .trim_matches('"');
    let text = read("Containerfile");
    assert!(text.contains(&format!("FROM rust:{version}-")), "{version}");

    let copied: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--from"))
        .flat_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words[..words.len() - 1].to_vec()
        })
        .collect();
    for name in &copied {
        assert!(root().join(name).exists(), "{name}");
    }
    // Cargo looks at every member before it builds one.
    let members = workspace.split("members = [").nth(1).unwrap();
    let members = members
        .split(']')
        .next()
        .unwrap()
        .split('"')
        .skip(1)
        .step_by(2);
    for member in members {
        let top = member.split('/').next().unwrap();
        assert!(copied.contains(top), "{member} is not copied");
    }
}

/// The values of a key of the manifest, wherever it stands.
fn said<'a>(manifest: &'a str, key: &str) -> Vec<&'a str> {
    let lines = manifest
        .lines()
        .map(|line| line.trim_start().trim_start_matches("- "));
    let values = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    values.collect()
}

#[test]
fn the_parts_of_the_manifest_refer_to_each_other() {
    let text = read("kubernetes.yaml");
    let port = said(&text, "containerPort")[0];
    assert!(text.contains(&format!("--http=0.0.0.0:{port}")), "{port}");
    let state = said(&text, "mountPath");
    assert!(state.contains(&"/state") && text.contains("- --state=/state\n"));
    for (probe, command) in [
        ("livenessProbe", "liveness"),
        ("readinessProbe", "readiness"),
        ("startupProbe", "liveness"),
    ] {
        let wanted = format!("[\"plugin-engine\", \"{command}\", \"--state=/state\"]");
        let lines = text.split(&format!("{probe}:\n")).nth(1).unwrap();
        let command = said(lines, "command")[0];
        assert_eq!(command, wanted, "{probe}");
    }
    assert_eq!(said(&text, "port"), [port]);
    assert_eq!(said(&text, "targetPort"), ["http"]);
    let names: BTreeSet<_> = said(&text, "name").into_iter().collect();
    for claim in said(&text, "claimName") {
        assert!(names.contains(claim), "{claim}");
    }
    let labels: BTreeSet<_> = said(&text, "app.kubernetes.io/name").into_iter().collect();
    assert_eq!(labels, BTreeSet::from(["plugin-engine"]));
    // Every anchor is used, and every use has one.
    let anchors = |mark: char| -> BTreeSet<_> {
        let words = text.split_whitespace();
        let names = words.filter_map(|word| word.strip_prefix(mark));
        names
            .filter(|name| name.starts_with(char::is_alphabetic))
            .collect()
    };
    assert_eq!(anchors('&'), anchors('*'));
    // Who runs in the image is who the manifest says.
    let user = said(&text, "runAsUser")[0];
    assert!(read("Containerfile").contains(&format!("USER {user}:{user}")));
}

/// The expressions of the dashboard, wherever they stand.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(text) = object.get("expr").and_then(Value::as_str) {
                found.push(text.to_owned());
            }
            object.values().for_each(|value| expressions(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

/// The names of metrics in a text.
fn metrics(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("plugin_engine_"))
}

#[test]
fn every_panel_of_the_dashboard_asks_something_and_has_a_place_of_its_own() {
    let dashboard: Value = serde_json::from_str(&read("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut cells = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(cells.insert((x, y)), "{title} lies on another");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(
            panel["description"].as_str().unwrap().ends_with('.'),
            "{title}"
        );
        let mut found = Vec::new();
        expressions(panel, &mut found);
        assert!(!found.is_empty(), "{title}");
        for expression in found {
            assert!(
                metrics(&expression).next().is_some(),
                "{title}: {expression}"
            );
        }
    }
    let text = dashboard["templating"].to_string();
    assert!(metrics(&text).count() >= 2, "the variables ask, too");
}

#[test]
fn the_dashboard_asks_for_metrics_that_are_served_and_labels_that_they_have() {
    let served = Served::new();
    // What it has only if it is asked to is shown, too.
    served.rig.drop_as("noop", "noop", "breaker = {}\n");
    served.rig.load();
    served.rig.engine.run_cycle();
    let reply = served.by_http().get("/metrics");
    assert_eq!(reply.status, 200);
    let page = reply.text();
    // Names of samples, and what is said in braces after them.
    let samples: BTreeSet<_> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| metrics(line).next())
        .collect();
    let dashboard = read("grafana-dashboard.json");
    for name in metrics(&dashboard) {
        assert!(samples.contains(name), "{name} is not served: {samples:#?}");
    }
    let mut found = Vec::new();
    expressions(&serde_json::from_str(&dashboard).unwrap(), &mut found);
    for expression in found {
        for state in ["state", "health", "breaker"] {
            let Some(value) = expression.split(&format!("{state}=\"")).nth(1) else {
                continue;
            };
            let value = value.split('"').next().unwrap();
            let label = format!("{state}=\"{value}\"");
            assert!(page.contains(&label), "{label} is not served");
        }
    }
}
