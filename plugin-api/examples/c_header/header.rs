//! The contract as C declarations, with what makes a C compiler check that it lays them out alike.

use crate::description::{Field, Of, Shape, Type};
use crate::docs::Docs;

/// Where a table of functions begins that the engine lends: behind two words of its own.
const TABLE_HEAD: usize = 16;

/// Where constants stand in the sources, and what they are for.
const CONSTANTS: [(&str, &str); 3] = [
    ("status", "What a call returns."),
    ("publish_status", "What `publish` returns."),
    ("ViewKind", "The kinds of views."),
];

/// The longest line of a comment.
const COMMENT_LEN: usize = 100;

/// The generated part of the header.
pub(crate) fn generated(types: &[Type], text: &str, version: &str, docs: &Docs) -> String {
    let mut out = String::new();
    out += "\n/* The version of the contract. Engines take plugins of the same leftmost number that is not zero. */\n";
    out += &format!("#define PLUGIN_API_VERSION \"{version}\"\n");
    for (owner, says) in CONSTANTS {
        out += &format!("\n/* {says} */\n");
        for constant in &docs.constants[owner] {
            out += &comment(&constant.says, "");
            out += &format!("#define {} {}\n", constant.name, constant.value);
        }
    }
    out += "\n";
    for of in types
        .iter()
        .filter(|of| !matches!(of.shape, Shape::Newtype { .. }))
    {
        let name = c_name(&of.name);
        out += &format!("typedef struct {name} {name};\n");
    }
    for of in types {
        out += "\n";
        out += &declaration(of, docs);
    }
    out += "\n/* What this header says of the contract; a file carries it, and the engine compares it with its own, line by line. */\n";
    out += "#define PLUGIN_CONTRACT \\\n";
    let lines: Vec<_> = text
        .lines()
        .map(|line| format!("    \"{line}\\n\""))
        .collect();
    out += &lines.join(" \\\n");
    out += "\n\n/* The compiler lays everything out as that says. */\n";
    for of in types {
        out += &assertions(of);
    }
    out += "\n";
    out
}

fn declaration(of: &Type, docs: &Docs) -> String {
    let name = c_name(&of.name);
    let mut out = says(docs, &of.name, "");
    if let (Shape::Newtype { .. }, [field]) = (of.shape, of.fields.as_slice()) {
        return out + &format!("typedef {};\n", declare(&field.of, &name));
    }
    out += &format!("struct {name} {{\n");
    if is_lent(of) {
        out += "    /* Bit n says that the n-th function below is there. The engine's may have more than this header knows. */\n";
        out += "    uint64_t present;\n    const void *reserved;\n";
    }
    for field in &of.fields {
        out += &says(docs, &format!("{}.{}", of.name, field.name), "    ");
        out += &format!("    {};\n", member(of, field));
    }
    out + "};\n"
}

/// Texts and bytes are one address and one length, however Rust nests them.
fn member(of: &Type, field: &Field) -> String {
    match (of.name.as_str(), field.name.as_str()) {
        ("RStr", "inner") => "const char *data;\n    size_t length".to_owned(),
        _ => declare(&field.of, &field.name),
    }
}

fn assertions(of: &Type) -> String {
    let name = c_name(&of.name);
    let mut out = String::new();
    match of.shape {
        Shape::Struct { size, alignment } | Shape::Newtype { size, alignment } => {
            out += &format!("PLUGIN_ASSERT(sizeof({name}) == {size});\n");
            out += &format!("PLUGIN_ASSERT(PLUGIN_ALIGNOF({name}) == {alignment});\n");
        }
        Shape::Table { .. } => {}
    }
    if matches!(of.shape, Shape::Newtype { .. }) {
        return out;
    }
    for field in &of.fields {
        let at = field.offset + if is_lent(of) { TABLE_HEAD } else { 0 };
        let field = match (of.name.as_str(), field.name.as_str()) {
            ("RStr", "inner") => "data",
            (_, name) => name,
        };
        out += &format!("PLUGIN_ASSERT(offsetof({name}, {field}) == {at});\n");
    }
    out
}

/// Whether a table is the engine's. Those of plugin files are handed over as they are.
fn is_lent(of: &Type) -> bool {
    matches!(of.shape, Shape::Table { .. }) && of.name.starts_with("Host")
}

/// The name of a type in C.
pub(crate) fn c_name(name: &str) -> String {
    let known = match name {
        "RStr" => Some("plugin_text"),
        "RSlice<u8>" => Some("plugin_bytes"),
        "PluginModule" => Some("plugin_module"),
        _ => None,
    };
    known.map_or_else(
        || {
            let mut snake = String::from("plugin");
            for c in name.chars() {
                if c.is_uppercase() {
                    snake.push('_');
                }
                snake.extend(c.to_lowercase());
            }
            snake
        },
        str::to_owned,
    )
}

fn declare(of: &Of, name: &str) -> String {
    match of {
        Of::Value(of) => with_name(&c_type(of), name),
        Of::Function { params, returns } => {
            let params: Vec<_> = params
                .iter()
                .map(|(param, of)| with_name(&c_type(of), param))
                .collect();
            let params = if params.is_empty() {
                "void".to_owned()
            } else {
                params.join(", ")
            };
            let returns = returns
                .as_ref()
                .map_or_else(|| "void ".to_owned(), |of| spaced(&c_type(of)));
            format!("{returns}(*{name})({params})")
        }
    }
}

fn with_name(of: &str, name: &str) -> String {
    spaced(of) + name
}

fn spaced(of: &str) -> String {
    if of.ends_with('*') {
        of.to_owned()
    } else {
        format!("{of} ")
    }
}

/// A type of the boundary, which has no others than these.
fn c_type(of: &str) -> String {
    match of {
        "bool" => "bool".to_owned(),
        "u8" | "u16" | "u32" | "u64" => format!("uint{}_t", &of[1..]),
        "usize" => "size_t".to_owned(),
        "()" => "void".to_owned(),
        _ => {
            if let Some(to) = of
                .strip_prefix("&mut ")
                .or_else(|| of.strip_prefix("*mut "))
            {
                format!("{}*", spaced(&c_type(to)))
            } else if let Some(to) = of.strip_prefix("*const ").or_else(|| of.strip_prefix('&')) {
                format!("const {}*", spaced(&c_type(to)))
            } else if let Some(table) = of.strip_suffix("Ref") {
                format!("const {} *", c_name(table))
            } else {
                c_name(of)
            }
        }
    }
}

fn says(docs: &Docs, key: &str, indent: &str) -> String {
    let known = match key {
        "RStr" => {
            "A text: UTF-8, without a zero byte at its end. The address may be null if it is empty."
        }
        "RSlice<u8>" => "Bytes. The address may be null if there are none.",
        _ => docs.says.get(key).map_or("", String::as_str),
    };
    comment(known, indent)
}

fn comment(text: &str, indent: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is a line");
        if !last.is_empty() && indent.len() + last.len() + word.len() > COMMENT_LEN {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            *last += word;
        }
    }
    let between = format!("\n{indent}   ");
    format!("{indent}/* {} */\n", lines.join(&between))
}
