//! L4, L8 to L11: what is loaded is what is in the directory that is watched, and nothing of it before it is complete; what a person has
//! commanded holds against that; and everything that is refused is told once.

mod rest;

use std::collections::BTreeMap;
use std::time::Duration;

use plugin_engine::{
    Cause, Code, Command, LoadOutcome, PluginState, Snapshot, Transition, simulation,
};

use super::{Checked, Seen, Violation, number};
use crate::behaviour::Build;
use crate::directory::{By, Group, Mounted, Note, Noted, Watching, is_plugin_name};
use crate::policy::plugin_of;
use crate::world::World;

/// What there is of a plugin file, and since when.
#[derive(Debug, Clone, Copy, Default)]
struct File {
    version: u64,
    since: Duration,
    group: Group,
}

/// The directory at one moment.
#[derive(Debug, Clone, Default)]
struct Sight {
    at: Duration,
    is_there: bool,
    /// Every file that there ever was.
    files: BTreeMap<String, File>,
}

impl Sight {
    fn file(&self, name: &str) -> File {
        self.files.get(name).copied().unwrap_or_default()
    }
}

/// What the engine made of a file.
#[derive(Debug, Clone, Copy)]
struct Judged {
    /// Which version of it, as it was seen.
    version: u64,
    /// What was in it when it was read, if it was.
    read: Option<Option<Build>>,
    refused: Option<&'static str>,
}

/// What a plugin was at the last look.
#[derive(Debug, Clone, Default)]
struct Known {
    /// The file that has its id.
    file: Option<String>,
    build: Option<u64>,
    /// Whether it says that its file was refused.
    is_refused: bool,
    /// The entry by which it was unloaded.
    unloaded: Option<Cause>,
    /// When something else was unloaded than by the end of its file, and which build.
    stays_unloaded: Option<(Duration, u64)>,
    /// Since when a person has it switched off.
    off: Option<Duration>,
    /// When a generation before took over again.
    rolled_back: Option<Duration>,
    /// Whether it could not be loaded when somebody asked for that.
    failed_as_asked: bool,
}

#[derive(Default)]
pub(super) struct Watch {
    has_begun: bool,
    versions: u64,
    now: Sight,
    /// As the watch has last seen it.
    watched: Sight,
    /// The files that it has not seen since, in a directory that was there.
    gone: BTreeMap<String, Duration>,
    /// As it was when everything was loaded.
    loaded: Sight,
    /// How many files have gone so far.
    removals: u64,
    /// What was told of which version of a file, and whether anything has changed in the directory since that was looked at.
    told: BTreeMap<(String, u64, &'static str, u64), bool>,
    judged: BTreeMap<String, Judged>,
    plugins: BTreeMap<usize, Known>,
    /// When the directory or a file in it was last another one.
    moved: Duration,
}

fn violation(promise: &str, what: String) -> Checked {
    Err(Violation::new(promise, what))
}

/// The plugin whose id a file of this name has.
fn plugin_of_name(name: &str) -> Option<usize> {
    let stem = name.strip_suffix(".so")?;
    plugin_of(stem.rsplit('-').next()?)
}

/// The file that an outcome is of, and why that was refused, if it was.
fn told_of(outcome: &LoadOutcome) -> Option<(String, Option<Code>)> {
    let (file, refused) = match outcome {
        LoadOutcome::Refused { file, .. }
        | LoadOutcome::Misconfigured { file, .. }
        | LoadOutcome::ReloadRefused { file, .. } => (file, outcome.code()),
        LoadOutcome::Enabled { file, .. }
        | LoadOutcome::Disabled { file, .. }
        | LoadOutcome::Failed { file, .. }
        | LoadOutcome::Deferred { file, .. }
        | LoadOutcome::Reloaded { file, .. }
        | LoadOutcome::Reconfigured { file, .. } => (file, None),
        _ => return None,
    };
    Some((file.file_name()?.to_str()?.to_owned(), refused))
}

impl Watch {
    pub(super) fn look(&mut self, seen: &Seen<'_>) -> Checked {
        let Some(watching) = seen.world.directory.watching() else {
            return Ok(());
        };
        if !std::mem::replace(&mut self.has_begun, true) {
            self.begin(seen.world);
        }
        for note in seen.world.directory.take_notes() {
            self.take(watching, note)?;
        }
        self.follow_asks(seen);
        for transition in seen.transitions {
            self.enter(watching, seen, transition)?;
        }
        self.note_switched_off(seen);
        seen.snapshots
            .iter()
            .try_for_each(|snapshot| self.compare(seen, snapshot))
    }

    /// What is there when an engine is started.
    fn begin(&mut self, world: &World) {
        self.now.is_there = world.directory.mounted() == Mounted::There;
        for name in world.directory.plugin_files() {
            let group = world.directory.group(&name);
            self.versions += 1;
            let file = File {
                group,
                version: self.versions,
                ..File::default()
            };
            self.now.files.insert(name, file);
        }
    }

