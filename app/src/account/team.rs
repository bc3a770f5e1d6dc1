//! Teams: creating, changing, deleting and reading them, and their members.

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_es::Aggregate;
use kymograph_domain::account::membership::Membership;
use kymograph_domain::account::team::{
    MAX_MEMBERS, Team, TeamCommand, TeamCreated, TeamError, TeamMembers, TeamPermission,
};
use kymograph_domain::account::user::{User, UserError};
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::kernel::text::fold;
use kymograph_domain::{OrgId, TeamId, Uid, UserId};

use crate::account::membership::MembershipReader;
use crate::kernel::ending::{EndingListener, Endings};
use crate::kernel::error::Result;
use crate::kernel::history::{HistoryOf, KeyOf};
use crate::kernel::id_allocator::{IdAllocator, IdKind};
use crate::kernel::noun::Noun;
use crate::kernel::random::random_uid;
use crate::{Commands, Page, Permission, Scope, Unit};

/// A team as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamView {
    /// The org that owns it.
    pub org_id: OrgId,
    /// The id.
    pub id: TeamId,
    /// The uid.
    pub uid: Uid,
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
    /// The number of its members.
    pub member_count: i64,
    /// The actor's permission on the team as a member; `None` for a non-member.
    pub own_permission: Option<TeamPermission>,
}

/// A member of a team as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamMemberView {
    /// The user.
    pub user_id: UserId,
    /// The user's uid.
    pub uid: String,
    /// The user's login.
    pub login: String,
    /// The user's e-mail address.
    pub email: String,
    /// The user's name.
    pub name: String,
    /// The user's permission on the team.
    pub permission: TeamPermission,
}

/// The filter of a search for teams.
#[derive(Clone, Debug, Default)]
pub struct TeamFilter {
    /// With exactly this name; empty for any.
    pub name: String,
    /// With this text in their name, in any case.
    pub query: String,
}

/// Reads teams.
#[async_trait]
pub trait TeamReader: Send + Sync {
    /// The team of that id.
    async fn find_team(&self, scope: &Scope, id: TeamId) -> Result<Option<TeamView>>;
    /// The id of the team of that uid.
    async fn find_team_id(&self, scope: &Scope, uid: &Uid) -> Result<Option<TeamId>>;
    /// The teams that match a filter, by name.
    async fn search_teams(&self, scope: &Scope, filter: &TeamFilter, page: Page) -> Result<Vec<TeamView>>;
    /// The total number of teams that match a filter.
    async fn count_teams(&self, scope: &Scope, filter: &TeamFilter) -> Result<i64>;
    /// The members of a team, by login.
    async fn list_team_members(&self, scope: &Scope, id: TeamId) -> Result<Vec<TeamMemberView>>;
    /// The teams that a user is a member of, by name.
    async fn list_teams_of_user(&self, scope: &Scope, user: UserId) -> Result<Vec<TeamView>>;
}

/// A team to create.
#[derive(Clone, Debug)]
pub struct NewTeam {
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}

/// The wanted members of a team, by login or e-mail address.
#[derive(Clone, Debug, Default)]
pub struct WantedMembers {
    /// The admins of the team.
    pub admins: Vec<String>,
    /// The other members.
    pub members: Vec<String>,
}

/// The history of teams.
pub const HISTORY: HistoryOf = HistoryOf {
    noun: Team::TYPE,
    missing: "Team not found",
    key: KeyOf::Number,
    read: Some(Permission::TEAMS_READ),
    write: Some(Permission::TEAMS_PERMISSIONS_WRITE),
    create: Some(Permission::TEAMS_CREATE),
};

impl Noun for Team {
    fn require_undo(scope: &Scope, _: &str, is_there: bool) -> Result<()> {
        scope.require(if is_there { Permission::TEAMS_WRITE } else { Permission::TEAMS_CREATE })?;
        scope.require(Permission::TEAMS_PERMISSIONS_WRITE)
    }
}

/// The use cases of teams.
pub struct Teams {
    commands: Commands,
    reader: Arc<dyn TeamReader>,
    memberships: Arc<dyn MembershipReader>,
    endings: Endings,
    ids: Arc<dyn IdAllocator>,
}

impl Teams {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(
        commands: Commands,
        reader: Arc<dyn TeamReader>,
        memberships: Arc<dyn MembershipReader>,
        endings: Endings,
        ids: Arc<dyn IdAllocator>,
    ) -> Self {
        Self { commands, reader, memberships, endings, ids }
    }

