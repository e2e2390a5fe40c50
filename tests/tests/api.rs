//! What holds for the public interface as a whole: see `engine/API.md`.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Debug;
use std::hash::Hash;

use plugin_engine_tests::public_functions;

/// What people can call and no example shows. It can only become shorter: what has an example is to be taken out, and what is new gets one.
///
/// Those of `AsyncPlugin` are those of `Plugin`, where they have one each; `on_move` is for clocks that are moved by hand, of which there is
/// one already.
const WITHOUT_EXAMPLE: [&str; 4] = [
    "AsyncPlugin::restore_state",
    "AsyncPlugin::save_state",
    "AsyncPlugin::settings_schema",
    "Clock::on_move",
];

#[test]
fn every_public_function_has_an_example() {
    let functions = public_functions();
    assert!(functions.len() > 200, "{} functions", functions.len());
    let known: BTreeSet<_> = WITHOUT_EXAMPLE.into_iter().collect();
    let without: BTreeSet<_> = functions
        .iter()
        .filter(|one| !one.has_example)
        .map(|one| one.name.as_str())
        .collect();
    let new: Vec<_> = without.difference(&known).collect();
    assert!(new.is_empty(), "show them in an example: {new:#?}");
    let shown: Vec<_> = known.difference(&without).collect();
    assert!(shown.is_empty(), "take them out of the list: {shown:#?}");
}

fn is_handle<T: Clone + Debug + Send + Sync + 'static>() {}
fn is_data<T: Clone + Debug + PartialEq + Send + Sync + 'static>() {}
fn is_key<T: Clone + Debug + Eq + Hash + Send + Sync + 'static>() {}
fn is_error<T: Error + Send + Sync + 'static>() {}
fn is_owned<T: Debug + Send + Sync + 'static>() {}

/// That it compiles is what is tested.
#[test]
fn handles_are_shared_between_threads_and_cloned() {
    use plugin_engine::{Cycle, Engine, ManualClock, TaskContext, TaskHandle};
    is_handle::<Engine>();
    is_handle::<Cycle>();
    is_handle::<ManualClock>();
    is_handle::<TaskContext>();
    is_handle::<TaskHandle>();
    is_owned::<plugin_engine::Subscription>();
    is_owned::<plugin_engine::WatchHandle>();
    is_owned::<plugin_engine::HistoryQuery>();
    is_owned::<plugin_engine::EngineBuilder>();
}

/// That it compiles is what is tested.
#[test]
fn what_is_told_is_a_copy_that_can_be_compared_and_sent() {
    use plugin_engine::*;
    is_data::<Snapshot>();
    is_data::<Transition>();
    is_data::<Fault>();
    is_data::<Event>();
    is_data::<CycleReport>();
    is_data::<Usage>();
    is_data::<HistoryAnswer>();
    is_data::<HistoryFilter>();
    is_data::<TaskLiveness>();
    is_data::<Readiness>();
    is_data::<Why>();
    is_data::<FoundCall>();
    is_data::<StuckCall>();
    is_data::<MappedLibrary>();
    is_data::<Manifest>();
    is_data::<PluginUsage>();
    is_data::<Requirement>();
    is_data::<VerifyPolicy>();
    is_data::<plugin_engine::effective::EffectivePlugin>();
    is_data::<plugin_api::View>();
    is_data::<plugin_api::PluginError>();
}

/// That it compiles is what is tested.
#[test]
fn what_names_something_can_be_a_key() {
    use plugin_engine::*;
    is_key::<PluginId>();
    is_key::<PluginState>();
    is_key::<Cause>();
    is_key::<CallKind>();
    is_key::<Code>();
    is_key::<Command>();
    is_key::<FaultKind>();
    is_key::<Health>();
    is_key::<Moment>();
    is_key::<WallTime>();
    is_key::<TopicPattern>();
    is_key::<UnmapPolicy>();
    is_key::<Contract>();
    is_key::<ViewKind>();
    is_key::<plugin_api::PublishError>();
}

/// That it compiles is what is tested.
#[test]
fn errors_go_wherever_errors_go() {
    use plugin_engine::*;
    is_error::<plugin_engine::Error>();
    is_error::<LoadError>();
    is_error::<ReloadError>();
    is_error::<ConfigError>();
    is_error::<DiscoverError>();
    is_error::<StateError>();
    is_error::<HistoryError>();
    is_error::<SuperviseError>();
    is_error::<EnterError>();
    is_error::<VerifyError>();
    is_error::<StaleTasks>();
    is_error::<Denied>();
    is_error::<Unmet>();
    is_error::<FilterError>();
    is_error::<PluginIdError>();
    is_error::<RequirementError>();
    is_error::<UnknownCause>();
    is_error::<UnknownState>();
    is_error::<plugin_api::PublishError>();
    is_error::<plugin_api::SettingsError>();
}
