//! Those who listen: some read, some slowly, some never, some leave in the middle.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_engine_wire::Event;

use super::{Up, World};
use crate::ask::{Messages, Way};
use crate::disturbances::Kind;
use crate::moment;
use crate::random::Random;

/// A stream says at least every fifteen seconds that it is there.
const PATIENCE: Duration = Duration::from_secs(40);

/// Listens in some way for some time.
pub(super) fn open(world: &Arc<World>, random: &mut Random) {
    let Some(Up { socket, http, .. }) = world.up() else {
        return;
    };
    let way = match http {
        Some(http) if random.chance(40) => http,
        _ => socket,
    };
    let path = *random.pick(&[
        "/events",
        "/events?pattern=plugin.*.state",
        "/history?follow=true",
        "/history?follow=true&errors=true&limit=9",
    ]);
    let time = Duration::from_millis(random.within(50, 20_000));
    let manner = random.within(0, 4);
    world.journal.count("streams", 1);
    world.beside(move |world| {
        let end = Instant::now() + time;
        let Ok(mut stream) = way.open("GET", path, PATIENCE) else {
            return;
        };
        match manner {
            // Never reads.
            0 => world.sleep(time),
            // Reads slowly.
            1 => {
                let mut some = [0; 64];
                while Instant::now() < end && stream.read(&mut some).is_ok_and(|len| len > 0) {
                    world.sleep(Duration::from_millis(30));
                }
            }
            // Leaves in the middle.
            2 => {
                let mut some = [0; 700];
                let _ = stream.read(&mut some);
            }
            // Reads all there is.
            _ => {
                let mut some = [0; 65_536];
                while Instant::now() < end && stream.read(&mut some).is_ok_and(|len| len > 0) {}
            }
        }
    });
}

/// Listens to a process for as long as it lives, and goes on where it was each time the stream ends.
fn follow(
    world: &Arc<World>,
    run: u32,
    path: &'static str,
    mut take: impl FnMut(&World, crate::ask::Message) + Send + 'static,
) {
    let world = Arc::clone(world);
    std::thread::spawn(move || {
        let way = Way::socket(&world.site.state());
        while !world.is_over() && world.up().is_some_and(|up| up.run == run) {
            let Ok(mut messages) = Messages::follow(&way, path, PATIENCE) else {
                world.sleep(Duration::from_millis(200));
                continue;
            };
            while let Ok(Some(message)) = messages.next() {
                take(&world, message);
            }
        }
    });
}

/// Brings the observer what is told of unhealthy plugins.
pub(super) fn follow_unhealthy(world: &Arc<World>, run: u32) {
    follow(
        world,
        run,
        "/events?pattern=plugin.*.unhealthy",
        move |world, message| {
            if let Ok(event) = serde_json::from_value::<Event>(message.data) {
                world.journal.count("unhealthy events by stream", 1);
                world
                    .events
                    .lock()
                    .unwrap_or_else(|poisoned| poisoned.into_inner())
                    .push((run, event));
            }
        },
    );
}

/// Follows the history: whoever follows misses nothing that he is not told to have missed.
pub(super) fn follow_history(world: &Arc<World>, run: u32) {
    let mut order = FollowedOrder::default();
    let begin = moment::now();
    follow(
        world,
        run,
        "/history?follow=true&limit=1",
        move |world, message| {
            world.journal.count("transitions followed", 1);
            let is_lost = message.event == "lost";
            let problem = order.take(message.id, is_lost);
            // The numbers of what was forgotten stand for nothing.
            if let Some(problem) = problem
                && !world
                    .disturbances
                    .any(Kind::Forgetting, begin, moment::now())
            {
                world.journal.found("followed", problem);
            }
        },
    );
}

/// What holds of the numbers of a stream.
#[derive(Default)]
struct FollowedOrder {
    last: Option<u64>,
    /// Whether the second has come: the first may be of the process before, with marks of its end and of this start behind it.
    is_within: bool,
    has_lost: bool,
}

impl FollowedOrder {
    fn take(&mut self, seq: Option<u64>, is_lost: bool) -> Option<String> {
        if is_lost {
            self.has_lost = true;
            return None;
        }
        let seq = seq?;
        let before = self.last.replace(seq)?;
        let has_lost = std::mem::take(&mut self.has_lost);
        let is_within = std::mem::replace(&mut self.is_within, true);
        if seq <= before {
            return Some(format!("{seq} follows {before}"));
        }
        (seq != before + 1 && !has_lost && is_within)
            .then(|| format!("{seq} follows {before}, and nothing says what is missing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_who_misses_something_or_is_told_twice_finds_it() {
        let mut order = FollowedOrder::default();
        for (seq, is_lost) in [
            (Some(1), false),
            (Some(7), false),
            (Some(8), false),
            (None, true),
            (Some(12), false),
        ] {
            assert_eq!(order.take(seq, is_lost), None);
        }
        assert!(
            order
                .take(Some(14), false)
                .unwrap()
                .contains("nothing says")
        );
        assert!(
            order
                .take(Some(14), false)
                .unwrap()
                .contains("14 follows 14")
        );
    }
}
