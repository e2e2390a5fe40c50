//! What runs have found in the engine, each with the few steps that it takes.

use std::time::Duration;

use plugin_engine::Command;
use plugin_engine_simulation::{Change, Character, Requires, Step, run};

const FIRST: Duration = Duration::from_millis(10);

fn build(plugin: usize, requires: &str) -> Step {
    let requires = Requires::parse(requires).unwrap_or_default();
    Step::File(plugin, Change::Build(Character::Good, false, requires))
}

fn require(plugin: usize, requires: &str) -> Step {
    Step::Require(plugin, Requires::parse(requires).expect("a requirement"))
}

fn is_kept(steps: &[Step]) {
    if let Err(failure) = run(0, steps, None) {
        panic!("{failure}: {:#?}", failure.entries);
    }
}

/// A plugin on the circle that nobody beside it requires has left it, and is the reason of one that does not require it.
#[test]
fn a_circle_that_is_no_more_is_said_by_nobody_on_it() {
    is_kept(&[
        build(42, "p47"),
        build(46, "p42"),
        build(47, "p00"),
        Step::Pass(FIRST),
        Step::Ask(46, Command::Disable),
        Step::Pass(FIRST),
        require(47, "p00 and p46"),
        Step::Pass(FIRST),
        Step::Ask(42, Command::Unload),
        Step::Pass(FIRST),
    ]);
}

/// The thread that starts plugins which wait for others could not be had for the first of them, and can be for the next.
#[test]
fn a_plugin_does_not_wait_for_ever_because_once_no_thread_could_be_had() {
    is_kept(&[
        Step::NoThreads(FIRST),
        build(15, "p37"),
        Step::Pass(2 * FIRST),
        Step::File(15, Change::Touched),
        Step::Pass(4 * FIRST),
    ]);
}

/// A plugin that is known again after a restart, and of which nothing was entered yet.
#[test]
fn a_generation_of_before_the_restart_is_shown_before_anything_happens() {
    is_kept(&[
        Step::OnDisk,
        build(18, ""),
        Step::Pass(30 * FIRST),
        Step::Kill,
        Step::ShutDown(FIRST),
        Step::Pass(2 * FIRST),
    ]);
}
