//! The profile of a user: its login, e-mail address, name and theme.

use serde::{Deserialize, Serialize};

use super::{Claims, UserError};
use crate::kernel::id::OrgId;
use crate::kernel::text::{MAX_NAME_BYTES, fold, has_hidden_characters, is_storable};

/// The profile of a user: its login, e-mail address, name and theme.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The name to log in with, in the case in which it was entered. One with `@` is the e-mail address.
    pub login: String,
    /// The e-mail address.
    pub email: String,
    /// The name to show.
    pub name: String,
    /// The theme: empty (the server's), `dark`, `light` or `system`.
    pub theme: String,
}

/// A name by which a user is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName {
    /// The folded text.
    pub name: String,
    /// Whether it is the login.
    pub is_login: bool,
    /// Whether it is the e-mail address.
    pub is_email: bool,
}

impl Profile {
    /// The names by which the user is found, which are unique among users: the login, and the e-mail address if it is
    /// different.
    #[must_use]
    pub fn names(&self) -> Vec<UserName> {
        let (login, email) = (fold(&self.login), fold(&self.email));
        if login == email {
            return vec![UserName { name: login, is_login: true, is_email: true }];
        }
        vec![
            UserName { name: login, is_login: true, is_email: false },
            UserName { name: email, is_login: false, is_email: true },
        ]
    }

    /// Checks that a login or e-mail address that another user entered identifies the user with this profile and nobody
    /// else. An address that is only claimed is accepted only in the org that invited it.
    pub fn check_named(&self, claims: &Claims, within: Option<OrgId>, name: &str) -> Result<(), UserError> {
        let (name, login) = (fold(name), fold(&self.login));
        let is_login = !login.contains('@') && name == login;
        if !is_login && name != fold(&self.email) {
            return Err(UserError::NotFound);
        }
        let is_vouched = claims.email_vouched_by.is_some() && claims.email_vouched_by == within;
        if is_login || !claims.email || is_vouched { Ok(()) } else { Err(UserError::EmailUnconfirmed) }
    }

    /// Checks that an invited login identifies the user with this profile: the guest may have no account yet, and this
    /// user may have chosen the login to imitate the guest.
    pub fn check_invited(&self, claims: &Claims, name: &str) -> Result<(), UserError> {
        let is_address = fold(name).contains('@');
        if is_address || self.is_own(claims, name) { Ok(()) } else { Err(UserError::LoginUnconfirmed) }
    }

    /// Whether a login or e-mail address is a confirmed one of the user with this profile.
    #[must_use]
    pub fn is_own(&self, claims: &Claims, name: &str) -> bool {
        let name = fold(name);
        let is_email = !claims.email && name == fold(&self.email);
        // An old login with `@` may be the address of another user, because it did not have to be the own address then.
        let is_login = !claims.login && !name.contains('@') && name == fold(&self.login);
        is_email || is_login
    }

    /// The checked profile of a new user. Fails if it is invalid.
    pub(super) fn completed(self) -> Result<Self, UserError> {
        let profile = self.checked()?;
        if profile.login_is_own() { Ok(profile) } else { Err(UserError::LoginNotOwnAddress) }
    }

    /// The checked profile that replaces another one of the same user. Fails if it is invalid. A login that was the old
    /// e-mail address becomes the new one.
    pub(super) fn following(self, before: &Self) -> Result<Self, UserError> {
        let mut profile = self.checked()?;
        // Users who are older than this rule keep their names until they change them.
        let is_unchanged = profile.login == before.login && profile.email == before.email;
        if profile.login_is_own() || is_unchanged {
            return Ok(profile);
        }
        if profile.login == before.login && before.login_is_own() {
            profile.login.clone_from(&profile.email);
            return Ok(profile);
        }
        Err(UserError::LoginNotOwnAddress)
    }

    /// The profile with the current e-mail address, and the address that was replaced, if it is different. A login that
    /// equals the new address keeps its current value until the address has changed.
    #[must_use]
    pub fn keeping_email_of(mut self, current: &Self) -> (Self, Option<String>) {
        let email = std::mem::replace(&mut self.email, current.email.clone());
        if fold(&self.login) == fold(&email) && current.login_is_own() && fold(&current.login).contains('@') {
            self.login.clone_from(&current.login);
        }
        let email = email.trim();
        let is_other = !email.is_empty() && email != current.email;
        (self, is_other.then(|| email.to_owned()))
    }

    /// Whether the login is no e-mail address, or the user's own.
    fn login_is_own(&self) -> bool {
        !fold(&self.login).contains('@') || fold(&self.login) == fold(&self.email)
    }

