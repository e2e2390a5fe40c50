//! Commands and questions, over the socket, over HTTP and by the program. Each has an answer in time, and none that says the engine is broken.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Up, World};
use crate::ask::Way;
use crate::disturbances::Kind;
use crate::moment;
use crate::random::Random;
use crate::roster::{CRASHERS, NOISE, RESET_SENTINEL, SENTINELS};

/// How long an answer may take. A command waits for calls up to their deadlines, and for other commands to the same plugin.
const PATIENCE: Duration = Duration::from_secs(90);

const COMMANDS: [&str; 8] = [
    "enable", "disable", "load", "reload", "reset", "unload", "update", "display",
];

/// The id of a plugin that may be commanded.
fn target(world: &World, random: &mut Random) -> String {
    let known = world
        .known
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let is_free = |id: &str| {
        SENTINELS.iter().all(|one| one.id != id) && CRASHERS.iter().all(|one| one.id != id)
    };
    let free: Vec<_> = known.iter().filter(|id| is_free(id)).collect();
    if free.is_empty() || random.chance(5) {
        let strange = ["no-such-plugin", "..", "%00", "A", "a%2Fb", ""];
        return (*random.pick(&strange)).to_owned();
    }
    random.pick(&free).to_string()
}

fn way(up: &Up, random: &mut Random) -> Way {
    match &up.http {
        Some(http) if random.chance(30) => http.clone(),
        _ => up.socket.clone(),
    }
}

/// Asks, and judges that there is an answer as there should be.
fn ask(world: &World, up: &Up, way: &Way, method: &str, path: &str) -> Option<u16> {
    let (since, begin) = (moment::now(), Instant::now());
    let answer = way.ask(method, path, PATIENCE);
    let took = begin.elapsed();
    match answer {
        Ok(reply) => {
            // What is not JSON is a page, a picture, the metrics or a stream.
            let is_refused = reply.status >= 400;
            let says = reply
                .json()
                .and_then(|json| json["error"]["message"].as_str().map(str::to_owned));
            // Those two answer a probe in their own words.
            let is_probe = ["/livez", "/readyz"].contains(&path);
            if is_refused && !is_probe && says.is_none_or(|says| says.is_empty()) {
                world.journal.found(
                    "answers",
                    format!("{method} {path}: {} without a word", reply.status),
                );
            }
            if reply.status >= 500 && reply.status != 503 {
                world.journal.found(
                    "answers",
                    format!("{method} {path}: {} {}", reply.status, reply.text()),
                );
            }
            Some(reply.status)
        }
        Err(error) => {
            if took >= PATIENCE && world.must_answer(up.run, since) {
                world.journal.found(
                    "answers",
                    format!("{method} {path}: {error} after {} s", took.as_secs()),
                );
            }
            None
        }
    }
}

/// Commands a plugin.
pub(super) fn command(world: &Arc<World>, random: &mut Random) {
    let Some(up) = world.up() else { return };
    let (id, command) = (target(world, random), *random.pick(&COMMANDS));
    let way = way(&up, random);
    world.journal.count("commands", 1);
    world.journal.did(format!("{command} {id}"));
    world.beside(move |world| {
        let status = match command {
            "display" => ask(world, &up, &way, "GET", &format!("/plugins/{id}/display")),
            _ => ask(
                world,
                &up,
                &way,
                "POST",
                &format!("/plugins/{id}/{command}"),
            ),
        };
        if status == Some(200) {
            world.journal.count("commands carried out", 1);
        }
    });
}

/// Asks a question, good or bad.
pub(super) fn query(world: &Arc<World>, random: &mut Random) {
    let Some(up) = world.up() else { return };
    let id = match random.chance(30) {
        true => random.pick(&SENTINELS).id.to_owned(),
        false => target(world, random),
    };
    let n = random.within(1, 500);
    let path = match random.within(0, 19) {
        0 => "/plugins".to_owned(),
        1 => format!("/plugins/{id}"),
        2 => format!("/plugins/{id}/why"),
        3 => format!("/plugins/{id}/history?limit={n}&order=newest"),
        4 => format!("/history?limit={n}&order=newest"),
        5 => format!("/history?errors=true&limit={n}"),
        6 => format!("/history?since={n}s&to_state=Error,Disabled"),
        7 => format!("/history?cause=update_timed_out,reloaded&limit={n}"),
        8 => format!("/history?id={id}&generation=1..{n}"),
        9 => "/metrics".to_owned(),
        10 => "/livez".to_owned(),
        11 => "/readyz".to_owned(),
        12 => "/admin/liveness".to_owned(),
        13 => "/events?follow=false".to_owned(),
        14 => "/engine".to_owned(),
        15 => "/".to_owned(),
        16 => "/openapi.json".to_owned(),
        17 => format!("/history?after={}", random.number()),
        _ => {
            let bad = [
                "/history?limit=-1",
                "/history?cause=magic",
                "/nothing",
                "/history?since=yesterday&x=%ff",
                "/events?pattern=",
            ];
            (*random.pick(&bad)).to_owned()
        }
    };
    let way = way(&up, random);
    world.journal.count("queries", 1);
    world.beside(move |world| {
        ask(world, &up, &way, "GET", &path);
    });
}

