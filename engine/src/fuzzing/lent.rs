//! What a plugin lends for the time of one call, as it may be written by whoever wrote the plugin. One of the few places with unsafe code.

use std::borrow::Cow;

use abi_stable::std_types::{RSlice, RStr};

/// Bytes or a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lent {
    Bytes(Vec<u8>),
    /// Nothing, with no address.
    Null,
    /// More than any memory has.
    Absurd,
}

impl Lent {
    fn parts(&self) -> (*const u8, usize) {
        match self {
            Self::Bytes(bytes) => (bytes.as_ptr(), bytes.len()),
            Self::Null => (std::ptr::null(), 0),
            Self::Absurd => (std::ptr::dangling(), usize::MAX),
        }
    }

    pub(super) fn bytes(&self) -> RSlice<'_, u8> {
        let (address, len) = self.parts();
        // SAFETY: what it says of bytes that are not there only the engine reads, which is to take it for nothing.
        unsafe { RSlice::from_raw_parts(address, len) }
    }

    pub(super) fn text(&self) -> RStr<'_> {
        let (address, len) = self.parts();
        // SAFETY: as above; what is no UTF-8 breaks the type's promise on purpose, as C can break it.
        unsafe { RStr::from_raw_parts(address, len) }
    }

    /// The text as the engine is to take it.
    pub(super) fn heard(&self) -> Cow<'_, str> {
        match self {
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes),
            Self::Null | Self::Absurd => Cow::Borrowed(""),
        }
    }
}
