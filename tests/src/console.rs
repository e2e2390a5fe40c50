//! What the book shows of a shell: commands that are really run, and what they really say, compared with the files that its chapters
//! include. With `BOOK_WRITE=1` in the environment those files are written anew.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::files::root;
use crate::{built, command, ended, objects, program, wait_for};

/// A directory in which a person types commands, and at most one engine that runs over it.
pub struct Console {
    dir: TempDir,
    engine: Option<Child>,
    /// What is not as the book says.
    wrong: Vec<String>,
}

/// Where the book's shown commands lie.
pub fn shown_dir() -> PathBuf {
    root().join("engine/book/src/console")
}

impl Console {
    /// A directory with an empty `plugins.d`.
    pub fn new() -> Self {
        let dir = TempDir::new().expect("a directory can be made");
        fs::create_dir(dir.path().join("plugins.d")).expect("a directory can be made");
        Self {
            dir,
            engine: None,
            wrong: Vec::new(),
        }
    }

    /// The place of a file.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Drops the plugin file of a crate into `plugins.d`, under the name that Cargo gives it.
    pub fn drop_in(&self, name: &str) {
        let source = built(name);
        let file = source.file_name().expect("a plugin file has a name");
        let file = self.path("plugins.d").join(file);
        fs::copy(&source, &file).expect("a file can be copied");
        // Whatever the mask of whoever runs the tests is.
        fs::set_permissions(file, Permissions::from_mode(0o644)).expect("it is a file of ours");
    }

    /// Writes a file that the book shows as well.
    pub fn write(&mut self, file: &str, shown_as: &str, text: &str) {
        fs::write(self.path(file), text).expect("a file can be written");
        self.compare(shown_as, text.to_owned());
    }

    /// Starts the engine with these arguments, and waits until it can be asked.
    ///
    /// # Panics
    /// It ends, or does not answer.
    pub fn start(&mut self, args: &[&str]) {
        let said = File::create(self.path("said")).expect("a file can be made");
        let mut command = command();
        command
            .current_dir(self.dir.path())
            .args(["run", "--plugins", "plugins.d", "--state", "state"])
            .args(args)
            .stdout(Stdio::null())
            .stderr(said);
        self.engine = Some(command.spawn().expect("the program runs"));
        wait_for("the engine to answer", || {
            self.asked("status --json").is_some()
        });
    }

    /// Waits until the snapshot of a plugin is as wanted.
    pub fn await_plugin(&self, id: &str, wanted: impl Fn(&Value) -> bool) {
        wait_for(id, || {
            let answer = self.asked(&format!("status {id} --json"));
            answer.is_some_and(|answer| objects(&answer).first().is_some_and(&wanted))
        });
    }

    /// Waits until what a command to the engine says has `what` in it.
    pub fn await_line(&self, args: &str, what: &str) {
        wait_for(what, || {
            let answer = self.asked(args);
            answer.is_some_and(|answer| answer.contains(what))
        });
    }

    /// Has a shell run a line that is to end by a signal.
    ///
    /// # Panics
    /// It ends otherwise.
    pub fn fall(&self, line: &str) {
        let said = self.typed(line);
        assert!(said.contains("[exit status 139]"), "{said}");
    }

    /// What a command to the engine says, unless it fails.
    fn asked(&self, args: &str) -> Option<String> {
        let ended = ended(command().current_dir(self.dir.path()).args(args.split(' ')));
        (ended.status == 0).then_some(ended.out)
    }

    /// Has a shell run a line as a person would type it, and compares what comes of it with what the book shows as `name`.
    pub fn show(&mut self, name: &str, line: &str) {
        self.show_all(name, &[line]);
    }

    /// The same with several lines.
    pub fn show_all(&mut self, name: &str, lines: &[&str]) {
        let mut text = String::new();
        for line in lines {
            text.push_str(&format!("$ {line}\n"));
            text.push_str(&self.typed(line));
        }
        // What aligns columns may end a line with spaces.
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        self.compare(name, lines.join("\n") + "\n");
    }

