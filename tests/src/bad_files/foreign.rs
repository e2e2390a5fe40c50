//! Good files of other kinds: libraries and programs that are no plugins of ours, and some that claim to be.

use super::Writer;
use crate::built;
use crate::foreign::{
    Header, good_manifest, write_claim, write_program, write_program_with_manifest,
};

pub(super) fn write(writer: &mut Writer<'_>) {
    let what = "a foreign library whose constructor leaves a mark";
    let path = writer.file("constructor-mark", what, ("PE0120", ""));
    std::fs::copy(built("constructor-mark"), path).expect("a file can be copied");

    let path = writer.file("program", "a program", ("PE0114", "is a program"));
    write_program(&path, &["-no-pie"]);
    let what = "a program that can be mapped anywhere, as a library can";
    let path = writer.file("program-pie", what, ("PE0114", "is a program"));
    write_program(&path, &["-pie", "-fPIE"]);
    let path = writer.file(
        "object",
        "a relocatable object",
        ("PE0114", "an object file"),
    );
    write_program(&path, &["-c"]);

    let what = "a program that carries a manifest";
    let path = writer.file("program-with-manifest", what, ("PE0114", "is a program"));
    write_program_with_manifest(&path);
    for header in Header::ALL {
        // Each its own id: a file whose manifest can be read shows its reason under that.
        let name = format!("claims-{header:?}").to_lowercase();
        let manifest = good_manifest().replace("id=claims", &format!("id={name}"));
        let what = "a library that claims to be a plugin";
        let path = writer.file(&name, what, ("PE0203", "header"));
        write_claim(&path, &manifest, header);
        writer.last().is_mapped = true;
    }
}
