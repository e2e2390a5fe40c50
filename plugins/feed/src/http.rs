//! Asking a server on this machine. Nothing here knows what a feed is.
//!
//! No redirect is followed, no proxy asked and no name looked up, so that a request reaches what the settings name or nothing.

use std::net::SocketAddr;
use std::time::Duration;

use plugin_api::PluginError;
use ureq::http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RETRY_AFTER};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error, config::Config};

use crate::source::{BODY_LEN_MAX, loopback_addresses, read_within_limit, too_long};

/// What a server gave with a document, by which it can tell whether that has changed since.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Validators {
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        Self {
            etag: headers.get(ETAG).cloned(),
            last_modified: headers.get(LAST_MODIFIED).cloned(),
        }
    }

    /// The request's headers that say what is known already.
    fn conditions(&self) -> impl Iterator<Item = (HeaderName, &HeaderValue)> {
        let etag = self.etag.as_ref().map(|value| (IF_NONE_MATCH, value));
        let date = self.last_modified.as_ref();
        etag.into_iter()
            .chain(date.map(|value| (IF_MODIFIED_SINCE, value)))
    }

    fn are_none(&self) -> bool {
        self.conditions().next().is_none()
    }
}

/// What a server answered.
pub(crate) enum Answer {
    /// The document is the one that the validators came with.
    NotModified,
    /// A document.
    Document(Vec<u8>, Validators),
}

/// A client for one address.
pub(crate) struct Client {
    agent: Agent,
    uri: Uri,
}

impl Client {
    pub(crate) fn new(uri: Uri) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            // Minutes lie between two requests: a connection kept for so long is mostly one that the server has closed.
            .max_idle_connections(0)
            .user_agent(concat!("plugin-feed/", env!("CARGO_PKG_VERSION")))
            .accept("application/atom+xml, application/rss+xml, application/xml;q=0.9, */*;q=0.5")
            .build();
        Self {
            agent: Agent::with_parts(config, DefaultConnector::default(), ThisMachine),
            uri,
        }
    }

    /// Asks for the document, unless it is the one known already. It takes `time` at most, whatever the server does.
    pub(crate) fn get(&self, known: &Validators, time: Duration) -> Result<Answer, PluginError> {
        let mut request = self.agent.get(&self.uri);
        for (name, value) in known.conditions() {
            request = request.header(name, value);
        }
        let mut response = request
            .config()
            .timeout_global(Some(time))
            .build()
            .call()
            .map_err(|error| self.failed(error, time))?;
        match response.status().as_u16() {
            200 => {}
            304 if !known.are_none() => return Ok(Answer::NotModified),
            _ => {
                let text = format!("{}: the server answered {}", self.uri, response.status());
                let error = PluginError::recoverable(text);
                return Err(match retry_after(response.headers()) {
                    Some(delay) => error.retry_after(delay),
                    None => error,
                });
            }
        }
        let validators = Validators::of(response.headers());
        if response.body().content_length() > Some(BODY_LEN_MAX) {
            return Err(too_long(&self.uri.to_string()));
        }
        let body = read_within_limit(response.body_mut().as_reader())
            .map_err(|error| self.failed(error.into(), time))?
            .ok_or_else(|| too_long(&self.uri.to_string()))?;
        Ok(Answer::Document(body, validators))
    }

    fn failed(&self, error: Error, time: Duration) -> PluginError {
        PluginError::recoverable(match error {
            Error::Timeout(_) => format!("{}: no whole answer within {time:.0?}", self.uri),
            other => format!("{}: {other}", self.uri),
        })
    }
}

/// How long the server asks to be left alone, if it says so in seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Resolves the names of this machine and no other, without asking anybody.
#[derive(Debug)]
struct ThisMachine;

impl Resolver for ThisMachine {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut resolved = self.empty();
        let port = uri.port_u16().unwrap_or(80);
        for address in uri.host().map(loopback_addresses).unwrap_or_default() {
            resolved.push(SocketAddr::new(address, port));
        }
        if resolved.is_empty() {
            return Err(Error::HostNotFound);
        }
        Ok(resolved)
    }
}
