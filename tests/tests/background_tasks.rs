//! Every background task of an engine, one after another: killed, it is started again and does its work; wedged, it is named as stale
//! while all others are well; in something long, it says since when it is busy.

use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use plugin_engine::{
    Cause, Engine, FaultPoint, LoadOutcome, PluginState, TaskLiveness, WatchHandle,
};
use plugin_engine_tests::{Faults, Gate, PollClock, Rig, ThreadHooks, built, lines_with, wait_for};
use tempfile::TempDir;

/// The tasks, and whether any of what they do is known to be long.
const TASKS: [(&str, bool); 8] = [
    ("plugin-watchdog", false),
    ("plugin-scheduler", false),
    ("plugin-watch", true),
    ("plugin-reaper", true),
    ("plugin-dependents", false),
    ("plugin-probation", true),
    ("plugin-loader", true),
    ("plugin-timer", false),
];

/// An engine in which every background task runs.
struct Everything {
    rig: Rig,
    clock: PollClock,
    faults: Faults,
    gate: Gate,
    /// Files from elsewhere.
    elsewhere: TempDir,
    _runtime: tokio::runtime::Runtime,
    wakes: Receiver<()>,
    loads: Vec<JoinHandle<Vec<LoadOutcome>>>,
    _watch: WatchHandle,
}

