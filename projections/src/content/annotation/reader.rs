//! The queries on annotations.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use kymograph_app::content::annotation::{
    AnnotationAuthor, AnnotationKind, AnnotationQuery, AnnotationReader, AnnotationTag, AnnotationView,
    KeptAnnotations, NamedDashboard, VisibleAnnotations,
};
use kymograph_app::{Error, Result, Scope};
use kymograph_domain::content::annotation::{AnnotatedDashboard, AnnotationContent};
use kymograph_domain::kernel::id::AnnotationId;
use kymograph_domain::{CanonicalJson, OrgId, Timestamp, UserId};
use tokio_postgres::Row;

use super::statement::{AUTHORS, COLUMNS, MAX_PASSED, MorePlaces, PagePlaces, TEXTS, Way, is_visible, page};
use crate::kernel::database::{Database, Planning};
use crate::kernel::sql::Values;
use crate::kernel::text::{
    contains_pattern, optional_timestamp_column, optional_uid_column, stored, timestamp_column,
};
use crate::rights::resource_permission::AllowedContents;
use crate::rights::resource_permission::allowed::{Allowed, AllowedParams};

/// The rarest of some terms; at most 1000 annotations of each are counted.
const RAREST: &str = "SELECT wanted.term FROM unnest($2::text[]) AS wanted (term) CROSS JOIN LATERAL (
        SELECT count(*) AS found FROM (
            SELECT FROM annotation_terms t WHERE t.org_id = $1 AND t.term = wanted.term LIMIT 1000) AS some_of_them) AS counted
    ORDER BY counted.found LIMIT 1";

/// Reads `annotations` and the dependent tables.
pub struct PgAnnotationReader {
    database: Database,
    allowed: Arc<AllowedContents>,
}

/// A requested page, and the annotations that may be included.
struct Wanted<'a> {
    query: &'a AnnotationQuery,
    visible: &'a VisibleAnnotations,
    allowed: Option<&'a Allowed>,
    /// The terms by which it is searched.
    terms: &'a [String],
}

impl PgAnnotationReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database, allowed: Arc<AllowedContents>) -> Self {
        Self { database, allowed }
    }

    /// Finds a page with one statement.
    async fn find_page(&self, org: OrgId, way: Way, wanted: &Wanted<'_>) -> Result<Vec<Row>> {
        let Wanted { query, visible, allowed, terms } = wanted;
        let (from, to) = query.range.unwrap_or((i64::MIN, i64::MAX));
        let allowed_params = AllowedParams::of(&visible.dashboards, *allowed);
        // Those who may see everything only skip annotations in the trash.
        let passed = allowed.map(|_| MAX_PASSED);
        let (uid, id) = match &query.dashboard {
            Some(NamedDashboard::Uid(uid)) => (Some(uid.as_str()), None),
            Some(NamedDashboard::Id(id)) => (None, Some(*id)),
            None => (None, None),
        };
        let none: &[String] = &[];
        let (all, any) = if query.any_tag { (none, &query.tags[..]) } else { (&query.tags[..], none) };
        let mut values = Values::of(&org);
        let [from, to, limit] = values.push_all([&from, &to, &query.limit]);
        let allowed = allowed_params.push_to(&mut values);
        let of_org = (way != Way::Dashboard).then(|| values.push(&visible.of_org));
        let passes = !matches!(way, Way::Dashboard | Way::Visible);
        let passed = passes.then(|| values.push(&passed));
        let more = (way != Way::Terms).then(|| {
            let [panel, user] = values.push_all([&query.panel_id, &query.user_id]);
            let [all, any] = values.push_all([&all, &any]);
            MorePlaces { panel, user, all, any }
        });
        let terms = matches!(way, Way::Terms | Way::TermsAndMore).then(|| values.push(terms));
        let dashboard = (way == Way::Dashboard).then(|| [values.push(&uid), values.push(&id)]);
        let places = PagePlaces { from, to, limit, allowed, of_org, passed, more, terms, dashboard };
        let sql = TEXTS[way as usize].get_or_init(|| page(way, &places));
        self.database.read_planned(org, Planning::Once, sql, values.all()).await
    }

    /// The terms by which the search reads the fewest rows.
    async fn leading_terms(&self, org: OrgId, query: &AnnotationQuery) -> Result<Vec<String>> {
        if query.any_tag || query.tags.len() < 2 {
            return Ok(query.tags.clone());
        }
        let row = self.database.read_one(org, RAREST, &[&org.0, &query.tags]).await?;
        row.iter().map(|row| stored(row, "term")).collect()
    }

    async fn read_ids(
        &self,
        org: OrgId,
        sql: &'static str,
        params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<AnnotationId>> {
        let rows = self.database.read_bounded(org, sql, params).await?;
        Ok(rows.iter().map(|row| AnnotationId(row.get("id"))).collect())
    }
}

