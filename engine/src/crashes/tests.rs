use std::time::Duration;

use plugin_engine_core::{CallKind, WallTime};
use plugin_engine_crash_marks::{Call, How, Mark, RunId};
use tempfile::TempDir;

use super::*;
use crate::clock::ManualClock;

const BOOT: &str = "this boot";

fn id(text: &str) -> PluginId {
    PluginId::new(text).unwrap()
}

fn name(id: &str, file: &str) -> Name {
    Name {
        id: id.to_owned(),
        path: file.to_owned(),
        digest: [7; 32],
    }
}

fn left(id: &str, call: Call, mark: Option<(u64, How)>) -> plugin_engine_crash_marks::CallLeft {
    plugin_engine_crash_marks::CallLeft {
        name: Some(name(id, "lib.so")),
        call,
        since_ns: 1_000_000_000,
        tid: 4711,
        role: Some(Role::Worker),
        mark: mark.map(|(order, how)| Mark {
            how,
            at_ns: 2_000_000_000,
            order,
        }),
    }
}

fn remains(calls: Vec<plugin_engine_crash_marks::CallLeft>) -> Remains {
    let process = calls
        .iter()
        .find_map(|call| call.mark)
        .map(|mark| (mark, 4711));
    Remains {
        run: RunId {
            boot_id: BOOT.to_owned(),
            pid: 1,
            opened_ns: 1,
        },
        ended: false,
        process,
        names: calls.iter().filter_map(|call| call.name.clone()).collect(),
        calls,
    }
}

const SEGV: How = How::Signal(libc::SIGSEGV);

#[test]
fn whose_thread_has_the_first_mark_is_counted_and_the_others_are_named() {
    let remains = remains(vec![
        left("late", Call::Update, Some((2, SEGV))),
        left("first", Call::Create, Some((1, How::Exit(3)))),
        left("beside", Call::Display, None),
    ]);
    let mut counts = Counts::default();
    let found = found::judge(&remains, &mut counts, BOOT);
    let said: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "late: was being called when the process ended (first had crashed it): in its update on the thread plugin-worker (4711), \
             since 1970-01-01T00:00:01.000Z; not counted",
            "first: crashed the engine in its create: an exit of the process with the status 3 at 1970-01-01T00:00:02.000Z on the thread \
             plugin-worker (4711), which was calling it since 1970-01-01T00:00:01.000Z; once so far [PE0622]",
            "beside: was being called when the process ended (first had crashed it): in its display on the thread plugin-worker (4711), \
             since 1970-01-01T00:00:01.000Z; not counted",
        ]
    );
    let counted: Vec<_> = found
        .iter()
        .map(|call| (call.crashed, call.crashes))
        .collect();
    assert_eq!(counted, [(false, 0), (true, 1), (false, 0)]);
    assert_eq!(found[1].call, Some(CallKind::Create));
    assert_eq!(found::elsewhere(&remains), None);
}

#[test]
fn a_start_that_did_not_get_far_counts_no_crash_twice() {
    let remains = remains(vec![left("a", Call::Update, Some((1, SEGV)))]);
    let mut counts = Counts::default();
    found::judge(&remains, &mut counts, BOOT);
    let again = found::judge(&remains, &mut counts, BOOT);
    assert!(again[0].crashed, "it is told again");
    assert_eq!(again[0].crashes, 1);
    let mut next = remains.clone();
    next.run.opened_ns = 2;
    assert_eq!(found::judge(&next, &mut counts, BOOT)[0].crashes, 2);
}

#[test]
fn a_load_counts_for_every_plugin_of_the_file_and_for_no_other() {
    let mut remains = remains(vec![left("b", Call::Load, Some((1, SEGV)))]);
    remains.names = vec![
        name("a", "lib.so"),
        name("b", "lib.so"),
        // Entered twice, because it was loaded twice.
        name("a", "lib.so"),
        name("c", "other.so"),
        Name {
            digest: [8; 32],
            ..name("d", "lib.so")
        },
    ];
    let mut counts = Counts::default();
    let found = found::judge(&remains, &mut counts, BOOT);
    let ids: Vec<_> = found.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert!(
        found
            .iter()
            .all(|call| call.crashes == 1 && call.call.is_none())
    );
    assert!(
        found[0]
            .message
            .contains("while its file was loaded: SIGSEGV")
    );
}

