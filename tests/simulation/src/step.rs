//! The steps of a run: what happens to the engine from outside, in order. A seed is nothing but a list of them.

use std::fmt;
use std::time::Duration;

use plugin_engine::Command;

use crate::behaviour::Character;
use crate::chance::Chance;
use crate::directory::Watching;
use crate::disk::Trouble;
use crate::files::{self, Happens};
use crate::policy::{PLUGINS, id_of};
use crate::requires::Requires;

/// What happens to the file of a plugin. Whoever watches the directory is told, after which the engine does something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Another build with a higher version is there, or the first one. Whether it hands over its state, and what it requires.
    Build(Character, bool, Requires),
    /// Another build with a lower version.
    LowerBuild(Character),
    /// Half a file.
    Half,
    /// A file whose constructors do not return.
    Hanging,
    /// It has gone.
    Gone,
    /// It was touched, and is what it was.
    Touched,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Time passes.
    Pass(Duration),
    /// Somebody asks something, and need not have an answer before the next step.
    Ask(usize, Command),
    /// Something happens to a file.
    File(usize, Change),
    /// The configuration says from now on that the plugin requires this.
    Require(usize, Requires),
    /// The files are in a directory that is watched like this, from the start.
    Watched(Watching),
    /// Something happens in that directory.
    Directory(Happens),
    /// History is kept on a disk from the start.
    OnDisk,
    /// Something is wrong with the disk for so long.
    Disk(Trouble, Duration),
    /// The process is killed, and another one started.
    Kill,
    /// The wall clock alone is set, by so many seconds.
    SetWall(i64),
    /// No thread can be started for so long.
    NoThreads(Duration),
    /// A thread that the plugin has started panics.
    ThreadPanics(usize),
    /// The engine is told to shut down, within so much time.
    ShutDown(Duration),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass(time) => write!(f, "{time:?} pass"),
            Self::Ask(plugin, order) => write!(f, "{order:?} {}", id_of(*plugin)),
            Self::File(plugin, change) => write!(f, "file of {}: {change:?}", id_of(*plugin)),
            Self::Require(plugin, requires) => {
                write!(
                    f,
                    "the configuration of {} requires {requires}",
                    id_of(*plugin)
                )
            }
            Self::Watched(watching) => write!(f, "the directory is watched: {watching:?}"),
            Self::Directory(what) => write!(f, "in the directory: {what:?}"),
            Self::OnDisk => f.write_str("history is kept on a disk"),
            Self::Disk(trouble, time) => write!(f, "the disk is {trouble:?} for {time:?}"),
            Self::Kill => f.write_str("killed, and started again"),
            Self::SetWall(by) => write!(f, "the wall clock jumps by {by} s"),
            Self::NoThreads(time) => write!(f, "no thread can be started for {time:?}"),
            Self::ThreadPanics(plugin) => write!(f, "a thread of {} panics", id_of(*plugin)),
            Self::ShutDown(budget) => write!(f, "shut down within {budget:?}"),
        }
    }
}

/// How many steps a run has.
const STEPS: u64 = 40;

/// In how many of a hundred runs plugins require others.
const REQUIRING_PERCENT: u64 = 35;

/// In how many of a hundred runs history is kept on disk.
const ON_DISK_PERCENT: u64 = 15;
/// How often a process may be killed.
const KILLS_MAX: usize = 3;

/// The steps of a seed.
#[must_use]
pub fn steps_of(seed: u64) -> Vec<Step> {
    let mut chance = Chance::new(seed, &[1]);
    let mut there: Vec<usize> = Vec::new();
    let wanted = 1 + chance.index(6);
    while there.len() < wanted {
        let plugin = chance.index(PLUGINS);
        if !there.contains(&plugin) {
            there.push(plugin);
        }
    }
    let mut steps = Vec::new();
    for plugin in &there {
        steps.push(Step::File(*plugin, draw_build(&mut chance)));
    }
    steps.push(Step::Pass(Duration::from_millis(10)));
    let is_long = chance.percent(10);
    for _ in 0..10 + chance.below(STEPS) {
        steps.push(draw(&mut chance, &there, is_long));
    }
    if chance.percent(40) {
        let budget = chance.time(Duration::ZERO, Duration::from_secs(3));
        steps.push(Step::ShutDown(budget));
        steps.push(Step::Pass(budget + Duration::from_millis(100)));
    }
    // Drawn for themselves, so that the steps of other seeds stay as they are; and for purposes that leave those alone that are kept.
    let mut chance = Chance::new(seed, &[10]);
    if there.len() > 1 && chance.percent(REQUIRING_PERCENT) {
        steps = with_requirements(&mut chance, &there, steps);
    } else {
        steps = files::watched(&mut Chance::new(seed, &[30]), &there, steps);
    }
    let mut chance = Chance::new(seed, &[18]);
    if chance.percent(ON_DISK_PERCENT) {
        steps = on_disk(&mut chance, &there, steps);
        let mut chance = Chance::new(seed, &[19]);
        steps = unreadable_at_start(&mut chance, steps);
    }
    steps
}

