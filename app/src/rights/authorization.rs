//! Authorization on folders, dashboards and data sources.
//!
//! Everything else is allowed by role, see [`crate::kernel::permission`]. An actor's access level on a resource is the
//! highest level that its own access-control list, or that of any folder above it, grants to the user, to one of the
//! user's teams or to the user's role. The lists are cached, so that a warm read needs no query; see
//! `docs/adr/0011-rights-on-resources.md`.

use std::sync::{Arc, LazyLock};

use kymograph_domain::rights::resource_permission::{Grantee, ResourceKind};
use kymograph_domain::{AccessLevel, OrgRole, TeamId, Timestamp, Uid, UserId};

use crate::kernel::error::{Error, Result};
use crate::kernel::scope::denied;
use crate::rights::resource_permission::ResourcePermissionReader;
use crate::{Permission, Scope, Unit, permissions};

/// A folder, dashboard or data source, by the keys that find the access-control lists that apply to it.
#[derive(Clone, Copy, Debug)]
pub enum Guarded<'a> {
    /// A folder.
    Folder(&'a Uid),
    /// A dashboard.
    Dashboard {
        /// The numeric id.
        id: i64,
        /// The folder it is in.
        folder: Option<&'a Uid>,
    },
    /// A dashboard in the trash, by its numeric id. Its parent is the folder that it was deleted from, as long as that
    /// one exists, and not a later folder with the same uid. A dashboard that is not in the trash has no parent here.
    Trashed(i64),
    /// A data source, by its numeric id.
    DataSource(i64),
}

/// A grant as it was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredGrant {
    /// The grantee.
    pub grantee: Grantee,
    /// The access level.
    pub level: AccessLevel,
    /// The position in the org's log of the event that set it.
    pub position: i64,
    /// When it was first granted.
    pub created: Timestamp,
    /// When its level was last changed.
    pub updated: Timestamp,
}

/// The access settings of one folder or dashboard itself.
#[derive(Clone, Debug)]
pub struct OwnAccess {
    /// Its access-control list; `None` as long as the defaults apply.
    pub grants: Option<Vec<StoredGrant>>,
    /// The creator.
    pub creator: UserId,
    /// When it was created.
    pub created: Timestamp,
}

/// A folder or dashboard on the path to the root.
#[derive(Clone, Debug)]
pub struct AccessNode {
    /// The kind of the resource.
    pub kind: ResourceKind,
    /// Its own access settings.
    pub own: Arc<OwnAccess>,
    /// Whether it is at the root.
    pub is_root: bool,
}

/// All data that determines an actor's access level on a folder or dashboard.
#[derive(Clone, Debug)]
pub struct AccessFacts {
    /// The resource and the folders above it, itself first.
    pub nodes: Vec<AccessNode>,
    /// The teams that the actor is a member of.
    pub teams: Arc<[TeamId]>,
}

/// A filter for the folders and dashboards that an actor may access, for the statements that list them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContentFilter {
    /// Whether it admits all; the other fields then have no effect.
    pub is_unlimited: bool,
    /// The required access level.
    pub level: AccessLevel,
    /// The grantees that count in addition to the actor's teams, in stored form.
    pub grantees: Vec<String>,
    /// The actor's access level at the root where no list is set; `None` without access.
    pub default_level: Option<AccessLevel>,
    /// The actor, if it is a member of the org: others have no rights of a team or of a creator.
    pub member: Option<UserId>,
    /// The actor has the rights of a creator on its resources created since then; `None` if on none.
    pub creator_since: Option<Timestamp>,
}

impl ContentFilter {
    /// The filter for resources on which the actor has this access level.
    #[must_use]
    pub fn of(scope: &Scope, level: AccessLevel) -> Self {
        let user = scope.actor().user_id;
        let roles = [OrgRole::Viewer, OrgRole::Editor].into_iter().filter(|role| *role <= scope.role());
        let grantees = std::iter::once(Grantee::User(user)).chain(roles.map(Grantee::Role));
        Self {
            is_unlimited: scope.administers_content(),
            level,
            grantees: grantees.map(String::from).collect(),
            default_level: default_level(ResourceKind::Folder, scope.role()),
            member: scope.member_since().map(|_| user),
            creator_since: scope.member_since(),
        }
    }
}

/// Decides about access to folders, dashboards and data sources.
pub struct Authorization {
    reader: Arc<dyn ResourcePermissionReader>,
}

impl Authorization {
    /// An authorization on this port.
    #[must_use]
    pub fn new(reader: Arc<dyn ResourcePermissionReader>) -> Self {
        Self { reader }
    }

    /// The actor's access level on an existing folder or dashboard; `None` without access.
    pub async fn level(&self, scope: &Scope, guarded: Guarded<'_>) -> Result<Option<AccessLevel>> {
        if scope.administers_content() {
            return Ok(Some(AccessLevel::Admin));
        }
        let facts = self.reader.find_access(scope, guarded).await?;
        Ok(facts.nodes.iter().filter_map(|node| node_level(scope, &facts.teams, node)).max())
    }

