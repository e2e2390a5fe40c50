//! References in settings: `${NAME}`, `file:PATH`, and `literal:` for a text that only looks like one. What they stand for is
//! looked up when a plugin is created, and never kept here.

use std::path::{Path, PathBuf};

use plugin_engine_core::bounded;

use super::source::read_regular;

/// The longest value that a reference may stand for, in bytes.
const VALUE_LEN_MAX: usize = 64 * 1024;

/// A text of the settings.
#[derive(Debug, PartialEq)]
pub(super) enum Text {
    /// As it is written, or after `literal:`.
    Plain(String),
    Reference(Reference),
}

/// What stands for a text that is known only when the plugin is created.
#[derive(Debug, PartialEq)]
pub(super) enum Reference {
    /// Texts and names of environment variables by turns.
    Variables(Vec<Part>),
    File(PathBuf),
}

#[derive(Debug, PartialEq)]
pub(super) enum Part {
    Plain(String),
    Variable(String),
}

impl Text {
    /// Takes a text apart. The error is a reason, which quotes nothing but names.
    pub(super) fn parse(written: &str) -> Result<Self, String> {
        if let Some(text) = written.strip_prefix("literal:") {
            return Ok(Self::Plain(text.to_owned()));
        }
        if let Some(path) = written.strip_prefix("file:") {
            if path.is_empty() || path.contains('\0') {
                return Err("file: is followed by no path".to_owned());
            }
            return Ok(Self::Reference(Reference::File(path.into())));
        }
        if !written.contains("${") {
            return Ok(Self::Plain(written.to_owned()));
        }
        let mut parts = Vec::new();
        let mut rest = written;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, behind) = after.split_once('}').ok_or("`${` is not closed by `}`")?;
            let fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !fits {
                return Err(format!(
                    "`${{{}}}` holds no name of an environment variable",
                    bounded(name, 80)
                ));
            }
            if !before.is_empty() {
                parts.push(Part::Plain(before.to_owned()));
            }
            parts.push(Part::Variable(name.to_owned()));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Plain(rest.to_owned()));
        }
        Ok(Self::Reference(Reference::Variables(parts)))
    }
}

impl Reference {
    /// Looks up what the reference stands for. What comes from outside is also put among the secrets. The error is a reason,
    /// which names the reference and quotes nothing of what it stands for.
    pub(super) fn resolve(&self, dir: &Path, secrets: &mut Vec<String>) -> Result<String, String> {
        match self {
            Self::Variables(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Plain(plain) => text.push_str(plain),
                        Part::Variable(name) => {
                            let value = variable(name)?;
                            text.push_str(&value);
                            secrets.push(value);
                        }
                    }
                }
                Ok(text)
            }
            Self::File(path) => {
                let path = dir.join(path);
                let read = read_regular(&path, VALUE_LEN_MAX as u64, "64 KiB");
                let mut text =
                    read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
                if text.ends_with('\n') {
                    text.pop();
                }
                secrets.push(text.clone());
                Ok(text)
            }
        }
    }
}

fn variable(name: &str) -> Result<String, String> {
    let value = std::env::var_os(name)
        .ok_or_else(|| format!("the environment variable {name} is not set"))?;
    let value = value
        .into_string()
        .map_err(|_| format!("the environment variable {name} is no UTF-8 text"))?;
    if value.len() > VALUE_LEN_MAX {
        return Err(format!(
            "the environment variable {name} has more than 64 KiB"
        ));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(written: &str, dir: &Path) -> Result<(String, Vec<String>), String> {
        let mut secrets = Vec::new();
        match Text::parse(written)? {
            Text::Plain(text) => Ok((text, secrets)),
            Text::Reference(reference) => Ok((reference.resolve(dir, &mut secrets)?, secrets)),
        }
    }

    #[test]
    fn variables_stand_for_their_values_and_nothing_else_is_a_secret() {
        let path = std::env::var("PATH").unwrap();
        let (text, secrets) = resolved("a ${PATH} b${PATH}", Path::new(".")).unwrap();
        assert_eq!(text, format!("a {path} b{path}"));
        assert_eq!(secrets, [path.clone(), path]);
        for plain in ["", "$PATH", "a { b }", "files: 3"] {
            assert_eq!(
                resolved(plain, Path::new(".")),
                Ok((plain.to_owned(), vec![]))
            );
        }
        assert_eq!(
            resolved("literal:file:${x", Path::new(".")),
            Ok(("file:${x".to_owned(), vec![]))
        );
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_reason() {
        for (written, says) in [
            ("${NO_SUCH_VARIABLE_9}", "NO_SUCH_VARIABLE_9 is not set"),
            ("${}", "no name"),
            ("${a b}", "no name"),
            ("${9}", "no name"),
            ("x${PATH", "not closed"),
            ("file:", "no path"),
            ("file:/nonexistent/secret", "cannot be read: No such file"),
            ("file:/dev/null", "regular file of at most 64 KiB"),
            ("file:/", "regular file"),
        ] {
            let reason = resolved(written, Path::new(".")).unwrap_err();
            assert!(reason.contains(says), "{written}: {reason}");
        }
    }

    #[test]
    fn a_file_stands_for_what_it_holds_without_one_line_feed() {
        let dir = tempfile::TempDir::new().unwrap();
        for (held, text) in [("a\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("", "")] {
            std::fs::write(dir.path().join("secret"), held).unwrap();
            let (read, secrets) = resolved("file:secret", dir.path()).unwrap();
            assert_eq!((read.as_str(), secrets), (text, vec![text.to_owned()]));
        }
        std::fs::write(dir.path().join("secret"), "x".repeat(VALUE_LEN_MAX + 1)).unwrap();
        assert!(
            resolved("file:secret", dir.path())
                .unwrap_err()
                .contains("64 KiB")
        );
        std::fs::write(dir.path().join("secret"), b"\xff").unwrap();
        assert!(resolved("file:secret", dir.path()).is_err());
    }
}
