//! Takes server-sent events apart as their bytes come in.

use super::ClientError;

/// The longest line of a message. An entry of the history with its error and its backtrace takes a tenth of it.
const LINE_BYTES_MAX: usize = 1 << 20;

/// One message of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Message {
    /// What it is; `message` is said to be nothing in particular.
    pub(crate) event: String,
    /// The number from which on the stream can be gone on with, as of this message.
    pub(crate) id: Option<u64>,
    pub(crate) data: String,
}

/// What has come in and is no whole message yet.
#[derive(Debug, Default)]
pub(super) struct Messages {
    line: Vec<u8>,
    /// The last byte was the first of a line end that may have two.
    after_return: bool,
    next: Message,
    has_data: bool,
}

impl Messages {
    /// Takes bytes in, and tells the messages that they complete.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        mut told: impl FnMut(Message),
    ) -> Result<(), ClientError> {
        for &byte in bytes {
            let second = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if second => {}
                b'\n' | b'\r' => {
                    let line = std::mem::take(&mut self.line);
                    if let Some(message) = self.end_line(&String::from_utf8_lossy(&line)) {
                        told(message);
                    }
                }
                _ if self.line.len() >= LINE_BYTES_MAX => {
                    let what =
                        format!("a line of the stream is longer than {LINE_BYTES_MAX} bytes");
                    return Err(ClientError::Strange(what));
                }
                _ => self.line.push(byte),
            }
        }
        Ok(())
    }

    fn end_line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let message = std::mem::take(&mut self.next);
            return std::mem::take(&mut self.has_data).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.next.event),
            "id" => self.next.id = value.parse().ok(),
            "data" => {
                if self.has_data {
                    self.next.data.push('\n');
                }
                self.has_data = true;
                self.next.data.push_str(value);
            }
            // A comment, which says that somebody is still there, or what a later engine says.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(event: &str, id: Option<u64>, data: &str) -> Message {
        Message {
            event: event.to_owned(),
            id,
            data: data.to_owned(),
        }
    }

    const STREAM: &str = ": hello\n\nevent: transition\nid: 7\ndata: {\"seq\":7}\n\n:\n\ndata:one\r\ndata: two\r\n\r\n\
        retry: 5\nid: nine\ndata\n\nevent: lost\n\nevent: é\ndata: ü\n\ndata: never complete\n";

    fn expected() -> Vec<Message> {
        vec![
            message("transition", Some(7), "{\"seq\":7}"),
            message("", None, "one\ntwo"),
            message("", None, ""),
            message("é", None, "ü"),
        ]
    }

    #[test]
    fn messages_are_the_same_however_their_bytes_come_in() {
        for size in 1..=STREAM.len() {
            let mut messages = Messages::default();
            let mut told = Vec::new();
            for bytes in STREAM.as_bytes().chunks(size) {
                messages.take(bytes, |message| told.push(message)).unwrap();
            }
            assert_eq!(told, expected(), "{size} at a time");
        }
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let mut messages = Messages::default();
        let bytes = vec![b'x'; LINE_BYTES_MAX];
        messages.take(&bytes, |_| {}).unwrap();
        let error = messages.take(b"x", |_| {}).unwrap_err();
        assert!(error.text().contains("longer than"), "{}", error.text());
    }
}