/// The same steps with a history on disk, trouble with that, and ends of the process.
fn on_disk(chance: &mut Chance, there: &[usize], steps: Vec<Step>) -> Vec<Step> {
    let (ms, s) = (Duration::from_millis, Duration::from_secs);
    let mut more = vec![Step::OnDisk];
    let mut kills = 0;
    for step in steps {
        more.push(step);
        if chance.percent(8) {
            let slow = Trouble::Slow(chance.time(ms(1), ms(900)));
            let trouble = chance.weighted(&[
                (3, Trouble::Full),
                (2, Trouble::Broken),
                (2, Trouble::Locked),
                (4, slow),
            ]);
            let times = [(ms(10), ms(500)), (ms(500), s(5)), (s(5), s(60))];
            let (low, high) = chance.one_of(&times);
            more.push(Step::Disk(trouble, chance.time(low, high)));
        }
        let plugin = chance.one_of(there);
        if chance.percent(4) {
            more.push(Step::Ask(plugin, Command::Unload));
            more.push(Step::Pass(chance.time(ms(1), s(1))));
            more.push(Step::Ask(plugin, Command::Forget));
        } else if chance.percent(3) {
            more.push(Step::Ask(plugin, Command::Disable));
        }
        if kills < KILLS_MAX && chance.percent(3) {
            kills += 1;
            more.push(Step::Pass(chance.time(ms(1), s(1))));
            more.push(Step::Kill);
        }
    }
    more
}

/// The same steps with a disk that now and then cannot be read when the next process begins, and can be some time later.
fn unreadable_at_start(chance: &mut Chance, steps: Vec<Step>) -> Vec<Step> {
    let mut more = Vec::with_capacity(steps.len() + KILLS_MAX);
    for step in steps {
        if step == Step::Kill && chance.percent(25) {
            let time = chance.time(Duration::from_millis(10), Duration::from_secs(10));
            more.push(Step::Disk(Trouble::Broken, time));
        }
        more.push(step);
    }
    more
}

/// The same steps with plugins that require others.
fn with_requirements(chance: &mut Chance, there: &[usize], steps: Vec<Step>) -> Vec<Step> {
    let mut requiring = Vec::with_capacity(2 * steps.len());
    let mut seen = Vec::new();
    for mut step in steps {
        if let Step::File(plugin, change) = &mut step {
            let is_first = !seen.contains(plugin);
            if is_first {
                seen.push(*plugin);
                if chance.percent(60) {
                    let requires = Requires::draw(chance, *plugin, there);
                    requiring.push(Step::Require(*plugin, requires));
                }
            }
            if let Change::Build(_, _, requires) = change
                && chance.percent(30)
            {
                *requires = Requires::draw(chance, *plugin, there);
            }
        }
        let comes_first = seen.len() < there.len();
        requiring.push(step);
        if !comes_first && chance.percent(6) {
            let plugin = chance.one_of(there);
            let requires = Requires::draw(chance, plugin, there);
            requiring.push(Step::Require(plugin, requires));
        }
    }
    requiring
}

fn draw_build(chance: &mut Chance) -> Change {
    Change::Build(
        Character::draw(chance),
        chance.percent(40),
        Requires::default(),
    )
}

fn draw(chance: &mut Chance, there: &[usize], is_long: bool) -> Step {
    let plugin = chance.one_of(there);
    let (ms, s) = (Duration::from_millis, Duration::from_secs);
    match chance.below(100) {
        0..=49 => Step::Pass(match chance.below(10) {
            0..=2 => chance.time(Duration::ZERO, ms(2)),
            3..=5 => chance.time(ms(1), s(1)),
            6..=8 => chance.time(s(1), s(20)),
            _ if is_long => chance.time(s(60), s(6 * 3_600)),
            _ => chance.time(s(20), s(120)),
        }),
        50..=79 => Step::Ask(
            plugin,
            chance.weighted(&[
                (3, Command::Load),
                (4, Command::Enable),
                (4, Command::Disable),
                (5, Command::Reset),
                (5, Command::Update),
                (5, Command::Display),
                (3, Command::Unload),
                (4, Command::Reload),
                (1, Command::Forget),
            ]),
        ),
        80..=93 => Step::File(
            plugin,
            match chance.below(12) {
                0..=4 => draw_build(chance),
                5 => Change::LowerBuild(Character::draw(chance)),
                6 | 7 => Change::Half,
                8 => Change::Hanging,
                9 | 10 => Change::Gone,
                _ => Change::Touched,
            },
        ),
        94 | 95 => Step::SetWall(chance.one_of(&[-86_400, -3, 2, 3_600, 86_400])),
        96 | 97 => Step::NoThreads(chance.time(ms(1), s(3))),
        _ => Step::ThreadPanics(plugin),
    }
}
