//! Names that users chose for themselves and that nobody has confirmed: they may be meant to look like another's.

use serde::{Deserialize, Serialize};

use super::{Profile, User, UserError, UserEvent, UserName, UserProfileChanged};
use crate::id::{OrgId, UserId};
use crate::text::fold;

/// Which of a user's names are only claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Claims {
    /// Whether the e-mail address is.
    pub email: bool,
    /// The org whose admin invited the address, and counts it as confirmed.
    pub email_vouched_by: Option<OrgId>,
    /// Whether the login is.
    pub login: bool,
}

impl Claims {
    /// Whether nothing is only claimed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl User {
    /// Checks that a login or e-mail address that an admin of an org typed means this user and nobody else, so that
    /// rights can be given to it.
    pub fn check_named(&self, org: OrgId, name: &str) -> Result<(), UserError> {
        if self.exists {
            self.profile.check_named(&self.claims, Some(org), name)
        } else {
            Err(UserError::NotFound)
        }
    }

    /// Events of a profile change by the user itself: new names are claimed, other spellings of its own names are not.
    pub(super) fn change_own_profile(&self, profile: Profile) -> Result<Vec<UserEvent>, UserError> {
        let profile = profile.following(&self.profile)?;
        if profile == self.profile {
            return Ok(Vec::new());
        }
        let is_own = |name: &str| self.profile.is_own(&self.claims, name);
        let Profile { login, email, .. } = profile.clone();
        let (id, old) = (self.id, &self.profile);
        let mut events = vec![UserProfileChanged { id, profile }.into()];
        if email != old.email && !is_own(&email) {
            events.push(UserEmailClaimed { id, email, vouched_by: None }.into());
        }
        if login != old.login && !is_own(&login) {
            events.push(UserLoginClaimed { id, login }.into());
        }
        Ok(events)
    }

    /// Events of giving up the names of another user, of which this one may only have claimed any. Its uid stands in for
    /// them.
    pub(super) fn yield_names(&self, owner: &Profile) -> Result<Vec<UserEvent>, UserError> {
        let (mut profile, uid) = (self.profile.clone(), self.uid.to_string());
        for UserName { name, .. } in owner.names() {
            if self.profile.is_own(&self.claims, &name) {
                return Err(UserError::Taken);
            }
            for own in [&mut profile.login, &mut profile.email] {
                if fold(own) == name {
                    own.clone_from(&uid);
                }
            }
        }
        if profile == self.profile {
            return Ok(Vec::new());
        }
        Ok(vec![UserProfileChanged { id: self.id, profile }.into()])
    }

    /// Events of the unconfirmed names of an invited guest.
    pub(super) fn claim_names(&self, vouched_by: OrgId) -> Vec<UserEvent> {
        let Profile { login, email, .. } = self.profile.clone();
        let id = self.id;
        vec![
            UserLoginClaimed { id, login }.into(),
            UserEmailClaimed { id, email, vouched_by: Some(vouched_by) }.into(),
        ]
    }
}

/// A user has an e-mail address that nobody has confirmed to be its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserEmailClaimed {
    /// The user.
    pub id: UserId,
    /// The address.
    pub email: String,
    /// The org whose admin invited the address, if it was invited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouched_by: Option<OrgId>,
}

/// A user chose its own login.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserLoginClaimed {
    /// The user.
    pub id: UserId,
    /// The login.
    pub login: String,
}
