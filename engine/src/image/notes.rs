//! Finds the manifest among the notes of a file. The counterpart of `plugin_api::manifest`, which writes it.
//!
//! The format is that of ELF in every file: a section of a Mach-O or PE file holds the same bytes.

use object::Endianness;
use object::read::elf::NoteIterator;
use plugin_api::manifest::{DESCRIPTION_LEN_MAX, NOTE_NAME, NOTE_TYPE};

use super::ImageError;

/// The most bytes of notes that are walked through in one file. What linkers and packagers leave is less than a page.
const NOTES_LEN_MAX: usize = 1024 * 1024;

type Header = object::elf::FileHeader64<Endianness>;

fn bad(reason: impl Into<String>) -> ImageError {
    ImageError::BadNote {
        reason: reason.into(),
    }
}

/// Walks through all notes of one file.
#[derive(Default)]
pub(super) struct Notes<'a> {
    manifest: Option<&'a [u8]>,
    len: usize,
}

impl<'a> Notes<'a> {
    /// Walks through the notes of one segment or section. Those of other names are passed over, those that are broken are not:
    /// what follows one cannot be found.
    pub(super) fn walk(
        &mut self,
        notes: &'a [u8],
        align: u64,
        endian: Endianness,
    ) -> Result<(), ImageError> {
        self.len = self.len.saturating_add(notes.len());
        if self.len > NOTES_LEN_MAX {
            return Err(bad(format!(
                "the notes have {} bytes, the limit is {NOTES_LEN_MAX}",
                self.len
            )));
        }
        let notes = NoteIterator::<Header>::new(endian, align, notes)
            .map_err(|_| bad(format!("notes are aligned to 4 or 8 bytes, not {align}")))?;
        for note in notes {
            let note = note.map_err(|_| bad("a note is longer than the room it lies in"))?;
            if note.name_bytes() == NOTE_NAME {
                self.found(note.n_type(endian).0, note.desc())?;
            }
        }
        Ok(())
    }

    fn found(&mut self, kind: u32, description: &'a [u8]) -> Result<(), ImageError> {
        if kind != NOTE_TYPE {
            return Err(bad(format!(
                "the manifest's note is of type {kind}, this engine reads type {NOTE_TYPE}"
            )));
        }
        if description.len() > DESCRIPTION_LEN_MAX {
            return Err(bad(format!(
                "the manifest has {} bytes, the limit is {DESCRIPTION_LEN_MAX}",
                description.len()
            )));
        }
        match self.manifest {
            // Two segments may show the same bytes.
            Some(known) if !std::ptr::eq(known, description) => {
                Err(bad("there are two manifests; a library exports one plugin"))
            }
            _ => {
                self.manifest = Some(description);
                Ok(())
            }
        }
    }

    /// The manifest's text, if a note held one.
    pub(super) fn manifest(self) -> Option<&'a [u8]> {
        self.manifest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &[u8], kind: u32, description: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        for word in [name.len() as u32, description.len() as u32, kind] {
            note.extend(word.to_le_bytes());
        }
        note.extend(name);
        note.resize(note.len().next_multiple_of(4), 0);
        note.extend(description);
        note.resize(note.len().next_multiple_of(4), 0);
        note
    }

    fn walk(bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let mut notes = Notes::default();
        match notes.walk(bytes, 4, Endianness::Little) {
            Ok(()) => Ok(notes.manifest().map(<[u8]>::to_vec)),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_manifest_is_found_among_other_notes() {
        let mut bytes = note(b"GNU\0", 3, b"odd");
        assert_eq!(walk(&bytes), Ok(None));
        bytes.extend(note(&NOTE_NAME, NOTE_TYPE, b"text\n"));
        bytes.extend(note(b"", 0, b""));
        assert_eq!(walk(&bytes), Ok(Some(b"text\n".to_vec())));
    }

    #[test]
    fn a_second_manifest_is_refused() {
        let one = note(&NOTE_NAME, NOTE_TYPE, b"text");
        let error = walk(&[one.clone(), one].concat()).unwrap_err();
        assert!(error.contains("two manifests"), "{error}");
    }

    #[test]
    fn a_manifest_seen_through_two_segments_is_one() {
        let bytes = note(&NOTE_NAME, NOTE_TYPE, b"text");
        let mut notes = Notes::default();
        for _ in 0..2 {
            notes.walk(&bytes, 4, Endianness::Little).unwrap();
        }
        assert_eq!(notes.manifest(), Some(&b"text"[..]));
    }

    #[test]
    fn a_manifest_has_a_longest_length() {
        let most = vec![b'x'; DESCRIPTION_LEN_MAX];
        assert_eq!(walk(&note(&NOTE_NAME, NOTE_TYPE, &most)), Ok(Some(most)));
        let more = vec![b'x'; DESCRIPTION_LEN_MAX + 1];
        let error = walk(&note(&NOTE_NAME, NOTE_TYPE, &more)).unwrap_err();
        assert!(
            error.contains("has 4097 bytes, the limit is 4096"),
            "{error}"
        );
    }

    #[test]
    fn notes_have_a_longest_length_together() {
        let bytes = note(b"", 0, &vec![0; NOTES_LEN_MAX - 12]);
        assert_eq!(walk(&bytes), Ok(None));
        let mut notes = Notes::default();
        notes.walk(&bytes, 4, Endianness::Little).unwrap();
        let more = note(b"", 0, b"");
        let error = notes
            .walk(&more, 4, Endianness::Little)
            .unwrap_err()
            .to_string();
        assert!(error.contains("the limit is 1048576"), "{error}");
    }

    #[test]
    fn a_note_cut_anywhere_is_refused() {
        let bytes = note(&NOTE_NAME, NOTE_TYPE, b"text");
        for len in 1..bytes.len() {
            assert!(walk(&bytes[..len]).is_err(), "cut at {len}");
        }
    }
}