/// The access path for a query.
fn way_to(query: &AnnotationQuery) -> Way {
    let asks_more = query.panel_id.is_some() || query.user_id.is_some();
    match query {
        AnnotationQuery { dashboard: Some(_), .. } => Way::Dashboard,
        AnnotationQuery { tags, any_tag, .. } if !tags.is_empty() => {
            if asks_more || !any_tag && tags.len() > 1 { Way::TermsAndMore } else { Way::Terms }
        }
        AnnotationQuery { user_id: Some(_), .. } => Way::User,
        _ => Way::All,
    }
}

fn annotation_view(row: &Row) -> Result<AnnotationView> {
    let dashboard_id = row.get("dashboard_id");
    let dashboard = optional_uid_column(row, "dashboard_uid")?;
    let data = match stored(row, "data")? {
        "" => None,
        data => Some(serde_json::from_str::<CanonicalJson>(data).map_err(Error::internal)?),
    };
    Ok(AnnotationView {
        id: AnnotationId(row.get("id")),
        dashboard: dashboard.map(|uid| AnnotatedDashboard { uid, id: dashboard_id }),
        panel_id: row.get("panel_id"),
        author: AnnotationAuthor {
            id: UserId(row.get("user_id")),
            uid: stored(row, "user_uid")?,
            login: stored(row, "login")?,
            email: stored(row, "email")?,
        },
        content: AnnotationContent {
            time: row.get("time"),
            time_end: row.get("time_end"),
            text: stored(row, "text")?,
            tags: stored(row, "tags")?,
            data,
        },
        created: timestamp_column(row, "created"),
        updated: timestamp_column(row, "updated"),
    })
}

#[async_trait]
impl AnnotationReader for PgAnnotationReader {
    async fn find_annotation(
        &self,
        scope: &Scope,
        id: AnnotationId,
        visible: &VisibleAnnotations,
    ) -> Result<Option<(AnnotationView, bool)>> {
        static SQL: OnceLock<String> = OnceLock::new();
        let org = scope.org();
        let allowed = self.allowed.find(org, &visible.dashboards).await?;
        let params = AllowedParams::of(&visible.dashboards, allowed.as_deref());
        let mut values = Values::of(&org);
        let (id, of_org) = (values.push(&id.0), values.push(&visible.of_org));
        let allowed = params.push_to(&mut values);
        let sql = SQL.get_or_init(|| {
            let is_visible = is_visible("a", of_org, &allowed);
            format!(
                "SELECT {COLUMNS}, {is_visible} AS is_visible FROM annotations a {AUTHORS}
                WHERE a.org_id = $1 AND a.id = {id} AND (a.dashboard_id = 0 OR EXISTS (SELECT FROM dashboards d
                    WHERE d.org_id = $1 AND d.id = a.dashboard_id AND d.deleted IS NULL))"
            )
        });
        let row = self.database.read_one(org, sql, values.all()).await?;
        row.map(|row| Ok((annotation_view(&row)?, row.get("is_visible")))).transpose()
    }

