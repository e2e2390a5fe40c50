//! The end: no new call, a budget for those in flight, instances destroyed before those that they require, and otherwise in the reverse
//! order of their start.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use plugin_engine_core::Event;

use crate::cell::Cell;
use crate::executor::{self, TaskCall};
use crate::loader;
use crate::requirements;
use crate::scheduler;
use crate::shared::Shared;
use crate::unmap;
use crate::waiting;

/// The share of the budget that calls in flight may use before what is left goes to the destroys.
const SHARE_OF_CALLS: f64 = 0.6;
/// How often a shutdown looks whether the calls in flight have ended.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Shuts the engine down within `budget` of real time. A second call returns at once.
pub(crate) fn shutdown(engine: &Arc<Shared>, budget: Duration) {
    if engine.board.stopping.swap(true, Ordering::SeqCst) {
        return;
    }
    let began = waiting::now();
    let ends = began.checked_add(budget);
    scheduler::stop(engine);
    engine.supervisor.close();
    #[cfg(feature = "watch")]
    engine.watches.end();
    requirements::close(engine);
    let order = requirements::stop_order(engine);
    cancel_calls(&order);
    // A replacement that is being tried need not be any more.
    engine.executor.asides.cancel();
    engine.board.ledger.probations.ring();
    wait_for_calls(engine, &order, began, budget.mul_f64(SHARE_OF_CALLS));
    engine.executor.asides.close();
    // Whoever has not returned by now is named in the history, and not waited for any more.
    executor::abandon_all(&engine.executor);

    for (position, cell) in order.iter().enumerate() {
        let left = ends.map_or(budget, |ends| {
            ends.saturating_duration_since(waiting::now())
        });
        // One that hangs must not use up what the others need: each gets its share of what is left.
        let share = left / u32::try_from(order.len() - position).unwrap_or(u32::MAX);
        let share = share.min(engine.options.destroy_timeout);
        unload(engine, cell, share);
    }
    executor::abandon_all(&engine.executor);
    for cell in &order {
        // A create or a destroy that was given up above leaves its plugin to be unloaded now.
        unload(engine, cell, Duration::ZERO);
    }
    unmap::stop(engine, ends);
    loader::close(&engine.loader);
    engine.executor.close();
    engine.executor.watchdog.end();
    #[cfg(feature = "history-sqlite")]
    crate::durable::finish(engine, ends);
    engine.supervisor.cancel_all();
    let left = engine.supervisor.join_all(ends);
    engine.board.ledger.events.close();
    engine.board.crashes.end();
    if let Some(dir) = &engine.state_dir {
        dir.release();
    }
    for task in left {
        tracing::warn!(target: "plugin_engine::shutdown", %task, "has not ended; its thread is left behind");
    }
    for stuck in stuck_calls(engine) {
        tracing::warn!(target: "plugin_engine::shutdown", plugin = %stuck.id, call = %stuck.call, since = %stuck.since, "has not returned; its thread is left behind");
    }
}

/// Tells the calls in flight that nobody will wait for them much longer.
fn cancel_calls(order: &[Arc<Cell>]) {
    for cell in order {
        let guarded = cell.lock();
        if let (Some(call), Some(loaded)) = (guarded.machine.in_flight(), &guarded.loaded) {
            loaded.host.cancel(call.id);
        }
    }
}

fn wait_for_calls(engine: &Shared, order: &[Arc<Cell>], began: Instant, limit: Duration) {
    let in_flight = |cell: &Arc<Cell>| {
        let guarded = cell.lock();
        guarded
            .machine
            .in_flight()
            .is_some_and(|call| !call.abandoned)
    };
    let waits = || engine.executor.asides.running() > 0 || order.iter().any(in_flight);
    while waits() && waiting::now() - began < limit {
        waiting::sleep(LOOK_EVERY);
    }
}

/// Unloads one plugin and destroys its instance, waiting for that no longer than `share`.
fn unload(engine: &Arc<Shared>, cell: &Arc<Cell>, share: Duration) {
    let until = waiting::now().checked_add(share);
    let mut guarded = cell.lock();
    let now = engine.board.ledger.time.now();
    let applied = cell.apply(&engine.board.ledger, &mut guarded, now, Event::ShutDown);
    if applied.is_ok() {
        if let Some(loaded) = &guarded.loaded {
            loaded.host.stop_listening_at_all();
        }
        cell.set_loaded(&mut guarded, None);
    } else if guarded.machine.has_instance() {
        return;
    }
    // Also of a plugin that a policy has unloaded, and that no cycle has come to since.
    let instance = guarded.instance.take();
    drop(guarded);
    if let Ok(applied) = applied {
        applied.log();
    }
    let Some(instance) = instance else { return };
    if share.is_zero() {
        // No time for code of the plugin any more; what it holds goes with the process.
        return;
    }
    let call = TaskCall::Destroy {
        instance,
        current: false,
    };
    let waiter = engine.executor.submit_task(cell, call);
    if let Some(until) = until {
        waiter.look_until(until);
    }
}

/// A call that has passed its deadline and has not returned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StuckCall {
    /// The plugin.
    pub id: plugin_engine_core::PluginId,
    /// The kind of call.
    pub call: plugin_engine_core::CallKind,
    /// When it started.
    pub since: plugin_engine_core::WallTime,
}

/// The calls that have passed their deadline and have not returned, by the order in which their plugins became known.
pub(crate) fn stuck_calls(engine: &Shared) -> Vec<StuckCall> {
    let asides = engine.executor.asides.stuck().into_iter();
    let asides = asides.map(|stuck| StuckCall {
        id: stuck.id,
        call: stuck.call,
        since: stuck.since,
    });
    engine
        .board
        .registry
        .all()
        .filter_map(|cell| {
            let snapshot = cell.snapshot(&engine.board.ledger.time);
            let call = snapshot.in_flight.filter(|call| call.abandoned)?;
            Some(StuckCall {
                id: snapshot.id().clone(),
                call: call.call,
                since: call.since,
            })
        })
        .chain(asides)
        .collect()
}
