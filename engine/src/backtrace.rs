//! Backtraces as module plus offset, for `addr2line` to resolve later. Nothing is symbolised here.

use std::fmt::Write as _;

/// How many frames are written.
const FRAMES_MAX: usize = 48;

/// The stack of this thread, a line per frame: `libclock.so+0x1234`.
pub(crate) fn capture() -> String {
    // Only numbers are collected while the stack is walked: a panic in there would end the process.
    let mut addresses = [0_usize; FRAMES_MAX];
    let mut count = 0;
    backtrace::trace(|frame| {
        if let Some(address) = addresses.get_mut(count) {
            *address = frame.ip().addr();
        }
        count += 1;
        count < FRAMES_MAX
    });
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut text = String::new();
    for address in addresses.into_iter().take(count) {
        // Writing to a string does not fail.
        let _ = match locate(&maps, address) {
            Some((module, offset)) => writeln!(text, "{module}+{offset:#x}"),
            None => writeln!(text, "{address:#x}"),
        };
    }
    text
}

/// The module that `address` lies in, by the lines of `/proc/self/maps`, and the offset into its file.
fn locate(maps: &str, address: usize) -> Option<(&str, usize)> {
    maps.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (low, high) = fields.next()?.split_once('-')?;
        let low = usize::from_str_radix(low, 16).ok()?;
        let high = usize::from_str_radix(high, 16).ok()?;
        let offset = usize::from_str_radix(fields.nth(1)?, 16).ok()?;
        let path = fields.nth(2).unwrap_or("");
        let module = path.rsplit('/').next().unwrap_or(path);
        (low..high)
            .contains(&address)
            .then(|| (module, address - low + offset))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_its_module() {
        let maps = "55d0-55e0 r-xp 00001000 fe:00 123 /usr/lib/libclock.so\n7f00-7f10 rw-p 00000000 00:00 0\n";
        assert_eq!(locate(maps, 0x55d4), Some(("libclock.so", 0x1004)));
        assert_eq!(locate(maps, 0x7f01), Some(("", 1)));
        assert_eq!(locate(maps, 0x1), None);
    }

    #[test]
    fn a_backtrace_has_frames() {
        assert!(capture().lines().count() > 1);
    }
}
