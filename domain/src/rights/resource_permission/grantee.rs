//! Grantees and levels of access.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::kernel::id::{TeamId, UserId};
use crate::kernel::role::OrgRole;

/// A level of access to a folder or dashboard, and to all that is inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AccessLevel {
    /// Read it.
    View,
    /// Change, move and delete it, and create in it.
    Edit,
    /// Say who else may do something with it.
    Admin,
}

impl AccessLevel {
    /// All levels, from the lowest.
    pub const ALL: [Self; 3] = [Self::View, Self::Edit, Self::Admin];

    /// The name of the level.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "View",
            Self::Edit => "Edit",
            Self::Admin => "Admin",
        }
    }

    /// The number by which older operations name the level. A higher level has a higher number.
    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            Self::View => 1,
            Self::Edit => 2,
            Self::Admin => 4,
        }
    }

    /// The level of that name, case-sensitively.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }

    /// The level of that number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|level| i64::from(level.number()) == number)
    }
}

/// To whom something is granted. Its text, like `user:5`, is how it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Grantee {
    /// A user or a service account, which are numbered together.
    User(UserId),
    /// The members of a team.
    Team(TeamId),
    /// The members of the org who have a role, or a higher one.
    Role(OrgRole),
}

/// The text does not name a grantee.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no grantee")]
pub struct GranteeError(String);

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Team(id) => write!(f, "team:{id}"),
            Self::Role(role) => write!(f, "role:{role}"),
        }
    }
}

impl From<Grantee> for String {
    fn from(grantee: Grantee) -> Self {
        grantee.to_string()
    }
}

impl TryFrom<String> for Grantee {
    type Error = GranteeError;

    fn try_from(text: String) -> Result<Self, GranteeError> {
        Self::try_parse(&text)
    }
}

impl Grantee {
    /// Reads the text of a grantee as it is stored.
    pub fn try_parse(text: &str) -> Result<Self, GranteeError> {
        let grantee = match text.split_once(':') {
            Some(("user", id)) => id.parse().ok().map(|id| Self::User(UserId(id))),
            Some(("team", id)) => id.parse().ok().map(|id| Self::Team(TeamId(id))),
            Some(("role", role)) => OrgRole::try_parse(role).ok().map(Self::Role),
            _ => None,
        };
        grantee.ok_or_else(|| GranteeError(text.to_owned()))
    }
}
