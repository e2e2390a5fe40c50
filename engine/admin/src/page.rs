//! What a browser is shown, and the description of everything that is served. Files alone: what moves on the page runs in the browser.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderValue, X_FRAME_OPTIONS};
use axum::response::Response;

use crate::answer::{Refusal, content};
use crate::server::App;

/// Only what is served here may be loaded, and nobody may frame it.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; object-src 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

const STYLE_SHEET: &str = "\
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem; color-scheme: light dark; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: 0.25rem 1rem 0.25rem 0; vertical-align: top; }
";

/// The files of the page, by their names.
const FILES: &[(&str, &str, &[u8])] = &[("style.css", STYLE, STYLE_SHEET.as_bytes())];

const OPENAPI: &str = include_str!("../openapi.json");

pub(crate) async fn index(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    let rows: String = app
        .ask(|engine| {
            let plugins = engine.snapshots();
            let row = |one: &plugin_engine::Snapshot| {
                let error = one.error.as_ref().map(ToString::to_string);
                format!(
                    "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                    escaped(one.id().as_str()),
                    one.state,
                    one.health.name(),
                    escaped(&error.unwrap_or_default()),
                )
            };
            plugins.iter().map(row).collect()
        })
        .await?;
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Plugins</title>\
        <meta name=\"viewport\" content=\"width=device-width\"><link rel=\"stylesheet\" href=\"/style.css\"></head>\n\
        <body><h1>Plugins</h1>\n<table><tr><th>Plugin</th><th>State</th><th>Health</th><th>Error</th></tr>\n{rows}</table></body></html>\n"
    );
    Ok(guarded(content(HTML, page)))
}

pub(crate) async fn file(Path(name): Path<String>) -> Result<Response, Refusal> {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, media_type, bytes)) => Ok(guarded(content(media_type, *bytes))),
        None => Err(crate::operations::nothing().await),
    }
}

pub(crate) async fn openapi() -> Response {
    content("application/json", OPENAPI)
}

fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// As text of a page, in which nothing is taken for anything else.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in plugin_engine::escape_control(text).to_string().chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_of_a_text_is_taken_for_anything_else() {
        assert_eq!(
            escaped("<script>alert('x') && \"y\"</script>"),
            "&lt;script&gt;alert(&#39;x&#39;) &amp;&amp; &quot;y&quot;&lt;/script&gt;"
        );
    }
}
