//! Values drawn from the fuzzer's bytes: small ones mostly, and the extremes of each kind. Bytes that have run out are zeros.

use super::lent::Lent;
use crate::manifest::Contract;

/// How long the long texts are: what the limits are, one less and one more, and what is far beyond them.
const LENGTHS: [usize; 12] = [
    255, 256, 257, 1_023, 1_024, 1_025, 4_096, 4_097, 8_193, 65_536, 65_537, 300_000,
];

/// The bytes that are left.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Bytes<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Any number, often one of the largest or of the smallest.
    pub(super) fn number(&mut self) -> u64 {
        match self.byte() {
            0 => 0,
            1 => u64::MAX,
            2 => u64::MAX - u64::from(self.byte()),
            3 => 1 << (self.byte() % 64),
            _ => (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte())),
        }
    }

    /// Bytes of any kind, mostly few.
    pub(super) fn bytes(&mut self) -> Vec<u8> {
        let kind = usize::from(self.byte());
        match LENGTHS.get(kind.wrapping_sub(0xf0)) {
            Some(len) => {
                let part_len = usize::from(self.byte() % 8) + 1;
                let part = self.take(part_len);
                part.iter().copied().cycle().take(*len).collect()
            }
            None => self.take(kind % 64).to_vec(),
        }
    }

    /// Bytes as a plugin of this contract lends them. One in C may write anything for nothing.
    pub(super) fn lent(&mut self, contract: Contract) -> Lent {
        let how = match contract {
            Contract::Rust => 0,
            Contract::C => self.byte(),
        };
        match how {
            0xfe => Lent::Null,
            0xff => Lent::Absurd,
            _ => Lent::Bytes(self.bytes()),
        }
    }

    /// Any text. What is no UTF-8 cannot cross the boundary in Rust, because the type that does is one of texts.
    pub(super) fn text(&mut self, contract: Contract) -> Lent {
        match self.lent(contract) {
            Lent::Bytes(bytes) if contract == Contract::Rust => {
                Lent::Bytes(String::from_utf8_lossy(&bytes).into_owned().into_bytes())
            }
            lent => lent,
        }
    }

    /// So many bytes, or one zero if there are none.
    fn take(&mut self, len: usize) -> &[u8] {
        if self.0.is_empty() || len == 0 {
            return &[0];
        }
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
