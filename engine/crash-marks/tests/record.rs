//! The record as it is written and read again within one process, and what a process leaves behind that comes to its end.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use plugin_engine_crash_marks::{
    Call, CallLeft, How, Name, Record, Remains, Role, Start, begin, end, install,
};
use tempfile::TempDir;

fn start(threads: usize) -> Start<'static> {
    Start {
        threads,
        opened_ns: 1_000,
        boot_id: "this boot",
    }
}

fn name(id: &str) -> Name {
    Name {
        id: id.to_owned(),
        path: format!("lib{id}.so"),
        digest: [7; 32],
    }
}

fn remains(path: &Path) -> Remains {
    Remains::read(&std::fs::read(path).unwrap()).unwrap()
}

/// A record in a directory of its own, with the names `a` and `b`.
fn record() -> (TempDir, std::path::PathBuf, Arc<Record>) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("calls");
    let record = Record::create(&path, &start(4)).unwrap();
    assert_eq!(record.enter(&[name("a"), name("b")]).unwrap(), 1);
    (dir, path, record)
}

fn ids(calls: &[CallLeft]) -> Vec<&str> {
    let names = calls.iter().map(|call| call.name.as_ref().unwrap());
    names.map(|name| &*name.id).collect()
}

#[test]
fn what_a_thread_calls_is_in_the_file_from_the_beginning_to_the_end_of_the_call() {
    let (_dir, path, record) = record();
    record.set_wall_offset(1_000_000);
    let attached = record.attach(Role::Worker).unwrap();
    assert!(remains(&path).calls.is_empty());
    begin(2, Call::Display, 500);
    let left = remains(&path);
    let [call] = &left.calls[..] else {
        panic!("{left:?}")
    };
    assert_eq!(call.name, Some(name("b")));
    assert_eq!((call.call, call.role), (Call::Display, Some(Role::Worker)));
    assert_eq!((call.since_ns, call.mark), (1_000_500, None));
    assert_eq!(left.run.pid, std::process::id());
    end();
    assert!(remains(&path).calls.is_empty());
    // Of a plugin without a name nothing could be told.
    begin(0, Call::Update, 500);
    assert!(remains(&path).calls.is_empty());
    drop(attached);
    begin(1, Call::Update, 500);
    assert!(remains(&path).calls.is_empty(), "nobody is attached");
}

#[test]
fn places_are_given_back_and_those_that_find_none_are_told() {
    let (_dir, path, record) = record();
    let (let_go, gates): (Vec<_>, Vec<_>) = (0..4).map(|_| channel::<()>()).unzip();
    std::thread::scope(|scope| {
        let (tell, told) = channel();
        for gate in gates {
            let (record, tell) = (&record, tell.clone());
            scope.spawn(move || {
                let _attached = record.attach(Role::Aside).unwrap();
                assert!(record.attach(Role::Aside).is_none(), "it has a place");
                begin(1, Call::Create, 0);
                tell.send(()).unwrap();
                let _ = gate.recv();
            });
        }
        (0..4).for_each(|_| told.recv().unwrap());
        assert!(record.attach(Role::Worker).is_none(), "all are taken");
        assert_eq!(ids(&remains(&path).calls), ["a"; 4]);
        drop(let_go);
    });
    // A thread that has ended calls nobody.
    assert!(remains(&path).calls.is_empty());
    assert!(record.attach(Role::Worker).is_some());
}

