use cqrs_es::test::TestFramework;

use super::*;
use crate::account::membership::Membership;
use crate::kernel::testing::{decided, folded};

type Framework = TestFramework<Team>;
const ID: TeamId = TeamId(3);

fn created() -> TeamEvent {
    let uid = Uid::try_new("t1").unwrap();
    TeamCreated { id: ID, uid, name: "Ops".into(), email: String::new() }.into()
}

fn added(user: i64, permission: TeamPermission) -> TeamEvent {
    TeamMemberAdded { id: ID, user_id: UserId(user), permission }.into()
}

#[tokio::test]
async fn a_user_is_added_once() {
    let add = TeamCommand::AddMember { user_id: UserId(1), permission: TeamPermission::Member };
    Framework::with(())
        .given(vec![created()])
        .when_async(add.clone())
        .await
        .then_expect_events(vec![added(1, TeamPermission::Member)]);
    Framework::with(())
        .given(vec![created(), added(1, TeamPermission::Admin)])
        .when_async(add)
        .await
        .then_expect_error(TeamError::AlreadyMember);
}

#[tokio::test]
async fn setting_members_changes_what_differs_and_no_more() {
    let wanted = [(2, TeamPermission::Admin), (3, TeamPermission::Member), (4, TeamPermission::Member)];
    let wanted = wanted.into_iter().map(|(user, permission)| (UserId(user), permission)).collect();
    let members = [1, 2, 3].map(|user| added(user, TeamPermission::Member));
    Framework::with(())
        .given([vec![created()], members.to_vec()].concat())
        .when_async(TeamCommand::SetMembers(wanted))
        .await
        .then_expect_events(vec![
            TeamMemberRemoved { id: ID, user_id: UserId(1) }.into(),
            TeamPermissionChanged { id: ID, user_id: UserId(2), permission: TeamPermission::Admin }.into(),
            added(4, TeamPermission::Member),
        ]);
}

#[tokio::test]
async fn is_bounded() {
    let everybody = (1..=5000).map(|user| added(user, TeamPermission::Member));
    Framework::with(())
        .given(std::iter::once(created()).chain(everybody).collect())
        .when_async(TeamCommand::AddMember { user_id: UserId(5001), permission: TeamPermission::Member })
        .await
        .then_expect_error(TeamError::TooManyMembers);
}

#[tokio::test]
async fn the_same_again_is_no_event_and_a_blank_name_is_refused() {
    let update = |name: &str| TeamCommand::Update { name: Some(name.to_owned()), email: Some(String::new()) };
    Framework::with(()).given(vec![created()]).when_async(update("Ops")).await.then_expect_events(vec![]);
    Framework::with(())
        .given(vec![created()])
        .when_async(update(" "))
        .await
        .then_expect_error(TeamError::NameEmpty);
}

#[tokio::test]
async fn a_deleted_one_is_gone() {
    Framework::with(())
        .given(vec![created(), TeamDeleted { id: ID }.into()])
        .when_async(TeamCommand::Delete)
        .await
        .then_expect_error(TeamError::NotFound);
}

#[test]
fn the_state_can_be_kept_as_json() {
    let mut team = Team::default();
    team.apply(created());
    team.apply(added(7, TeamPermission::Admin));
    let kept = serde_json::to_string(&team).unwrap();
    assert_eq!(serde_json::from_str::<Team>(&kept).unwrap(), team);
}

fn removed(user: i64) -> TeamEvent {
    TeamMemberRemoved { id: ID, user_id: UserId(user) }.into()
}

fn permitted(user: i64, permission: TeamPermission) -> TeamEvent {
    TeamPermissionChanged { id: ID, user_id: UserId(user), permission }.into()
}

fn updated(name: &str, email: &str) -> TeamEvent {
    TeamUpdated { id: ID, name: name.into(), email: email.into() }.into()
}

fn update(name: Option<&str>, email: Option<&str>) -> TeamCommand {
    TeamCommand::Update { name: name.map(str::to_owned), email: email.map(str::to_owned) }
}

const MEMBER: TeamPermission = TeamPermission::Member;
const ADMIN: TeamPermission = TeamPermission::Admin;

#[tokio::test]
async fn there_is_one_of_an_id() {
    let TeamEvent::Created(creation) = created() else { panic!() };
    let create = || vec![TeamCommand::Create(creation.clone())];
    assert_eq!(decided::<Team>(&[], create()).await, Ok(vec![created()]));
    assert_eq!(decided::<Team>(&[created()], create()).await, Err(TeamError::NameTaken));
}

#[tokio::test]
async fn name_and_address_can_be_seen_and_have_limits() {
    let TeamEvent::Created(creation) = created() else { panic!() };
    let (longest, long) = ("x".repeat(MAX_NAME_BYTES), "x".repeat(MAX_NAME_BYTES + 1));
    for (name, email, expected) in [
        (longest.as_str(), longest.as_str(), Ok(())),
        ("Ops", "", Ok(())),
        ("", "ops@x", Err(TeamError::NameEmpty)),
        (&long, "", Err(TeamError::TextTooLong)),
        ("Ops", &long, Err(TeamError::TextTooLong)),
        ("O\u{200B}ps", "", Err(TeamError::TextHidden)),
        ("Ops", "ops\n@x", Err(TeamError::TextHidden)),
    ] {
        let create = TeamCommand::Create(TeamCreated {
            name: name.to_owned(),
            email: email.to_owned(),
            ..creation.clone()
        });
        let update = update(Some(name), Some(email));
        assert_eq!(decided::<Team>(&[], vec![create]).await.map(drop), expected);
        assert_eq!(decided::<Team>(&[created()], vec![update]).await.map(drop), expected);
    }
}

