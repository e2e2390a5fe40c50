//! The plugin directory of the simulated machine: what is in it, what the engine looks at and reads of it, and what it tells of that. All of
//! this is noted, for the checks.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::time::Duration;

use plugin_engine::LoadOutcome;
use plugin_engine::simulation::directory::Directory;

use crate::behaviour::{Build, Content};
use crate::chance::Chance;
use crate::policy::id_of;
use crate::world::World;

/// Where it is said to be.
pub(crate) const PATH: &str = "/simulated/plugins.d";
/// The name of the engine's thread that watches it.
pub(crate) const WATCH: &str = "plugin-watch";

/// How a directory is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watching {
    /// How long a file has to stay as it is.
    pub settle: Duration,
    /// How long it has to be gone.
    pub grace: Duration,
    /// After which time there is a look in any case.
    pub rescan: Duration,
    /// How many of a hundred changes the system reports.
    pub reported_percent: u64,
    /// Whether everything is loaded before the watch begins.
    pub loads_first: bool,
}

impl Watching {
    /// After which time at most everything is done about the last change.
    pub(crate) fn rest(&self) -> Duration {
        self.rescan + 2 * (self.settle + self.grace) + Duration::from_secs(3)
    }
}

/// What is in a file.
#[derive(Debug, Clone)]
enum Bytes {
    Plugin(Content),
    Text(String),
}

#[derive(Debug, Clone)]
struct File {
    bytes: Bytes,
    stamp: u64,
}

/// Whether the directory is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mounted {
    /// It is.
    #[default]
    There,
    /// There is nothing where it was.
    Gone,
    /// An empty one is there, on which it was mounted.
    Empty,
}

/// What happened, as far as the directory is concerned.
#[derive(Debug, Clone)]
pub(crate) enum Noted {
    /// What there is of a plugin file and its configuration is something else now.
    Changed(String, Group),
    /// The directory went, or came back.
    Mounted(Mounted),
    /// Somebody looked at all of it.
    Looked(By),
    /// Somebody read a plugin file.
    Read(By, String, Option<Build>),
    /// Somebody was told of an outcome.
    Told(By, LoadOutcome),
}

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// Who watches the directory.
    Watch,
    /// Who loads all of it at the start.
    Load,
    /// Who was asked to do something to one plugin.
    Command,
}

/// What there is of a plugin file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Group {
    /// What is in it; `None` without a file.
    pub(crate) content: Option<Content>,
    /// Whether the configuration beside it can be read.
    pub(crate) is_configured: bool,
}

/// A note, and when it was taken.
pub(crate) type Note = (Duration, Noted);

/// The directory.
#[derive(Default)]
pub(crate) struct PluginDirectory {
    watching: Cell<Option<Watching>>,
    mounted: Cell<Mounted>,
    files: RefCell<BTreeMap<String, File>>,
    stamp: Cell<u64>,
    listeners: RefCell<Vec<Box<dyn Fn()>>>,
    chance: RefCell<Option<Chance>>,
    notes: RefCell<Vec<Note>>,
    /// How many are loading all of it.
    loading: Cell<u32>,
    /// Whether the watch is between a look and the wait for the next one.
    in_round: Cell<bool>,
    /// When the last of them came to its end.
    ended: Cell<Option<Duration>>,
    /// Whether one that is gone looks as if it were there and empty, on purpose.
    pub(crate) looks_empty: Cell<bool>,
    /// Whether files are not found that are there, likewise.
    pub(crate) hides_files: Cell<bool>,
}

impl PluginDirectory {
    pub(crate) fn begin(&self, seed: u64, watching: Watching) {
        self.watching.set(Some(watching));
        self.chance.replace(Some(Chance::new(seed, &[31])));
    }

    /// How it is watched; `None` where there is none.
    pub(crate) fn watching(&self) -> Option<Watching> {
        self.watching.get()
    }

    /// An engine is started that has not looked at anything.
    pub(crate) fn begin_anew(&self) {
        self.listeners.borrow_mut().clear();
        self.notes.borrow_mut().clear();
        self.loading.set(0);
        self.in_round.set(false);
        self.ended.set(None);
    }

    pub(crate) fn take_notes(&self) -> Vec<Note> {
        self.notes.take()
    }

    pub(crate) fn mounted(&self) -> Mounted {
        self.mounted.get()
    }

    /// The names of the plugin files.
    pub(crate) fn plugin_files(&self) -> Vec<String> {
        let files = self.files.borrow();
        let of_plugins = files.keys().filter(|name| is_plugin_name(name));
        of_plugins.cloned().collect()
    }

    /// What there is of a plugin file, whether anybody can see it or not.
    pub(crate) fn group(&self, name: &str) -> Group {
        let files = self.files.borrow();
        let content = match files.get(name).map(|file| &file.bytes) {
            Some(Bytes::Plugin(content)) => Some(*content),
            _ => None,
        };
        let text = files.get(&config_of(name)).map(|file| &file.bytes);
        Group {
            content,
            is_configured: !matches!(text, Some(Bytes::Text(text)) if text == NO_TOML),
        }
    }

    /// What is in a file that is text.
    pub(crate) fn text_of(&self, name: &str) -> Option<String> {
        match &self.files.borrow().get(name)?.bytes {
            Bytes::Text(text) => Some(text.clone()),
            Bytes::Plugin(_) => None,
        }
    }

    pub(crate) fn content(&self, name: &str) -> Option<Content> {
        self.group(name).content
    }
}

/// What is no configuration.
pub(crate) const NO_TOML: &str = "interval = ";

/// What the configuration beside a file is called.
pub(crate) fn config_of(name: &str) -> String {
    name.replace(".so", ".toml")
}

