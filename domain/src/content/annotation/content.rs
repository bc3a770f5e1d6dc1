//! The content of an annotation.

use std::collections::{BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use super::AnnotationError;
use crate::kernel::json::CanonicalJson;
use crate::kernel::text::{MAX_DESCRIPTION_BYTES, is_storable};

/// The maximum length of the text, in bytes.
pub const MAX_TEXT_BYTES: usize = MAX_DESCRIPTION_BYTES;

/// The maximum number of tags.
pub const MAX_TAGS: usize = 50;

/// The maximum length of a tag, in characters.
pub const MAX_TAG_CHARACTERS: usize = 100;

/// The maximum length of the additional data, in bytes: it is part of the state.
pub const MAX_DATA_BYTES: usize = 16 * 1024;

/// The content of an annotation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnnotationContent {
    /// The start of the annotated period, in milliseconds since the epoch.
    pub time: i64,
    /// The end of the period; the same as the start for a point in time.
    pub time_end: i64,
    /// The text.
    pub text: String,
    /// The tags, plain ones and pairs like `key:value`.
    pub tags: Vec<String>,
    /// Additional data, written and read by programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<CanonicalJson>,
}

/// A change of the content of an annotation. `None` keeps the current value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnnotationChange {
    /// The start of the annotated period, in milliseconds since the epoch.
    pub time: Option<i64>,
    /// The end of the period.
    pub time_end: Option<i64>,
    /// The text.
    pub text: Option<String>,
    /// The tags.
    pub tags: Option<Vec<String>>,
    /// The additional data.
    pub data: Option<CanonicalJson>,
}

/// The stored form of a tag: without space around it and around its colon, and without a trailing colon. `None` for a
/// tag that is empty, or that has nothing before its colon.
#[must_use]
pub fn tidy_tag(tag: &str) -> Option<String> {
    let (key, value) = tag.split_once(':').unwrap_or((tag, ""));
    match (key.trim(), value.trim()) {
        ("", _) => None,
        (key, "") => Some(key.to_owned()),
        (key, value) => Some(format!("{key}:{value}")),
    }
}

impl AnnotationContent {
    /// The content after a change. A point in time whose time is changed stays a point.
    pub(super) fn changed(&self, change: AnnotationChange) -> Self {
        let AnnotationChange { time, time_end, text, tags, data } = change;
        let is_point = self.time == self.time_end;
        let time_end = time_end.or(time.filter(|_| is_point)).unwrap_or(self.time_end);
        Self {
            time: time.unwrap_or(self.time),
            time_end,
            text: text.unwrap_or_else(|| self.text.clone()),
            tags: tags.unwrap_or_else(|| self.tags.clone()),
            data: data.or_else(|| self.data.clone()),
        }
    }

    /// The same content with its times in order and each tag once. Fails if the text is empty or anything is too large.
    pub(super) fn tidied(self) -> Result<Self, AnnotationError> {
        if self.text.trim().is_empty() {
            return Err(AnnotationError::NoText);
        }
        if !is_storable(&self.text, MAX_TEXT_BYTES) {
            return Err(AnnotationError::BadText);
        }
        if self.data.as_ref().is_some_and(|data| data.as_str().len() > MAX_DATA_BYTES) {
            return Err(AnnotationError::DataTooLarge);
        }
        let mut seen = HashSet::new();
        let tags = self.tags.iter().filter_map(|tag| tidy_tag(tag));
        let tags: Vec<_> = tags.filter(|tag| seen.insert(tag.clone())).take(MAX_TAGS + 1).collect();
        let is_tag = |tag: &String| !tag.contains('\0') && tag.chars().nth(MAX_TAG_CHARACTERS).is_none();
        if tags.len() > MAX_TAGS || !tags.iter().all(is_tag) {
            return Err(AnnotationError::BadTags);
        }
        let (time, time_end) = (self.time.min(self.time_end), self.time.max(self.time_end));
        Ok(Self { time, time_end, tags, ..self })
    }