    /// Fails unless the actor has a permission on a folder or dashboard; returns its access level.
    pub async fn require(
        &self,
        scope: &Scope,
        guarded: Guarded<'_>,
        permission: Permission,
    ) -> Result<AccessLevel> {
        let needed = needed(guarded.kind(), permission)?;
        let allowed = self.level(scope, guarded).await?;
        allowed.filter(|allowed| *allowed >= needed).ok_or_else(|| denied(permission))
    }

    /// Whether the folder that a dashboard was deleted from exists, so that the dashboard can be restored there.
    pub async fn has_folder(&self, scope: &Scope, trashed: i64) -> Result<bool> {
        Ok(self.reader.find_access(scope, Guarded::Trashed(trashed)).await?.nodes.len() > 1)
    }

    /// Fails unless the actor may put something into a folder, or at the root, where the role decides.
    pub async fn require_place(
        &self,
        scope: &Scope,
        folder: Option<&Uid>,
        permission: Permission,
    ) -> Result<()> {
        match folder {
            _ if scope.administers_content() => Ok(()),
            Some(folder) => self.require(scope, Guarded::Folder(folder), permission).await.map(drop),
            None => scope.require(permission),
        }
    }

    /// The same for a unit of work, now and at the commit.
    pub(crate) async fn require_place_in(
        &self,
        scope: &Scope,
        unit: &mut Unit<'_>,
        folder: Option<&Uid>,
        permission: Permission,
    ) -> Result<()> {
        self.require_place(scope, folder, permission).await?;
        if let Some(folder) = folder {
            self.rest_on_right(scope, unit, ResourceKind::Folder, folder, permission)?;
        }
        Ok(())
    }

    /// Makes a commit depend on the actor's permission on a folder or dashboard. An actor who administers all of them
    /// has it by its role, which is checked separately.
    pub(crate) fn rest_on_right(
        &self,
        scope: &Scope,
        unit: &mut Unit<'_>,
        kind: ResourceKind,
        uid: &Uid,
        permission: Permission,
    ) -> Result<()> {
        if !scope.administers_content() {
            let filter = ContentFilter::of(scope, needed(kind, permission)?);
            unit.rest_on(self.reader.still_allowed(scope.org(), kind, uid, filter));
        }
        Ok(())
    }

    /// The same for a dashboard in the trash.
    pub(crate) fn rest_on_right_in_trash(
        &self,
        scope: &Scope,
        unit: &mut Unit<'_>,
        uid: &Uid,
        permission: Permission,
    ) -> Result<()> {
        if !scope.administers_content() {
            let filter = ContentFilter::of(scope, needed(ResourceKind::Dashboard, permission)?);
            unit.rest_on(self.reader.still_allowed_in_trash(scope.org(), uid, filter));
        }
        Ok(())
    }
}

fn node_level(scope: &Scope, teams: &[TeamId], node: &AccessNode) -> Option<AccessLevel> {
    let OwnAccess { grants, creator, created } = &*node.own;
    let (user, role) = (scope.actor().user_id, scope.role());
    // Members of a team are not always members of its org.
    let is_member = scope.member_since().is_some();
    match grants {
        Some(grants) => {
            let own = grants.iter().filter(|grant| match grant.grantee {
                Grantee::User(granted) => granted == user,
                Grantee::Team(team) => is_member && teams.contains(&team),
                Grantee::Role(granted) => granted <= role,
            });
            own.map(|grant| grant.level).max()
        }
        None if !node.is_root => None,
        // A user who left the org and came back has lost its grants, and with them the rights of a creator.
        None if *creator == user && scope.member_since().is_some_and(|since| since <= *created) => {
            Some(AccessLevel::Admin)
        }
        None => default_level(node.kind, role),
    }
}

fn default_level(kind: ResourceKind, role: OrgRole) -> Option<AccessLevel> {
    let granted = kind.default_grants().into_iter().filter(|(grantee, _)| match grantee {
        Grantee::Role(granted) => *granted <= role,
        Grantee::User(_) | Grantee::Team(_) => false,
    });
    granted.map(|(_, level)| level).max()
}

impl Guarded<'_> {
    fn kind(self) -> ResourceKind {
        match self {
            Self::Folder(_) => ResourceKind::Folder,
            Self::Dashboard { .. } | Self::Trashed(_) => ResourceKind::Dashboard,
            Self::DataSource(_) => ResourceKind::DataSource,
        }
    }
}

/// The access level that a permission requires on a kind of resource; `None` if it does not apply to the kind.
fn level_on(permission: Permission, kind: ResourceKind) -> Option<AccessLevel> {
    match kind {
        ResourceKind::Folder => permission.on_folder,
        ResourceKind::Dashboard => permission.on_dashboard,
        ResourceKind::DataSource => permission.on_data_source,
    }
}

/// The access level that a permission requires on a kind of resource. Fails if it does not apply to the kind.
fn needed(kind: ResourceKind, permission: Permission) -> Result<AccessLevel> {
    let level = level_on(permission, kind);
    level.ok_or_else(|| {
        Error::internal(format!("{} is not a permission on a {}", permission.action(), kind.as_str()))
    })
}

