//! Checks the tables that are not derived from the log, as far as the log constrains them.

use kymograph_app::{Error, Result};
use kymograph_domain::OrgId;
use tokio_postgres::Transaction;

use super::Report;

/// A table, and a query for its invalid rows.
pub(super) struct Rule {
    pub(super) table: &'static str,
    pub(super) sql: &'static str,
    pub(super) what: &'static str,
}

/// Rules on the rows of one org. `app_org_id()` is the org.
const TENANT_RULES: &[Rule] = &[
    Rule {
        table: "counters",
        sql: "SELECT c.name FROM counters c WHERE c.org_id = app_org_id() AND c.value < CASE c.name
                WHEN 'user' THEN (SELECT coalesce(max(id), 0) FROM public.users)
                WHEN 'org' THEN (SELECT coalesce(max(id), 0) FROM public.orgs)
                ELSE greatest((SELECT max(id) FROM public.folders WHERE org_id = app_org_id()),
                    (SELECT max(id) FROM public.dashboards WHERE org_id = app_org_id()),
                    (SELECT max(id) FROM public.teams WHERE org_id = app_org_id()),
                    (SELECT max(id) FROM public.data_sources WHERE org_id = app_org_id()),
                    (SELECT max(id) FROM public.annotations WHERE org_id = app_org_id()),
                    (SELECT max(id) FROM public.service_account_tokens WHERE org_id = app_org_id()), 0) END",
        what: "is lower than an id in use",
    },
    Rule {
        table: "secrets",
        sql: "SELECT s.key FROM secrets s WHERE s.org_id = app_org_id()
                AND NOT EXISTS (SELECT FROM public.users u WHERE app_org_id() = 0
                    AND s.key = 'user/' || u.id || '/password')
                AND NOT (app_org_id() = 0
                    AND s.key IN ('server/audit-cursor', 'server/email-change', 'server/idempotency'))
                AND NOT EXISTS (SELECT FROM public.invites i WHERE i.org_id = app_org_id()
                    AND s.key = 'invite/' || i.id || '/code')
                AND NOT EXISTS (SELECT FROM public.data_sources d WHERE d.org_id = app_org_id()
                    AND s.key = 'data_source/' || d.id || '/' || substr(s.key, length('data_source/' || d.id || '/') + 1)
                    AND substr(s.key, length('data_source/' || d.id || '/') + 1) = ANY (d.secrets))",
        what: "is neither a password of a user, nor a code of an open invite, nor a secret of a data source, nor a server key",
    },
    Rule {
        table: "secrets",
        sql: "SELECT d.uid FROM public.data_sources d WHERE d.org_id = app_org_id() AND d.secrets <> ARRAY(
                SELECT substr(s.key, length('data_source/' || d.id || '/') + 1) FROM secrets s
                WHERE s.org_id = app_org_id() AND starts_with(s.key, 'data_source/' || d.id || '/') ORDER BY 1)",
        what: "is a data source that has other secrets than the log says",
    },
    Rule {
        table: "secret_keys",
        sql: "SELECT s.key FROM secrets s WHERE s.org_id = app_org_id()
                AND (octet_length(s.sealed) < 41 OR get_byte(s.sealed, 0) <> 1
                    OR NOT EXISTS (SELECT FROM public.secret_keys k WHERE k.org_id = app_org_id()))
            UNION ALL SELECT k.org_id::text FROM public.secret_keys k WHERE k.org_id = app_org_id()
                AND octet_length(k.wrapped) <> 73",
        what: "is not sealed with the key of the org",
    },
    Rule {
        table: "idempotency",
        sql: "SELECT i.key FROM idempotency i WHERE i.org_id = app_org_id()
                AND (octet_length(i.request_hash) <> 32 OR (i.outcome IS NULL AND i.response IS NULL))",
        what: "is not a response that can be replayed",
    },
    Rule {
        table: "service_account_token_seen",
        sql: "SELECT s.token_id::text FROM public.service_account_token_seen s WHERE s.org_id = app_org_id()
                AND NOT EXISTS (SELECT FROM public.service_account_tokens t WHERE t.org_id = app_org_id()
                    AND t.id = s.token_id AND t.service_account_id = s.service_account_id)",
        what: "was used, but does not exist",
    },
    Rule {
        table: "token_hashes",
        sql: "SELECT h.token_id::text FROM public.token_hashes h WHERE h.owner_org_id = app_org_id()
                AND (octet_length(h.hash) <> 32
                    OR NOT EXISTS (SELECT FROM public.service_account_tokens t WHERE t.org_id = app_org_id()
                        AND t.id = h.token_id AND t.service_account_id = h.service_account_id))
            UNION ALL SELECT t.id::text FROM public.service_account_tokens t WHERE t.org_id = app_org_id()
                AND 1 <> (SELECT count(*) FROM public.token_hashes h
                    WHERE h.owner_org_id = app_org_id() AND h.token_id = t.id)",
        what: "is not the only hash of a token",
    },
    Rule {
        table: "jobs",
        sql:
            "SELECT j.id FROM public.jobs j WHERE app_org_id() = 0 AND (j.owner_org_id < 0 OR j.owner_org_id >
                (SELECT coalesce(max(c.value), 0) FROM counters c WHERE c.org_id = 0 AND c.name = 'org'))",
        what: "belongs to an org that never existed",
    },
];

/// Rules on rows that belong to no org.
const GLOBAL_RULES: &[Rule] = &[
    Rule {
        table: "sessions",
        sql: "SELECT s.id::text FROM public.sessions s
            WHERE NOT EXISTS (SELECT FROM public.users u WHERE u.id = s.user_id AND NOT u.is_disabled)
                OR octet_length(s.token) <> 32",
        what: "is a session of a missing or disabled user",
    },
    Rule {
        table: "user_seen",
        sql: "SELECT s.user_id::text FROM public.user_seen s
            WHERE NOT EXISTS (SELECT FROM public.users u WHERE u.id = s.user_id)",
        what: "was seen, but does not exist",
    },
];

/// Checks the rows of one org.
pub(super) async fn check_tenant(
    transaction: &Transaction<'_>,
    org: OrgId,
    report: &mut Report,
) -> Result<()> {
    note_tables(TENANT_RULES, report);
    check_rules(transaction, TENANT_RULES, Some(org), report).await
}

/// Checks the rows that belong to no org.
pub(super) async fn check_global(transaction: &Transaction<'_>, report: &mut Report) -> Result<()> {
    note_tables(GLOBAL_RULES, report);
    check_rules(transaction, GLOBAL_RULES, None, report).await
}

fn note_tables(rules: &[Rule], report: &mut Report) {
    for rule in rules {
        if !report.side_tables.contains(&rule.table) {
            report.side_tables.push(rule.table);
        }
    }
}

/// Reports the rows that rules find.
pub(super) async fn check_rules(
    transaction: &Transaction<'_>,
    rules: &[Rule],
    org: Option<OrgId>,
    report: &mut Report,
) -> Result<()> {
    let whose = org.map(|org| format!("org {org}: ")).unwrap_or_default();
    for rule in rules {
        // The number itself tells Citus which server has the rows.
        let sql = org.map(|org| rule.sql.replace("app_org_id()", &org.to_string()));
        let sql = sql.as_deref().unwrap_or(rule.sql);
        for row in transaction.query(sql, &[]).await.map_err(Error::internal)? {
            report.fault(format!("{whose}{} {} {}", rule.table, row.get::<_, &str>(0), rule.what));
        }
    }
    Ok(())
}
