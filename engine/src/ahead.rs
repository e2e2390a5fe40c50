//! Verifies the files of a directory before it is their turn to be mapped, on threads of their own.
//!
//! Copying a file, and reading all of its bytes, is more than half of a load and runs no code of it. Mapping runs some, so files are mapped one after
//! another, in their order; meanwhile the next ones are looked at. What lives here: who looks at which file when. What never will: what is looked at.

use std::sync::Arc;
use std::time::Duration;

use crate::discover::Candidate;
use crate::error::LoadError;
use crate::loader::{self, Refusal};
use crate::threading::Mutex;
use crate::threading::thread::{self, JoinHandle};
use crate::verify::{Rules, VerifiedArtifact};
use crate::waiting::{self, Condvar};

const NAME: &str = "plugin-verifier";
/// The most threads that verify. More than that wait for memory, and for the one that maps.
const THREADS_MAX: usize = 8;
/// How many files each of them may be ahead: the copies of all of them are in memory.
const FILES_AHEAD: usize = 2;

/// A file that passed all checks, or why it did not.
pub(crate) type Verified = Result<VerifiedArtifact, Refusal>;

/// Files that are verified before they are asked for, in the order in which they will be.
pub(crate) struct Ahead {
    work: Arc<Work>,
    threads: Vec<JoinHandle<()>>,
    /// The first file that was not asked for.
    next: usize,
    /// How long a file is waited for, in real time.
    limit: Duration,
}

struct Work {
    candidates: Vec<Arc<Candidate>>,
    rules: Arc<Rules>,
    /// How many may be begun or done that were not asked for.
    ahead_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The first file that nobody has begun.
    begun: usize,
    /// Up to which file all were asked for.
    taken: usize,
    done: Vec<Option<Verified>>,
    /// Nothing more will be asked for.
    ended: bool,
}

