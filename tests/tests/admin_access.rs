//! Who gets in to the admin server, and who does not.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use plugin_engine_admin::{Admin, AdminLimits, AdminOptions};
use plugin_engine_tests::{Asked, Gate, Reply, Served, wait_for};

fn code(reply: &Reply) -> (u16, String) {
    (reply.status, reply.code())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn get(served: &Served, headers: &[(&str, &str)]) -> Reply {
    served.by_http().ask("GET", "/plugins", headers, b"")
}

fn limited(limits: AdminLimits) -> Served {
    Served::with(AdminOptions {
        limits,
        ..AdminOptions::default()
    })
}

#[test]
fn the_socket_is_for_its_owner_alone_and_so_is_the_token() {
    let served = Served::new();
    for path in [served.admin.socket(), served.admin.token_file()] {
        let mode = path.unwrap().metadata().unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{path:?}");
    }
    assert_eq!(served.state().metadata().unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_command_needs_the_token_over_http_and_none_over_the_socket() {
    let served = Served::new();
    served.rig.drop_in("clock");
    served.rig.load();
    let path = "/plugins/clock/disable";
    let asked = served.by_http();
    let state = || served.rig.state("clock").name();
    let wrong = format!("Bearer {}", "0".repeat(64));
    let token = served.token();
    let cut = &token[..token.len() - 1];
    let twice = format!("{token}{token}");
    assert_eq!(code(&asked.post(path)), refused(401, "PE0711"));
    for given in [
        &*wrong,
        cut,
        &twice,
        "Bearer ",
        "",
        &token[7..],
        "Basic abc",
    ] {
        let reply = asked.ask("POST", path, &[("authorization", given)], b"");
        assert_eq!(code(&reply), refused(401, "PE0711"), "{given}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    }
    assert_eq!(state(), "Enabled");
    // What reads needs none on this machine, whatever is given.
    assert_eq!(get(&served, &[("authorization", &wrong)]).status, 200);
    assert_eq!(served.post(path).status, 200);
    assert_eq!(state(), "Disabled");
    assert_eq!(served.by_socket().post("/plugins/clock/enable").status, 200);
    assert_eq!(state(), "Enabled");
}

#[test]
fn on_an_address_that_is_not_loopback_everything_but_the_page_needs_the_token() {
    let served = Served::with(AdminOptions {
        http: Some(([0, 0, 0, 0], 0).into()),
        ..AdminOptions::default()
    });
    let addr: SocketAddr = ([127, 0, 0, 1], served.admin.http_addr().unwrap().port()).into();
    let asked = Asked::Http(addr);
    for path in ["/plugins", "/metrics", "/livez", "/openapi.json", "/events"] {
        assert_eq!(code(&asked.get(path)), refused(401, "PE0711"), "{path}");
    }
    // A browser has no token to send before it has the page that asks for it.
    for path in ["/", "/app.js", "/style.css"] {
        assert_eq!(asked.get(path).status, 200, "{path}");
    }
    let token = served.token();
    let with = [("authorization", &*token)];
    assert_eq!(asked.ask("GET", "/plugins", &with, b"").status, 200);
}

#[test]
fn a_request_for_another_host_is_refused() {
    let served = Served::with(AdminOptions {
        http_hosts: vec!["engine.example".to_owned()],
        ..AdminOptions::default()
    });
    let port = served.admin.http_addr().unwrap().port();
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1",
        "engine.example",
        "Engine.Example:443",
    ] {
        assert_eq!(get(&served, &[("host", host)]).status, 200, "{host}");
    }
    let with_port = format!("evil.example:{port}");
    for host in [
        "evil.example",
        &with_port,
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "[::1]",
        "engine.example.",
        "x@localhost",
        "",
    ] {
        let reply = get(&served, &[("host", host)]);
        assert_eq!(code(&reply), refused(403, "PE0712"), "{host}");
    }
    // Whoever comes by the socket says what they like.
    let by_socket = served.by_socket();
    let reply = by_socket.ask("GET", "/plugins", &[("host", "evil.example")], b"");
    assert_eq!(reply.status, 200);
}

#[test]
fn a_request_from_the_page_of_another_origin_is_refused_with_the_token_too() {
    let served = Served::new();
    let addr = served.admin.http_addr().unwrap();
    let own = format!("http://{addr}");
    assert_eq!(get(&served, &[("origin", &own)]).status, 200);
    let other_port = format!("http://{}:1", addr.ip());
    let token = served.token();
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost",
        &other_port,
        "",
        &format!("ftp://{addr}"),
    ] {
        let headers = [("origin", origin), ("authorization", &*token)];
        let reply = served
            .by_http()
            .ask("POST", "/plugins/clock/disable", &headers, b"");
        assert_eq!(code(&reply), refused(403, "PE0713"), "{origin}");
        assert_eq!(
            code(&get(&served, &headers)),
            refused(403, "PE0713"),
            "{origin}"
        );
    }
    let script = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "no-cors"),
    ];
    assert_eq!(code(&get(&served, &script)), refused(403, "PE0713"));
    let link = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
    ];
    assert_eq!(get(&served, &link).status, 200);
}

#[test]
fn nobody_else_is_allowed_by_an_answer() {
    let served = Served::new();
    let token = served.token();
    for reply in [
        get(&served, &[]),
        get(&served, &[("host", "evil.example")]),
        served
            .by_http()
            .ask("OPTIONS", "/plugins", &[("authorization", &token)], b""),
        served.by_http().get("/nothing"),
    ] {
        assert!(!reply.head.contains("access-control"), "{}", reply.head);
        assert!(!reply.head.contains("set-cookie"), "{}", reply.head);
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(
            reply.header("cross-origin-resource-policy"),
            Some("same-origin")
        );
    }
}

