//! Stable codes of refusals: what each means, what it looks like, and what to do. Texts only; who refuses is elsewhere.
//!
//! A code keeps its meaning for ever: one that is no longer used is not given to anything else. The first two digits are the
//! subject: 01 files, 02 loading, 03 configuration, 04 commands, 05 changes under a running engine, 06 health, supervision and crashes,
//! 07 asking a running engine, and its history, 08 writing plugins.

mod admin;
mod asking;
mod changes;
mod commands;
mod config;
mod conformance;
mod crashes;
mod files;
mod history;
mod loading;
mod projects;
mod reloading;
mod requirements;
mod supervision;
mod unmapping;
mod usage;

use std::cmp::Ordering;
use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};

const HEAD: &str = "\
# Codes

Every refusal of the engine has a code, in brackets at the end of its message. `plugin-engine explain CODE` prints what stands here.
A code keeps its meaning in all later versions; one that is no longer used is not given to anything else.

Written by `cargo run --package plugin-engine --example codes`, and compared with the program by a test.
";

/// The stable code of a refusal, such as `PE0113`, with its explanation.
///
/// ```
/// use plugin_engine::Code;
///
/// let code = Code::find("[pe0110]").expect("there is such a code");
/// assert_eq!((code, code.as_str()), (Code::FILE_NO_LIBRARY, "PE0110"));
/// println!("{code}: {}. {}", code.title(), code.cause());
/// println!("It looks like this: {}", code.example());
/// println!("What to do: {}", code.remedy());
/// assert!(Code::all().count() > 50);
/// assert!(Code::reference().contains("PE0110"));
/// ```
#[derive(Clone, Copy)]
pub struct Code(&'static Entry);

struct Entry {
    code: &'static str,
    title: &'static str,
    cause: &'static str,
    example: &'static str,
    remedy: &'static str,
}

/// Makes a constant of [`Code`] for each entry, and the list of them.
macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal {
        cause: $cause:literal,
        example: $example:literal,
        remedy: $remedy:literal $(,)?
    })+) => {
        impl $crate::code::Code {
            $(
                #[doc = concat!("`", $code, "`: ", $title, ".")]
                pub const $name: Self = Self(&$crate::code::Entry {
                    code: $code,
                    title: $title,
                    cause: $cause,
                    example: $example,
                    remedy: $remedy,
                });
            )+
        }

        pub(super) const CODES: &[$crate::code::Code] = &[$($crate::code::Code::$name),+];
    };
}
pub(crate) use codes;

impl Code {
    /// The code itself: `PE` and four digits.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.0.code
    }

    /// What is wrong, in a few words.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.0.title
    }

    /// How it comes about, and why the engine refuses it.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        self.0.cause
    }

    /// A message that has this code.
    #[must_use]
    pub fn example(&self) -> &'static str {
        self.0.example
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        self.0.remedy
    }

    /// All codes, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        let families = [
            files::CODES,
            loading::CODES,
            config::CODES,
            commands::CODES,
            unmapping::CODES,
            changes::CODES,
            requirements::CODES,
            reloading::CODES,
            supervision::CODES,
            crashes::CODES,
            usage::CODES,
            admin::CODES,
            history::CODES,
            asking::CODES,
            projects::CODES,
            conformance::CODES,
        ];
        families.into_iter().flatten().copied()
    }

    /// All codes with their explanations, as a page of Markdown.
    #[must_use]
    pub fn reference() -> String {
        let mut page = String::from(HEAD);
        for code in Self::all() {
            let Entry {
                code,
                title,
                cause,
                example,
                remedy,
            } = code.0;
            // Writing to a text cannot fail.
            let _ = write!(
                page,
                "\n## {code}: {title}\n\n{cause}\n\n```\n{example}\n```\n\n{remedy}\n"
            );
        }
        page
    }

    /// The code that somebody typed: in capitals or not, also with brackets around it.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('[').trim_end_matches(']');
        Self::all().find(|code| code.as_str().eq_ignore_ascii_case(text))
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.0.code == other.0.code
    }
}

impl Eq for Code {}

impl Hash for Code {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.code.hash(state);
    }
}

impl PartialOrd for Code {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Code {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.code.cmp(other.0.code)
    }
}

impl PartialEq<&str> for Code {
    fn eq(&self, other: &&str) -> bool {
        self.0.code == *other
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_each_has_one_meaning() {
        let codes: Vec<_> = Code::all().collect();
        assert!(codes.len() > 30);
        for pair in codes.windows(2) {
            assert!(pair[0].as_str() < pair[1].as_str(), "{pair:?}");
            assert_ne!(pair[0].title(), pair[1].title());
        }
    }

    #[test]
    fn every_code_is_explained() {
        for code in Code::all() {
            let digits = code.as_str().strip_prefix("PE").unwrap();
            assert!(digits.len() == 4 && digits.bytes().all(|c| c.is_ascii_digit()));
            for text in [code.cause(), code.remedy()] {
                assert!(text.len() > 20 && text.ends_with('.'), "{code}: {text}");
            }
            assert!(code.example().contains(code.as_str()), "{code}");
            assert!(!code.title().ends_with('.'), "{code}");
        }
    }

    #[test]
    fn a_code_is_found_as_people_type_it() {
        for text in ["PE0101", "pe0101", "[PE0101]", " PE0101\n"] {
            assert_eq!(Code::find(text), Some(Code::FILE_UNREADABLE), "{text}");
        }
        assert_eq!(Code::find("PE9999"), None);
        assert_eq!(Code::find(""), None);
    }
}
