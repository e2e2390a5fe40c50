//! What a plugin file offers, whatever form of the contract it was found in.

use plugin_api::abi::{HostHandle, HostServicesRef, PluginModuleRef, TakeText};

use super::mapping::Release;
use super::{CallTable, StateCalls};

/// Asks a file for the schema of its settings.
pub(super) type AskSchema = unsafe extern "C" fn(out: *mut (), take: TakeText) -> u8;

/// The functions of a file that fits. What only newer files have is `None` in others.
pub(super) struct Functions {
    pub(super) init: unsafe extern "C" fn(HostHandle, HostServicesRef),
    pub(super) calls: CallTable,
    pub(super) settings_schema: Option<AskSchema>,
    /// How instances hand over their state, if they do.
    pub(super) state: Option<StateCalls>,
    pub(super) release: Option<Release>,
}

impl Functions {
    /// Those of a file that `export_plugin!` made.
    pub(super) fn of_module(module: PluginModuleRef) -> Self {
        Self {
            init: module.init(),
            calls: CallTable {
                create: module.create(),
                update: module.update(),
                display: module.display(),
                destroy: module.destroy(),
            },
            settings_schema: module.settings_schema(),
            state: state_calls(module),
            release: module.release(),
        }
    }
}

fn state_calls(module: PluginModuleRef) -> Option<StateCalls> {
    let version = module.state_version().filter(|version| *version != 0)?;
    Some(StateCalls {
        version,
        save: module.save_state()?,
        restore: module.restore_state()?,
    })
}
