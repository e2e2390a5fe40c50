//! Who may ask over HTTP: for which host, from which page, with which token. Never what is asked.
//!
//! Over the socket nobody is asked any of this: whoever may open it is the user of the engine.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use plugin_engine::Code;
use tokio::time::timeout;

use crate::answer::{Refusal, harden};
use crate::error::AdminError;
use crate::page;
use crate::query::shown;
use crate::server::App;
use crate::token::Token;

/// The longest body that is read, in bytes.
pub(crate) const BODY_LEN_MAX: usize = 64 * 1_024;

/// Where a connection came in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entrance {
    Socket,
    /// At this address of this machine.
    Http(SocketAddr),
}

/// The rules for HTTP.
pub(crate) struct Rules {
    token: Token,
    hosts: Vec<String>,
    /// Whether everything but the files of the page needs the token.
    is_exposed: bool,
}

impl Rules {
    pub(crate) fn new(
        token: Token,
        addr: SocketAddr,
        hosts: &[String],
    ) -> Result<Self, AdminError> {
        let hosts = hosts.iter().map(|name| {
            let is_name =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            if name.is_empty() || name.len() > 253 || !name.bytes().all(is_name) {
                return Err(AdminError::HostName { name: name.clone() });
            }
            Ok(name.to_ascii_lowercase())
        });
        Ok(Self {
            token,
            hosts: hosts.collect::<Result<_, _>>()?,
            is_exposed: !addr.ip().is_loopback(),
        })
    }

    /// Where the token is kept.
    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    /// Whether a request may be served.
    fn check(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        reached: IpAddr,
    ) -> Result<(), Refusal> {
        let authority = self.check_host(headers, reached)?;
        check_origin(headers, authority)?;
        let reads = method == Method::GET || method == Method::HEAD;
        // The page asks for the token, and a browser has none to send before it has the page. Nothing in it is of this engine.
        if reads && (!self.is_exposed || page::is_file(path)) {
            return Ok(());
        }
        match bearer(headers) {
            Some(given) if self.token.is(given) => Ok(()),
            given => Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                Code::TOKEN_REFUSED,
                format!(
                    "{}: send \"Authorization: Bearer\" with what is in {}",
                    if given.is_some() {
                        "this is not the token"
                    } else {
                        "this needs the token"
                    },
                    self.token.path().display()
                ),
            )),
        }
    }

    /// Whether the request is for this host; returns the authority that it names.
    fn check_host<'a>(&self, headers: &'a HeaderMap, reached: IpAddr) -> Result<&'a str, Refusal> {
        let mut named = headers.get_all(HOST).iter();
        let authority = match (named.next(), named.next()) {
            (Some(one), None) => one.to_str().unwrap_or_default(),
            _ => "",
        };
        let host = host_of(authority);
        // An address is no name that somebody could have led here; that it is the one that was reached is what makes it this server's.
        let is_reached = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(addr) => addr.to_canonical() == reached.to_canonical(),
            Err(_) => false,
        };
        let is_ours = is_reached
            || host.eq_ignore_ascii_case("localhost")
            || self
                .hosts
                .iter()
                .any(|name| host.eq_ignore_ascii_case(name));
        if is_ours {
            return Ok(authority);
        }
        Err(Refusal::new(
            StatusCode::FORBIDDEN,
            Code::HOST_REFUSED,
            format!(
                "the host \"{}\" is none of this server's; give its name with --http-host if it is",
                shown(host)
            ),
        ))
    }
}

/// The host of an authority, without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            // What is left of an address in brackets has its own colons.
            if host.contains(':') && !host.ends_with(']') {
                authority
            } else {
                host
            }
        }
        _ => authority,
    }
}

