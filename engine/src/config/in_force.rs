//! Which configuration of the engine holds: the latest that was good. One that is bad is an error for whoever reads it first; once it was
//! told as such, the one before goes on holding until the file changes again.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::engine_file::EngineConfig;
use super::error::ConfigError;
use super::source::Source;
use crate::changes::FileIdentity;

/// The engine's configuration that holds.
pub(crate) struct ConfigInForce {
    state: Mutex<State>,
}

struct State {
    config: Arc<EngineConfig>,
    /// What was last applied to what is loaded.
    applied: Arc<EngineConfig>,
    /// The file that was told as bad: what it was known by, or that there was none.
    told_as_bad: Option<Option<FileIdentity>>,
}

impl ConfigInForce {
    pub(crate) fn new(config: Arc<EngineConfig>) -> Self {
        let state = State {
            applied: Arc::clone(&config),
            config,
            told_as_bad: None,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// What holds, whatever the file says.
    pub(crate) fn get(&self) -> Arc<EngineConfig> {
        Arc::clone(&self.state.lock().config)
    }

    /// What holds now, by the file as it is. `read` reads and judges it, unless it says what holds already: with very many plugins that
    /// takes long, and much memory.
    ///
    /// # Errors
    /// The file is not good, and was not told as bad yet.
    pub(crate) fn read(
        &self,
        path: &Path,
        read: impl FnOnce(&Arc<Source>) -> Result<EngineConfig, ConfigError>,
    ) -> Result<Arc<EngineConfig>, ConfigError> {
        let file = FileIdentity::of(path);
        let held = {
            let state = self.state.lock();
            let held = Arc::clone(&state.config);
            if state.told_as_bad == Some(file) {
                return Ok(held);
            }
            held
        };
        let source = super::engine_source(path)?;
        let config = if held.is_of(&source) {
            held
        } else {
            Arc::new(read(&source)?)
        };
        let mut state = self.state.lock();
        state.told_as_bad = None;
        state.config = Arc::clone(&config);
        Ok(config)
    }

    /// [`Self::read`] by somebody who tells the error, and applies what holds now to what is loaded: returns what was applied before, too.
    /// From then on a bad file is known to be bad, and what held before goes on.
    pub(crate) fn read_to_apply(
        &self,
        path: &Path,
        read: impl FnOnce(&Arc<Source>) -> Result<EngineConfig, ConfigError>,
    ) -> Result<Applies, ConfigError> {
        // Before it is read: if it changes meanwhile, it is another file that was not told yet.
        let file = FileIdentity::of(path);
        self.state.lock().told_as_bad = None;
        let read = self.read(path, read);
        let mut state = self.state.lock();
        match read {
            Ok(now) => {
                let before = std::mem::replace(&mut state.applied, Arc::clone(&now));
                Ok(Applies { before, now })
            }
            Err(error) => {
                state.told_as_bad = Some(file);
                Err(error)
            }
        }
    }
}

/// What holds now, and what was applied to what is loaded before.
#[derive(Default)]
pub(crate) struct Applies {
    pub(crate) before: Arc<EngineConfig>,
    pub(crate) now: Arc<EngineConfig>,
}

#[cfg(test)]
mod tests {
    use super::super::read_engine_text;
    use super::*;

    #[test]
    fn a_bad_file_is_an_error_until_it_was_told_and_what_held_before_holds_until_it_changes() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("engine.toml");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let entries = |config: &EngineConfig| config.plugins.len();
        write("[[plugin]]\nid = \"a\"\n");
        let config = ConfigInForce::new(Arc::default());
        assert_eq!(entries(&config.get()), 0);
        assert_eq!(entries(&config.read(&path, read_engine_text).unwrap()), 1);
        let applies = config.read_to_apply(&path, read_engine_text).unwrap();
        assert_eq!((entries(&applies.before), entries(&applies.now)), (0, 1));

        // Nothing is read again that holds already.
        let again = config.read(&path, |_| panic!("it is read")).unwrap();
        assert!(Arc::ptr_eq(&again, &applies.now));

        write("[[plugin]]\nid = \"not an id\"\n");
        assert!(config.read(&path, read_engine_text).is_err());
        assert!(config.read(&path, read_engine_text).is_err());
        assert!(config.read_to_apply(&path, read_engine_text).is_err());
        assert_eq!(entries(&config.read(&path, read_engine_text).unwrap()), 1);
        // Somebody who asks again is told again.
        assert!(config.read_to_apply(&path, read_engine_text).is_err());

        write("still no good");
        assert!(config.read(&path, read_engine_text).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(config.read_to_apply(&path, read_engine_text).is_err());
        assert_eq!(entries(&config.read(&path, read_engine_text).unwrap()), 1);

        write("");
        // Who only reads applies nothing.
        assert_eq!(entries(&config.read(&path, read_engine_text).unwrap()), 0);
        assert_eq!(entries(&config.get()), 0);
        let applies = config.read_to_apply(&path, read_engine_text).unwrap();
        assert_eq!((entries(&applies.before), entries(&applies.now)), (1, 0));
    }
}
