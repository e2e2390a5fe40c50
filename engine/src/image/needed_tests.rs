use std::time::Duration;

use super::*;
use crate::image::loader_cache::written;

const MAPS: &str = "\
7f00-7f01 r-xp 00000000 08:01 12 /usr/lib/libmapped.so.1.2.3
7f02-7f03 r-xp 00000000 08:01 13 /usr/lib/libgone.so.1 (deleted)
7f04-7f05 rw-p 00000000 00:00 0 [heap]
";

/// A system that has `libcached.so.1` in the loader's cache, `libdefault.so.1` in a default directory and some mapped.
struct System {
    dir: tempfile::TempDir,
    loader: SystemLoader,
}

fn system() -> System {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("cache"), written(&["libcached.so.1"])).unwrap();
    std::fs::write(at("maps"), MAPS).unwrap();
    for (name, library) in [("default", "libdefault.so.1"), ("own", "libown.so.1")] {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join(library), "").unwrap();
    }
    let loader = SystemLoader {
        cache_file: at("cache"),
        maps_file: at("maps"),
        library_path: None,
        default_dirs: vec![at("default")],
        remembered: Mutex::new(None),
    };
    System { dir, loader }
}

impl System {
    fn absence(&self, library: &str) -> Option<Absence> {
        self.absence_with(library, &[])
    }

    fn absence_with(&self, library: &str, own_paths: &[SearchPath]) -> Option<Absence> {
        let absent = self.loader.missing(&[library.to_owned()], own_paths);
        absent.first().map(|absent| absent.absence)
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }
}

fn run_path(path: &str) -> SearchPath {
    SearchPath {
        tag: "RUNPATH",
        path: path.to_owned(),
    }
}

#[test]
fn what_the_system_has_is_not_missing() {
    let system = system();
    for library in [
        "libcached.so.1",
        "libdefault.so.1",
        "libmapped.so.1.2.3",
        "libmapped.so.1",
        "libgone.so.1",
    ] {
        assert_eq!(system.absence(library), None, "{library}");
    }
}

#[test]
fn what_the_system_has_not_is_missing() {
    let system = system();
    for library in [
        "libother.so.1",
        "libmapped.so.11",
        "libmap",
        "libcached.so",
        "default",
    ] {
        assert_eq!(system.absence(library), Some(Absence::Missing), "{library}");
    }
}

#[test]
fn all_that_are_absent_are_told_in_order() {
    let needed = ["libb.so", "libcached.so.1", "liba.so"].map(str::to_owned);
    let absent = system().loader.missing(&needed, &[]);
    let said: Vec<String> = absent.iter().map(Absent::to_string).collect();
    assert_eq!(
        said,
        [
            "needs libb.so, which is not installed",
            "needs liba.so, which is not installed"
        ]
    );
}

#[test]
fn without_the_loaders_cache_nothing_is_surely_missing() {
    let system = system();
    std::fs::write(system.path("cache"), "another format").unwrap();
    assert_eq!(system.absence("libother.so.1"), Some(Absence::Unknown));
    std::fs::remove_file(system.path("cache")).unwrap();
    assert_eq!(system.absence("libother.so.1"), Some(Absence::Unknown));
    assert_eq!(system.absence("libdefault.so.1"), None);
}

#[test]
fn without_the_list_of_what_is_mapped_nothing_is_surely_missing() {
    let system = system();
    std::fs::remove_file(system.path("maps")).unwrap();
    assert_eq!(system.absence("libother.so.1"), Some(Absence::Unknown));
}

#[test]
fn a_library_named_by_a_path_or_relative_to_the_file_is_told() {
    let system = system();
    for (library, absence) in [
        ("/usr/lib/libc.so.6", Absence::Path),
        ("./libc.so.6", Absence::Path),
        ("$ORIGIN/libc.so.6", Absence::Variable),
        ("${LIB}.so", Absence::Variable),
    ] {
        assert_eq!(system.absence(library), Some(absence), "{library}");
    }
}

#[test]
fn the_loaders_variable_is_followed() {
    let mut system = system();
    assert_eq!(system.absence("libown.so.1"), Some(Absence::Missing));
    system.loader.library_path = Some(format!("/nowhere:{}", system.path("own")));
    assert_eq!(system.absence("libown.so.1"), None);
    system.loader.library_path = Some("$LIB".to_owned());
    assert_eq!(system.absence("libown.so.1"), Some(Absence::Unknown));
}

#[test]
fn the_search_paths_of_the_file_are_followed() {
    let system = system();
    let own = run_path(&format!("/nowhere:{}", system.path("own")));
    assert_eq!(system.absence_with("libown.so.1", &[own]), None);
    let relative = run_path("$ORIGIN/lib");
    assert_eq!(
        system.absence_with("libown.so.1", &[relative]),
        Some(Absence::Unknown)
    );
}

#[test]
fn the_loaders_cache_is_read_again_only_when_it_changes() {
    let system = system();
    assert_eq!(system.absence("libcached.so.1"), None);
    let file = system.path("cache");
    let before = std::fs::metadata(&file).unwrap().modified().unwrap();
    std::fs::write(&file, written(&["libcached.so.2"])).unwrap();
    let touch = |time| {
        File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(time)
    };
    touch(before).unwrap();
    assert_eq!(system.absence("libcached.so.1"), None);
    touch(before + Duration::from_nanos(1_000)).unwrap();
    assert_eq!(system.absence("libcached.so.1"), Some(Absence::Missing));
    assert_eq!(system.absence("libcached.so.2"), None);
}

#[test]
fn a_cache_that_is_too_long_is_not_read() {
    let system = system();
    let file = File::options()
        .write(true)
        .open(system.path("cache"))
        .unwrap();
    file.set_len(FILE_LEN_MAX + 1).unwrap();
    assert_eq!(system.absence("libcached.so.1"), Some(Absence::Unknown));
}

#[test]
fn this_process_has_its_library_of_c() {
    if cfg!(all(target_os = "linux", target_env = "gnu")) {
        let needed = ["libc.so.6", "libno-such-library.so.1"].map(str::to_owned);
        let absent = missing(&needed, &[]);
        assert_eq!(absent.len(), 1, "{absent:?}");
        assert_eq!(absent[0].library, "libno-such-library.so.1");
    }
}

#[test]
fn only_some_directories_of_a_search_path_without_end_are_looked_into() {
    let system = system();
    let behind = |dirs: usize| {
        run_path(&format!(
            "{}{}",
            "/nowhere:".repeat(dirs),
            system.path("own")
        ))
    };
    let absence = |dirs| system.absence_with("libown.so.1", &[behind(dirs)]);
    assert_eq!(absence(DIRS_MAX - 1), None);
    // It may be in one of those that were not looked into.
    assert_eq!(absence(DIRS_MAX), Some(Absence::Unknown));
    let endless = vec![run_path(&":".repeat(4_096)); 1_024];
    assert!(system.loader.dirs(&endless).found.len() <= DIRS_MAX + 1);
}
