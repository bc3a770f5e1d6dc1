//! What is different between two images of an object.

use kymograph_domain::json::JsonDocument;
use kymograph_domain::json::changes::list_changes;
use kymograph_domain::past::Sentence;
use kymograph_domain::registry;
use serde_json::value::{RawValue, to_raw_value};

use crate::error::{Error, Result};

/// What is different, as a list of changes and in words.
#[derive(Debug)]
pub struct Diff {
    /// The changes: `op`, `path`, and `from`, `before` and `after` where there are such.
    pub changes: Box<RawValue>,
    /// Whether there is more than that: changes, or values that are too long.
    pub is_cut: bool,
    /// The same in words, for nouns that have words for it.
    pub summary: Vec<Sentence>,
}

impl Diff {
    /// Compares two images of an object. A list of changes that is longer than so many bytes leaves out the values.
    pub(crate) fn between(noun: &str, before: &str, after: &str, max_bytes: usize) -> Result<Self> {
        let (mut before, mut after) = (before.as_bytes().to_vec(), after.as_bytes().to_vec());
        let before = JsonDocument::try_parse(&mut before).map_err(Error::internal)?;
        let after = JsonDocument::try_parse(&mut after).map_err(Error::internal)?;
        let mut changes = list_changes(before.root(), after.root());
        let mut raw = to_raw_value(&changes).map_err(Error::internal)?;
        if raw.get().len() > max_bytes {
            changes.is_cut = true;
            changes.list.iter_mut().for_each(|change| (change.before, change.after) = (None, None));
            raw = to_raw_value(&changes).map_err(Error::internal)?;
        }
        let summary = registry::describe(noun, before.root(), after.root());
        Ok(Self { changes: raw, is_cut: changes.is_cut, summary })
    }
}