#[test]
fn a_body_that_is_too_long_is_not_read() {
    let served = Served::new();
    let token = served.token();
    let asked = served.by_http();
    let post = |headers: &[(&str, &str)], body: &[u8]| {
        let headers = [&[("authorization", &*token)], headers].concat();
        asked.ask("POST", "/plugins/nobody/enable", &headers, body)
    };
    let announced = post(&[("content-length", "65537")], b"");
    assert_eq!(code(&announced), refused(413, "PE0714"));
    let mut chunks = Vec::new();
    for _ in 0..17 {
        chunks.extend_from_slice(b"1000\r\n");
        chunks.extend_from_slice(&[b'x'; 4_096]);
        chunks.extend_from_slice(b"\r\n");
    }
    let in_chunks = post(&[("transfer-encoding", "chunked")], &chunks);
    assert_eq!(code(&in_chunks), refused(413, "PE0714"));
    let fits = vec![b'x'; 65_536];
    let fits = post(&[("content-length", "65536")], &fits);
    assert_eq!(code(&fits), refused(404, "PE0401"));
}

#[test]
fn a_head_that_is_too_long_or_never_ends_is_not_waited_for() {
    let served = limited(AdminLimits {
        head: Duration::from_millis(100),
        body: Duration::from_millis(100),
        ..AdminLimits::default()
    });
    let began = Instant::now();
    let asked = served.by_http();
    let long = "x".repeat(20_000);
    assert_eq!(get(&served, &[("x-long", &long)]).status, 431);
    let mut never_ends = asked.say(b"GET /plugins HTTP/1.1\r\nhost: localhost\r\n");
    let mut said_nothing = asked.say(b"");
    let head = b"POST /plugins/nobody/enable HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n";
    let mut no_body = served.by_socket().say(head);
    let mut told = Vec::new();
    for connection in [&mut never_ends, &mut said_nothing] {
        // It is closed, with an answer or without.
        let _ = connection.read_to_end(&mut told);
    }
    told.clear();
    no_body.read_to_end(&mut told).unwrap();
    // Far less than anybody would wait who was told no time.
    assert!(began.elapsed() < Duration::from_secs(9));
    assert!(
        told.starts_with(b"HTTP/1.1 408 "),
        "{}",
        String::from_utf8_lossy(&told)
    );
}

#[test]
fn one_connection_too_many_is_told_so_and_those_over_the_socket_have_places_of_their_own() {
    let served = limited(AdminLimits {
        connections: 8,
        ..AdminLimits::default()
    });
    let addr = served.admin.http_addr().unwrap();
    let held: Vec<_> = (0..8).map(|_| TcpStream::connect(addr).unwrap()).collect();
    let mut told = String::new();
    // The last of them may not have been let in yet when this one comes.
    wait_for("the places to be taken", || {
        told.clear();
        let stream = TcpStream::connect(addr).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let _ = (&stream).read_to_string(&mut told);
        !told.is_empty()
    });
    assert!(
        told.starts_with("HTTP/1.1 503 ") && told.contains("PE0716"),
        "{told}"
    );
    assert_eq!(served.by_socket().get("/engine").status, 200);
    drop(held);
    wait_for("places to be free", || {
        let reply = served.by_http().get("/engine");
        reply.status == 200
    });
}

#[test]
fn commands_that_wait_for_a_plugin_keep_nobody_from_asking_and_there_are_only_so_many() {
    let gate = Gate::new();
    let served = limited(AdminLimits {
        commands: 1,
        ..AdminLimits::default()
    });
    served.rig.drop_as("gated", "gated", &gate.settings(""));
    served.rig.drop_in("clock");
    served.rig.load();
    let asked = served.by_socket();
    let waiting = {
        let asked = asked.clone();
        std::thread::spawn(move || asked.post("/plugins/gated/update").status)
    };
    gate.await_entry(1);
    let busy = asked.post("/plugins/clock/update");
    assert_eq!(code(&busy), refused(503, "PE0716"));
    assert_eq!(asked.get("/plugins/gated").json()["state"], "Running");
    assert_eq!(asked.get("/engine").status, 200);
    gate.open_all();
    assert_eq!(waiting.join().unwrap(), 200);
    wait_for("the place to be free", || {
        asked.post("/plugins/clock/update").status == 200
    });
}

#[test]
fn a_token_that_others_can_read_is_refused_and_nothing_is_left_open() {
    use std::os::unix::fs::PermissionsExt;
    let Served { admin, rig, .. } = &Served::new();
    let token = admin.token_file().unwrap().to_owned();
    let _ = rig;
    std::fs::set_permissions(&token, PermissionsExt::from_mode(0o644)).unwrap();
    let state = tempfile::TempDir::new().unwrap();
    let other = plugin_engine::Engine::builder()
        .state_dir(state.path())
        .build()
        .unwrap();
    std::fs::copy(&token, state.path().join("token")).unwrap();
    let options = AdminOptions {
        http: Some(([127, 0, 0, 1], 0).into()),
        ..AdminOptions::default()
    };
    let error = Admin::serve(&other, options.clone()).unwrap_err();
    assert_eq!(error.code(), "PE0704");
    assert!(!state.path().join("admin.sock").exists());
    std::fs::remove_file(state.path().join("token")).unwrap();
    // What was begun is over: the name is free.
    let served = Admin::serve(&other, options).unwrap();
    assert!(served.http_addr().is_some());
}
