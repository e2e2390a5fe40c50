//! The answers on one connection taken apart: what was sent, not what it was meant to be.

/// One answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Whether its body came to its end.
    pub(super) is_whole: bool,
}

impl Answer {
    /// The value of a header that comes at most once.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} comes twice");
        value
    }
}

/// All answers, the last of which may be cut off.
pub(super) fn all(mut bytes: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let Some(end) = find(bytes, b"\r\n\r\n") else {
            break;
        };
        let head = std::str::from_utf8(&bytes[..end]).expect("a head is plain text");
        bytes = &bytes[end + 4..];
        let mut answer = head_of(head);
        let rest = match answer.header("transfer-encoding") {
            Some("chunked") => chunks(bytes, &mut answer),
            Some(other) => panic!("sent as {other}"),
            None => sized(bytes, &mut answer),
        };
        answers.push(answer);
        bytes = rest;
    }
    answers
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn head_of(head: &str) -> Answer {
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| first.strip_prefix("HTTP/1.0 "))
        .and_then(|rest| rest.get(..3)?.parse().ok());
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").expect("a header has a name");
        (name.to_ascii_lowercase(), value.to_owned())
    });
    Answer {
        status: status.unwrap_or_else(|| panic!("{first:?} is no first line of an answer")),
        headers: headers.collect(),
        body: Vec::new(),
        is_whole: true,
    }
}

/// Takes a body of a known length. Whoever asked for the head alone gets none: another answer follows, or nothing.
fn sized<'a>(bytes: &'a [u8], answer: &mut Answer) -> &'a [u8] {
    let len = answer.header("content-length");
    let len = len.map_or(0, |len| len.parse().expect("a length is a number"));
    if bytes.is_empty() || bytes.starts_with(b"HTTP/1.") {
        return bytes;
    }
    answer.is_whole = bytes.len() >= len;
    let (body, rest) = bytes.split_at(len.min(bytes.len()));
    answer.body = body.to_vec();
    rest
}

fn chunks<'a>(mut bytes: &'a [u8], answer: &mut Answer) -> &'a [u8] {
    loop {
        if bytes.starts_with(b"HTTP/1.") {
            return bytes;
        }
        let Some(line) = find(bytes, b"\r\n") else {
            answer.is_whole = false;
            return &[];
        };
        let size = std::str::from_utf8(&bytes[..line]).expect("a size is plain text");
        let size = usize::from_str_radix(size, 16).expect("a size is a number");
        let end = line + 2 + size;
        if bytes.len() < end + 2 {
            answer.is_whole = false;
            return &[];
        }
        answer.body.extend_from_slice(&bytes[line + 2..end]);
        bytes = &bytes[end + 2..];
        if size == 0 {
            return bytes;
        }
    }
}
