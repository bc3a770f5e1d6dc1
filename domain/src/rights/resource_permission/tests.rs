use cqrs_es::test::TestFramework;

use super::*;
use crate::kernel::testing::{decided, folded};

type Framework = TestFramework<ResourcePermission>;
const VIEWERS: Grantee = Grantee::Role(OrgRole::Viewer);
const EDITORS: Grantee = Grantee::Role(OrgRole::Editor);
const ANN: Grantee = Grantee::User(UserId(5));

fn resource() -> Resource {
    Resource { kind: ResourceKind::Folder, uid: Uid::try_new("ops").unwrap(), id: 7 }
}

fn customized() -> ResourcePermissionEvent {
    ResourcePermissionCustomized { resource: resource() }.into()
}

fn granted(grantee: Grantee, level: AccessLevel) -> ResourcePermissionEvent {
    ResourcePermissionGranted { resource: resource(), grantee, level }.into()
}

fn revoked(grantee: Grantee) -> ResourcePermissionEvent {
    ResourcePermissionRevoked { resource: resource(), grantee }.into()
}

fn change(grantee: Grantee, level: Option<AccessLevel>) -> ResourcePermissionCommand {
    let defaults = default_grants(ResourceKind::Folder, None);
    ResourcePermissionCommand::Change { resource: resource(), defaults, changes: [(grantee, level)].into() }
}

#[tokio::test]
async fn the_first_change_starts_from_the_defaults() {
    Framework::with(())
        .given_no_previous_events()
        .when_async(change(VIEWERS, None))
        .await
        .then_expect_events(vec![customized(), granted(EDITORS, AccessLevel::Edit)]);
    Framework::with(())
        .given(vec![customized()])
        .when_async(change(ANN, Some(AccessLevel::View)))
        .await
        .then_expect_events(vec![granted(ANN, AccessLevel::View)]);
}

#[tokio::test]
async fn what_changes_nothing_is_no_event() {
    for nothing in [change(ANN, None), change(VIEWERS, Some(AccessLevel::View))] {
        Framework::with(()).given_no_previous_events().when_async(nothing).await.then_expect_events(vec![]);
    }
}

#[tokio::test]
async fn a_list_is_replaced_by_what_differs() {
    let grants = Grants::from([(ANN, AccessLevel::Admin), (EDITORS, AccessLevel::View)]);
    Framework::with(())
        .given(vec![customized(), granted(VIEWERS, AccessLevel::View), granted(EDITORS, AccessLevel::View)])
        .when_async(ResourcePermissionCommand::Replace { resource: resource(), grants })
        .await
        .then_expect_events(vec![revoked(VIEWERS), granted(ANN, AccessLevel::Admin)]);
    Framework::with(())
        .given_no_previous_events()
        .when_async(ResourcePermissionCommand::Replace { resource: resource(), grants: Grants::new() })
        .await
        .then_expect_events(vec![customized()]);
}

#[tokio::test]
async fn who_is_no_more_is_dropped_once() {
    Framework::with(())
        .given(vec![customized(), granted(ANN, AccessLevel::View)])
        .when_async(ResourcePermissionCommand::Drop(ANN))
        .await
        .then_expect_events(vec![revoked(ANN)]);
    Framework::with(())
        .given(vec![customized()])
        .when_async(ResourcePermissionCommand::Drop(ANN))
        .await
        .then_expect_events(vec![]);
}

#[tokio::test]
async fn a_list_is_taken_away_once() {
    let reset = ResourcePermissionReset { resource: resource() };
    Framework::with(())
        .given(vec![customized(), granted(ANN, AccessLevel::View)])
        .when_async(ResourcePermissionCommand::Reset)
        .await
        .then_expect_events(vec![reset.clone().into()]);
    Framework::with(())
        .given(vec![customized(), granted(ANN, AccessLevel::View), reset.into()])
        .when_async(ResourcePermissionCommand::Reset)
        .await
        .then_expect_events(vec![]);
}

#[tokio::test]
async fn a_list_is_bounded() {
    let everybody = (1..=501).map(|user| (Grantee::User(UserId(user)), AccessLevel::View)).collect();
    Framework::with(())
        .given_no_previous_events()
        .when_async(ResourcePermissionCommand::Replace { resource: resource(), grants: everybody })
        .await
        .then_expect_error(ResourcePermissionError::TooMany);
}

#[test]
fn the_state_can_be_kept_as_json() {
    let mut state = ResourcePermission::default();
    for event in [customized(), granted(ANN, AccessLevel::Edit), granted(EDITORS, AccessLevel::View)] {
        state.apply(event);
    }
    let kept = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<ResourcePermission>(&kept).unwrap(), state);
    assert!(Grantee::try_parse("user:x").is_err() && Grantee::try_parse("nobody").is_err());
}

#[test]
fn a_higher_level_has_a_higher_number() {
    assert!(AccessLevel::ALL.is_sorted_by_key(|level| level.number()));
    assert_eq!(AccessLevel::ALL.map(|level| AccessLevel::parse(level.as_str())), AccessLevel::ALL.map(Some));
    assert_eq!(AccessLevel::from_number(3), None);
}

#[tokio::test]
async fn a_list_of_its_own_is_changed_instead_of_the_defaults() {
    let given = [customized(), granted(ANN, AccessLevel::View)];
    for (command, events) in [
        (change(ANN, Some(AccessLevel::Admin)), vec![granted(ANN, AccessLevel::Admin)]),
        (change(ANN, None), vec![revoked(ANN)]),
        (change(ANN, Some(AccessLevel::View)), vec![]),
        (change(VIEWERS, None), vec![]),
    ] {
        assert_eq!(decided::<ResourcePermission>(&given, vec![command]).await, Ok(events));
    }
}

#[tokio::test]
async fn a_list_has_as_many_grants_as_it_may() {
    let grants: Grants =
        (1..).take(MAX_GRANTS).map(|user| (Grantee::User(UserId(user)), AccessLevel::View)).collect();
    let replace = ResourcePermissionCommand::Replace { resource: resource(), grants: grants.clone() };
    let one_more = ResourcePermissionCommand::Change {
        resource: resource(),
        defaults: Grants::new(),
        changes: [(VIEWERS, Some(AccessLevel::View))].into(),
    };
    let events = decided::<ResourcePermission>(&[], vec![replace]).await.unwrap();
    assert_eq!(
        folded::<ResourcePermission>(&events),
        ResourcePermission { resource: Some(resource()), grants }
    );
    let refused = decided::<ResourcePermission>(&events, vec![one_more]).await;
    assert_eq!(refused, Err(ResourcePermissionError::TooMany));
}

#[test]
fn the_creator_administers_what_has_no_list() {
    let by_role = Grants::from([(VIEWERS, AccessLevel::View), (EDITORS, AccessLevel::Edit)]);
    assert_eq!(default_grants(ResourceKind::Folder, None), by_role);
    let creator = default_grants(ResourceKind::Folder, Some(UserId(5)));
    assert_eq!((creator.len(), creator.get(&ANN)), (3, Some(&AccessLevel::Admin)));
}

#[test]
fn kinds_are_named_like_their_nouns() {
    for (noun, kind) in
        [("folder", Some(ResourceKind::Folder)), ("dashboard", Some(ResourceKind::Dashboard)), ("team", None)]
    {
        assert_eq!(ResourceKind::of_noun(noun), kind);
        assert!(kind.is_none_or(|kind| kind.as_str() == noun));
    }
}
