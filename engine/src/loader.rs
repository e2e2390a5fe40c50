//! The loader's thread: verifies and maps files, one at a time, because code of a file runs when it is mapped.
//!
//! The system's loader is one for the whole process and holds a lock while constructors run. A constructor that hangs is
//! therefore waited for no longer than a deadline, and whoever comes next is told which file it is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};

use std::time::Duration;

use parking_lot::Mutex;

use plugin_engine_core::PluginId;
use plugin_engine_crash_marks::Role;

use crate::ahead::Verified;
use crate::clock::Clock;
use crate::crashes::Crashes;
use crate::discover::Candidate;
use crate::error::LoadError;
use crate::host::Listener;
use crate::joining::{Joining, Ran};
use crate::library::{self, Libraries, LoadTurn, LoadedLibrary};
use crate::mailbox::Mailbox;
use crate::supervisor::{IfTaken, Supervisor, TaskContext};
use crate::verify::{self, Refused, Rules, VerifiedArtifact};

const NAME: &str = "plugin-loader";

type Answer = Result<Arc<LoadedLibrary>, Refusal>;

/// Why a file was not loaded, and whose it is as far as it could tell.
pub(crate) struct Refusal {
    pub(crate) id: Option<PluginId>,
    /// In a box, because a load that succeeds should not carry room for it.
    pub(crate) error: Box<LoadError>,
}

impl From<LoadError> for Refusal {
    fn from(error: LoadError) -> Self {
        Self {
            id: None,
            error: Box::new(error),
        }
    }
}

/// What there is of the loader beside its thread.
pub(crate) struct Loader {
    crashes: Arc<Crashes>,
    libraries: Arc<Libraries>,
    listener: Weak<dyn Listener>,
    clock: Arc<dyn Clock>,
    /// How long a file is waited for, in real time.
    limit: Duration,
    /// Held while a file is waited for, so that files come one after another.
    turn: Mutex<()>,
    /// The file that is being loaded although nobody waits for it any more.
    stuck: Arc<Mutex<Option<PathBuf>>>,
    thread: Mutex<Option<LoaderThread>>,
    joining: Arc<Joining>,
    supervisor: Arc<Supervisor>,
}

/// The loader's thread, as long as it is told anything.
struct LoaderThread {
    requests: Arc<Mailbox<Request>>,
    ran: Arc<Ran>,
}

/// What is asked before a file is mapped that has passed every check. Returns by which number running its code is recorded.
pub(crate) type BeforeMap = Box<dyn FnOnce(&VerifiedArtifact) -> Result<u32, LoadError> + Send>;

impl Drop for LoaderThread {
    fn drop(&mut self) {
        self.requests.close();
    }
}

struct Request {
    /// What the checks have said, if they were made already.
    verified: Option<Verified>,
    before_map: BeforeMap,
    libraries: Arc<Libraries>,
    listener: Weak<dyn Listener>,
    clock: Arc<dyn Clock>,
    candidate: Arc<Candidate>,
    rules: Arc<Rules>,
    /// Keeps what is mapped from being unmapped until the load has ended, also if nobody waits for it any more.
    turn: LoadTurn,
    answer: SyncSender<Answer>,
}

impl Loader {
    pub(crate) fn new(
        libraries: Arc<Libraries>,
        crashes: Arc<Crashes>,
        listener: Weak<dyn Listener>,
        clock: Arc<dyn Clock>,
        limit: Duration,
        joining: Arc<Joining>,
        supervisor: Arc<Supervisor>,
    ) -> Self {
        Self {
            crashes,
            libraries,
            listener,
            clock,
            limit,
            turn: Mutex::default(),
            stuck: Arc::default(),
            thread: Mutex::default(),
            joining,
            supervisor,
        }
    }
}

impl Loader {
    /// How long a file is waited for, in real time.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Whether code of an earlier file that runs at load has not returned, so that no other file can be loaded.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.lock().is_some()
    }
}

/// Verifies a file if that was not done already, and maps it, on the loader's thread, within its limit of real time.
pub(crate) fn load(
    loader: &Loader,
    candidate: &Arc<Candidate>,
    rules: &Arc<Rules>,
    verified: Option<Verified>,
    before_map: BeforeMap,
) -> Answer {
    #[cfg(feature = "simulation")]
    if let Some(answer) = crate::simulation::load(candidate) {
        return answer;
    }
    let path = || candidate.path.clone();
    let busy = || {
        loader
            .stuck
            .lock()
            .clone()
            .map(|holder| LoadError::LoaderBusy {
                path: path(),
                holder,
            })
    };
    if let Some(error) = busy() {
        return Err(error.into());
    }
    let _turn = loader.turn.lock();
    if let Some(error) = busy() {
        return Err(error.into());
    }
    let no_thread = |source| {
        Refusal::from(LoadError::Thread {
            path: path(),
            source,
        })
    };
    let has_ended = || no_thread(std::io::Error::other("the loader's thread has ended"));
    let turn = loader.libraries.begin_load(&candidate.path, loader.limit)?;
    let (answer, answers) = sync_channel(1);
    let request = Request {
        verified,
        before_map,
        libraries: Arc::clone(&loader.libraries),
        listener: Weak::clone(&loader.listener),
        clock: Arc::clone(&loader.clock),
        candidate: Arc::clone(candidate),
        rules: Arc::clone(rules),
        turn,
        answer,
    };
    let mut thread = loader.thread.lock();
    let to = match &*thread {
        Some(thread) => thread,
        None => thread.insert(start(loader).map_err(no_thread)?),
    };
    // Under the lock: whoever has the thread end does so before, or after it has the request.
    to.requests.put(request).map_err(|_| has_ended())?;
    drop(thread);
    let limit = loader.limit;
    match answers.recv_timeout(limit) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Timeout) => {
            *loader.stuck.lock() = Some(path());
            // It may have ended just before it was called stuck.
            match answers.try_recv() {
                Ok(answer) => {
                    *loader.stuck.lock() = None;
                    answer
                }
                Err(_) => Err(Refusal::from(LoadError::Timeout {
                    path: path(),
                    limit,
                })),
            }
        }
        Err(RecvTimeoutError::Disconnected) => Err(has_ended()),
    }
}

