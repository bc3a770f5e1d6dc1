//! Requests of users for another e-mail address, and mails that could not be sent.

use serde::{Deserialize, Serialize};

use super::UserError;
use crate::kernel::id::UserId;
use crate::kernel::text::{MAX_NAME_BYTES, is_storable};
use crate::kernel::timestamp::Timestamp;

/// A requested e-mail address, which has to be confirmed by a mail to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailChange {
    /// The address.
    pub email: String,
    /// The time at which the request expires.
    pub expires_at: Timestamp,
}

/// A user requested another e-mail address, which has to be confirmed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserEmailChangeRequested {
    /// The user.
    pub id: UserId,
    /// The address and the expiry of the request.
    #[serde(flatten)]
    pub change: EmailChange,
}

/// A mail to a user could not be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserEmailNotSent {
    /// The user.
    pub id: UserId,
    /// The address.
    pub email: String,
    /// The reason.
    pub reason: String,
}

/// Checks the form of an e-mail address. Only a mail can show whether the address exists.
pub(super) fn check_email(email: &str) -> Result<(), UserError> {
    if !is_storable(email, MAX_NAME_BYTES) {
        return Err(UserError::TextTooLong);
    }
    let is_word = |text: &str| {
        !text.is_empty()
            && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "\"\\".contains(c))
    };
    let is_address = email.rsplit_once('@').is_some_and(|(local, domain)| is_word(local) && is_word(domain));
    if is_address { Ok(()) } else { Err(UserError::EmailInvalid) }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::super::{
        Claims, Profile, User, UserCommand, UserCreated, UserEmailClaimed, UserError, UserEvent,
        UserLoginClaimed, UserProfileChanged,
    };
    use super::*;
    use crate::kernel::id::OrgId;
    use crate::kernel::testing::folded;
    use crate::kernel::uid::Uid;

    type Framework = TestFramework<User>;

    fn created() -> UserEvent {
        let profile = Profile { login: "ann".into(), email: "ann".into(), ..Profile::default() };
        let uid = Uid::try_new("u2").unwrap();
        UserCreated { id: UserId(2), uid, profile, is_server_admin: false, org_id: OrgId(1) }.into()
    }

    fn requested(email: &str) -> UserEvent {
        UserEmailChangeRequested { id: UserId(2), change: change(email) }.into()
    }

    fn change(email: &str) -> EmailChange {
        EmailChange { email: email.into(), expires_at: Timestamp(1_000) }
    }

    fn with_email(email: &str) -> UserEvent {
        let profile = Profile { login: "ann".into(), email: email.into(), ..Profile::default() };
        UserProfileChanged { id: UserId(2), profile }.into()
    }

    #[tokio::test]
    async fn an_address_changes_once_it_is_confirmed_in_time() {
        let (one, other) = ("ann@example.org", "ann@example.com");
        let in_time = UserCommand::ConfirmEmail { now: Timestamp(999) };
        for given in [vec![created(), requested(one)], vec![created(), requested(other), requested(one)]] {
            let framework = Framework::with(()).given(given);
            framework.when_async(in_time.clone()).await.then_expect_events(vec![with_email(one)]);
        }
        let refused = [
            (vec![created()], in_time.clone()),
            (vec![created(), requested(one)], UserCommand::ConfirmEmail { now: Timestamp(1_000) }),
            (vec![created(), requested(one), with_email(one)], in_time.clone()),
            (vec![created(), requested(one), with_email(other)], in_time),
        ];
        for (given, command) in refused {
            let framework = Framework::with(()).given(given);
            framework.when_async(command).await.then_expect_error(UserError::EmailCodeInvalid);
        }
    }

    fn claimed(email: &str) -> UserEvent {
        UserEmailClaimed { id: UserId(2), email: email.into(), vouched_by: None }.into()
    }

    fn named(login: &str) -> UserCommand {
        UserCommand::ChangeOwnProfile(Profile {
            login: login.into(),
            email: "ann".into(),
            ..Profile::default()
        })
    }

    fn own(email: &str) -> UserCommand {
        UserCommand::ChangeOwnProfile(Profile {
            login: "ann".into(),
            email: email.into(),
            ..Profile::default()
        })
    }

    #[tokio::test]
    async fn an_address_that_users_give_themselves_is_only_claimed() {
        let (one, other) = ("vic@corp.test", "Vic@corp.test");
        let cases = [
            (vec![created()], own(one), vec![with_email(one), claimed(one)]),
            (vec![created()], own("ann"), vec![]),
            (vec![created(), with_email(one)], own(other), vec![with_email(other)]),
            (
                vec![created(), with_email(one), claimed(one)],
                own(other),
                vec![with_email(other), claimed(other)],
            ),
        ];
        for (given, command, events) in cases {
            Framework::with(()).given(given).when_async(command).await.then_expect_events(events);
        }
    }

    #[tokio::test]
    async fn a_login_that_users_give_themselves_is_only_claimed() {
        let profile = Profile { login: "boss".into(), email: "ann".into(), ..Profile::default() };
        let changed = UserProfileChanged { id: UserId(2), profile: profile.clone() }.into();
        let login_claimed = UserLoginClaimed { id: UserId(2), login: "boss".into() }.into();
        let framework = Framework::with(()).given(vec![created()]);
        framework.when_async(named("boss")).await.then_expect_events(vec![changed, login_claimed]);
        let claims = Claims { login: true, ..Claims::default() };
        assert_eq!(profile.check_named(&claims, None, "boss"), Ok(()));
        assert!(!profile.is_own(&claims, "boss"));
        assert!(profile.is_own(&Claims::default(), "Boss"));
    }

    #[tokio::test]
    async fn an_invited_address_counts_where_it_was_invited() {
        let claim = UserCommand::ClaimNames { vouched_by: OrgId(3) };
        let vouched: UserEvent =
            UserEmailClaimed { id: UserId(2), email: "ann".into(), vouched_by: Some(OrgId(3)) }.into();
        let framework = Framework::with(()).given(vec![created()]);
        let login: UserEvent = UserLoginClaimed { id: UserId(2), login: "ann".into() }.into();
        framework.when_async(claim).await.then_expect_events(vec![login, vouched.clone()]);
        let user: User = folded(&[created(), with_email("ann@corp.test"), vouched]);
        assert_eq!(user.check_named(OrgId(3), "ann@corp.test"), Ok(()));
        assert_eq!(user.check_named(OrgId(4), "ann@corp.test"), Err(UserError::EmailUnconfirmed));
    }

    #[test]
    fn a_claimed_address_names_nobody() {
        let user: User = folded(&[created(), with_email("vic@corp.test"), claimed("vic@corp.test")]);
        assert_eq!(user.check_named(OrgId(1), "VIC@corp.test"), Err(UserError::EmailUnconfirmed));
        assert_eq!(user.check_named(OrgId(1), "Ann"), Ok(()));
        assert_eq!(user.check_named(OrgId(1), "bob"), Err(UserError::NotFound));
        let user: User = folded(&[created(), claimed("ann"), with_email("vic@corp.test")]);
        assert_eq!(user.check_named(OrgId(1), "vic@corp.test"), Ok(()));
    }

    #[tokio::test]
    async fn what_is_no_address_is_not_asked_for() {
        for email in [
            "ann",
            "@example.org",
            "ann@",
            "\"ann\"@example.org",
            "a\\nn@example.org",
            "ann @example.org",
            "ann@example.org\r\nBcc: x@y",
            "a\u{7}nn@example.org",
            "ann@exam\\ple.org",
        ] {
            Framework::with(())
                .given(vec![created()])
                .when_async(UserCommand::RequestEmailChange(change(email)))
                .await
                .then_expect_error(UserError::EmailInvalid);
        }
    }

    #[test]
    fn an_address_has_two_parts_and_a_limit() {
        let longest = format!("ann@{}", "x".repeat(MAX_NAME_BYTES - 4));
        for email in ["ann@example.org", "ann+test@localhost", &longest] {
            assert_eq!(check_email(email), Ok(()), "{email}");
        }
        assert_eq!(check_email(&format!("{longest}x")), Err(UserError::TextTooLong));
    }
}
