//! Reads the names of libraries out of the cache that the system's loader keeps (`/etc/ld.so.cache` of glibc).
//!
//! The format is not described anywhere but in glibc, and has been the same since 2.2. Whatever does not look like it is not known,
//! which is another thing than having no libraries.

use std::collections::HashSet;

/// How the cache begins, also behind a cache of the old format, which nothing has read for twenty years.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER_LEN: usize = 48;
const ENTRY_LEN: usize = 24;
const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";
const OLD_HEADER_LEN: usize = 16;
const OLD_ENTRY_LEN: usize = 12;
/// The most libraries that a cache is believed to list.
const LIBRARIES_MAX: usize = 65_536;
/// The longest name that a file can have.
const NAME_LEN_MAX: usize = 255;

/// The mark of this machine's libraries, where a cache may list those of a sister machine too.
const MACHINE_MASK: u32 = 0xff00;
const MACHINE: Option<u32> = if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
    Some(0x0300)
} else if cfg!(target_arch = "aarch64") {
    Some(0x0a00)
} else {
    None
};

/// The names of all libraries for this machine, or `None` if the bytes are no such cache.
pub(crate) fn names(bytes: &[u8]) -> Option<HashSet<String>> {
    // Texts are counted from where the header of the present format stands.
    let cache = bytes.get(start(bytes)?..)?;
    if !cache.starts_with(MAGIC) || !is_of_this_byte_order(*cache.get(28)?) {
        return None;
    }
    let count = word(cache, 20)?;
    if count > LIBRARIES_MAX {
        return None;
    }
    let mut names = HashSet::with_capacity(count.min(bytes.len() / ENTRY_LEN));
    for index in 0..count {
        let entry = HEADER_LEN + index * ENTRY_LEN;
        let flags = word(cache, entry)? as u32;
        if MACHINE.is_none_or(|machine| flags & MACHINE_MASK == machine) {
            names.insert(name(cache.get(word(cache, entry + 4)?..)?)?);
        }
    }
    Some(names)
}

fn start(bytes: &[u8]) -> Option<usize> {
    if !bytes.starts_with(OLD_MAGIC) {
        return Some(0);
    }
    let old_len = word(bytes, 12)?.checked_mul(OLD_ENTRY_LEN)?;
    old_len
        .checked_add(OLD_HEADER_LEN)?
        .checked_next_multiple_of(8)
}

/// The two lowest bits are zero in caches of before they had a meaning.
fn is_of_this_byte_order(flags: u8) -> bool {
    let mine = if cfg!(target_endian = "little") { 2 } else { 3 };
    matches!(flags & 3, order if order == 0 || order == mine)
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_ne_bytes(word.try_into().ok()?)).ok()
}

fn name(bytes: &[u8]) -> Option<String> {
    let bounded = &bytes[..bytes.len().min(NAME_LEN_MAX + 1)];
    let end = bounded.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&bounded[..end]).ok().map(str::to_owned)
}

/// A cache with these libraries, for tests.
#[cfg(test)]
pub(super) fn written(names: &[&str]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend((names.len() as u32).to_ne_bytes());
    bytes.resize(HEADER_LEN, 0);
    let mut at = HEADER_LEN + names.len() * ENTRY_LEN;
    for name in names {
        for word in [3 | MACHINE.unwrap_or(0), at as u32, at as u32, 0, 0, 0] {
            bytes.extend(word.to_ne_bytes());
        }
        at += name.len() + 1;
    }
    for name in names {
        bytes.extend(name.as_bytes());
        bytes.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::samples::patched;

    fn sorted(bytes: &[u8]) -> Vec<String> {
        let mut names: Vec<String> = names(bytes).unwrap().into_iter().collect();
        names.sort();
        names
    }

    #[test]
    fn all_names_are_read() {
        let cache = written(&["libm.so.6", "libc.so.6"]);
        assert_eq!(sorted(&cache), ["libc.so.6", "libm.so.6"]);
        assert!(sorted(&written(&[])).is_empty());
    }

    #[test]
    fn a_cache_of_the_old_format_before_it_is_passed_over() {
        let mut cache = OLD_MAGIC.to_vec();
        cache.push(0);
        cache.extend(3_u32.to_ne_bytes());
        // 16 + 3 × 12 bytes, rounded up to a multiple of eight.
        cache.resize(56, 0xee);
        assert_eq!(names(&cache), None, "the old format alone is not read");
        cache.extend(written(&["libc.so.6"]));
        assert_eq!(sorted(&cache), ["libc.so.6"]);
    }

    #[test]
    fn libraries_of_a_sister_machine_are_passed_over() {
        if MACHINE.is_some() {
            let cache = written(&["lib32.so", "lib64.so"]);
            assert_eq!(
                sorted(&patched(&cache, &[(HEADER_LEN, &[3, 0, 0, 0])])),
                ["lib64.so"]
            );
        }
    }

    #[test]
    fn what_is_no_cache_is_not_known() {
        let cache = written(&["libc.so.6"]);
        let wrong_order = if cfg!(target_endian = "little") { 3 } else { 2 };
        for (patch, why) in [
            ((0, &b"x"[..]), "magic"),
            ((17, b"9"), "version"),
            ((20, &[0xff; 4]), "count"),
            ((28, &[wrong_order]), "byte order"),
            ((HEADER_LEN + 4, &[0xff; 4]), "a name outside"),
            ((cache.len() - 1, b"x"), "a name without an end"),
            ((cache.len() - 2, b"\xff"), "a name that is no text"),
        ] {
            assert_eq!(names(&patched(&cache, &[patch])), None, "{why}");
        }
        assert_eq!(names(&written(&[&"x".repeat(256)])), None);
        assert!(names(&written(&[&"x".repeat(255)])).is_some());
    }

    #[test]
    fn a_cut_or_spoilt_cache_is_answered() {
        let cache = written(&["libm.so.6", "libc.so.6"]);
        for len in 0..cache.len() {
            assert_eq!(names(&cache[..len]), None, "cut at {len}");
        }
        for at in 0..cache.len() {
            for byte in [0, 0x7f, 0xff] {
                let _ = names(&patched(&cache, &[(at, &[byte])]));
            }
        }
    }

    #[test]
    fn the_cache_of_this_system_lists_its_library_of_c() {
        if let Ok(bytes) = std::fs::read("/etc/ld.so.cache") {
            let names = names(&bytes).expect("it is as glibc writes it");
            assert!(names.contains("libc.so.6"), "{} names", names.len());
        }
    }
}
