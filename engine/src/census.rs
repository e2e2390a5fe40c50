//! Who may still run code of a file beside the engine: the threads of the process, and its keys for thread-local values.
//!
//! Only the program can count them, by functions that stand in front of the system's; here is what is asked of that count.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use crate::library::{Object, all_objects};

/// A thread that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveThread {
    /// The system's number of it; 0 while it is about to start.
    pub tid: u32,
    /// The address of its start routine.
    pub start: usize,
    /// The address of the start routine of the thread that started it; 0 where that is not known.
    pub started_by: usize,
    /// The how-manieth thread of the process it was.
    pub number: u64,
}

/// A key for thread-local values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadKey {
    /// The system's number of it.
    pub key: u32,
    /// The address of its destructor; 0 for none.
    pub destructor: usize,
    /// The system's number of the thread that asked for it.
    pub created_by: u32,
}

/// A count of the threads and keys of this process, without which no plugin file is ever unmapped: nobody else knows whether a thread
/// of it lives.
///
/// A program gets one by linking the crate `plugin-engine-thread-hooks`, exporting its functions, and handing them over here with
/// [`EngineBuilder::thread_census`](crate::EngineBuilder::thread_census); `plugin-engine` does. Called from any thread, at load and while a file is
/// being unmapped.
///
/// ```
/// use plugin_engine::{LiveThread, ThreadCensus, ThreadKey};
///
/// /// One that admits that it knows nothing, so that nothing is unmapped.
/// struct Nobody;
///
/// impl ThreadCensus for Nobody {
///     fn trouble(&self) -> Option<String> { Some("nobody counts".to_owned()) }
///     fn threads(&self) -> Vec<LiveThread> { Vec::new() }
///     fn keys(&self) -> Vec<ThreadKey> { Vec::new() }
///     fn delete_key(&self, _: ThreadKey) {}
/// }
/// ```
pub trait ThreadCensus: Send + Sync + 'static {
    /// Why the count cannot be relied on; `None` if it can.
    fn trouble(&self) -> Option<String>;

    /// All threads that live. One that is ending counts until the system knows it no more, because its thread-local values are
    /// destroyed as the last thing.
    fn threads(&self) -> Vec<LiveThread>;

    /// All keys for thread-local values that were asked for and not given back.
    fn keys(&self) -> Vec<ThreadKey>;

    /// Gives a key back, unless it has become another one.
    fn delete_key(&self, key: ThreadKey);
}

/// A census, with what was there when the engine was built.
pub(crate) struct Census {
    count: Box<dyn ThreadCensus>,
    /// The number of the last thread by then. Whatever they may run, it is no plugin of this engine.
    last_before: u64,
    /// The threads by then that nobody counts.
    strangers_before: HashSet<u32>,
}

impl Census {
    pub(crate) fn begin(count: Box<dyn ThreadCensus>) -> Arc<Self> {
        let mut census = Self {
            count,
            last_before: 0,
            strangers_before: HashSet::new(),
        };
        let tasks = tasks();
        let threads = census.count.threads();
        census.last_before = threads.iter().map(|one| one.number).max().unwrap_or(0);
        census.strangers_before = census.strangers(tasks, &threads).collect();
        Arc::new(census)
    }

    pub(crate) fn trouble(&self) -> Option<String> {
        self.count.trouble()
    }

    pub(crate) fn keys_in_use(&self) -> usize {
        self.count.keys().len()
    }

    /// The keys whose destructors lie in an object.
    pub(crate) fn keys_of(&self, object: &Object) -> Vec<ThreadKey> {
        let mut keys = self.count.keys();
        keys.retain(|key| object.range.contains(&key.destructor));
        keys
    }

    /// Gives back the keys whose destructors lay in an object that is no longer mapped: those that were known before it went, and those
    /// that this thread asked for, which ran its destructors. Its addresses may have been given to somebody else meanwhile.
    pub(crate) fn give_back_keys(&self, object: &Object, before: &[ThreadKey]) {
        let own = u32::try_from(rustix::thread::gettid().as_raw_pid()).unwrap_or(0);
        for key in self.keys_of(object) {
            if before.contains(&key) || key.created_by == own {
                self.count.delete_key(key);
            }
        }
    }

