//! What plugins of a directory require of each other, looked at without loading any of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use plugin_engine_core::{PluginId, PluginState, Requirement, Standing, Unmet, cycles};

use crate::code::Code;
use crate::config::{ConfigError, Holds, Problem, SaidBy, nearest};

/// A plugin as it would be loaded.
pub(crate) struct Offline {
    pub(crate) id: PluginId,
    pub(crate) file: PathBuf,
    /// The version; `None` for a file that is refused.
    pub(crate) version: Option<String>,
    pub(crate) state: PluginState,
    pub(crate) requires: Vec<Holds<Vec<Requirement>>>,
}

/// Names every requirement that would not be met, where it is said, each with the file of the plugin that has it.
pub(crate) fn check_offline(plugins: &[Offline]) -> Vec<(&Path, ConfigError)> {
    let mut problems = Vec::new();
    let places: HashMap<_, _> = plugins
        .iter()
        .zip(0..)
        .map(|(one, at)| (&one.id, at))
        .collect();
    let find = |required: &Requirement| places.get(required.id()).copied();
    let requires: Vec<Vec<usize>> = plugins
        .iter()
        .map(|one| {
            let said = one.requires.iter().flat_map(|said| &said.value);
            said.filter_map(find).collect()
        })
        .collect();
    let cycles = cycles(&requires);
    for (plugin, cycle) in plugins.iter().zip(cycles) {
        if plugin.state != PluginState::Enabled {
            continue;
        }
        let cycle = cycle.unwrap_or_default();
        let next = cycle.get(1).or(cycle.first()).copied();
        let path: Vec<_> = cycle.iter().map(|at| plugins[*at].id.clone()).collect();
        let mut is_cycle_told = false;
        for said in &plugin.requires {
            for required in &said.value {
                let at = find(required);
                let unmet = if next.is_some() && at == next && !is_cycle_told {
                    is_cycle_told = true;
                    Err(Unmet::Cycle { path: path.clone() })
                } else {
                    required.check(at.map(|at| plugins[at].standing()))
                };
                if let Err(unmet) = unmet {
                    let ids = plugins.iter().map(|one| one.id.as_str());
                    let meant = matches!(unmet, Unmet::Absent { .. })
                        .then(|| nearest(required.id().as_str(), ids))
                        .flatten();
                    let problem = problem(plugin, said, &unmet, meant);
                    problems.push((&*plugin.file, ConfigError::from(problem)));
                }
            }
        }
    }
    problems
}

impl Offline {
    fn standing(&self) -> Standing<'_> {
        Standing {
            state: self.state,
            version: self.version.as_deref(),
        }
    }
}

fn problem(
    plugin: &Offline,
    said: &Holds<Vec<Requirement>>,
    unmet: &Unmet,
    meant: Option<&str>,
) -> Problem {
    let code = Code::of_unmet(unmet);
    let reason = format!("the plugin \"{}\" {unmet}", plugin.id);
    let problem = match &said.said_by {
        SaidBy::File(at) => Problem::new(code, at, reason),
        _ => Problem::of_file(code, &plugin.file, reason),
    };
    problem.help(meant.map(|meant| format!("did you mean \"{meant}\"?")))
}
