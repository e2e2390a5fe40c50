//! Starts, signals, kills and ends of the process.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::files::Armed;
use super::{Up, World, commands, streams};
use crate::ask::Way;
use crate::disturbances::Kind;
use crate::engine::{Begun, Engine, end_in_words, http_way};
use crate::moment;
use crate::observer::End;
use crate::random::Random;
use crate::roster;

/// How long an end may take after SIGTERM: five seconds for plugins, five for who reads its output, and what a busy machine adds.
const END_MAX: Duration = Duration::from_secs(13);
/// How many starts in a row may fail before there is no use in going on.
pub(super) const FAILED_STARTS_MAX: u32 = 6;

static FAILED_STARTS: AtomicU32 = AtomicU32::new(0);

/// Whether one start after another has failed.
pub(super) fn is_hopeless(world: &World) -> bool {
    let is_hopeless = FAILED_STARTS.load(Ordering::SeqCst) >= FAILED_STARTS_MAX;
    if is_hopeless {
        world.journal.found("start", "start after start has failed");
    }
    is_hopeless
}

/// Starts the next process, with a good configuration and room on the disk.
pub(super) fn start(
    world: &Arc<World>,
    random: &mut Random,
    run: &mut u32,
    armed: &mut Armed,
) -> Option<Engine> {
    *run += 1;
    armed.spare(world);
    // The one that is there may be bad, which keeps the engine from starting.
    if let Err(error) = fs::write(world.site.config(), roster::engine_config(random)) {
        world
            .journal
            .did(format!("the configuration cannot be written: {error}"));
    }
    world.journal.did(format!("start of run {run}"));
    world.journal.count("starts", 1);
    let begun = match Engine::start(&world.site, *run, &world.journal) {
        Ok(begun) => begun,
        Err(error) => {
            world
                .journal
                .found("start", format!("run {run} cannot be started: {error}"));
            return None;
        }
    };
    let said = fs::read_to_string(world.site.said(*run)).unwrap_or_default();
    match begun {
        Begun::Answers(engine) => {
            FAILED_STARTS.store(0, Ordering::SeqCst);
            let took = engine.begun.elapsed();
            world.journal.most(
                "slowest start, ms",
                u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            );
            let mut observer = world.observer();
            observer.said(&said);
            observer.begun(&engine);
            drop(observer);
            world.set_up(Some(Up {
                run: engine.run,
                socket: Way::socket(&world.site.state()),
                http: http_way(&world.site, engine.run),
            }));
            streams::follow_unhealthy(world, engine.run);
            streams::follow_history(world, engine.run);
            Some(engine)
        }
        Begun::Ended(status) => {
            refused_or_crashed(world, *run, status, &said, armed);
            None
        }
        Begun::Silent(engine) => {
            FAILED_STARTS.fetch_add(1, Ordering::SeqCst);
            world.journal.found(
                "start",
                format!("run {run} does not answer: {}", tail(&said)),
            );
            world.observer().said(&said);
            kill(world, engine)
        }
    }
}

/// A process has ended before anybody was answered.
fn refused_or_crashed(world: &World, run: u32, status: ExitStatus, said: &str, armed: &mut Armed) {
    let how = end_in_words(status);
    if status.code() == Some(1) {
        let now = moment::now();
        let has_no_room = world
            .disturbances
            .any(Kind::DiskFull, now - 2 * moment::SECOND, now);
        if has_no_room && said.contains("[PE") {
            world.journal.count("starts refused on a full disk", 1);
            world.observer().refused(said);
            world
                .journal
                .did(format!("run {run} is refused: {}", tail(said)));
            // Somebody who starts it again and again would wait, too.
            std::thread::sleep(Duration::from_millis(300));
            return;
        }
        FAILED_STARTS.fetch_add(1, Ordering::SeqCst);
        world
            .journal
            .found("start", format!("run {run} does not begin: {}", tail(said)));
        return;
    }
    if armed.any() {
        world.journal.count("crashes", 1);
        world.journal.did(format!("run {run} crashed: {how}"));
        armed.crashed();
    } else {
        FAILED_STARTS.fetch_add(1, Ordering::SeqCst);
        world.journal.found(
            "start",
            format!("run {run} ended at once ({how}): {}", tail(said)),
        );
    }
    let mut observer = world.observer();
    observer.said(said);
    observer.ended(End::ByItself, &world.site);
}