#[tokio::test]
async fn what_is_left_out_of_an_update_stays() {
    let given = [created(), updated("Ops", "ops@x")];
    for (command, events) in [
        (update(Some("Net"), None), vec![updated("Net", "ops@x")]),
        (update(None, Some("net@x")), vec![updated("Ops", "net@x")]),
        (update(None, None), vec![]),
    ] {
        assert_eq!(decided::<Team>(&given, vec![command]).await, Ok(events));
    }
}

#[tokio::test]
async fn only_members_are_let_go_or_given_another_permission() {
    let given = [created(), added(1, MEMBER)];
    let change = |user, permission| TeamCommand::ChangePermission { user_id: UserId(user), permission };
    for (command, expected) in [
        (change(1, ADMIN), Ok(vec![permitted(1, ADMIN)])),
        (change(1, MEMBER), Ok(vec![])),
        (change(2, ADMIN), Err(TeamError::NotMember)),
        (TeamCommand::RemoveMember(UserId(1)), Ok(vec![removed(1)])),
        (TeamCommand::RemoveMember(UserId(2)), Err(TeamError::NotMember)),
    ] {
        assert_eq!(decided::<Team>(&given, vec![command]).await, expected);
    }
    let team: Team =
        folded(&[created(), added(1, MEMBER), added(2, MEMBER), permitted(1, ADMIN), removed(2)]);
    assert_eq!(team.members, TeamMembers::from([(UserId(1), ADMIN)]));
}

#[tokio::test]
async fn has_as_many_members_as_it_may_and_no_more() {
    let everybody =
        |count: usize| -> TeamMembers { (1..).take(count).map(|user| (UserId(user), MEMBER)).collect() };
    let set = |count| vec![TeamCommand::SetMembers(everybody(count))];
    assert_eq!(decided::<Team>(&[created()], set(MAX_MEMBERS)).await.unwrap().len(), MAX_MEMBERS);
    let too_many = decided::<Team>(&[created()], set(MAX_MEMBERS + 1)).await;
    assert_eq!(too_many, Err(TeamError::TooManyMembers));
    let mut commands = set(MAX_MEMBERS - 1);
    commands.push(TeamCommand::AddMember { user_id: UserId(9000), permission: MEMBER });
    assert!(decided::<Team>(&[created()], commands).await.is_ok());
}

#[tokio::test]
async fn ends_when_it_is_deleted() {
    let deleted = decided::<Team>(&[created()], vec![TeamCommand::Delete]).await.unwrap();
    assert_eq!(deleted, [TeamDeleted { id: ID }.into()]);
    assert_eq!(deleted[0].ending(), Some(Ending::Team(ID)));
    for event in [created(), updated("Net", ""), added(1, MEMBER), permitted(1, ADMIN), removed(1)] {
        assert_eq!(event.ending(), None);
    }
}

#[tokio::test]
async fn comes_back_with_its_name_and_members() {
    let events = [
        created(),
        updated("Net", "net@x"),
        added(1, ADMIN),
        updated("Disks", "disks@x"),
        removed(1),
        added(2, MEMBER),
        TeamDeleted { id: ID }.into(),
    ];
    let [past, now, gone] = [3, 6, 7].map(|count| folded::<Team>(&events[..count]));
    assert_eq!((now.title(), now.exists(), gone.exists()), (Some("Disks"), true, false));
    assert!(gone.members.is_empty());
    let members = [removed(2), added(1, ADMIN)];
    let commands = now.restoration(&past, &events[..3], 1).unwrap();
    let back = decided::<Team>(&events[..6], commands).await.unwrap();
    assert_eq!(back, [&[updated("Net", "net@x")], &members[..]].concat());
    let commands = gone.restoration(&past, &events[..3], 1).unwrap();
    let back = decided::<Team>(&events, commands).await.unwrap();
    let TeamEvent::Created(creation) = created() else { panic!() };
    let anew = TeamCreated { name: "Net".into(), email: "net@x".into(), ..creation };
    assert_eq!(back, [anew.into(), added(1, ADMIN)]);
    assert!(gone.restoration(&past, &events[1..3], 1).is_none());
}

#[test]
fn refers_to_the_memberships_of_its_members() {
    let membership = |user| Membership::stream_id(&UserId(user));
    let team: Team = folded(&[created(), added(1, MEMBER), added(2, MEMBER)]);
    assert_eq!(team.references(), [membership(1), membership(2)]);
    let members = [(1, ADMIN), (2, MEMBER), (3, MEMBER)];
    let members: TeamMembers = members.into_iter().map(|(user, is)| (UserId(user), is)).collect();
    let mut commands = [TeamCommand::SetMembers(members), TeamCommand::Delete];
    assert_eq!(team.changed_references(&commands), [membership(1), membership(3)]);
    team.leave_out(&mut commands, &HashSet::from([membership(1), membership(3)]));
    let [TeamCommand::SetMembers(left), TeamCommand::Delete] = &commands else { panic!() };
    assert_eq!(*left, team.members);
}
