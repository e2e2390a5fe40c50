//! Which files become which plugins.

use std::path::Path;
use std::sync::Arc;

use super::outcome::LoadOutcome;
use crate::config::{self, EngineConfig, PluginConfig};
use crate::discover::Candidate;
use crate::error::LoadError;

/// A file, and what is said of the plugins that it is to become.
pub(super) struct Planned {
    pub(super) candidate: Candidate,
    pub(super) configs: Vec<PluginConfig>,
}

/// Puts files and what is said of them together. An entry that names a file stands for that file; a file that no entry names
/// is one plugin, as the configuration beside it says, or the entry of its id.
pub(super) fn plan(
    dir: &Path,
    candidates: Vec<Candidate>,
    engine_config: EngineConfig,
    outcomes: &mut Vec<LoadOutcome>,
) -> Vec<Planned> {
    let mut entries = engine_config.plugin;
    let mut planned = Vec::new();
    for candidate in candidates {
        let of_file: Vec<_> = entries
            .extract_if(.., |entry| {
                let file = entry.file.as_ref().map(|file| dir.join(file));
                file.is_some_and(|file| file == candidate.path)
            })
            .collect();
        if !of_file.is_empty() {
            planned.push(Planned {
                candidate,
                configs: of_file,
            });
            continue;
        }
        match config::read_beside(&candidate.config_path()) {
            Ok(config) => planned.push(Planned {
                candidate,
                configs: vec![config],
            }),
            Err(error) => outcomes.push(LoadOutcome::Misconfigured {
                file: candidate.path,
                error: Arc::new(error),
            }),
        }
    }
    // Entries without a file are taken up by id, once manifests are known; entries whose file is absent are named now.
    for entry in &entries {
        if let Some(file) = &entry.file {
            let path = dir.join(file);
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            let error = LoadError::Verify {
                path: path.clone(),
                source: crate::verify::VerifyError::Read(source),
            };
            outcomes.push(LoadOutcome::Refused {
                file: path,
                error: Arc::new(error),
            });
        }
    }
    let by_id: Vec<_> = entries
        .into_iter()
        .filter(|entry| entry.file.is_none())
        .collect();
    for planned in &mut planned {
        // The manifest's id is not known yet; it is compared once it is.
        for config in &mut planned.configs {
            if config.file.is_none() {
                config.by_id.clone_from(&by_id);
            }
        }
    }
    planned
}
