//! What is different between two images of an object.

use kymograph_domain::kernel::json::changes::list_changes;
use kymograph_domain::kernel::json::{JsonDocument, JsonError, PADDING};
use kymograph_domain::kernel::past::Sentence;
use kymograph_domain::registry;
use serde_json::value::{RawValue, to_raw_value};

use crate::kernel::error::{Error, Result};

/// What is different, as a list of changes and in words.
#[derive(Debug)]
pub struct Diff {
    /// The changes: `op`, `path`, and `from`, `before` and `after` where there are such.
    pub changes: Box<RawValue>,
    /// Whether there is more than that: changes, values that are too long, or more to say.
    pub is_cut: bool,
    /// The same in words, for nouns that have words for it.
    pub summary: Vec<Sentence>,
}

impl Diff {
    /// Compares two images of an object. A list of changes that would be longer than so many bytes leaves out values, and
    /// then changes.
    pub(super) fn between(noun: &str, before: &str, after: &str, max_bytes: usize) -> Result<Self> {
        let (mut before, mut after) = (copied(before), copied(after));
        let (before, after) =
            match (JsonDocument::try_parse_stored(&mut before), JsonDocument::try_parse_stored(&mut after)) {
                (Ok(before), Ok(after)) => (before, after),
                // Documents that were saved before there was this limit.
                (Err(JsonError::TooMany), _) | (_, Err(JsonError::TooMany)) => return Self::too_much(),
                (Err(error), _) | (_, Err(error)) => return Err(Error::internal(error)),
            };
        let changes = list_changes(before.root(), after.root(), max_bytes);
        let description = registry::describe(noun, before.root(), after.root());
        Ok(Self {
            changes: to_raw_value(&changes).map_err(Error::internal)?,
            is_cut: changes.is_cut || description.is_cut,
            summary: description.sentences,
        })
    }

    /// How many bytes it has in an answer, nearly.
    pub(crate) fn bytes(&self) -> usize {
        self.changes.get().len()
    }

    /// What is said of a change that it would take too much to look at.
    pub(super) fn too_much() -> Result<Self> {
        let changes = to_raw_value::<[(); 0]>(&[]).map_err(Error::internal)?;
        Ok(Self { changes, is_cut: true, summary: Vec::new() })
    }
}

/// A copy to parse in place.
fn copied(text: &str) -> Vec<u8> {
    let mut copy = Vec::with_capacity(text.len() + PADDING);
    copy.extend_from_slice(text.as_bytes());
    copy
}
