//! Brings what is loaded in line with the plugin directory and the configuration: new files are loaded, those that changed are reloaded,
//! plugins of files that are gone are unloaded.
//!
//! What lives here: which file is to be tried again because of which change. What never will: when a change counts, and how a plugin
//! is loaded, reloaded or unloaded.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plugin_engine_core::{Event, PluginState};

use crate::cell::Cell;
use crate::changes::{Change, FileGroup, KnownFiles, Observation, Places, Subject};
use crate::code::Code;
use crate::commands;
use crate::config::Applies;
use crate::error::Error;
use crate::plugins::{self, LoadOutcome, look};
use crate::reload::{self, Trigger};
use crate::shared::Shared;
#[cfg(feature = "simulation")]
use crate::simulation::{Question, tampered_answer};

/// Does something about everything that is not as it is known, at once, and tries again what was refused.
pub(crate) fn sync(engine: &Arc<Shared>, told: &mut dyn FnMut(LoadOutcome)) -> Result<(), Error> {
    plugins::check_running(engine)?;
    let Some(seen) = look::look_again(engine)? else {
        return Ok(());
    };
    let changed = engine.known_files.changed(&seen);
    apply(engine, &seen, changed, Again::Everything, told)
}

/// What is tried again although it has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Whatever was refused.
    Everything,
    /// What was refused for a reason that was not its own, and has passed.
    #[cfg_attr(
        not(any(test, feature = "watch")),
        expect(dead_code, reason = "only a watch looks again without being asked")
    )]
    Hindered,
}

impl Again {
    fn subjects(self, known: &KnownFiles, is_loader_stuck: bool) -> Vec<Subject> {
        known.refused(|code| {
            let is_meant = match self {
                Self::Everything => true,
                Self::Hindered => {
                    code == Code::OVERTAKEN || code == Code::LOADER_BUSY && !is_loader_stuck
                }
            };
            #[cfg(feature = "simulation")]
            let is_meant = tampered_answer(Question::IsTriedAgain, is_meant);
            is_meant
        })
    }
}

/// Does something about subjects that changed, and tries others again. Whoever else does so at the same time does something about others.
///
/// # Errors
/// The engine was shut down.
pub(crate) fn apply(
    engine: &Arc<Shared>,
    seen: &Observation,
    subjects: Vec<Subject>,
    again: Again,
    told: &mut dyn FnMut(LoadOutcome),
) -> Result<(), Error> {
    let Some(places) = look::places(engine) else {
        return Ok(());
    };
    let mut undone = Undone::begin(&engine.known_files, &subjects);
    let applied = apply_each(engine, seen, subjects, again, places, told);
    undone.before.clear();
    applied
}

/// What subjects were known as, which they are again if a panic comes up: then nobody knows what was done about which, and to do it once
/// more does no harm.
struct Undone<'a> {
    known: &'a KnownFiles,
    before: Vec<(Subject, FileGroup)>,
}

impl<'a> Undone<'a> {
    fn begin(known: &'a KnownFiles, subjects: &[Subject]) -> Self {
        let subjects = subjects.iter();
        let before = known.compare(|known| {
            subjects
                .map(|one| (one.clone(), known.group(one)))
                .collect()
        });
        Self { known, before }
    }
}

impl Drop for Undone<'_> {
    fn drop(&mut self) {
        for (subject, before) in &self.before {
            self.known.put_back(subject, *before);
        }
    }
}

