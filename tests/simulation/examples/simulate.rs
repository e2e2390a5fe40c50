//! Runs seeds for as long as one likes: `cargo run --release -p plugin-engine-simulation --example simulate -- FIRST COUNT`.

use std::time::Instant;

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse::<u64>().ok());
    let first = numbers.next().unwrap_or(0);
    let count = numbers.next().unwrap_or(1_000);
    let began = Instant::now();
    match plugin_engine_simulation::hunt(first..first.saturating_add(count)) {
        Ok(report) => {
            let took = began.elapsed().as_secs_f64();
            let days = report.simulated.as_secs_f64() / 86_400.0;
            println!(
                "{count} seeds in {took:.1} s: {days:.1} days, {} transitions, {} calls; {:.2} days a second",
                report.transitions,
                report.calls,
                days / took
            );
        }
        Err(found) => {
            println!("{found}");
            std::process::exit(1);
        }
    }
}