    /// The threads of the process that nobody counts, of these.
    fn strangers<'a>(
        &'a self,
        tasks: Vec<u32>,
        threads: &'a [LiveThread],
    ) -> impl Iterator<Item = u32> + 'a {
        let counted: HashSet<u32> = threads.iter().map(|one| one.tid).collect();
        let first = std::process::id();
        tasks.into_iter().filter(move |tid| {
            *tid != first
                && !counted.contains(tid)
                && !self.strangers_before.contains(tid)
                && !works_for_the_system(*tid)
        })
    }

    /// Which thread may still run code of a mapped file, in words. The threads of engines are not meant: they run it when told to.
    pub(crate) fn who_may_run(&self, object: &Object) -> Option<String> {
        // In this order: a thread that is started meanwhile is counted by the second, and whoever starts it by either.
        let tasks = tasks();
        let threads = self.count.threads();
        let objects = all_objects();
        let here = Self::begin as *const () as usize;
        let mut starting = false;
        for thread in &threads {
            starting |= thread.tid == 0;
            let of = |range: &Range<usize>| {
                range.contains(&thread.start) || range.contains(&thread.started_by)
            };
            if of(&object.range) {
                return Some(format!("{} that it started lives", named(thread.tid)));
            }
            if thread.number <= self.last_before {
                continue;
            }
            let home = objects.iter().find(|one| one.range.contains(&thread.start));
            // The program's own code, the engine's, and that of other plugins knows nothing of this file.
            let is_known = home.is_some_and(|home| {
                home.name.is_empty() || home.range.contains(&here) || home.is_sealed()
            });
            if !is_known {
                let home = home.map_or("unknown code", |home| &home.name);
                return Some(format!(
                    "{} lives, which {} started and which may call it back",
                    named(thread.tid),
                    plugin_engine_core::bounded(home, 100)
                ));
            }
        }
        let stranger = self.strangers(tasks, &threads).next()?;
        Some(if starting {
            "a thread is just starting".to_owned()
        } else {
            format!(
                "{} lives, which was started in a way that nobody counts",
                named(stranger)
            )
        })
    }
}

/// The system's numbers of all threads of this process.
fn tasks() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc/self/task");
    let names = entries.into_iter().flatten().flatten();
    names
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

fn name(tid: u32) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/self/task/{tid}/comm")).ok()?;
    Some(plugin_engine_core::escape_control(name.trim_end()).into_owned())
}

/// Whether the system does asynchronous work on this thread, which never runs any code of the process.
fn works_for_the_system(tid: u32) -> bool {
    // One that has ended meanwhile is none to ask about.
    name(tid).is_none_or(|name| name.starts_with("iou-"))
}

