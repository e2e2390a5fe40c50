//! What `export_plugin!` expands to: the shims around one `impl Plugin`, their table, and the header that names it.

use abi_stable::library::{CheckTypeLayout, RootModuleResult};
use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::{RSlice, RStr};

pub use abi_stable::library::LibHeader;

use crate::abi::{
    CallFrame, HostHandle, HostServicesRef, PluginModule, PluginModuleRef, TakeBytes, TakeText,
    status,
};
use crate::{
    CreateContext, DisplayContext, Plugin, PluginError, RestoreContext, SaveContext, UpdateContext,
    guard, host, telemetry,
};

/// Exports a type that implements [`Plugin`](crate::Plugin) from this library.
///
/// `id` is needed; `interval` and `timeout` are the defaults that a configuration may override, 60 s and 30 s if not given.
/// `requires` names plugins that have to be there for this one to run, each with a version requirement where one is meant: the plugin is
/// created after them and is not called while one of them is not running. A configuration may add to them.
///
/// ```standalone_crate
/// # use plugin_api::prelude::*;
/// # struct Quiet;
/// # impl Plugin for Quiet {
/// #     fn create(_: &CreateContext) -> Result<Self, PluginError> { Ok(Self) }
/// #     fn update(&mut self, _: &UpdateContext) -> Result<(), PluginError> { Ok(()) }
/// # }
/// export_plugin!(Quiet, id = "quiet", interval = "10s");
/// # fn main() {}
/// ```
///
/// What does not fit stops the compilation:
///
/// ```compile_fail
/// # use plugin_api::prelude::*;
/// # struct Quiet;
/// # impl Plugin for Quiet {
/// #     fn create(_: &CreateContext) -> Result<Self, PluginError> { Ok(Self) }
/// #     fn update(&mut self, _: &UpdateContext) -> Result<(), PluginError> { Ok(()) }
/// # }
/// export_plugin!(Quiet, id = "quiet", interval = "10 parsecs");
/// # fn main() {}
/// ```
///
/// ```standalone_crate
/// # use plugin_api::prelude::*;
/// # struct Quiet;
/// # impl Plugin for Quiet {
/// #     fn create(_: &CreateContext) -> Result<Self, PluginError> { Ok(Self) }
/// #     fn update(&mut self, _: &UpdateContext) -> Result<(), PluginError> { Ok(()) }
/// # }
/// export_plugin!(Quiet, id = "quiet", requires = "clock >= 1.2, < 2, feed");
/// # fn main() {}
/// ```
///
/// ```compile_fail
/// # use plugin_api::prelude::*;
/// # struct Quiet;
/// # impl Plugin for Quiet {
/// #     fn create(_: &CreateContext) -> Result<Self, PluginError> { Ok(Self) }
/// #     fn update(&mut self, _: &UpdateContext) -> Result<(), PluginError> { Ok(()) }
/// # }
/// export_plugin!(Quiet, id = "quiet", requires = "quiet >= 1.2");
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty, $($key:ident = $value:expr),+ $(,)?) => {
        const _: () = {
            const MANIFEST: $crate::__private::Manifest =
                $crate::__private::Manifest::new(env!("CARGO_PKG_VERSION"), cfg!(panic = "unwind"))
                    $(.$key($value))+;

            #[used]
            #[cfg_attr(
                target_vendor = "apple",
                unsafe(link_section = "__DATA,__plugin_engine")
            )]
            #[cfg_attr(windows, unsafe(link_section = ".plugeng"))]
            #[cfg_attr(
                not(any(target_vendor = "apple", windows)),
                unsafe(link_section = ".note.plugin_engine")
            )]
            static NOTE: $crate::__private::Note<{ MANIFEST.description_len() }> = MANIFEST.note();

            // The name is `plugin_api::HEADER_SYMBOL`; an attribute takes a literal only.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static HEADER: $crate::__private::LibHeader = $crate::__private::header::<$plugin>();
        };
    };
}

/// The header of a file that exports `P`.
#[must_use]
pub const fn header<P: Plugin>() -> LibHeader {
    // SAFETY: `constructor` returns a `PluginModuleRef`, erased.
    unsafe {
        LibHeader::from_constructor::<PluginModuleRef>(constructor::<P>, CheckTypeLayout::Yes)
    }
}

extern "C" fn constructor<P: Plugin>() -> RootModuleResult {
    abi_stable::library::__call_root_module_loader(module::<P>)
}

/// The table of a file that exports `P`.
#[must_use]
pub fn module<P: Plugin>() -> PluginModuleRef {
    Table::<P>::MODULE
}

