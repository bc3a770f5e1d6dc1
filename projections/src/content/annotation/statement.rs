//! The statements that find a page of annotations.
//!
//! A page is found by scanning an index from the latest end, until it is full. With a time range the scan starts at two
//! places of the index: annotations that end within the range come in index order; before them come those that began
//! before the end of the range and end after it, for which regions have an index of their own.
//!
//! Any number of annotations that a member may not see can be in between. So the first statement for a member scans a
//! limited number of annotations; if that does not fill the page, the second one scans those of each dashboard that the
//! member may see.

use std::sync::OnceLock;

use crate::kernel::sql::Place;
use crate::rights::resource_permission::filter::AllowedPlaces;

/// The maximum number of annotations that the first statement for a member scans.
pub(super) const MAX_PASSED: i64 = 5_000;

/// The access path to annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// All of the org.
    All,
    /// Those of a user.
    User,
    /// Those that have one of some terms.
    Terms,
    /// Those with one of some terms and further conditions.
    TermsAndMore,
    /// Those on a dashboard.
    Dashboard,
    /// Those on each dashboard that the actor may see.
    Visible,
}

/// The texts of the statements by [`Way`], made at first use.
pub(super) static TEXTS: [OnceLock<String>; 6] = [const { OnceLock::new() }; 6];

/// The places of the conditions on annotations other than access path and time.
#[derive(Clone, Copy)]
pub(super) struct MorePlaces {
    pub(super) panel: Place,
    pub(super) user: Place,
    /// The terms that an annotation must all have.
    pub(super) all: Place,
    /// The terms of which an annotation must have one, if any are given.
    pub(super) any: Place,
}

impl MorePlaces {
    fn condition(self, a: &str) -> String {
        let Self { panel, user, all, any } = self;
        format!(
            " AND ({panel}::bigint IS NULL OR {a}.panel_id = {panel}) AND ({user}::bigint IS NULL OR {a}.user_id = {user}) \
            AND ({all}::text[] = '{{}}' OR {a}.terms @> {all}) AND ({any}::text[] = '{{}}' OR {a}.terms && {any})"
        )
    }
}

/// The places of the parameters of a page. `$1` is the org.
pub(super) struct PagePlaces {
    pub(super) from: Place,
    pub(super) to: Place,
    pub(super) limit: Place,
    pub(super) allowed: AllowedPlaces,
    /// Whether the annotations of the whole org are visible; not for a dashboard.
    pub(super) of_org: Option<Place>,
    /// The maximum number of annotations to scan; `None` where all scanned ones are visible.
    pub(super) passed: Option<Place>,
    pub(super) more: Option<MorePlaces>,
    /// The terms by which annotations are searched.
    pub(super) terms: Option<Place>,
    /// The uid and the numeric id of the dashboard, one of which is NULL.
    pub(super) dashboard: Option<[Place; 2]>,
}

/// Whether an annotation, or a count of annotations, is visible by the dashboard of `t`.
pub(super) fn is_visible(t: &str, of_org: Place, allowed: &AllowedPlaces) -> String {
    let allows = allowed.allows_dashboard("");
    // OFFSET 0 makes the planner look up each dashboard, instead of reading all of the org first.
    format!(
        "({t}.dashboard_id = 0 AND {of_org}::boolean OR EXISTS (SELECT FROM dashboards d
            WHERE d.org_id = $1 AND d.id = {t}.dashboard_id AND d.deleted IS NULL AND {allows} OFFSET 0))"
    )
}

/// The columns of an annotation `a`, and the tables of its author.
pub(super) const COLUMNS: &str =
    "a.id, a.dashboard_id, a.dashboard_uid, a.panel_id, a.user_id, a.time, a.time_end, a.text, a.tags, a.data, a.created,
        a.updated, coalesce(u.uid, s.uid, '') AS user_uid, coalesce(u.login, s.login, '') AS login,
        coalesce(u.email, '') AS email";
pub(super) const AUTHORS: &str = "LEFT JOIN users u ON u.id = a.user_id
        LEFT JOIN service_accounts s ON s.org_id = $1 AND s.id = a.user_id";

