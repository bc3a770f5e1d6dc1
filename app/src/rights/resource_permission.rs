//! Permissions of folders, dashboards and data sources: reading them, and in `change` changing them.
//! [`crate::rights::authorization`] decides about their effects.

mod change;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::rights::resource_permission::{
    Grantee, Grants, ResourceKind, ResourcePermission, default_grants,
};
use kymograph_domain::{AccessLevel, OrgId, OrgRole, StreamId, TeamId, Timestamp, Uid, UserId};

use crate::kernel::error::{Error, Result};
use crate::kernel::noun::Noun;
use crate::kernel::scope::denied;
use crate::kernel::side_write::SideWrite;
use crate::rights::authorization::{
    AccessFacts, AccessNode, Authorization, ContentFilter, Guarded, StoredGrant, permissions_of,
};
use crate::{Commands, Permission, Scope, Unit, permissions};

pub use change::{GrantEndings, WantedGrant, parse_level};

/// The maximum number of folders and dashboards in the list of an actor's own permissions.
const MAX_NAMED: i64 = 10_000;

/// A user or service account with a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedUser {
    /// The id.
    pub id: UserId,
    /// The uid.
    pub uid: String,
    /// The login.
    pub login: String,
    /// The e-mail address.
    pub email: String,
    /// Whether it is a service account.
    pub is_service_account: bool,
    /// The start of its membership in the org.
    pub since: Timestamp,
}

/// A team with a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedTeam {
    /// The id.
    pub id: TeamId,
    /// The uid.
    pub uid: Uid,
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}

/// A grantee as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GranteeView {
    /// A user or service account.
    User(GrantedUser),
    /// A team.
    Team(GrantedTeam),
    /// The members with this role or a higher one.
    Role(OrgRole),
}

/// One grant as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionView {
    /// The grantee.
    pub grantee: GranteeView,
    /// The access level.
    pub level: AccessLevel,
    /// Whether it is inherited from a folder above.
    pub is_inherited: bool,
    /// The position in the org's log of the event that set it; 0 for a default.
    pub position: i64,
    /// When it was first granted.
    pub created: Timestamp,
    /// When its level was last changed.
    pub updated: Timestamp,
}

/// A folder or dashboard with its permissions.
#[derive(Clone, Debug)]
pub struct ResourcePermissionView {
    /// The kind of the resource.
    pub kind: ResourceKind,
    /// The numeric id.
    pub id: i64,
    /// The uid.
    pub uid: Uid,
    /// The title.
    pub title: String,
    /// The readable part of its address.
    pub slug: String,
    /// The folder it is in.
    pub folder_uid: Option<Uid>,
    /// Its own permissions and, after them, the inherited ones; users first, then teams, then roles.
    pub permissions: Vec<PermissionView>,
}

/// An actor's access level on one folder or dashboard and its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentRight {
    /// The kind of the resource.
    pub kind: ResourceKind,
    /// The uid.
    pub uid: Uid,
    /// The access level.
    pub level: AccessLevel,
}

