//! The reason why a dashboard rejects a command.

use super::content::{
    MAX_MESSAGE_CHARACTERS, MAX_TAG_CHARACTERS, MAX_TAGS, MAX_TAGS_BYTES, MAX_TITLE_CHARACTERS,
};
use crate::kernel::reason::{Reason, ReasonKind};

/// The reason why a dashboard rejects a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DashboardError {
    /// It has no title.
    #[error("Dashboard title cannot be empty")]
    TitleEmpty,
    /// The title is too long.
    #[error("Dashboard title cannot contain more than {MAX_TITLE_CHARACTERS} characters")]
    TitleTooLong,
    /// The message of a version is too long.
    #[error("message too long, max {MAX_MESSAGE_CHARACTERS} characters")]
    MessageTooLong,
    /// The title or message has a character that cannot be stored.
    #[error("Dashboard title and message cannot contain NUL characters")]
    TextWithNul,
    /// There are too many tags, or one is too long or cannot be stored.
    #[error(
        "A dashboard has at most {MAX_TAGS} tags of at most {MAX_TAG_CHARACTERS} characters, {MAX_TAGS_BYTES} bytes in all, without NUL characters"
    )]
    BadTags,
    /// The document is not a JSON object.
    #[error("dashboard must be a JSON object")]
    NotAnObject,
    /// The document is nested too deep.
    #[error("dashboard is nested more than {} levels deep", crate::kernel::json::MAX_DEPTH)]
    TooDeep,
    /// It does not have the classic schema, and does not name its schema.
    #[error(
        "a dashboard that does not have the classic schema must have apiVersion, kind, metadata and spec"
    )]
    SchemaUnnamed,
    /// It is a resource with a schema that is not one of dashboards.
    #[error("unsupported apiVersion or kind of a dashboard")]
    SchemaUnknown,
    /// It is a resource without a specification.
    #[error("a dashboard with an apiVersion must have its content in spec")]
    SpecMissing,
    /// It is a resource with a numeric id outside of its specification.
    #[error("a dashboard with an apiVersion must not have an id outside of its spec")]
    ResourceWithId,
    /// It does not exist.
    #[error("Dashboard not found")]
    NotFound,
    /// It has changed since the client read it.
    #[error("The dashboard has been changed by someone else")]
    VersionMismatch,
    /// It has no version of this number.
    #[error("Dashboard version not found")]
    VersionNotFound,
    /// The folder to put it into does not exist.
    #[error("folder not found")]
    FolderNotFound,
}

impl Reason for DashboardError {
    fn kind(&self) -> ReasonKind {
        match self {
            Self::TitleEmpty
            | Self::TitleTooLong
            | Self::MessageTooLong
            | Self::TextWithNul
            | Self::BadTags
            | Self::NotAnObject
            | Self::TooDeep
            | Self::SchemaUnnamed
            | Self::SchemaUnknown
            | Self::SpecMissing
            | Self::ResourceWithId
            | Self::FolderNotFound => ReasonKind::Invalid,
            Self::NotFound | Self::VersionNotFound => ReasonKind::Missing,
            Self::VersionMismatch => ReasonKind::Stale,
        }
    }

    fn code(&self) -> Option<&'static str> {
        match self {
            Self::VersionMismatch => Some("version-mismatch"),
            Self::TitleEmpty => Some("empty-name"),
            Self::TitleTooLong => Some("title-too-long"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_codes_that_clients_test() {
        for (error, kind, code) in [
            (DashboardError::VersionMismatch, ReasonKind::Stale, Some("version-mismatch")),
            (DashboardError::TitleEmpty, ReasonKind::Invalid, Some("empty-name")),
            (DashboardError::TitleTooLong, ReasonKind::Invalid, Some("title-too-long")),
            (DashboardError::FolderNotFound, ReasonKind::Invalid, None),
            (DashboardError::NotFound, ReasonKind::Missing, None),
        ] {
            assert_eq!((error.kind(), error.code()), (kind, code));
        }
    }
}
