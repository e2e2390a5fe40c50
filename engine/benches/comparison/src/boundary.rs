//! abi_stable by itself: a trait object whose methods are called through its table of functions.

#![allow(
    non_local_definitions,
    reason = "the macro of abi_stable writes them so"
)]

use abi_stable::sabi_trait;
use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::RBox;

#[sabi_trait]
pub(crate) trait Updating: Send {
    fn update(&mut self) -> u8;
}

struct Counting {
    updates: u64,
}

impl Updating for Counting {
    fn update(&mut self) -> u8 {
        self.updates += 1;
        0
    }
}

pub(crate) struct TraitObject(Updating_TO<'static, RBox<()>>);

impl TraitObject {
    pub(crate) fn new() -> Self {
        Self(Updating_TO::from_value(Counting { updates: 0 }, TD_Opaque))
    }

    pub(crate) fn calls(&mut self, count: usize) {
        for _ in 0..count {
            let object = std::hint::black_box(&mut self.0);
            std::hint::black_box(object.update());
        }
    }
}
