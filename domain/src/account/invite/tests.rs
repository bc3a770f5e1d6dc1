use cqrs_es::test::TestFramework;

use super::*;

type Framework = TestFramework<Invite>;
const NOW: Timestamp = Timestamp(1_000_000);

fn guest(email: &str) -> Guest {
    Guest { email: email.into(), name: "Ann".into(), role: OrgRole::Editor }
}

fn create(email: &str) -> InviteCommand {
    InviteCommand::Create { id: InviteId(7), guest: guest(email), invited_by: UserId(1), now: NOW }
}

fn created() -> InviteEvent {
    let expires_at = NOW.plus_seconds(LIFETIME_SECONDS);
    let guest = guest("ann@example.org");
    InviteCreated { id: InviteId(7), guest, invited_by: UserId(1), expires_at }.into()
}

fn accept_after(seconds: i64) -> InviteCommand {
    InviteCommand::Accept { user_id: UserId(2), now: NOW.plus_seconds(seconds) }
}

fn accepted() -> InviteEvent {
    InviteAccepted { id: InviteId(7), user_id: UserId(2) }.into()
}

#[tokio::test]
async fn lives_for_a_day() {
    Framework::with(())
        .given_no_previous_events()
        .when_async(create("ann@example.org"))
        .await
        .then_expect_events(vec![created()]);
    Framework::with(())
        .given(vec![created()])
        .when_async(accept_after(LIFETIME_SECONDS - 1))
        .await
        .then_expect_events(vec![accepted()]);
    Framework::with(())
        .given(vec![created()])
        .when_async(accept_after(LIFETIME_SECONDS))
        .await
        .then_expect_error(InviteError::NotFound);
}

#[tokio::test]
async fn expires_when_its_time_is_over_and_not_before() {
    let expired = InviteExpired { id: InviteId(7) }.into();
    for (seconds, events) in [(LIFETIME_SECONDS - 1, vec![]), (LIFETIME_SECONDS, vec![expired])] {
        Framework::with(())
            .given(vec![created()])
            .when_async(InviteCommand::Expire { now: NOW.plus_seconds(seconds) })
            .await
            .then_expect_events(events);
    }
}

#[tokio::test]
async fn is_used_up_once() {
    let id = InviteId(7);
    for ended in [accepted(), InviteRevoked { id }.into(), InviteExpired { id }.into()] {
        for command in [accept_after(1), InviteCommand::Revoke] {
            Framework::with(())
                .given(vec![created(), ended.clone()])
                .when_async(command)
                .await
                .then_expect_error(InviteError::NotFound);
        }
    }
}

#[test]
fn is_for_its_address() {
    for email in ["", "ann@example.org", " Ann@Example.org"] {
        assert_eq!(guest("ann@example.org").check_is(email), Ok(()));
    }
    assert_eq!(guest("ann@example.org").check_is("eve@example.org"), Err(InviteError::OtherEmail));
}

#[tokio::test]
async fn somebody_must_be_invited() {
    Framework::with(())
        .given_no_previous_events()
        .when_async(create(" "))
        .await
        .then_expect_error(InviteError::GuestEmpty);
}