/// The end of what was said.
fn tail(said: &str) -> String {
    let lines: Vec<_> = said.lines().rev().take(6).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

/// A process has ended that nobody has told to.
pub(super) fn ended_by_itself(world: &World, engine: Engine, status: ExitStatus) {
    world.set_up(None);
    world.journal.count("crashes", 1);
    world.journal.did(format!(
        "run {} ended by itself: {}",
        engine.run,
        end_in_words(status)
    ));
    world.observer().ended(End::ByItself, &world.site);
    commands::ask_the_stopped(world);
}

/// SIGKILL.
pub(super) fn kill(world: &World, mut engine: Engine) -> Option<Engine> {
    world.journal.did(format!("kill run {}", engine.run));
    engine.signal(Signal::KILL);
    world.set_up(None);
    let ended = engine.wait(Duration::from_secs(60));
    let Ok(Some(status)) = ended else {
        world.journal.found("kill", "a killed process does not end");
        return None;
    };
    let end = if status.signal() == Some(9) {
        world.journal.count("kills", 1);
        End::Killed
    } else {
        // It was faster.
        world.journal.count("crashes", 1);
        End::ByItself
    };
    world.observer().ended(end, &world.site);
    commands::ask_the_stopped(world);
    None
}

/// SIGTERM, and the end that was promised after it.
pub(super) fn terminate(world: &World, mut engine: Engine) -> Option<Engine> {
    // All that was to be seen of this process is seen before.
    let looked = world.observer().look();
    if let Err(error) = looked {
        world
            .journal
            .did(format!("before the end nobody answers: {error}"));
    }
    world.journal.did(format!("terminate run {}", engine.run));
    world.set_up(None);
    let (begin, since) = (Instant::now(), moment::now());
    engine.signal(Signal::TERM);
    let ended = engine.wait(Duration::from_secs(60));
    let took = begin.elapsed();
    let end = match ended {
        Ok(Some(status)) if status.success() => End::AsTold,
        Ok(Some(status)) => {
            // A plugin may crash it while it ends, which is a crash as any other.
            if status.signal().is_none() && status.code() != Some(3) {
                let said = fs::read_to_string(world.site.said(engine.run)).unwrap_or_default();
                world.journal.found(
                    "end",
                    format!("after SIGTERM: {}: {}", end_in_words(status), tail(&said)),
                );
            }
            End::ByItself
        }
        _ => {
            world
                .journal
                .found("end", "a minute after SIGTERM it still runs");
            End::Killed
        }
    };
    if took > END_MAX && !world.disturbances.any(Kind::Stopped, since, moment::now()) {
        world.journal.found(
            "end",
            format!("it took {} ms after SIGTERM", took.as_millis()),
        );
    }
    world.journal.count("ends by SIGTERM", 1);
    world.journal.most(
        "slowest end, ms",
        u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    );
    drop(engine);
    world.observer().ended(end, &world.site);
    commands::ask_the_stopped(world);
    None
}

/// SIGHUP: everything is read again.
pub(super) fn hang_up(world: &World, engine: &Engine) {
    world.journal.did("SIGHUP");
    world.journal.count("SIGHUP", 1);
    engine.signal(Signal::HUP);
}

/// SIGSTOP, and SIGCONT some time later.
pub(super) fn stop_and_continue(world: &World, random: &mut Random, engine: &Engine) {
    let time = Duration::from_millis(random.within(20, 3_000));
    world
        .journal
        .did(format!("stop for {} ms", time.as_millis()));
    world.journal.count("times stopped", 1);
    let _stopped = world.disturbances.begin(Kind::Stopped);
    engine.signal(Signal::STOP);
    std::thread::sleep(time);
    engine.signal(Signal::CONT);
    // What was due meanwhile comes now.
    std::thread::sleep(Duration::from_millis(100));
}
