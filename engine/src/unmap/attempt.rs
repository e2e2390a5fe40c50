//! One attempt to unmap one file: the conditions in their order, and what is done once all of them hold.

use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_engine_crash_marks::{self as record, Call, Role};

use super::aside::{self, Wait};
use crate::census::Census;
use crate::clock::Clock;
use crate::crashes::Crashes;
use crate::library::{Leaving, Libraries, Object, Retired, is_there};
use crate::loader;
use crate::shared::Shared;

/// How long workers that were told to leave are waited for within one attempt: those that are idle need no longer.
const LEAVE_LIMIT: Duration = Duration::from_millis(20);
const LOOK_EVERY: Duration = Duration::from_micros(200);
/// How often is looked whether code that does not return has returned, or the engine shuts down.
const OVERDUE_LOOK_EVERY: Duration = Duration::from_millis(100);

/// What an attempt came to.
pub(super) enum End {
    /// It is unmapped, or it is not to be unmapped any more.
    Done,
    /// Why it has to wait.
    NotYet(String),
    /// Why it will never be unmapped.
    Never(String),
}

/// Unmaps a file, if that is safe now.
pub(super) fn attempt(engine: &Arc<Shared>, retired: &Retired) -> End {
    let Some(census) = &engine.reaper.census else {
        let why = "it cannot be known whether a thread of it lives: the program has to link the thread hooks";
        return End::Never(why.to_owned());
    };
    if let Some(trouble) = census.trouble() {
        let why = format!("it cannot be known whether a thread of it lives: {trouble}");
        return End::Never(why);
    }
    let object = match (&retired.object, &retired.objection) {
        (_, Some(why)) => return End::Never(why.clone()),
        (None, None) => return End::Never("nobody knows where its code lies".to_owned()),
        (Some(object), None) => object,
    };
    if let Some(why) = who_may_run(engine, census, retired.number, object) {
        return End::NotYet(why);
    }
    if !engine.libraries.begin_closing(&retired.path) {
        return End::NotYet("another file is just being loaded".to_owned());
    }
    let closing = Closing(&engine.libraries);
    let end = unmap_unless_used(engine, census, retired, object);
    // Told only now: who listens may want to load something, and waits for as long as a file is being unmapped.
    drop(closing);
    match end {
        Closed::Unmapped => {
            tracing::info!(target: "plugin_engine", file = %retired.path.display(), "unmapped");
            End::Done
        }
        Closed::Kept(why) => {
            tracing::warn!(target: "plugin_engine", file = %retired.path.display(), "unloaded, still mapped for good: {why}");
            End::Done
        }
        Closed::NotTried(end) => end,
    }
}

/// Loads wait until this is dropped.
struct Closing<'a>(&'a Libraries);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.end_closing();
    }
}

/// What became of a file that nobody else gets to.
enum Closed {
    Unmapped,
    /// Why it is mapped for good.
    Kept(String),
    NotTried(End),
}

fn unmap_unless_used(
    engine: &Shared,
    census: &Arc<Census>,
    retired: &Retired,
    object: &Object,
) -> Closed {
    // Nobody gets to it from here on. Somebody may have used it meanwhile, on a thread that has not been asked about.
    let Some(leaving) = engine.libraries.take(retired) else {
        return Closed::NotTried(End::Done);
    };
    if let Some(why) = who_may_run(engine, census, retired.number, object) {
        engine.libraries.put_back(leaving, why.clone());
        return Closed::NotTried(End::NotYet(why));
    }
    unmap(engine, census, leaving, object)
}

