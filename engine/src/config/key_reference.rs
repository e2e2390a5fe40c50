//! The table of keys as a page of Markdown, for people. Never what a key means: that stands in the table.

use std::fmt::Write;

use super::keys::{self, Default, Key, Kind, Section};

const HEAD: &str = "\
# Configuration keys

All keys of the engine's file and of a file beside a plugin. A duration is a text with units, such as `\"500ms\"`, `\"1s\"`, `\"5m\"` or
`\"1h 30m\"`. A key that is not here is refused, with the nearest one that is. `plugin-engine config check FILE` says what is wrong with a
file, `plugin-engine config show --effective` what holds and who said it, and `plugin-engine config schema` has this page for editors.

Written by `cargo run --package plugin-engine --example keys`, and compared with the program by a test.
";

/// All keys of configuration files as a page of Markdown: what each takes, what holds where nobody says anything, and what it means.
///
/// ```
/// let page = plugin_engine::config::key_reference();
/// assert!(page.contains("| `interval` | a duration"));
/// ```
#[must_use]
pub fn key_reference() -> String {
    let mut page = String::from(HEAD);
    section(&mut page, "The engine's file", &keys::ENGINE_FILE);
    section(&mut page, "`[[plugin]]`", &keys::PLUGIN);
    for key in keys::PLUGIN.keys {
        if let Kind::Table(table) = key.kind {
            let heading = format!("`{}` of a plugin", table.name);
            section(&mut page, &heading, table);
        }
    }
    section(&mut page, "The file beside a plugin", &keys::BESIDE);
    section(&mut page, "`[defaults]`", &keys::DEFAULTS);
    section(&mut page, "`[engine]`", &keys::ENGINE);
    section(&mut page, "`[verify]`", &keys::VERIFY);
    page
}

/// Writing to a text cannot fail.
fn section(page: &mut String, heading: &str, section: &Section) {
    let _ = write!(page, "\n## {heading}\n\n{}\n", section.doc);
    let is_plugin = section.name == keys::PLUGIN.name;
    let (known, own): (Vec<_>, Vec<_>) = section
        .keys
        .iter()
        .partition(|key| !is_plugin && is_key_of_a_plugin(key));
    if !own.is_empty() {
        page.push_str("\n| key | takes | default | meaning |\n|---|---|---|---|\n");
    }
    for key in own {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            key.name,
            escaped(&key.kind.wanted()),
            default(key.default),
            escaped(key.doc)
        );
    }
    if !known.is_empty() {
        let names: Vec<_> = known.iter().map(|key| format!("`{}`", key.name)).collect();
        let _ = write!(
            page,
            "\nThe keys of `{}` that it takes: {}.\n",
            keys::PLUGIN.name,
            names.join(", ")
        );
    }
}

/// Whether `[[plugin]]` has the same key; a key of that name may mean something else in another section.
fn is_key_of_a_plugin(key: &Key) -> bool {
    let same = keys::PLUGIN.find(key.name);
    same.is_some_and(|same| same.doc == key.doc)
}

fn default(default: Default) -> String {
    match default {
        Default::None => "–".to_owned(),
        Default::Flag(flag) => format!("`{flag}`"),
        Default::Duration(time) => format!("`\"{}\"`", keys::duration_text(time)),
        Default::Count(count) => format!("`{count}`"),
        Default::Choice(choice) => format!("`\"{choice}\"`"),
    }
}

/// Keeps a text inside its column.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_book_is_written_from_the_table_of_keys() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/book/src/reference/configuration-keys.md"
        );
        let published = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            published == key_reference(),
            "write it anew: cargo run --package plugin-engine --example keys > engine/book/src/reference/configuration-keys.md"
        );
    }

    #[test]
    fn every_key_of_every_section_is_on_the_page_under_that_section() {
        let page = key_reference();
        let parts: Vec<_> = page.split("\n## ").skip(1).collect();
        for section in keys::SECTIONS {
            let of_the_section: Vec<_> = parts
                .iter()
                .filter(|part| part.contains(section.doc))
                .collect();
            assert!(!of_the_section.is_empty(), "{}", section.name);
            for key in section.keys {
                let name = format!("`{}`", key.name);
                assert!(
                    of_the_section.iter().any(|part| part.contains(&name)),
                    "{name} of {}",
                    section.name
                );
            }
        }
    }

    #[test]
    fn no_row_has_more_columns_than_the_head() {
        for row in key_reference().lines().filter(|line| line.starts_with('|')) {
            let bars = row.replace("\\|", "").matches('|').count();
            assert_eq!(bars, 5, "{row}");
        }
    }
}
