//! Takes processors, memory and disk away, by processes of its own where that is possible.

use std::fs::{self, OpenOptions};
use std::hint::black_box;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::World;
use crate::disturbances::Kind;
use crate::random::Random;

/// Computes for so long.
pub(crate) fn burn(time: Duration) {
    let begin = Instant::now();
    let mut sum = 1_u64;
    while begin.elapsed() < time {
        for _ in 0..10_000 {
            sum = black_box(sum.wrapping_mul(31).wrapping_add(7));
        }
    }
}

/// Holds so much memory, all of it touched, for so long.
pub(crate) fn hold(mib: usize, time: Duration) {
    let memory = vec![1_u8; mib * 1_024 * 1_024];
    thread::sleep(time);
    black_box(memory);
}

/// Runs this program once more, with these arguments.
fn again(world: &Arc<World>, arguments: Vec<String>) {
    world.beside(move |world| {
        let Ok(program) = std::env::current_exe() else {
            return;
        };
        let ran = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .status();
        if let Err(error) = ran {
            world.journal.did(format!("pressure does not run: {error}"));
        }
    });
}

/// Busy processes, up to twice as many as there are processors.
pub(super) fn burn_processors(world: &Arc<World>, random: &mut Random) {
    let processors = thread::available_parallelism().map_or(2, usize::from) as u64;
    let count = random.within(1, 2 * processors + 1);
    let ms = random.within(200, 4_000);
    world
        .journal
        .did(format!("{count} busy processes for {ms} ms"));
    world.journal.count("busy processes", count);
    for _ in 0..count {
        again(world, vec!["burn".to_owned(), ms.to_string()]);
    }
}

/// A process that holds up to an eighth of the memory that is free, and no more than a gibibyte.
pub(super) fn take_memory(world: &Arc<World>, random: &mut Random) {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = info
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let free_kib: u64 = free
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    let most = (free_kib / 1_024 / 8).clamp(2, 1_024);
    let (mib, ms) = (random.within(1, most), random.within(200, 3_000));
    world
        .journal
        .did(format!("{mib} MiB are taken for {ms} ms"));
    world.journal.count("times memory was taken", 1);
    again(
        world,
        vec!["hold".to_owned(), mib.to_string(), ms.to_string()],
    );
}

/// Fills the disk of the state directory, and frees it again. Only where it has one of its own.
pub(super) fn fill_disk(world: &Arc<World>, random: &mut Random) {
    if !world.site.has_own_disk {
        return;
    }
    let path = world.site.ballast();
    // One at a time.
    let Ok(mut file) = OpenOptions::new().write(true).create_new(true).open(&path) else {
        return;
    };
    let time = Duration::from_millis(random.within(500, 6_000));
    world
        .journal
        .did(format!("the disk is full for {} ms", time.as_millis()));
    world.journal.count("times the disk was full", 1);
    let full = world.disturbances.begin(Kind::DiskFull);
    let begun = thread::spawn({
        let world = Arc::clone(world);
        move || {
            let begin = Instant::now();
            let block = vec![0_u8; 64 * 1_024];
            let mut len = block.len();
            // What is given back meanwhile is taken again, down to the last byte.
            while begin.elapsed() < time && !world.is_over() {
                match file.write(&block[..len]) {
                    Ok(_) => {}
                    Err(_) if len > 1 => len /= 16,
                    Err(_) => thread::sleep(Duration::from_millis(20)),
                }
                len = len.max(1);
            }
            drop(file);
            if let Err(error) = fs::remove_file(&path) {
                world.journal.did(format!("the disk stays full: {error}"));
            }
            drop(full);
        }
    });
    // It ends by itself, whatever is done meanwhile.
    drop(begun);
}
