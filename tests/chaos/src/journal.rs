//! What was done and when, what was counted, and what was found. Never a judgement.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

/// How many findings of one check are told; more are only counted.
const TOLD_MAX: usize = 10;

/// The time line, the figures and the findings of a run. Shared by all threads.
pub(crate) struct Journal {
    begin: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    timeline: File,
    figures: BTreeMap<&'static str, u64>,
    findings: BTreeMap<&'static str, Vec<String>>,
}

impl Journal {
    /// Begins a time line in this file.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            begin: Instant::now(),
            inner: Mutex::new(Inner {
                timeline: File::create(path)?,
                figures: BTreeMap::new(),
                findings: BTreeMap::new(),
            }),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Notes what was done.
    pub(crate) fn did(&self, what: impl AsRef<str>) {
        let at = self.begin.elapsed().as_secs_f64();
        // A time line that cannot be written is missed by whoever looks for it, and by nobody else.
        let _ = writeln!(self.lock().timeline, "{at:10.3} {}", what.as_ref());
    }

    /// Notes a finding: a promise that was not kept.
    pub(crate) fn found(&self, check: &'static str, what: impl AsRef<str>) {
        let what = what.as_ref();
        self.did(format!("FINDING {check}: {what}"));
        let at = self.begin.elapsed().as_secs_f64();
        let mut inner = self.lock();
        let found = inner.findings.entry(check).or_default();
        if found.len() < TOLD_MAX {
            eprintln!("{at:9.3} s: {check}: {what}");
        }
        found.push(format!("{at:.3} s: {what}"));
    }

    pub(crate) fn found_all(&self, check: &'static str, all: Vec<String>) {
        for one in all {
            self.found(check, one);
        }
    }

    pub(crate) fn count(&self, what: &'static str, more: u64) {
        *self.lock().figures.entry(what).or_default() += more;
    }

    /// Keeps the largest.
    pub(crate) fn most(&self, what: &'static str, value: u64) {
        let mut inner = self.lock();
        let most = inner.figures.entry(what).or_default();
        *most = value.max(*most);
    }

    /// How many findings there are.
    pub(crate) fn findings(&self) -> usize {
        self.lock().findings.values().map(Vec::len).sum()
    }

    /// Figures and findings, for a person.
    pub(crate) fn report(&self) -> String {
        let inner = self.lock();
        let mut text = String::new();
        for (what, value) in &inner.figures {
            text.push_str(&format!("{value:>12} {what}\n"));
        }
        for (check, found) in &inner.findings {
            text.push_str(&format!("\n{check}: {} findings\n", found.len()));
            for one in found.iter().take(TOLD_MAX) {
                text.push_str(&format!("  {one}\n"));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_the_figures_and_names_each_finding() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(&dir.path().join("timeline")).unwrap();
        journal.count("kills", 2);
        journal.count("kills", 1);
        journal.most("threads", 9);
        journal.most("threads", 4);
        assert_eq!(journal.findings(), 0);
        journal.found("numbers", "7 is used twice");
        assert_eq!(journal.findings(), 1);
        let report = journal.report();
        assert!(
            report.contains("3 kills") && report.contains("9 threads"),
            "{report}"
        );
        assert!(report.contains("numbers: 1 findings") && report.contains("7 is used twice"));
        let timeline = std::fs::read_to_string(dir.path().join("timeline")).unwrap();
        assert!(
            timeline.contains("FINDING numbers: 7 is used twice"),
            "{timeline}"
        );
    }
}