struct Table<P>(P);

impl<P: Plugin> Table<P> {
    abi_stable::staticref! {
        const VALUE: WithMetadata<PluginModule> = WithMetadata::new(PluginModule {
            init,
            create: create::<P>,
            update: update::<P>,
            display: display::<P>,
            destroy: destroy::<P>,
            settings_schema: settings_schema::<P>,
            state_version: P::STATE_VERSION,
            save_state: save_state::<P>,
            restore_state: restore_state::<P>,
            release,
        });
    }
    const MODULE: PluginModuleRef = PluginModuleRef(Self::VALUE.as_prefix());
}

unsafe extern "C" fn init(handle: HostHandle, services: HostServicesRef) {
    guard::init(handle, services, telemetry::install);
}

unsafe extern "C" fn release() {
    guard::release(telemetry::release);
}

fn failed(frame: &CallFrame, error: &PluginError) -> u8 {
    host::fail(frame, error);
    status::FAILED
}

unsafe extern "C" fn create<P: Plugin>(frame: &CallFrame, instance: &mut *mut ()) -> u8 {
    guard::enter(frame, || match P::create(&CreateContext::new(frame)) {
        Ok(plugin) => {
            *instance = Box::into_raw(Box::new(plugin)).cast();
            status::COMPLETED
        }
        Err(error) => failed(frame, &error),
    })
}

unsafe extern "C" fn update<P: Plugin>(instance: *mut (), frame: &CallFrame) -> u8 {
    guard::enter(frame, || {
        // SAFETY: the engine hands back an address that `create` of this very table made, to one thread at a time, and not
        // after `destroy`.
        let plugin = unsafe { &mut *instance.cast::<P>() };
        match plugin.update(&UpdateContext::new(frame)) {
            Ok(()) => status::COMPLETED,
            Err(error) => failed(frame, &error),
        }
    })
}

unsafe extern "C" fn display<P: Plugin>(instance: *mut (), frame: &CallFrame) -> u8 {
    guard::enter(frame, || {
        // SAFETY: as in `update`.
        let plugin = unsafe { &mut *instance.cast::<P>() };
        match plugin.display(&DisplayContext::new(frame)) {
            Ok(view) => {
                host::view(frame, &view);
                status::COMPLETED
            }
            Err(error) => failed(frame, &error),
        }
    })
}

unsafe extern "C" fn destroy<P: Plugin>(instance: *mut (), frame: &CallFrame) -> u8 {
    guard::enter(frame, || {
        // SAFETY: as in `update`; this is the last use of the address.
        let plugin = unsafe { Box::from_raw(instance.cast::<P>()) };
        plugin.destroy();
        status::COMPLETED
    })
}

unsafe extern "C" fn settings_schema<P: Plugin>(out: *mut (), take: TakeText) -> u8 {
    let (status, text) = guard::try_call(P::settings_schema);
    if let Some(text) = text {
        // SAFETY: the engine's own function and address, used during this call.
        unsafe { (take.0)(out, RStr::from_str(&text)) };
    }
    status
}

unsafe extern "C" fn save_state<P: Plugin>(
    instance: *mut (),
    frame: &CallFrame,
    out: *mut (),
    take: TakeBytes,
) -> u8 {
    guard::enter(frame, || {
        // SAFETY: as in `update`.
        let plugin = unsafe { &mut *instance.cast::<P>() };
        match plugin.save_state(&SaveContext::new(frame)) {
            Ok(state) => {
                // SAFETY: the engine's own function and address, used during this call.
                unsafe { (take.0)(out, RSlice::from_slice(&state)) };
                status::COMPLETED
            }
            Err(error) => failed(frame, &error),
        }
    })
}

unsafe extern "C" fn restore_state<P: Plugin>(
    instance: *mut (),
    frame: &CallFrame,
    version: u32,
    state: RSlice<'_, u8>,
) -> u8 {
    guard::enter(frame, || {
        // SAFETY: as in `update`.
        let plugin = unsafe { &mut *instance.cast::<P>() };
        let cx = RestoreContext::new(frame);
        match plugin.restore_state(&cx, version, state.as_slice()) {
            Ok(()) => status::COMPLETED,
            Err(error) => failed(frame, &error),
        }
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_exported_name_is_the_one_that_engines_look_up() {
        assert_eq!(
            crate::HEADER_SYMBOL,
            "_1as_0lib_1header_0root_bmodule_bloader\0"
        );
    }
}
