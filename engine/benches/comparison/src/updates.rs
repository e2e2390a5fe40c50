//! One update: the engine beside everything that one would call a plugin with.

use std::cell::RefCell;
use std::sync::Arc;

use crate::boundary::TraitObject;
use crate::child::Child;
use crate::engines::Fleet;
use crate::handover::HandOver;
use crate::peers::{self, HandWrittenPool, RawFleet, RawPlugin, Records, SpawnBlocking};
use crate::report::{Does, Report};
use crate::rounds::{Contestant, Table};
use crate::wasm::{Extism, Wasmtime};

pub(crate) const GROUP: &str = "one update";
/// How many plugins make a cycle.
pub(crate) const MANY: usize = 1_000;

const RAW: &str = "libloading: a raw call";
const CLOCK: &str = "libloading: a raw call and two clock reads";
const RAW_RECORDS: &str = "libloading: one instance, two clock reads, records";
const RAW_MANY: &str = "libloading: 1,000 instances in a loop, records each";
const MODULE: &str = "abi_stable: a function of the root module";
const OBJECT: &str = "abi_stable: a method of a trait object";
const POOL_ONE: &str = "hand-written pool of 2, channel: one instance, records";
const POOL_MANY: &str = "hand-written pool of 2, channel: 1,000 instances";
const POOL_ALONE: &str = "hand-written pool of 1, channel: 1,000 instances";
const BLOCKING: &str = "tokio: spawn_blocking and timeout, records";
const THREADS: &str = "a thread per call and recv_timeout, records";
const WASM_ONE: &str = "wasmtime, epochs: one instance, records";
const WASM_MANY: &str = "wasmtime, epochs: 1,000 instances, records each";
const EXTISM: &str = "extism, timeout: one instance, records";
const CHILD: &str = "a child process, Unix socket: one instance, records";
pub(crate) const ENGINE: &str = "the engine: cycle of 1,000 due";
const ENGINE_ONE: &str = "the engine: cycle of one due";
const CONDVAR: &str = "two hand-overs by condition variables, no call";

fn does(name: &str) -> Option<Does> {
    Some(match name {
        RAW | CLOCK | MODULE | OBJECT => Does::NOTHING,
        RAW_RECORDS | RAW_MANY | POOL_ONE | POOL_MANY | POOL_ALONE => Does::RECORDS,
        BLOCKING | THREADS | ENGINE | ENGINE_ONE => Does::IN_PROCESS,
        WASM_ONE | WASM_MANY | EXTISM | CHILD => Does::ALL,
        _ => return None,
    })
}

pub(crate) fn measure(report: &mut Report, rounds: usize) {
    let raw = RawPlugin::load();
    let records = Records::default();
    let raw_fleet = Arc::new(RawFleet::new(&raw, MANY));
    let object = RefCell::new(TraitObject::new());
    let pools = [1, 2].map(HandWrittenPool::new);
    let blocking = SpawnBlocking::new();
    let wasm = [1, MANY].map(|count| RefCell::new(Wasmtime::new(count)));
    let extism = RefCell::new(Extism::new());
    let child = RefCell::new(Child::start());
    let hand_over = HandOver::new();
    let fleets = [1, MANY].map(Fleet::due);
    let mut contestants = vec![
        Contestant::new(RAW, 20_000, || raw.calls(20_000)),
        Contestant::new(CLOCK, 20_000, || raw.calls_with_clock(20_000)),
        Contestant::new(ENGINE, MANY * fleets[1].cycles, || fleets[1].run()),
        Contestant::new(MODULE, 20_000, || raw.calls_by_module(20_000)),
        Contestant::new(OBJECT, 20_000, || object.borrow_mut().calls(20_000)),
        Contestant::new(RAW_RECORDS, 20_000, || {
            raw.calls_with_records(20_000, &records);
        }),
        Contestant::new(RAW_MANY, 10 * MANY, || {
            (0..10).for_each(|_| raw_fleet.update(0..MANY));
        }),
        Contestant::new(POOL_ONE, 10_000, || pools[1].updates(10_000, &raw)),
        Contestant::new(POOL_ALONE, 10 * MANY, || {
            (0..10).for_each(|_| pools[0].cycle(&raw_fleet));
        }),
        Contestant::new(POOL_MANY, 10 * MANY, || {
            (0..10).for_each(|_| pools[1].cycle(&raw_fleet));
        }),
        Contestant::new(WASM_ONE, 10_000, || wasm[0].borrow_mut().cycles(10_000)),
        Contestant::new(WASM_MANY, 10 * MANY, || wasm[1].borrow_mut().cycles(10)),
        Contestant::new(EXTISM, 500, || extism.borrow_mut().updates(500)),
        Contestant::new(CHILD, 500, || child.borrow_mut().updates(500)),
        Contestant::new(BLOCKING, 1_000, || blocking.updates(1_000, &raw)),
        Contestant::new(THREADS, 200, || peers::thread_per_call(200, &raw)),
        Contestant::new(CONDVAR, 500, || hand_over.there_and_back(500)),
        Contestant::new(ENGINE_ONE, fleets[0].cycles, || fleets[0].run()),
    ];
    let mut table = Table::new(Vec::new());
    table.measure(&mut contestants, rounds);
    report.take(GROUP, &table, does);

    let pool = [POOL_ONE, POOL_MANY, POOL_ALONE]
        .into_iter()
        .min_by(|one, other| f64::total_cmp(&of(&table, one), &of(&table, other)))
        .unwrap_or(POOL_MANY);
    for (what, above, below, at_most) in [
        ("update / raw call and two clock reads", ENGINE, CLOCK, 1.5),
        (
            "update / spawn_blocking and timeout",
            ENGINE,
            BLOCKING,
            1.0 / 90.0,
        ),
        (
            "update / the best hand-written pool",
            ENGINE,
            pool,
            1.0 / 3.0,
        ),
        (
            "update / wasmtime of 1,000 instances",
            ENGINE,
            WASM_MANY,
            1.0,
        ),
        (
            "cycle of one / hand-over by condition variables",
            ENGINE_ONE,
            CONDVAR,
            1.5,
        ),
    ] {
        report.judge_ratio(what, above, below, at_most);
    }
}

fn of(table: &Table, name: &str) -> f64 {
    table.median(name).unwrap_or(f64::INFINITY)
}
