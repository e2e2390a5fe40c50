//! A list that may go on: in aligned columns for a person, an object per line for a program.

use std::ops::ControlFlow;

use plugin_engine_wire::Lost;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::{Client, ClientError, FollowEnd, Message};
use crate::columns::{Cells, Columns, Titles};
use crate::output;

/// What can stand in a list.
pub(crate) trait Listed: Serialize + DeserializeOwned {
    /// The columns for a person.
    const TITLES: Titles;
    /// What they are called, many of them.
    const MANY: &str;

    /// What stands in the columns, with control characters escaped.
    fn cells(&self) -> Cells;
}

/// A list that is being written to standard output.
pub(crate) struct Listing {
    /// `None` for a program.
    columns: Option<Columns>,
    begun: bool,
}

impl Listing {
    pub(crate) fn of<T: Listed>(json: bool) -> Self {
        Self {
            columns: (!json).then(|| Columns::new(T::TITLES)),
            begun: false,
        }
    }

    /// Writes what comes next in the list. Returns the exit status.
    pub(crate) fn print<T: Listed>(&mut self, entries: &[T]) -> i32 {
        let Some(columns) = &mut self.columns else {
            return output::print_objects(entries);
        };
        let lines = columns.lines(entries.iter().map(Listed::cells).collect());
        let head = (!std::mem::replace(&mut self.begun, true)).then(|| columns.head());
        output::print(&head.into_iter().chain(lines).collect::<Vec<_>>())
    }

    fn print_lost<T: Listed>(&self, lost: &Lost) -> i32 {
        if self.columns.is_none() {
            return output::print_objects([lost]);
        }
        output::note(format_args!(
            "{} {} after number {} had left the memory before they were read",
            lost.lost,
            T::MANY,
            lost.after
        ));
        0
    }

    /// Writes what comes in the stream at this path, until the engine stops or nobody reads any more. Returns the exit status.
    pub(crate) fn follow<T: Listed>(
        &mut self,
        client: &Client,
        path: &str,
    ) -> Result<i32, ClientError> {
        let mut ended = Ok(0);
        let end = client.follow(path, |message| {
            ended = self
                .take::<T>(&message)
                .map_err(|error| ClientError::of_message(&error));
            if matches!(ended, Ok(0)) && !output::is_closed() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        if end == FollowEnd::Stopped {
            output::note("the engine has stopped");
        }
        ended
    }

    fn take<T: Listed>(&mut self, message: &Message) -> serde_json::Result<i32> {
        if message.event == "lost" {
            let lost: Lost = serde_json::from_str(&message.data)?;
            return Ok(self.print_lost::<T>(&lost));
        }
        let entry: T = serde_json::from_str(&message.data)?;
        Ok(self.print(std::slice::from_ref(&entry)))
    }
}
