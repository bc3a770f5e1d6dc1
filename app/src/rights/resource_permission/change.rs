//! Changing permissions of folders and dashboards.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::rights::resource_permission::{
    Grantee, Grants, MAX_GRANTS, Resource, ResourceKind, ResourcePermission, ResourcePermissionCommand,
    ResourcePermissionError,
};
use kymograph_domain::{AccessLevel, OrgRole, TeamId, UserId};

use super::{AccessNode, ResourcePermissionReader, ResourcePermissions, guarded, write_permission};
use crate::kernel::ending::EndingListener;
use crate::kernel::error::Result;
use crate::rights::authorization::Guarded;
use crate::{Scope, Unit};

/// A grant that a client asks for. What names nobody, or more than one, is refused.
#[derive(Clone, Debug, Default)]
pub struct WantedGrant {
    /// A user or service account.
    pub user_id: Option<i64>,
    /// A team.
    pub team_id: Option<i64>,
    /// A role by name.
    pub role: Option<String>,
    /// The level; `None` takes away what is granted.
    pub level: Option<AccessLevel>,
}

/// The level that a client names; the empty name stands for none.
pub fn parse_level(name: &str) -> Result<Option<AccessLevel>> {
    match (name, AccessLevel::parse(name)) {
        ("", _) => Ok(None),
        (_, Some(level)) => Ok(Some(level)),
        (_, None) => Err(ResourcePermissionError::LevelInvalid(name.to_owned()).into()),
    }
}

impl ResourcePermissions {
    /// Makes these the permissions of a folder or dashboard, and no others.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn replace_permissions(
        &self,
        scope: &Scope,
        kind: ResourceKind,
        uid: &str,
        wanted: &[WantedGrant],
    ) -> Result<()> {
        self.change(scope, kind, uid, wanted, Unnamed::Dropped).await
    }

    /// Changes some permissions of a folder or dashboard and leaves the others as they are.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn change_permissions(
        &self,
        scope: &Scope,
        kind: ResourceKind,
        uid: &str,
        wanted: &[WantedGrant],
    ) -> Result<()> {
        self.change(scope, kind, uid, wanted, Unnamed::Kept).await
    }

    async fn change(
        &self,
        scope: &Scope,
        kind: ResourceKind,
        uid: &str,
        wanted: &[WantedGrant],
        unnamed: Unnamed,
    ) -> Result<()> {
        let described = self.ports.kinds.of(kind)?;
        let (uid, changes) = (&described.parse_uid(uid)?, &changes(wanted)?);
        self.commands
            .run(scope, |mut unit| async move {
                let found = described.load(&unit, uid).await?;
                let (id, folder) = found.ok_or_else(|| described.missing())?;
                let guarded = guarded(kind, uid, id, folder.as_ref());
                let permission = write_permission(kind);
                self.ports.authorization.require(scope, guarded, permission).await?;
                // An actor whose right is taken meanwhile must not give it back to itself.
                self.ports.authorization.rest_on_right(scope, &mut unit, kind, uid, permission)?;
                for grantee in changes.keys() {
                    self.must_exist(&unit, *grantee).await?;
                }
                let resource = Resource { kind, uid: uid.clone(), id };
                let command = match unnamed {
                    Unnamed::Dropped => {
                        ResourcePermissionCommand::Replace { resource, grants: given(changes) }
                    }
                    Unnamed::Kept => {
                        // The defaults of the root must not come along into a folder that is closed.
                        unit.rest_on(described.stays(scope.org(), uid, id, folder.as_ref()));
                        let defaults = self.defaults_of(scope, guarded, folder.is_none()).await?;
                        ResourcePermissionCommand::Change { resource, defaults, changes: changes.clone() }
                    }
                };
                let mut permission = unit.load::<ResourcePermission>(&id).await?;
                permission.tell(command).await?;
                unit.record(permission)?;
                Ok(unit.decided(()))
            })
            .await
    }

    async fn must_exist(&self, unit: &Unit<'_>, grantee: Grantee) -> Result<()> {
        match grantee {
            Grantee::User(id) if !self.ports.grantees.has_user(unit, id).await? => {
                Err(ResourcePermissionError::UserNotFound.into())
            }
            Grantee::Team(id) if !self.ports.grantees.has_team(unit, id).await? => {
                Err(ResourcePermissionError::TeamNotFound.into())
            }
            Grantee::User(_) | Grantee::Team(_) | Grantee::Role(_) => Ok(()),
        }
    }

    /// What holds for a folder or dashboard, which is at the root or is not, as long as it has no list.
    async fn defaults_of(&self, scope: &Scope, guarded: Guarded<'_>, is_root: bool) -> Result<Grants> {
        let nodes = self.ports.reader.find_access(scope, guarded).await?.nodes;
        match nodes.into_iter().next() {
            Some(node) => self.default_grants_of(scope, &AccessNode { is_root, ..node }).await,
            None => Ok(Grants::new()),
        }
    }
}