#[test]
fn why_a_process_ended_is_told_as_far_as_it_is_known() {
    let interrupted = |mark: Option<How>, boot: &str| {
        let mut remains = remains(vec![left("a", Call::Update, None)]);
        remains.process = mark.map(|how| {
            let mark = Mark {
                how,
                at_ns: 0,
                order: 1,
            };
            (mark, 9)
        });
        let found = found::judge(&remains, &mut Counts::default(), boot);
        assert!(!found[0].crashed);
        let why = found[0]
            .message
            .split(['(', ')'])
            .nth(1)
            .unwrap()
            .to_owned();
        (why, found::elsewhere(&remains))
    };
    assert_eq!(interrupted(None, BOOT), ("it was killed".to_owned(), None));
    let (why, _) = interrupted(None, "another boot");
    assert_eq!(why, "it was killed, or the machine stopped");
    let (why, elsewhere) = interrupted(Some(SEGV), BOOT);
    assert_eq!(why, "by SIGSEGV on the thread 9");
    assert!(elsewhere.unwrap().contains("in no call of a plugin"));
    let (why, elsewhere) = interrupted(Some(How::SentSignal(libc::SIGSEGV)), BOOT);
    assert_eq!(why, "somebody had sent it SIGSEGV");
    assert!(elsewhere.unwrap().contains("somebody had sent"));
    let (why, elsewhere) = interrupted(Some(How::Exit(1)), BOOT);
    assert_eq!(
        why,
        "by an exit of the process with the status 1 on the thread 9"
    );
    assert!(elsewhere.unwrap().contains("without having shut"));
}

struct Rig {
    dir: TempDir,
    clock: ManualClock,
}

impl Rig {
    fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            clock: ManualClock::new(WallTime::from_unix_nanos(1_000_000_000_000)),
        }
    }

    fn open(&self) -> (Arc<StateDir>, Crashes) {
        let (dir, crashes) = self.begin();
        crashes.taken_over().unwrap();
        (dir, crashes)
    }

    /// The beginning of a start, which fails if nothing more follows.
    fn begin(&self) -> (Arc<StateDir>, Crashes) {
        let dir = Arc::new(StateDir::open(self.dir.path()).unwrap());
        let time = TimeSource::new(Arc::new(self.clock.clone()));
        let crashes = Crashes::open(Arc::clone(&dir), 2, &time).unwrap();
        (dir, crashes)
    }

    /// Leaves behind what a process would that ended in this call. The next one has another time, as each process has.
    fn leave(&self, mark: Option<How>) {
        let (dir, crashes) = self.open();
        let number = crashes.enter(&id("a"), Path::new("a.so"), &[7; 32]);
        let attached = crashes.attach(Role::Worker).unwrap();
        plugin_engine_crash_marks::begin(number, Call::Update, 5);
        if let Some(How::Exit(status)) = mark {
            plugin_engine_crash_marks::exiting(status);
        }
        let path = self.dir.path().join(CALLS);
        let left = std::fs::read(&path).unwrap();
        drop((attached, crashes));
        dir.release();
        std::fs::write(path, left).unwrap();
        self.clock.advance(Duration::from_secs(1));
    }
}

/// Marks are of the process, and so of one test at a time.
static MARKING: Mutex<()> = Mutex::new(());

