//! Asking for memory before it is needed, so that the wait for it passes while something else is done.

// The standard library's also in a model: what is lost of these costs time and nothing else, so there is nothing to explore.
use std::sync::atomic::{AtomicUsize, Ordering};

use prefetch_index::prefetch_index;

/// How many bytes a processor fetches at a time.
const LINE: usize = 64;

/// Asks for `lines` lines from this address on. Costs one instruction a line and waits for nothing; what lies there is not looked at, so any
/// address will do.
#[inline]
pub(crate) fn lines(address: usize, lines: usize) {
    const NOTHING: &[u8] = &[];
    let from = address.wrapping_sub(NOTHING.as_ptr().addr());
    for line in 0..lines {
        prefetch_index(NOTHING, from.wrapping_add(line * LINE));
    }
}

/// Where something lies that will be asked for. Never read from there, so an address that does not hold any more costs time and nothing else.
#[derive(Default)]
pub(crate) struct Place(AtomicUsize);

impl Place {
    #[inline]
    pub(crate) fn set(&self, address: usize) {
        self.0.store(address, Ordering::Relaxed);
    }

    /// Asks for the line in which it begins.
    #[inline]
    pub(crate) fn prefetch(&self) {
        lines(self.0.load(Ordering::Relaxed), 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_can_be_asked_for() {
        let place = Place::default();
        for address in [0, 1, 4_096, usize::MAX - 63, usize::MAX] {
            place.set(address);
            place.prefetch();
            lines(address, 3);
        }
    }
}
