//! What those promise who read what others have sent, checked over bytes that may be anything.
//!
//! Compiled only for tests and for `engine/fuzz`, whose targets call the functions of [`READERS`]. Each has its bytes read, and panics
//! where what comes back is not what was promised. What lives here: promises. What never will: anything that an answer needs.

mod answers;
mod requests;
mod secret;
#[cfg(test)]
mod tests;
mod values;

pub use requests::requests;
pub use secret::token;
pub use values::wire;

/// A directory of this process alone. Those of processes that are no more are removed.
fn own_dir(name: &str) -> std::path::PathBuf {
    let all = std::env::temp_dir().join("plugin-engine-fuzz");
    for left in std::fs::read_dir(&all).into_iter().flatten().flatten() {
        let name = left.file_name();
        let pid = name.to_str().and_then(|name| name.split('-').next());
        if pid.is_some_and(|pid| !std::path::Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir_all(left.path());
        }
    }
    let dir = all.join(format!("{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a directory can be made");
    dir
}

/// Checks what one reader makes of some bytes.
pub type Reader = fn(&[u8]);

/// Every reader by its name, which is also that of its target and of its corpus.
pub const READERS: [(&str, Reader); 3] = [("requests", requests), ("token", token), ("wire", wire)];