    /// What a shell says to a line: standard output and error as they come, and the exit status where it is none of success.
    fn typed(&self, line: &str) -> String {
        let bin = program();
        let bin = bin.parent().expect("a program lies in a directory");
        let path = std::env::var("PATH").unwrap_or_default();
        let script = format!("umask 022\nulimit -c 0\n{line}\n");
        // The environment of `command`, with a shell in the place of the program.
        let known = command();
        let mut shell = std::process::Command::new("sh");
        for (name, value) in known.get_envs() {
            if value.is_none() {
                shell.env_remove(name);
            }
        }
        shell
            .env("PATH", format!("{}:{path}", bin.display()))
            .current_dir(self.dir.path())
            .args(["-c", &format!("exec 2>&1\n{script}")])
            .stdin(Stdio::null());
        let ended = ended(&mut shell);
        let mut said = ended.out;
        if ended.status != 0 {
            said.push_str(&format!("[exit status {}]\n", ended.status));
        }
        said
    }

    fn compare(&mut self, name: &str, now: String) {
        let path = shown_dir().join(format!("{name}.txt"));
        if std::env::var_os("BOOK_WRITE").is_some() {
            let shown = fs::read_to_string(&path).unwrap_or_default();
            // Times alone are no reason to change a file.
            if timeless(&shown) != timeless(&now) {
                fs::create_dir_all(shown_dir()).expect("a directory can be made");
                fs::write(path, now).expect("a file can be written");
            }
            return;
        }
        let shown = fs::read_to_string(&path).unwrap_or_default();
        for (shown, now) in differences(&timeless(&shown), &timeless(&now)) {
            self.wrong
                .push(format!("{name}.txt\n  shows {shown}\n  now   {now}"));
        }
    }

    /// Stops the engine, if one runs, and says what is not as the book says.
    ///
    /// # Panics
    /// Anything is.
    pub fn end(mut self) {
        self.stop();
        assert!(
            self.wrong.is_empty(),
            "the book shows what is not so; if it is right now: BOOK_WRITE=1 cargo test --package plugin-engine-tests --test book\n{}",
            self.wrong.join("\n")
        );
    }

