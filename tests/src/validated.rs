//! One run of `plugin-engine validate` over one file, and what is expected of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;

use crate::{Ended, command, ended, objects};

/// The check, how bad it is, and what it says.
type Found = &'static [(&'static str, &'static str, &'static str)];

/// What is found in one file, validated in one way.
pub struct Validated {
    /// Of the crate, or of the plugin.
    pub name: String,
    file: PathBuf,
    args: Vec<String>,
    /// Set in the environment.
    variable: Option<(&'static str, &'static str)>,
    result: &'static str,
    /// The checks that have something to say: which, how bad, and what it says.
    found: Found,
    /// What a check says that has passed.
    says: Option<(&'static str, &'static str)>,
}

impl Validated {
    /// A validation in which nothing is found.
    pub fn new(name: &str, file: &Path) -> Self {
        Self {
            name: name.to_owned(),
            file: file.to_owned(),
            args: Vec::new(),
            variable: None,
            result: "passed",
            found: &[],
            says: None,
        }
    }

    /// Of another file.
    pub fn of(mut self, name: &str, file: &Path) -> Self {
        (self.name, self.file) = (name.to_owned(), file.to_owned());
        self
    }

    /// What is found: the check, how bad it is, and what it says.
    pub fn found(mut self, found: Found) -> Self {
        let has = |verdict| found.iter().any(|(_, one, _)| *one == verdict);
        self.result = if has("failed") {
            "failed"
        } else if has("skipped") {
            "incomplete"
        } else {
            "passed"
        };
        self.found = found;
        self
    }

    /// What a check says that has passed.
    pub fn says(mut self, check: &'static str, what: &'static str) -> Self {
        self.says = Some((check, what));
        self
    }

    /// With a variable in the environment.
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.variable = Some((name, value));
        self
    }

    /// With these arguments.
    pub fn arg(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Validates the file; the errors say what is not as expected.
    fn check(&self) -> Vec<String> {
        let mut command = command();
        command
            .args(["validate", "--json"])
            .arg(&self.file)
            .args(&self.args);
        if let Some((name, value)) = self.variable {
            command.env(name, value);
        }
        let Ended { status, out, err } = ended(&mut command);
        let Some(validation) = objects(&out).pop() else {
            return vec![format!("{}: {err}", self.name)];
        };
        let expected = match self.result {
            "passed" => 0,
            "failed" => 1,
            _ => 2,
        };
        let mut wrong = Vec::new();
        if status != expected || validation["result"] != self.result {
            wrong.push(format!("ends with {status}, {}", validation["result"]));
        }
        let checks = validation["checks"].as_array().unwrap();
        let mut found = BTreeSet::new();
        for check in checks {
            let (name, verdict) = (text(check, "check"), text(check, "verdict"));
            let told = self.found.iter().find(|(one, ..)| *one == name);
            found.insert(name);
            match told {
                Some((_, expected, what)) => {
                    if *expected != verdict || !text(check, "text").contains(what) {
                        wrong.push(format!("{name} is to be {expected}, {what}: {check}"));
                    }
                    if verdict != "skipped" && text(check, "remedy").is_empty() {
                        wrong.push(format!("{name} has no remedy"));
                    }
                }
                // How long something took depends on what else the machine does.
                None if verdict == "warning"
                    && ["duration", "create", "destroy"].contains(&name) => {}
                None if verdict == "skipped" && self.result != "passed" => {}
                None if verdict != "passed" => wrong.push(format!("{name}: {check}")),
                None => {}
            }
            if let Some((one, what)) = self.says
                && one == name
                && !text(check, "text").contains(what)
            {
                wrong.push(format!("{name} is to say {what}: {check}"));
            }
        }
        for (name, ..) in self.found {
            if !found.contains(name) {
                wrong.push(format!("{name} was not checked"));
            }
        }
        let of = |wrong| format!("{} {:?}: {wrong}", self.name, self.args);
        wrong.into_iter().map(of).collect()
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

/// Validates all of them, some at a time, and says at once what is wrong with any.
///
/// # Panics
/// Something is.
pub fn check_all(rows: Vec<Validated>) {
    let workers = std::thread::available_parallelism().map_or(2, |count| count.get()) + 1;
    let (rows, wrong) = (Mutex::new(rows), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some(row) = rows.lock().unwrap().pop() else {
                        return;
                    };
                    wrong.lock().unwrap().extend(row.check());
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
