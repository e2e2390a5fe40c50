//! What is known of the files: as what each was last brought in line with what is loaded, and which of them were refused then.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::observation::{Change, FileGroup, FileIdentity, Observation, Subject};
use crate::code::Code;

/// What is known of a file that is to be looked at again, whatever is there or not.
const UNCLEAR: FileGroup = FileGroup {
    file: Some(FileIdentity::Unclear),
    config: None,
    signature: None,
};

/// What is known of the files of an engine. A lock that is held for comparisons only, never while a file is read or code of a plugin runs.
#[derive(Default)]
pub(crate) struct KnownFiles {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What each subject was when somebody last did something about it.
    done: Observation,
    /// What was refused then, with the reason.
    refused: BTreeMap<Subject, Code>,
}

impl KnownFiles {
    /// Compares something with what is known.
    pub(crate) fn compare<R>(&self, compare: impl FnOnce(&Observation) -> R) -> R {
        compare(&self.state.lock().done)
    }

    /// The subjects that are not as they are known.
    pub(crate) fn changed(&self, seen: &Observation) -> Vec<Subject> {
        self.compare(|known| {
            let subjects = known.groups.keys().chain(seen.groups.keys());
            let mut changed: Vec<_> = subjects
                .filter(|subject| known.group(subject) != seen.group(subject))
                .cloned()
                .collect();
            changed.sort();
            changed.dedup();
            changed
        })
    }

    /// Takes a subject over from whoever else may see the same change, and says what the change is. `None` if it is known already: then
    /// somebody else has done something about it, or is doing so.
    pub(crate) fn take(&self, subject: &Subject, group: FileGroup) -> Option<Change> {
        let mut state = self.state.lock();
        let change = Change::between(&state.done.group(subject), &group);
        state.done.set(subject, group);
        change
    }

    /// Enters what came of a subject that was as `group` is. If somebody else has taken it meanwhile as something else, nobody knows whose
    /// bytes were read last, so it is to be looked at again.
    pub(crate) fn enter(&self, subject: &Subject, group: FileGroup, refused: Option<Code>) {
        let mut state = self.state.lock();
        if state.done.group(subject) != group {
            state.done.set(subject, UNCLEAR);
        }
        match refused {
            Some(code) => state.refused.insert(subject.clone(), code),
            None => state.refused.remove(subject),
        };
    }

    /// Makes a subject known as what it was before it was taken, because nobody has done anything about it.
    pub(crate) fn put_back(&self, subject: &Subject, before: FileGroup) {
        self.state.lock().done.set(subject, before);
    }

    /// Has a subject be looked at again although it has not changed. That it is gone is a change as well: something may be loaded from it.
    pub(crate) fn forget(&self, subject: &Subject) {
        self.state.lock().done.set(subject, UNCLEAR);
    }

    /// What is known to be refused for a reason like this.
    pub(crate) fn refused(&self, is_meant: impl Fn(Code) -> bool) -> Vec<Subject> {
        let state = self.state.lock();
        let refused = state.refused.iter();
        refused
            .filter(|(_, code)| is_meant(**code))
            .map(|(subject, _)| subject.clone())
            .collect()
    }

    /// Makes this the directory that is looked at, unless it is what an unmounted one leaves behind. Says whether it is one to go by.
    pub(crate) fn accept(&self, seen: &Observation) -> bool {
        let mut state = self.state.lock();
        if seen.is_empty_in_place_of(&state.done) {
            return false;
        }
        state.done.directory = seen.directory;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::observation::FileIdentity;
    use super::*;

    fn a() -> Subject {
        Subject::Plugin("a.so".into())
    }

    fn version(number: i32) -> FileGroup {
        FileGroup::alone(Some(FileIdentity::Hidden(number)))
    }

    fn seen(number: i32) -> Observation {
        let mut seen = Observation::default();
        seen.set(&a(), version(number));
        seen
    }

    #[test]
    fn a_change_is_taken_once() {
        let known = KnownFiles::default();
        assert_eq!(known.changed(&seen(1)), [a()]);
        assert_eq!(known.take(&a(), version(1)), Some(Change::Appeared));
        assert_eq!(known.take(&a(), version(1)), None);
        known.enter(&a(), version(1), None);
        assert_eq!(known.changed(&seen(1)), []);
        assert_eq!(known.changed(&seen(2)), [a()]);
        assert_eq!(known.changed(&Observation::default()), [a()]);
        assert_eq!(
            known.take(&a(), FileGroup::default()),
            Some(Change::Removed)
        );
        assert_eq!(known.changed(&Observation::default()), []);
    }

    #[test]
    fn a_file_that_two_were_at_is_looked_at_again() {
        let known = KnownFiles::default();
        known.take(&a(), version(1));
        known.take(&a(), version(2));
        known.enter(&a(), version(1), None);
        assert_eq!(known.changed(&seen(2)), [a()]);
        known.enter(&a(), version(2), None);
        assert_eq!(known.changed(&seen(2)), [a()]);
    }

    #[test]
    fn that_a_file_is_gone_which_was_to_be_looked_at_again_is_noticed() {
        let known = KnownFiles::default();
        let nothing = Observation::default();
        known.take(&a(), version(1));
        known.forget(&a());
        assert_eq!(known.changed(&nothing), [a()]);
        assert_eq!(
            known.take(&a(), FileGroup::default()),
            Some(Change::Removed)
        );
        known.take(&a(), version(2));
        known.enter(&a(), version(1), None);
        assert_eq!(known.changed(&nothing), [a()]);
    }

    #[test]
    fn what_was_refused_is_found_by_its_reason_until_it_is_good() {
        let known = KnownFiles::default();
        known.take(&a(), version(1));
        known.enter(&a(), version(1), Some(Code::ID_TAKEN));
        assert_eq!(known.refused(|code| code == Code::ID_TAKEN), [a()]);
        assert_eq!(known.refused(|code| code == Code::BAD_LOCK), []);
        known.enter(&a(), version(1), None);
        assert_eq!(known.refused(|_| true), []);
    }
}
