//! THE TABLE OF METRICS: every number there is, with its name, its unit and what it means. Names and labels are a promise to those who keep
//! them: they are added to, never renamed.

use std::fmt::Error;

use plugin_engine::{
    BreakerState, Counts, DURATION_BOUNDS, Health, PluginState, PluginTallies, Snapshot, TaskKind,
    WallTime,
};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::gathered::Gathered;

const STATES: [PluginState; 6] = [
    PluginState::Unloaded,
    PluginState::Loaded,
    PluginState::Enabled,
    PluginState::Running,
    PluginState::Error,
    PluginState::Disabled,
];
const HEALTHS: [Health; 4] = [
    Health::Unknown,
    Health::Healthy,
    Health::Degraded,
    Health::Unhealthy,
];
const BREAKERS: [BreakerState; 3] = [
    BreakerState::Closed,
    BreakerState::Open,
    BreakerState::HalfOpen,
];

/// A count of a plugin.
type CountOf = fn(&Counts) -> u64;

/// What is counted of each plugin.
const COUNTERS: [(&str, &str, CountOf); 8] = [
    ("calls", "Calls of every kind that were started", |counts| {
        counts.calls
    }),
    ("updates", "Updates that were started", |counts| {
        counts.updates
    }),
    ("successes", "Calls that completed", |counts| {
        counts.successes
    }),
    ("failures", "Calls that returned an error", |counts| {
        counts.failures
    }),
    ("timeouts", "Calls that passed their deadline", |counts| {
        counts.timeouts
    }),
    (
        "panics",
        "Calls, and threads of the plugin, that panicked",
        |counts| counts.panics,
    ),
    (
        "late_returns",
        "Calls that returned after their deadline",
        |counts| counts.late,
    ),
    (
        "skipped_updates",
        "Updates that were due and could not be started",
        |counts| counts.skipped,
    ),
];

/// A time of a plugin.
type TimeOf = fn(&Snapshot) -> Option<WallTime>;

/// The times of each plugin.
const TIMES: [(&str, &str, TimeOf); 3] = [
    (
        "next_update",
        "When the next update is due, since 1970",
        |plugin| plugin.next_update,
    ),
    (
        "last_success",
        "When the last update completed, since 1970",
        |plugin| plugin.last_success,
    ),
    (
        "in_state_since",
        "Since when the plugin is in its state, since 1970",
        |plugin| plugin.since,
    ),
];

type Written = Result<(), Error>;

impl Collector for Gathered {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Written {
        let out = &mut Families(&mut encoder);
        self.engine(out)?;
        self.tasks(out)?;
        self.libraries(out)?;
        self.plugins(out)
    }
}

