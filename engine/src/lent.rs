//! Texts and bytes that a plugin lends for the time of one call, as they may be looked at. One of the few places with unsafe code.
//!
//! A plugin in Rust cannot lend a text that is none. One in C can, and there nothing at all is a null address: both are taken as they are
//! meant.

use std::borrow::Cow;

use abi_stable::std_types::{RSlice, RStr};

/// The text, with what is no UTF-8 in it replaced.
pub(crate) fn text<'a>(text: &'a RStr<'_>) -> Cow<'a, str> {
    // SAFETY: only address and length are taken; the text is lent for longer than the borrow.
    let bytes = unsafe { from_parts(text.as_ptr(), text.len()) }.unwrap_or_default();
    // Mostly it is UTF-8, and to look at that alone takes a fraction of the time.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The bytes.
pub(crate) fn bytes<'a>(bytes: &'a RSlice<'_, u8>) -> &'a [u8] {
    // SAFETY: as in `text`.
    unsafe { from_parts(bytes.as_ptr(), bytes.len()) }.unwrap_or_default()
}

/// Nothing for an empty slice, whatever its address, and for one that can be in no memory.
///
/// # Safety
/// `len` bytes can be read at `address`, unless `len` is 0 or more than any object can have.
unsafe fn from_parts<'a>(address: *const u8, len: usize) -> Option<&'a [u8]> {
    let is_there = len > 0 && isize::try_from(len).is_ok() && !address.is_null();
    // SAFETY: the caller's promise.
    is_there.then(|| unsafe { std::slice::from_raw_parts(address, len) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slice as C may write it.
    fn slice(address: *const u8, len: usize) -> RSlice<'static, u8> {
        // SAFETY: only `from_parts` looks at it, which is what is tested.
        unsafe { RSlice::from_raw_parts(address, len) }
    }

    #[test]
    fn what_c_writes_for_nothing_is_nothing() {
        let null = slice(std::ptr::null(), 0);
        assert_eq!(bytes(&null), b"");
        let absurd = slice(std::ptr::dangling(), usize::MAX);
        assert_eq!(bytes(&absurd), b"");
        assert_eq!(bytes(&slice(b"ab".as_ptr(), 2)), b"ab");
    }

    #[test]
    fn a_text_that_is_none_is_shown_as_far_as_it_is_one() {
        let odd = b"caf\xe9!";
        // SAFETY: as in `slice`: the type's promise is broken on purpose, as C can break it.
        let lent = unsafe { RStr::from_raw_parts(odd.as_ptr(), odd.len()) };
        assert_eq!(text(&lent), "caf\u{fffd}!");
        assert!(matches!(
            text(&RStr::from_str("fine")),
            Cow::Borrowed("fine")
        ));
    }
}
