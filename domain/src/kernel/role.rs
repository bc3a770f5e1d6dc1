//! The role of a member in an org.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::kernel::reason::{Reason, ReasonKind};

/// The role of a member in an org, in ascending order of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum OrgRole {
    /// No rights of its own.
    #[default]
    None,
    /// May read.
    Viewer,
    /// May change dashboards and folders.
    Editor,
    /// May change everything in the org, its members included.
    Admin,
}

/// The text is not the name of a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid role specified")]
pub struct RoleError;

impl Reason for RoleError {
    fn kind(&self) -> ReasonKind {
        ReasonKind::Invalid
    }
}

impl OrgRole {
    /// Reads the name of a role as it is stored and as tokens and configuration have it, case-sensitively.
    pub fn try_parse(text: &str) -> Result<Self, RoleError> {
        match text {
            "None" => Ok(Self::None),
            "Viewer" => Ok(Self::Viewer),
            "Editor" => Ok(Self::Editor),
            "Admin" => Ok(Self::Admin),
            _ => Err(RoleError),
        }
    }

    /// Reads the name of a role as clients of the API send it, in any case.
    pub fn try_from_client(text: &str) -> Result<Self, RoleError> {
        let roles = [Self::None, Self::Viewer, Self::Editor, Self::Admin];
        roles.into_iter().find(|role| role.as_str().eq_ignore_ascii_case(text)).ok_or(RoleError)
    }

    /// The name of the role.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Viewer => "Viewer",
            Self::Editor => "Editor",
            Self::Admin => "Admin",
        }
    }
}

impl fmt::Display for OrgRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_one_name_that_clients_write_in_any_case() {
        let roles = [OrgRole::None, OrgRole::Viewer, OrgRole::Editor, OrgRole::Admin];
        for (role, name) in roles.into_iter().zip(["None", "Viewer", "Editor", "Admin"]) {
            assert_eq!(role.to_string(), name);
            assert_eq!(OrgRole::try_parse(name), Ok(role));
            assert_eq!(OrgRole::try_from_client(&name.to_uppercase()), Ok(role));
            assert_eq!(OrgRole::try_parse(&name.to_uppercase()), Err(RoleError));
        }
        assert!(roles.is_sorted());
        assert_eq!(OrgRole::try_from_client("Owner"), Err(RoleError));
    }
}
