//! Numeric ids, one type each, so that a user's id can never stand where an org's is expected.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id of an organization, which is the tenant that owns data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct OrgId(pub i64);

impl OrgId {
    /// The owner of data that belongs to no organization: users and server settings. No HTTP request can name it.
    pub const SERVER: OrgId = OrgId(0);
}

/// The id of a user, unique on the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct UserId(pub i64);

impl UserId {
    /// The actor of actions of the server itself. No user has this id.
    pub const SERVER: UserId = UserId(0);
    /// The actor of requests that are not authenticated. No user has this id.
    pub const ANONYMOUS: UserId = UserId(-1);
}

/// The id of a team, unique in its org.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct TeamId(pub i64);

/// The id of an annotation, unique in its org.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct AnnotationId(pub i64);

macro_rules! texts {
    ($($id:ident),+) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $id {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }
    )+};
}

texts!(OrgId, UserId, TeamId, AnnotationId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_its_number() {
        assert_eq!((OrgId(7).to_string(), "7".parse()), ("7".to_owned(), Ok(OrgId(7))));
        assert!("seven".parse::<TeamId>().is_err());
    }

    #[test]
    fn nobody_has_the_ids_of_actors_that_are_no_users() {
        assert!(UserId::ANONYMOUS < UserId::SERVER && UserId::SERVER < UserId(1));
    }
}