/// Reads permissions of folders and dashboards.
#[async_trait]
pub trait ResourcePermissionReader: Send + Sync {
    /// The data that determines access to a folder or dashboard, from the cache or else with one statement.
    async fn find_access(&self, scope: &Scope, guarded: Guarded<'_>) -> Result<AccessFacts>;
    /// The check, for a commit, that a filter admits its actor to a folder or dashboard.
    fn still_allowed(&self, org: OrgId, kind: ResourceKind, uid: &Uid, filter: ContentFilter) -> SideWrite;
    /// The same for a dashboard in the trash.
    fn still_allowed_in_trash(&self, org: OrgId, uid: &Uid, filter: ContentFilter) -> SideWrite;
    /// The numeric ids of the folders and dashboards with a grant to a grantee.
    async fn list_resources_of(&self, scope: &Scope, grantee: Grantee) -> Result<Vec<i64>>;
    /// Of these users and service accounts, those that belong to the org.
    async fn list_granted_users(&self, scope: &Scope, ids: &[UserId]) -> Result<Vec<GrantedUser>>;
    /// Of these teams, those of the org.
    async fn list_granted_teams(&self, scope: &Scope, ids: &[TeamId]) -> Result<Vec<GrantedTeam>>;
    /// The resources that a filter admits by their own grants or by the defaults at the root, without those that only
    /// inherit access; at most `limit`.
    async fn list_rights(
        &self,
        scope: &Scope,
        filter: &ContentFilter,
        limit: i64,
    ) -> Result<Vec<ContentRight>>;
}

/// A kind of object with permissions, as its slice describes it.
#[async_trait]
pub trait GuardedKind: Send + Sync {
    /// The kind.
    fn kind(&self) -> ResourceKind;
    /// Finds the object with a uid.
    async fn find(&self, scope: &Scope, uid: &Uid) -> Result<Option<GuardedView>>;
    /// The numeric id of an existing object and its folder, for a unit of work.
    async fn load(&self, unit: &Unit<'_>, uid: &Uid) -> Result<Option<(i64, Option<Uid>)>>;
    /// The check, for a commit, that an object is still in its folder. If it has been moved, the command is decided
    /// again.
    fn stays(&self, org: OrgId, uid: &Uid, id: i64, folder: Option<&Uid>) -> SideWrite;
    /// The error for an object that does not exist.
    fn missing(&self) -> Error;

    /// Parses a uid in a path. An invalid one matches no object.
    fn parse_uid(&self, uid: &str) -> Result<Uid> {
        Uid::try_new(uid).map_err(|_| self.missing())
    }
}

/// All kinds of objects that have permissions.
#[derive(Clone)]
pub struct GuardedKinds(Arc<[Arc<dyn GuardedKind>]>);

impl GuardedKinds {
    /// These kinds.
    #[must_use]
    pub fn new(kinds: Vec<Arc<dyn GuardedKind>>) -> Self {
        Self(kinds.into())
    }

