//! Names that users chose for themselves and that are not confirmed: they may imitate the names of other users.

use serde::{Deserialize, Serialize};

use super::{Profile, User, UserError, UserEvent, UserName, UserProfileChanged};
use crate::kernel::id::{OrgId, UserId};
use crate::kernel::text::fold;

/// The names of a user that are only claimed and not confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Claims {
    /// Whether the e-mail address is only claimed.
    pub email: bool,
    /// The org whose admin invited the address; this org treats it as confirmed.
    pub email_vouched_by: Option<OrgId>,
    /// Whether the login is only claimed.
    pub login: bool,
}

impl Claims {
    /// Whether no name is only claimed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl User {
    /// Checks that a login or e-mail address that an org admin entered identifies this user and nobody else, so that
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

    /// Events of giving up the names of another user. Fails if one of them is confirmed for this user. Each is replaced
    /// by `stand_in`, a name that nobody can have taken beforehand.
    pub(super) fn yield_names(&self, owner: &Profile, stand_in: &str) -> Result<Vec<UserEvent>, UserError> {
        let mut profile = self.profile.clone();
        for UserName { name, .. } in owner.names() {
            if self.profile.is_own(&self.claims, &name) {
                return Err(UserError::Taken);
            }
            for own in [&mut profile.login, &mut profile.email] {
                if fold(own) == name {
                    stand_in.clone_into(own);
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

/// A user claimed an e-mail address that is not confirmed.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::uid::Uid;

    fn user(login: &str, email: &str, claims: Claims) -> User {
        let profile = profile(login, email);
        User {
            id: UserId(2),
            uid: Uid::try_new("u2").unwrap(),
            profile,
            claims,
            exists: true,
            ..User::default()
        }
    }

    fn profile(login: &str, email: &str) -> Profile {
        Profile { login: login.into(), email: email.into(), ..Profile::default() }
    }

    const NONE: Claims = Claims { email: false, email_vouched_by: None, login: false };
    const LOGIN: Claims = Claims { login: true, ..NONE };
    const EMAIL: Claims = Claims { email: true, ..NONE };

    #[test]
    fn a_name_of_ones_own_is_no_claim_in_the_other_place() {
        let claimed = |user: User, login: &str, email: &str| {
            user.change_own_profile(profile(login, email)).unwrap()[1..].to_vec()
        };
        let own = || user("ann", "ann@corp.test", NONE);
        assert_eq!(claimed(own(), "ann", "ann"), Vec::new());
        assert_eq!(claimed(own(), "ann@corp.test", "ann@corp.test"), Vec::new());
        assert_eq!(claimed(own(), "boss", "boss").len(), 2);
        assert_eq!(claimed(user("ann", "boss", EMAIL), "boss", "boss").len(), 1);
        assert_eq!(claimed(user("boss", "ann", LOGIN), "boss", "boss").len(), 1);
    }

    #[test]
    fn claimed_names_are_given_up_and_own_ones_are_not() {
        let yielded = |user: User, login: &str, email: &str| {
            let events = user.yield_names(&profile(login, email), "x7")?;
            Ok(events
                .into_iter()
                .map(|event| match event {
                    UserEvent::ProfileChanged(changed) => (changed.profile.login, changed.profile.email),
                    other => panic!("{other:?}"),
                })
                .next())
        };
        let both = Claims { login: true, ..EMAIL };
        let names = |login: &str, email: &str| Ok(Some((login.to_owned(), email.to_owned())));
        assert_eq!(yielded(user("boss", "me@x", LOGIN), "Boss", "boss@corp.test"), names("x7", "me@x"));
        assert_eq!(yielded(user("ann", "boss@x", EMAIL), "boss", "boss@x"), names("ann", "x7"));
        assert_eq!(yielded(user("boss@x", "boss@x", both), "boss", "boss@x"), names("x7", "x7"));
        assert_eq!(yielded(user("boss", "me@x", NONE), "boss", ""), Err(UserError::Taken));
        assert_eq!(yielded(user("ann", "me@x", both), "boss", "boss@x"), Ok(None));
    }

    #[test]
    fn names_that_stay_are_not_claimed_again() {
        let claimed = |user: User, login: &str, email: &str| {
            user.change_own_profile(profile(login, email)).unwrap().split_off(1)
        };
        let email = UserEmailClaimed { id: UserId(2), email: "you@x".into(), vouched_by: None };
        assert_eq!(claimed(user("ann", "me@x", LOGIN), "ann", "you@x"), [email.into()]);
        let login = UserLoginClaimed { id: UserId(2), login: "anna".into() };
        assert_eq!(claimed(user("ann", "me@x", EMAIL), "anna", "me@x"), [login.into()]);
        let unchanged = user("ann", "me@x", EMAIL).change_own_profile(profile("ann", "me@x"));
        assert_eq!(unchanged, Ok(Vec::new()));
    }

    #[test]
    fn who_is_gone_is_named_by_nobody() {
        let ann = user("ann", "ann@x", NONE);
        assert_eq!(ann.check_named(OrgId(1), "ann"), Ok(()));
        let gone = User { exists: false, ..ann };
        assert_eq!(gone.check_named(OrgId(1), "ann"), Err(UserError::NotFound));
    }

    #[test]
    fn claims_are_none_or_some() {
        assert!(NONE.is_empty());
        assert!(!LOGIN.is_empty() && !EMAIL.is_empty());
    }
}
