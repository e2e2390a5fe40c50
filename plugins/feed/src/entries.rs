//! From the bytes of a feed to what is shown of it. The formats are `feed-rs`'s business; what is kept, in which order, and
//! that no text of a stranger reaches a terminal as it is, is ours.

use std::cmp::Reverse;
use std::hash::{DefaultHasher, Hash, Hasher};

use feed_rs::model;
use feed_rs::parser;
use plugin_api::PluginError;

/// Of a longer feed, the newest are looked at.
pub(crate) const ENTRIES_MAX: usize = 1_000;
/// How long a title may be; the sign that it was cut is the last of them.
const TITLE_CHARS_MAX: usize = 200;

/// What is kept of a feed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Feed {
    /// The title, empty if it has none.
    pub(crate) title: String,
    /// The newest entries, newest first; those without a date come last, as the feed has them.
    pub(crate) entries: Vec<Entry>,
    /// How many entries it had, kept or not.
    pub(crate) total: usize,
}

/// One entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Tells it from all others, as long as its author leaves its id alone.
    pub(crate) key: u64,
    /// The title, on one line, never empty.
    pub(crate) title: String,
    /// When it was published or, if that is not said, last changed, in seconds since 1970.
    pub(crate) seconds: Option<i64>,
    /// The same as text, in UTC.
    pub(crate) date: Option<String>,
}

/// Reads a feed; `source` is named where it is none.
pub(crate) fn parse(bytes: &[u8], source: &str) -> Result<Feed, PluginError> {
    // An id of chance would make an entry without one a new entry each time.
    let parser = parser::Builder::new()
        .id_generator(|_, _, _| String::new())
        .build();
    let feed = parser.parse(bytes).map_err(|error| {
        PluginError::recoverable(format!("{source}: {}", line(&error.to_string())))
    })?;
    let mut entries: Vec<_> = feed.entries.iter().map(Entry::of).collect();
    let total = entries.len();
    // Stable, so that entries of one moment stay in the order of the feed.
    entries.sort_by_key(|entry| Reverse(entry.seconds));
    entries.truncate(ENTRIES_MAX);
    Ok(Feed {
        title: feed
            .title
            .map(|title| line(&title.content))
            .unwrap_or_default(),
        entries,
        total,
    })
}

impl Entry {
    fn of(entry: &model::Entry) -> Self {
        let title = entry.title.as_ref().map(|title| line(&title.content));
        let date = entry.published.or(entry.updated);
        Self {
            key: key(entry),
            title: title
                .filter(|title| !title.is_empty())
                .unwrap_or_else(|| "(no title)".to_owned()),
            seconds: date.map(|date| date.timestamp()),
            date: date.map(|date| date.format("%Y-%m-%d %H:%M").to_string()),
        }
    }
}

/// RSS does without ids; then link, title and text together have to tell one entry from another.
fn key(entry: &model::Entry) -> u64 {
    let mut hasher = DefaultHasher::new();
    entry.id.hash(&mut hasher);
    if entry.id.is_empty() {
        let link = entry.links.first().map(|link| &link.href);
        let text = |text: &Option<model::Text>| text.as_ref().map(|text| text.content.clone());
        (link, text(&entry.title), text(&entry.summary)).hash(&mut hasher);
    }
    hasher.finish()
}

/// The text on one line of bounded length, without signs that steer a terminal or turn the direction of writing.
fn line(text: &str) -> String {
    let mut line = String::new();
    let mut chars = 0;
    for word in text.split(|sign: char| sign.is_whitespace() || sign.is_control()) {
        for (index, sign) in word.chars().filter(|sign| !is_invisible(*sign)).enumerate() {
            let gap = index == 0 && !line.is_empty();
            chars += 1 + usize::from(gap);
            if chars >= TITLE_CHARS_MAX {
                line.push('…');
                return line;
            }
            if gap {
                line.push(' ');
            }
            line.push(sign);
        }
    }
    line
}