fn named(tid: u32) -> String {
    match name(tid) {
        _ if tid == 0 => "a thread".to_owned(),
        Some(name) => format!("the thread {name} ({tid})"),
        None => format!("the thread {tid}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use parking_lot::Mutex;

    use super::*;

    /// Says of this process what a test wants.
    #[derive(Default)]
    struct Told {
        threads: Mutex<Vec<LiveThread>>,
        keys: Mutex<Vec<ThreadKey>>,
    }

    impl ThreadCensus for Arc<Told> {
        fn trouble(&self) -> Option<String> {
            None
        }

        fn threads(&self) -> Vec<LiveThread> {
            self.threads.lock().clone()
        }

        fn keys(&self) -> Vec<ThreadKey> {
            self.keys.lock().clone()
        }

        fn delete_key(&self, key: ThreadKey) {
            self.keys.lock().retain(|one| *one != key);
        }
    }

    fn object() -> Object {
        Object {
            name: "/proc/self/fd/77".to_owned(),
            range: 0x1000..0x2000,
        }
    }

    fn thread(start: usize, started_by: usize) -> LiveThread {
        LiveThread {
            tid: 4_000_000,
            start,
            started_by,
            number: 5,
        }
    }

    #[test]
    fn a_thread_of_the_file_or_of_one_of_its_threads_may_run_it_and_one_of_the_program_may_not() {
        let told = Arc::new(Told::default());
        let census = Census::begin(Box::new(Arc::clone(&told)));
        let own = Census::begin as *const () as usize;
        let may = |thread| {
            *told.threads.lock() = vec![thread];
            // Other threads of this test are counted by nobody: what is asked here is of the one that is.
            let found = census.who_may_run(&object());
            found.filter(|found| found.contains("4000000"))
        };
        assert!(
            may(thread(0x1800, own))
                .unwrap()
                .contains("that it started")
        );
        assert!(
            may(thread(own, 0x1000))
                .unwrap()
                .contains("that it started")
        );
        assert_eq!(may(thread(own, own)), None);
        assert_eq!(may(thread(own, 0x2000)), None);
    }

    #[test]
    fn a_thread_of_other_code_may_call_back_unless_it_was_there_before() {
        let told = Arc::new(Told::default());
        *told.threads.lock() = vec![LiveThread {
            number: 4,
            ..thread(0, 0)
        }];
        let census = Census::begin(Box::new(Arc::clone(&told)));
        let objects = all_objects();
        let libc = objects.iter().find(|one| one.name.contains("libc.so"));
        let libc = libc.unwrap().range.start;
        *told.threads.lock() = vec![thread(libc, 0)];
        let found = census.who_may_run(&object()).unwrap();
        assert!(
            found.contains("libc.so") && found.contains("call it back"),
            "{found}"
        );
        told.threads.lock()[0].number = 4;
        let found = census.who_may_run(&object());
        assert!(found.is_none_or(|found| !found.contains("libc.so")));
    }

    #[test]
    fn a_thread_that_nobody_counts_is_told_by_its_name() {
        let census = Census::begin(Box::new(Arc::new(Told::default())));
        let (let_go, gate) = channel::<()>();
        let uncounted = std::thread::Builder::new().name("uncounted".to_owned());
        let uncounted = uncounted.spawn(move || gate.recv().is_ok()).unwrap();
        let strangers = || -> Vec<_> { census.strangers(tasks(), &[]).map(named).collect() };
        let seen = || strangers().iter().any(|one| one.contains("uncounted ("));
        while !seen() {
            std::thread::yield_now();
        }
        assert!(census.who_may_run(&object()).is_some());
        // One that was there before the engine was may be whatever it is.
        let later = Census::begin(Box::new(Arc::new(Told::default())));
        let mut found = later.strangers(tasks(), &[]).map(named);
        assert!(found.all(|one| !one.contains("uncounted (")));
        let_go.send(()).unwrap();
        uncounted.join().unwrap();
    }

    #[test]
    fn keys_of_the_file_are_given_back_and_no_others() {
        let told = Arc::new(Told::default());
        let key = |key, destructor, created_by| ThreadKey {
            key,
            destructor,
            created_by,
        };
        let own = u32::try_from(rustix::thread::gettid().as_raw_pid()).unwrap();
        *told.keys.lock() = vec![key(1, 0x1500, 7), key(2, 0, 7), key(3, 0x9000, 7)];
        let census = Census::begin(Box::new(Arc::clone(&told)));
        let before = census.keys_of(&object());
        assert_eq!(before, [key(1, 0x1500, 7)]);
        // One of the destructors asks for another, and so does who was given the addresses since.
        let (late, foreign) = (key(4, 0x1600, own), key(5, 0x1700, 8));
        told.keys.lock().extend([late, foreign]);
        census.give_back_keys(&object(), &before);
        assert_eq!(
            *told.keys.lock(),
            [key(2, 0, 7), key(3, 0x9000, 7), foreign]
        );
        assert_eq!(census.keys_in_use(), 3);
    }
}
