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