fn apply_each(
    engine: &Arc<Shared>,
    seen: &Observation,
    mut subjects: Vec<Subject>,
    again: Again,
    places: Places,
    told: &mut dyn FnMut(LoadOutcome),
) -> Result<(), Error> {
    let mut sync = Sync {
        engine,
        seen,
        places,
        tells_again: again == Again::Everything,
        changed: BTreeSet::new(),
        told,
    };
    // What files are judged by comes before files, and files that are gone before those that may take their ids.
    subjects.sort_by_key(|subject| (matches!(subject, Subject::Plugin(_)), subject.clone()));
    subjects.dedup();
    let mut again: BTreeSet<_> = again
        .subjects(&engine.known_files, engine.loader.is_stuck())
        .into_iter()
        .collect();
    let (mut gone, mut there) = (Vec::new(), Vec::new());
    for subject in subjects {
        match &subject {
            Subject::EngineConfig => again.extend(sync.read_engine_config(&subject)),
            Subject::Lock => again.extend(sync.read_lock(&subject)),
            Subject::Plugin(_) if seen.groups.contains_key(&subject) => there.push(subject),
            Subject::Plugin(_) => gone.push(subject),
        }
    }
    for subject in gone {
        again.extend(sync.remove(&subject)?);
    }
    let there: Vec<_> = there
        .into_iter()
        .filter(|subject| sync.take(subject) || again.contains(subject))
        .collect();
    sync.changed.extend(there.iter().cloned());
    again.extend(there);
    // What changes in these meanwhile is a change of its own, which has not settled.
    again.retain(|subject| {
        let now = seen.group(subject);
        now.file.is_some()
            && engine
                .known_files
                .compare(|known| known.group(subject) == now)
    });
    sync.bring_up(again.into_iter().collect())
}

/// One round of bringing things in line.
struct Sync<'a> {
    engine: &'a Arc<Shared>,
    seen: &'a Observation,
    places: Places,
    /// Whether what is refused for the same reason as before is told again: to a person who has asked for it.
    tells_again: bool,
    /// The plugin files that are others than they were, of those that are tried.
    changed: BTreeSet<Subject>,
    told: &'a mut dyn FnMut(LoadOutcome),
}