    /// Creates a team. The creator becomes its admin, if it is a member of the org. Returns id and uid.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn create_team(&self, scope: &Scope, new: &NewTeam) -> Result<(TeamId, Uid)> {
        scope.require(Permission::TEAMS_CREATE)?;
        let uid = &random_uid()?;
        self.commands
            .run(scope, |mut unit| async move {
                let id = TeamId(self.ids.next_id(scope.org(), IdKind::Object).await?);
                let mut team = unit.load::<Team>(&id).await?;
                let (name, email) = (new.name.trim().to_owned(), new.email.trim().to_owned());
                team.tell(TeamCommand::Create(TeamCreated { id, uid: uid.clone(), name, email })).await?;
                let user_id = scope.actor().user_id;
                // A server admin of another org and a service account belong to no team.
                if unit.load::<Membership>(&user_id).await?.exists {
                    team.tell(TeamCommand::AddMember { user_id, permission: TeamPermission::Admin }).await?;
                }
                unit.record(team)?;
                Ok(unit.decided((id, uid.clone())))
            })
            .await
    }

    /// Changes a team's name or e-mail address; `None` keeps a value.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn update_team(
        &self,
        scope: &Scope,
        team: &str,
        name: Option<&str>,
        email: Option<&str>,
    ) -> Result<()> {
        scope.require(Permission::TEAMS_WRITE)?;
        let trimmed = |text: &str| text.trim().to_owned();
        self.tell(scope, team, TeamCommand::Update { name: name.map(trimmed), email: email.map(trimmed) })
            .await
    }

    /// Deletes a team with its grants. Its members stay members of the org.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn delete_team(&self, scope: &Scope, team: &str) -> Result<()> {
        scope.require(Permission::TEAMS_DELETE)?;
        let id = &resolve_team(&*self.reader, scope, team).await?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut team = unit.load::<Team>(id).await?;
                team.tell(TeamCommand::Delete).await?;
                self.endings.tell(&mut unit, scope, &[Ending::Team(*id)]).await?;
                unit.record(team)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Makes a user a member of a team, which has no effect while the user is not a member of the org.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn add_team_member(&self, scope: &Scope, team: &str, user_id: UserId) -> Result<()> {
        scope.require(Permission::TEAMS_PERMISSIONS_WRITE)?;
        let id = &resolve_team(&*self.reader, scope, team).await?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut team = unit.load::<Team>(id).await?;
                if team.exists && !unit.load_from_server::<User>(&user_id).await?.exists {
                    return Err(TeamError::UserNotFound.into());
                }
                team.tell(TeamCommand::AddMember { user_id, permission: TeamPermission::Member }).await?;
                unit.record(team)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Changes the permission of a member of a team.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn update_team_member(
        &self,
        scope: &Scope,
        team: &str,
        user_id: UserId,
        permission: TeamPermission,
    ) -> Result<()> {
        scope.require(Permission::TEAMS_PERMISSIONS_WRITE)?;
        self.tell(scope, team, TeamCommand::ChangePermission { user_id, permission }).await
    }

    /// Removes a member from a team.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn remove_team_member(&self, scope: &Scope, team: &str, user_id: UserId) -> Result<()> {
        scope.require(Permission::TEAMS_PERMISSIONS_WRITE)?;
        self.tell(scope, team, TeamCommand::RemoveMember(user_id)).await
    }

    /// Replaces the members of a team. A user named in both lists becomes an admin of it.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn set_team_members(&self, scope: &Scope, team: &str, wanted: &WantedMembers) -> Result<()> {
        scope.require(Permission::TEAMS_PERMISSIONS_WRITE)?;
        let members = self.resolve_members(scope, wanted).await?;
        self.tell(scope, team, TeamCommand::SetMembers(members)).await
    }

    async fn resolve_members(&self, scope: &Scope, wanted: &WantedMembers) -> Result<TeamMembers> {
        let WantedMembers { admins, members } = wanted;
        if admins.len() + members.len() > 2 * MAX_MEMBERS {
            return Err(TeamError::TooManyMembers.into());
        }
        let named = members.iter().map(|login| (login, TeamPermission::Member));
        let named = named.chain(admins.iter().map(|login| (login, TeamPermission::Admin)));
        let named: Vec<_> = named.map(|(login, permission)| (fold(login), permission)).collect();
        let names: Vec<_> = named.iter().map(|(name, _)| name.clone()).collect();
        let found = self.memberships.find_members_by_name(scope, &names).await?;
        let user = |name| found.get(name).copied().ok_or(TeamError::UserNotFound);
        let members = named.iter().map(|(login, permission)| Ok((user(login)?, *permission)));
        Ok(members.collect::<Result<_, TeamError>>()?)
    }

    async fn tell(&self, scope: &Scope, team: &str, command: TeamCommand) -> Result<()> {
        let id = &resolve_team(&*self.reader, scope, team).await?;
        let command = &command;
        self.commands
            .run(scope, |mut unit| async move {
                let mut team = unit.load::<Team>(id).await?;
                team.tell(command.clone()).await?;
                unit.record(team)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Reads a team.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_team(&self, scope: &Scope, team: &str) -> Result<TeamView> {
        scope.require(Permission::TEAMS_READ)?;
        let id = resolve_team(&*self.reader, scope, team).await?;
        self.reader.find_team(scope, id).await?.ok_or_else(|| TeamError::NotFound.into())
    }

    /// Searches the teams of the org; returns a page of them with their total number.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn search_teams(
        &self,
        scope: &Scope,
        filter: &TeamFilter,
        page: Page,
    ) -> Result<(Vec<TeamView>, i64)> {
        scope.require(Permission::TEAMS_READ)?;
        let teams = self.reader.search_teams(scope, filter, page).await?;
        Ok((teams, self.reader.count_teams(scope, filter).await?))
    }

    /// Lists the members of a team; also returns the team.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_team_members(
        &self,
        scope: &Scope,
        team: &str,
    ) -> Result<(TeamView, Vec<TeamMemberView>)> {
        scope.require(Permission::TEAMS_PERMISSIONS_READ)?;
        let id = resolve_team(&*self.reader, scope, team).await?;
        let team = self.reader.find_team(scope, id).await?.ok_or(TeamError::NotFound)?;
        Ok((team, self.reader.list_team_members(scope, id).await?))
    }

    /// Lists the teams of the scope's org that the actor is a member of, which needs no permission.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_own_teams(&self, scope: &Scope) -> Result<Vec<TeamView>> {
        self.reader.list_teams_of_user(scope, scope.actor().user_id).await
    }

    /// Lists the teams of the scope's org that a member of the org belongs to.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_teams_of_user(&self, scope: &Scope, user: UserId) -> Result<Vec<TeamView>> {
        scope.require(Permission::TEAMS_READ)?;
        let orgs = self.memberships.list_orgs_of_user(user).await?;
        // An admin of this org must not learn whether a user exists in other orgs.
        if !orgs.iter().any(|org| org.org_id == scope.org()) {
            return Err(UserError::NotFound.into());
        }
        self.reader.list_teams_of_user(scope, user).await
    }
}

