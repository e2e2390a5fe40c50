//! What the plugin shows of itself.

use std::time::Instant;

use plugin_engine::{Code, Error, View, ViewKind};

use super::bench::{Bench, in_words, number, time};
use crate::validate::check::{Check, Outcome};

/// How a PNG image begins.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

pub(super) fn check(bench: &Bench<'_>) -> Result<(), String> {
    let check = Check::Display;
    bench.begin(check);
    bench.start("")?;
    bench.update_some();
    let began = Instant::now();
    let shown = bench.engine.display(bench.id());
    let took = began.elapsed();
    let failed = |text: String| Outcome::failed(check, Code::VALIDATE_DISPLAY, text);
    bench.end(match shown {
        Err(Error::Fault { fault, .. }) => failed(in_words(&fault)),
        Err(error) => failed(error.to_string()),
        Ok(view) => match kind(&view) {
            Err(text) => failed(text),
            Ok("nothing") => Outcome::passed(check, "it shows nothing"),
            Ok(kind) => {
                let bytes = view.bytes().len() as u64;
                let text = format!("{kind} of {} bytes in {}", number(bytes), time(took));
                Outcome::passed(check, text).measured("bytes", bytes)
            }
        },
    });
    Ok(())
}

/// What a view is; the error says why it is not what it says.
fn kind(view: &View) -> Result<&'static str, String> {
    let is_text = || view.as_text().is_some();
    match view.kind() {
        ViewKind::Empty => Ok("nothing"),
        ViewKind::Json if serde_json::from_slice::<serde_json::Value>(view.bytes()).is_err() => {
            Err("what it shows as JSON is none".to_owned())
        }
        ViewKind::Png if !view.bytes().starts_with(PNG) => {
            Err("what it shows as a PNG image is none".to_owned())
        }
        ViewKind::Png => Ok("a PNG image"),
        _ if !is_text() => Err("what it shows as text is no UTF-8".to_owned()),
        ViewKind::Svg if !view.as_text().is_some_and(|text| text.contains("<svg")) => {
            Err("what it shows as SVG is none".to_owned())
        }
        ViewKind::Text => Ok("text"),
        ViewKind::Svg => Ok("SVG"),
        ViewKind::Html => Ok("HTML"),
        ViewKind::Json => Ok("JSON"),
        _ => Ok("something"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_that_is_not_what_it_says_is_found_out() {
        for (view, good) in [
            (View::empty(), true),
            (View::text("x"), true),
            (View::json("{}"), true),
            (View::json("{"), false),
            (View::png(PNG), true),
            (View::png("x"), false),
            (View::svg("<svg/>"), true),
            (View::svg("x"), false),
            (View::new(ViewKind::Text, [0xff]), false),
        ] {
            assert_eq!(kind(&view).is_ok(), good, "{view:?}");
        }
    }
}
