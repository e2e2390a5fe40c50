//! What an embedder calls of plugin files: loading them, following their changes, asking what became of them. The rest of the façade is in
//! `engine`.

use std::path::Path;
use std::sync::Arc;

use crate::crashes::FoundCall;
use crate::engine::Engine;
use crate::error::{Error, LoadError};
use crate::library::MappedLibrary;
use crate::plugins::{self, LoadOutcome};
use crate::readiness;
use crate::reload::{self, Trigger};
use crate::sync;
use crate::unmap;

/// Files.
impl Engine {
    /// Loads every plugin file of the plugin directory that is not loaded yet, by file name, and waits until the plugins are
    /// created, within the start-up budget. One outcome per plugin, or per file that is none.
    ///
    /// A bad file, a bad configuration or a slow plugin keeps no other from being loaded. A directory or an engine
    /// configuration that cannot be read is a line of log and no outcome; [`Engine::try_load_all`] returns it as an error.
    ///
    /// ```
    /// # use plugin_engine::{Code, Engine};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let file = dir.path().join("libnotes").with_extension(std::env::consts::DLL_EXTENSION);
    /// std::fs::write(&file, "no library")?;
    /// let engine = Engine::builder().plugin_dir(dir.path()).build()?;
    /// let outcomes = engine.load_all();
    /// assert_eq!(outcomes[0].code(), Some(Code::FILE_NO_LIBRARY));
    /// # Ok(()) }
    /// ```
    pub fn load_all(&self) -> Vec<LoadOutcome> {
        match self.try_load_all() {
            Ok(outcomes) => outcomes,
            Err(error) => {
                tracing::error!(target: "plugin_engine", %error, "cannot load plugins");
                Vec::new()
            }
        }
    }

    /// [`Engine::load_all`], with what keeps all of it from being done as an error instead of a line of log.
    ///
    /// ```
    /// # use plugin_engine::{Code, Engine};
    /// let engine = Engine::builder().plugin_dir("/nowhere/plugins.d").build()?;
    /// let error = engine.try_load_all().unwrap_err();
    /// assert_eq!(error.code(), Code::DIRECTORY_UNREADABLE);
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// The directory or the engine's configuration cannot be read, or that asks for less of plugin files than when the engine was
    /// built, or the engine was shut down.
    pub fn try_load_all(&self) -> Result<Vec<LoadOutcome>, Error> {
        let mut outcomes = Vec::new();
        self.load_each(|outcome| outcomes.push(outcome))?;
        Ok(outcomes)
    }

    /// [`Engine::try_load_all`], with each outcome handed over as soon as it is known, on this thread and under no lock: a refused file
    /// is told at once, a plugin once it is created.
    ///
    /// ```no_run
    /// # let engine = plugin_engine::Engine::builder().plugin_dir("plugins.d").build()?;
    /// engine.load_each(|outcome| println!("{outcome}"))?;
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// The directory or the engine's configuration cannot be read: nothing was told then. Or the engine was shut down, which may come
    /// between two files: those after it are not loaded, and how those before it ended is in the history.
    pub fn load_each(&self, told: impl FnMut(LoadOutcome)) -> Result<(), Error> {
        plugins::load_all(self.shared(), told)?;
        readiness::loaded(self.shared());
        Ok(())
    }

    /// Loads one file from anywhere, as the configuration beside it says. A file of the plugin directory, whichever way it is named, is
    /// loaded as [`Engine::load_all`] would; elsewhere a `plugins.lock` of the directory in which the file is named holds, if there is
    /// one, unless the policy names a lock.
    ///
    /// ```
    /// # use plugin_engine::{Code, Engine};
    /// let engine = Engine::builder().build()?;
    /// let outcomes = engine.load_file("/nowhere/libclock.so")?;
    /// assert_eq!(outcomes[0].code(), Some(Code::FILE_UNREADABLE));
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// The configuration beside it is not good, or the engine was shut down. What is wrong with the file itself is in the
    /// outcome.
    pub fn load_file(&self, path: impl AsRef<Path>) -> Result<Vec<LoadOutcome>, Error> {
        let outcomes = plugins::load_path(self.shared(), path.as_ref())?;
        readiness::loaded(self.shared());
        Ok(outcomes)
    }

    /// Brings the plugins of one file in line with it and with the configurations as they are now: [`Engine::reload`] for those that are
    /// loaded, [`Engine::load_file`] for those that are not; what no configuration makes of the file any more is unloaded.
    ///
    /// ```no_run
    /// # let engine = plugin_engine::Engine::builder().plugin_dir("plugins.d").build()?;
    /// # engine.load_all();
    /// for outcome in engine.reload_file("plugins.d/libclock.so")? {
    ///     println!("{outcome}");
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// The configuration is not good and nothing of the file is loaded, or the engine was shut down. A replacement that was refused
    /// is an outcome.
    pub fn reload_file(&self, path: impl AsRef<Path>) -> Result<Vec<LoadOutcome>, Error> {
        reload::reload_file(self.shared(), path.as_ref(), Trigger::Asked)
    }