static ON_FOLDER: LazyLock<Vec<Permission>> = LazyLock::new(|| by_level(ResourceKind::Folder));
static ON_DASHBOARD: LazyLock<Vec<Permission>> = LazyLock::new(|| by_level(ResourceKind::Dashboard));
static ON_DATA_SOURCE: LazyLock<Vec<Permission>> = LazyLock::new(|| by_level(ResourceKind::DataSource));

fn by_level(kind: ResourceKind) -> Vec<Permission> {
    let mut on: Vec<_> = permissions().filter(|permission| level_on(*permission, kind).is_some()).collect();
    on.sort_by_key(|permission| level_on(*permission, kind));
    on
}

/// The permissions that an access level includes, those of lower levels first.
pub fn permissions_of(kind: ResourceKind, level: AccessLevel) -> impl Iterator<Item = Permission> {
    let on = match kind {
        ResourceKind::Folder => &ON_FOLDER,
        ResourceKind::Dashboard => &ON_DASHBOARD,
        ResourceKind::DataSource => &ON_DATA_SOURCE,
    };
    on.iter().copied().take_while(move |permission| level_on(*permission, kind) <= Some(level))
}

#[cfg(test)]
mod tests {
    use kymograph_domain::OrgId;

    use super::*;
    use crate::{Actor, RequestContext};

    const ANN: UserId = UserId(5);

    fn scope(role: OrgRole, since: i64) -> Scope {
        let actor = Actor { user_id: ANN, ..Actor::default() };
        Scope::of_member(OrgId(1), role, Arc::new(actor), Arc::new(RequestContext::default()))
            .since(Some(Timestamp(since)))
    }

    fn node(grants: Option<&[(Grantee, AccessLevel)]>, creator: UserId, is_root: bool) -> AccessNode {
        let stored = |(grantee, level): &(Grantee, AccessLevel)| StoredGrant {
            grantee: *grantee,
            level: *level,
            position: 1,
            created: Timestamp(1),
            updated: Timestamp(1),
        };
        let grants = grants.map(|grants| grants.iter().map(stored).collect());
        let own = Arc::new(OwnAccess { grants, creator, created: Timestamp(100) });
        AccessNode { kind: ResourceKind::Folder, own, is_root }
    }

    #[test]
    fn defaults_hold_at_the_root_until_a_list_is_set() {
        let level =
            |role, grants, is_root| node_level(&scope(role, 1), &[], &node(grants, UserId(1), is_root));
        assert_eq!(level(OrgRole::Viewer, None, true), Some(AccessLevel::View));
        assert_eq!(level(OrgRole::Editor, None, true), Some(AccessLevel::Edit));
        assert_eq!(level(OrgRole::None, None, true), None);
        assert_eq!(level(OrgRole::Editor, None, false), None);
        assert_eq!(level(OrgRole::Editor, Some(&[]), true), None);
    }

    #[test]
    fn whoever_sees_anything_may_ask_a_data_source_until_a_list_is_set() {
        let level = |role, grants| {
            let node = AccessNode { kind: ResourceKind::DataSource, ..node(grants, UserId(1), true) };
            node_level(&scope(role, 1), &[], &node)
        };
        assert_eq!(level(OrgRole::Editor, None), Some(AccessLevel::View));
        assert_eq!(level(OrgRole::Viewer, None), Some(AccessLevel::View));
        assert_eq!(level(OrgRole::None, None), None);
        assert_eq!(level(OrgRole::Editor, Some(&[])), None);
    }

    #[test]
    fn a_grant_counts_for_the_user_its_teams_and_its_role_and_lower_ones() {
        let grants = [
            (Grantee::Role(OrgRole::Viewer), AccessLevel::View),
            (Grantee::Team(TeamId(3)), AccessLevel::Edit),
            (Grantee::User(UserId(6)), AccessLevel::Admin),
        ];
        let node = node(Some(&grants), ANN, true);
        assert_eq!(node_level(&scope(OrgRole::Editor, 1), &[], &node), Some(AccessLevel::View));
        assert_eq!(node_level(&scope(OrgRole::None, 1), &[], &node), None);
        assert_eq!(node_level(&scope(OrgRole::None, 1), &[TeamId(3)], &node), Some(AccessLevel::Edit));
        let no_member = scope(OrgRole::None, 1).since(None);
        assert_eq!(node_level(&no_member, &[TeamId(3)], &node), None);
    }

    #[test]
    fn a_creator_who_came_back_is_no_creator_any_more() {
        let node = node(None, ANN, true);
        assert_eq!(node_level(&scope(OrgRole::Viewer, 99), &[], &node), Some(AccessLevel::Admin));
        assert_eq!(node_level(&scope(OrgRole::Viewer, 101), &[], &node), Some(AccessLevel::View));
    }

    #[test]
    fn a_higher_level_allows_more() {
        for kind in ResourceKind::ALL {
            let counts = AccessLevel::ALL.map(|level| permissions_of(kind, level).count());
            assert!(counts.is_sorted() && counts[0] > 0, "{counts:?}");
        }
    }
}
