//! A plugin that answers what it is told to: functions of this program in the place of those of a plugin file. One of the few places with
//! unsafe code.
//!
//! It keeps to the types of its contract, Rust's or C's, and to nothing else. What is wrong in a way that no type of a plugin can be (a dangling text, a
//! thread that ends within a call) is out of reach here: that is no answer.

use std::collections::VecDeque;

use abi_stable::std_types::RSlice;
use parking_lot::Mutex;
use plugin_api::abi::{CallFrame, Failure, LogRecord, Panic, TakeBytes, publish_status, status};

use super::bytes::Bytes;
use super::lent::Lent;
use crate::library::{CallTable, StateCalls};
use crate::manifest::Contract;

/// What stands behind the address of an instance that was made.
const MADE: u64 = 0x5eed_0001_5eed_0001;
/// The most things that are done in one call.
const ACTS_MAX: u8 = 12;

/// One thing that a plugin does in a call.
#[derive(Debug, Clone)]
enum Act {
    Fail {
        message: Lent,
        type_name: Lent,
        recoverable: bool,
        retry_after_ns: u64,
    },
    View {
        kind: u8,
        bytes: Lent,
    },
    Publish {
        name: Lent,
        payload: Lent,
        call_id: Option<u64>,
    },
    Log {
        level: u8,
        texts: [Lent; 3],
        call_id: Option<u64>,
    },
    Panic {
        message: Lent,
        file: Lent,
        place: (u32, u32),
        in_call: bool,
    },
    Progress(Option<u64>),
}

/// What a plugin does in one call, and how that ends.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    acts: Vec<Act>,
    status: u8,
    /// Whether a create writes an address, whatever it says otherwise.
    makes: bool,
    state: Lent,
}

impl Answer {
    /// As the contract wants it.
    fn good() -> Self {
        Self {
            acts: Vec::new(),
            status: status::COMPLETED,
            makes: true,
            state: Lent::Bytes(Vec::new()),
        }
    }

    pub(super) fn draw(bytes: &mut Bytes<'_>, contract: Contract) -> Self {
        let count = bytes.byte() % ACTS_MAX;
        Self {
            acts: (0..count).map(|_| Act::draw(bytes, contract)).collect(),
            status: match bytes.byte() {
                drawn @ 0..=9 => drawn % 3,
                drawn => drawn,
            },
            makes: bytes.byte() != 1,
            state: bytes.lent(contract),
        }
    }
}

impl Act {
    fn draw(bytes: &mut Bytes<'_>, contract: Contract) -> Self {
        match bytes.byte() % 6 {
            0 => Self::Fail {
                message: bytes.text(contract),
                type_name: bytes.text(contract),
                recoverable: bytes.flag(),
                retry_after_ns: bytes.number(),
            },
            1 => Self::View {
                kind: bytes.byte(),
                bytes: bytes.lent(contract),
            },
            2 => Self::Publish {
                name: bytes.text(contract),
                payload: bytes.text(contract),
                call_id: foreign(bytes),
            },
            3 => Self::Log {
                level: bytes.byte(),
                texts: [
                    bytes.text(contract),
                    bytes.text(contract),
                    bytes.text(contract),
                ],
                call_id: foreign(bytes),
            },
            4 => Self::Panic {
                message: bytes.text(contract),
                file: bytes.text(contract),
                place: (bytes.number() as u32, bytes.number() as u32),
                in_call: bytes.flag(),
            },
            _ => Self::Progress(foreign(bytes)),
        }
    }

    fn perform(&self, frame: &CallFrame) {
        let (host, services) = (frame.host, &frame.services);
        match self {
            Self::Fail {
                message,
                type_name,
                recoverable,
                retry_after_ns,
            } => {
                let failure = Failure {
                    message: message.text(),
                    type_name: type_name.text(),
                    recoverable: *recoverable,
                    retry_after_ns: *retry_after_ns,
                };
                // SAFETY: this thread is in the call that the frame is of.
                unsafe { services.fail()(frame.reply, &failure) };
            }
            // SAFETY: as above.
            Self::View { kind, bytes } => unsafe {
                services.view()(frame.reply, *kind, bytes.bytes());
            },
            Self::Publish {
                name,
                payload,
                call_id,
            } => {
                let call = call_id.unwrap_or(frame.call_id);
                let (name_lent, payload_lent) = (name.text(), payload.text());
                // SAFETY: the host of the frame lives during the call.
                let said = unsafe { services.publish()(host, call, name_lent, payload_lent) };
                if said == publish_status::ACCEPTED {
                    let event = (name.heard().into_owned(), payload.heard().into_owned());
                    SCRIPT.lock().published.push(event);
                }
            }
            Self::Log {
                level,
                texts: [target, message, spans],
                call_id,
            } => {
                let record = LogRecord {
                    level: *level,
                    target: target.text(),
                    message: message.text(),
                    spans: spans.text(),
                };
                // SAFETY: as above.
                unsafe { services.log()(host, call_id.unwrap_or(frame.call_id), &record) };
            }
            Self::Panic {
                message,
                file,
                place: (line, column),
                in_call,
            } => {
                let panic = Panic {
                    message: message.text(),
                    file: file.text(),
                    line: *line,
                    column: *column,
                };
                let reply = if *in_call {
                    frame.reply
                } else {
                    std::ptr::null_mut()
                };
                // SAFETY: as above; an address of null is what a thread in no call has.
                unsafe { services.panicked()(host, reply, &panic) };
            }
            Self::Progress(call_id) => {
                let call = call_id.unwrap_or(frame.call_id);
                // SAFETY: as above.
                unsafe {
                    services.record_progress()(host, call);
                    services.is_cancelled()(host, call);
                    services.now_ns()(host);
                }
            }
        }
    }
}

