//! Checks the references between objects. The log can break such a rule without having a gap: the projectors then
//! produce exactly the stored rows.

use kymograph_app::Result;
use kymograph_domain::OrgId;
use kymograph_domain::content::folder::MAX_DEPTH;
use tokio_postgres::Transaction;

use super::Report;
use super::side_table::{Rule, check_rules};

// A rule below contains the maximum depth of folders.
const _: () = assert!(MAX_DEPTH == 5);

/// Rules on the rows of one org. `app_org_id()` is the org.
const TENANT_RULES: &[Rule] = &[
    Rule {
        table: "memberships",
        sql: "SELECT m.user_id::text FROM public.memberships m WHERE m.org_id = app_org_id()
                AND NOT EXISTS (SELECT FROM public.users u WHERE u.id = m.user_id)",
        what: "is a member, but not a user",
    },
    Rule {
        table: "orgs",
        sql: "SELECT o.id::text FROM public.orgs o WHERE o.id = app_org_id()
                AND NOT EXISTS (SELECT FROM public.memberships m JOIN public.users u ON u.id = m.user_id
                    WHERE m.org_id = app_org_id() AND m.role = 'Admin')",
        what: "has no admin",
    },
    Rule {
        table: "team_members",
        // The user need not be a member of the org, and can be deleted without an event in the org's log.
        sql: "SELECT m.user_id || ' of ' || m.team_id FROM public.team_members m WHERE m.org_id = app_org_id()
                AND NOT EXISTS (SELECT FROM public.teams t WHERE t.org_id = app_org_id() AND t.id = m.team_id)",
        what: "is a member of a missing team",
    },
    Rule {
        table: "folders",
        sql: "SELECT f.uid FROM public.folders f WHERE f.org_id = app_org_id() AND f.parent_uid <> ''
                AND NOT EXISTS (SELECT FROM public.folders p
                    WHERE p.org_id = app_org_id() AND p.uid = f.parent_uid)",
        what: "is in a missing folder",
    },
    Rule {
        table: "folders",
        // A folder that cannot be reached from the root within the maximum depth is in a cycle, or too deep.
        sql: "WITH RECURSIVE reached (uid, depth) AS (
                SELECT uid, 1 FROM public.folders WHERE org_id = app_org_id() AND parent_uid = ''
                UNION ALL
                SELECT f.uid, depth + 1 FROM reached
                    JOIN public.folders f ON f.org_id = app_org_id() AND f.parent_uid = reached.uid
                WHERE depth < 5)
            SELECT f.uid FROM public.folders f WHERE f.org_id = app_org_id() AND EXISTS
                (SELECT FROM public.folders p WHERE p.org_id = app_org_id() AND p.uid = f.parent_uid)
                AND f.uid NOT IN (SELECT uid FROM reached)",
        what: "is inside itself, or nested too deeply",
    },
    Rule {
        table: "dashboards",
        sql: "SELECT d.uid FROM public.dashboards d WHERE d.org_id = app_org_id() AND d.deleted IS NULL
                AND d.folder_uid <> '' AND NOT EXISTS (SELECT FROM public.folders f
                    WHERE f.org_id = app_org_id() AND f.uid = d.folder_uid)",
        what: "is in a missing folder",
    },
    Rule {
        table: "stars",
        sql: "SELECT s.dashboard_uid FROM public.stars s WHERE s.org_id = app_org_id()
                AND NOT EXISTS (SELECT FROM public.dashboards d
                    WHERE d.org_id = app_org_id() AND d.uid = s.dashboard_uid)",
        what: "is starred, but not a dashboard",
    },
    Rule {
        table: "annotations",
        // The annotations of a deleted dashboard are deleted by a job.
        sql: "SELECT a.id::text FROM public.annotations a WHERE a.org_id = app_org_id() AND a.dashboard_id <> 0
                AND NOT EXISTS (SELECT FROM public.dashboards d
                    WHERE d.org_id = app_org_id() AND d.id = a.dashboard_id AND d.uid = a.dashboard_uid)
                AND NOT EXISTS (SELECT FROM public.jobs j WHERE j.owner_org_id = app_org_id()
                    AND j.kind = 'end-annotations' AND j.state <> 'dead')",
        what: "is on a dashboard that is not there",
    },
    Rule {
        table: "correlations",
        sql: "SELECT c.uid FROM public.correlations c WHERE c.org_id = app_org_id()
                AND (NOT EXISTS (SELECT FROM public.data_sources s
                        WHERE s.org_id = app_org_id() AND s.uid = c.source_uid)
                    OR c.target_uid <> '' AND NOT EXISTS (SELECT FROM public.data_sources s
                        WHERE s.org_id = app_org_id() AND s.uid = c.target_uid))",
        what: "is a correlation of a missing data source",
    },
    Rule {
        table: "resource_permissions",
        sql: "SELECT p.kind || ' ' || p.uid FROM public.resource_permissions p WHERE p.org_id = app_org_id()
                AND NOT EXISTS (SELECT FROM public.folders f WHERE p.kind = 'folder'
                    AND f.org_id = app_org_id() AND f.uid = p.uid AND f.id = p.resource_id)
                AND NOT EXISTS (SELECT FROM public.dashboards d WHERE p.kind = 'dashboard'
                    AND d.org_id = app_org_id() AND d.uid = p.uid AND d.id = p.resource_id)
                AND NOT EXISTS (SELECT FROM public.data_sources s WHERE p.kind = 'data_source'
                    AND s.org_id = app_org_id() AND s.uid = p.uid AND s.id = p.resource_id)",
        what: "has permissions, but does not exist",
    },
    Rule {
        table: "resource_grants",
        sql: "SELECT g.grantee || ' on ' || g.kind || ' ' || g.uid FROM public.resource_grants g
            WHERE g.org_id = app_org_id() AND g.grantee NOT LIKE 'role:%' AND g.grantee NOT IN (
                SELECT 'user:' || m.user_id FROM public.memberships m WHERE m.org_id = app_org_id()
                UNION ALL SELECT 'user:' || a.id FROM public.service_accounts a WHERE a.org_id = app_org_id()
                UNION ALL SELECT 'team:' || t.id FROM public.teams t WHERE t.org_id = app_org_id())",
        what: "is granted to a missing grantee",
    },
    Rule {
        table: "service_account_tokens",
        sql: "SELECT t.id::text FROM public.service_account_tokens t WHERE t.org_id = app_org_id()
                AND NOT EXISTS (SELECT FROM public.service_accounts a
                    WHERE a.org_id = app_org_id() AND a.id = t.service_account_id)",
        what: "is a token of a missing service account",
    },
    Rule {
        table: "preferences",
        sql: "SELECT p.owner FROM public.preferences p WHERE p.org_id = app_org_id() AND p.owner LIKE 'team-%'
                AND p.owner NOT IN
                    (SELECT 'team-' || t.id FROM public.teams t WHERE t.org_id = app_org_id())",
        what: "has preferences, but is not a team",
    },
];

