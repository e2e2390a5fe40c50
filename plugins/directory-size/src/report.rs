//! The result as text for a person. Nothing here walks or measures anything.

use std::fmt::Write as _;
use std::time::Duration;

use crate::walk::Found;

/// A longer name is cut, so that one line stays one line.
const NAME_CHARS_MAX: usize = 60;

/// The whole result below the path that it is of; `age` is the time since the walk ended.
pub(crate) fn describe(path: &str, found: &Found, age: Duration) -> String {
    let total = &found.total;
    let mut text = format!(
        "{}: {} in {} and {}, {} ago\n",
        shown(path),
        bytes(total.bytes),
        counted(total.files, "file", "files"),
        counted(total.directories, "directory", "directories"),
        coarse(age)
    );
    if let Some(first) = &found.first_unreadable {
        let number = counted(total.unreadable, "entry", "entries");
        put(
            &mut text,
            &format!("{number} could not be read; the first: {}", shown(first)),
        );
    }
    if !found.largest.is_empty() {
        text.push('\n');
    }
    for child in &found.largest {
        let name = cut(&shown(&child.name));
        put(&mut text, &row(child.bytes, total.bytes, &name));
    }
    let (count, sum) = found.smaller;
    if count > 0 {
        let what = counted(count, "smaller directory", "smaller directories");
        put(&mut text, &row(sum, total.bytes, &format!("({what})")));
    }
    if found.direct_bytes > 0 && !found.largest.is_empty() {
        put(
            &mut text,
            &row(found.direct_bytes, total.bytes, "(files beside them)"),
        );
    }
    text
}

/// What can be said of a walk that is not complete.
pub(crate) fn unfinished(entries: u64) -> String {
    let number = counted(entries, "entry", "entries");
    format!("not finished, {number} so far; goes on at the next update")
}

fn put(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

fn row(part: u64, whole: u64, name: &str) -> String {
    let share = if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64 * 100.0
    };
    format!("{:>10}  {share:>3.0} %  {name}", bytes(part))
}

/// A number with the word for one or for many, in groups of three digits.
fn counted(number: u64, one: &str, many: &str) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{text} {}", if number == 1 { one } else { many })
}

fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            let decimals = usize::from(value < 10.0 && unit != "B");
            return format!("{value:.decimals$} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} PiB")
}

fn coarse(age: Duration) -> String {
    match age.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// The text on one line. A file may have any name, one that steers a terminal too.
fn shown(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

fn cut(name: &str) -> String {
    if name.chars().count() <= NAME_CHARS_MAX {
        return name.to_owned();
    }
    let start: String = name.chars().take(NAME_CHARS_MAX - 1).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walk::{Child, Tally};

    fn child(name: &str, bytes: u64) -> Child {
        let name = name.to_owned();
        Child { name, bytes }
    }

    #[test]
    fn the_report_tells_sizes_shares_and_what_could_not_be_read() {
        let found = Found {
            total: Tally {
                bytes: 4 << 20,
                files: 1_234_567,
                directories: 1,
                others: 7,
                unreadable: 2,
            },
            largest: vec![child("music", 3 << 20), child("notes", 1 << 19)],
            smaller: (3, 20 << 10),
            direct_bytes: 1 << 18,
            first_unreadable: Some("/srv/private: permission denied".to_owned()),
        };
        let text = describe("/srv", &found, Duration::from_secs(150));
        let expected = "\
/srv: 4.0 MiB in 1,234,567 files and 1 directory, 2 min ago
2 entries could not be read; the first: /srv/private: permission denied

   3.0 MiB   75 %  music
   512 KiB   12 %  notes
    20 KiB    0 %  (3 smaller directories)
   256 KiB    6 %  (files beside them)
";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_empty_tree_has_a_report_of_one_line() {
        let text = describe("/srv", &Found::default(), Duration::ZERO);
        assert_eq!(text, "/srv: 0 B in 0 files and 0 directories, 0 s ago\n");
    }

    #[test]
    fn a_name_can_neither_break_its_line_nor_fill_the_screen() {
        let found = Found {
            largest: vec![child(&format!("\u{1b}[2J\n{}", "ü".repeat(200)), 1)],
            ..Found::default()
        };
        let text = describe("/a\rb", &found, Duration::ZERO);
        assert!(text.starts_with("/a\u{fffd}b: "), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.ends_with("ü…\n"), "{text}");
        assert!(!text.chars().any(|sign| sign.is_control() && sign != '\n'));
    }

    #[test]
    fn numbers_are_grouped_from_the_right() {
        for (number, text) in [(0, "0 s"), (999, "999 s"), (1_000, "1,000 s")] {
            assert_eq!(counted(number, "one", "s"), text);
        }
        assert_eq!(counted(u64::MAX, "", "s"), "18,446,744,073,709,551,615 s");
    }

    #[test]
    fn ages_are_told_in_the_largest_unit_that_leaves_more_than_one() {
        for (seconds, text) in [(119, "119 s"), (120, "2 min"), (7_199, "119 min")] {
            assert_eq!(coarse(Duration::from_secs(seconds)), text);
        }
        assert_eq!(coarse(Duration::from_secs(90_000)), "25 h");
    }
}
