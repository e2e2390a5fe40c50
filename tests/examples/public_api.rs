//! Prints the public interface of a crate, an item a line, from the JSON by which rustdoc describes it. For `tests/public-api.sh`.

use std::process::ExitCode;

/// What rustdoc says is in another form than is read here: another version of the toolchain.
const ANOTHER_FORM: u8 = 3;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: public_api RUSTDOC-JSON");
        return ExitCode::from(2);
    };
    let described = public_api::Builder::from_rustdoc_json(&path)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build();
    match described {
        Ok(api) => {
            print!("{api}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            match error {
                public_api::Error::SerdeJsonError(_) => ExitCode::from(ANOTHER_FORM),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
