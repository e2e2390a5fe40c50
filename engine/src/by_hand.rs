//! What an embedder does to one plugin by hand. The rest of the façade is in `engine`, what follows from it in `commands`.

use plugin_api::View;

use crate::commands;
use crate::engine::Engine;
use crate::error::Error;
use crate::plugins::LoadOutcome;
use crate::reload;

/// One plugin, by hand.
impl Engine {
    /// Loads a plugin again that was unloaded, from the file it came from.
    ///
    /// ```no_run
    /// # let engine = plugin_engine::Engine::builder().plugin_dir("plugins.d").build()?;
    /// # engine.load_all();
    /// engine.unload("clock")?;
    /// println!("{}", engine.load("clock")?);
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// The id is unknown, the state does not admit it, or the file is refused.
    pub fn load(&self, id: &str) -> Result<LoadOutcome, Error> {
        commands::load(self.shared(), id)
    }

    /// Has what is in the plugin's file now, and said of it now, take over from what is active, if it is good. It is verified, loaded,
    /// created and, unless `trial_update` is off, updated once while the instance before goes on; then calls are switched between two
    /// of them, and the instance before is destroyed. No update that is due is missed. A plugin of which nothing is loaded is loaded.
    ///
    /// Where bytes and settings are those that are active, nothing happens, or other times begin to hold.
    ///
    /// ```no_run
    /// # let engine = plugin_engine::Engine::builder().plugin_dir("plugins.d").build()?;
    /// # engine.load_all();
    /// match engine.reload("clock") {
    ///     Ok(outcome) => println!("{outcome}"),
    ///     Err(error) => eprintln!("what was there goes on: {error} [{}]", error.code()),
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// The id is unknown, or the replacement was refused: the instance before goes on, the same one, and the reason is in the history, too.
    pub fn reload(&self, id: &str) -> Result<LoadOutcome, Error> {
        reload::reload(self.shared(), id)
    }

    /// Switches a plugin on: creates an instance where there is none.
    ///
    /// ```no_run
    /// # let engine = plugin_engine::Engine::builder().plugin_dir("plugins.d").build()?;
    /// # engine.load_all();
    /// engine.enable("clock")?;
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// The id is unknown, the state does not admit it, or create failed.
    pub fn enable(&self, id: &str) -> Result<(), Error> {
        commands::enable(self.shared(), id)
    }

    /// Switches a plugin off: destroys its instance and keeps its code.
    ///
    /// ```no_run
    /// # let engine = plugin_engine::Engine::builder().plugin_dir("plugins.d").build()?;
    /// # engine.load_all();
    /// engine.disable("clock")?;
    /// assert_eq!(engine.snapshot("clock").state, plugin_engine::PluginState::Disabled);
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// The id is unknown, or the state does not admit it.
    pub fn disable(&self, id: &str) -> Result<(), Error> {
        commands::disable_by_hand(self.shared(), id)
    }

    /// Begins anew: a new instance, no error. Leaves the state Error, and loads what was unloaded because it was unhealthy or that has
    /// crashed the engine.
    ///
    /// ```no_run
    /// # let engine = plugin_engine::Engine::builder().plugin_dir("plugins.d").build()?;
    /// # engine.load_all();
    /// engine.reset("clock")?;
    /// assert!(engine.snapshot("clock").error.is_none());
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// The id is unknown, the state does not admit it, or create failed.
    pub fn reset(&self, id: &str) -> Result<(), Error> {
        commands::reset(self.shared(), id)
    }

    /// Unloads a plugin: destroys its instance and lets go of its library, whose code stays mapped unless `unmap` is `when-safe`, see
    /// [`Engine::mapped_libraries`]. Its history is kept.
    ///
    /// ```
    /// # use plugin_engine::Code;
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let error = engine.unload("clock").unwrap_err();
    /// assert_eq!(error.code(), Code::UNKNOWN_PLUGIN);
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// The id is unknown, or the state does not admit it.
    pub fn unload(&self, id: &str) -> Result<(), Error> {
        commands::unload_by_hand(self.shared(), id)
    }

    /// Updates a plugin now, due or not, and waits for the end or the deadline.
    ///
    /// ```no_run
    /// # let engine = plugin_engine::Engine::builder().plugin_dir("plugins.d").build()?;
    /// # engine.load_all();
    /// if let Err(error) = engine.update("clock") {
    ///     eprintln!("{error}");      // clock: failed: …
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// The id is unknown, the state does not admit it, or the update failed, panicked or passed its deadline.
    pub fn update(&self, id: &str) -> Result<(), Error> {
        commands::update(self.shared(), id)
    }

    /// What a plugin shows of itself.
    ///
    /// ```no_run
    /// # let engine = plugin_engine::Engine::builder().plugin_dir("plugins.d").build()?;
    /// # engine.load_all();
    /// let view = engine.display("clock")?;
    /// println!("{}", view.as_text().unwrap_or("a picture"));
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// The id is unknown, the state does not admit it, or the display failed, panicked or passed its deadline.
    pub fn display(&self, id: &str) -> Result<View, Error> {
        commands::display(self.shared(), id)
    }
}
