use cqrs_es::test::TestFramework;

use super::*;
use crate::kernel::testing::{decided, folded};

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

fn token_deleted(token_id: i64) -> ServiceAccountEvent {
    ServiceAccountTokenDeleted { id: ID, token_id }.into()
}

fn deleted() -> ServiceAccountEvent {
    ServiceAccountDeleted { id: ID }.into()
}

fn updated(name: &str, role: OrgRole, is_disabled: bool) -> ServiceAccountEvent {
    ServiceAccountUpdated { id: ID, name: name.into(), role, is_disabled }.into()
}

fn add_token(name: &str) -> ServiceAccountCommand {
    ServiceAccountCommand::AddToken { token_id: 8, name: name.into(), expires: Some(Timestamp(9)) }
}

#[tokio::test]
async fn there_is_one_of_an_id() {
    let ServiceAccountEvent::Created(creation) = created() else { panic!() };
    let create = || vec![ServiceAccountCommand::Create(creation.clone())];
    assert_eq!(decided::<ServiceAccount>(&[], create()).await, Ok(vec![created()]));
    let again = decided::<ServiceAccount>(&[created()], create()).await;
    assert_eq!(again, Err(ServiceAccountError::Taken));
}

#[tokio::test]
async fn what_is_left_out_of_an_update_stays() {
    let update = |name: Option<&str>, role, is_disabled| ServiceAccountCommand::Update {
        name: name.map(str::to_owned),
        role,
        is_disabled,
    };
    let given = [created(), updated("ci", OrgRole::Editor, true)];
    for (command, events) in [
        (update(Some("cd"), None, None), vec![updated("cd", OrgRole::Editor, true)]),
        (update(None, Some(OrgRole::None), None), vec![updated("ci", OrgRole::None, true)]),
        (update(None, None, Some(false)), vec![updated("ci", OrgRole::Editor, false)]),
        (update(None, None, None), vec![]),
    ] {
        assert_eq!(decided::<ServiceAccount>(&given, vec![command]).await, Ok(events));
    }
}

#[tokio::test]
async fn names_can_be_seen_and_have_a_limit() {
    let ServiceAccountEvent::Created(creation) = created() else { panic!() };
    for (name, expected) in [
        ("x".repeat(MAX_NAME_BYTES), Ok(())),
        ("x".repeat(MAX_NAME_BYTES + 1), Err(ServiceAccountError::TextTooLong)),
        ("c\u{200B}i".to_owned(), Err(ServiceAccountError::TextHidden)),
        (" ".to_owned(), Err(ServiceAccountError::NameEmpty)),
    ] {
        let create =
            ServiceAccountCommand::Create(ServiceAccountCreated { name: name.clone(), ..creation.clone() });
        let rename =
            ServiceAccountCommand::Update { name: Some(name.clone()), role: None, is_disabled: None };
        let of_token = match expected {
            Err(ServiceAccountError::NameEmpty) => Err(ServiceAccountError::TokenNameEmpty),
            ref other => other.clone(),
        };
        assert_eq!(decided::<ServiceAccount>(&[], vec![create]).await.map(drop), expected);
        assert_eq!(decided::<ServiceAccount>(&[created()], vec![rename]).await.map(drop), expected);
        assert_eq!(decided::<ServiceAccount>(&[created()], vec![add_token(&name)]).await.map(drop), of_token);
    }
}

#[tokio::test]
async fn has_as_many_tokens_as_it_may() {
    let given: Vec<_> = std::iter::once(created()).chain((1001..2000).map(token_added)).collect();
    let added =
        ServiceAccountTokenAdded { id: ID, token_id: 8, name: "t".into(), expires: Some(Timestamp(9)) };
    assert_eq!(decided::<ServiceAccount>(&given, vec![add_token("t")]).await, Ok(vec![added.into()]));
}

#[tokio::test]
async fn ends_with_its_tokens_when_it_is_deleted() {
    let given = [created(), token_added(8)];
    let events = decided::<ServiceAccount>(&given, vec![ServiceAccountCommand::Delete]).await;
    assert_eq!(events, Ok(vec![deleted()]));
    let gone: ServiceAccount = folded(&[created(), token_added(8), deleted()]);
    assert!(gone.tokens.is_empty() && !gone.exists());
    assert_eq!(deleted().ending(), Some(Ending::ServiceAccount(ID)));
    for event in [created(), updated("cd", OrgRole::None, true), token_added(8), token_deleted(8)] {
        assert_eq!(event.ending(), None);
    }
}

#[tokio::test]
async fn comes_back_without_tokens_while_it_is_there() {
    let events =
        [created(), updated("cd", OrgRole::Admin, true), updated("ce", OrgRole::Editor, false), deleted()];
    let [past, now, gone] = [2, 3, 4].map(|count| folded::<ServiceAccount>(&events[..count]));
    assert_eq!((now.title(), now.exists()), (Some("ce"), true));
    let commands = now.restoration(&past, &events[..2], 1).unwrap();
    let back = decided::<ServiceAccount>(&events[..3], commands).await;
    assert_eq!(back, Ok(vec![updated("cd", OrgRole::Admin, true)]));
    assert!(gone.restoration(&past, &events[..2], 1).is_none());
}

#[tokio::test]
async fn a_token_is_revoked_as_long_as_it_is_there() {
    let account: ServiceAccount = folded(&[created(), token_added(8)]);
    let command = account.revocation(&token_added(8)).unwrap();
    let revoked = decided::<ServiceAccount>(&[created(), token_added(8)], vec![command]).await;
    assert_eq!(revoked, Ok(vec![token_deleted(8)]));
    for event in [token_added(9), created(), token_deleted(8)] {
        assert!(account.revocation(&event).is_none());
    }
}

#[test]
fn a_token_lives_for_a_second_up_to_a_hundred_years() {
    let most = 100 * 366 * 24 * 60 * 60;
    let expiry = |seconds| token_expiry(Timestamp(0), seconds);
    assert_eq!(expiry(None), Ok(None));
    assert_eq!(expiry(Some(1)), Ok(Some(Timestamp(1_000_000))));
    assert_eq!(expiry(Some(most)), Ok(Some(Timestamp(most * 1_000_000))));
    assert_eq!(expiry(Some(most + 1)), Err(ServiceAccountError::SecondsToLiveInvalid));
}

#[test]
fn refusals_have_the_codes_that_clients_test() {
    for (error, kind, code) in [
        (ServiceAccountError::NotFound, ReasonKind::Missing, Some("serviceaccounts.ErrNotFound")),
        (ServiceAccountError::TokenNotFound, ReasonKind::Missing, Some("serviceaccounts.ErrTokenNotFound")),
        (ServiceAccountError::Taken, ReasonKind::Invalid, Some("serviceaccounts.ErrAlreadyExists")),
        (
            ServiceAccountError::TokenNameTaken,
            ReasonKind::Invalid,
            Some("serviceaccounts.ErrTokenAlreadyExists"),
        ),
        (
            ServiceAccountError::SecondsToLiveInvalid,
            ReasonKind::Invalid,
            Some("serviceaccounts.ErrInvalidInput"),
        ),
        (ServiceAccountError::NameEmpty, ReasonKind::Invalid, None),
    ] {
        assert_eq!((error.kind(), error.code()), (kind, code));
    }
}
