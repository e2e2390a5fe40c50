//! One plugin and how it is treated: which call is made of which instance, and what follows from how it ended.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use plugin_api::abi::PluginModuleRef;
use plugin_api::{Plugin, View};

use crate::clock::Clock;
use crate::context::Context;
use crate::error::{Call, CallError};
use crate::host::TestHost;
use crate::instance::{Ended, Instance, SavedState, Ticket, settings_schema};
use crate::interruption::{Canceller, Then, When};
use crate::process;
use crate::recording::{LogLine, Published, Recording};
use crate::settings;

/// A plugin of the type `P`, treated as an engine treats one. Destroyed when it is dropped.
pub struct TestPlugin<P: Plugin> {
    pub(crate) host: TestHost,
    pub(crate) context: Arc<Context>,
    module: PluginModuleRef,
    instance: Option<Instance>,
    /// Whether the instance has panicked: it is not called again.
    poisoned: bool,
    calls: u64,
    created: u32,
    /// What happens in the next call.
    planned: Vec<(When, Then)>,
    /// What was planned for the last call and did not happen.
    unreached: Vec<(When, Then)>,
    plugin: PhantomData<fn() -> P>,
}

impl<P: Plugin> TestPlugin<P> {
    pub(crate) fn create(host: &TestHost, is_candidate: bool) -> Result<Self, CallError> {
        let module = plugin_api::__private::module::<P>();
        process::prepare(module);
        let text = settings::checked(&host.settings, settings_schema(module))?;
        let context = Context::new(&host.id, text, host.clock.clone(), is_candidate);
        let mut plugin = Self {
            host: host.clone(),
            context: Arc::new(context),
            module,
            instance: None,
            poisoned: false,
            calls: 0,
            created: 0,
            planned: Vec::new(),
            unreached: Vec::new(),
            plugin: PhantomData,
        };
        plugin.create_instance()?;
        Ok(plugin)
    }