#[test]
fn crashes_are_counted_on_the_disk_until_they_are_forgotten() {
    let _marking = MARKING.lock();
    let rig = Rig::new();
    for crashes in 1..=2 {
        rig.leave(Some(How::Exit(3)));
        let (dir, now) = rig.open();
        let [found] = now.found() else { panic!() };
        assert_eq!((found.crashed, found.crashes), (true, crashes));
        assert_eq!(found.since, WallTime::from_unix_nanos(1_000_000_000_005));
        let text = std::fs::read_to_string(rig.dir.path().join(CRASHES)).unwrap();
        assert!(text.contains(&format!("\"crashes\": {crashes}")), "{text}");
        let held = now.quarantine(&id("a"), &[7; 32], 2);
        assert_eq!(held.is_some(), crashes == 2);
        assert_eq!(now.quarantine(&id("a"), &[7; 32], 0), None, "never");
        assert_eq!(now.quarantine(&id("a"), &[8; 32], 1), None, "other bytes");
        assert_eq!(now.quarantine(&id("b"), &[7; 32], 1), None, "another one");
        now.end();
        dir.release();
    }
    let (dir, now) = rig.open();
    assert!(now.found().is_empty() && now.has(&id("a")));
    now.forget(&id("a")).unwrap();
    assert_eq!(now.quarantine(&id("a"), &[7; 32], 1), None);
    dir.release();
    let (_dir, later) = rig.open();
    assert!(!later.has(&id("a")));
}

#[test]
fn a_start_that_fails_leaves_what_it_has_found_to_the_next_and_counts_it_once() {
    let _marking = MARKING.lock();
    for (mark, crashes) in [(Some(How::Exit(3)), 1), (None, 0)] {
        let rig = Rig::new();
        rig.leave(mark);
        for _ in 0..3 {
            let (dir, begun) = rig.begin();
            let [found] = begun.found() else {
                panic!("{:?}", begun.found());
            };
            assert_eq!((found.crashed, found.crashes), (mark.is_some(), crashes));
            begun.end();
            dir.release();
            rig.clock.advance(Duration::from_secs(1));
        }
        let (dir, built) = rig.open();
        assert_eq!(built.found().len(), 1);
        dir.release();
        let (_dir, after) = rig.open();
        assert!(after.found().is_empty());
        assert!(!rig.dir.path().join(CALLS_BEFORE).exists());
    }
}

#[test]
fn who_was_only_being_called_is_not_counted_however_often() {
    let _marking = MARKING.lock();
    let rig = Rig::new();
    for _ in 0..3 {
        rig.leave(None);
    }
    let (_dir, now) = rig.open();
    assert_eq!(now.found().len(), 1);
    assert!(!now.found()[0].crashed && !now.has(&id("a")));
    assert!(
        !rig.dir.path().join(CRASHES).exists(),
        "there is nothing to write"
    );
}

#[test]
fn a_plugin_has_one_number_for_as_long_as_it_has_the_same_bytes() {
    let rig = Rig::new();
    let (_dir, now) = rig.open();
    let path = Path::new("a.so");
    let first = now.enter(&id("a"), path, &[1; 32]);
    assert_ne!(first, 0);
    assert_eq!(now.enter(&id("a"), path, &[1; 32]), first);
    assert_ne!(now.enter(&id("a"), path, &[2; 32]), first);
    assert_ne!(now.enter(&id("b"), path, &[1; 32]), first);
    let all = [id("a"), id("c"), id("b")];
    assert_eq!(now.enter_all(&all, path, &[1; 32]), first);
    let nothing = Crashes::default();
    assert_eq!(nothing.enter(&id("a"), path, &[1; 32]), 0);
    assert!(nothing.attach(Role::Worker).is_none());
}

#[test]
fn what_is_not_believed_is_set_aside_and_the_start_goes_on() {
    let rig = Rig::new();
    for name in [CALLS, CRASHES] {
        std::fs::write(rig.dir.path().join(name), "something else").unwrap();
    }
    let (_dir, now) = rig.open();
    assert!(now.found().is_empty());
    for name in [CALLS, CRASHES] {
        let aside = rig.dir.path().join(format!("{name}.set-aside"));
        assert_eq!(std::fs::read_to_string(aside).unwrap(), "something else");
    }
}
