//! Calls that are made beside those of a plugin: of an instance that has not taken over yet, or that another one has taken over from.
//!
//! Each runs on a thread of its own, which ends with it: a candidate takes no worker's time, and leaves nothing behind on threads that go
//! on. Whoever waits for one waits until its deadline; the thread is then left to itself, counted, and cleans up when it comes home.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use plugin_engine_core::{CallId, CallKind, PluginId, WallTime};
use plugin_engine_crash_marks::Role;

use crate::clock::TimeSource;
use crate::crashes::Crashes;
use crate::host::HostContext;
use crate::instance::CallTicket;
use crate::joining::{Joining, Ran};
use crate::threading::{Mutex, MutexGuard};
use crate::waiting::Condvar;

thread_local! {
    /// On the thread of such a call: the address of its list, and the cell of its plugin.
    static CALLED: Cell<(usize, u32)> = const { Cell::new((0, 0)) };
}

#[cfg(feature = "simulation")]
pub(super) fn swap_local(other: &mut (usize, u32)) {
    *other = CALLED.replace(*other);
}

/// How many calls of one plugin may be stuck on threads of their own before a reload of it is refused.
pub(crate) const STUCK_MAX: usize = 3;

/// Calls beside those of the plugins.
#[derive(Default)]
pub(crate) struct Asides {
    /// What all that wait share: such calls are few, and whoever waits looks at its own.
    state: Mutex<State>,
    changed: Condvar,
    /// Where threads are waited for that ran code of plugins.
    joining: Arc<Joining>,
    crashes: Arc<Crashes>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// The calls that are waited for.
    running: Vec<(u64, Arc<HostContext>, CallId)>,
    /// The calls that nobody waits for any more and that have not returned.
    stuck: Vec<Stuck>,
    /// Whether the engine shuts down and its time is used up: nobody waits for any call.
    closed: bool,
}

/// A call that nobody waits for any more and that has not returned.
#[derive(Debug, Clone)]
pub(crate) struct Stuck {
    number: u64,
    pub(crate) id: PluginId,
    pub(crate) call: CallKind,
    pub(crate) since: WallTime,
}

/// What such a call is.
pub(crate) struct Aside {
    pub(crate) id: PluginId,
    /// The index of its cell.
    pub(crate) cell: u32,
    pub(crate) call: CallKind,
    /// Whom the call speaks to, and under which number.
    pub(crate) host: Arc<HostContext>,
    pub(crate) ticket: CallTicket,
    /// Which of the mapped files its code is in.
    pub(crate) library: u64,
}

/// Why nothing came of a call.
#[derive(Debug)]
pub(crate) enum AsideEnd {
    /// Its deadline passed.
    TimedOut,
    /// The engine was shut down.
    ShutDown,
    NoThread(std::io::Error),
}

/// What a call came to, for whoever is there first: who made it, or who gave it up.
enum Outcome<T> {
    Pending,
    Ended(T),
    /// A panic on that thread which is not the plugin's: those are caught inside its file.
    Panicked,
    GivenUp,
}

impl Asides {
    pub(crate) fn new(joining: Arc<Joining>, crashes: Arc<Crashes>) -> Self {
        Self {
            joining,
            crashes,
            ..Self::default()
        }
    }

