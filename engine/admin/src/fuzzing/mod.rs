//! What those promise who read what others have sent, checked over bytes that may be anything.
//!
//! Compiled only for tests and for `engine/fuzz`, whose targets call the functions of [`READERS`]. Each has its bytes read, and panics
//! where what comes back is not what was promised. What lives here: promises. What never will: anything that an answer needs.

mod answers;
mod requests;
#[cfg(test)]
mod tests;
mod values;

pub use requests::requests;
pub use values::wire;

/// Checks what one reader makes of some bytes.
pub type Reader = fn(&[u8]);

/// Every reader by its name, which is also that of its target and of its corpus.
pub const READERS: [(&str, Reader); 2] = [("requests", requests), ("wire", wire)];
