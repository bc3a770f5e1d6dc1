//! What a version of a dashboard contains.

use serde::{Deserialize, Serialize};

use super::DashboardError;
use crate::json::CanonicalJson;
use crate::text::{MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES, is_storable};
use crate::uid::Uid;

/// How many tags a dashboard has at most.
pub const MAX_TAGS: usize = 100;

/// How long all tags of a dashboard may be together, in bytes: pages of a search repeat them for each dashboard.
pub const MAX_TAGS_BYTES: usize = 4 * 1024;

/// How many characters a tag has at most. Grafana's column is 50 wide.
pub const MAX_TAG_CHARACTERS: usize = 100;

/// What a version of a dashboard contains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DashboardContent {
    /// The uid of the dashboard.
    pub uid: Uid,
    /// The title, as it stands in the document.
    pub title: String,
    /// The tags, as they stand in the document.
    pub tags: Vec<String>,
    /// The folder it is in.
    pub folder_uid: Option<Uid>,
    /// What the author says of this version.
    pub message: String,
    /// The document without its members `id`, `uid` and `version`, which are not the author's to choose.
    pub data: CanonicalJson,
}

impl DashboardContent {
    /// Fails unless a dashboard can have this content.
    pub(super) fn check(&self) -> Result<(), DashboardError> {
        if self.title.trim().is_empty() {
            return Err(DashboardError::TitleEmpty);
        }
        if !is_storable(&self.title, MAX_NAME_BYTES) || !is_storable(&self.message, MAX_DESCRIPTION_BYTES) {
            return Err(DashboardError::TextTooLong);
        }
        if !are_tags(&self.tags) {
            return Err(DashboardError::BadTags);
        }
        if !self.data.as_str().starts_with('{') {
            return Err(DashboardError::NotAnObject);
        }
        // Not what a client sends, which was refused before it came here, but what an old version brings back.
        if self.data.is_too_deep() {
            return Err(DashboardError::TooDeep);
        }
        Ok(())
    }
}

/// Whether a dashboard can have these tags.
pub(crate) fn are_tags(tags: &[String]) -> bool {
    let is_tag = |tag: &String| !tag.contains('\0') && tag.chars().nth(MAX_TAG_CHARACTERS).is_none();
    let bytes: usize = tags.iter().map(String::len).sum();
    tags.len() <= MAX_TAGS && bytes <= MAX_TAGS_BYTES && tags.iter().all(is_tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_bounded() {
        let tags = |count: usize, characters: usize| vec!["é".repeat(characters); count];
        let most = MAX_TAGS_BYTES / "é".len();
        assert!(are_tags(&tags(MAX_TAGS, most / MAX_TAGS)));
        assert!(!are_tags(&tags(MAX_TAGS, most / MAX_TAGS + 1)));
        assert!(are_tags(&tags(most / MAX_TAG_CHARACTERS, MAX_TAG_CHARACTERS)));
        assert!(!are_tags(&tags(most / MAX_TAG_CHARACTERS + 1, MAX_TAG_CHARACTERS)));
        assert!(!are_tags(&tags(MAX_TAGS + 1, 1)));
        assert!(!are_tags(&tags(1, MAX_TAG_CHARACTERS + 1)));
        assert!(!are_tags(&["a\0".to_owned()]));
    }
}
