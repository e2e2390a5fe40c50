//! The secrets that plugins of one file were given, and how they are kept out of everything that comes back. Knows nothing of where
//! secrets come from.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

/// The shortest secret that is looked for, in bytes: shorter ones stand in every text by accident.
const LEN_MIN: usize = 4;
/// How many texts are looked for. Beyond that the oldest is looked for no more.
const TEXTS_MAX: usize = 4_096;
/// What stands where a secret stood.
const MASK: &str = "[secret]";

/// The secrets of one plugin file. All plugins of a file share them, because its threads and statics belong to all.
#[derive(Default)]
pub(crate) struct Secrets {
    any: AtomicBool,
    texts: RwLock<Vec<Box<str>>>,
}

impl Secrets {
    /// From now on these texts are masked, also without the white space around them, which whoever uses them takes away, and as they
    /// look when they are quoted.
    pub(crate) fn add(&self, secrets: impl IntoIterator<Item = String>) {
        let mut texts = self.texts.write();
        for secret in secrets {
            let quoted = format!("{secret:?}");
            let json = serde_json::Value::from(secret.as_str()).to_string();
            let inside = |quoted: &str| quoted[1..quoted.len() - 1].to_owned();
            let trimmed = secret.trim().to_owned();
            for form in [inside(&quoted), inside(&json), trimmed, secret] {
                if form.len() >= LEN_MIN && texts.iter().all(|known| **known != form) {
                    if texts.len() >= TEXTS_MAX {
                        texts.remove(0);
                    }
                    texts.push(form.into());
                }
            }
        }
        self.any.store(!texts.is_empty(), Ordering::Release);
    }

    /// `text` without secrets. One load where there are none.
    pub(crate) fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.any.load(Ordering::Acquire) {
            return Cow::Borrowed(text);
        }
        // Found in the text as it came, so that of two which overlap nothing is left over.
        let mut found: Vec<_> = self
            .texts
            .read()
            .iter()
            .flat_map(|secret| text.match_indices(&**secret))
            .map(|(at, secret)| at..at + secret.len())
            .collect();
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        found.sort_by_key(|range| range.start);
        let mut masked = String::with_capacity(text.len());
        let mut from = 0;
        for range in found {
            if range.start >= from {
                masked.push_str(&text[from..range.start]);
                masked.push_str(MASK);
            }
            from = from.max(range.end);
        }
        masked.push_str(&text[from..]);
        Cow::Owned(masked)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(")?;
        write!(f, "{}", self.texts.read().len())?;
        f.write_char(')')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(texts: &[&str]) -> Secrets {
        let secrets = Secrets::default();
        secrets.add(texts.iter().map(ToString::to_string));
        secrets
    }

    #[test]
    fn every_secret_is_masked_wherever_it_stands() {
        let secrets = secrets(&["hunter2", "hunter2-and-more", "cut", "more-secret"]);
        for (text, masked) in [
            ("nothing", "nothing"),
            ("hunter2", "[secret]"),
            ("a hunter2 b hunter2", "a [secret] b [secret]"),
            ("hunter2-and-more", "[secret]"),
            ("hunter2-and-more-secret!", "[secret]!"),
            ("a cut", "a cut"),
        ] {
            assert_eq!(secrets.mask(text), masked);
        }
        assert!(!format!("{secrets:?}").contains("hunter"));
    }

    #[test]
    fn a_secret_is_masked_also_where_it_is_quoted() {
        let secret = "line\n\"two\" \\ ü";
        let secrets = secrets(&[secret]);
        for text in [
            secret.to_owned(),
            format!("{secret:?}"),
            serde_json::json!({ "a": secret }).to_string(),
        ] {
            let masked = secrets.mask(&text);
            assert!(masked.contains(MASK) && !masked.contains("two"), "{masked}");
        }
    }

    #[test]
    fn a_secret_is_masked_also_without_the_white_space_around_it() {
        let secrets = secrets(&["hunter2\r\n", " \tspaced "]);
        assert_eq!(secrets.mask("hunter2"), MASK);
        assert_eq!(secrets.mask("it is hunter2\r\n!"), "it is [secret]!");
        assert_eq!(secrets.mask("spaced"), MASK);
        // What is left of one may be too short to be looked for.
        secrets.add(["ab\n\n\n".to_owned()]);
        assert_eq!(secrets.mask("about"), "about");
    }

    #[test]
    fn the_number_of_secrets_has_a_bound() {
        let secrets = Secrets::default();
        secrets.add((0..5_000).map(|n| format!("secret-{n:05}")));
        assert_eq!(secrets.texts.read().len(), TEXTS_MAX);
        assert_eq!(secrets.mask("secret-04999"), MASK);
    }
}
