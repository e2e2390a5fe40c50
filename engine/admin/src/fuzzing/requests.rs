//! Raw bytes on a connection, over HTTP and over the socket, to the router that everybody is served by.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use parking_lot::Mutex;
use plugin_engine::{Engine, PluginState, escape_control};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use super::answers::{self, Answer};
use crate::access::{Entrance, Rules};
use crate::connection::{self, HEAD_LEN_MAX};
use crate::options::AdminLimits;
use crate::server::App;
use crate::{TOKEN_NAME, routes, token::Token};

/// The token, so that requests can be made up that have it.
const TOKEN: &str = "fuzz-fuzz-fuzz-fuzz-fuzz-fuzz-fuzz-fuzz";
/// Where the server is, as far as requests see it.
const ADDR: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    80,
);
/// So much is read of the answers: what comes after it is only more of the same.
const ANSWERS_LEN_MAX: usize = 4 * 1_024 * 1_024;
/// Comes after every input: a server that has understood all of that closes the connection over it, at once. Without it an end of the
/// bytes would be taken for somebody who has gone, and answered nothing.
const LAST: &[u8] = b"GET /livez HTTP/1.1\r\nHost: 192.0.2.1\r\nConnection: close\r\n\r\n";
/// What a stream says that has nothing to say.
const NO_NEWS: &[u8] = b"\r\n3\r\n:\n\n\r\n";
/// A file that is refused and has an id, so that there is a plugin that commands do something about.
const REFUSED: &[u8] = include_bytes!("../../../fuzz/corpus/verdict/elf64_abort");

/// The statuses that `/openapi.json` describes.
const DESCRIBED: [u16; 10] = [200, 400, 401, 403, 404, 405, 408, 409, 413, 503];
/// What is said of a request that cannot be read, by whom no operation ever hears of.
const UNREADABLE: [u16; 4] = [400, 408, 414, 431];
/// The headers that an answer may have.
const HEADERS: [&str; 14] = [
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "cross-origin-resource-policy",
    "date",
    "referrer-policy",
    "transfer-encoding",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
    "vary",
];
/// The longest text in which a request is refused, in bytes.
const MESSAGE_LEN_MAX: usize = 1_000;

struct Server {
    runtime: Runtime,
    engine: Engine,
    app: Arc<App>,
    router: Router,
}

static SERVER: LazyLock<Mutex<Server>> = LazyLock::new(|| Mutex::new(Server::new()));

