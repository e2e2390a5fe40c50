//! What it costs to ask an engine with a thousand plugins for its metrics: how long the answer takes, and what cycles notice of it.
//!
//! `cargo bench --package plugin-engine-bench --bench metrics`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plugin_engine::ManualClock;
use plugin_engine_admin::{Admin, AdminOptions};
use plugin_engine_tests::{Asked, built};

const PLUGINS: usize = 1_000;
const SCRAPES: usize = 100;
const CYCLES: usize = 400;
/// A Prometheus that is in a hurry.
const SCRAPE_EVERY: Duration = Duration::from_millis(250);

/// Least, median, 99 in 100 and most, in microseconds.
fn print(name: &str, mut micros: Vec<f64>) {
    micros.sort_by(f64::total_cmp);
    let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize];
    println!(
        "{name:<40} {:>9.0} {:>9.0} {:>9.0} {:>9.0}",
        at(0.0),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn main() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let plugins = dir.path().join("plugins");
    std::fs::create_dir(&plugins).expect("a directory can be made");
    std::fs::copy(built("noop"), plugins.join("noop.so")).expect("a file can be copied");
    let entries: String = (0..PLUGINS)
        .map(|n| format!("[[plugin]]\nid = \"p{n:04}\"\nfile = \"noop.so\"\ninterval = \"1s\"\n"))
        .collect();
    let config = dir.path().join("engine.toml");
    std::fs::write(&config, entries).expect("a file can be written");
    let clock = ManualClock::new(Default::default());
    let engine = plugin_engine::Engine::builder()
        .plugin_dir(&plugins)
        .config_file(&config)
        .state_dir(dir.path().join("state"))
        .clock(clock.clone())
        .build()
        .expect("the engine can be built");
    let admin = Admin::serve(&engine, AdminOptions::default()).expect("it can be served");
    let asked = Asked::Socket(admin.socket().expect("there is one").to_owned());
    assert!(engine.load_all().iter().all(|outcome| outcome.is_good()));
    let cycles = |count: usize| -> Vec<f64> {
        let one = |_| {
            clock.advance(Duration::from_secs(1));
            let began = Instant::now();
            assert_eq!(engine.run_cycle().completed, PLUGINS);
            let micros = began.elapsed().as_nanos() as f64 / 1e3;
            // Between cycles there is time, as there is in a service.
            thread::sleep(Duration::from_millis(5));
            micros
        };
        (0..count).map(one).collect()
    };
    cycles(10);

    println!(
        "{:<40} {:>9} {:>9} {:>9} {:>9}",
        "µs, with 1,000 plugins", "least", "median", "p99", "most"
    );
    let mut bytes = 0;
    let scrapes = (0..SCRAPES).map(|_| {
        let began = Instant::now();
        bytes = asked.get("/metrics").body.len();
        began.elapsed().as_nanos() as f64 / 1e3
    });
    print("/metrics", scrapes.collect());
    println!("{bytes} bytes");

    let (mut alone, mut scraped) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        alone.extend(cycles(CYCLES / 4));
        let done = Arc::new(AtomicBool::new(false));
        let scraper = thread::spawn({
            let (asked, done) = (asked.clone(), Arc::clone(&done));
            move || {
                while !done.load(Ordering::Relaxed) {
                    asked.get("/metrics");
                    thread::sleep(SCRAPE_EVERY);
                }
            }
        });
        scraped.extend(cycles(CYCLES / 4));
        done.store(true, Ordering::Relaxed);
        scraper.join().expect("it ends");
    }
    print("a cycle", alone);
    print("a cycle, with a scrape each 250 ms", scraped);
}