    /// Makes a call on a thread of its own and waits for its end, or for its deadline. What comes home after that goes to `late`, on
    /// that thread.
    pub(crate) fn call<T: Send + 'static>(
        self: &Arc<Self>,
        time: &TimeSource,
        aside: &Aside,
        call: impl FnOnce() -> T + Send + 'static,
        late: impl FnOnce(T) + Send + 'static,
    ) -> Result<T, AsideEnd> {
        let outcome = Arc::new(Mutex::new(Outcome::Pending));
        let mut state = self.state.lock();
        if state.closed && aside.call != CallKind::Destroy {
            // Nothing begins any more; what is there is given back all the same.
            return Err(AsideEnd::ShutDown);
        }
        state.next += 1;
        let number = state.next;
        let since = time.wall_at(time.now());
        let (asides, theirs) = (Arc::clone(self), Arc::clone(&outcome));
        let thread = crate::threading::thread::Builder::new().name("plugin-aside".to_owned());
        let cell = aside.cell;
        let made = move || {
            CALLED.set((asides.address(), cell));
            let _recorded = asides.crashes.attach(Role::Aside);
            let value = catch_unwind(AssertUnwindSafe(call));
            let mut outcome = theirs.lock();
            let Ok(value) = value else {
                *outcome = Outcome::Panicked;
                drop(outcome);
                asides.come_home(number);
                return;
            };
            if let Outcome::GivenUp = *outcome {
                drop(outcome);
                late(value);
                asides.come_home(number);
                return;
            }
            *outcome = Outcome::Ended(value);
            drop(outcome);
            asides.tell();
        };
        let ran = Ran::default();
        ran.add(aside.library);
        // Before the thread is there, which may be through with the call at once.
        aside.host.listen_to(aside.ticket.id);
        #[cfg(feature = "simulation")]
        let started = match crate::simulation::is_staged() {
            true => crate::simulation::start("plugin-aside", made).unwrap_or(Ok(())),
            false => self.joining.start(Arc::new(ran), || thread.spawn(made)),
        };
        #[cfg(not(feature = "simulation"))]
        let started = self.joining.start(Arc::new(ran), || thread.spawn(made));
        if let Err(error) = started {
            aside.host.stop_listening(aside.ticket.id);
            return Err(AsideEnd::NoThread(error));
        }
        let running = (number, Arc::clone(&aside.host), aside.ticket.id);
        state.running.push(running);
        let ended = self.wait(&mut state, time, aside, &outcome, (number, since));
        state.running.retain(|(running, ..)| *running != number);
        drop(state);
        if ended.is_err() {
            aside.host.stop_listening(aside.ticket.id);
        }
        ended
    }

    fn wait<T>(
        &self,
        state: &mut MutexGuard<'_, State>,
        time: &TimeSource,
        aside: &Aside,
        outcome: &Mutex<Outcome<T>>,
        (number, since): (u64, WallTime),
    ) -> Result<T, AsideEnd> {
        loop {
            let mut now_outcome = outcome.lock();
            if matches!(*now_outcome, Outcome::Ended(_))
                && let Outcome::Ended(value) =
                    std::mem::replace(&mut *now_outcome, Outcome::GivenUp)
            {
                return Ok(value);
            }
            if let Outcome::Panicked = *now_outcome {
                let error = std::io::Error::other("a panic came up on it");
                return Err(AsideEnd::NoThread(error));
            }
            let over = time.now() >= aside.ticket.deadline;
            if over || state.closed {
                *now_outcome = Outcome::GivenUp;
                drop(now_outcome);
                state.stuck.push(Stuck {
                    number,
                    id: aside.id.clone(),
                    call: aside.call,
                    since,
                });
                return Err(if over {
                    AsideEnd::TimedOut
                } else {
                    AsideEnd::ShutDown
                });
            }
            drop(now_outcome);
            match time.clock().real_time_until(aside.ticket.deadline) {
                Some(wait) => {
                    self.changed.wait_for(state, wait);
                }
                None => self.changed.wait(state),
            }
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Whether this thread is in a call beside those of that plugin, so that it must not wait for what waits for it.
    pub(crate) fn is_on_this_thread(&self, cell: u32) -> bool {
        CALLED.get() == (self.address(), cell)
    }

    /// Has everybody who waits look again: a call has ended, or the clock was moved.
    pub(crate) fn tell(&self) {
        // Whoever is about to wait holds the lock until it does.
        drop(self.state.lock());
        self.changed.notify_all();
    }

    fn come_home(&self, number: u64) {
        self.state
            .lock()
            .stuck
            .retain(|stuck| stuck.number != number);
        self.changed.notify_all();
    }

    /// How many calls are waited for.
    pub(crate) fn running(&self) -> usize {
        self.state.lock().running.len()
    }

    /// Asks every call that is waited for to return.
    pub(crate) fn cancel(&self) {
        for (_, host, call) in &self.state.lock().running {
            host.cancel(*call);
        }
    }

    /// The calls that are not waited for any more and have not returned.
    pub(crate) fn stuck(&self) -> Vec<Stuck> {
        self.state.lock().stuck.clone()
    }

    /// How many of them are of one plugin.
    pub(crate) fn stuck_of(&self, id: &PluginId) -> usize {
        let state = self.state.lock();
        state.stuck.iter().filter(|stuck| stuck.id == *id).count()
    }

    /// Nobody waits for any call from now on.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock, ManualClock};

    fn rig() -> (Arc<Asides>, ManualClock, TimeSource) {
        let asides = Arc::new(Asides::default());
        let clock = ManualClock::new(WallTime::default());
        let moved = Arc::clone(&asides);
        clock.on_move(Box::new(move || moved.tell()));
        let time = TimeSource::new(Arc::new(clock.clone()));
        (asides, clock, time)
    }

    fn host(time: &TimeSource) -> Arc<HostContext> {
        let nobody: std::sync::Weak<crate::board::Board> = std::sync::Weak::new();
        HostContext::new(
            nobody,
            time.clock(),
            crate::host::HostOf::Plugin(0),
            PluginId::new("a").unwrap(),
            "{}",
            Arc::default(),
            Arc::default(),
        )
    }

    fn aside(time: &TimeSource) -> Aside {
        Aside {
            id: PluginId::new("a").unwrap(),
            cell: 0,
            call: CallKind::Create,
            host: host(time),
            ticket: CallTicket {
                id: CallId(1),
                since: time.now(),
                deadline: time.now().saturating_add(Duration::from_secs(1)),
            },
            library: 1,
        }
    }

    #[test]
    fn a_call_in_time_hands_over_its_value() {
        let (asides, _clock, time) = rig();
        let value = asides.call(&time, &aside(&time), || 7, |_| panic!("it was in time"));
        assert_eq!(value.unwrap(), 7);
        assert_eq!((asides.running(), asides.stuck().len()), (0, 0));
    }

    #[test]
    fn a_call_past_its_deadline_is_counted_until_it_cleans_up_behind_itself() {
        let (asides, clock, time) = rig();
        let (let_go, gate) = channel::<()>();
        let (cleaned, seen) = channel();
        let call = aside(&time);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                let work = move || {
                    let _ = gate.recv();
                    7
                };
                asides.call(&time, &call, work, move |value| {
                    cleaned.send(value).unwrap()
                })
            });
            while asides.running() == 0 {
                std::thread::yield_now();
            }
            clock.advance(Duration::from_secs(1));
            assert!(matches!(waits.join().unwrap(), Err(AsideEnd::TimedOut)));
        });
        assert_eq!(asides.stuck_of(&call.id), 1);
        assert!(call.host.is_cancelled(1), "nobody listens to it any more");
        let_go.send(()).unwrap();
        assert_eq!(seen.recv().unwrap(), 7);
        while asides.stuck_of(&call.id) > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn nobody_waits_once_it_is_closed() {
        let (asides, _clock, time) = rig();
        let (let_go, gate) = channel::<()>();
        asides.close();
        let destroy = Aside {
            call: CallKind::Destroy,
            ..aside(&time)
        };
        let end = asides.call(&time, &destroy, move || gate.recv().is_ok(), drop);
        assert!(matches!(end, Err(AsideEnd::ShutDown)), "{end:?}");
        drop(let_go);
    }

    /// A call that stands until what comes back is dropped, and is told when it has cleaned up.
    fn stand(asides: &Arc<Asides>, time: &TimeSource, call: Aside) -> (Sender<()>, Receiver<()>) {
        let (let_go, gate) = channel::<()>();
        let (cleaned, seen) = channel();
        let (asides, time) = (
            Arc::clone(asides),
            TimeSource::new(Arc::clone(time.clock())),
        );
        std::thread::spawn(move || {
            let work = move || {
                let _ = gate.recv();
            };
            asides.call(&time, &call, work, move |()| drop(cleaned))
        });
        (let_go, seen)
    }

    #[test]
    fn of_several_calls_that_are_stuck_each_is_counted_until_it_comes_home_itself() {
        let (asides, clock, time) = rig();
        let gates = ["a", "b", "b"].map(|id| {
            let call = Aside {
                id: PluginId::new(id).unwrap(),
                ..aside(&time)
            };
            stand(&asides, &time, call)
        });
        while asides.running() < 3 {
            std::thread::yield_now();
        }
        clock.advance(Duration::from_secs(1));
        while asides.stuck().len() < 3 {
            std::thread::yield_now();
        }
        let id = |id| PluginId::new(id).unwrap();
        assert_eq!(
            (asides.stuck_of(&id("a")), asides.stuck_of(&id("b"))),
            (1, 2)
        );
        let [(a, seen), others @ ..] = gates;
        drop(a);
        assert!(seen.recv().is_err(), "it cleans up");
        while asides.stuck_of(&id("a")) > 0 {
            std::thread::yield_now();
        }
        let left: Vec<_> = asides.stuck().into_iter().map(|stuck| stuck.id).collect();
        assert_eq!(left, [id("b"), id("b")]);
        drop(others);
    }

    #[test]
    fn a_call_that_is_waited_for_is_asked_to_return() {
        let (asides, _clock, time) = rig();
        let call = aside(&time);
        let host = Arc::clone(&call.host);
        let gate = stand(&asides, &time, call);
        while asides.running() == 0 {
            std::thread::yield_now();
        }
        assert!(!host.is_cancelled(1));
        asides.cancel();
        assert!(host.is_cancelled(1));
        drop(gate);
    }

    #[test]
    fn a_thread_is_in_a_call_of_that_plugin_and_of_that_list_alone() {
        let (asides, _clock, time) = rig();
        let other = Arc::<Asides>::default();
        let here = Arc::clone(&asides);
        let asked = move || {
            [
                here.is_on_this_thread(0),
                here.is_on_this_thread(1),
                other.is_on_this_thread(0),
            ]
        };
        let seen = asides.call(&time, &aside(&time), asked, |_| ());
        assert_eq!(seen.unwrap(), [true, false, false]);
        assert!(!asides.is_on_this_thread(0));
    }

    #[test]
    fn nothing_but_a_destroy_is_begun_once_it_is_closed() {
        let (asides, _clock, time) = rig();
        let (begins, began) = channel();
        asides.close();
        let end = asides.call(&time, &aside(&time), move || begins.send(()), drop);
        assert!(matches!(end, Err(AsideEnd::ShutDown)), "{end:?}");
        assert!(began.recv().is_err(), "it was made");
    }
}
