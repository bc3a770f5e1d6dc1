//! Correlations.

mod many;

use std::sync::OnceLock;

use async_trait::async_trait;
use kymograph_app::rights::authorization::ContentFilter;
use kymograph_app::source::correlation::{CorrelationReader, CorrelationView};
use kymograph_app::{Error, Page, Result, Scope};
use kymograph_domain::Uid;
use kymograph_domain::account::org::OrgEvent;
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::source::correlation::{
    Correlation, CorrelationChanged, CorrelationContent, CorrelationEvent, MAX_CONTENTS_BYTES,
    MAX_CORRELATIONS,
};
use tokio_postgres::Row;

use crate::kernel::database::Database;
use crate::kernel::projector::{Gathered, Projector, Recorded, project_gathered};
use crate::kernel::sql::{Place, Text, Values, check};
use crate::kernel::statement::{OnFailure, Statements};
use crate::kernel::text::{optional_uid_column, stored, uid_column};
use crate::params;
use crate::rights::resource_permission::filter::{FilterParams, FilterPlaces};
use many::Many;

/// Keeps `correlations`.
pub struct CorrelationProjector;

const UPDATE: &str = "UPDATE correlations SET content = $3 WHERE org_id = $1 AND uid = $2";
/// The correlations of the data source `$2`.
const OF_SOURCE: &str = "(SELECT uid, content FROM correlations WHERE org_id = $1 AND source_uid = $2
    UNION ALL
    SELECT uid, content FROM correlations WHERE org_id = $1 AND target_uid = $2 AND source_uid <> $2)";
static CHECK_FEW: Text = Text::new(|| {
    check(&format!(
        "(SELECT count(*) <= {MAX_CORRELATIONS} AND coalesce(sum(octet_length(content)), 0) <= {MAX_CONTENTS_BYTES}
            FROM {OF_SOURCE} AS own)"
    ))
});
static CHECK_NONE: Text = Text::new(|| check(&format!("NOT EXISTS {OF_SOURCE}")));

impl Projector for CorrelationProjector {
    fn name(&self) -> &'static str {
        "correlations"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["correlation", "data_source", "org"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["correlations"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let org = recorded.org.0;
        if let Some(OrgEvent::Deleted(_)) = recorded.event.of() {
            statements.write("DELETE FROM correlations WHERE org_id = $1", params![org]);
        }
        if let Some(Ending::DataSource(uid)) = recorded.event.ending() {
            // A conflict if a correlation was created after they were listed: the command is decided again.
            statements.check(&CHECK_NONE, params![org, uid.to_string()], OnFailure::Conflict);
        }
        match recorded.event.of() {
            Some(CorrelationEvent::Changed(changed)) => {
                let CorrelationChanged { uid, source_uid, target_uid, content } = changed;
                statements.write(UPDATE, params![org, uid.to_string(), json_of(content)]);
                check_few(org, std::iter::once(source_uid).chain(target_uid), statements);
            }
            Some(CorrelationEvent::Created(_) | CorrelationEvent::Deleted(_)) => {
                let mut only = Many::default();
                only.take(recorded);
                only.write(statements);
            }
            None => {}
        }
    }

    fn project_many(&self, recorded: &[Recorded<'_>], statements: &mut Statements) {
        project_gathered(self, Many::default(), recorded, statements);
    }
}

/// The content as stored. Serializing it cannot fail, because all keys of maps are texts.
fn json_of(content: &CorrelationContent) -> String {
    serde_json::to_string(content).unwrap_or_default()
}

/// Fails if one of these data sources has too many correlations, or too long ones.
fn check_few<'a>(org: i64, data_sources: impl Iterator<Item = &'a Uid>, statements: &mut Statements) {
    for uid in data_sources {
        let on_failure = OnFailure::Broken(Correlation::FEW_OF_SOURCE);
        statements.check(&CHECK_FEW, params![org, uid.to_string()], on_failure);
    }
}

/// Reads `correlations`.
pub struct PgCorrelationReader {
    database: Database,
}

impl PgCorrelationReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

fn correlation_view(row: &Row) -> Result<CorrelationView> {
    let content = serde_json::from_str(stored(row, "content")?).map_err(Error::internal)?;
    Ok(CorrelationView {
        uid: uid_column(row, "uid")?,
        source_uid: uid_column(row, "source_uid")?,
        target_uid: optional_uid_column(row, "target_uid")?,
        content,
    })
}

/// The beginning of a query for correlations that start from data sources that pass a filter. The filter is applied
/// once to each data source.
fn from_visible(select: &str, sources: Place, is_unlimited: Place, filter: FilterPlaces) -> String {
    let (granted, open) = (filter.granted("data_source", "s"), filter.open_at_root("data_source", "s"));
    format!(
        "WITH visible AS MATERIALIZED (
            SELECT s.uid FROM data_sources s WHERE s.org_id = $1
                AND ({sources}::text[] IS NULL OR s.uid = ANY ({sources}::text[]))
                AND ({is_unlimited}::boolean OR {granted} OR {open}))
        SELECT {select} FROM correlations c
        WHERE c.org_id = $1 AND c.source_uid IN (SELECT uid FROM visible)"
    )
}