    /// The search terms: its tags, and the keys of tags that are pairs. In order, each once.
    #[must_use]
    pub fn terms(&self) -> BTreeSet<&str> {
        let keys = self.tags.iter().filter_map(|tag| tag.split_once(':')).map(|(key, _)| key);
        self.tags.iter().map(String::as_str).chain(keys).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn plain() -> AnnotationContent {
        AnnotationContent {
            time: 1000,
            time_end: 1000,
            text: "deployed".to_owned(),
            tags: texts(&["deploy"]),
            data: None,
        }
    }

    fn json(text: &str) -> CanonicalJson {
        serde_json::from_str(text).unwrap()
    }

    /// A JSON text of so many bytes.
    fn json_of(bytes: usize) -> CanonicalJson {
        json(&format!("\"{}\"", "x".repeat(bytes - 2)))
    }

    #[test]
    fn tags_are_tidied() {
        let cases = [
            ("deploy", Some("deploy")),
            (" deploy ", Some("deploy")),
            ("team: web ", Some("team:web")),
            ("team :web:eu", Some("team:web:eu")),
            ("team:", Some("team")),
            ("team: ", Some("team")),
            (":web", None),
            (" : ", None),
            ("", None),
            (" ", None),
        ];
        for (tag, expected) in cases {
            assert_eq!(tidy_tag(tag).as_deref(), expected, "{tag}");
        }
    }

    #[test]
    fn a_tag_is_there_once_and_in_its_place() {
        let untidy = texts(&["b", "a:", " b", "", "a", "c: d", "c:d"]);
        let tidied = AnnotationContent { tags: untidy, ..plain() }.tidied().unwrap();
        assert_eq!(tidied.tags, ["b", "a", "c:d"]);
    }

    #[test]
    fn times_are_in_order() {
        for (time, time_end, expected) in [(1, 2, (1, 2)), (2, 1, (1, 2)), (3, 3, (3, 3)), (-5, 0, (-5, 0))] {
            let tidied = AnnotationContent { time, time_end, ..plain() }.tidied().unwrap();
            assert_eq!((tidied.time, tidied.time_end), expected);
        }
    }

    #[test]
    fn is_bounded() {
        let with_text = |text: String| AnnotationContent { text, ..plain() };
        let with_tags = |tags| AnnotationContent { tags, ..plain() };
        let with_data = |bytes| AnnotationContent { data: Some(json_of(bytes)), ..plain() };
        let numbered = |count: usize| (0..count).map(|number| format!("t{number}")).collect::<Vec<_>>();
        let long = |characters| "é".repeat(characters);
        let repeated = [numbered(MAX_TAGS), numbered(MAX_TAGS)].concat();
        let cases = [
            (with_text("x".repeat(MAX_TEXT_BYTES)), None),
            (with_text("x".repeat(MAX_TEXT_BYTES + 1)), Some(AnnotationError::BadText)),
            (with_text("a\0".to_owned()), Some(AnnotationError::BadText)),
            (with_text(String::new()), Some(AnnotationError::NoText)),
            (with_text(" \n".to_owned()), Some(AnnotationError::NoText)),
            (with_tags(numbered(MAX_TAGS)), None),
            (with_tags(repeated), None),
            (with_tags(numbered(MAX_TAGS + 1)), Some(AnnotationError::BadTags)),
            (with_tags(vec![long(MAX_TAG_CHARACTERS)]), None),
            (with_tags(vec![long(MAX_TAG_CHARACTERS + 1)]), Some(AnnotationError::BadTags)),
            (with_tags(vec!["a\0".to_owned()]), Some(AnnotationError::BadTags)),
            (with_data(MAX_DATA_BYTES), None),
            (with_data(MAX_DATA_BYTES + 1), Some(AnnotationError::DataTooLarge)),
        ];
        for (content, expected) in cases {
            let length = (content.text.len(), content.tags.len());
            assert_eq!(content.tidied().err(), expected, "{length:?}");
        }
    }

    #[test]
    fn what_a_change_leaves_out_stays() {
        let region = AnnotationContent { time_end: 2000, data: Some(json("{}")), ..plain() };
        assert_eq!(region.changed(AnnotationChange::default()), region);
        let change = AnnotationChange {
            time: Some(1500),
            text: Some("rolled back".to_owned()),
            tags: Some(Vec::new()),
            data: Some(json("[1]")),
            ..AnnotationChange::default()
        };
        let expected = AnnotationContent {
            time: 1500,
            time_end: 2000,
            text: "rolled back".to_owned(),
            tags: Vec::new(),
            data: Some(json("[1]")),
        };
        assert_eq!(region.changed(change), expected);
    }

    #[test]
    fn a_point_stays_one_unless_it_is_given_an_end() {
        let moved = |time, time_end| {
            let change = AnnotationChange { time, time_end, ..AnnotationChange::default() };
            let AnnotationContent { time, time_end, .. } = plain().changed(change);
            (time, time_end)
        };
        assert_eq!(moved(Some(5), None), (5, 5));
        assert_eq!(moved(Some(5), Some(9)), (5, 9));
        assert_eq!(moved(None, Some(9000)), (1000, 9000));
        assert_eq!(moved(None, None), (1000, 1000));
    }

    #[test]
    fn is_found_by_tags_and_by_the_keys_of_pairs() {
        let tags = texts(&["team:web", "deploy", "team", "team:db:eu", "zone:"]);
        let content = AnnotationContent { tags, ..plain() };
        let terms: Vec<_> = content.terms().into_iter().collect();
        assert_eq!(terms, ["deploy", "team", "team:db:eu", "team:web", "zone", "zone:"]);
    }

    #[test]
    fn is_written_without_data_that_it_does_not_have() {
        let written = serde_json::to_string(&plain()).unwrap();
        assert_eq!(written, r#"{"time":1000,"time_end":1000,"text":"deployed","tags":["deploy"]}"#);
        let with_data = AnnotationContent { data: Some(json(r#"{"a":[1.5]}"#)), ..plain() };
        let written = serde_json::to_string(&with_data).unwrap();
        assert_eq!(serde_json::from_str::<AnnotationContent>(&written).unwrap(), with_data);
        assert_eq!(
            serde_json::from_str::<AnnotationContent>(&serde_json::to_string(&plain()).unwrap()).unwrap(),
            plain()
        );
    }
}