    /// Stops the engine, if one runs.
    pub fn stop(&mut self) {
        if let Some(mut engine) = self.engine.take() {
            // One that has ended needs no signal.
            let _ = kill_process(Pid::from_child(&engine), Signal::TERM);
            let _ = engine.wait();
        }
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The pairs of lines that differ.
fn differences(shown: &[String], now: &[String]) -> Vec<(String, String)> {
    let line = |lines: &[String], at: usize| {
        lines
            .get(at)
            .cloned()
            .unwrap_or_else(|| "(nothing)".to_owned())
    };
    (0..shown.len().max(now.len()))
        .map(|at| (line(shown, at), line(now, at)))
        .filter(|(shown, now)| shown != now)
        .collect()
}

/// The names of the files of `shown_dir`.
pub fn shown_names() -> BTreeSet<String> {
    fs::read_dir(shown_dir())
        .expect("the book shows something")
        .map(|entry| entry.expect("an entry can be read").path())
        .map(|path| file_name(&path))
        .collect()
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
        .to_owned()
}

/// The lines of a text without what differs from run to run: times, how long something took, sizes and digests of files, numbers of
/// processes, threads and transitions, and the width of columns.
fn timeless(text: &str) -> Vec<String> {
    text.lines().map(timeless_line).collect()
}

fn timeless_line(line: &str) -> String {
    let line = line
        .replace("just now", "1s ago")
        .replace("less than a second", "1s")
        // What was just switched on is due at once, and its first update may be under way or not.
        .replace("enable done, is Running", "enable done, is Enabled");
    if line.trim_start().starts_with("built by") {
        return "COMPILER".to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    let mut given = line.split_whitespace().peekable();
    while let Some(word) = given.next() {
        let core = word.trim_matches(|c: char| "(),;:.[]\"".contains(c));
        let is_number = !core.is_empty() && core.bytes().all(|b| b.is_ascii_digit());
        let next = given
            .peek()
            .map_or("", |next| next.trim_matches(|c: char| "(),;:.".contains(c)));
        let stands_for = if is_time(core) || is_date(core) && is_time(next) {
            // A time that is not of today is said with its date.
            "TIME"
        } else if is_duration(core) {
            "SPAN"
        } else if is_number && is_unit(next) {
            given.next();
            "SPAN"
        } else if core.len() == 64 && core.bytes().all(|b| b.is_ascii_hexdigit()) {
            "DIGEST"
        } else if core.ends_with('%') || is_number && next == "%" {
            "SHARE"
        } else if is_number
            && (words.is_empty()
                || core.len() > 4
                || ["process", "plugin-worker", "is", "user"].contains(&last(&words)))
        {
            "NUMBER"
        } else {
            words.push(word.to_owned());
            continue;
        };
        // "2m 3s" is one span of time, and a share may be absent.
        if last(&words) != stands_for {
            words.push(stands_for.to_owned());
        }
    }
    words.join(" ")
}

fn last(words: &[String]) -> &str {
    words.last().map_or("", String::as_str)
}

fn is_time(word: &str) -> bool {
    word.ends_with('Z') && word.contains(':') && word.starts_with(|c: char| c.is_ascii_digit())
}

/// Such as `2027-01-01`.
fn is_date(word: &str) -> bool {
    let mut parts = word.split('-');
    [4, 2, 2].into_iter().all(|len| {
        let part = parts.next().unwrap_or_default();
        part.len() == len && part.bytes().all(|b| b.is_ascii_digit())
    }) && parts.next().is_none()
}

fn is_unit(word: &str) -> bool {
    [
        "ns", "µs", "ms", "s", "m", "min", "h", "d", "day", "days", "hours", "minutes", "seconds",
    ]
    .contains(&word)
}

/// Such as `1.5s`, or `59m58s`.
fn is_duration(word: &str) -> bool {
    let mut rest = word;
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        if unit.len() == rest.len() {
            return false;
        }
        let end = unit.find(|c: char| c.is_ascii_digit());
        let (unit, next) = unit.split_at(end.unwrap_or(unit.len()));
        if !is_unit(unit) {
            return false;
        }
        rest = next;
    }
    !word.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_not_compared() {
        for (one, other) in [
            (
                "10  2026-11-22T18:58:32.992Z  x  Loaded  117µs",
                "  9  2027-01-01T00:00:00.000Z x Loaded  2.5ms",
            ),
            (
                "since 18:58:38Z (3 s ago). Health: good.",
                "since 19:58:38Z (just now). Health: good.",
            ),
            (
                "restarted in 59m 58s 3ms: panicked",
                "restarted in 1h: panicked",
            ),
            ("process 123, started 9.2s ago", "process 4, started 1s ago"),
            ("in 59m58s", "in 1h"),
            ("made at 2027-01-01 00:20:00Z (in", "made at 23:58:38Z (in"),
            ("16% of it", "0.1% of it"),
        ] {
            assert_eq!(timeless_line(one), timeless_line(other));
        }
    }

    #[test]
    fn what_matters_is_compared() {
        for (one, other) in [
            ("panicked 5 times", "panicked 6 times"),
            ("refused [PE0110]", "refused [PE0111]"),
            ("Enabled", "Error"),
            ("1 plugin", "2 plugins"),
            ("max 3", "ms 3"),
            ("a b", "a"),
            ("released on 2027-01-01", "released on 2028-01-01"),
        ] {
            assert_ne!(timeless_line(one), timeless_line(other));
        }
        let lines = |text: &str| timeless(text);
        assert_eq!(differences(&lines("a\nb"), &lines("a")).len(), 1);
    }
}