impl Ahead {
    /// Begins with the first of these files. Each is verified by who asks if no thread can be had, and where there is nothing to be gained.
    pub(crate) fn begin(
        candidates: Vec<Arc<Candidate>>,
        rules: &Arc<Rules>,
        limit: Duration,
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let mut wanted = processors.min(THREADS_MAX).min(candidates.len());
        if candidates.len() < 2 {
            wanted = 0;
        }
        #[cfg(feature = "simulation")]
        if crate::simulation::is_staged() {
            wanted = 0;
        }
        let state = State {
            begun: 0,
            taken: 0,
            done: candidates.iter().map(|_| None).collect(),
            ended: false,
        };
        let work = Arc::new(Work {
            candidates,
            rules: Arc::clone(rules),
            ahead_max: wanted * FILES_AHEAD,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let start = |_| {
            let work = Arc::clone(&work);
            let thread = thread::Builder::new().name(NAME.to_owned());
            thread.spawn(move || work.run()).ok()
        };
        Self {
            threads: (0..wanted).map_while(start).collect(),
            work,
            next: 0,
            limit,
        }
    }

    /// What became of a file, which is waited for. `None` if nobody has looked at it.
    pub(crate) fn take(&mut self, candidate: &Candidate) -> Option<Verified> {
        if self.threads.is_empty() || **self.work.candidates.get(self.next)? != *candidate {
            return None;
        }
        let at = self.next;
        self.next += 1;
        let taken = self.work.take(at, self.limit);
        if taken.is_none() {
            // Its thread may stay where it is for ever.
            self.threads.clear();
            let path = candidate.path.clone();
            let limit = self.limit;
            return Some(Err(LoadError::Timeout { path, limit }.into()));
        }
        taken
    }
}

impl Drop for Ahead {
    /// Who has loaded a whole directory leaves no thread behind. Where it came to an end before that, a file may be being read that nobody has
    /// asked for, from a file system that does not answer: it is not waited for.
    fn drop(&mut self) {
        self.work.state.lock().ended = true;
        self.work.changed.notify_all();
        if self.next < self.work.candidates.len() {
            return;
        }
        for thread in self.threads.drain(..) {
            // It has caught what may panic there.
            let _ = thread.join();
        }
    }
}

impl Work {
    /// What one of the threads does.
    fn run(&self) {
        let mut state = self.state.lock();
        while !state.ended && state.begun < self.candidates.len() {
            if state.begun >= state.taken + self.ahead_max {
                self.changed.wait(&mut state);
                continue;
            }
            let at = state.begun;
            state.begun += 1;
            drop(state);
            let verified = loader::verify(&self.candidates[at], &self.rules);
            state = self.state.lock();
            state.done[at] = Some(verified);
            self.changed.notify_all();
        }
    }

    /// What became of the file, if that is known in time.
    fn take(&self, at: usize, limit: Duration) -> Option<Verified> {
        let until = waiting::now().checked_add(limit);
        let mut state = self.state.lock();
        state.taken = at + 1;
        self.changed.notify_all();
        loop {
            if let Some(verified) = state.done[at].take() {
                return Some(verified);
            }
            match until {
                Some(until) if waiting::now() >= until => return None,
                Some(until) => drop(self.changed.wait_until(&mut state, until)),
                None => self.changed.wait(&mut state),
            }
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::verify::VerifyPolicy;

    /// Files that are no plugins, in a directory of their own.
    fn files(dir: &Path, count: usize) -> Vec<Arc<Candidate>> {
        let made = (0..count).map(|number| {
            let path = dir.join(format!("{number}.so"));
            std::fs::write(&path, "no library").unwrap();
            Arc::new(Candidate::of_path(&path))
        });
        made.collect()
    }

    fn begin(candidates: &[Arc<Candidate>], limit: Duration) -> Ahead {
        let policy = Arc::new(VerifyPolicy::default());
        let rules = Arc::new(Rules::new(&policy, &candidates[0].root));
        Ahead::begin(candidates.to_vec(), &rules, limit)
    }

    fn reason(verified: Option<Verified>) -> String {
        let refusal = verified.expect("somebody has looked").err();
        refusal.expect("it is no plugin").error.to_string()
    }

    #[test]
    fn each_file_gets_its_own_answer_and_no_thread_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let candidates = files(dir.path(), 50);
        let mut ahead = begin(&candidates, Duration::MAX);
        for candidate in &candidates {
            let reason = reason(ahead.take(candidate));
            let path = candidate.path.display().to_string();
            assert!(reason.starts_with(&path), "{reason}");
        }
        let work = Arc::downgrade(&ahead.work);
        drop(ahead);
        assert_eq!(work.strong_count(), 0, "whoever verified has ended");
    }

    #[test]
    fn nobody_is_further_ahead_than_may_be() {
        let dir = tempfile::tempdir().unwrap();
        let candidates = files(dir.path(), 50);
        let mut ahead = begin(&candidates, Duration::MAX);
        for (taken, candidate) in candidates.iter().enumerate() {
            let begun = ahead.work.state.lock().begun;
            assert!(begun <= taken + ahead.work.ahead_max, "{begun} at {taken}");
            ahead.take(candidate);
        }
    }

    #[test]
    fn a_file_that_was_not_said_before_is_left_to_who_asks() {
        let dir = tempfile::tempdir().unwrap();
        let candidates = files(dir.path(), 3);
        let mut ahead = begin(&candidates[..2], Duration::MAX);
        assert!(ahead.take(&candidates[2]).is_none());
        assert!(ahead.take(&candidates[0]).is_some());
        assert!(
            begin(&candidates[..1], Duration::MAX)
                .take(&candidates[0])
                .is_none()
        );
    }

    #[test]
    fn a_file_that_takes_too_long_is_refused_and_the_next_is_left_to_who_asks() {
        let dir = tempfile::tempdir().unwrap();
        let candidates = files(dir.path(), 2);
        let mut ahead = begin(&candidates, Duration::ZERO);
        let work = Arc::clone(&ahead.work);
        // As if it were still being read.
        while work.state.lock().done[0].take().is_none() {
            thread::yield_now();
        }
        let reason = reason(ahead.take(&candidates[0]));
        assert!(reason.contains("0.so"), "{reason}");
        assert!(ahead.take(&candidates[1]).is_none());
    }
}