impl Server {
    fn new() -> Self {
        let dir = super::own_dir("requests");
        let (plugins, state) = (dir.join("plugins"), dir.join("state"));
        std::fs::create_dir_all(&plugins).expect("a directory can be made");
        std::fs::write(plugins.join("refused.so"), REFUSED).expect("a file can be written");
        let engine = Engine::builder()
            .plugin_dir(&plugins)
            .state_dir(&state)
            .build()
            .expect("an engine can be built");
        engine.load_all();
        let token = Token::of_text(TOKEN, state.join(TOKEN_NAME));
        let rules = Rules::new(token, ADDR, &[]).expect("no names are good names");
        let limits = AdminLimits {
            head: Duration::from_millis(20),
            body: Duration::from_millis(20),
            heartbeat: Duration::from_millis(1),
            ..AdminLimits::default()
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be had");
        let app = Arc::new(App::new(&engine, Some(rules), limits));
        let router = routes::router(&app);
        Self {
            runtime,
            engine,
            app,
            router,
        }
    }

    /// Sends bytes, and returns what comes back until the server has ended the connection.
    fn ask(&self, entrance: Entrance, bytes: &[u8]) -> Vec<u8> {
        let places = Arc::new(Semaphore::new(1));
        let place = places.try_acquire_owned().expect("nobody else is in");
        self.runtime.block_on(async {
            let (ours, theirs) = UnixStream::pair().expect("there are sockets");
            let (app, router) = (Arc::clone(&self.app), self.router.clone());
            let served = connection::serve(app, router, theirs, entrance, place);
            let bytes = [bytes, LAST].concat();
            let ((), answer) = tokio::join!(served, exchange(ours, &bytes));
            answer
        })
    }
}

/// Writes all of the bytes, and reads meanwhile, until the server has closed the connection, a stream has nothing to say, or enough has
/// come.
async fn exchange(stream: UnixStream, mut bytes: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    loop {
        tokio::select! {
            _ = stream.readable() => {
                let mut part = [0; 16 * 1_024];
                match stream.try_read(&mut part) {
                    Ok(0) => return answer,
                    Ok(read) => answer.extend_from_slice(&part[..read]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return answer,
                }
                if answer.len() > ANSWERS_LEN_MAX || answer.ends_with(NO_NEWS) {
                    return answer;
                }
            }
            _ = stream.writable(), if !bytes.is_empty() => {
                match stream.try_write(bytes) {
                    Ok(written) => bytes = &bytes[written..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // It has been refused already; what is there is still read.
                    Err(_) => bytes = &[],
                }
            }
        }
    }
}

/// Requests: each answer is one that is described, hardened, and repeats nothing of a request that could steer whoever reads it; and
/// over HTTP nothing is done without the token.
pub fn requests(bytes: &[u8]) {
    let server = SERVER.lock();
    let before = server.engine.last_seq();
    let answers = answers::all(&server.ask(Entrance::Http(ADDR), bytes));
    for answer in &answers {
        check(answer, bytes);
    }
    let has_token = bytes
        .windows(TOKEN.len())
        .any(|window| window == TOKEN.as_bytes());
    if !has_token {
        assert_eq!(
            server.engine.last_seq(),
            before,
            "something was done without the token"
        );
        let open = answers.iter().filter(|answer| answer.status == 200);
        for answer in open {
            let is_of_the_page = answer.header("x-frame-options") == Some("DENY");
            assert!(is_of_the_page, "something was told without the token");
        }
    }
    for answer in answers::all(&server.ask(Entrance::Socket, bytes)) {
        assert!(!matches!(answer.status, 401 | 403), "the socket needs none");
        check(&answer, bytes);
    }
    // What was done is not to be in the way of the next one.
    if server.engine.snapshot("sample").state != PluginState::Error {
        let _ = server.engine.enable("sample");
        let _ = server.engine.load("sample");
    }
}

fn check(answer: &Answer, asked: &[u8]) {
    let status = answer.status;
    for (name, value) in &answer.headers {
        assert!(HEADERS.contains(&name.as_str()), "the header {name}");
        let plain = value.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
        assert!(plain && value.len() <= 200, "{name}: {value:?}");
    }
    if answer.header("x-content-type-options").is_none() {
        assert!(UNREADABLE.contains(&status), "{status} is not hardened");
        assert!(answer.body.is_empty(), "{status} with a body");
        return;
    }
    assert!(DESCRIBED.contains(&status), "{status} is not described");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let media_type = answer.header("content-type").expect("it says what it is");
    if media_type != "application/json" {
        assert_eq!(status, 200, "{media_type}");
        return;
    }
    if !answer.is_whole || answer.body.is_empty() {
        return;
    }
    let text = std::str::from_utf8(&answer.body).expect("JSON is UTF-8");
    let value: serde_json::Value = serde_json::from_str(text).expect("it is JSON");
    if let Some(error) = value.get("error").filter(|_| status >= 400) {
        let message = error["message"].as_str().expect("an error has a text");
        assert!(!message.is_empty() && message.len() <= MESSAGE_LEN_MAX);
        assert_eq!(
            escape_control(message),
            message,
            "it has control characters"
        );
    } else if status >= 400 {
        assert_eq!(status, 503, "only who is not ready says so in a value");
    }
    let is_ours = text.len() > HEAD_LEN_MAX || text.contains("openapi");
    assert!(
        is_ours || escape_control(text) == text,
        "the answer to {:?} has control characters: {text:?}",
        String::from_utf8_lossy(asked)
    );
}
