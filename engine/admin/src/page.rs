//! What a browser is shown, and the description of everything that is served. Files alone: what moves on the page runs in the browser.

use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderValue, X_FRAME_OPTIONS};
use axum::response::Response;

use crate::address::Named;
use crate::answer::{Refusal, content};

/// Only what is served here may be loaded, and nobody may frame it.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; object-src 'none'; frame-ancestors 'none'";

macro_rules! files {
    ($($name:literal,)+) => {
        /// The files of the page, by their names.
        const FILES: &[(&str, &[u8])] = &[$(($name, include_bytes!(concat!("../page/", $name)))),+];
    };
}

files! {
    "announcer.js",
    "api.js",
    "app.js",
    "banners.js",
    "commands.js",
    "connection.js",
    "detail.js",
    "draw.js",
    "format.js",
    "history.js",
    "icon.svg",
    "index.html",
    "legend.js",
    "list.js",
    "model.js",
    "refresh.js",
    "row.js",
    "stream.js",
    "style.css",
    "token.js",
    "track.js",
}

const INDEX: &str = "index.html";

const OPENAPI: &str = include_str!("../openapi.json");

pub(crate) async fn index() -> Result<Response, Refusal> {
    file(Named(INDEX.to_owned())).await
}

pub(crate) async fn file(Named(name): Named<String>) -> Result<Response, Refusal> {
    match FILES.iter().find(|(known, _)| *known == name) {
        Some((name, bytes)) => Ok(guarded(content(media_type(name), *bytes))),
        None => Err(crate::operations::nothing().await),
    }
}

/// Whether a path leads to a file of the page.
pub(crate) fn is_file(path: &str) -> bool {
    match path.strip_prefix('/') {
        Some("") => true,
        Some(name) => FILES.iter().any(|(known, _)| *known == name),
        None => false,
    }
}

pub(crate) async fn openapi() -> Response {
    content("application/json", OPENAPI)
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served_with_a_type_of_its_own() {
        let dir = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/page")).unwrap();
        let there: BTreeSet<String> = dir
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let served: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(served, there);
        for name in &served {
            assert_ne!(media_type(name), "application/octet-stream", "{name}");
        }
    }

    #[test]
    fn the_page_names_no_other_host_and_makes_nothing_of_text_but_text() {
        for (name, bytes) in FILES {
            let text = std::str::from_utf8(bytes).unwrap();
            // What names the kind of a drawing is no address.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for foreign in [
                "http://",
                "https://",
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                " style=\"",
            ] {
                assert!(!text.contains(foreign), "{name} has {foreign}");
            }
        }
    }
}