/// Has the thread end that ran code of a plugin file, if this is one, when it is done with what it is at. The next load starts another.
pub(crate) fn rotate(loader: &Loader, number: u64) {
    let mut thread = loader.thread.lock();
    if thread.as_ref().is_some_and(|thread| thread.ran.has(number)) {
        *thread = None;
    }
}

/// Ends the thread when it is done with what it is at: nothing is loaded any more.
pub(crate) fn close(loader: &Loader) {
    *loader.thread.lock() = None;
}

fn start(loader: &Loader) -> std::io::Result<LoaderThread> {
    let requests = Arc::<Mailbox<Request>>::default();
    let weak = Arc::downgrade(&requests);
    let wake = move || {
        if let Some(requests) = weak.upgrade() {
            requests.ring();
        }
    };
    // The one before may not have ended yet.
    let entry = loader.supervisor.enter(NAME, IfTaken::Succeeds, wake);
    let entry = entry.map_err(std::io::Error::other)?;
    let stuck = Arc::clone(&loader.stuck);
    let crashes = Arc::clone(&loader.crashes);
    let ran = Arc::<Ran>::default();
    let (runs, from) = (Arc::clone(&ran), Arc::clone(&requests));
    loader.joining.start(Arc::clone(&ran), || {
        crate::threading::thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(move || {
                let _recorded = crashes.attach(Role::Loader);
                entry.run(|context| run(&from, &stuck, &runs, context));
            })
    })?;
    Ok(LoaderThread { requests, ran })
}

fn run(
    requests: &Mailbox<Request>,
    stuck: &Mutex<Option<PathBuf>>,
    ran: &Ran,
    context: &TaskContext,
) {
    let idle = || {
        context.record_progress();
        context.beat()
    };
    while requests.wait(idle) {
        context.round(|| {
            if let Some(request) = requests.take() {
                // Constructors of the file run in there, for as long as they like.
                let _zone = context.protect();
                serve(request, stuck, ran);
            }
        });
    }
}

fn serve(request: Request, stuck: &Mutex<Option<PathBuf>>, ran: &Ran) {
    let Request {
        verified,
        before_map,
        libraries,
        listener,
        clock,
        candidate,
        rules,
        turn,
        answer,
    } = request;
    let result = caught(&candidate.path, || {
        let artifact = verified.unwrap_or_else(|| check(&candidate, &rules))?;
        let id = Some(artifact.manifest.id.clone());
        let loaded = before_map(&artifact)
            .and_then(|number| library::load(&libraries, &listener, &clock, ran, artifact, number));
        loaded.map_err(|error| {
            let error = Box::new(error);
            Refusal { id, error }
        })
    });
    drop(turn);
    // Who asked may have gone; the library, if it came, stays known by its bytes and is found at the next load.
    let _ = answer.send(result);
    *stuck.lock() = None;
}

/// Makes the checks of a file, and runs none of its code, on any thread.
pub(crate) fn verify(candidate: &Candidate, rules: &Rules) -> Verified {
    caught(&candidate.path, || check(candidate, rules))
}

fn check(candidate: &Candidate, rules: &Rules) -> Verified {
    verify::verify(candidate, rules).map_err(|Refused { id, error }| {
        let path = candidate.path.clone();
        let source = error;
        let error = Box::new(LoadError::Verify { path, source });
        Refusal { id, error }
    })
}

/// Loads with a panic as a refusal: one in the embedder's subscriber, which hears of loads on this thread, must not end loading for
/// good.
fn caught<T>(path: &Path, load: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|_| {
        Err(Refusal::from(LoadError::Thread {
            path: path.to_owned(),
            source: std::io::Error::other("a panic came up on it"),
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_while_a_file_is_loaded_is_a_refusal_of_that_file() {
        let answer: Answer = caught(Path::new("a.so"), || panic!("in a subscriber"));
        let error = answer.err().expect("nothing was loaded").error;
        assert!(error.to_string().starts_with("a.so: "), "{error}");
        assert!(error.to_string().contains("panic"), "{error}");
    }
}