#[async_trait]
impl CorrelationReader for PgCorrelationReader {
    async fn find_correlation(
        &self,
        scope: &Scope,
        source: &Uid,
        uid: &Uid,
    ) -> Result<Option<CorrelationView>> {
        let sql = "SELECT * FROM correlations WHERE org_id = $1 AND source_uid = $2 AND uid = $3";
        let org = scope.org();
        let row = self.database.read_one(org, sql, &[&org.0, &source.as_str(), &uid.as_str()]).await?;
        row.as_ref().map(correlation_view).transpose()
    }

    async fn list_correlations_from(&self, scope: &Scope, source: &Uid) -> Result<Vec<CorrelationView>> {
        let sql = "SELECT * FROM correlations WHERE org_id = $1 AND source_uid = $2 ORDER BY uid";
        let org = scope.org();
        let rows = self.database.read(org, sql, &[&org.0, &source.as_str()]).await?;
        rows.iter().map(correlation_view).collect()
    }

    async fn list_correlations(
        &self,
        scope: &Scope,
        sources: Option<Vec<String>>,
        filter: &ContentFilter,
        page: Page,
    ) -> Result<(Vec<CorrelationView>, i64)> {
        static COUNT: OnceLock<String> = OnceLock::new();
        static LIST: OnceLock<String> = OnceLock::new();
        let (org, filter, offset) = (scope.org(), FilterParams::of(filter), page.offset());
        let mut values = Values::of(&org);
        let sources = values.push(&sources);
        let (is_unlimited, filter) = filter.push_to(&mut values);
        let count = COUNT.get_or_init(|| from_visible("count(*) AS total", sources, is_unlimited, filter));
        let counted = self.database.read_one(org, count, values.all()).await?;
        let total = counted.map_or(0, |row| row.get("total"));
        let [limit, offset] = values.push_all([&page.size, &offset]);
        let list = LIST.get_or_init(|| {
            let from = from_visible("c.*", sources, is_unlimited, filter);
            format!("{from} ORDER BY c.source_uid, c.uid LIMIT {limit} OFFSET {offset}")
        });
        let rows = self.database.read(org, list, values.all()).await?;
        Ok((rows.iter().map(correlation_view).collect::<Result<_>>()?, total))
    }

    async fn list_uids_of(&self, scope: &Scope, data_source: &Uid) -> Result<Vec<Uid>> {
        static SQL: Text = Text::new(|| format!("SELECT uid FROM {OF_SOURCE} AS own"));
        let org = scope.org();
        let rows = self.database.read(org, &SQL, &[&org.0, &data_source.as_str()]).await?;
        rows.iter().map(|row| uid_column(row, "uid")).collect()
    }
}