    fn ticket<'a>(
        host: &TestHost,
        context: &'a Arc<Context>,
        calls: &mut u64,
        planned: Vec<(When, Then)>,
    ) -> Ticket<'a> {
        *calls += 1;
        Ticket {
            context,
            number: *calls,
            timeout: host.timeout,
            planned,
        }
    }

    fn create_instance(&mut self) -> Result<(), CallError> {
        let ticket = Self::ticket(&self.host, &self.context, &mut self.calls, Vec::new());
        self.created += 1;
        let (ended, made) = Instance::create(self.module, ticket);
        match ended.result {
            Ok(()) => self.instance = made,
            Err(error) => {
                // Made too late: nobody wants it any more.
                if let Some(unwanted) = made {
                    self.destroy_instance(unwanted).ok();
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn destroy_instance(&mut self, instance: Instance) -> Result<(), CallError> {
        let ticket = Self::ticket(&self.host, &self.context, &mut self.calls, Vec::new());
        instance.destroy(ticket).result
    }

    fn renew_if_poisoned(&mut self) -> Result<(), CallError> {
        if std::mem::take(&mut self.poisoned)
            && let Some(instance) = self.instance.take()
        {
            // As in an engine, which records it and goes on.
            self.destroy_instance(instance).ok();
            self.create_instance()?;
        }
        Ok(())
    }

    /// Makes a call of the instance that there is, or of the one that is made in place of it.
    fn call<T>(
        &mut self,
        call: Call,
        make: impl FnOnce(&mut Instance, Ticket<'_>) -> Ended<T>,
    ) -> Result<T, CallError> {
        let planned = std::mem::take(&mut self.planned);
        self.renew_if_poisoned()?;
        let Some(instance) = &mut self.instance else {
            return Err(CallError::NoInstance { call });
        };
        let ticket = Self::ticket(&self.host, &self.context, &mut self.calls, planned);
        let ended = make(instance, ticket);
        self.poisoned = ended.panicked;
        self.unreached = ended.unreached;
        ended.result
    }

    /// Updates the plugin.
    ///
    /// # Errors
    /// The update did not complete. After one that failed permanently there is no instance until [`TestPlugin::reset`].
    pub fn update(&mut self) -> Result<(), CallError> {
        let result = self.call(Call::Update, Instance::update);
        let is_permanent = matches!(
            result,
            Err(CallError::Failed {
                recoverable: false,
                ..
            } | CallError::Breach { .. })
        );
        if is_permanent && let Some(instance) = self.instance.take() {
            self.destroy_instance(instance).ok();
        }
        result
    }

    /// What the plugin shows.
    ///
    /// # Errors
    /// The display did not complete. The plugin goes on.
    pub fn display(&mut self) -> Result<View, CallError> {
        self.call(Call::Display, Instance::display)
    }

    /// Has the plugin save its state, as at a reload. It goes on.
    ///
    /// # Errors
    /// It was not saved. Also of a plugin whose `STATE_VERSION` is 0, which an engine does not ask.
    pub fn save_state(&mut self) -> Result<SavedState, CallError> {
        self.call(Call::SaveState, Instance::save_state)
    }

    /// Has the plugin take over a state, which may be one that an older version saved, or none that ever was.
    ///
    /// # Errors
    /// It was not taken over.
    pub fn restore_state(&mut self, state: &SavedState) -> Result<(), CallError> {
        self.call(Call::RestoreState, |instance, ticket| {
            instance.restore_state(ticket, state)
        })
    }

    /// Destroys the instance, if there is one, and creates another.
    ///
    /// # Errors
    /// The new instance could not be created; then there is none.
    pub fn reset(&mut self) -> Result<(), CallError> {
        self.poisoned = false;
        if let Some(instance) = self.instance.take() {
            self.destroy_instance(instance).ok();
        }
        self.create_instance()
    }

    /// Destroys the plugin. [`TestPlugin::recording`] has what it says meanwhile.
    ///
    /// # Errors
    /// Its `destroy` panicked or took too long.
    pub fn destroy(mut self) -> Result<(), CallError> {
        match self.instance.take() {
            Some(instance) => self.destroy_instance(instance),
            None => Ok(()),
        }
    }

    /// Has something happen in the middle of the next call: it is cancelled, its deadline passes, time goes by. Several may be said.
    pub fn in_next_call(&mut self, when: When, then: Then) {
        self.planned.push((when, then));
    }

    /// What was planned for the last update, display, save or restore and did not happen, because the call never came to that moment. A test
    /// that expects it to sees so here.
    #[must_use]
    pub fn unreached(&self) -> &[(When, Then)] {
        &self.unreached
    }

    /// What cancels, from another thread, the call that is in flight.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller(Arc::clone(&self.context))
    }

    /// The clock that deadlines are read from.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.host.clock
    }

    /// What was heard of the plugin, for later.
    #[must_use]
    pub fn recording(&self) -> Recording {
        self.context.recording.clone()
    }

    /// What it has published, oldest first.
    #[must_use]
    pub fn published(&self) -> Vec<Published> {
        self.context.recording.published()
    }

    /// What it has logged in its calls, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<LogLine> {
        self.context.recording.log()
    }

    /// How often it has recorded progress.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.context.recording.progress()
    }

    /// How often `create` was called for it: 1, and one more after each panic and each reset.
    #[must_use]
    pub fn created(&self) -> u32 {
        self.created
    }

    /// Whether the instance has panicked, so that another is made before the next call.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

impl<P: Plugin> fmt::Debug for TestPlugin<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestPlugin")
            .field("plugin", &std::any::type_name::<P>())
            .field("id", &self.host.id)
            .field("created", &self.created)
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}

impl<P: Plugin> Drop for TestPlugin<P> {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take()
            && let Err(error) = self.destroy_instance(instance)
        {
            eprintln!("{}: {error}", self.host.id);
        }
    }
}
