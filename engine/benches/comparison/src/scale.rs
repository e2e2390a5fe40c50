//! The same update with one plugin to a hundred thousand of them, by one worker and by two.

use crate::engines::Fleet;
use crate::peers::{RawFleet, RawPlugin};
use crate::report::{Point, Report};
use crate::rounds::{Contestant, Table};

pub(crate) const GROUP: &str = "scale";
const PLUGINS: [usize; 6] = [1, 10, 100, 1_000, 10_000, 100_000];
/// Records by hand have no budget for all of them: more would fill the memory of a small machine.
const BARE_MAX: usize = 10_000;
const UPDATES: usize = 10_000;

pub(crate) const BARE: &str = "libloading: a loop, records each";
pub(crate) const ONE_WORKER: &str = "the engine, 1 worker";
pub(crate) const TWO_WORKERS: &str = "the engine, 2 workers";

enum Runs {
    Bare(RawFleet, usize),
    Engine(Fleet),
}

pub(crate) fn measure(report: &mut Report, rounds: usize) {
    let raw = RawPlugin::load();
    let mut running = Vec::new();
    // What is to be compared is measured next to each other, because a machine drifts.
    for plugins in PLUGINS {
        if plugins <= BARE_MAX {
            let fleet = RawFleet::new(&raw, plugins);
            running.push((BARE, plugins, Runs::Bare(fleet, UPDATES / plugins)));
        }
        for (curve, workers) in [(ONE_WORKER, 1), (TWO_WORKERS, 2)] {
            let fleet = Fleet::due_with_workers(plugins, workers);
            running.push((curve, plugins, Runs::Engine(fleet)));
        }
    }
    let mut contestants: Vec<_> = running
        .iter()
        .map(|(curve, plugins, runs)| match runs {
            Runs::Bare(fleet, cycles) => Contestant::new(*curve, plugins * cycles, || {
                (0..*cycles).for_each(|_| fleet.update(0..*plugins));
            }),
            Runs::Engine(fleet) => {
                Contestant::new(*curve, fleet.due * fleet.cycles, || fleet.run())
            }
        })
        .collect();
    let mut table = Table::new(Vec::new());
    table.measure(&mut contestants, rounds);
    for ((curve, plugins, _), (_, [least, median, _])) in running.iter().zip(table.rows()) {
        report.points.push(Point {
            curve: (*curve).to_owned(),
            plugins: *plugins,
            least: *least,
            median: *median,
        });
    }
    for (what, above, below, at_most) in [
        (
            "update, 100,000 due / 1,000 due, 1 worker",
            (ONE_WORKER, 100_000),
            (ONE_WORKER, 1_000),
            1.5,
        ),
        (
            "update, 10,000 due: 2 workers / 1 worker",
            (TWO_WORKERS, 10_000),
            (ONE_WORKER, 10_000),
            1.0 / 1.5,
        ),
    ] {
        report.judge_points(what, above, below, at_most);
    }
}