/// The team that a client identifies by id or by uid. An id is not checked.
pub(crate) async fn resolve_team(reader: &dyn TeamReader, scope: &Scope, team: &str) -> Result<TeamId> {
    if let Ok(id) = team.parse() {
        return Ok(TeamId(id));
    }
    let uid = Uid::try_new(team).map_err(|_| TeamError::NotFound)?;
    Ok(reader.find_team_id(scope, &uid).await?.ok_or(TeamError::NotFound)?)
}

/// Removes members who leave an org from its teams: those who come back are in none of them.
pub struct TeamEndings(Arc<dyn TeamReader>);

impl TeamEndings {
    /// On this reader.
    #[must_use]
    pub fn new(reader: Arc<dyn TeamReader>) -> Self {
        Self(reader)
    }
}

#[async_trait]
impl EndingListener for TeamEndings {
    async fn on_endings(&self, unit: &mut Unit<'_>, scope: &Scope, endings: &[Ending<'_>]) -> Result<()> {
        for ending in endings {
            let Ending::Member(user) = ending else { continue };
            for view in self.0.list_teams_of_user(scope, *user).await? {
                let mut team = unit.load_in::<Team>(scope, &view.id).await?;
                // The log is ahead of the projection: a team that the user has left since the listing is skipped.
                if team.members.contains_key(user) {
                    team.tell(TeamCommand::RemoveMember(*user)).await?;
                    unit.record(team)?;
                }
            }
        }
        Ok(())
    }
}
