//! `plugin-engine new`: a plugin project that builds, with its tests.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::output;
use crate::project::{ApiSource, Project, ProjectError, ProjectName, Template};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plugin-engine new weather
  plugin-engine new weather --template stateful --api-path ../plugin-engine

Writes the directory NAME with Cargo.toml, src/lib.rs, tests, a README, a workflow for
checks and .gitignore. NAME is the crate's name and the plugin's id. Nothing is built, and
nothing that is there is changed.
plugin-api is not published yet: --api-path takes it from a checkout of its repository.
Exit status: 0; 1 if the project could not be written, and then nothing is left of it.")]
pub(crate) struct NewArgs {
    /// The name: letters from a to z, digits, - and _
    #[arg(value_name = "NAME")]
    name: String,

    /// What the plugin begins as
    #[arg(long, value_enum, default_value = "minimal")]
    template: Template,

    /// Take plugin-api from this directory, or from plugin-api below it, instead of a release
    #[arg(long, value_name = "DIR")]
    api_path: Option<PathBuf>,

    /// Write the project below this directory, instead of the current one
    #[arg(long = "in", value_name = "DIR")]
    parent: Option<PathBuf>,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct ProjectJson<'a> {
    name: &'a str,
    template: &'static str,
    dir: String,
    files: &'a [&'static str],
    /// The directory of `plugin-api`; null for a release.
    api_path: Option<String>,
    /// The file that a build of the project makes.
    plugin_file: String,
}

/// Writes the project, and returns the exit status.
pub(crate) fn run(args: &NewArgs) -> i32 {
    let (project, dir, files) = match written(args) {
        Ok(written) => written,
        Err(error) => return output::fail_with(&error, error.code()),
    };
    let name = project.name.as_str();
    let plugin_file = format!("target/release/{}.so", project.name.library_stem());
    let is_released = project.source == ApiSource::Released;
    if args.json {
        let api_path = match &project.source {
            ApiSource::Released => None,
            ApiSource::Directory(dir) => Some(dir.display().to_string()),
        };
        return output::print_objects([ProjectJson {
            name,
            template: project.template.as_str(),
            dir: dir.display().to_string(),
            files: &files,
            api_path,
            plugin_file,
        }]);
    }
    if is_released {
        output::note(
            "plugin-api is not published yet: Cargo.toml names its version, and the project builds once you put a path or a repository \
             there, as its README says; or begin again with --api-path",
        );
    }
    let dir = dir.display();
    output::print_text(&format!(
        "{dir}: a plugin that begins as the template {}; next:\n\
         \x20 cd {dir}\n\
         \x20 cargo test\n\
         \x20 cargo build --release\n\
         \x20 mkdir -p plugins.d && cp {plugin_file} plugins.d\n\
         \x20 plugin-engine run --plugins plugins.d --state state\n",
        project.template.as_str()
    ))
}

fn written(args: &NewArgs) -> Result<(Project, PathBuf, Vec<&'static str>), ProjectError> {
    let source = match &args.api_path {
        None => ApiSource::Released,
        Some(path) => ApiSource::directory(path)?,
    };
    let project = Project {
        name: ProjectName::new(&args.name)?,
        template: args.template,
        source,
    };
    let parent = args.parent.as_deref().unwrap_or(Path::new(""));
    let (dir, files) = project.write(parent)?;
    Ok((project, dir, files))
}
