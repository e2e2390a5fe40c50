//! What is loaded when nothing has changed for a while: what is there, but for what persons have commanded, what was refused with a reason,
//! and what a policy has unloaded.

use std::collections::BTreeSet;

use plugin_engine::{Cause, Code, Engine, PluginState, simulation};

use super::{Watch, plugin_of_name, violation};
use crate::behaviour::Content;
use crate::checks::Checked;
use crate::policy::id_of;

impl Watch {
    /// Nothing has changed for long enough: what is loaded is what is there.
    pub(in crate::checks) fn at_rest(&self, engine: &Engine) -> Checked {
        for (name, file) in &self.now.files {
            let Some(content) = file.group.content else {
                continue;
            };
            let judged = self.judged.get(name);
            let judged = judged.filter(|judged| judged.version == file.version);
            let build = match content {
                Content::Build(build) => Some(build),
                _ => None,
            };
            let is_known = judged.is_some_and(|judged| match file.group.is_configured {
                true => judged.read == Some(build),
                false => judged.refused.is_some(),
            });
            if !is_known {
                return violation(
                    "L8",
                    format!(
                        "{name} is {content:?} since {:?}, and nobody has read it: {judged:?}",
                        file.since
                    ),
                );
            }
        }
        let plugins: BTreeSet<_> = self
            .now
            .files
            .keys()
            .filter_map(|name| plugin_of_name(name))
            .collect();
        plugins
            .into_iter()
            .try_for_each(|plugin| self.plugin_at_rest(engine, plugin))
    }

    fn plugin_at_rest(&self, engine: &Engine, plugin: usize) -> Checked {
        let id = id_of(plugin);
        let snapshot = engine.snapshot(&id);
        let build = simulation::active_build(engine, &id);
        let known = self.plugins.get(&plugin).cloned().unwrap_or_default();
        let is_unloaded = snapshot.state == PluginState::Unloaded;
        let there: Vec<_> = self
            .now
            .files
            .iter()
            .filter(|(name, _)| plugin_of_name(name) == Some(plugin))
            .filter_map(|(name, file)| Some((name, file, file.group.content?)))
            .collect();
        if there.is_empty() && !is_unloaded && !known.failed_as_asked {
            return violation("L8", format!("{id} is {}, and has no file", snapshot.state));
        }
        let holder = known.file.as_ref();
        let holder = holder.filter(|name| self.now.file(name).group.content.is_some());
        for (name, file, content) in there {
            let (Content::Build(_), true) = (content, file.group.is_configured) else {
                continue;
            };
            let Some(judged) = self.judged.get(name) else {
                continue;
            };
            let is_its = known.file.as_ref() == Some(name);
            let is_free = is_unloaded && known.unloaded == Some(Cause::FileRemoved);
            match (judged.refused, judged.read.flatten()) {
                (None, Some(good)) => {
                    let is_rolled_back = known.rolled_back >= Some(file.since);
                    let by_command = is_unloaded && known.unloaded == Some(Cause::Unloaded);
                    // Its file was refused when somebody asked for it, and another one has the id since.
                    let is_anothers = holder.is_some_and(|holder| holder != name);
                    // Switched off while its file was refused: it is loaded when it is switched on.
                    let is_off = snapshot.state == PluginState::Disabled && build.is_none();
                    let is_excused = is_rolled_back
                        || by_command
                        || known.failed_as_asked
                        || is_anothers
                        || is_off;
                    let is_as_said = is_its && build == Some(good.number);
                    if !is_as_said && !is_excused {
                        return violation(
                            "L8",
                            format!(
                                "{name} is build {} since {:?}, and {id} is {} as build {build:?} of {:?}",
                                good.number, file.since, snapshot.state, known.file
                            ),
                        );
                    }
                }
                (Some(code), _) if code == Code::ID_TAKEN.as_str() && is_free => {
                    return violation(
                        "L10",
                        format!("nothing has the id {id} any more, and {name} is still refused"),
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }
}