    /// The description of a kind of objects.
    pub(crate) fn of(&self, kind: ResourceKind) -> Result<&dyn GuardedKind> {
        let found = self.0.iter().find(|described| described.kind() == kind);
        found.map(|found| &**found).ok_or_else(|| Error::internal(format!("no slice describes {kind:?}")))
    }
}

/// The properties of a folder or dashboard that are shown with its permissions.
#[derive(Clone, Debug)]
pub struct GuardedView {
    /// The numeric id.
    pub id: i64,
    /// The title.
    pub title: String,
    /// The readable part of its address.
    pub slug: String,
    /// The folder it is in.
    pub folder_uid: Option<Uid>,
}

impl GuardedView {
    /// The keys that find the access-control lists that apply to it.
    pub(crate) fn guarded<'a>(&'a self, kind: ResourceKind, uid: &'a Uid) -> Guarded<'a> {
        guarded(kind, uid, self.id, self.folder_uid.as_ref())
    }
}

/// Knows the possible grantees of an org.
#[async_trait]
pub trait Grantees: Send + Sync {
    /// True if a user is a member of the scope's org, or a service account of it.
    async fn has_user(&self, unit: &Unit<'_>, id: UserId) -> Result<bool>;
    /// True if the scope's org has a team.
    async fn has_team(&self, unit: &Unit<'_>, id: TeamId) -> Result<bool>;
    /// The streams that determine whether a grantee is still the same.
    fn streams_of(&self, grantee: Grantee) -> Vec<StreamId>;
}

/// The dependencies of [`ResourcePermissions`].
pub struct ResourcePermissionPorts {
    /// Reads permissions.
    pub reader: Arc<dyn ResourcePermissionReader>,
    /// Decides who may change permissions.
    pub authorization: Arc<Authorization>,
    /// The kinds of objects that have permissions.
    pub kinds: GuardedKinds,
    /// Knows the possible grantees of an org.
    pub grantees: Arc<dyn Grantees>,
}

impl Noun for ResourcePermission {
    fn require_undo(scope: &Scope, _: &str, _: bool) -> Result<()> {
        scope.require_administers_content(Permission::FOLDERS_PERMISSIONS_WRITE)
    }
}

/// The use cases of permissions of folders and dashboards.
pub struct ResourcePermissions {
    commands: Commands,
    ports: ResourcePermissionPorts,
}

impl ResourcePermissions {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(commands: Commands, ports: ResourcePermissionPorts) -> Self {
        Self { commands, ports }
    }

    /// Reads the permissions of a folder or dashboard, inherited ones included.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_permissions(
        &self,
        scope: &Scope,
        kind: ResourceKind,
        uid: &str,
    ) -> Result<ResourcePermissionView> {
        let mut view = self.find_resource(scope, kind, uid).await?;
        let guarded = guarded(kind, &view.uid, view.id, view.folder_uid.as_ref());
        let authorization = &self.ports.authorization;
        authorization.require(scope, guarded, read_permission(kind)).await?;
        let nodes = self.ports.reader.find_access(scope, guarded).await?.nodes;
        view.permissions = self.list_permissions(scope, &nodes).await?;
        Ok(view)
    }

    async fn find_resource(
        &self,
        scope: &Scope,
        kind: ResourceKind,
        uid: &str,
    ) -> Result<ResourcePermissionView> {
        let described = self.ports.kinds.of(kind)?;
        let uid = &described.parse_uid(uid)?;
        let found = described.find(scope, uid).await?.ok_or_else(|| described.missing())?;
        let GuardedView { id, title, slug, folder_uid } = found;
        let (uid, permissions) = (uid.clone(), Vec::new());
        Ok(ResourcePermissionView { kind, id, uid, title, slug, folder_uid, permissions })
    }

    /// The grants of a resource, and the highest inherited ones by grantee.
    async fn list_permissions(&self, scope: &Scope, nodes: &[AccessNode]) -> Result<Vec<PermissionView>> {
        let mut own = Vec::new();
        let mut inherited: BTreeMap<Grantee, StoredGrant> = BTreeMap::new();
        for (index, node) in nodes.iter().enumerate() {
            for grant in self.grants_in_force(scope, node).await? {
                if index == 0 {
                    own.push(grant);
                } else {
                    let highest = inherited.entry(grant.grantee).or_insert(grant);
                    if grant.level > highest.level {
                        *highest = grant;
                    }
                }
            }
        }
        own.sort_by_key(|grant| grant.grantee);
        let grants = own.into_iter().map(|grant| (grant, false));
        let grants: Vec<_> = grants.chain(inherited.into_values().map(|grant| (grant, true))).collect();
        let users = grants.iter().filter_map(|(grant, _)| match grant.grantee {
            Grantee::User(id) => Some(id),
            Grantee::Team(_) | Grantee::Role(_) => None,
        });
        let teams = grants.iter().filter_map(|(grant, _)| match grant.grantee {
            Grantee::Team(id) => Some(id),
            Grantee::User(_) | Grantee::Role(_) => None,
        });
        let users = self.ports.reader.list_granted_users(scope, &users.collect::<Vec<_>>()).await?;
        let teams = self.ports.reader.list_granted_teams(scope, &teams.collect::<Vec<_>>()).await?;
        let grantee = |grantee: Grantee| match grantee {
            Grantee::User(id) => users.iter().find(|user| user.id == id).cloned().map(GranteeView::User),
            Grantee::Team(id) => teams.iter().find(|team| team.id == id).cloned().map(GranteeView::Team),
            Grantee::Role(role) => Some(GranteeView::Role(role)),
        };
        // Users who left during the read are omitted.
        let views = grants.into_iter().filter_map(|(grant, is_inherited)| {
            Some(PermissionView {
                grantee: grantee(grant.grantee)?,
                level: grant.level,
                is_inherited,
                position: grant.position,
                created: grant.created,
                updated: grant.updated,
            })
        });
        Ok(views.collect())
    }

    /// The access-control list of a folder or dashboard, or its defaults.
    async fn grants_in_force(&self, scope: &Scope, node: &AccessNode) -> Result<Vec<StoredGrant>> {
        if let Some(grants) = &node.own.grants {
            return Ok(grants.clone());
        }
        let created = node.own.created;
        let stored =
            |(grantee, level)| StoredGrant { grantee, level, position: 0, created, updated: created };
        Ok(self.default_grants_of(scope, node).await?.into_iter().map(stored).collect())
    }

    async fn default_grants_of(&self, scope: &Scope, node: &AccessNode) -> Result<Grants> {
        if !node.is_root {
            return Ok(Grants::new());
        }
        let creator = self.ports.reader.list_granted_users(scope, &[node.own.creator]).await?;
        let creator = creator.into_iter().find(|user| user.since <= node.own.created);
        Ok(default_grants(node.kind, creator.map(|user| user.id)))
    }

    /// Fails unless the actor may read the permissions of some folder, or of some dashboard.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn require_some(&self, scope: &Scope, kind: ResourceKind) -> Result<()> {
        if scope.allows(read_permission(kind)) || scope.administers_content() {
            return Ok(());
        }
        let filter = ContentFilter::of(scope, AccessLevel::Admin);
        let rights = self.ports.reader.list_rights(scope, &filter, MAX_NAMED).await?;
        // An admin of a folder is an admin of the dashboards in it.
        let is_in_folders = kind != ResourceKind::DataSource;
        let is_enough =
            |right: &ContentRight| right.kind == kind || is_in_folders && right.kind == ResourceKind::Folder;
        if rights.iter().any(is_enough) { Ok(()) } else { Err(denied(read_permission(kind))) }
    }

