//! What the system says of this process: what is mapped, which threads run, what is open, how much memory is used.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use plugin_engine_thread_hooks as hooks;

/// The addresses of what is mapped of a plugin file. The engine maps a copy in memory under the file's name.
pub(super) fn ranges_of(file: &Path) -> Vec<Range<usize>> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    ranges(&format!("/memfd:{name} "))
}

/// The addresses of this program.
fn own_ranges() -> Vec<Range<usize>> {
    let own = std::env::current_exe().unwrap_or_default();
    ranges(&own.to_string_lossy())
}

fn ranges(begin: &str) -> Vec<Range<usize>> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let of = |line: &str| {
        let at = line.find('/')?;
        // A file that was replaced since has a word behind its name.
        let what = line[at..].strip_prefix(begin);
        what.filter(|rest| rest.is_empty() || rest.starts_with(' ') || begin.ends_with(' '))?;
        let (from, to) = line.split(' ').next()?.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        Some(address(from)?..address(to)?)
    };
    maps.lines().filter_map(of).collect()
}

/// The threads that neither the engine nor the system's loader has started, by their names: those of plugins.
pub(super) fn strange_threads() -> Vec<String> {
    let own = own_ranges();
    let is_own = |address: usize| own.iter().any(|range| range.contains(&address));
    let threads = hooks::threads().into_iter();
    let strange = threads.filter(|thread| !is_own(thread.start));
    strange
        .map(|thread| {
            let comm = format!("/proc/self/task/{}/comm", thread.tid);
            let name = std::fs::read_to_string(comm).unwrap_or_default();
            name.trim_end().to_owned()
        })
        .collect()
}

/// How many keys for thread-local values have a destructor in code that lies at these addresses.
pub(super) fn keys_in(ranges: &[Range<usize>]) -> u64 {
    let keys = hooks::keys();
    let of = |key: &&hooks::Key| ranges.iter().any(|range| range.contains(&key.destructor));
    keys.iter().filter(of).count() as u64
}

/// What is open, by what it leads to; pipes, sockets and the like by their kind.
pub(super) fn descriptors() -> BTreeMap<String, u64> {
    let mut open = BTreeMap::new();
    let entries = std::fs::read_dir("/proc/self/fd");
    for entry in entries.into_iter().flatten().flatten() {
        let Ok(link) = std::fs::read_link(entry.path()) else {
            continue;
        };
        let link = link.to_string_lossy();
        // The look itself has the directory open.
        if link.ends_with("/fd") && link.starts_with("/proc/") {
            continue;
        }
        let what = link.split(":[").next().unwrap_or_default().to_owned();
        *open.entry(what).or_default() += 1;
    }
    open
}

/// How many bytes of memory the process has.
pub(super) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_mapped_and_has_memory_and_something_open() {
        let here = descriptors as *const () as usize;
        assert!(own_ranges().iter().any(|range| range.contains(&here)));
        assert!(ranges_of(Path::new("libnone.so")).is_empty());
        assert!(resident_bytes() > 0);
        let before = descriptors();
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_ne!(descriptors(), before);
        drop(file);
    }
}
