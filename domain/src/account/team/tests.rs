use cqrs_es::test::TestFramework;

use super::*;

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