/// Where families are written.
struct Families<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Families<'_, '_> {
    fn family(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        kind: MetricType,
        write: impl FnOnce(&mut MetricEncoder<'_>) -> Written,
    ) -> Written {
        let name = format!("plugin_engine_{name}");
        let mut metric = self.0.encode_descriptor(&name, help, unit.as_ref(), kind)?;
        write(&mut metric)
    }

    fn gauge(&mut self, name: &str, help: &str, unit: Option<Unit>, value: f64) -> Written {
        self.family(name, help, unit, MetricType::Gauge, |metric| {
            metric.encode_gauge(&value)
        })
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Written {
        self.family(name, help, None, MetricType::Counter, |metric| {
            count(metric, value)
        })
    }
}

fn count(metric: &mut MetricEncoder<'_>, value: u64) -> Written {
    metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
}

fn seconds(time: WallTime) -> f64 {
    time.as_unix_nanos() as f64 / 1e9
}

impl Gathered {
    fn engine(&self, out: &mut Families<'_, '_>) -> Written {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        let help = "The engine that runs";
        out.family("build", help, None, MetricType::Info, |metric| {
            metric.encode_info(&version)
        })?;
        let started = seconds(self.started_at);
        out.gauge(
            "start_time",
            "When the engine was started, since 1970",
            Some(Unit::Seconds),
            started,
        )?;
        let ready = f64::from(u8::from(self.is_ready));
        out.gauge(
            "ready",
            "Whether all plugins run that are required",
            None,
            ready,
        )?;
        let usage = &self.usage;
        for (name, help, value) in [
            ("plugins", "Plugins that are known", usage.plugins),
            (
                "workers",
                "Plugins that are called at the same time when none is slow",
                usage.workers,
            ),
            ("threads", "Threads that call plugins", usage.threads),
            (
                "threads_limit",
                "How many threads may call plugins",
                usage.threads_max,
            ),
            (
                "slow_threads",
                "Threads in a call that has lasted a millisecond",
                usage.slow_threads,
            ),
            (
                "stuck_calls",
                "Calls that have passed their deadline and have not returned",
                self.stuck_calls,
            ),
            (
                "refused_files",
                "Files that were refused and have no plugin that says so",
                self.refused,
            ),
        ] {
            out.gauge(name, help, None, value as f64)?;
        }
        let bytes = usage.history_bytes as f64;
        out.gauge(
            "history_memory",
            "Memory that the histories take",
            Some(Unit::Bytes),
            bytes,
        )?;
        let entries: usize = self.plugins.iter().map(|(one, _)| one.history_len).sum();
        out.gauge(
            "history_entries",
            "Transitions that are held in memory",
            None,
            entries as f64,
        )?;
        if let Some((held, has_problem)) = self.durable {
            let help = "Transitions that wait to be written to disk";
            out.gauge("history_queue_entries", help, None, held as f64)?;
            let help = "Whether the history cannot be written at present";
            let problem = f64::from(u8::from(has_problem));
            out.gauge("history_write_problem", help, None, problem)?;
        }
        out.counter("transitions", "Transitions of all plugins", self.last_seq)?;
        let help = "Events that came faster than the admin server could keep them";
        out.counter("events_lost", help, self.events_lost)
    }

    fn tasks(&self, out: &mut Families<'_, '_>) -> Written {
        // Plugins that record progress have metrics of their own.
        let tasks = || {
            self.tasks
                .iter()
                .filter(|task| task.kind != TaskKind::Plugin)
        };
        out.family(
            "task_stale",
            "Whether a background task makes no progress",
            None,
            MetricType::Gauge,
            |metric| {
                tasks().try_for_each(|task| {
                    let stale = f64::from(u8::from(task.stale.is_some()));
                    metric
                        .encode_family(&[("task", &*task.name)])?
                        .encode_gauge(&stale)
                })
            },
        )?;
        let help = "How often a background task was started again after a panic";
        out.family("task_restarts", help, None, MetricType::Counter, |metric| {
            tasks().try_for_each(|task| {
                count(
                    &mut metric.encode_family(&[("task", &*task.name)])?,
                    task.restarts.into(),
                )
            })
        })
    }

    fn libraries(&self, out: &mut Families<'_, '_>) -> Written {
        let usage = &self.usage;
        let uses = [
            ("in_use", usage.libraries_in_use),
            ("retired", usage.libraries_retired),
        ];
        let help = "Plugin files whose code is mapped, by whether anything uses it";
        out.family("libraries", help, None, MetricType::Gauge, |metric| {
            uses.iter().try_for_each(|(name, value)| {
                metric
                    .encode_family(&[("use", *name)])?
                    .encode_gauge(&(*value as f64))
            })
        })?;
        let help = "How many plugin files may be mapped";
        out.gauge("libraries_limit", help, None, usage.libraries_max as f64)?;
        let help =
            "Address space of the plugin files whose code is mapped, by whether anything uses it";
        out.family(
            "libraries_mapped",
            help,
            Some(Unit::Bytes),
            MetricType::Gauge,
            |metric| {
                [("in_use", false), ("retired", true)]
                    .iter()
                    .try_for_each(|(name, retired)| {
                        let of = self
                            .libraries
                            .iter()
                            .filter(|one| one.retired_at.is_some() == *retired);
                        let bytes: u64 = of.map(|one| one.bytes).sum();
                        metric
                            .encode_family(&[("use", *name)])?
                            .encode_gauge(&(bytes as f64))
                    })
            },
        )
    }

    fn plugins(&self, out: &mut Families<'_, '_>) -> Written {
        self.one_hot(
            out,
            "state",
            "The state of a plugin: 1 for the one it is in",
            &STATES,
            |one| Some(one.state),
            |state| state.name(),
        )?;
        self.one_hot(
            out,
            "health",
            "The health of a plugin: 1 for the one it has",
            &HEALTHS,
            |one| Some(one.health),
            |health| health.name(),
        )?;
        self.one_hot(
            out,
            "breaker",
            "What the circuit breaker of a plugin does, if it has one: 1 for that",
            &BREAKERS,
            |one| (one.breaker != BreakerState::Off).then_some(one.breaker),
            |breaker| breaker.name(),
        )?;
        for (name, help, of) in COUNTERS {
            self.counters(out, name, help, |plugin, _| of(&plugin.counts))?;
        }
        self.counters(out, "restarts", "Restarts by a policy", |_, tallies| {
            tallies.restarts
        })?;
        for (name, help, of) in TIMES {
            let name = format!("plugin_{name}_timestamp");
            out.family(
                &name,
                help,
                Some(Unit::Seconds),
                MetricType::Gauge,
                |metric| {
                    self.plugins
                        .iter()
                        .try_for_each(|(plugin, _)| match of(plugin) {
                            Some(time) => metric
                                .encode_family(&label(plugin))?
                                .encode_gauge(&seconds(time)),
                            None => Ok(()),
                        })
                },
            )?;
        }
        self.gauges(
            out,
            "generation",
            "The generation that is active",
            |plugin| plugin.generation.into(),
        )?;
        let help = "Updates that failed one after another since the last that completed";
        self.gauges(out, "update_failures_in_a_row", help, |plugin| {
            plugin.in_a_row.updates.into()
        })?;
        self.gauges(
            out,
            "history_entries",
            "Transitions that are held in memory",
            |plugin| plugin.history_len as f64,
        )?;
        self.durations(out)
    }

    fn one_hot<T: Copy + PartialEq>(
        &self,
        out: &mut Families<'_, '_>,
        name: &'static str,
        help: &str,
        values: &[T],
        of: impl Fn(&Snapshot) -> Option<T>,
        called: impl Fn(T) -> &'static str,
    ) -> Written {
        out.family(
            &format!("plugin_{name}"),
            help,
            None,
            MetricType::Gauge,
            |metric| {
                for (plugin, _) in &self.plugins {
                    let Some(is) = of(plugin) else { continue };
                    for &value in values {
                        let labels = [("plugin", plugin.id().as_str()), (name, called(value))];
                        let hot = u32::from(is == value);
                        metric.encode_family(&labels)?.encode_gauge(&hot)?;
                    }
                }
                Ok(())
            },
        )
    }

    fn counters(
        &self,
        out: &mut Families<'_, '_>,
        name: &str,
        help: &str,
        of: impl Fn(&Snapshot, &PluginTallies) -> u64,
    ) -> Written {
        out.family(
            &format!("plugin_{name}"),
            help,
            None,
            MetricType::Counter,
            |metric| {
                self.plugins.iter().try_for_each(|(plugin, tallies)| {
                    count(
                        &mut metric.encode_family(&label(plugin))?,
                        of(plugin, tallies),
                    )
                })
            },
        )
    }

    fn gauges(
        &self,
        out: &mut Families<'_, '_>,
        name: &str,
        help: &str,
        of: impl Fn(&Snapshot) -> f64,
    ) -> Written {
        out.family(
            &format!("plugin_{name}"),
            help,
            None,
            MetricType::Gauge,
            |metric| {
                self.plugins.iter().try_for_each(|(plugin, _)| {
                    metric
                        .encode_family(&label(plugin))?
                        .encode_gauge(&of(plugin))
                })
            },
        )
    }

    fn durations(&self, out: &mut Families<'_, '_>) -> Written {
        let bounds = DURATION_BOUNDS.map(|bound| bound.as_secs_f64());
        let help = "How long updates took; one that passed its deadline counts up to that";
        out.family(
            "plugin_update_duration",
            help,
            Some(Unit::Seconds),
            MetricType::Histogram,
            |metric| {
                for (plugin, tallies) in &self.plugins {
                    let updates = &tallies.updates;
                    let mut buckets = [(f64::INFINITY, 0); DURATION_BOUNDS.len() + 1];
                    let mut below = 0;
                    for (bucket, (bound, upto)) in
                        buckets.iter_mut().zip(bounds.iter().zip(updates.below))
                    {
                        *bucket = (*bound, upto - below);
                        below = upto;
                    }
                    buckets[bounds.len()].1 = updates.calls.saturating_sub(below);
                    metric
                        .encode_family(&label(plugin))?
                        .encode_histogram::<NoLabelSet>(
                            updates.total.as_secs_f64(),
                            updates.calls,
                            &buckets,
                            None,
                        )?;
                }
                Ok(())
            },
        )
    }
}

fn label(plugin: &Snapshot) -> [(&'static str, &str); 1] {
    [("plugin", plugin.id().as_str())]
}
