//! What the description of the server says, compared with what it answers, both ways.

use std::collections::BTreeSet;

use plugin_engine_tests::{Reply, Served};
use serde_json::{Value, json};

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
    let served = Served::with_one_of_each();
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
