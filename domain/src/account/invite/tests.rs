use cqrs_es::test::TestFramework;

use super::*;
use crate::kernel::testing::{decided, folded};

type Framework = TestFramework<Invite>;
const NOW: Timestamp = Timestamp(1_000_000);
const DAY: i64 = 86_400;

fn guest(email: &str) -> Guest {
    Guest { email: email.into(), name: "Ann".into(), role: OrgRole::Editor }
}

fn create(email: &str) -> InviteCommand {
    InviteCommand::Create { id: InviteId(7), guest: guest(email), invited_by: UserId(1), now: NOW }
}

fn created() -> InviteEvent {
    let expires_at = NOW.plus_seconds(DAY);
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
        .when_async(accept_after(DAY - 1))
        .await
        .then_expect_events(vec![accepted()]);
    Framework::with(())
        .given(vec![created()])
        .when_async(accept_after(DAY))
        .await
        .then_expect_error(InviteError::NotFound);
}

#[tokio::test]
async fn expires_when_its_time_is_over_and_not_before() {
    let expired = InviteExpired { id: InviteId(7) }.into();
    for (seconds, events) in [(DAY - 1, vec![]), (DAY, vec![expired])] {
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

#[tokio::test]
async fn one_that_is_open_is_not_created_again() {
    let again = decided::<Invite>(&[created()], vec![create("ann@example.org")]).await;
    assert_eq!(again, Err(InviteError::Exists));
    assert_eq!(Invite::stream_id(&InviteId(7)).as_str(), "invite-7");
}

#[test]
fn who_is_invited_is_named_by_texts_that_can_be_kept() {
    let texts = |email: &str, name: &str| Guest { name: name.to_owned(), ..guest(email) }.check();
    let (longest, long) = ("x".repeat(MAX_NAME_BYTES), "x".repeat(MAX_NAME_BYTES + 1));
    assert_eq!(texts(&longest, &longest), Ok(()));
    assert_eq!(texts("ann", ""), Ok(()));
    for (email, name) in [(&long, "Ann"), (&longest, long.as_str())] {
        assert_eq!(texts(email, name), Err(InviteError::TextTooLong));
    }
    for (email, name) in [("a\u{200B}nn", "Ann"), ("ann", "A\nnn")] {
        assert_eq!(texts(email, name), Err(InviteError::TextHidden));
    }
}

#[tokio::test]
async fn is_ended_by_being_revoked_while_it_is_open() {
    let revoked: InviteEvent = InviteRevoked { id: InviteId(7) }.into();
    let open: Invite = folded(&[created()]);
    assert_eq!(
        open,
        Invite { id: InviteId(7), role: OrgRole::Editor, expires_at: NOW.plus_seconds(DAY), is_open: true }
    );
    let command = open.ending().unwrap();
    assert_eq!(decided::<Invite>(&[created()], vec![command]).await, Ok(vec![revoked.clone()]));
    for ended in [revoked, accepted()] {
        assert!(folded::<Invite>(&[created(), ended]).ending().is_none());
    }
}