/// Whether a file of this name is to be looked at.
pub(crate) fn is_plugin_name(name: &str) -> bool {
    name.ends_with(".so") && !name.starts_with('.')
}

/// The name of the file of a plugin.
pub(crate) fn name_of(plugin: usize) -> String {
    format!("{}.so", id_of(plugin))
}

/// What is done to the directory, and what is seen of it.
impl World {
    pub(crate) fn note(&self, what: Noted) {
        self.directory.notes.borrow_mut().push((self.now(), what));
    }

    /// Who has the turn.
    pub(crate) fn by(&self) -> By {
        match self.current_name().as_deref() {
            Some(WATCH) => By::Watch,
            Some("loads") => By::Load,
            _ => By::Command,
        }
    }

    pub(crate) fn put_file(&self, name: &str, content: Content) {
        self.set(name, Some(Bytes::Plugin(content)));
    }

    pub(crate) fn put_text(&self, name: &str, text: &str) {
        self.set(name, Some(Bytes::Text(text.to_owned())));
    }

    /// It is what it was, and was changed since.
    pub(crate) fn touch(&self, name: &str) {
        let bytes = self.directory.files.borrow().get(name).cloned();
        if let Some(file) = bytes {
            self.set(name, Some(file.bytes));
        }
    }

    pub(crate) fn remove(&self, name: &str) {
        self.set(name, None);
    }

    fn set(&self, name: &str, bytes: Option<Bytes>) {
        let directory = &self.directory;
        let stamp = directory.stamp.get() + 1;
        directory.stamp.set(stamp);
        let mut files = directory.files.borrow_mut();
        match bytes {
            Some(bytes) => files.insert(name.to_owned(), File { bytes, stamp }),
            None => files.remove(name),
        };
        drop(files);
        let of = name.replace(".toml", ".so");
        if is_plugin_name(&of) {
            let group = directory.group(&of);
            self.note(Noted::Changed(of, group));
        }
        self.report();
    }

    pub(crate) fn mount(&self, mounted: Mounted) {
        self.directory.mounted.set(mounted);
        self.note(Noted::Mounted(mounted));
        self.report();
    }

    /// Tells who listens that something has changed, or not.
    fn report(&self) {
        let directory = &self.directory;
        let percent = directory.watching().map_or(0, |one| one.reported_percent);
        let mut chance = directory.chance.borrow_mut();
        if chance
            .as_mut()
            .is_some_and(|chance| chance.percent(percent))
        {
            let listeners = directory.listeners.borrow();
            listeners.iter().for_each(|notice| notice());
        }
    }

    /// Whether somebody loads all of the directory or does something about a change in it, or has just done so.
    pub(crate) fn is_directory_at_work(&self) -> bool {
        let directory = &self.directory;
        directory.loading.get() > 0
            || (directory.in_round.get() && self.threads(WATCH) > 0)
            || directory.ended.get() == Some(self.now())
    }

    pub(crate) fn loading(&self, begins: bool) {
        let loading = &self.directory.loading;
        loading.set(if begins {
            loading.get() + 1
        } else {
            self.directory.ended.set(Some(self.now()));
            loading.get().saturating_sub(1)
        });
    }

    /// Who watches waits again.
    pub(crate) fn round_is_over(&self) {
        if self.directory.in_round.take() {
            self.directory.ended.set(Some(self.now()));
        }
    }

    /// What is in a plugin file when somebody reads it, who has begun when the directory was there or not.
    pub(crate) fn read(&self, path: &Path, was_mounted: Mounted) -> Option<Content> {
        let name = path.file_name()?.to_str()?;
        let is_there = [was_mounted, self.directory.mounted()] == [Mounted::There; 2];
        let content = self.directory.content(name).filter(|_| is_there);
        let build = match content {
            Some(Content::Build(build)) => Some(build),
            _ => None,
        };
        self.note(Noted::Read(self.by(), name.to_owned(), build));
        content
    }

    fn check_there(&self) -> io::Result<()> {
        match self.directory.mounted() {
            Mounted::Gone if !self.directory.looks_empty.get() => {
                Err(io::ErrorKind::NotFound.into())
            }
            _ => Ok(()),
        }
    }
}

impl Directory for World {
    fn path(&self) -> &Path {
        Path::new(PATH)
    }

    fn identity(&self) -> io::Result<u64> {
        self.check_there()?;
        let is_other = self.directory.mounted() != Mounted::There;
        Ok(u64::from(is_other && !self.directory.looks_empty.get()))
    }

    fn names(&self) -> io::Result<Vec<OsString>> {
        let by = self.by();
        self.note(Noted::Looked(by));
        if by == By::Watch {
            self.directory.in_round.set(true);
        }
        self.check_there()?;
        let files = self.directory.files.borrow();
        let names = files
            .keys()
            .filter(|_| self.directory.mounted() == Mounted::There);
        Ok(names.map(OsString::from).collect())
    }

    fn stamp(&self, name: &OsStr) -> Option<u64> {
        let files = self.directory.files.borrow();
        let file = files.get(name.to_str()?);
        let file = file.filter(|_| self.directory.mounted() == Mounted::There);
        file.map(|file| file.stamp)
    }

    fn has(&self, name: &OsStr) -> bool {
        self.stamp(name).is_some() && !self.directory.hides_files.get()
    }

    fn text(&self, name: &OsStr) -> io::Result<String> {
        self.stamp(name).ok_or(io::ErrorKind::NotFound)?;
        let text = name.to_str().and_then(|name| self.directory.text_of(name));
        text.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn listen(&self, notice: Box<dyn Fn()>) -> bool {
        self.directory.listeners.borrow_mut().push(notice);
        self.directory
            .watching()
            .is_some_and(|one| one.reported_percent > 0)
    }
}
