//! What happens to files in a run, be they in a directory that is watched, or known to somebody who tells of each change at once.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use plugin_engine::simulation::{self, Pause, Stage as _};
use tempfile::TempDir;

use crate::behaviour::{Build, Character, Content};
use crate::chance::Chance;
use crate::directory::{By, Mounted, NO_TOML, Noted, Watching, config_of, name_of};
use crate::library::{self, BUILDS_MAX};
use crate::policy::{directory, id_of, path_in, policy_of};
use crate::requires::Requires;
use crate::run::Run;
use crate::step::{Change, Step};
use crate::world::World;

/// What happens in a directory that is watched, beside what happens to files in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happens {
    /// Another build is written into the file in so many pieces, with so much time between any two.
    Written(usize, Character, u32, Duration),
    /// The file is taken away, and put back after a time: as it was, or as another build.
    Recreated(usize, Option<Character>, Duration),
    /// The directory is gone for so long. Whether an empty one is in its place.
    Unmounted(bool, Duration),
    /// A build is there under a name that an editor or a package manager gives to what is not done.
    Temporary(usize, Character),
    /// A file is no good, and says whose it is.
    Unfit(usize),
    /// The configuration beside the file is written anew; whether it can be read.
    Configured(usize, bool),
    /// Another file of the same id is there, which comes before the first one by its name, or after it.
    Second(usize, Character, bool),
    /// That is gone.
    SecondGone(usize, bool),
}

/// In how many of a hundred runs the directory is watched, of those in which plugins do not require others.
const WATCHED_PERCENT: u64 = 25;

/// The same steps in a directory that is watched, if that is drawn for them.
pub(crate) fn watched(chance: &mut Chance, there: &[usize], steps: Vec<Step>) -> Vec<Step> {
    if !chance.percent(WATCHED_PERCENT) {
        return steps;
    }
    let (ms, s) = (Duration::from_millis, Duration::from_secs);
    let settle = chance.one_of(&[ms(20), ms(200), ms(200), s(1)]);
    let grace = chance.one_of(&[settle / 2, ms(500), s(2), s(5)]);
    let reported_percent = chance.weighted(&[(5, 100), (3, 70), (2, 0)]);
    let rescan = match reported_percent {
        100 => chance.one_of(&[s(1), s(5), s(60)]),
        _ => chance.one_of(&[ms(300), s(1), s(5)]),
    };
    let mut more = vec![Step::Watched(Watching {
        settle,
        grace,
        rescan,
        reported_percent,
        loads_first: chance.percent(75),
    })];
    let began = steps
        .iter()
        .position(|step| !matches!(step, Step::File(..)));
    let mut is_ending = false;
    for (at, step) in steps.into_iter().enumerate() {
        is_ending |= matches!(step, Step::ShutDown(_));
        more.push(step);
        if Some(at) >= began && !is_ending && chance.percent(30) {
            let wait = chance.one_of(&[ms(1), settle / 2, settle * 2, grace, grace * 2]);
            more.extend(draw(chance, there, settle, grace));
            more.push(Step::Pass(chance.time(wait / 2, wait * 3 / 2)));
        }
    }
    more
}

fn draw(chance: &mut Chance, there: &[usize], settle: Duration, grace: Duration) -> Vec<Step> {
    let plugin = chance.one_of(there);
    let character = Character::draw(chance);
    let around = |chance: &mut Chance, time: Duration| chance.time(time / 4, time * 2);
    let happens = match chance.below(100) {
        0..=19 => {
            let pieces = u32::try_from(2 + chance.below(4)).unwrap_or(2);
            let pause = around(chance, settle);
            Happens::Written(plugin, character, pieces, pause)
        }
        20..=37 => {
            let character = chance.percent(60).then_some(character);
            let after = around(chance, grace.max(settle));
            Happens::Recreated(plugin, character, after)
        }
        38..=45 => {
            let time = chance.one_of(&[settle, grace, 3 * grace, Duration::from_secs(20)]);
            Happens::Unmounted(chance.percent(50), around(chance, time))
        }
        46..=51 => Happens::Temporary(plugin, character),
        52..=57 => Happens::Unfit(plugin),
        58..=67 => Happens::Configured(plugin, chance.percent(50)),
        68..=77 => Happens::Second(plugin, character, chance.percent(50)),
        78..=83 => Happens::SecondGone(plugin, chance.percent(50)),
        choice => return after_command(chance, plugin, character, settle, choice < 94),
    };
    vec![Step::Directory(happens)]
}

