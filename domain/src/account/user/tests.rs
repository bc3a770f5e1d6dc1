use cqrs_es::test::TestFramework;

use super::*;
use crate::kernel::effect::{Effects, Ending};
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::testing::{decided, folded};

type Framework = TestFramework<User>;

fn created(login: &str, email: &str) -> UserCreated {
    UserCreated {
        id: UserId(2),
        uid: Uid::try_new("u2").unwrap(),
        profile: Profile { login: login.into(), email: email.into(), ..Profile::default() },
        is_server_admin: false,
        org_id: OrgId(1),
    }
}

#[tokio::test]
async fn login_and_email_stand_in_for_each_other() {
    Framework::with(())
        .given_no_previous_events()
        .when_async(UserCommand::Create(created("ann", "")))
        .await
        .then_expect_events(vec![created("ann", "ann").into()]);
    Framework::with(())
        .given_no_previous_events()
        .when_async(UserCommand::Create(created("", " ")))
        .await
        .then_expect_error(UserError::LoginEmpty);
}

#[tokio::test]
async fn disabling_twice_is_one_event() {
    Framework::with(())
        .given(vec![created("ann", "ann").into(), UserDisabled { id: UserId(2) }.into()])
        .when_async(UserCommand::SetDisabled(true))
        .await
        .then_expect_events(vec![]);
}

#[tokio::test]
async fn help_flags_add_up() {
    let seen = |help_flags| UserHelpFlagsChanged { id: UserId(2), help_flags }.into();
    let cases = [(4, vec![seen(5)]), (1, vec![])];
    for (flags, events) in cases {
        Framework::with(())
            .given(vec![created("ann", "ann").into(), seen(1)])
            .when_async(UserCommand::AddHelpFlags(flags))
            .await
            .then_expect_events(events);
    }
    Framework::with(())
        .given(vec![created("ann", "ann").into()])
        .when_async(UserCommand::AddHelpFlags(-1))
        .await
        .then_expect_error(UserError::HelpFlagsInvalid);
}

#[tokio::test]
async fn a_deleted_user_takes_no_commands() {
    Framework::with(())
        .given(vec![created("ann", "ann").into(), UserDeleted { id: UserId(2) }.into()])
        .when_async(UserCommand::ChangePassword)
        .await
        .then_expect_error(UserError::NotFound);
}

const ID: UserId = UserId(2);

fn ann() -> UserEvent {
    created("ann", "ann").into()
}

fn profile_changed(login: &str, email: &str, name: &str) -> UserEvent {
    let (login, email, name) = (login.into(), email.into(), name.into());
    UserProfileChanged { id: ID, profile: Profile { login, email, name, ..Profile::default() } }.into()
}

fn email_claimed(email: &str) -> UserEvent {
    UserEmailClaimed { id: ID, email: email.into(), vouched_by: Some(OrgId(3)) }.into()
}

fn login_claimed(login: &str) -> UserEvent {
    UserLoginClaimed { id: ID, login: login.into() }.into()
}

fn change(email: &str) -> EmailChange {
    EmailChange { email: email.into(), expires_at: Timestamp(1_000) }
}

fn email_change_requested(email: &str) -> UserEvent {
    UserEmailChangeRequested { id: ID, change: change(email) }.into()
}

fn server_admin_changed(is_server_admin: bool) -> UserEvent {
    UserServerAdminChanged { id: ID, is_server_admin }.into()
}

#[tokio::test]
async fn there_is_one_of_an_id() {
    let again = decided::<User>(&[ann()], vec![UserCommand::Create(created("ann", "ann"))]).await;
    assert_eq!(again, Err(UserError::Taken));
}

#[tokio::test]
async fn a_command_is_an_event_if_it_changes_anything() {
    let change_profile = |name: &str| {
        UserCommand::ChangeProfile(Profile { name: name.into(), ..created("ann", "ann").profile })
    };
    let not_sent = UserEmailNotSent { id: ID, email: "a@b".into(), reason: "full".into() };
    let UserEmailNotSent { email, reason, .. } = not_sent.clone();
    let cases = [
        (change_profile("Ann"), vec![profile_changed("ann", "ann", "Ann")]),
        (change_profile(""), vec![]),
        (UserCommand::RequestEmailChange(change("a@b")), vec![email_change_requested("a@b")]),
        (UserCommand::RecordEmailNotSent { email, reason }, vec![not_sent.into()]),
        (UserCommand::ChangePassword, vec![UserPasswordChanged { id: ID }.into()]),
        (UserCommand::SetServerAdmin(true), vec![server_admin_changed(true)]),
        (UserCommand::SetServerAdmin(false), vec![]),
        (UserCommand::SetDisabled(true), vec![UserDisabled { id: ID }.into()]),
        (UserCommand::SetDisabled(false), vec![]),
        (UserCommand::SwitchOrg(OrgId(3)), vec![UserOrgSwitched { id: ID, org_id: OrgId(3) }.into()]),
        (UserCommand::AddHelpFlags(0), vec![]),
        (UserCommand::ClearHelpFlags, vec![]),
        (UserCommand::RevokeSession(8), vec![UserSessionRevoked { id: ID, session_id: 8 }.into()]),
        (UserCommand::LogOut, vec![UserLoggedOut { id: ID }.into()]),
        (UserCommand::Delete, vec![UserDeleted { id: ID }.into()]),
    ];
    for (command, events) in cases {
        assert_eq!(decided::<User>(&[ann()], vec![command]).await, Ok(events));
    }
}