/// Asks by the program, as a person would.
pub(super) fn run_program(world: &Arc<World>, random: &mut Random) {
    let id = target(world, random);
    let arguments: Vec<&str> = match random.within(0, 7) {
        0 => vec!["status", "--json"],
        1 => vec!["why", &id, "--json"],
        2 => vec!["history", "--limit", "20", "--json"],
        3 => vec!["history", &id, "--errors", "--newest-first"],
        4 => vec!["liveness", "--json"],
        5 => vec!["events", "--json"],
        _ => vec!["readiness", "--json"],
    };
    let mut command = Command::new(world.site.program());
    command
        .args(&arguments)
        .arg("--state")
        .arg(world.site.state());
    command
        .env_remove("PLUGIN_ENGINE_STATE")
        .stdin(Stdio::null());
    let asked = arguments.join(" ");
    world.journal.count("questions by the program", 1);
    world.beside(move |world| match command.output() {
        Ok(output) => {
            let is_good = matches!(output.status.code(), Some(0..=3));
            if !is_good {
                let said = String::from_utf8_lossy(&output.stderr);
                world
                    .journal
                    .found("program", format!("{asked}: {}: {said}", output.status));
            }
        }
        Err(error) => world
            .journal
            .did(format!("the program does not run: {error}")),
    });
}

/// Of an engine that has ended the program still says why each plugin was as it was.
pub(super) fn ask_the_stopped(world: &World) {
    let now = moment::now();
    let has_no_room = world
        .disturbances
        .any(Kind::DiskFull, now - moment::SECOND, now);
    // One that ended before it began has left nothing to be asked for.
    if has_no_room || !world.observer().has_seen(SENTINELS[0].id) {
        return;
    }
    let mut command = Command::new(world.site.program());
    command
        .args(["why", SENTINELS[0].id, "--json", "--state"])
        .arg(world.site.state());
    world
        .journal
        .count("times asked why of a stopped engine", 1);
    if let Ok(output) = command.stdin(Stdio::null()).output() {
        let why: Option<serde_json::Value> = serde_json::from_slice(&output.stdout).ok();
        let lines = why.and_then(|why| Some(why["lines"].as_array()?.len()));
        if !output.status.success() || lines.unwrap_or(0) == 0 {
            let said = String::from_utf8_lossy(&output.stderr);
            world.journal.found(
                "why",
                format!("of a stopped engine: {}: {said}", output.status),
            );
        }
    }
}

/// Inspects a plugin file that chaos was done to: a verdict, whatever it is.
pub(super) fn inspect(world: &Arc<World>, random: &mut Random) {
    let file = world
        .site
        .plugins()
        .join(format!("{}.so", random.pick(&NOISE)));
    let mut command = Command::new(world.site.program());
    command
        .arg("inspect")
        .arg("--json")
        .arg(&file)
        .stdin(Stdio::null());
    world.journal.count("files inspected", 1);
    world.beside(move |world| {
        if let Ok(output) = command.output()
            && !matches!(output.status.code(), Some(0..=2))
        {
            world.journal.found(
                "program",
                format!("inspect {}: {}", file.display(), output.status),
            );
        }
    });
}

/// Resets the sentinel that is reset, which ends its episode.
pub(super) fn reset_sentinel(world: &Arc<World>) {
    let Some(up) = world.up() else { return };
    world.journal.did(format!("reset {RESET_SENTINEL}"));
    world.beside(move |world| {
        ask(
            world,
            &up,
            &up.socket,
            "POST",
            &format!("/plugins/{RESET_SENTINEL}/reset"),
        );
    });
}

/// Forgets a plugin, with the observer looking away: its numbers stand for nothing afterwards.
pub(super) fn forget(world: &Arc<World>, random: &mut Random) {
    let Some(up) = world.up() else { return };
    let id = target(world, random);
    let mut observer = world.observer();
    if observer.look().is_err() {
        return;
    }
    let _forgetting = world.disturbances.begin(Kind::Forgetting);
    if ask(
        world,
        &up,
        &up.socket,
        "POST",
        &format!("/plugins/{id}/forget"),
    ) == Some(200)
    {
        world.journal.did(format!("forgot {id}"));
        world.journal.count("plugins forgotten", 1);
        observer.forgot(&id);
    }
}
