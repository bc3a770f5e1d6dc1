//! The content of a version of a dashboard.

use serde::{Deserialize, Serialize};

use super::DashboardError;
use crate::kernel::json::CanonicalJson;
use crate::kernel::text::{MAX_NAME_BYTES, char_boundary};
use crate::kernel::uid::Uid;

/// The maximum length of a title, in characters.
pub const MAX_TITLE_CHARACTERS: usize = 5000;

/// The maximum length of the message of a version, in characters.
pub const MAX_MESSAGE_CHARACTERS: usize = 500;

/// The maximum number of tags of a dashboard.
pub const MAX_TAGS: usize = 100;

/// The maximum length of all tags of a dashboard together, in bytes: search results repeat them for each dashboard.
pub const MAX_TAGS_BYTES: usize = 4 * 1024;

/// The maximum length of a tag, in characters. Grafana's column is 50 wide.
pub const MAX_TAG_CHARACTERS: usize = 100;

/// The content of a version of a dashboard.
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
    /// The author's message for this version.
    pub message: String,
    /// The document without its members `id`, `uid` and `version`, which the author cannot choose.
    pub data: CanonicalJson,
}

impl DashboardContent {
    /// The title as lists show it, which repeat it for each dashboard and sort by it: the beginning of a long one.
    #[must_use]
    pub fn listed_title(&self) -> &str {
        &self.title[..char_boundary(&self.title, MAX_NAME_BYTES)]
    }

    /// Fails unless a dashboard can have this content.
    pub(super) fn check(&self) -> Result<(), DashboardError> {
        if self.title.trim().is_empty() {
            return Err(DashboardError::TitleEmpty);
        }
        if self.title.chars().nth(MAX_TITLE_CHARACTERS).is_some() {
            return Err(DashboardError::TitleTooLong);
        }
        if self.message.chars().nth(MAX_MESSAGE_CHARACTERS).is_some() {
            return Err(DashboardError::MessageTooLong);
        }
        if self.title.contains('\0') || self.message.contains('\0') {
            return Err(DashboardError::TextWithNul);
        }
        if !are_tags(&self.tags) {
            return Err(DashboardError::BadTags);
        }
        if !self.data.as_str().starts_with('{') {
            return Err(DashboardError::NotAnObject);
        }
        // A document of a client was already rejected, but a restored old version can be too deep.
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
    use crate::kernel::json::MAX_DEPTH;

    fn content(title: &str, message: &str) -> DashboardContent {
        DashboardContent {
            uid: Uid::try_new("d1").unwrap(),
            title: title.to_owned(),
            tags: Vec::new(),
            folder_uid: None,
            message: message.to_owned(),
            data: serde_json::from_str("{}").unwrap(),
        }
    }

    #[test]
    fn titles_and_messages_are_bounded() {
        let long = |characters| "é".repeat(characters);
        for (title, message, expected) in [
            (long(MAX_TITLE_CHARACTERS), long(MAX_MESSAGE_CHARACTERS), Ok(())),
            (long(MAX_TITLE_CHARACTERS + 1), String::new(), Err(DashboardError::TitleTooLong)),
            (long(1), long(MAX_MESSAGE_CHARACTERS + 1), Err(DashboardError::MessageTooLong)),
            (" ".to_owned(), String::new(), Err(DashboardError::TitleEmpty)),
            ("a\0".to_owned(), String::new(), Err(DashboardError::TextWithNul)),
        ] {
            assert_eq!(content(&title, &message).check(), expected);
        }
    }

    #[test]
    fn lists_have_the_beginning_of_a_long_title() {
        assert_eq!(content("CPU", "").listed_title(), "CPU");
        let title = format!("a{}", "é".repeat(MAX_NAME_BYTES));
        assert_eq!(content(&title, "").listed_title(), &title[..MAX_NAME_BYTES - 1]);
    }

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

    #[test]
    fn a_document_is_an_object_that_is_not_too_deep() {
        let of = |data: String| DashboardContent {
            data: serde_json::from_str(&data).unwrap(),
            ..content("CPU", "")
        };
        let nested = |depth: usize| format!("{}0{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert_eq!(of(nested(MAX_DEPTH)).check(), Ok(()));
        assert_eq!(of(nested(MAX_DEPTH + 1)).check(), Err(DashboardError::TooDeep));
        assert_eq!(of("[]".to_owned()).check(), Err(DashboardError::NotAnObject));
    }

    #[test]
    fn nul_and_bad_tags_are_refused() {
        assert_eq!(content("CPU", "a\0").check(), Err(DashboardError::TextWithNul));
        let tagged = DashboardContent { tags: vec!["a\0".to_owned()], ..content("CPU", "") };
        assert_eq!(tagged.check(), Err(DashboardError::BadTags));
    }
}