/// A browser says which page a request comes from, unless it is a person who opens an address.
fn check_origin(headers: &HeaderMap, authority: &str) -> Result<(), Refusal> {
    const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let refused = |from: &str| {
        Err(Refusal::new(
            StatusCode::FORBIDDEN,
            Code::ORIGIN_REFUSED,
            format!("requests from pages of \"{}\" are not served", shown(from)),
        ))
    };
    for origin in headers.get_all(ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let own = ["http://", "https://"]
            .iter()
            .filter_map(|scheme| origin.strip_prefix(scheme));
        if !own
            .into_iter()
            .any(|host| host.eq_ignore_ascii_case(authority))
        {
            return refused(origin);
        }
    }
    match headers.get(SITE).map(HeaderValue::as_bytes) {
        // Whoever follows a link to the page comes from elsewhere, and sees it; a script there does not.
        Some(b"cross-site" | b"same-site")
            if headers
                .get(HeaderName::from_static("sec-fetch-mode"))
                .is_none_or(|mode| mode != "navigate") =>
        {
            refused("another site")
        }
        _ => Ok(()),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(AUTHORIZATION)?.to_str().unwrap_or_default();
    match given.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim()),
        _ => Some(""),
    }
}

/// Lets a request through, or refuses it; sees to what all answers have in common.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = match admit(&app, request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    if response.status() == StatusCode::UNAUTHORIZED {
        let headers = response.headers_mut();
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    harden(response.headers_mut());
    response
}

async fn admit(app: &App, request: Request) -> Result<Request, Refusal> {
    if let Some(Entrance::Http(reached)) = request.extensions().get::<Entrance>()
        && let Some(rules) = &app.rules
    {
        let path = request.uri().path();
        rules.check(request.method(), path, request.headers(), reached.ip())?;
    }
    if app.is_stopping() {
        return Err(Refusal::stopping());
    }
    let (head, body) = request.into_parts();
    read_body(&head.headers, body, app.limits.body).await?;
    Ok(Request::from_parts(head, Body::empty()))
}

/// Reads the body of a request to its end, so that the connection can go on. No operation needs one.
async fn read_body(headers: &HeaderMap, body: Body, patience: Duration) -> Result<(), Refusal> {
    let too_large = || {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::BODY_TOO_LARGE,
            format!("the body is longer than {BODY_LEN_MAX} bytes, which is the most that is read"),
        )
    };
    let announced = headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|len| len.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|len| len > BODY_LEN_MAX as u64) {
        return Err(too_large());
    }
    match timeout(patience, to_bytes(body, BODY_LEN_MAX)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            None,
            "the body of the request did not come in time",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_authority_is_found_with_and_without_a_port() {
        for (authority, host) in [
            ("localhost", "localhost"),
            ("localhost:80", "localhost"),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("a:b", "a:b"),
            ("", ""),
        ] {
            assert_eq!(host_of(authority), host, "{authority}");
        }
    }

    #[test]
    fn a_name_is_one_of_a_host_or_refused() {
        let dir = tempfile::TempDir::new().unwrap();
        let rules = |name: &str| {
            let token = Token::open(&dir.path().join("token")).unwrap();
            Rules::new(token, ([127, 0, 0, 1], 80).into(), &[name.to_owned()])
        };
        assert!(rules("Engine.example").is_ok_and(|rules| rules.hosts == ["engine.example"]));
        for bad in ["", "http://a", "a:80", "a/b", "*", "a b", "[::1]"] {
            let error = rules(bad).err().expect(bad);
            assert_eq!(error.code(), Code::HTTP_HOST, "{bad}");
        }
    }

    #[test]
    fn without_the_token_only_the_page_is_read_at_an_address_that_is_not_loopback() {
        let dir = tempfile::TempDir::new().unwrap();
        let token = Token::open(&dir.path().join("token")).unwrap();
        let rules = Rules::new(token, ([192, 0, 2, 1], 80).into(), &[]).unwrap();
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("192.0.2.1"))]);
        let check = |method, path| rules.check(&method, path, &headers, [192, 0, 2, 1].into());
        for file in ["/", "/app.js", "/style.css"] {
            assert!(check(Method::GET, file).is_ok(), "{file}");
            assert!(check(Method::POST, file).is_err(), "{file}");
        }
        for path in [
            "/plugins",
            "/plugins/app.js",
            "/app.jsx",
            "/openapi.json",
            "//",
            "",
        ] {
            assert!(check(Method::GET, path).is_err(), "{path}");
        }
    }
}