#[test]
fn a_record_takes_the_place_of_another_and_leaves_nothing_beside_it() {
    let (dir, path, first) = record();
    first.end();
    assert!(remains(&path).ended);
    let second = Record::create(&path, &start(1)).unwrap();
    assert!(!remains(&path).ended);
    // Whoever still has the first one writes into what nobody finds.
    let attached = first.attach(Role::Worker);
    begin(1, Call::Update, 0);
    assert!(remains(&path).calls.is_empty());
    drop((attached, second));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn where_no_file_can_be_made_that_is_an_error() {
    let error = Record::create(Path::new("/nonexistent/calls"), &start(1));
    assert_eq!(error.err().unwrap().kind(), std::io::ErrorKind::NotFound);
}

/// Says what the child of a test does.
const DOES: &str = "CRASH_MARKS_TEST_DOES";
static MENDED: AtomicBool = AtomicBool::new(false);
const PATH: &str = "CRASH_MARKS_TEST_PATH";

/// No test by itself: the process that comes to its end as [`DOES`] says, run by the tests below.
#[test]
fn the_child() {
    let (Ok(does), Some(path)) = (std::env::var(DOES), std::env::var_os(PATH)) else {
        return;
    };
    if does == "mended" {
        // As a program that knows what to do about it, and whose handler is called after the mark.
        extern "C" fn mend(_: libc::c_int) {
            MENDED.store(true, Ordering::Relaxed);
        }
        let handler: extern "C" fn(libc::c_int) = mend;
        // SAFETY: the handler does nothing that a handler may not.
        unsafe { libc::signal(libc::SIGBUS, handler as usize) };
    }
    install();
    install();
    let record = Record::create(Path::new(&path), &start(4)).unwrap();
    record.enter(&[name("a"), name("b")]).unwrap();
    let (tell, told) = channel();
    let other = {
        let (record, does) = (Arc::clone(&record), does.clone());
        std::thread::spawn(move || {
            let _attached = record.attach(Role::Worker).unwrap();
            begin(2, Call::Create, 7);
            tell.send(()).unwrap();
            if does == "abort beside" {
                std::process::abort();
            }
            std::thread::park();
        })
    };
    told.recv().unwrap();
    let _attached = record.attach(Role::Worker);
    begin(1, Call::Update, 5);
    come_to_an_end(&does);
    other.join().unwrap();
}

/// How many names there are to be room for.
const NAMES_WITH_ROOM: usize = 300;

/// No test by itself: a process of which no file can become any longer, run by the test below.
#[test]
fn the_child_without_room() {
    let (Ok("full"), Some(path)) = (std::env::var(DOES).as_deref(), std::env::var_os(PATH)) else {
        return;
    };
    let record = Record::create(Path::new(&path), &start(4)).unwrap();
    record.enter(&[name("a")]).unwrap();
    // SAFETY: what is written beyond the limit is refused, without the signal that would end the process.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        let len = Path::new(&path).metadata().unwrap().len();
        let limit = libc::rlimit {
            rlim_cur: len,
            rlim_max: len,
        };
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
    }
    for n in 0..NAMES_WITH_ROOM {
        record.enter(&[name(&format!("late-{n}"))]).unwrap();
    }
    // What does not fit is refused as a whole, and what is there stays.
    let many: Vec<_> = (0..10_000).map(|n| name(&format!("many-{n}"))).collect();
    assert!(record.enter(&many).is_err());
}

#[test]
fn on_a_full_disk_there_is_room_for_the_names_of_plugins_that_come_later() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("calls");
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "the_child_without_room",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DOES, "full")
        .env(PATH, &path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let names = remains(&path).names;
    assert_eq!(names[0], name("a"));
    assert_eq!(
        names[NAMES_WITH_ROOM],
        name(&format!("late-{}", NAMES_WITH_ROOM - 1))
    );
}

#[test]
fn room_for_names_is_made_before_it_is_needed() {
    let (_dir, path, record) = record();
    for n in 0..2_000 {
        record.enter(&[name(&format!("one-of-many-{n}"))]).unwrap();
    }
    let before = path.metadata().unwrap().len();
    record.enter(&[name("one-more")]).unwrap();
    let after = path.metadata().unwrap().len();
    assert_eq!(remains(&path).names.len(), 2_003);
    assert!(
        before == after || after - before > 30_000,
        "{before} {after}"
    );
}