    /// Lists the actor's permissions: each action with its scopes.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_own_permissions(
        &self,
        scope: &Scope,
    ) -> Result<BTreeMap<&'static str, BTreeSet<String>>> {
        let mut allowed: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        let on = |kind| permissions_of(kind, AccessLevel::Admin);
        let content: Vec<_> = on(ResourceKind::Folder).chain(on(ResourceKind::DataSource)).collect();
        let is_unlimited = scope.administers_content();
        for permission in permissions() {
            let is_content = content.contains(&permission);
            if scope.allows(permission) && !is_content || is_unlimited && is_content {
                let scopes = permission.scopes.iter().map(|scope| (*scope).to_owned());
                allowed.entry(permission.action()).or_default().extend(scopes);
            }
        }
        if is_unlimited {
            return Ok(allowed);
        }
        for permission in [Permission::FOLDERS_CREATE, Permission::DASHBOARDS_CREATE] {
            if scope.allows(permission) {
                allowed.entry(permission.action()).or_default().insert("folders:uid:general".to_owned());
            }
        }
        let filter = ContentFilter::of(scope, AccessLevel::View);
        for right in self.ports.reader.list_rights(scope, &filter, MAX_NAMED).await? {
            for permission in permissions_of(right.kind, right.level) {
                let scope = format!("{}:uid:{}", scope_of(right.kind), right.uid);
                allowed.entry(permission.action()).or_default().insert(scope);
            }
        }
        Ok(allowed)
    }
}

fn guarded<'a>(kind: ResourceKind, uid: &'a Uid, id: i64, folder: Option<&'a Uid>) -> Guarded<'a> {
    match kind {
        ResourceKind::Folder => Guarded::Folder(uid),
        ResourceKind::Dashboard => Guarded::Dashboard { id, folder },
        ResourceKind::DataSource => Guarded::DataSource(id),
    }
}

/// The word for objects of a kind in Grafana's scopes.
fn scope_of(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Folder => "folders",
        ResourceKind::Dashboard => "dashboards",
        ResourceKind::DataSource => "datasources",
    }
}

fn read_permission(kind: ResourceKind) -> Permission {
    match kind {
        ResourceKind::Folder => Permission::FOLDERS_PERMISSIONS_READ,
        ResourceKind::Dashboard => Permission::DASHBOARDS_PERMISSIONS_READ,
        ResourceKind::DataSource => Permission::DATA_SOURCES_PERMISSIONS_READ,
    }
}

fn write_permission(kind: ResourceKind) -> Permission {
    match kind {
        ResourceKind::Folder => Permission::FOLDERS_PERMISSIONS_WRITE,
        ResourceKind::Dashboard => Permission::DASHBOARDS_PERMISSIONS_WRITE,
        ResourceKind::DataSource => Permission::DATA_SOURCES_PERMISSIONS_WRITE,
    }
}