/// Somebody unloads a plugin or switches it off, and after that something happens to its file.
fn after_command(
    chance: &mut Chance,
    plugin: usize,
    character: Character,
    settle: Duration,
    unloads: bool,
) -> Vec<Step> {
    use plugin_engine::Command::{Disable, Unload};
    let order = if unloads { Unload } else { Disable };
    let change = if chance.percent(50) {
        Change::Touched
    } else {
        Change::Build(character, false, Requires::default())
    };
    vec![
        Step::Ask(plugin, order),
        Step::Pass(chance.time(Duration::ZERO, Duration::from_secs(1))),
        Step::File(plugin, change),
        Step::Pass(settle),
    ]
}

/// The name of a second file of a plugin's id.
fn second_name(plugin: usize, is_before: bool) -> String {
    let prefix = if is_before { 'a' } else { 'z' };
    format!("{prefix}-{}", name_of(plugin))
}

/// How often a thread is asked for again that watches.
const TRIES_MAX: usize = 100;

impl Run {
    /// Begins to watch, if this run does so.
    pub(crate) fn begin_watch(&mut self) {
        let Some(watching) = self.world.directory.watching() else {
            return;
        };
        let (engine, world) = (self.engine.clone(), Rc::clone(&self.world));
        let watch = Rc::clone(&self.watch);
        self.world.start_of_own("loads", move || {
            if watching.loads_first {
                world.loading(true);
                let told = |outcome| world.note(Noted::Told(By::Load, outcome));
                let _ = engine.load_each(told);
                world.loading(false);
            }
            for _ in 0..TRIES_MAX {
                let told = |outcome| library::world().note(Noted::Told(By::Watch, outcome));
                if let Ok(handle) = engine.watch(told) {
                    watch.replace(Some(handle));
                    break;
                }
                world.pause(Pause::For(Duration::from_millis(50)));
            }
        });
    }

    /// The next build of a plugin, unless there were as many as there may be.
    fn next_build(
        &self,
        plugin: usize,
        character: Character,
        make: impl FnOnce(&mut Build),
    ) -> Option<Build> {
        let builds = self.world.builds.borrow();
        let of_plugin = builds
            .values()
            .filter(|build| build.number / BUILDS_MAX == plugin as u64);
        let newest = of_plugin.copied().max_by_key(|build| build.number);
        drop(builds);
        let mut build = Build {
            number: newest.map_or(plugin as u64 * BUILDS_MAX, |newest| newest.number + 1),
            version: newest.map_or(10, |newest| newest.version) + 1,
            character,
            has_state: false,
            requires: Requires::default(),
        };
        make(&mut build);
        let is_full = build.number / BUILDS_MAX != plugin as u64;
        (!is_full).then(|| {
            self.world.builds.borrow_mut().insert(build.number, build);
            build
        })
    }

    /// Something happens to a file, and whoever watches the directory has the engine do something about it.
    pub(crate) fn change_file(&mut self, plugin: usize, change: Change) {
        let is_watched = self.world.directory.watching().is_some();
        let before = match is_watched {
            true => self.world.directory.content(&name_of(plugin)),
            false => self.world.files.borrow().get(&plugin).copied(),
        };
        let content = match change {
            Change::Build(character, has_state, requires) => {
                let build = self.next_build(plugin, character, |build| {
                    build.has_state = has_state;
                    build.requires = requires;
                });
                if build.is_some() {
                    self.note_requirements(&requires);
                }
                build.map(Content::Build).or(before)
            }
            Change::LowerBuild(character) => {
                let lower = |build: &mut Build| build.version = build.version.saturating_sub(4);
                let build = self.next_build(plugin, character, lower);
                build.map(Content::Build).or(before)
            }
            Change::Half => Some(Content::Bad),
            Change::Hanging => Some(Content::Hangs),
            Change::Gone => None,
            Change::Touched => before,
        };
        if is_watched && change == Change::Touched {
            return self.world.touch(&name_of(plugin));
        }
        if is_watched {
            self.world.configure(&name_of(plugin), plugin);
            match content {
                Some(content) => self.world.put_file(&name_of(plugin), content),
                None => self.world.remove(&name_of(plugin)),
            }
            return;
        }
        match content {
            Some(content) => {
                self.world.files.borrow_mut().insert(plugin, content);
                self.look_at_file(plugin);
            }
            None => {
                self.world.files.borrow_mut().remove(&plugin);
                self.ask_for(plugin, None, move |engine| {
                    simulation::file_removed(engine, &id_of(plugin))
                        .map_err(|error| error.to_string())
                });
            }
        }
    }

