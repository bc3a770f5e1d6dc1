//! Permissions of folders and dashboards. [`cache`] caches them, [`reader`] queries them, [`filter`] has the parts of
//! other queries that filter what an actor may not see, and [`allowed`] the contents that pass these filters.

pub(crate) mod allowed;
mod cache;
pub(crate) mod filter;
mod reader;

use kymograph_app::kernel::side_write::SideWrite;
use kymograph_app::rights::authorization::ContentFilter;
use kymograph_app::values;
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::rights::resource_permission::{
    Grantee, Resource, ResourceKind, ResourcePermissionEvent,
};
use kymograph_domain::{AccessLevel, Invariant, OrgId, Uid};

use crate::kernel::projector::{Projector, Recorded};
use crate::kernel::sql::{Place, Text, check};
use crate::kernel::statement::{OnFailure, Statements};
use crate::params;
use filter::FilterPlaces;

pub use allowed::{AllowedCache, AllowedContents, MAX_KEPT_BYTES};
pub use cache::ResourcePermissionCache;
pub use reader::{FolderMemory, FolderPlace, PgResourcePermissionReader};

/// Keeps `resource_permissions` and `resource_grants`.
pub struct ResourcePermissionProjector;

const INSERT: &str =
    "INSERT INTO resource_permissions (org_id, kind, uid, resource_id) VALUES ($1, $2, $3, $4)";
const GRANT: &str = "INSERT INTO resource_grants
    (org_id, kind, uid, grantee, level, resource_id, pos, created, updated)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
    ON CONFLICT (org_id, kind, uid, grantee) DO UPDATE SET level = $5, pos = $7, updated = $8";
const REVOKE: &str =
    "DELETE FROM resource_grants WHERE org_id = $1 AND kind = $2 AND uid = $3 AND grantee = $4";
/// Deletes the lists of the org `$1`.
const DELETE_ORG: &[&str] =
    &["DELETE FROM resource_grants WHERE org_id = $1", "DELETE FROM resource_permissions WHERE org_id = $1"];
/// Deletes the list of the resource of the kind `$2` with the uid `$3`.
const DELETE_RESOURCE: &[&str] = &[
    "DELETE FROM resource_grants WHERE org_id = $1 AND kind = $2 AND uid = $3",
    "DELETE FROM resource_permissions WHERE org_id = $1 AND kind = $2 AND uid = $3",
];
pub(crate) static CHECK_FOLDER: Text =
    Text::new(|| check("EXISTS (SELECT FROM folders WHERE org_id = $1 AND uid = $2 AND id = $3)"));
pub(crate) static CHECK_DASHBOARD: Text = Text::new(|| {
    check("EXISTS (SELECT FROM dashboards WHERE org_id = $1 AND uid = $2 AND id = $3 AND deleted IS NULL)")
});
pub(crate) static CHECK_DATA_SOURCE: Text =
    Text::new(|| check("EXISTS (SELECT FROM data_sources WHERE org_id = $1 AND uid = $2 AND id = $3)"));
static CHECK_USER: Text = Text::new(|| {
    check(
        "EXISTS (SELECT FROM memberships WHERE org_id = $1 AND user_id = $2)
    OR EXISTS (SELECT FROM service_accounts WHERE org_id = $1 AND id = $2)",
    )
});
pub(crate) static CHECK_TEAM: Text =
    Text::new(|| check("EXISTS (SELECT FROM teams WHERE org_id = $1 AND id = $2)"));
static CHECK_NOTHING_GRANTED: Text =
    Text::new(|| check("NOT EXISTS (SELECT FROM resource_grants WHERE org_id = $1 AND grantee = $2)"));
/// Stands for a dashboard in the trash. Its parent is the folder it was deleted from, as long as that exists; if the
/// uid belongs to another folder or to none, it has no place.
const IN_TRASH: &str = "trash";
/// Divides by zero unless a folder, dashboard or data source `$3`, or a folder around it, grants the level `$5`.
static CHECK_ALLOWED: Text = Text::new(|| {
    let filter = FilterPlaces::from(Place(4));
    let among = |kind: &str| {
        let (granted, open) = (filter.granted(kind, "t"), filter.open_at_root(kind, "t"));
        format!(
            "EXISTS (SELECT FROM up t WHERE t.kind = '{kind}' AND ({granted} OR t.parent_uid = '' AND {open}))"
        )
    };
    let check = check(&format!("{} OR {} OR {}", among("folder"), among("dashboard"), among("data_source")));
    format!(
        "WITH RECURSIVE up AS (
        SELECT 'folder' AS kind, f.uid, f.parent_uid, f.creator_id, f.created, 1 AS depth FROM folders f
            WHERE f.org_id = $1 AND $2 = 'folder' AND f.uid = $3
        UNION ALL
        SELECT 'dashboard', d.uid, d.folder_uid, d.creator_id, d.created, 1 FROM dashboards d
            WHERE d.org_id = $1 AND $2 = 'dashboard' AND d.uid = $3 AND d.deleted IS NULL
        UNION ALL
        SELECT 'dashboard', d.uid, CASE WHEN d.folder_uid = '' OR EXISTS (SELECT FROM folders f
                WHERE f.org_id = $1 AND f.uid = d.folder_uid AND f.created < d.deleted) THEN d.folder_uid ELSE ' ' END,
                d.creator_id, d.created, 1 FROM dashboards d
            WHERE d.org_id = $1 AND $2 = '{IN_TRASH}' AND d.uid = $3 AND d.deleted IS NOT NULL
        UNION ALL
        SELECT 'data_source', s.uid, '', s.creator_id, s.created, 1 FROM data_sources s
            WHERE s.org_id = $1 AND $2 = 'data_source' AND s.uid = $3
        UNION ALL
        SELECT 'folder', f.uid, f.parent_uid, f.creator_id, f.created, depth + 1
            FROM up JOIN folders f ON f.org_id = $1 AND f.uid = up.parent_uid WHERE depth < 10)
    {check}"
    )
});

