use cqrs_es::test::TestFramework;

use super::*;

type Framework = TestFramework<ServiceAccount>;
const ID: UserId = UserId(5);

fn created() -> ServiceAccountEvent {
    ServiceAccountCreated {
        id: ID,
        uid: Uid::try_new("s1").unwrap(),
        login: "sa-1-ci".into(),
        name: "ci".into(),
        role: OrgRole::Viewer,
        is_disabled: false,
    }
    .into()
}

fn token_added(token_id: i64) -> ServiceAccountEvent {
    ServiceAccountTokenAdded { id: ID, token_id, name: "t".into(), expires: None }.into()
}

fn update(role: OrgRole) -> ServiceAccountCommand {
    ServiceAccountCommand::Update { name: None, role: Some(role), is_disabled: None }
}

#[tokio::test]
async fn a_change_is_an_event_and_none_is_not() {
    let updated =
        ServiceAccountUpdated { id: ID, name: "ci".into(), role: OrgRole::Admin, is_disabled: false };
    Framework::with(())
        .given(vec![created()])
        .when_async(update(OrgRole::Admin))
        .await
        .then_expect_events(vec![updated.into()]);
    Framework::with(())
        .given(vec![created()])
        .when_async(update(OrgRole::Viewer))
        .await
        .then_expect_events(vec![]);
}

#[tokio::test]
async fn a_token_is_deleted_once() {
    let deleted: ServiceAccountEvent = ServiceAccountTokenDeleted { id: ID, token_id: 8 }.into();
    Framework::with(())
        .given(vec![created(), token_added(8)])
        .when_async(ServiceAccountCommand::DeleteToken(8))
        .await
        .then_expect_events(vec![deleted.clone()]);
    Framework::with(())
        .given(vec![created(), token_added(8), deleted])
        .when_async(ServiceAccountCommand::DeleteToken(8))
        .await
        .then_expect_error(ServiceAccountError::TokenNotFound);
}

#[tokio::test]
async fn tokens_are_bounded_and_named() {
    let add =
        |name: &str| ServiceAccountCommand::AddToken { token_id: 2000, name: name.to_owned(), expires: None };
    Framework::with(())
        .given(std::iter::once(created()).chain((1..=1000).map(token_added)).collect())
        .when_async(add("one more"))
        .await
        .then_expect_error(ServiceAccountError::TooManyTokens);
    Framework::with(())
        .given(vec![created()])
        .when_async(add(""))
        .await
        .then_expect_error(ServiceAccountError::TokenNameEmpty);
}

#[tokio::test]
async fn a_deleted_one_takes_no_token() {
    Framework::with(())
        .given(vec![created(), ServiceAccountDeleted { id: ID }.into()])
        .when_async(ServiceAccountCommand::AddToken { token_id: 8, name: "t".into(), expires: None })
        .await
        .then_expect_error(ServiceAccountError::NotFound);
}

#[test]
fn a_token_ends_when_it_should() {
    let now = Timestamp(1_000_000);
    assert_eq!(token_expiry(now, Some(0)), Ok(None));
    assert_eq!(token_expiry(now, Some(60)), Ok(Some(Timestamp(61_000_000))));
    for wrong in [-1, i64::MAX] {
        assert_eq!(token_expiry(now, Some(wrong)), Err(ServiceAccountError::SecondsToLiveInvalid));
    }
}