    /// Something happens in the directory that is watched.
    pub(crate) fn happens(&mut self, what: Happens) {
        let world = Rc::clone(&self.world);
        match what {
            Happens::Written(plugin, character, pieces, pause) => {
                let Some(build) = self.next_build(plugin, character, |_| ()) else {
                    return;
                };
                let name = name_of(plugin);
                world.configure(&name, plugin);
                self.world.start_of_own("writes", move || {
                    for _ in 1..pieces {
                        world.put_file(&name, Content::Bad);
                        world.wait_unless_calm(pause);
                    }
                    world.put_file(&name, Content::Build(build));
                });
            }
            Happens::Recreated(plugin, character, after) => {
                let name = name_of(plugin);
                let Some(before) = world.directory.content(&name) else {
                    return;
                };
                let build = character.and_then(|one| self.next_build(plugin, one, |_| ()));
                self.world.start_of_own("writes", move || {
                    world.remove(&name);
                    world.wait_unless_calm(after);
                    world.put_file(&name, build.map_or(before, Content::Build));
                });
            }
            Happens::Unmounted(is_empty, time) => {
                if world.directory.mounted() != Mounted::There {
                    return;
                }
                self.world.start_of_own("writes", move || {
                    world.mount(if is_empty {
                        Mounted::Empty
                    } else {
                        Mounted::Gone
                    });
                    world.wait_unless_calm(time);
                    while world.is_directory_at_work() {
                        // Who finds no configuration now would take the file that comes back for one without.
                        world.pause(Pause::For(Duration::from_millis(1)));
                    }
                    world.mount(Mounted::There);
                });
            }
            Happens::Temporary(plugin, character) => {
                if let Some(build) = self.next_build(plugin, character, |_| ()) {
                    for name in [".{}", ".{}.Xy12", "{}~", "{}.part"] {
                        let name = name.replace("{}", &name_of(plugin));
                        world.put_file(&name, Content::Build(build));
                    }
                }
            }
            Happens::Unfit(plugin) => world.put_file(&name_of(plugin), Content::Unfit(plugin)),
            Happens::Configured(plugin, true) => world.configure_anew(&name_of(plugin), plugin),
            Happens::Configured(plugin, false) => {
                world.put_text(&config_of(&name_of(plugin)), NO_TOML);
            }
            Happens::Second(plugin, character, is_before) => {
                let name = second_name(plugin, is_before);
                if let Some(build) = self.next_build(plugin, character, |_| ()) {
                    world.configure(&name, plugin);
                    world.put_file(&name, Content::Build(build));
                }
            }
            Happens::SecondGone(plugin, is_before) => world.remove(&second_name(plugin, is_before)),
        }
    }

    /// The configuration of a plugin says something else, which whoever watches the directory notices as well.
    pub(crate) fn require(&mut self, plugin: usize, requires: &Requires) {
        self.note_requirements(requires);
        let path = self.path_of(plugin).with_extension("toml");
        let text = policy_of(plugin).text(requires);
        std::fs::write(path, text).expect("room for a small file");
        if self.world.files.borrow().contains_key(&plugin) {
            self.look_at_file(plugin);
        }
    }

    fn note_requirements(&self, requires: &Requires) {
        if !requires.is_empty() {
            self.world.has_requirements.set(true);
        }
    }

    pub(crate) fn look_at_file(&mut self, plugin: usize) {
        let path = self.path_of(plugin);
        self.ask_for(plugin, None, move |engine| {
            simulation::file_changed(engine, &path)
                .map(drop)
                .map_err(|error| error.to_string())
        });
    }

    fn path_of(&self, plugin: usize) -> PathBuf {
        let own = self.dir.as_ref().map(TempDir::path);
        path_in(own.unwrap_or(directory()), plugin)
    }
}

impl World {
    /// Writes the configuration beside a file, if there is none.
    fn configure(&self, name: &str, plugin: usize) {
        let config = config_of(name);
        if self.directory.text_of(&config).is_none() {
            self.put_text(&config, &policy_of(plugin).text(&Requires::default()));
        }
    }

    /// Writes it in other words, or for the first time since it was bad.
    fn configure_anew(&self, name: &str, plugin: usize) {
        let text = policy_of(plugin).text(&Requires::default());
        let config = config_of(name);
        let is_same = self.directory.text_of(&config).as_deref() == Some(&text);
        let text = if is_same {
            format!("# The same.\n{text}")
        } else {
            text
        };
        self.put_text(&config, &text);
    }
}
