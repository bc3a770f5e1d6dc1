//! Folders and dashboards, and the objects that refer to them: annotations, playlists, stars and preferences.

pub mod annotation;
pub mod dashboard;
pub mod folder;
pub mod playlist;
pub mod preference;
pub mod star;

use crate::kernel::json;
use crate::limit::{Amount, Limit};

/// The bounds on the data that the nouns of the area store.
pub(crate) const LIMITS: &[Limit] = &[
    Limit {
        what: "All tags together",
        at: "A dashboard",
        most: Amount::Bytes(dashboard::MAX_TAGS_BYTES),
        answer: "400",
    },
    Limit {
        what: "Title",
        at: "A dashboard",
        most: Amount::Characters(dashboard::MAX_TITLE_CHARACTERS),
        answer: "400 `title-too-long`; lists show 760 bytes of it",
    },
    Limit {
        what: "Message of a version",
        at: "A dashboard",
        most: Amount::Characters(dashboard::MAX_MESSAGE_CHARACTERS),
        answer: "400",
    },
    Limit { what: "Tags", at: "A dashboard", most: Amount::Count(dashboard::MAX_TAGS as u64), answer: "400" },
    Limit {
        what: "Tag",
        at: "Dashboards",
        most: Amount::Characters(dashboard::MAX_TAG_CHARACTERS),
        answer: "400",
    },
    Limit {
        what: "Values and member names",
        at: "The document of a dashboard",
        most: Amount::Count(json::MAX_NODES as u64),
        answer: "400",
    },
    Limit {
        what: "Nesting depth",
        at: "The document of a dashboard",
        most: Amount::Count(json::MAX_DEPTH as u64),
        answer: "400",
    },
    Limit {
        what: "Nesting depth",
        at: "Folders",
        most: Amount::Count(folder::MAX_DEPTH as u64),
        answer: "400",
    },
    Limit {
        what: "Text",
        at: "An annotation",
        most: Amount::Bytes(annotation::MAX_TEXT_BYTES),
        answer: "400",
    },
    Limit {
        what: "Tags",
        at: "An annotation",
        most: Amount::Count(annotation::MAX_TAGS as u64),
        answer: "400",
    },
    Limit {
        what: "Tag",
        at: "An annotation",
        most: Amount::Characters(annotation::MAX_TAG_CHARACTERS),
        answer: "400",
    },
    Limit {
        what: "What programs add (`data`)",
        at: "An annotation",
        most: Amount::Bytes(annotation::MAX_DATA_BYTES),
        answer: "400",
    },
    Limit { what: "Items", at: "A playlist", most: Amount::Count(playlist::MAX_ITEMS as u64), answer: "400" },
    Limit {
        what: "Stars",
        at: "A user in an org",
        most: Amount::Count(star::MAX_STARS as u64),
        answer: "400",
    },
];
