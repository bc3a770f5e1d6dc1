//! The difference between two images of an object.

use kymograph_domain::kernel::json::changes::list_changes;
use kymograph_domain::kernel::json::{JsonDocument, JsonError, PADDING};
use kymograph_domain::kernel::past::Sentence;
use kymograph_domain::registry;
use serde_json::value::{RawValue, to_raw_value};

use crate::kernel::error::{Error, Result};

/// A difference, as a list of changes and in words.
#[derive(Debug)]
pub struct Diff {
    /// The changes: `op`, `path`, and `from`, `before` and `after` where they apply.
    pub changes: Box<RawValue>,
    /// Whether it is incomplete: changes, long values or sentences are omitted.
    pub is_cut: bool,
    /// The same in words, for nouns that define them.
    pub summary: Vec<Sentence>,
}

impl Diff {
    /// Compares two images of an object. If the list of changes would exceed `max_bytes`, values are omitted, and then
    /// changes.
    pub(super) fn between(noun: &str, before: &str, after: &str, max_bytes: usize) -> Result<Self> {
        let (mut before, mut after) = (copied(before), copied(after));
        let (before, after) =
            match (JsonDocument::try_parse_stored(&mut before), JsonDocument::try_parse_stored(&mut after)) {
                (Ok(before), Ok(after)) => (before, after),
                // Documents that were saved before this limit existed.
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

    /// The approximate size in a response, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.changes.get().len()
    }

    /// The result for a change that would be too expensive to compute.
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
