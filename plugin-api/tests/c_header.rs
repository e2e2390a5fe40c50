//! The header for C is what the Rust types say, and a C compiler lays it out as Rust's does.

use std::fs;
use std::mem::{align_of, offset_of, size_of};
use std::path::Path;
use std::process::Command;

use abi_stable::std_types::{RSlice, RStr};
use plugin_api::abi::{
    CallFrame, Failure, HostHandle, HostServices, LogRecord, Panic, PluginModule, TakeBytes,
    TakeText,
};
use plugin_api::c;

#[path = "../examples/c_header/description.rs"]
mod description;
#[path = "../examples/c_header/docs.rs"]
mod docs;
#[path = "../examples/c_header/files.rs"]
mod files;
#[path = "../examples/c_header/header.rs"]
mod header;

#[test]
fn the_files_are_what_the_types_say() {
    for (path, text) in files::files() {
        let found = fs::read_to_string(files::dir().join(path)).unwrap();
        assert!(
            found == text,
            "plugin-api/c/{path} is not what the types say; write it anew: cargo run --package plugin-api --example c_header"
        );
    }
}

/// What a C program prints of sizes and places, beside what Rust says: a line `name number` each.
#[derive(Default)]
struct Layouts {
    program: String,
    expected: String,
}

impl Layouts {
    fn print(&mut self, what: &str, expression: &str, expected: usize) {
        self.program += &format!("    printf(\"{what} %zu\\n\", {expression});\n");
        self.expected += &format!("{what} {expected}\n");
    }

    fn size<T>(&mut self, name: &str) {
        self.print(name, &format!("sizeof({name})"), size_of::<T>());
        let expression = format!("_Alignof({name})");
        self.print(&format!("{name} aligned"), &expression, align_of::<T>());
    }

    fn field(&mut self, owner: &str, field: &str, offset: usize) {
        let expression = format!("offsetof({owner}, {field})");
        self.print(&format!("{owner}.{field}"), &expression, offset);
    }
}

macro_rules! layouts {
    ($layouts:ident: $($rust:ty, $head:literal, $c:literal { $($field:ident)* })+) => {
        $(
            $layouts.print($c, concat!("sizeof(", $c, ")"), size_of::<$rust>() + $head);
            $layouts.print(concat!($c, " aligned"), concat!("_Alignof(", $c, ")"), align_of::<$rust>());
            $($layouts.field($c, stringify!($field), offset_of!($rust, $field) + $head);)*
        )+
    };
}

#[test]
fn a_c_compiler_lays_everything_out_as_rust_does() {
    let mut layouts = Layouts::default();
    // What the engine lends begins with two words of its own.
    layouts! { layouts:
        CallFrame, 0, "plugin_call_frame" { host services reply call_id deadline_ns log_level_max }
        Failure<'_>, 0, "plugin_failure" { message type_name recoverable retry_after_ns }
        Panic<'_>, 0, "plugin_panic" { message file line column }
        LogRecord<'_>, 0, "plugin_log_record" { level target message spans }
        HostServices, 16, "plugin_host_services" {
            retain release now_ns is_cancelled record_progress publish log settings id fail view panicked
        }
        PluginModule, 0, "plugin_module" {
            init create update display destroy settings_schema state_version save_state restore_state release
        }
        c::Module, 0, "plugin_module" {
            init create update display destroy settings_schema state_version save_state restore_state release
        }
    }
    layouts.size::<HostHandle>("plugin_host_handle");
    layouts.size::<TakeText>("plugin_take_text");
    layouts.size::<TakeBytes>("plugin_take_bytes");
    layouts.size::<RStr<'_>>("plugin_text");
    layouts.size::<RSlice<'_, u8>>("plugin_bytes");
    layouts.size::<c::FileHeader>("plugin_file_header");
    let header = "plugin_file_header";
    layouts.field(header, "size", offset_of!(c::FileHeader, size));
    layouts.field(
        header,
        "module_size",
        offset_of!(c::FileHeader, module_size),
    );
    layouts.field(header, "contract.data", offset_of!(c::FileHeader, contract));
    layouts.field(
        header,
        "contract.length",
        offset_of!(c::FileHeader, contract_len),
    );
    layouts.field(header, "module", offset_of!(c::FileHeader, module));

    let dir =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("c-header-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let (source, program) = (dir.join("layouts.c"), dir.join("layouts"));
    let text = format!(
        "#include \"plugin_api.h\"\n#include <stdio.h>\nint main(void) {{\n{}    return 0;\n}}\n",
        layouts.program
    );
    fs::write(&source, text).unwrap();
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(files::dir())
        .arg("-o")
        .args([&program, &source])
        .output()
        .expect("cc can be started: it links every Rust program, too");
    let said = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{said}");
    let printed = Command::new(&program).output().unwrap();
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(String::from_utf8_lossy(&printed.stdout), layouts.expected);
    assert!(layouts.expected.lines().count() > 70);
}

#[test]
fn every_type_of_the_contract_has_its_assertions_in_the_header() {
    let header = fs::read_to_string(files::dir().join("plugin_api.h")).unwrap();
    for of in description::types() {
        let name = header::c_name(&of.name);
        assert!(header.contains(&format!(" {name}")), "{name} is declared");
        let is_table = matches!(of.shape, description::Shape::Table { .. });
        let asserted = header.contains(&format!("PLUGIN_ASSERT(sizeof({name}) == "));
        assert!(is_table || asserted, "{name} has its size asserted");
    }
    assert_eq!(
        c::CONTRACT
            .lines()
            .filter(|line| line.starts_with("table "))
            .count(),
        2
    );
}
