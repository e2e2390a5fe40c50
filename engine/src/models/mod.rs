//! Models: small programs over the real code, run by a checker in every order of their steps, or in very many.
//!
//! With `--cfg loom` every order within the bounds is tried, and with each what a processor with weak ordering may show. With
//! `--cfg shuttle` larger programs run in as many orders as asked for, drawn from a seed, with every thread seeing what the others did
//! last. `tests/models.sh` runs all of them; `tests/README.md` says what they cover. What lives here: the programs. What never will: a
//! second version of what they check.

mod batch;
mod events;
mod following;
mod registry;
mod slot;
mod snapshot;
mod waiting;
#[cfg(shuttle)]
mod whole_engine;

/// How much more than ordinarily is tried, from the environment: 1 and more.
fn effort() -> usize {
    let effort = std::env::var("MODELS_EFFORT").ok();
    effort.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Has a checker run a program: every order in which threads are switched, before they wait, at most four times, and once more with each effort.
#[cfg(loom)]
fn check(program: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    builder.preemption_bound = Some(3 + effort());
    builder.check(program);
}

/// Has a checker run a program: a thousand orders for each effort, half of them drawn evenly, half with few switches at the worst places.
#[cfg(all(shuttle, not(loom)))]
fn check(program: impl Fn() + Send + Sync + 'static) {
    check_often(1_000, program);
}

#[cfg(all(shuttle, not(loom)))]
fn check_often(orders: usize, program: impl Fn() + Send + Sync + 'static) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    let seed = std::env::var("MODELS_SEED").ok();
    let seed = seed.and_then(|text| text.parse().ok()).unwrap_or(1);
    let program = std::sync::Arc::new(program);
    let half = orders * effort() / 2;
    let mut config = shuttle::Config::new();
    config.stack_size = 256 * 1024;
    config.max_steps = shuttle::MaxSteps::FailAfter(200_000);
    config.silence_warnings = true;
    let again = std::sync::Arc::clone(&program);
    let evenly = RandomScheduler::new_from_seed(seed, half);
    shuttle::Runner::new(evenly, config.clone()).run(move || program());
    let rarely = PctScheduler::new_from_seed(seed, 3, half);
    shuttle::Runner::new(rarely, config).run(move || again());
}
