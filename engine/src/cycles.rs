//! What an embedder calls of update cycles: one at a time, or a run of them. The rest of the façade is in `engine`.

use std::sync::atomic::Ordering;

use plugin_engine_core::Moment;

use crate::engine::Engine;
use crate::error::Error;
use crate::executor::CycleReport;
use crate::scheduler::{self, Cycle, RunLimit};
use crate::supervisor::TaskHandle;

/// Ends the run of a future that is dropped.
struct StopOnDrop(TaskHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Cycles.
impl Engine {
    /// Calls every plugin that is due, and waits for the ends or the deadlines of the calls.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let report = engine.run_cycle();
    /// assert_eq!(report.due, 0, "nothing is loaded");
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn run_cycle(&self) -> CycleReport {
        self.start_cycle().wait()
    }

    /// Starts a cycle and returns at once.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let cycle = engine.start_cycle();
    /// // Something else is done meanwhile.
    /// let report = cycle.wait();
    /// assert_eq!(report.timed_out, 0);
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn start_cycle(&self) -> Cycle {
        scheduler::start_cycle(self.shared())
    }

    /// Runs cycles, each when the next plugin is due, until [`Engine::stop`] or [`Engine::shutdown`]. Blocks; no plugin is
    /// called on this thread.
    ///
    /// ```
    /// use std::{thread, time::Duration};
    ///
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let runs = engine.clone();
    /// let run = thread::spawn(move || runs.run());
    /// engine.shutdown(Duration::from_secs(5))?;
    /// run.join().unwrap();
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn run(&self) {
        self.run_until(RunLimit::Stopped);
    }

    /// [`Engine::run`] with a limit. Returns in how many cycles plugins were due.
    ///
    /// ```
    /// use plugin_engine::RunLimit;
    /// use std::time::Duration;
    ///
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let cycles = engine.run_until(RunLimit::For(Duration::from_millis(5)));
    /// assert_eq!(cycles, 0, "nothing is loaded, so nothing was due");
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn run_until(&self, limit: RunLimit) -> u64 {
        let before = self.shared().board.ledger.run.stops.load(Ordering::SeqCst);
        scheduler::run(self.shared(), limit, before)
    }

    /// [`Engine::run`] as a future, for any executor. Dropping it stops the run.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let runs = engine.clone();
    /// let run = tokio::spawn(async move { runs.run_async().await });
    /// tokio::task::yield_now().await;
    /// engine.shutdown(Duration::from_secs(5))?;
    /// run.await.expect("it does not panic")?;
    /// # Ok::<(), plugin_engine::Error>(()) })?;
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// The thread that runs the cycles could not be started.
    pub async fn run_async(&self) -> Result<(), Error> {
        let run = scheduler::start(self.shared())?;
        let run = StopOnDrop(run);
        run.0.ended().await;
        Ok(())
    }

    /// Tells all runs to return. Calls in flight go on to their ends or deadlines.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let stopper = engine.clone();
    /// let tasks = engine.supervise("stop-after-a-while", move |cx| {
    ///     cx.sleep(std::time::Duration::from_millis(5));
    ///     stopper.stop();
    /// })?;
    /// engine.run_until(plugin_engine::RunLimit::For(std::time::Duration::from_secs(1)));
    /// # tasks.join();
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn stop(&self) {
        scheduler::stop(self.shared());
    }

    /// When the next plugin is due, by the engine's own clock.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// assert_eq!(engine.next_due(), None, "nothing is loaded");
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        self.shared().board.ledger.timers.lock().next_due()
    }
}
