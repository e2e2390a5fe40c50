//! Plugins in C and C++, built by the compilers of the system: `cc`, which links everything here anyway, and `c++`, which may be missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files::root;
use crate::rig::Rig;

/// A source below the root, and what its macros are defined as.
fn arguments(source: &str, to: &Path, defines: &[(&str, &str)]) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "-shared",
        "-fPIC",
        "-fvisibility=hidden",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-I",
    ]
    .map(str::to_owned)
    .into();
    arguments.push(root().join("plugin-api/c").display().to_string());
    arguments.extend(
        defines
            .iter()
            .map(|(name, value)| format!("-D{name}={value}")),
    );
    arguments.push("-o".to_owned());
    arguments.push(to.display().to_string());
    arguments.push(root().join(source).display().to_string());
    arguments
}

/// Builds a plugin in C.
///
/// # Panics
/// There is no `cc`, or it refuses the source or warns of it.
pub fn build_in_c(source: &str, to: &Path, defines: &[(&str, &str)]) {
    run(Command::new("cc")
        .args(["-std=c11", "-O1"])
        .args(arguments(source, to, defines)));
}

/// Builds a plugin in C++, or says on standard error that this test was not run, because there is no `c++`.
///
/// # Panics
/// It refuses the source or warns of it.
#[must_use]
pub fn build_in_cpp(source: &str, to: &Path) -> bool {
    if let Err(error) = Command::new("c++").arg("--version").output() {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        eprintln!(
            "{test} WAS NOT RUN: it needs a C++ compiler, and c++ cannot be started: {error}"
        );
        return false;
    }
    run(Command::new("c++")
        .args(["-std=c++17", "-O0"])
        .args(arguments(source, to, &[])));
    true
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{command:?}: {said}"
    );
}

impl Rig {
    /// Builds a plugin in C into the directory as the plugin `id`, with this configuration beside it.
    pub fn drop_c(
        &self,
        source: &str,
        id: &str,
        defines: &[(&str, &str)],
        config: &str,
    ) -> PathBuf {
        let file = self.dir().join(format!("{id}.so"));
        build_in_c(source, &file, defines);
        self.configure(id, config);
        file
    }

    /// Builds a plugin in C++, likewise; `false` if there is no compiler for it.
    #[must_use]
    pub fn drop_cpp(&self, source: &str, id: &str, config: &str) -> bool {
        self.configure(id, config);
        build_in_cpp(source, &self.dir().join(format!("{id}.so")))
    }
}