fn come_to_an_end(does: &str) {
    let raise = |signal| {
        // SAFETY: ends the process, which is what the test wants.
        unsafe { libc::raise(signal) };
    };
    let send = |signal| {
        // SAFETY: as above.
        unsafe { libc::kill(libc::getpid(), signal) };
    };
    match does {
        "abort" => std::process::abort(),
        "fault" => {
            // SAFETY: none, on purpose.
            unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
        }
        "raise" => raise(libc::SIGSEGV),
        "exit" => std::process::exit(9),
        "sent" => send(libc::SIGBUS),
        "killed" => send(libc::SIGKILL),
        "mended" => {
            raise(libc::SIGBUS);
            assert!(MENDED.load(Ordering::Relaxed));
            send(libc::SIGKILL);
        }
        "exit between calls" => {
            end();
            std::process::exit(9);
        }
        "forked" => {
            // SAFETY: the child only ends itself.
            let child = unsafe { libc::fork() };
            if child == 0 {
                std::process::abort();
            }
            // SAFETY: waits for that child, and tells nothing.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            send(libc::SIGKILL);
        }
        _ => {}
    }
    loop {
        std::thread::park();
    }
}

/// Runs the child, and returns how it ended and what it has left behind.
fn left_by(does: &str) -> (std::process::ExitStatus, Remains) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("calls");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_child", "--nocapture", "--test-threads=1"])
        .env(DOES, does)
        .env(PATH, &path)
        .output()
        .unwrap();
    (output.status, remains(&path))
}

/// The marks of the calls of `a` and `b`.
fn marks(remains: &Remains) -> [Option<How>; 2] {
    let of = |id: &str| {
        let call = remains
            .calls
            .iter()
            .find(|call| ids(std::slice::from_ref(call)) == [id]);
        call.and_then(|call| call.mark).map(|mark| mark.how)
    };
    [of("a"), of("b")]
}

#[test]
fn a_fault_is_marked_on_the_thread_that_brought_it_upon_itself_and_on_no_other() {
    for (does, signal) in [
        ("abort", libc::SIGABRT),
        ("fault", libc::SIGSEGV),
        ("raise", libc::SIGSEGV),
    ] {
        let (status, remains) = left_by(does);
        assert_eq!(status.signal(), Some(signal), "{does}");
        assert_eq!(ids(&remains.calls).len(), 2, "{does}: {remains:?}");
        assert_eq!(marks(&remains), [Some(How::Signal(signal)), None], "{does}");
        let process = remains.process.unwrap().0.how;
        assert_eq!(process, How::Signal(signal), "{does}");
    }
    let (_, remains) = left_by("abort beside");
    assert_eq!(marks(&remains)[1], Some(How::Signal(libc::SIGABRT)));
    assert_eq!(marks(&remains)[0], None);
}

#[test]
fn an_exit_is_marked_on_the_thread_that_exits_with_its_status() {
    let (status, remains) = left_by("exit");
    assert_eq!(status.code(), Some(9));
    assert_eq!(marks(&remains), [Some(How::Exit(9)), None]);
    let (status, remains) = left_by("exit between calls");
    assert_eq!(status.code(), Some(9));
    assert_eq!(ids(&remains.calls), ["b"]);
    assert_eq!(marks(&remains), [None, None]);
    assert_eq!(remains.process.unwrap().0.how, How::Exit(9));
}

#[test]
fn a_signal_that_was_sent_is_nobodys_and_a_kill_is_not_seen() {
    let (status, remains) = left_by("sent");
    assert_eq!(status.signal(), Some(libc::SIGBUS));
    assert_eq!(marks(&remains), [None, None]);
    assert_eq!(
        remains.process.unwrap().0.how,
        How::SentSignal(libc::SIGBUS)
    );
    let (status, remains) = left_by("killed");
    assert_eq!(status.signal(), Some(libc::SIGKILL));
    assert_eq!(ids(&remains.calls), ["b", "a"]);
    assert_eq!((marks(&remains), remains.process), ([None, None], None));
}

#[test]
fn the_end_of_a_child_that_was_forked_says_nothing_of_the_process() {
    let (status, remains) = left_by("forked");
    assert_eq!(status.signal(), Some(libc::SIGKILL));
    assert_eq!((marks(&remains), remains.process), ([None, None], None));
}

#[test]
fn a_fault_that_somebody_mends_leaves_no_mark() {
    let (status, remains) = left_by("mended");
    assert_eq!(status.signal(), Some(libc::SIGKILL));
    assert_eq!((marks(&remains), remains.process), ([None, None], None));
}