/// The number of another call than the one that it is in, now and then.
fn foreign(bytes: &mut Bytes<'_>) -> Option<u64> {
    (bytes.byte() % 8 == 7).then(|| bytes.number())
}

/// What the next calls answer, and what came of those before.
#[derive(Default)]
pub(super) struct Script {
    pub(super) answers: VecDeque<Answer>,
    /// What was published and accepted, in that order.
    pub(super) published: Vec<(String, String)>,
    /// How many instances were made and not destroyed.
    pub(super) instances: i64,
}

pub(super) static SCRIPT: Mutex<Script> = Mutex::new(Script {
    answers: VecDeque::new(),
    published: Vec::new(),
    instances: 0,
});

pub(super) const CALLS: CallTable = CallTable {
    create,
    update,
    display,
    destroy,
};

pub(super) const STATE: StateCalls = StateCalls {
    version: 1,
    save,
    restore,
};

fn perform(frame: &CallFrame) -> Answer {
    // Not under the lock: what is done here may come back.
    let next = SCRIPT.lock().answers.pop_front();
    let answer = next.unwrap_or_else(Answer::good);
    for act in &answer.acts {
        act.perform(frame);
    }
    answer
}

/// Checks that the address is one that was made here and has not been destroyed.
fn check(instance: *mut ()) {
    // SAFETY: the engine hands back what `create` has written, until it has destroyed it.
    let found = unsafe { *instance.cast::<u64>() };
    assert_eq!(found, MADE, "it is no instance, or one that was destroyed");
}

unsafe extern "C" fn create(frame: &CallFrame, instance: &mut *mut ()) -> u8 {
    let answer = perform(frame);
    if answer.status != status::COMPLETED {
        if answer.makes {
            // An address that is never to be used.
            *instance = std::ptr::dangling_mut::<u64>().cast();
        }
        return answer.status;
    }
    if answer.makes && !answer.breaks_the_contract() {
        SCRIPT.lock().instances += 1;
        *instance = Box::into_raw(Box::new(MADE)).cast();
    }
    answer.status
}

unsafe extern "C" fn update(instance: *mut (), frame: &CallFrame) -> u8 {
    check(instance);
    perform(frame).status
}

unsafe extern "C" fn display(instance: *mut (), frame: &CallFrame) -> u8 {
    check(instance);
    perform(frame).status
}

unsafe extern "C" fn destroy(instance: *mut (), frame: &CallFrame) -> u8 {
    check(instance);
    let answer = perform(frame);
    // SAFETY: it was made by `create`, and the engine does not use it again.
    drop(unsafe { Box::from_raw(instance.cast::<u64>()) });
    SCRIPT.lock().instances -= 1;
    answer.status
}

unsafe extern "C" fn save(
    instance: *mut (),
    frame: &CallFrame,
    out: *mut (),
    take: TakeBytes,
) -> u8 {
    check(instance);
    let answer = perform(frame);
    if answer.makes {
        // SAFETY: `out` goes back as it came, during the call.
        unsafe { (take.0)(out, answer.state.bytes()) };
    }
    answer.status
}

unsafe extern "C" fn restore(
    instance: *mut (),
    frame: &CallFrame,
    _version: u32,
    state: RSlice<'_, u8>,
) -> u8 {
    check(instance);
    assert!(
        state.len() <= 1 << 20,
        "longer than anything that was saved"
    );
    perform(frame).status
}

impl Answer {
    /// Whether the engine makes a failure of it although it says that it completed: then nobody would destroy what was made.
    fn breaks_the_contract(&self) -> bool {
        use plugin_api::ViewKind;
        let bad = |act: &Act| matches!(act, Act::View { kind, .. } if ViewKind::from_code(*kind).is_none());
        self.acts.iter().any(bad)
    }
}