    /// Brings what is loaded in line with the plugin directory and the configurations as they are now: a new file is loaded; one that
    /// was replaced, or whose configuration changed, is reloaded; the plugins of one that is gone are unloaded; what was refused is tried
    /// again. Nothing else is touched, and what has not changed is not told. Each outcome is handed over as soon as it is known, on this
    /// thread and under no lock.
    ///
    /// An engine's file that is not good is one of the outcomes; what held before goes on until it changes. A plugin that was switched
    /// off by command stays so; one that was unloaded by command stays so until its file changes.
    ///
    /// A file that is being written at this moment is taken as it is, which may be half of it, and refused; [`Engine::watch`] waits.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let engine = plugin_engine::Engine::builder().plugin_dir(dir.path()).build()?;
    /// engine.load_all();
    /// // Somebody adds, replaces or removes files. Then:
    /// engine.sync(|outcome| println!("{outcome}"))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The plugin directory cannot be read, or is an empty one in place of the one before, as an unmounted file system leaves it: nothing
    /// changed then. Or the engine was shut down.
    pub fn sync(&self, mut told: impl FnMut(LoadOutcome)) -> Result<(), Error> {
        sync::sync(self.shared(), &mut told)?;
        readiness::loaded(self.shared());
        Ok(())
    }

    /// Watches the plugin directory and the configuration, on a thread of its own, and does what [`Engine::sync`] does for each change
    /// once it has settled: when the file has stayed as it is for a while, so that half a file is none, or has been gone for a while, so
    /// that a file which is taken away and put back is one that was replaced. What was refused is tried again when it changes.
    ///
    /// Besides what the system reports, the directory is looked at every few seconds; where the system reports nothing, that is all, and
    /// a line of log says so. A directory that is gone altogether changes nothing until it is back.
    ///
    /// `told` gets the outcomes, on that thread and under no lock. If it panics, the watch goes on. Of several watches of one engine each
    /// change is told to one.
    ///
    /// The watch ends when its handle is dropped or the engine is shut down; what it is about to do at that moment is done. An engine
    /// without a plugin directory has nothing to watch.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let engine = plugin_engine::Engine::builder().plugin_dir(dir.path()).build()?;
    /// let watch = engine.watch(|outcome| println!("{outcome}"))?;
    /// // The program does what it does. When nothing is to change any more:
    /// watch.stop();
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The thread could not be started.
    #[cfg(feature = "watch")]
    pub fn watch(
        &self,
        told: impl FnMut(LoadOutcome) + Send + 'static,
    ) -> Result<crate::watch::WatchHandle, Error> {
        crate::watch::start(self.shared(), Box::new(told))
    }

    /// The files that were refused and have no plugin that shows the reason: nobody could read whose they are, or another file
    /// has the id.
    ///
    /// ```
    /// # use plugin_engine::{Code, Engine};
    /// # let engine = Engine::builder().build()?;
    /// engine.load_file("/nowhere/libclock.so")?;
    /// assert_eq!(engine.refused()[0].code(), Code::FILE_UNREADABLE);
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn refused(&self) -> Vec<Arc<LoadError>> {
        self.shared().refused.unshown()
    }

    /// The plugin files whose code is in this process, in the order in which they were mapped, each with why it still is. One that
    /// nothing uses any more stays for the life of the process, unless `unmap` is `when-safe` for all of its plugins and nothing can run
    /// it any more. Never waits for a plugin.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// assert!(engine.mapped_libraries().is_empty(), "nothing was loaded");
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn mapped_libraries(&self) -> Vec<MappedLibrary> {
        unmap::mapped(self.shared())
    }

    /// The calls that were in flight when the process before ended that had this engine's state directory: whose call brought it to its
    /// end, and who was only being called. Each is in the history of its plugin, too. Empty without a state directory, and after an engine
    /// that was shut down.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let engine = plugin_engine::Engine::builder().state_dir(dir.path()).build()?;
    /// for call in engine.found_calls().iter().filter(|call| call.crashed) {
    ///     eprintln!("{} has crashed the process before: {}", call.id, call.message);
    /// }
    /// # assert!(engine.found_calls().is_empty());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn found_calls(&self) -> &[FoundCall] {
        self.shared().board.crashes.found()
    }
}