fn is_invisible(sign: char) -> bool {
    matches!(sign, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATOM: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
  <id>urn:feed</id><title>News &amp; views</title><updated>2026-01-03T00:00:00Z</updated>
  <entry><id>urn:1</id><title>Second</title><updated>2026-01-02T09:30:00Z</updated></entry>
  <entry><id>urn:2</id><title>First</title><published>2026-01-01T10:00:00+02:00</published>
    <updated>2026-01-09T00:00:00Z</updated></entry>
  <entry><id>urn:3</id><title>Third</title><updated>2026-01-03T00:00:00Z</updated></entry>
</feed>"#;

    fn rss(items: &str) -> String {
        format!("<rss version=\"2.0\"><channel><title>Site</title>{items}</channel></rss>")
    }

    fn parsed(text: &str) -> Feed {
        parse(text.as_bytes(), "feed").unwrap()
    }

    fn titles(feed: &Feed) -> Vec<&str> {
        feed.entries.iter().map(|entry| &*entry.title).collect()
    }

    #[test]
    fn atom_is_sorted_by_the_date_of_publication_newest_first() {
        let feed = parsed(ATOM);
        assert_eq!((feed.title.as_str(), feed.total), ("News & views", 3));
        assert_eq!(titles(&feed), ["Third", "Second", "First"]);
        assert_eq!(feed.entries[2].date.as_deref(), Some("2026-01-01 08:00"));
    }

    #[test]
    fn rss_without_dates_stays_in_its_order_behind_what_has_one() {
        let feed = parsed(&rss("<item><title>a</title></item>\
            <item><title>b</title></item>\
            <item><title>c</title><pubDate>Fri, 02 Jan 2026 08:00:00 GMT</pubDate></item>"));
        assert_eq!(titles(&feed), ["c", "a", "b"]);
        assert_eq!(feed.entries[0].date.as_deref(), Some("2026-01-02 08:00"));
        assert_eq!(feed.entries[1].date, None);
    }

    #[test]
    fn a_json_feed_is_read_as_well() {
        let feed = parsed(
            r#"{"version": "https://jsonfeed.org/version/1.1", "title": "Site",
                "items": [{"id": "1", "title": "a", "content_text": "",
                           "date_published": "2026-01-02T08:00:00Z"}]}"#,
        );
        assert_eq!((feed.title.as_str(), titles(&feed)), ("Site", vec!["a"]));
        assert_eq!(feed.entries[0].date.as_deref(), Some("2026-01-02 08:00"));
    }

    #[test]
    fn entries_without_an_id_are_recognised_again_and_told_from_each_other() {
        let items = "<item><title>a</title></item><item><title>b</title></item>\
            <item><description>only a text</description></item>\
            <item><description>another text</description></item>\
            <item><title>a</title><link>http://localhost/a</link></item>";
        let keys = |text: &str| -> Vec<u64> {
            let feed = parsed(text);
            feed.entries.iter().map(|entry| entry.key).collect()
        };
        let once = keys(&rss(items));
        assert_eq!(once, keys(&rss(items)));
        let different: std::collections::HashSet<_> = once.iter().collect();
        assert_eq!(different.len(), 5);
    }

    #[test]
    fn what_is_no_feed_is_an_error_that_may_pass_and_says_what() {
        let cut = &ATOM[..ATOM.len() - 20];
        for (text, why) in [
            ("", "no root element"),
            ("hello", "no root element"),
            ("<html><body>Not found</body></html>", "no root element"),
            (
                "<feed xmlns='http://www.w3.org/2005/Atom'><title>a</feed>",
                "XML",
            ),
            (cut, "XML"),
            ("{\"version\": 1}", "JSON"),
        ] {
            let error = parse(text.as_bytes(), "the source").unwrap_err();
            assert!(error.is_recoverable());
            let said = error.to_string();
            assert!(said.starts_with("the source: "), "{text}: {said}");
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn a_title_is_one_line_without_signs_that_steer() {
        for (text, expected) in [
            ("  two\n\t words ", "two words"),
            ("\u{1b}[31mred\u{7}", "[31mred"),
            ("safe\u{202e}txt.exe", "safetxt.exe"),
            ("\u{9b}2J", "2J"),
            ("\u{200b}", ""),
        ] {
            assert_eq!(line(text), expected);
        }
        let cut = line(&"ü ".repeat(500));
        assert_eq!(cut.chars().count(), TITLE_CHARS_MAX);
        assert!(cut.ends_with(" ü…") || cut.ends_with("ü…"), "{cut}");
    }

    #[test]
    fn an_entry_always_has_something_to_be_called() {
        let feed = parsed(&rss(
            "<item><title>&#7;</title></item><item><guid>1</guid></item>",
        ));
        assert_eq!(titles(&feed), ["(no title)", "(no title)"]);
    }

    #[test]
    fn of_a_long_feed_the_newest_are_kept_and_all_are_counted() {
        let items: String = (0..ENTRIES_MAX + 5)
            .map(|second| {
                let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
                format!(
                    "<item><title>x</title><pubDate>Fri, 02 Jan 2026 \
                     {hour:02}:{minute:02}:{second:02} GMT</pubDate></item>"
                )
            })
            .collect();
        let feed = parsed(&rss(&items));
        assert_eq!(
            (feed.entries.len(), feed.total),
            (ENTRIES_MAX, ENTRIES_MAX + 5)
        );
        let first = parsed(&rss(
            "<item><pubDate>Fri, 02 Jan 2026 00:00:05 GMT</pubDate></item>",
        ));
        let last = feed.entries.last().unwrap();
        assert_eq!(last.seconds, first.entries[0].seconds);
    }
}
