//! Where a feed comes from: a file, or a server on this machine. What is anything else is refused here, in words.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use plugin_api::PluginError;
use ureq::http::Uri;

/// How long a feed may be, in bytes. No feed that people write comes near it.
pub(crate) const BODY_LEN_MAX: u64 = 4 << 20;

/// A checked `settings.source`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file.
    File(PathBuf),
    /// An address with `http` and a host of this machine.
    Http(Uri),
}

impl Source {
    /// What is no address is a path.
    pub(crate) fn parse(text: &str) -> Result<Self, PluginError> {
        if text.is_empty() {
            return Err(refused(text, "it is empty"));
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return Ok(Self::File(PathBuf::from(text)));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => {
                return Err(refused(
                    text,
                    "https is not supported; a server on this machine is asked with http",
                ));
            }
            "file" => return Err(refused(text, "a file is named by its plain path")),
            _ => return Err(refused(text, "only http and plain paths are supported")),
        }
        let uri: Uri = text
            .parse()
            .map_err(|error| refused(text, &format!("no address: {error}")))?;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            // Not repeated, because it may well be a secret.
            return Err(refused(
                "…",
                "a user name or password in the address is not supported",
            ));
        }
        match uri.host().map(loopback_addresses) {
            Some(addresses) if !addresses.is_empty() => Ok(Self::Http(uri)),
            _ => Err(refused(
                text,
                "the host is not this machine; it has to be localhost, 127.0.0.1 or another loopback address",
            )),
        }
    }
}

fn refused(text: &str, why: &str) -> PluginError {
    PluginError::permanent(format!("settings.source: {text:?}: {why}"))
}

/// The addresses of a host of this machine; none for any other.
///
/// `localhost` is not looked up: whoever answers for names could send the plugin elsewhere.
pub(crate) fn loopback_addresses(host: &str) -> Vec<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    let literal = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let address = literal.parse().ok().filter(IpAddr::is_loopback);
    address.into_iter().collect()
}

/// Reads a file. Whatever goes wrong may be mended by the next update.
pub(crate) fn read_file(path: &PathBuf) -> Result<Vec<u8>, PluginError> {
    let failed =
        |error: io::Error| PluginError::recoverable(format!("{}: {error}", path.display()));
    // Asked before it is opened: opening a pipe would wait for somebody to write into it.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        let text = format!("{}: no regular file", path.display());
        return Err(PluginError::recoverable(text));
    }
    let file = File::open(path).map_err(failed)?;
    read_within_limit(file)
        .map_err(failed)?
        .ok_or_else(|| too_long(&path.display().to_string()))
}

/// Everything a reader gives, or nothing if it is more than [`BODY_LEN_MAX`].
pub(crate) fn read_within_limit(reader: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(BODY_LEN_MAX + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= BODY_LEN_MAX).then_some(bytes))
}

pub(crate) fn too_long(source: &str) -> PluginError {
    PluginError::recoverable(format!(
        "{source}: the feed is longer than {} MiB, which is the limit",
        BODY_LEN_MAX >> 20
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_addresses_of_this_machine_are_taken() {
        for path in ["/srv/feed.xml", "feed.xml", "a b"] {
            assert_eq!(Source::parse(path).unwrap(), Source::File(path.into()));
        }
        for address in [
            "http://127.0.0.1/feed",
            "http://127.3.2.1:8080/",
            "HTTP://LocalHost:80/a?b=c",
            "http://[::1]:8080/feed.xml",
        ] {
            let source = Source::parse(address).unwrap();
            assert!(matches!(source, Source::Http(_)), "{address}: {source:?}");
        }
    }

    #[test]
    fn everything_else_is_refused_for_good_and_says_why() {
        for (source, why) in [
            ("", "empty"),
            ("https://127.0.0.1/feed", "https is not supported"),
            ("HTTPS://localhost/", "https is not supported"),
            ("ftp://127.0.0.1/feed", "only http and plain paths"),
            ("file:///srv/feed.xml", "plain path"),
            ("http://example.org/feed", "not this machine"),
            ("http://192.0.2.1/feed", "not this machine"),
            ("http://0.0.0.0/feed", "not this machine"),
            ("http://localhost.example.org/", "not this machine"),
            ("http://127.0.0.1.example.org/", "not this machine"),
            ("http://[2001:db8::1]/", "not this machine"),
            ("http://", "no address"),
            ("http:///feed", "no address"),
            ("http://me:secret@127.0.0.1/", "user name or password"),
            ("http://127.0.0.1@example.org/", "user name or password"),
        ] {
            let error = Source::parse(source).unwrap_err();
            let text = error.to_string();
            assert!(!error.is_recoverable(), "{source}");
            assert!(text.starts_with("settings.source: "), "{source}: {text}");
            assert!(text.contains(why), "{source}: {text}");
            assert!(!text.contains("secret"), "{source}: {text}");
        }
    }

    #[test]
    fn a_feed_at_the_limit_is_read_and_one_byte_more_is_too_much() {
        let whole = vec![b'x'; BODY_LEN_MAX as usize];
        assert_eq!(read_within_limit(&*whole).unwrap(), Some(whole.clone()));
        assert_eq!(read_within_limit(io::repeat(b'x')).unwrap(), None);
        let more = [whole.as_slice(), b"x"].concat();
        assert_eq!(read_within_limit(&*more).unwrap(), None);
    }

    #[test]
    fn a_source_that_is_no_file_is_told_by_its_path() {
        let dir = tempfile::TempDir::new().unwrap();
        for (path, why) in [
            (dir.path().to_owned(), "no regular file"),
            (dir.path().join("missing"), "No such file"),
            (PathBuf::from("/dev/zero"), "no regular file"),
        ] {
            let error = read_file(&path).unwrap_err();
            assert!(error.is_recoverable());
            let text = error.to_string();
            assert!(text.starts_with(path.to_str().unwrap()), "{text}");
            assert!(text.contains(why), "{text}");
        }
    }
}
