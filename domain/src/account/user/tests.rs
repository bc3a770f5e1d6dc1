use cqrs_es::test::TestFramework;

use super::*;

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