    async fn list_annotations(
        &self,
        scope: &Scope,
        query: &AnnotationQuery,
        visible: &VisibleAnnotations,
    ) -> Result<Vec<AnnotationView>> {
        let org = scope.org();
        let allowed = self.allowed.find(org, &visible.dashboards).await?;
        let terms = self.leading_terms(org, query).await?;
        let wanted = Wanted { query, visible, allowed: allowed.as_deref(), terms: &terms };
        let way = way_to(query);
        let mut rows = self.find_page(org, way, &wanted).await?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|found| found >= query.limit);
        if allowed.is_some() && way != Way::Dashboard && !is_full {
            rows = self.find_page(org, Way::Visible, &wanted).await?;
        }
        rows.iter().map(annotation_view).collect()
    }

    async fn count_tags(
        &self,
        scope: &Scope,
        text: &str,
        limit: i64,
        visible: &VisibleAnnotations,
    ) -> Result<Vec<AnnotationTag>> {
        static SQL: OnceLock<String> = OnceLock::new();
        let org = scope.org();
        let allowed = self.allowed.find(org, &visible.dashboards).await?;
        let params = AllowedParams::of(&visible.dashboards, allowed.as_deref());
        let pattern = contains_pattern(text);
        let mut values = Values::of(&org);
        let (pattern, limit) = (values.push(&pattern), values.push(&limit));
        let of_org = values.push(&visible.of_org);
        let allowed = params.push_to(&mut values);
        let sql = SQL.get_or_init(|| {
            let is_visible = is_visible("c", of_org, &allowed);
            format!(
                "SELECT c.tag, sum(c.used)::bigint AS used FROM annotation_tag_counts c
                WHERE c.org_id = $1 AND c.tag <> '' AND c.tag ILIKE {pattern} AND {is_visible} \
                GROUP BY c.tag ORDER BY c.tag LIMIT {limit}"
            )
        });
        let rows = self.database.read(org, sql, values.all()).await?;
        rows.iter()
            .map(|row| Ok(AnnotationTag { tag: stored(row, "tag")?, count: row.get("used") }))
            .collect()
    }

    async fn list_ids_on(
        &self,
        scope: &Scope,
        dashboard_id: i64,
        panel_id: Option<i64>,
        limit: i64,
    ) -> Result<Vec<AnnotationId>> {
        let sql = "SELECT id FROM annotations WHERE org_id = $1 AND dashboard_id = $2
            AND ($3::bigint IS NULL OR panel_id = $3) LIMIT $4";
        self.read_ids(scope.org(), sql, &[&scope.org().0, &dashboard_id, &panel_id, &limit]).await
    }

    async fn list_oldest(
        &self,
        scope: &Scope,
        kind: AnnotationKind,
        before: Option<Timestamp>,
        limit: i64,
    ) -> Result<Vec<AnnotationId>> {
        let sql = "SELECT id FROM annotations WHERE org_id = $1 AND (dashboard_id > 0) = $2
            AND ($3::timestamptz IS NULL OR created < $3) ORDER BY id LIMIT $4";
        let (of_dashboards, before) = (kind == AnnotationKind::OfDashboards, before.map(Timestamp::date));
        self.read_ids(scope.org(), sql, &[&scope.org().0, &of_dashboards, &before, &limit]).await
    }

    async fn measure(&self, scope: &Scope, kind: AnnotationKind) -> Result<KeptAnnotations> {
        let sql = "SELECT count(*) AS count, min(created) AS oldest FROM annotations
            WHERE org_id = $1 AND (dashboard_id > 0) = $2";
        let of_dashboards = kind == AnnotationKind::OfDashboards;
        let row = self.database.read_one(scope.org(), sql, &[&scope.org().0, &of_dashboards]).await?;
        let kept = row.map(|row| KeptAnnotations {
            count: row.get("count"),
            oldest: optional_timestamp_column(&row, "oldest"),
        });
        Ok(kept.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_decides_on_the_way() {
        let tags = |count: usize| vec!["deploy".to_owned(); count];
        let query = |tags: Vec<String>, any_tag, user_id| AnnotationQuery {
            tags,
            any_tag,
            user_id,
            ..AnnotationQuery::default()
        };
        let cases = [
            (query(tags(0), false, None), Way::All),
            (query(tags(0), true, Some(1)), Way::User),
            (query(tags(1), false, None), Way::Terms),
            (query(tags(2), true, None), Way::Terms),
            (query(tags(2), false, None), Way::TermsAndMore),
            (query(tags(1), false, Some(1)), Way::TermsAndMore),
            (AnnotationQuery { panel_id: Some(1), ..AnnotationQuery::default() }, Way::All),
            (
                AnnotationQuery { dashboard: Some(NamedDashboard::Id(1)), ..query(tags(1), false, None) },
                Way::Dashboard,
            ),
        ];
        for (query, way) in cases {
            assert_eq!(way_to(&query), way, "{query:?}");
        }
    }
}