impl Sync<'_> {
    /// Takes a plugin file over. Says whether there is anything to do about it.
    fn take(&self, subject: &Subject) -> bool {
        let known = &self.engine.known_files;
        let change = known.take(subject, self.seen.group(subject));
        #[cfg(feature = "simulation")]
        let change = change.filter(|_| tampered_answer(Question::IsChange, true));
        match change {
            None => false,
            // A signature says nothing of bytes that were good without it.
            Some(Change::SignatureChanged) => known.refused(|_| true).contains(subject),
            Some(_) => true,
        }
    }

    /// Reads the engine's file. Returns which plugin files are to be tried again.
    fn read_engine_config(&mut self, subject: &Subject) -> Vec<Subject> {
        let group = self.seen.group(subject);
        let known = &self.engine.known_files;
        if known.take(subject, group).is_none() {
            return Vec::new();
        }
        let read = plugins::read_engine_config_to_apply(self.engine);
        known.enter(subject, group, None);
        let Applies { before, now } = match read {
            Ok(applies) => applies,
            Err(error) => {
                (self.told)(LoadOutcome::Misconfigured {
                    file: self.places.path(subject),
                    error: Arc::new(error),
                });
                return Vec::new();
            }
        };
        for outcome in plugins::unknown_entries(self.engine, &self.places.directory, &now) {
            (self.told)(outcome);
        }
        let judged_otherwise = before.verify != now.verify;
        let by_what_is_said = |code| is_of_configuration(code) || code == Code::ID_TAKEN;
        let mut again = known.refused(|code| judged_otherwise || by_what_is_said(code));
        let paths = plugins::said_otherwise(self.engine, &self.places.directory, &before, &now);
        again.extend(paths.iter().filter_map(|path| self.places.plugin(path)));
        again
    }

    /// The lock is another one. Returns which plugin files are to be tried again: those that were refused because of the one before.
    fn read_lock(&mut self, subject: &Subject) -> Vec<Subject> {
        let group = self.seen.group(subject);
        let known = &self.engine.known_files;
        if known.take(subject, group).is_none() {
            return Vec::new();
        }
        known.enter(subject, group, None);
        known
            .refused(|code| [Code::NOT_LOCKED, Code::LOCK_MISMATCH, Code::BAD_LOCK].contains(&code))
    }

    /// The file is gone, and so are its plugins. Returns which other files may have the ids now.
    fn remove(&mut self, subject: &Subject) -> Result<Vec<Subject>, Error> {
        let known = &self.engine.known_files;
        let change = known.take(subject, FileGroup::default());
        #[cfg(feature = "simulation")]
        let change = change.filter(|_| tampered_answer(Question::IsRemoval, true));
        if change.is_none() {
            return Ok(Vec::new());
        }
        let path = self.places.path(subject);
        let cells: Vec<_> = cells_of(self.engine, &path).map(Arc::clone).collect();
        for cell in cells {
            let was_there = cell.lock().machine.state() != PluginState::Unloaded;
            match commands::unload_by(self.engine, cell.id.as_str(), Event::FileRemoved) {
                Ok(()) if was_there => (self.told)(LoadOutcome::Unloaded {
                    id: cell.id.clone(),
                    file: path.clone(),
                }),
                Ok(()) => {}
                Err(Error::ShutDown) => return Err(Error::ShutDown),
                Err(error) => {
                    let file = path.display();
                    tracing::warn!(target: "plugin_engine", %file, %error, "the plugin of a file that is gone cannot be unloaded");
                }
            }
            // Where a policy had unloaded it, nothing is left that is unhealthy.
            cell.record(&self.engine.board.ledger, Event::FileRemoved);
            // Whatever comes next under this name was dropped in since.
            cell.lock().unloaded_by_hand = None;
        }
        self.engine.refused.forget(&path);
        known.enter(subject, FileGroup::default(), None);
        Ok(known.refused(|code| code == Code::ID_TAKEN))
    }

    /// Loads files from which nothing is loaded, and reloads the others.
    fn bring_up(&mut self, subjects: Vec<Subject>) -> Result<(), Error> {
        if plugins::read_engine_config(self.engine).is_err() {
            // Nobody was told of that yet: it is a change of its own that is about to settle, and these come after it.
            for subject in &subjects {
                self.engine.known_files.forget(subject);
            }
            return Ok(());
        }
        let loaded_paths = plugins::loaded_paths(self.engine);
        let (loaded, new): (Vec<_>, Vec<_>) = subjects
            .into_iter()
            .partition(|subject| loaded_paths.contains(&self.places.path(subject)));
        let mut kept_for_others = Vec::new();
        for subject in loaded {
            let path = self.places.path(&subject);
            let outcomes = match reload::reload_file(self.engine, &path, Trigger::Changed) {
                Ok(outcomes) => outcomes,
                Err(Error::ShutDown) => return Err(Error::ShutDown),
                Err(error) => {
                    let file = path.display();
                    tracing::warn!(target: "plugin_engine", %file, %error, "a file that changed cannot be reloaded");
                    Vec::new()
                }
            };
            let refused = outcomes.iter().find_map(plugins::reason);
            self.enter(&subject, refused);
            if refused == Some(Code::REQUIREMENT_UNMET) {
                kept_for_others.push(subject);
            }
            self.tell(outcomes);
        }
        self.load_new(new)?;
        self.try_upgrades_again(kept_for_others)
    }

    /// A build that requires what came with it in the same round is good now. One that is refused again was told already.
    fn try_upgrades_again(&mut self, subjects: Vec<Subject>) -> Result<(), Error> {
        for subject in subjects {
            let path = self.places.path(&subject);
            let outcomes = match reload::reload_file(self.engine, &path, Trigger::Changed) {
                Ok(outcomes) => outcomes,
                Err(Error::ShutDown) => return Err(Error::ShutDown),
                Err(_) => continue,
            };
            let refused = outcomes.iter().find_map(plugins::reason);
            self.enter(&subject, refused);
            if refused.is_none() {
                self.tell(outcomes);
            }
        }
        Ok(())
    }

    /// Loads files from which nothing is loaded: all of them before any is waited for, so that a slow one holds up no other.
    fn load_new(&mut self, subjects: Vec<Subject>) -> Result<(), Error> {
        if subjects.is_empty() {
            return Ok(());
        }
        let paths: Vec<_> = subjects
            .iter()
            .map(|subject| self.places.path(subject))
            .collect();
        let mut reasons: HashMap<PathBuf, Code> = HashMap::new();
        let told_before: HashMap<_, _> = subjects
            .iter()
            .zip(&paths)
            .filter(|(subject, _)| !self.tells_again && !self.changed.contains(subject))
            .filter_map(|(_, path)| Some((path, self.engine.refused.reason(path)?.to_string())))
            .collect();
        let was_told = |outcome: &LoadOutcome| match outcome {
            LoadOutcome::Refused { file, error } => {
                let before = told_before.get(file);
                before.is_some_and(|before| *before == error.to_string())
            }
            LoadOutcome::AlreadyLoaded { .. } => true,
            _ => false,
        };
        let told = &mut self.told;
        let loaded = plugins::load_new(self.engine, &self.places.directory, &paths, |outcome| {
            if let (Some(file), Some(code)) = (outcome.file(), plugins::reason(&outcome)) {
                reasons.insert(file.to_owned(), code);
            }
            if !was_told(&outcome) {
                told(outcome);
            }
        });
        for (subject, path) in subjects.iter().zip(&paths) {
            self.enter(subject, reasons.remove(path));
        }
        loaded
    }

    fn enter(&self, subject: &Subject, refused: Option<Code>) {
        let path = self.places.path(subject);
        look::enter(self.engine, self.seen, subject, &path, refused);
    }

    fn tell(&mut self, outcomes: Vec<LoadOutcome>) {
        for outcome in outcomes {
            // That what is so already is so is no news.
            if !matches!(outcome, LoadOutcome::AlreadyLoaded { .. }) {
                (self.told)(outcome);
            }
        }
    }
}

