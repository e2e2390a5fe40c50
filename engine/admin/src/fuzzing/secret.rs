//! The token of a state directory, whatever its file holds.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use parking_lot::Mutex;
use plugin_engine::escape_control;

use crate::token::Token;

static FILE: LazyLock<Mutex<PathBuf>> =
    LazyLock::new(|| Mutex::new(super::own_dir("token").join("token")));

/// What a file holds is the token without the white space at its end, or none, which is said in one line that does not repeat it.
pub fn token(bytes: &[u8]) {
    let path = FILE.lock();
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&*path)
        .expect("a file can be made");
    file.write_all(bytes).expect("it can be written");
    drop(file);
    match Token::open(&path) {
        Ok(token) => {
            let text = String::from_utf8_lossy(bytes);
            let said = text.trim_end();
            assert!(token.is(said) && (32..=256).contains(&said.len()));
            assert!(!token.is("") && !token.is(&said[1..]));
        }
        Err(error) => {
            let text = error.to_string();
            assert_eq!(escape_control(&text), text, "one line of plain text");
            assert!(text.len() <= 1_000, "{text}");
        }
    }
}