#[tokio::test]
async fn what_was_granted_or_taken_can_be_reversed() {
    let help_flags = |help_flags| UserHelpFlagsChanged { id: ID, help_flags }.into();
    let given = [ann(), UserDisabled { id: ID }.into(), server_admin_changed(true), help_flags(5)];
    let cases = [
        (UserCommand::SetServerAdmin(false), vec![server_admin_changed(false)]),
        (UserCommand::SetServerAdmin(true), vec![]),
        (UserCommand::SetDisabled(false), vec![UserEnabled { id: ID }.into()]),
        (UserCommand::AddHelpFlags(6), vec![help_flags(7)]),
        (UserCommand::AddHelpFlags(13), vec![help_flags(13)]),
        (UserCommand::AddHelpFlags(1), vec![]),
        (UserCommand::ClearHelpFlags, vec![help_flags(0)]),
    ];
    for (command, events) in cases {
        assert_eq!(decided::<User>(&given, vec![command]).await, Ok(events));
    }
    let user: User = folded(&[&given[..], &[UserEnabled { id: ID }.into()]].concat());
    assert!(!user.is_disabled && user.is_server_admin);
}

#[test]
fn a_claim_lasts_as_long_as_the_name() {
    let claims = |events: &[UserEvent]| folded::<User>(&[&[ann()], events].concat()).claims;
    let both = Claims { email: true, email_vouched_by: Some(OrgId(3)), login: true };
    let claimed = [email_claimed("ann"), login_claimed("ann")];
    assert_eq!(claims(&claimed), both);
    let [login, email] = &claimed;
    let after = |change: UserEvent| claims(&[login.clone(), email.clone(), change]);
    assert_eq!(after(profile_changed("ann", "ann", "Ann")), both);
    assert_eq!(after(profile_changed("boss", "ann", "")), Claims { login: false, ..both });
    let login_only = Claims { login: true, ..Claims::default() };
    assert_eq!(after(profile_changed("ann", "ann@x", "")), login_only);
    assert_eq!(claims(&[profile_changed("ann", "ann@x", "Ann")]), Claims::default());
}

#[test]
fn a_change_of_the_address_waits_while_the_address_is_the_same() {
    let waits = |events: &[UserEvent]| {
        folded::<User>(&[&[ann(), email_change_requested("a@b")], events].concat()).email_change
    };
    assert_eq!(waits(&[profile_changed("boss", "ann", "Ann")]), Some(change("a@b")));
    assert_eq!(waits(&[profile_changed("ann", "c@d", "")]), None);
}

#[test]
fn the_state_is_kept_without_what_there_is_none_of() {
    let members = |events: &[UserEvent]| {
        let kept = serde_json::to_value(folded::<User>(events)).unwrap();
        ["claims", "email_change"].map(|member| kept.get(member).is_some())
    };
    assert_eq!(members(&[ann()]), [false, false]);
    assert_eq!(members(&[ann(), login_claimed("ann"), email_change_requested("a@b")]), [true, true]);
}

#[tokio::test]
async fn a_profile_comes_back_with_names_that_are_only_claimed() {
    let events = [ann(), profile_changed("boss", "boss@x", "Ann"), UserDeleted { id: ID }.into()];
    let [past, now, gone] = [1, 2, 3].map(|count| folded::<User>(&events[..count]));
    assert_eq!((now.title(), now.exists(), gone.exists()), (Some("boss"), true, false));
    let commands = now.restoration(&past, &events[..1], 1).unwrap();
    let back = decided::<User>(&events[..2], commands).await;
    let email_claimed = UserEmailClaimed { id: ID, email: "ann".into(), vouched_by: None }.into();
    assert_eq!(back, Ok(vec![profile_changed("ann", "ann", ""), email_claimed, login_claimed("ann")]));
    assert!(gone.restoration(&past, &events[..1], 1).is_none());
}

#[tokio::test]
async fn names_are_yielded_to_who_has_them() {
    let owner = Profile { login: "boss".into(), email: "boss@x".into(), ..Profile::default() };
    let given = [ann(), profile_changed("boss", "ann", ""), login_claimed("boss")];
    let command = || vec![UserCommand::YieldNames { owner: owner.clone(), stand_in: "x7".into() }];
    let yielded = decided::<User>(&given, command()).await;
    assert_eq!(yielded, Ok(vec![profile_changed("x7", "ann", "")]));
    assert_eq!(decided::<User>(&given[..2], command()).await, Err(UserError::Taken));
}

#[test]
fn only_with_its_deletion_a_user_ends() {
    let deleted: UserEvent = UserDeleted { id: ID }.into();
    assert_eq!(deleted.ending(), Some(Ending::User(ID)));
    let disabled: UserEvent = UserDisabled { id: ID }.into();
    for event in [ann(), profile_changed("boss", "ann", ""), disabled, server_admin_changed(true)] {
        assert_eq!(event.ending(), None);
    }
}

#[test]
fn refusals_are_of_their_kind() {
    assert_eq!(UserError::Taken.kind(), ReasonKind::Taken);
    assert_eq!(UserError::NotFound.kind(), ReasonKind::Missing);
    for error in [UserError::LoginEmpty, UserError::LastServerAdmin, UserError::EmailCodeInvalid] {
        assert_eq!(error.kind(), ReasonKind::Invalid);
    }
}