/// The statement for a page.
pub(super) fn page(way: Way, places: &PagePlaces) -> String {
    let (table, key) = match (way, places.more) {
        (Way::Terms | Way::TermsAndMore, _) => ("annotation_terms", " AND t.term = lead.key".to_owned()),
        (Way::Dashboard | Way::Visible, _) => ("annotations", " AND t.dashboard_id = lead.key".to_owned()),
        (Way::User, Some(more)) => ("annotations", format!(" AND t.user_id = {}", more.user)),
        (Way::User, None) | (Way::All, _) => ("annotations", String::new()),
    };
    let more = places.more.map(|more| match way {
        Way::TermsAndMore => format!(
            " AND EXISTS (SELECT FROM annotations a WHERE a.org_id = $1 AND a.id = t.id{} OFFSET 0)",
            more.condition("a")
        ),
        _ => more.condition("t"),
    });
    let condition = key + &more.unwrap_or_default();
    let PagePlaces { from, to, limit, .. } = places;
    let within = found(table, &format!("t.time_end >= {from} AND t.time_end <= {to}{condition}"), places);
    let beyond = found(
        table,
        &format!("t.time_end > {to} AND t.time <= {to} AND t.time < t.time_end{condition}"),
        places,
    );
    // One annotation can have several of the terms.
    let distinct = if places.terms.is_some() { "DISTINCT " } else { "" };
    let leading = leading(places);
    format!(
        "SELECT {COLUMNS} FROM (
            SELECT {distinct}found.id, found.time_end, found.time
            FROM {leading} CROSS JOIN LATERAL ({beyond} UNION ALL {within}) AS found
            ORDER BY found.time_end DESC, found.time DESC, found.id DESC LIMIT {limit}) AS page
        CROSS JOIN LATERAL (SELECT * FROM annotations a WHERE a.org_id = $1 AND a.id = page.id OFFSET 0) AS a
        {AUTHORS} ORDER BY page.time_end DESC, page.time DESC, page.id DESC"
    )
}

/// The latest annotations of a key that meet a condition and are visible.
fn found(table: &str, condition: &str, places: &PagePlaces) -> String {
    let limit = places.limit;
    let all = |limit: Place| {
        format!(
            "SELECT t.id, t.time_end, t.time, t.dashboard_id FROM {table} t WHERE t.org_id = $1 AND {condition} \
            ORDER BY t.time_end DESC, t.time DESC, t.id DESC LIMIT {limit}"
        )
    };
    match (places.passed, places.of_org) {
        (Some(passed), Some(of_org)) => {
            let (all, is_visible) = (all(passed), is_visible("t", of_org, &places.allowed));
            format!("(SELECT t.id, t.time_end, t.time FROM ({all}) AS t WHERE {is_visible} LIMIT {limit})")
        }
        _ => format!("(SELECT t.id, t.time_end, t.time FROM ({}) AS t)", all(limit)),
    }
}

/// The keys of the access path.
fn leading(places: &PagePlaces) -> String {
    let allowed = &places.allowed;
    match *places {
        PagePlaces { terms: Some(terms), .. } => format!("unnest({terms}::text[]) AS lead (key)"),
        PagePlaces { dashboard: Some([uid, id]), .. } => {
            let allows = allowed.allows_dashboard("");
            let named = |by: &str| {
                format!(
                    "SELECT d.id FROM dashboards d WHERE d.org_id = $1 AND {by} AND d.deleted IS NULL AND {allows}"
                )
            };
            let (by_uid, by_id) =
                (named(&format!("d.uid = {uid}::text")), named(&format!("d.id = {id}::bigint")));
            format!("({by_uid} UNION ALL {by_id}) AS lead (key)")
        }
        PagePlaces { of_org: Some(of_org), passed: None, .. } => {
            let is_visible = is_visible("c", of_org, allowed);
            format!(
                "(SELECT c.dashboard_id FROM annotation_tag_counts c WHERE c.org_id = $1 AND c.tag = '' AND {is_visible}) \
                AS lead (key)"
            )
        }
        _ => "(VALUES (0)) AS lead (key)".to_owned(),
    }
}