    fn take(&mut self, watching: Watching, (at, what): Note) -> Checked {
        self.now.at = at;
        match what {
            Noted::Changed(name, group) => {
                if self.now.file(&name).group.content.is_none() && group.content.is_none() {
                    return Ok(());
                }
                self.versions += 1;
                self.removals += u64::from(group.content.is_none());
                self.moved = at;
                let file = File {
                    version: self.versions,
                    since: at,
                    group,
                };
                self.now.files.insert(name, file);
            }
            Noted::Mounted(mounted) => {
                self.moved = at;
                self.now.is_there = mounted == Mounted::There;
            }
            Noted::Looked(By::Watch) => {
                self.watched = self.now.clone();
                self.follow_gone();
                self.forget_unloaded(watching);
            }
            Noted::Looked(By::Load) => self.loaded = self.now.clone(),
            Noted::Looked(By::Command) => {}
            Noted::Read(by, name, build) => return self.read(watching, by, name, build),
            Noted::Told(by, outcome) => return self.tell(by, &outcome),
        }
        Ok(())
    }

    /// Nothing is read but plugin files that have settled, and those that are there when everything is loaded.
    fn read(&mut self, watching: Watching, by: By, name: String, build: Option<Build>) -> Checked {
        if !is_plugin_name(&name) {
            return violation("L8", format!("{name} is read, which is no plugin file"));
        }
        let sight = match by {
            By::Watch => &self.watched,
            By::Load => &self.loaded,
            By::Command => return Ok(()),
        };
        let file = sight.file(&name);
        let stayed = sight.at.saturating_sub(file.since);
        let was_loaded = self.loaded.file(&name).version == file.version;
        let is_meant = sight.is_there && file.group.content.is_some();
        if by == By::Watch && !is_meant {
            return violation("L8", format!("{name} is read, and is not there: {sight:?}"));
        }
        if by == By::Watch && stayed < watching.settle && !was_loaded {
            return violation(
                "L8",
                format!("{name} is read, and was changed {stayed:?} before it was looked at"),
            );
        }
        // That it is refused for the same reason is not told again.
        let before = self.judged.get(&name);
        let before = before.filter(|judged| judged.version == file.version);
        let judged = Judged {
            version: file.version,
            read: Some(build),
            refused: before.and_then(|judged| judged.refused),
        };
        self.judged.insert(name, judged);
        Ok(())
    }

    /// What is refused is told once for each change of the file. Whether an id is free depends on other files; and a reload that was
    /// overtaken is tried again.
    fn tell(&mut self, by: By, outcome: &LoadOutcome) -> Checked {
        let Some((name, code)) = told_of(outcome) else {
            return Ok(());
        };
        let Some(code) = code else {
            if let Some(judged) = self.judged.get_mut(&name) {
                judged.refused = None;
            }
            return Ok(());
        };
        let sight = match by {
            By::Load => &self.loaded,
            _ => &self.watched,
        };
        let version = sight.file(&name).version;
        let read = self.judged.get(&name);
        let read = read.filter(|judged| judged.version == version);
        let judged = Judged {
            version,
            read: read.and_then(|judged| judged.read),
            refused: Some(code.as_str()),
        };
        self.judged.insert(name.clone(), judged);
        let removals = if code == Code::ID_TAKEN {
            self.removals
        } else {
            0
        };
        let is_disturbed = self.moved >= sight.at;
        let before = self.told.insert(
            (name.clone(), version, code.as_str(), removals),
            is_disturbed,
        );
        if before == Some(false) && code != Code::OVERTAKEN {
            return violation(
                "L4",
                format!("{outcome}, which was told before, and {name} is what it was"),
            );
        }
        Ok(())
    }

    /// What was there between two looks alone is not seen.
    fn follow_gone(&mut self) {
        let (seen, gone) = (&self.watched, &mut self.gone);
        let is_gone = |file: &File| seen.is_there && file.group.content.is_none();
        gone.retain(|name, _| is_gone(&seen.file(name)));
        let names = seen.files.iter().filter(|(_, file)| is_gone(file));
        for (name, _) in names {
            gone.entry(name.clone()).or_insert(seen.at);
        }
    }

    /// Whose file has stayed away is not kept from coming back by what was commanded.
    fn forget_unloaded(&mut self, watching: Watching) {
        let grace = watching.grace.max(watching.settle);
        for known in self.plugins.values_mut() {
            let gone = known.file.as_ref().and_then(|name| self.gone.get(name));
            if gone.is_some_and(|since| self.watched.at - *since >= grace) {
                known.stays_unloaded = None;
                known.unloaded = known.unloaded.map(|_| Cause::FileRemoved);
            }
        }
    }

