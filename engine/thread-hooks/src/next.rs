//! The functions that those of this crate stand in front of, and whether they really do.
//!
//! In a program that a sanitizer looks into, they are those of the sanitizer: it stands in front of the system, too, in the program itself, where
//! it gives way to a function of the program's own, and leaves its own under another name to whoever comes before it.

use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The function of this name that comes after this program's own: a sanitizer's, if the program has one that wants to know, or the system's.
pub(crate) struct Next {
    name: &'static CStr,
    /// What a sanitizer calls its own.
    of_sanitizer: &'static CStr,
    /// 0 until it was looked up.
    address: AtomicUsize,
}

impl Next {
    pub(crate) const fn new(name: &'static CStr, of_sanitizer: &'static CStr) -> Self {
        Self {
            name,
            of_sanitizer,
            address: AtomicUsize::new(0),
        }
    }

    /// Its address; `None` on a system that has no such function.
    pub(crate) fn address(&self) -> Option<*mut c_void> {
        let known = self.address.load(Ordering::Relaxed);
        if known != 0 {
            return Some(std::ptr::with_exposed_provenance_mut(known));
        }
        // SAFETY: the names end with a zero byte; looking them up runs no code.
        let found = unsafe {
            let found = libc::dlsym(libc::RTLD_DEFAULT, self.of_sanitizer.as_ptr());
            if found.is_null() {
                libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr())
            } else {
                found
            }
        };
        if found.is_null() {
            return None;
        }
        self.address
            .store(found.expose_provenance(), Ordering::Relaxed);
        Some(found)
    }

    /// What is wrong if a library that is loaded now would not find `own` under this name.
    pub(crate) fn trouble(&self, own: usize) -> Option<String> {
        // SAFETY: as in `address`. This is how a library finds what it needs: in the program first, if that exports it.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, self.name.as_ptr()) };
        let name = self.name.to_string_lossy();
        if found.addr() != own {
            return Some(format!(
                "the program does not export its own {name} (link it with -Wl,--export-dynamic-symbol={name})"
            ));
        }
        self.address()
            .is_none()
            .then(|| format!("this system has no {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_libraries_would_not_find_is_told() {
        static SELF: Next = Next::new(c"pthread_self", c"no_such_function");
        let system = SELF.address().unwrap().addr();
        assert_eq!(SELF.trouble(system), None);
        // As if this program had one of its own that it does not export.
        let trouble = SELF.trouble(system + 1).unwrap();
        assert!(
            trouble.contains("-Wl,--export-dynamic-symbol=pthread_self"),
            "{trouble}"
        );
    }

    #[test]
    fn what_a_sanitizer_has_comes_before_what_the_system_has() {
        static SELF: Next = Next::new(c"pthread_self", c"getppid");
        let expected = libc::getppid as *const () as usize;
        assert_eq!(SELF.address().unwrap().addr(), expected);
    }

    #[test]
    fn a_function_that_the_system_has_not_is_told() {
        static NONE: Next = Next::new(c"pthread_no_such_function", c"no_such_function");
        assert_eq!(NONE.address(), None);
        assert!(NONE.trouble(0).unwrap().contains("this system has no"));
    }
}