    /// The profile without surrounding space. An empty login becomes the e-mail address, and an empty e-mail address
    /// the login.
    fn checked(mut self) -> Result<Self, UserError> {
        for text in [&mut self.login, &mut self.email, &mut self.name] {
            if text.len() > MAX_NAME_BYTES {
                return Err(UserError::TextTooLong);
            }
            let trimmed = text.trim();
            if trimmed.len() != text.len() {
                *text = trimmed.to_owned();
            }
        }
        if self.login.is_empty() {
            self.login.clone_from(&self.email);
        }
        if self.email.is_empty() {
            self.email.clone_from(&self.login);
        }
        if fold(&self.login).is_empty() || fold(&self.email).is_empty() {
            return Err(UserError::LoginEmpty);
        }
        let texts = [&self.login, &self.email, &self.name];
        if !texts.iter().all(|text| is_storable(text, MAX_NAME_BYTES)) {
            return Err(UserError::TextTooLong);
        }
        if texts.iter().any(|text| has_hidden_characters(text)) {
            return Err(UserError::TextHidden);
        }
        if !["", "dark", "light", "system"].contains(&self.theme.as_str()) {
            return Err(UserError::ThemeInvalid);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(login: &str, email: &str) -> Profile {
        Profile { login: login.into(), email: email.into(), ..Profile::default() }
    }

    #[test]
    fn a_login_with_an_at_is_the_users_own_address() {
        for (login, email) in
            [("Ann@corp.test", "ann@corp.test"), ("ann", "ann@corp.test"), ("", "a@b"), ("a@b", "")]
        {
            assert!(profile(login, email).completed().is_ok(), "{login} {email}");
        }
        for login in ["vic@corp.test", "vic\u{FF20}corp.test"] {
            assert_eq!(profile(login, "ann@corp.test").completed(), Err(UserError::LoginNotOwnAddress));
        }
        let vic = profile("vic@corp.test", "x");
        assert_eq!(vic.following(&profile("ann", "x")), Err(UserError::LoginNotOwnAddress));
    }

    #[test]
    fn a_login_that_was_the_address_follows_it() {
        let before = profile("ann@old.test", "ann@old.test");
        let after = profile("ann@old.test", "ann@new.test").following(&before);
        assert_eq!(after, Ok(profile("ann@new.test", "ann@new.test")));
        let kept = profile("bob@old.test", "bob@new.test");
        assert_eq!(kept.clone().following(&kept), Ok(kept));
    }

    #[test]
    fn a_login_waits_for_the_address_that_it_follows() {
        let (old, new) = (profile("ann@old.test", "ann@old.test"), profile("ann@new.test", "ann@new.test"));
        let waiting = new.clone().keeping_email_of(&old);
        assert_eq!(waiting, (old.clone(), Some("ann@new.test".to_owned())));
        let ann = profile("ann", "ann@old.test");
        let (refused, _) = new.keeping_email_of(&ann);
        assert_eq!(refused.following(&ann), Err(UserError::LoginNotOwnAddress));
        assert_eq!(ann.clone().keeping_email_of(&old), (profile("ann", "ann@old.test"), None));
    }

    #[test]
    fn texts_are_trimmed_and_can_be_seen() {
        assert_eq!(profile(" spacy ", " s@x ").completed(), Ok(profile("spacy", "s@x")));
        for hidden in ["a\u{200B}nn", "ann\u{202E}", "a\tb", "a\nb"] {
            assert_eq!(profile(hidden, "").completed(), Err(UserError::TextHidden));
            assert_eq!(profile("ann", hidden).completed(), Err(UserError::TextHidden));
            let named = Profile { name: hidden.into(), ..profile("ann", "") };
            assert_eq!(named.completed(), Err(UserError::TextHidden));
        }
        assert_eq!(profile(&"x".repeat(761), "").completed(), Err(UserError::TextTooLong));
    }

    const EMAIL: Claims = Claims { email: true, email_vouched_by: None, login: false };
    const LOGIN: Claims = Claims { email: false, email_vouched_by: None, login: true };
    const NONE: Claims = Claims { email: false, email_vouched_by: None, login: false };

    #[test]
    fn a_user_is_found_by_login_and_address() {
        let name = |name: &str, is_login, is_email| UserName { name: name.into(), is_login, is_email };
        assert_eq!(profile("Ann", "Ann@X").names(), [name("ann", true, false), name("ann@x", false, true)]);
        assert_eq!(profile("Ann@x", "ann@X").names(), [name("ann@x", true, true)]);
    }

    #[test]
    fn a_name_means_the_user_who_has_it_confirmed_or_vouched_for() {
        let ann = profile("ann", "ann@x");
        let vouched = Claims { email_vouched_by: Some(OrgId(3)), ..EMAIL };
        for (claims, within, name, expected) in [
            (NONE, None, "Ann", Ok(())),
            (NONE, None, "ANN@x", Ok(())),
            (NONE, None, "bob", Err(UserError::NotFound)),
            (EMAIL, None, "ann", Ok(())),
            (EMAIL, None, "ann@x", Err(UserError::EmailUnconfirmed)),
            (vouched, None, "ann@x", Err(UserError::EmailUnconfirmed)),
            (vouched, Some(OrgId(4)), "ann@x", Err(UserError::EmailUnconfirmed)),
            (vouched, Some(OrgId(3)), "ann@x", Ok(())),
        ] {
            assert_eq!(ann.check_named(&claims, within, name), expected, "{claims:?} {within:?} {name}");
        }
        // An old login with `@`, which did not have to be the own address.
        let old = profile("vic@corp.test", "ann@x");
        assert_eq!(old.check_named(&NONE, None, "vic@corp.test"), Err(UserError::NotFound));
        assert!(!old.is_own(&NONE, "vic@corp.test") && old.is_own(&NONE, "ann@x"));
    }

    #[test]
    fn a_name_is_the_users_own_unless_it_is_claimed() {
        let ann = profile("ann", "ann@x");
        for (claims, login, email) in [(NONE, true, true), (LOGIN, false, true), (EMAIL, true, false)] {
            assert_eq!((ann.is_own(&claims, "Ann"), ann.is_own(&claims, "Ann@x")), (login, email));
        }
        assert!(!ann.is_own(&NONE, "bob"));
    }

    #[test]
    fn a_login_that_the_user_chose_cannot_be_invited() {
        let ann = profile("ann", "ann@x");
        assert_eq!(ann.check_invited(&NONE, "ann"), Ok(()));
        assert_eq!(ann.check_invited(&LOGIN, "ann"), Err(UserError::LoginUnconfirmed));
        assert_eq!(ann.check_invited(&EMAIL, "ann@x"), Ok(()));
    }

    #[test]
    fn a_login_of_another_address_is_kept_only_with_its_own_address() {
        let before = profile("bob@old.test", "bob@new.test");
        let named = Profile { name: "Bob".into(), ..before.clone() };
        assert_eq!(named.clone().following(&before), Ok(named));
        let refused = Err(UserError::LoginNotOwnAddress);
        assert_eq!(profile("bob@old.test", "bob@third.test").following(&before), refused);
        assert_eq!(profile("eve@old.test", "bob@new.test").following(&before), refused);
    }

    #[test]
    fn only_a_login_that_is_the_address_waits_with_it() {
        let old = profile("ann@old.test", "ann@old.test");
        for (login, email, kept, asked) in [
            ("boss", "ann@new.test", "boss", Some("ann@new.test")),
            ("ann@old.test", " ann@old.test ", "ann@old.test", None),
            ("ann@old.test", "", "ann@old.test", None),
        ] {
            let (profile, waiting) = profile(login, email).keeping_email_of(&old);
            assert_eq!((profile.login.as_str(), profile.email.as_str()), (kept, "ann@old.test"));
            assert_eq!(waiting.as_deref(), asked);
        }
        let not_own = profile("bob@old.test", "bob@new.test");
        let (kept, _) = profile("eve@x", "eve@x").keeping_email_of(&not_own);
        assert_eq!(kept.login, "eve@x");
    }

    #[test]
    fn texts_are_bounded_and_a_theme_is_one() {
        let longest = "x".repeat(MAX_NAME_BYTES);
        let named = |name: &str| Profile { name: name.into(), ..profile("ann", "") }.completed();
        assert!(profile(&longest, &longest).completed().is_ok() && named(&longest).is_ok());
        for refused in [named(&format!("{longest}x")), profile("ann", &format!("{longest}x")).completed()] {
            assert_eq!(refused, Err(UserError::TextTooLong));
        }
        assert_eq!(named("a\0"), Err(UserError::TextTooLong));
        assert_eq!(profile("", "\t").completed(), Err(UserError::LoginEmpty));
        let themed = |theme: &str| Profile { theme: theme.into(), ..profile("ann", "") }.completed();
        assert!(["", "dark", "light", "system"].into_iter().all(|theme| themed(theme).is_ok()));
        assert_eq!(themed("pink"), Err(UserError::ThemeInvalid));
    }
}
