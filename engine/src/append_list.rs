//! A list that only grows, read without a lock or a reference count while it does.

use crate::prefetch;
use crate::threading::OnceLock;

/// The length of the first block; each further one is as long as all before it together. A model has few steps to spare.
const FIRST: usize = if cfg!(all(test, loom)) { 2 } else { 64 };
const BLOCKS: usize = 20;

/// A list that only grows. Elements stay where they are for the life of the list.
pub(crate) struct AppendList<T> {
    blocks: [OnceLock<Box<[OnceLock<T>]>>; BLOCKS],
}

/// The block of an index, the position in it, and the block's length.
#[inline]
fn locate(index: usize) -> (usize, usize, usize) {
    if index < FIRST {
        return (0, index, FIRST);
    }
    let block = (index / FIRST).ilog2() as usize + 1;
    let len = FIRST << (block - 1);
    (block, index - len, len)
}

impl<T> AppendList<T> {
    pub(crate) fn new() -> Self {
        Self {
            blocks: std::array::from_fn(|_| OnceLock::new()),
        }
    }

    /// The element at `index`. Three loads.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        let (block, at, _) = locate(index);
        self.blocks.get(block)?.get()?.get(at)?.get()
    }

    /// Asks for the memory of the element at `index`.
    #[inline]
    pub(crate) fn prefetch(&self, index: usize) {
        let (block, at, _) = locate(index);
        let block = self.blocks.get(block).and_then(OnceLock::get);
        if let Some(place) = block.and_then(|block| block.get(at)) {
            prefetch::lines(std::ptr::from_ref(place).addr(), 1);
        }
    }

    /// Puts an element at `index`, if there is room and none is there. Whoever appends sees to the order.
    pub(crate) fn set(&self, index: usize, element: T) -> Result<(), T> {
        let (block, at, len) = locate(index);
        let Some(block) = self.blocks.get(block) else {
            return Err(element);
        };
        let block = block.get_or_init(|| (0..len).map(|_| OnceLock::new()).collect());
        block[at].set(element)
    }
}

/// The length of the longest list.
pub(crate) const LEN_MAX: usize = FIRST << (BLOCKS - 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_a_place_of_its_own() {
        let list = AppendList::new();
        for index in 0..1_000 {
            assert!(list.get(index).is_none());
            assert_eq!(list.set(index, index), Ok(()));
        }
        for index in 0..1_000 {
            assert_eq!(list.get(index), Some(&index));
        }
        assert_eq!(list.set(3, 9), Err(9));
        assert_eq!(list.set(LEN_MAX, 1), Err(1));
        assert!(list.get(usize::MAX).is_none());
    }
}