/// What becomes of grants that a change does not name.
#[derive(Clone, Copy, Debug)]
enum Unnamed {
    /// They are taken away.
    Dropped,
    /// They stay.
    Kept,
}

type Changes = BTreeMap<Grantee, Option<AccessLevel>>;

/// What changes give, without what they take away.
fn given(changes: &Changes) -> Grants {
    changes.iter().filter_map(|(grantee, level)| level.map(|level| (*grantee, level))).collect()
}

/// The wanted level by grantee, the last of a list if it names one several times. Clients send back inherited permissions
/// beside those that they read as granted here. As many can be taken away as can be given, and each is looked up before it is
/// decided how many there are in the end.
fn changes(wanted: &[WantedGrant]) -> Result<Changes, ResourcePermissionError> {
    if wanted.len() > 2 * MAX_GRANTS {
        return Err(ResourcePermissionError::TooMany);
    }
    let mut changes = Changes::new();
    for grant in wanted {
        changes.insert(grantee(grant)?, grant.level);
    }
    Ok(changes)
}

fn grantee(wanted: &WantedGrant) -> Result<Grantee, ResourcePermissionError> {
    // Clients send 0 and the empty text for what they do not mean.
    let user = wanted.user_id.filter(|id| *id != 0);
    let team = wanted.team_id.filter(|id| *id != 0);
    match (user, team, wanted.role.as_deref().filter(|role| !role.is_empty())) {
        (Some(id), None, None) => Ok(Grantee::User(UserId(id))),
        (None, Some(id), None) => Ok(Grantee::Team(TeamId(id))),
        (None, None, Some(role)) => match OrgRole::try_from_client(role) {
            Ok(OrgRole::None) => Err(ResourcePermissionError::RoleNone),
            Ok(role) => Ok(Grantee::Role(role)),
            Err(_) => Err(ResourcePermissionError::RoleInvalid(role.to_owned())),
        },
        _ => Err(ResourcePermissionError::GranteeUnclear),
    }
}

/// Takes away what is granted to members, service accounts and teams that end: who comes back has none of its old rights.
pub struct GrantEndings(Arc<dyn ResourcePermissionReader>);

impl GrantEndings {
    /// On this reader.
    #[must_use]
    pub fn new(reader: Arc<dyn ResourcePermissionReader>) -> Self {
        Self(reader)
    }

    async fn drop_grants(&self, unit: &mut Unit<'_>, scope: &Scope, grantee: Grantee) -> Result<()> {
        let ids = self.0.list_resources_of(scope, grantee).await?;
        let keys: Vec<_> = ids.iter().collect();
        for mut permission in unit.load_many_in::<ResourcePermission>(scope, &keys).await? {
            permission.tell(ResourcePermissionCommand::Drop(grantee)).await?;
            unit.record(permission)?;
        }
        Ok(())
    }
}

#[async_trait]
impl EndingListener for GrantEndings {
    async fn on_endings(&self, unit: &mut Unit<'_>, scope: &Scope, endings: &[Ending<'_>]) -> Result<()> {
        for ending in endings {
            match *ending {
                Ending::Member(id) | Ending::ServiceAccount(id) => {
                    self.drop_grants(unit, scope, Grantee::User(id)).await?;
                }
                Ending::Team(id) => self.drop_grants(unit, scope, Grantee::Team(id)).await?,
                // The lists of folders and dashboards go with them.
                Ending::Folder(_)
                | Ending::Dashboard(_)
                | Ending::DataSource(_)
                | Ending::User(_)
                | Ending::Inviter(_)
                | Ending::Org => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_grants_are_looked_up_and_no_more() {
        let wanted = |count: i64| -> Vec<_> {
            (1..=count).map(|id| WantedGrant { user_id: Some(id), ..WantedGrant::default() }).collect()
        };
        assert_eq!(changes(&wanted(1000)).unwrap().len(), 2 * MAX_GRANTS);
        assert_eq!(changes(&wanted(1001)), Err(ResourcePermissionError::TooMany));
    }

    #[test]
    fn of_what_is_said_of_somebody_the_last_counts() {
        let wanted = |level| WantedGrant { user_id: Some(1), level, ..WantedGrant::default() };
        let [view, edit] = [AccessLevel::View, AccessLevel::Edit].map(Some);
        let user = Grantee::User(UserId(1));
        for (list, level) in [([view, view], view), ([view, edit], edit), ([edit, None], None)] {
            assert_eq!(changes(&list.map(wanted)), Ok(Changes::from([(user, level)])));
        }
    }
}
