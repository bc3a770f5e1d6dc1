//! Grantees.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::kernel::id::{TeamId, UserId};
use crate::kernel::role::OrgRole;

/// The receiver of a grant. It is stored as text, like `user:5`.
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
#[error("{0} is not a grantee")]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grantee_is_stored_by_a_text() {
        for (grantee, text) in [
            (Grantee::User(UserId(5)), "user:5"),
            (Grantee::Team(TeamId(6)), "team:6"),
            (Grantee::Role(OrgRole::Editor), "role:Editor"),
        ] {
            assert_eq!((grantee.to_string(), String::from(grantee)), (text.to_owned(), text.to_owned()));
            assert_eq!(Grantee::try_from(text.to_owned()), Ok(grantee));
        }
        for text in ["user", "user:ann", "team:", "role:Owner", "org:5", ""] {
            assert_eq!(Grantee::try_parse(text), Err(GranteeError(text.to_owned())));
        }
    }
}
