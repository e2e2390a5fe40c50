//! The functions of the simulated plugin files: each does what the world says of the call, and tells it.
//!
//! They are called by the engine as those of a file are, and answer through the services that it lends them. There is no author's code and
//! no `plugin-api` in between: a panic is told and returned as one, as the barrier in a file does.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use abi_stable::std_types::{RSlice, RStr};
use plugin_api::abi::{CallFrame, Failure, Panic, TakeBytes, status};
use plugin_engine::simulation::{Calls, Pause, Stage};
use plugin_engine_core::CallKind;

use crate::behaviour::{Build, Ends, Turn};
use crate::policy::plugin_of;
use crate::world::{Fact, What, World};

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

pub(crate) fn set_world(world: Option<Rc<World>>) {
    WORLD.set(world);
}

pub(crate) fn world() -> Rc<World> {
    WORLD
        .with_borrow(Clone::clone)
        .expect("a plugin is only called while there is a world")
}

/// How many builds of one plugin there may be in a run.
pub(crate) const BUILDS_MAX: u64 = 16;

/// The functions of the file with this build: an instance has to know what it is of.
pub(crate) fn calls_of(build: &Build) -> Calls {
    macro_rules! creates {
        ($($number:literal)+) => { [$(create::<$number>),+] };
    }
    const CREATES: [unsafe extern "C" fn(&CallFrame, &mut *mut ()) -> u8; BUILDS_MAX as usize] =
        creates!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    Calls {
        create: CREATES[(build.number % BUILDS_MAX) as usize],
        update,
        display,
        destroy,
        save,
        restore,
    }
}

/// Into how many parts a call is cut that looks whether anybody waits for it.
const LOOKS: u32 = 8;

extern "C" fn create<const BUILD: u64>(frame: &CallFrame, out: &mut *mut ()) -> u8 {
    let world = world();
    // SAFETY: the frame and what it lends are good for as long as the call lasts.
    let id = unsafe { (frame.services.id())(frame.host) };
    let Some(plugin) = plugin_of(id.as_str()) else {
        return status::FAILED;
    };
    let Some(build) = world.build(plugin as u64 * BUILDS_MAX + BUILD) else {
        return status::FAILED;
    };
    let instance = world.new_instance(plugin, build);
    let code = call(&world, instance, CallKind::Create, frame);
    if code == status::COMPLETED {
        world.set_lives(instance, true);
        *out = std::ptr::without_provenance_mut(usize::try_from(instance).unwrap_or(usize::MAX));
    }
    code
}

extern "C" fn update(instance: *mut (), frame: &CallFrame) -> u8 {
    let world = world();
    if world.doubles_calls.get() {
        // As if two workers had been given the same instance.
        let (address, frame) = (instance.addr() as u64, *frame);
        let other = Rc::clone(&world);
        world.start_of_own("plugin-worker", move || {
            spend(&other, address, CallKind::Update, &frame);
        });
        world.pause(Pause::For(Duration::ZERO));
    }
    call(&world, instance.addr() as u64, CallKind::Update, frame)
}

extern "C" fn display(instance: *mut (), frame: &CallFrame) -> u8 {
    let code = call(&world(), instance.addr() as u64, CallKind::Display, frame);
    if code == status::COMPLETED {
        // SAFETY: as in `create`; 0 is a text.
        unsafe { (frame.services.view())(frame.reply, 0, RSlice::from_slice(b"a view")) };
    }
    code
}

extern "C" fn destroy(instance: *mut (), frame: &CallFrame) -> u8 {
    let world = world();
    let instance = instance.addr() as u64;
    if world.loses_destroys.get() {
        return status::COMPLETED;
    }
    let code = call(&world, instance, CallKind::Destroy, frame);
    world.set_lives(instance, false);
    code
}

unsafe extern "C" fn save(
    instance: *mut (),
    frame: &CallFrame,
    out: *mut (),
    take: TakeBytes,
) -> u8 {
    let code = call(&world(), instance.addr() as u64, CallKind::SaveState, frame);
    if code == status::COMPLETED {
        // SAFETY: the engine's own function and address, used during this call.
        unsafe { (take.0)(out, RSlice::from_slice(b"state")) };
    }
    code
}