    /// What persons have asked for since they have switched a plugin off, or unloaded it.
    fn follow_asks(&mut self, seen: &Seen<'_>) {
        for asked in seen.asked {
            let Some(order) = asked.order else { continue };
            let known = self.plugins.entry(asked.plugin).or_default();
            let ended = asked.answer.as_ref().map(|(at, _)| *at);
            let is_open_since = |at: Duration| ended.is_none_or(|ended| ended >= at);
            match order {
                Command::Update | Command::Display | Command::Forget | Command::Disable => {}
                Command::Unload => {
                    known.off.take_if(|at| is_open_since(*at));
                }
                _ => {
                    known.off.take_if(|at| is_open_since(*at));
                    known.stays_unloaded.take_if(|(at, _)| is_open_since(*at));
                }
            }
        }
    }

    /// A person has switched a plugin off, while nobody asked anything else of it.
    fn note_switched_off(&mut self, seen: &Seen<'_>) {
        for asked in seen.asked {
            let is_done = matches!(asked.answer, Some((at, Ok(()))) if at == seen.now);
            let mut others = seen.asked.iter().filter(|other| {
                let ended = other.answer.as_ref().map(|(ended, _)| *ended);
                other.plugin == asked.plugin
                    && !std::ptr::eq(*other, asked)
                    && ended.is_none_or(|ended| ended >= asked.at)
            });
            if asked.order == Some(Command::Disable) && is_done && others.next().is_none() {
                self.plugins.entry(asked.plugin).or_default().off = Some(seen.now);
            }
        }
    }

    fn enter(&mut self, watching: Watching, seen: &Seen<'_>, entry: &Transition) -> Checked {
        let plugin = number(&entry.id);
        let known = self.plugins.entry(plugin).or_default();
        let is_on = matches!(entry.to, PluginState::Enabled | PluginState::Running);
        if is_on && known.off.is_some() {
            return violation("L11", format!("{entry}, and a person has switched it off"));
        }
        match entry.cause {
            Cause::FileRemoved if entry.from != PluginState::Unloaded => {
                let grace = watching.grace.max(watching.settle);
                let since = known.file.as_ref().map(|name| self.gone.get(name));
                let is_early =
                    |since: Option<&Duration>| since.is_none_or(|at| self.watched.at - *at < grace);
                if since.is_some_and(is_early) {
                    return violation(
                        "L8",
                        format!("{entry}, and its file is not seen since {since:?}"),
                    );
                }
                known.unloaded = Some(Cause::FileRemoved);
            }
            Cause::Unloaded => {
                known.unloaded = Some(Cause::Unloaded);
                known.stays_unloaded = known.build.map(|build| (seen.now, build));
            }
            Cause::RolledBack => known.rolled_back = Some(seen.now),
            Cause::LoadFailed => {
                known.is_refused = true;
                let mut asked = seen.asked.iter().filter(|asked| asked.plugin == plugin);
                known.failed_as_asked = asked.any(|asked| {
                    asked
                        .answer
                        .as_ref()
                        .is_none_or(|(ended, _)| *ended == seen.now)
                });
            }
            Cause::Mapped => known.failed_as_asked = false,
            _ => {}
        }
        Ok(())
    }

    /// An id changes its file only if the one before is gone or was refused; and what was unloaded by hand comes back only as other bytes.
    fn compare(&mut self, seen: &Seen<'_>, snapshot: &Snapshot) -> Checked {
        let plugin = number(snapshot.id());
        let name = snapshot.file().and_then(|path| path.file_name());
        let name = name.and_then(|name| name.to_str()).map(str::to_owned);
        let build = simulation::active_build(seen.engine, snapshot.id().as_str());
        let known = self.plugins.entry(plugin).or_default();
        if let (Some((_, unloaded)), Some(build)) = (known.stays_unloaded, build) {
            if unloaded == build {
                return violation(
                    "L11",
                    format!(
                        "{} was unloaded as build {build}, and is loaded again",
                        snapshot.id()
                    ),
                );
            }
            known.stays_unloaded = None;
        }
        if let (Some(before), Some(name)) = (&known.file, &name)
            && before != name
        {
            let judged = self.judged.get(before);
            let is_free = self.now.file(before).group.content.is_none()
                || self.moved == seen.now
                || !self.now.is_there
                || known.unloaded == Some(Cause::FileRemoved)
                || known.is_refused
                || judged.is_some_and(|judged| judged.refused.is_some());
            if !is_free {
                return violation(
                    "L10",
                    format!(
                        "{} is the id of {before}, and is taken by {name}",
                        snapshot.id()
                    ),
                );
            }
        }
        known.file = name;
        if build.is_some() {
            known.unloaded = None;
        }
        known.build = build;
        known.is_refused = snapshot.state == PluginState::Error && build.is_none();
        Ok(())
    }
}