fn is_of_configuration(code: Code) -> bool {
    code.as_str().starts_with("PE03") || code == Code::ANOTHER_PLUGIN
}

/// The plugins that come from a file.
fn cells_of<'a>(engine: &'a Shared, path: &'a Path) -> impl Iterator<Item = &'a Arc<Cell>> {
    engine.board.registry.all().filter(move |cell| {
        let guarded = cell.lock();
        let source = guarded.source.as_ref();
        source.is_some_and(|source| source.candidate.path == path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::FileIdentity;

    #[test]
    fn a_change_that_was_taken_when_a_panic_came_up_is_one_still() {
        let known = KnownFiles::default();
        let subject = Subject::Plugin("a".into());
        let [before, now] =
            [0, 1].map(|number| FileGroup::alone(Some(FileIdentity::Hidden(number))));
        known.take(&subject, before);
        let mut seen = Observation::default();
        seen.set(&subject, now);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _undone = Undone::begin(&known, std::slice::from_ref(&subject));
            known.take(&subject, now);
            assert_eq!(known.changed(&seen), []);
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        assert_eq!(known.changed(&seen), [subject]);
    }

    #[test]
    fn what_was_hindered_is_tried_again_once_nothing_is_in_the_way_and_what_is_bad_is_not() {
        let known = KnownFiles::default();
        for (name, code) in [
            ("bad", Code::FILE_NO_LIBRARY),
            ("slow", Code::LOAD_TIMEOUT),
            ("waits", Code::LOADER_BUSY),
            ("overtaken", Code::OVERTAKEN),
        ] {
            let group = FileGroup::alone(Some(FileIdentity::Hidden(0)));
            let subject = Subject::Plugin(name.into());
            known.take(&subject, group);
            known.enter(&subject, group, Some(code));
        }
        let subjects = |again: Again, is_loader_stuck| {
            let subjects = again.subjects(&known, is_loader_stuck);
            let names = subjects.iter().map(|subject| match subject {
                Subject::Plugin(name) => name.to_str().unwrap().to_owned(),
                other => panic!("{other:?}"),
            });
            names.collect::<Vec<_>>()
        };
        assert_eq!(subjects(Again::Hindered, true), ["overtaken"]);
        assert_eq!(subjects(Again::Hindered, false), ["overtaken", "waits"]);
        assert_eq!(subjects(Again::Everything, true).len(), 4);
    }
}