extern "C" fn restore(
    instance: *mut (),
    frame: &CallFrame,
    _version: u32,
    _state: RSlice<'_, u8>,
) -> u8 {
    call(
        &world(),
        instance.addr() as u64,
        CallKind::RestoreState,
        frame,
    )
}

/// One call: it takes its time, and ends as it has to.
fn call(world: &Rc<World>, instance: u64, kind: CallKind, frame: &CallFrame) -> u8 {
    let ends = spend(world, instance, kind, frame);
    match ends {
        Ends::Completes => status::COMPLETED,
        Ends::Fails(_) | Ends::FailsForGood => {
            let after = match ends {
                Ends::Fails(Some(after)) => u64::try_from(after.as_nanos()).unwrap_or(u64::MAX),
                _ => 0,
            };
            let failure = Failure {
                message: RStr::from_str("it was drawn to fail"),
                type_name: RStr::from_str("Drawn"),
                recoverable: ends != Ends::FailsForGood,
                retry_after_ns: after,
            };
            // SAFETY: as in `create`; the texts are lent for as long as the service is called.
            unsafe { (frame.services.fail())(frame.reply, &failure) };
            status::FAILED
        }
        Ends::Panics => {
            let panic = Panic {
                message: RStr::from_str("it was drawn to panic"),
                file: RStr::from_str("drawn.rs"),
                line: 1,
                column: 1,
            };
            // SAFETY: as for `fail`.
            unsafe { (frame.services.panicked())(frame.host, frame.reply, &panic) };
            status::PANICKED
        }
    }
}

/// Lets the time of a call pass, and has the world know of it.
fn spend(world: &Rc<World>, instance: u64, kind: CallKind, frame: &CallFrame) -> Ends {
    world.calls.set(world.calls.get() + 1);
    let Some((plugin, build)) = world.enter(instance, kind) else {
        return Ends::Completes;
    };
    let by_worker = world.is_worker();
    let note = |what| {
        world.facts.borrow_mut().push(Fact {
            at: world.now(),
            plugin,
            instance,
            call: kind,
            id: frame.call_id,
            by_worker,
            what,
        });
    };
    note(What::Began(Duration::from_nanos(frame.deadline_ns)));
    let Turn {
        ends,
        lasts,
        heeds_cancel,
    } = world.turn(plugin, &build, kind);
    if lasts.is_zero() {
        world.pause(Pause::Briefly);
    } else if heeds_cancel {
        for _ in 0..LOOKS {
            world.wait_unless_calm(lasts / LOOKS);
            // SAFETY: as in `create`.
            if unsafe { (frame.services.is_cancelled())(frame.host, frame.call_id) } {
                break;
            }
        }
    } else {
        world.wait_unless_calm(lasts);
    }
    world.leave_call(instance);
    note(What::Ended(ends));
    ends
}

impl World {
    fn build(&self, number: u64) -> Option<Build> {
        self.builds.borrow().get(&number).copied()
    }

    fn set_lives(&self, instance: u64, lives: bool) {
        if let Some(instance) = self.instances.borrow_mut().get_mut(&instance) {
            instance.lives = lives;
        }
    }

    /// Notes that an instance is called, if it may be.
    fn enter(&self, instance: u64, kind: CallKind) -> Option<(usize, Build)> {
        let mut instances = self.instances.borrow_mut();
        let Some(called) = instances.get_mut(&instance) else {
            self.violate(|| format!("C1: {kind} of an instance that there never was"));
            return None;
        };
        if let Some(other) = called.in_call {
            self.violate(|| format!("C1: {kind} of an instance whose {other} has not returned"));
            return None;
        }
        if !called.lives && kind != CallKind::Create {
            self.violate(|| format!("C1: {kind} of an instance that is destroyed"));
            return None;
        }
        called.in_call = Some(kind);
        Some((called.plugin, called.build))
    }

    fn leave_call(&self, instance: u64) {
        if let Some(instance) = self.instances.borrow_mut().get_mut(&instance) {
            instance.in_call = None;
        }
    }

    /// Waits, or no longer than until everything is to come to its end.
    pub(crate) fn wait_unless_calm(&self, time: Duration) {
        let until = self.now() + time;
        while self.now() < until && !self.is_calm.get() {
            self.pause(Pause::For(until - self.now()));
        }
    }
}
