//! What a client reads of an answer: any JSON, as any of the types that there are. Never what is shown of it.

use std::fmt::Debug;

use plugin_engine_wire::{
    CommandDone, EngineInfo, ErrorBody, Event, Events, Fault, History, Livez, Lost, Mark, Plugins,
    Readyz, Snapshot, Task, Tasks, Transition, Usage, View, Why,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes that stand where an engine's answer is expected, as each of the values that are read: what was read, written again, is read as
/// the same.
pub fn wire(bytes: &[u8]) {
    read::<CommandDone>(bytes);
    read::<EngineInfo>(bytes);
    read::<ErrorBody>(bytes);
    read::<Event>(bytes);
    read::<Events>(bytes);
    read::<Fault>(bytes);
    read::<History>(bytes);
    read::<Livez>(bytes);
    read::<Lost>(bytes);
    read::<Vec<Mark>>(bytes);
    read::<Plugins>(bytes);
    read::<Readyz>(bytes);
    read::<Snapshot>(bytes);
    read::<Task>(bytes);
    read::<Tasks>(bytes);
    read::<Transition>(bytes);
    read::<Usage>(bytes);
    read::<View>(bytes);
    read::<Why>(bytes);
}

fn read<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    match serde_json::from_slice::<T>(bytes) {
        Ok(value) => {
            let written = serde_json::to_vec(&value).expect("what was read can be written");
            let again = serde_json::from_slice::<T>(&written);
            assert!(
                again.as_ref().is_ok_and(|again| *again == value),
                "{value:?} was written as {}, and read as {again:?}",
                String::from_utf8_lossy(&written)
            );
        }
        Err(error) => assert!(error.to_string().len() <= bytes.len() + 1_000, "{error}"),
    }
}