/// A check at commit that an actor has access to a folder or dashboard by a filter.
fn still_allowed(org: OrgId, kind: &str, uid: &Uid, filter: ContentFilter) -> SideWrite {
    let ContentFilter { level, grantees, default_level, member, creator_since, .. } = filter;
    let params = values![
        org.0,
        kind,
        uid.as_str(),
        grantees,
        level.number(),
        default_level.map_or(0, AccessLevel::number),
        member.map(|member| member.0),
        creator_since,
    ];
    let on_failure = OnFailure::Broken(Invariant::ACTOR_KEEPS_RIGHTS);
    SideWrite { org, sql: &CHECK_ALLOWED, params, on_failure }
}

impl Projector for ResourcePermissionProjector {
    fn name(&self) -> &'static str {
        "resource_permissions"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &[
            "resource_permission",
            "folder",
            "dashboard",
            "data_source",
            "membership",
            "service_account",
            "team",
            "org",
        ]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["resource_permissions", "resource_grants"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let (org, event) = (recorded.org, recorded.event);
        if let Some(ending) = event.ending() {
            end(org, ending, statements);
        }
        if let Some(event) = event.of() {
            project(recorded, event, statements);
        }
    }
}

fn project(recorded: &Recorded<'_>, event: &ResourcePermissionEvent, statements: &mut Statements) {
    let (org, at) = (recorded.org.0, recorded.recorded_at.date());
    match event {
        ResourcePermissionEvent::Customized(customized) => {
            let Resource { kind, uid, id } = &customized.resource;
            statements.write(INSERT, params![org, kind.as_str(), uid.to_string(), *id]);
            check_resource(recorded.org, &customized.resource, statements);
        }
        ResourcePermissionEvent::Granted(granted) => {
            let Resource { kind, uid, id } = &granted.resource;
            let (kind, uid, grantee) = (kind.as_str(), uid.to_string(), granted.grantee.to_string());
            let level = granted.level.number();
            statements.write(GRANT, params![org, kind, uid, grantee, level, *id, recorded.position, at]);
            check_resource(recorded.org, &granted.resource, statements);
            check_grantee(recorded.org, granted.grantee, statements);
        }
        ResourcePermissionEvent::Revoked(revoked) => {
            let (kind, uid) = (revoked.resource.kind.as_str(), revoked.resource.uid.to_string());
            statements.write(REVOKE, params![org, kind, uid, revoked.grantee.to_string()]);
        }
        ResourcePermissionEvent::Reset(reset) => {
            let Resource { kind, uid, .. } = &reset.resource;
            forget(recorded.org, *kind, uid.as_str(), statements);
        }
    }
}

/// Deletes the access-control lists of ended objects. An ended user or team has no grants by then.
fn end(org: OrgId, ending: Ending<'_>, statements: &mut Statements) {
    match ending {
        Ending::Org => DELETE_ORG.iter().for_each(|sql| statements.write(sql, params![org.0])),
        // A dashboard in the trash keeps its list, to prevent it from being restored open to everybody.
        Ending::Folder(uid) => forget(org, ResourceKind::Folder, uid.as_str(), statements),
        Ending::Dashboard(uid) => forget(org, ResourceKind::Dashboard, uid.as_str(), statements),
        Ending::DataSource(uid) => forget(org, ResourceKind::DataSource, uid.as_str(), statements),
        Ending::Member(id) | Ending::ServiceAccount(id) => {
            check_nothing_granted(org, Grantee::User(id), statements);
        }
        Ending::Team(id) => check_nothing_granted(org, Grantee::Team(id), statements),
        Ending::User(_) | Ending::Inviter(_) => {}
    }
}

fn forget(org: OrgId, kind: ResourceKind, uid: &str, statements: &mut Statements) {
    for sql in DELETE_RESOURCE {
        statements.write(sql, params![org.0, kind.as_str(), uid.to_owned()]);
    }
}

/// A conflict if the resource was deleted after the lookup: the command is decided again.
fn check_resource(org: OrgId, resource: &Resource, statements: &mut Statements) {
    let sql: &'static Text = match resource.kind {
        ResourceKind::Folder => &CHECK_FOLDER,
        ResourceKind::Dashboard => &CHECK_DASHBOARD,
        ResourceKind::DataSource => &CHECK_DATA_SOURCE,
    };
    statements.check(sql, params![org.0, resource.uid.to_string(), resource.id], OnFailure::Conflict);
}

/// A conflict if the grantee left after the lookup: the command is decided again.
fn check_grantee(org: OrgId, grantee: Grantee, statements: &mut Statements) {
    match grantee {
        Grantee::User(id) => statements.check(&CHECK_USER, params![org.0, id.0], OnFailure::Conflict),
        Grantee::Team(id) => statements.check(&CHECK_TEAM, params![org.0, id.0], OnFailure::Conflict),
        Grantee::Role(_) => {}
    }
}

/// A conflict if a leaving grantee got a grant after the grants were listed: the command is decided again.
fn check_nothing_granted(org: OrgId, grantee: Grantee, statements: &mut Statements) {
    let params = params![org.0, grantee.to_string()];
    statements.check(&CHECK_NOTHING_GRANTED, params, OnFailure::Conflict);
}