impl Everything {
    fn new() -> Self {
        let (clock, faults, gate) = (PollClock::new(), Faults::new(), Gate::new());
        // Listens from the beginning.
        assert!(lines_with(faults.marker()).is_empty());
        let rig = Rig::with(|builder| {
            faults
                .inject(builder)
                .clock(clock.clone())
                .thread_census(ThreadHooks)
                .watch_settle(Duration::from_millis(5))
                .watch_grace(Duration::from_secs(3_600))
                .watch_rescan(Duration::from_millis(10))
        });
        rig.drop_as("noop", "required", "interval = \"1h\"\n");
        rig.drop_as("noop", "requires", "requires = [\"required\"]\n");
        rig.drop_as("counter", "leaves", "unmap = \"when-safe\"\n");
        rig.drop_as("gated", "hangs", &gate.settings("in_call = \"display\""));
        let good = "interval = \"10m\"\nprobation = \"1d\"\ntrial_update = false\n";
        rig.drop_as("keeps-state", "on-probation", good);
        rig.load();
        let bad = format!("{good}[settings]\nfails_in = \"update\"\n");
        let config = format!("id = \"on-probation\"\n{bad}");
        std::fs::write(rig.dir().join("on-probation.toml"), config).unwrap();
        // Not by its id: the watch is to find nothing that has changed.
        rig.engine.sync(|_| ()).unwrap();
        assert_eq!(rig.snapshot("on-probation").generation, 2);
        let watch = rig.engine.watch(|_| ()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let runs = rig.engine.clone();
        runtime.spawn(async move { runs.run_async().await });
        let wakes = ticks(&rig.engine, &runtime);
        let this = Self {
            rig,
            clock,
            faults,
            gate,
            elsewhere: TempDir::new().unwrap(),
            _runtime: runtime,
            wakes,
            loads: Vec::new(),
            _watch: watch,
        };
        let names = TASKS.map(|(name, _)| name);
        wait_for("all tasks to make progress", || {
            this.rig.engine.is_healthy(&names, None).is_ok()
        });
        this
    }

    fn engine(&self) -> &Engine {
        &self.rig.engine
    }

    fn of(&self, task: &str) -> TaskLiveness {
        let mut all = self.engine().liveness().into_iter();
        all.find(|one| &*one.name == task).expect("it was started")
    }

    /// Loads a file from elsewhere, on a thread of its own.
    fn load(&mut self, id: &str, config: &str) {
        let path = self.elsewhere.path().join(format!("{id}.so"));
        std::fs::copy(built("noop"), &path).unwrap();
        let config = format!("id = \"{id}\"\n{config}");
        std::fs::write(path.with_extension("toml"), config).unwrap();
        let engine = self.engine().clone();
        let load = std::thread::spawn(move || engine.load_file(path).unwrap());
        self.loads.push(load);
    }

    /// Has a task begin a round, if it does not do so all the time.
    fn provoke(&mut self, task: &str) {
        match task {
            "plugin-loader" => self.load("provoked", ""),
            "plugin-dependents" => self.load("provoked", "requires = [\"required\"]\n"),
            "plugin-reaper" => self.engine().unload("leaves").unwrap(),
            // It looks when the next tick has come, or the next beat.
            "plugin-scheduler" => self.clock.advance(2_000),
            _ => {}
        }
    }

    /// Whether the work was done that was provoked.
    fn has_done_what_was_provoked(&mut self) {
        for load in self.loads.drain(..) {
            for outcome in load.join().unwrap() {
                assert!(outcome.is_good(), "{outcome}");
            }
        }
    }

    /// The task does what it is there for.
    fn works(&mut self, task: &str) {
        match task {
            "plugin-watchdog" => self.abandons_a_call(),
            "plugin-scheduler" => {
                let before = self.rig.snapshot("required").counts.successes;
                self.clock.advance(3_600_000);
                wait_for("an update", || {
                    self.rig.snapshot("required").counts.successes > before
                });
            }
            "plugin-watch" => {
                self.rig.drop_as("noop", "dropped-in", "");
                wait_for("the load", || {
                    self.rig.state("dropped-in") == PluginState::Enabled
                });
            }
            "plugin-reaper" => {
                wait_for("the unmap", || {
                    let mut mapped = self.engine().mapped_libraries().into_iter();
                    !mapped.any(|one| one.file.ends_with("leaves.so"))
                });
            }
            "plugin-dependents" | "plugin-loader" => {
                self.has_done_what_was_provoked();
                // Its first update is due at once, and may be under way.
                wait_for("the plugin", || {
                    self.rig.state("provoked") == PluginState::Enabled
                });
            }
            "plugin-probation" => {
                self.fails_three_times();
                wait_for("the roll-back", || {
                    self.rig.causes("on-probation").contains(&Cause::RolledBack)
                });
            }
            "plugin-timer" => {
                while self.wakes.try_recv().is_ok() {}
                wait_for("the future to be woken", || {
                    self.clock.advance(1_000);
                    self.wakes.try_recv().is_ok()
                });
            }
            other => panic!("nobody knows what {other} does"),
        }
    }

    /// What is on probation turns out badly.
    fn fails_three_times(&self) {
        let failures = || self.rig.snapshot("on-probation").counts.failures;
        wait_for("the first failure", || failures() >= 1);
        // No further than to the next update: the roll-back has deadlines, too.
        for number in 2..=3 {
            self.clock.advance(600_000);
            wait_for("the next failure", || failures() >= number);
        }
    }

    fn abandons_a_call(&mut self) {
        let engine = self.engine().clone();
        let display = std::thread::spawn(move || engine.display("hangs"));
        self.gate.await_entry(1);
        // Nobody but the watchdog looks at the deadline.
        self.clock.advance(2_000);
        let ended = display.join().unwrap();
        assert!(ended.is_err());
        self.gate.open_all();
    }
}

/// A future that is woken every second of the clock, and says so.
fn ticks(engine: &Engine, runtime: &tokio::runtime::Runtime) -> Receiver<()> {
    let _within = runtime.enter();
    let (woken, wakes) = channel();
    let ticks = engine.supervise_async("ticks", move |context| {
        let woken = woken.clone();
        async move {
            loop {
                context.sleep_async(Duration::from_secs(1)).await;
                let _ = woken.send(());
            }
        }
    });
    ticks.unwrap();
    wakes
}

#[test]
fn a_task_that_panics_is_started_again_after_a_second_and_does_its_work() {
    for (task, _) in TASKS {
        let mut all = Everything::new();
        all.faults.kill(task, FaultPoint::Round);
        all.provoke(task);
        wait_for("the panic", || all.faults.has_killed());
        // Told when it is known when it is started again.
        wait_for("the line of log", || {
            lines_with(all.faults.marker()).len() == 1
        });
        let line = lines_with(all.faults.marker()).remove(0);
        assert_eq!(line.level, "ERROR");
        assert!(
            line.message.contains(task) && line.message.contains("again in 1s"),
            "{line:?}"
        );
        assert!(line.fields["location"].contains("faults.rs"), "{line:?}");
        assert!(line.fields["stack"].contains("+0x"), "{line:?}");
        all.clock.advance(999);
        for (other, _) in TASKS {
            assert_eq!(all.of(other).restarts, 0, "{task}: {other}");
        }
        all.clock.advance(1);
        wait_for(task, || all.of(task).restarts == 1);
        all.works(task);
        all.has_done_what_was_provoked();
        for (other, _) in TASKS.iter().filter(|(other, _)| *other != task) {
            assert_eq!(all.of(other).restarts, 0, "{task}: {other}");
        }
        assert_eq!(lines_with(all.faults.marker()).len(), 1);
        wait_for("all to be well", || {
            all.engine().is_healthy(&[task], None).is_ok()
        });
    }
}

#[test]
fn a_plugin_that_is_being_rolled_back_when_a_panic_comes_up_is_rolled_back_after_that() {
    let all = Everything::new();
    all.faults.kill("plugin-probation", FaultPoint::Protected);
    all.fails_three_times();
    wait_for("the line of log", || {
        lines_with(all.faults.marker()).len() == 1
    });
    assert!(!all.rig.causes("on-probation").contains(&Cause::RolledBack));
    all.clock.advance(1_000);
    wait_for("the roll-back", || {
        all.rig.causes("on-probation").contains(&Cause::RolledBack)
    });
}

#[test]
fn a_task_that_hangs_is_named_as_stale_while_its_helper_beats_and_all_others_are_well() {
    for (task, _) in TASKS {
        let mut all = Everything::new();
        all.faults.hold(task, FaultPoint::Round);
        all.provoke(task);
        all.faults.await_held();
        // Within the threshold it is not stale, however often its helper beats.
        let last = all.of(task).last_progress;
        assert!(last.is_some());
        all.clock.advance(1);
        let names = TASKS.map(|(name, _)| name);
        let stale = |all: &Everything| -> Vec<String> {
            let checked = all.engine().is_healthy(&names, None);
            let tasks = checked.err().map(|stale| stale.tasks).unwrap_or_default();
            tasks.iter().map(|stale| stale.name.to_string()).collect()
        };
        wait_for("all to be well within the threshold", || {
            stale(&all).is_empty()
        });
        all.clock.advance(6_000);
        wait_for(task, || stale(&all) == [task]);
        let beats = all.faults.beats();
        wait_for("its helper to beat", || all.faults.beats() > beats + 10);
        wait_for("the others to go on", || stale(&all) == [task]);
        let told = all.of(task);
        assert_eq!((told.last_progress, told.protected), (last, false));
        assert!(told.stale.is_some() && told.busy_since.is_some());
        assert!(told.seconds_ago >= Some(6));
        all.faults.release();
        wait_for("all to be well again", || stale(&all).is_empty());
        all.works(task);
        all.has_done_what_was_provoked();
        assert_eq!(all.of(task).restarts, 0);
    }
}

#[test]
fn a_task_in_something_long_says_since_when_it_is_busy_and_is_not_stale() {
    for (task, _) in TASKS.iter().filter(|(_, is_long)| *is_long) {
        let mut all = Everything::new();
        all.faults.hold(task, FaultPoint::Protected);
        all.provoke(task);
        if *task == "plugin-probation" {
            // The roll-back is what is long.
            all.fails_three_times();
        }
        all.faults.await_held();
        let began = all.of(task);
        assert!(began.protected && began.busy_since.is_some(), "{began:?}");
        all.clock.advance(60_000);
        let names = TASKS.map(|(name, _)| name);
        wait_for("the others to go on", || {
            all.engine().is_healthy(&names, None).is_ok()
        });
        let long = all.of(task);
        assert_eq!(long.busy_since, began.busy_since);
        assert!(long.protected && long.stale.is_none(), "{long:?}");
        assert!(long.seconds_ago >= Some(60));
        all.faults.release();
        wait_for("the end of what is long", || {
            let after = all.of(task);
            !after.protected || after.busy_since != began.busy_since
        });
        all.has_done_what_was_provoked();
    }
}
