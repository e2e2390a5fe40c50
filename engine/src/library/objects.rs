//! Which objects the system's loader has in this process: the program, libraries, mapped plugin files. One of the few places with
//! unsafe code.

use std::ffi::{CStr, c_int, c_void};
use std::ops::Range;

/// What the paths of plugin files begin with, which are mapped from sealed copies that have no name.
const SEALED: &str = "/proc/self/fd/";

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// The path by which it was loaded; empty for the program itself.
    pub(crate) name: String,
    /// From its first address to behind its last one.
    pub(crate) range: Range<usize>,
}

impl Object {
    /// Whether it is a plugin file, of whatever engine of this process.
    pub(crate) fn is_sealed(&self) -> bool {
        self.name.starts_with(SEALED)
    }
}

type Visit<'a> = &'a mut dyn FnMut(&libc::dl_phdr_info) -> bool;

/// Looks at the objects in the order in which they were loaded, until `visit` says that this was enough.
fn visit(mut visit: impl FnMut(&libc::dl_phdr_info) -> bool) {
    unsafe extern "C" fn each(
        info: *mut libc::dl_phdr_info,
        _: libc::size_t,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: the address is that of `visit` below, which lives until all were looked at; the information is valid during this
        // call.
        let (visit, info) = unsafe { (&mut *data.cast::<Visit<'_>>(), &*info) };
        c_int::from(visit(info))
    }
    let mut visit: Visit<'_> = &mut visit;
    // SAFETY: `each` gets back the address of `visit`, during this call. It does not unwind: what is done in it is to copy.
    unsafe { libc::dl_iterate_phdr(Some(each), (&raw mut visit).cast()) };
}

fn object(info: &libc::dl_phdr_info) -> Object {
    let name = if info.dlpi_name.is_null() {
        String::new()
    } else {
        // SAFETY: the loader's own text, which lives as long as the object, which cannot go during the visit.
        unsafe { CStr::from_ptr(info.dlpi_name) }
            .to_string_lossy()
            .into_owned()
    };
    let (mut first, mut end) = (usize::MAX, 0);
    if !info.dlpi_phdr.is_null() {
        // SAFETY: the loader says where the program headers of an object lie, and how many there are.
        let headers =
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        for header in headers.iter().filter(|one| one.p_type == libc::PT_LOAD) {
            // What the loader has mapped lies inside the address space.
            let begin = (info.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
            first = first.min(begin);
            end = end.max(begin.wrapping_add(header.p_memsz as usize));
        }
    }
    let range = first.min(end)..end;
    Object { name, range }
}

/// How many objects were ever loaded into this process.
pub(crate) fn added() -> u64 {
    let mut added = 0;
    visit(|info| {
        added = info.dlpi_adds;
        true
    });
    added
}

/// The object of this path, and what was loaded after it.
pub(crate) fn find_with_later(name: &str) -> Option<(Object, Vec<Object>)> {
    let mut found = None;
    let mut later = Vec::new();
    visit(|info| {
        let object = object(info);
        if found.is_some() {
            later.push(object);
        } else if object.name == name {
            found = Some(object);
        }
        false
    });
    found.map(|object| (object, later))
}

/// Whether the object is still there.
pub(crate) fn is_there(wanted: &Object) -> bool {
    let mut there = false;
    visit(|info| {
        there = object(info) == *wanted;
        there
    });
    there
}

/// All objects.
pub(crate) fn all() -> Vec<Object> {
    let mut all = Vec::new();
    visit(|info| {
        all.push(object(info));
        false
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_this_program_lies_in_its_first_object() {
        let here = added as *const () as usize;
        let all = all();
        assert!(all[0].range.contains(&here), "{all:?}");
        assert!(all[1..].iter().all(|object| !object.range.contains(&here)));
        assert!(added() >= all.len() as u64);
    }

    #[test]
    fn an_object_is_found_by_its_path_with_what_came_later() {
        let all = all();
        let libc = all
            .iter()
            .position(|object| object.name.contains("libc.so"))
            .unwrap();
        let (found, later) = find_with_later(&all[libc].name).unwrap();
        assert_eq!((&found, later.len()), (&all[libc], all.len() - libc - 1));
        assert!(is_there(&found));
        let gone = Object {
            name: "gone".to_owned(),
            ..found
        };
        assert!(!is_there(&gone) && find_with_later("gone").is_none());
    }
}