/// Rules on rows that belong to no org.
const GLOBAL_RULES: &[Rule] = &[
    Rule {
        table: "user_orgs",
        sql: "SELECT m.user_id || ' of ' || m.member_org_id FROM public.user_orgs m
            WHERE NOT (EXISTS (SELECT FROM public.users u WHERE u.id = m.user_id)
                AND EXISTS (SELECT FROM public.orgs o WHERE o.id = m.member_org_id))",
        what: "is a membership of a missing user or org",
    },
    Rule {
        table: "users",
        sql: "SELECT count(*)::text FROM public.users HAVING count(*) > 0
            AND count(*) FILTER (WHERE is_server_admin AND NOT is_disabled) = 0",
        what: "exist, but none is a server admin",
    },
    Rule {
        table: "user_quotas",
        sql: "SELECT q.user_id::text FROM public.user_quotas q
            WHERE NOT EXISTS (SELECT FROM public.users u WHERE u.id = q.user_id)",
        what: "has a quota, but is not a user",
    },
    Rule {
        table: "quotas",
        sql: "SELECT DISTINCT q.owner_org_id::text FROM public.quotas q WHERE q.owner_org_id <> 0
                AND NOT EXISTS (SELECT FROM public.orgs o WHERE o.id = q.owner_org_id)",
        what: "has a quota, but is not an org",
    },
];

/// Checks the rows of one org.
pub(super) async fn check_tenant(
    transaction: &Transaction<'_>,
    org: OrgId,
    report: &mut Report,
) -> Result<()> {
    check_rules(transaction, TENANT_RULES, Some(org), report).await
}

/// Checks the rows that belong to no org.
pub(super) async fn check_global(transaction: &Transaction<'_>, report: &mut Report) -> Result<()> {
    check_rules(transaction, GLOBAL_RULES, None, report).await
}
