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

/// A grant in a client's request. It is refused unless it names exactly one grantee.
#[derive(Clone, Debug, Default)]
pub struct WantedGrant {
    /// A user or service account.
    pub user_id: Option<i64>,
    /// A team.
    pub team_id: Option<i64>,
    /// A role by name.
    pub role: Option<String>,
    /// The access level; `None` revokes the grant.
    pub level: Option<AccessLevel>,
}

/// The access level with this name; `None` for the empty name.
pub fn parse_level(name: &str) -> Result<Option<AccessLevel>> {
    match (name, AccessLevel::parse(name)) {
        ("", _) => Ok(None),
        (_, Some(level)) => Ok(Some(level)),
        (_, None) => Err(ResourcePermissionError::LevelInvalid(name.to_owned()).into()),
    }
}

impl ResourcePermissions {
    /// Replaces all permissions of a folder or dashboard.
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

    /// Changes some permissions of a folder or dashboard and keeps the others.
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
                // An actor whose permission is revoked in the meantime must not grant it to itself again.
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
                        // The defaults of the root must not be copied into a restricted folder.
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

    /// The defaults of a folder or dashboard without an access-control list, depending on whether it is at the root.
    async fn defaults_of(&self, scope: &Scope, guarded: Guarded<'_>, is_root: bool) -> Result<Grants> {
        let nodes = self.ports.reader.find_access(scope, guarded).await?.nodes;
        match nodes.into_iter().next() {
            Some(node) => self.default_grants_of(scope, &AccessNode { is_root, ..node }).await,
            None => Ok(Grants::new()),
        }
    }
}

/// The treatment of existing grants that a change does not name.
#[derive(Clone, Copy, Debug)]
enum Unnamed {
    /// They are revoked.
    Dropped,
    /// They are kept.
    Kept,
}

type Changes = BTreeMap<Grantee, Option<AccessLevel>>;

/// The grants of changes, without the revocations.
fn given(changes: &Changes) -> Grants {
    changes.iter().filter_map(|(grantee, level)| level.map(|level| (*grantee, level))).collect()
}

/// The wanted level by grantee; the last one counts if a grantee is named several times. Clients send back inherited
/// permissions in addition to the resource's own. As many grants can be revoked as can be given, and each grantee is
/// looked up before the final number of grants is known.
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
    // Clients send 0 and the empty text for fields without a value.
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

/// Revokes the grants of members, service accounts and teams that end: those who come back have none of their old
/// rights.
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
                // The lists of folders and dashboards end with them.
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
