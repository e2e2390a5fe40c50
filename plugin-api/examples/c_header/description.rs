//! The contract as a list of types, read from what the compiler says of them: the very description that engines compare at load.

use abi_stable::StableAbi;
use abi_stable::type_layout::{TLData, TLField, TLFunction, TypeLayout};
use plugin_api::abi::PluginModuleRef;

/// One type of the contract.
pub(crate) struct Type {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) fields: Vec<Field>,
}

/// What a type is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Plain data, which never changes.
    Struct { size: usize, alignment: usize },
    /// Data of one field, which crosses the boundary as that field does.
    Newtype { size: usize, alignment: usize },
    /// A table that may get longer; so many fields stand in every version of it.
    Table { prefix_len: usize },
}

/// A field, with its place from the beginning of the type in bytes.
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) offset: usize,
    pub(crate) of: Of,
}

/// What a field is, with types in the notation of Rust.
pub(crate) enum Of {
    Value(String),
    Function {
        params: Vec<(String, String)>,
        returns: Option<String>,
    },
}

impl Of {
    /// The type, without the names of parameters: those are no part of the contract.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Value(name) => name.clone(),
            Self::Function { params, returns } => {
                let params: Vec<_> = params.iter().map(|(_, of)| of.as_str()).collect();
                let returns = returns.as_ref().map(|of| format!(" -> {of}"));
                format!("fn({}){}", params.join(", "), returns.unwrap_or_default())
            }
        }
    }
}

/// All types of the contract, each behind those that it holds.
pub(crate) fn types() -> Vec<Type> {
    let mut found = Types::default();
    found.enter(<PluginModuleRef as StableAbi>::LAYOUT);
    found.types
}

/// The description as a text: a line for each type, and one for each of its fields below it.
pub(crate) fn text(types: &[Type]) -> String {
    let mut text = String::new();
    for Type {
        name,
        shape,
        fields,
    } in types
    {
        text += &match shape {
            Shape::Struct { size, alignment } | Shape::Newtype { size, alignment } => {
                format!("struct {name} {size} {alignment}\n")
            }
            Shape::Table { prefix_len } => format!("table {name} {prefix_len}\n"),
        };
        for field in fields {
            let (at, of) = (field.offset, field.of.text());
            text += &format!("{name}.{} @{at} {of}\n", field.name);
        }
    }
    text
}

#[derive(Default)]
struct Types {
    types: Vec<Type>,
    /// Those that were entered or are being entered: tables and frames name each other.
    seen: Vec<String>,
}

impl Types {
    fn enter(&mut self, layout: &'static TypeLayout) {
        let name = name(layout);
        let is_reference = ["&", "*", "PrefixRef"]
            .iter()
            .any(|word| layout.name().starts_with(word));
        if is_reference {
            for part in layout.phantom_fields().iter() {
                self.enter(part.layout());
            }
            return;
        }
        let is_ours = layout.get_fields().is_some_and(|fields| !fields.is_empty());
        if !is_ours || self.seen.contains(&name) {
            return;
        }
        self.seen.push(name.clone());
        let fields: Vec<_> = layout.get_fields().expect("it has fields").to_vec();
        let fields: Vec<_> = fields
            .into_iter()
            .filter(|field| field.layout().size() > 0)
            .collect();
        for field in &fields {
            self.enter_parts(field);
        }
        let (placed, end) = placed(&fields);
        let (size, alignment) = (layout.size(), layout.alignment());
        let shape = match layout.data() {
            TLData::PrefixType(prefix) => Shape::Table {
                prefix_len: usize::from(prefix.first_suffix_field),
            },
            _ if is_transparent(layout) => Shape::Newtype { size, alignment },
            _ => {
                assert_eq!(
                    end.next_multiple_of(alignment),
                    size,
                    "{name} is laid out as C does"
                );
                Shape::Struct { size, alignment }
            }
        };
        self.types.push(Type {
            name,
            shape,
            fields: placed,
        });
    }

    fn enter_parts(&mut self, field: &TLField) {
        for function in field.function_range().iter() {
            for param in function.param_type_layouts.iter() {
                self.enter(param());
            }
            if let Some(returns) = function.return_type_layout() {
                self.enter(returns());
            }
        }
        self.enter(field.layout());
    }
}

fn is_transparent(layout: &TypeLayout) -> bool {
    use abi_stable::type_layout::ReprAttr;
    layout.repr_attr() == ReprAttr::Transparent
        && layout.mod_path().to_string().contains("plugin_api")
}

/// The fields with their places as C has them, and where the last ends.
fn placed(fields: &[TLField]) -> (Vec<Field>, usize) {
    let mut end = 0;
    let mut placed = Vec::new();
    for field in fields {
        let layout = field.layout();
        let offset = usize::next_multiple_of(end, layout.alignment());
        end = offset + layout.size();
        placed.push(Field {
            name: field.name().trim_start_matches("field_").to_owned(),
            offset,
            of: of(field),
        });
    }
    (placed, end)
}

fn of(field: &TLField) -> Of {
    match field.function_range().iter().next() {
        Some(function) => function_of(&function),
        None => Of::Value(name(field.layout())),
    }
}

fn function_of(function: &TLFunction) -> Of {
    let names = function.param_names.as_str().split(',');
    let params = names.zip(function.param_type_layouts.iter());
    Of::Function {
        params: params
            .map(|(param, layout)| (param.to_owned(), name(layout())))
            .collect(),
        returns: function.return_type_layout().map(|layout| name(layout())),
    }
}

/// The name of a type, without lifetimes.
fn name(layout: &'static TypeLayout) -> String {
    let part = || {
        let parts = layout.phantom_fields();
        name(parts.get(0).expect("it is made of something").layout())
    };
    match layout.name() {
        "&" => format!("&{}", part()),
        sign @ ("&mut" | "*mut" | "*const") => format!("{sign} {}", part()),
        "PrefixRef" => format!("{}Ref", part()),
        "RSlice" => {
            let data = layout.get_fields().and_then(|fields| fields.get(0));
            let data = name(data.expect("a slice has data").layout());
            format!("RSlice<{}>", data.trim_start_matches("*const "))
        }
        other => other.to_owned(),
    }
}