/// Who may still run code of the file, in words. Threads of the engine that ran it are told to leave, and waited for a little.
fn who_may_run(engine: &Shared, census: &Census, number: u64, object: &Object) -> Option<String> {
    if let Some(why) = census.who_may_run(object) {
        return Some(why);
    }
    let began = Instant::now();
    loader::rotate(&engine.loader, number);
    loop {
        // In this order: a worker that has left is among those to be joined before it is gone from its place.
        let workers = engine.executor.rotate(number);
        let others = engine.executor.joining.count(number);
        if workers.is_empty() && others == 0 {
            return None;
        }
        if began.elapsed() >= LEAVE_LIMIT {
            return Some(still_there(engine, &workers, others));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The threads of the engine that ran the code and have not ended, in words.
fn still_there(engine: &Shared, workers: &[Option<u32>], others: usize) -> String {
    let called = workers
        .iter()
        .find_map(|cell| engine.board.registry.at((*cell)?));
    let count = workers.len() + others;
    let threads = if count == 1 {
        "a thread of the engine that ran its code has not ended".to_owned()
    } else {
        format!("{count} threads of the engine that ran its code have not ended")
    };
    match called {
        Some(cell) => format!("{threads}: it is in a call of {}", cell.id),
        None => threads,
    }
}

/// By what running code of a file is recorded, for whoever comes after a crash.
#[derive(Clone)]
struct Recorded {
    crashes: Arc<Crashes>,
    clock: Arc<dyn Clock>,
    number: u32,
}

impl Recorded {
    fn of(engine: &Shared, leaving: &Leaving) -> Self {
        Self {
            crashes: Arc::clone(&engine.board.crashes),
            clock: Arc::clone(engine.board.ledger.time.clock()),
            number: leaving.mapping.recorded_as(),
        }
    }

    /// On the thread that runs it.
    fn run<T>(&self, code: impl FnOnce() -> T) -> T {
        let _recorded = self.crashes.attach(Role::Unmap);
        record::begin(self.number, Call::Unmap, self.clock.now().as_nanos());
        let result = code();
        record::end();
        result
    }
}

/// Unmaps a file of which nothing can be run any more but by this.
fn unmap(engine: &Shared, census: &Arc<Census>, mut leaving: Leaving, object: &Object) -> Closed {
    let limit = engine.options.load_timeout;
    let file = leaving.path.display().to_string();
    // Snapshots and histories know the file by its digest, which cannot be worked out any more once the bytes are gone.
    if Arc::strong_count(&leaving.sha256) > 2 {
        leaving.sha256.text();
    }
    // Each on a thread of its own that has ended before the next begins: code of the plugin may leave values on the thread that it runs
    // on, which it destroys at the end of that.
    let recorded = Recorded::of(engine, &leaving);
    let release = leaving.mapping.releasing();
    let release = {
        let recorded = recorded.clone();
        move || recorded.run(release)
    };
    let released = aside::start("plugin-unmap", release);
    let released = released.map(|mut release| release.wait(limit));
    let why = match released {
        Ok(Wait::Ended(())) => None,
        Ok(Wait::NotYet | Wait::Panicked) => {
            Some("giving back what it took at its load has not ended".to_owned())
        }
        Err(error) => Some(format!("no thread could be started for it: {error}")),
    };
    if let Some(why) = why {
        engine.libraries.leave_behind(leaving, why.clone());
        return Closed::Kept(why);
    }
    let keys = census.keys_of(object);
    let (close, gone) = (leaving.mapping.closing(), object.clone());
    let census = Arc::clone(census);
    let closing = aside::start("plugin-unmap", move || {
        let closed = recorded.run(close);
        let kept = is_there(&gone);
        if !kept {
            // After the unmap, because its destructors may still have used them; on this thread, before it ends and destroys values
            // under them. No other thread has any: all that ran this code have ended.
            census.give_back_keys(&gone, &keys);
        }
        (closed, kept)
    });
    let closed = closing.map(|mut closing| {
        let mut wait = closing.wait(limit);
        if let Wait::NotYet = wait {
            engine.libraries.closing_is_overdue();
            tracing::warn!(target: "plugin_engine", %file, "is being unmapped, and its code that runs at its end has not returned within {limit:?}; nothing can be loaded until it does");
        }
        while let Wait::NotYet = wait
            && !engine.libraries.is_stopping()
        {
            wait = closing.wait(OVERDUE_LOOK_EVERY);
        }
        wait
    });
    let why = match closed {
        Ok(Wait::Ended((Ok(()), false))) => None,
        Ok(Wait::Ended((Ok(()), true))) => Some(
            "the system's loader kept it: a thread-local value of it is left, or it has symbols that must be unique".to_owned(),
        ),
        Ok(Wait::Ended((Err(error), _))) => Some(format!("the system's loader refused: {error}")),
        Ok(Wait::NotYet | Wait::Panicked) => {
            Some("its code that runs at its end has not returned".to_owned())
        }
        Err(error) => Some(format!("no thread could be started for it: {error}")),
    };
    let number = leaving.number;
    if let Some(why) = why {
        engine.libraries.leave_behind(leaving, why.clone());
        return Closed::Kept(why);
    }
    // Only now may the number of the descriptor be given to somebody else.
    leaving.mapping.let_go();
    engine.libraries.strike(number);
    Closed::Unmapped
}
