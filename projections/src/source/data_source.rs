//! Data sources.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use kymograph_app::kernel::secret::Secrets;
use kymograph_app::kernel::side_write::SideWrite;
use kymograph_app::rights::authorization::ContentFilter;
use kymograph_app::source::backend::SourceSecrets;
use kymograph_app::source::data_source::{DataSourceKey, DataSourceReader, DataSourceView, secret_key};
use kymograph_app::{Error, Result, Scope, values};
use kymograph_domain::account::org::OrgEvent;
use kymograph_domain::source::data_source::{
    DataSource, DataSourceChanged, DataSourceContent, DataSourceCreated, DataSourceEvent,
};
use kymograph_domain::{OrgId, Uid};
use tokio_postgres::Row;

use crate::kernel::database::{Database, Params};
use crate::kernel::projector::{Projector, Recorded};
use crate::kernel::sql::{Place, Text, Values, check};
use crate::kernel::statement::{OnFailure, Statements};
use crate::kernel::text::{stored, timestamp_column, uid_column};
use crate::params;
use crate::rights::resource_permission::CHECK_DATA_SOURCE;
use crate::rights::resource_permission::filter::{FilterParams, FilterPlaces};

/// Keeps `data_sources`.
pub struct DataSourceProjector;

const INSERT: &str =
    "INSERT INTO data_sources (org_id, id, uid, name, content, secrets, is_default, read_only,
    version, creator_id, created, updated) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $10, $10)";
const UPDATE: &str = "UPDATE data_sources SET name = $3, content = $4, is_default = $5, updated = $6,
    secrets = ARRAY(SELECT unnest(secrets || $7::text[]) EXCEPT SELECT unnest($8::text[]) ORDER BY 1),
    version = version + 1 WHERE org_id = $1 AND id = $2";
const CLEAR_DEFAULT: &str =
    "UPDATE data_sources SET is_default = false, updated = $3 WHERE org_id = $1 AND id = $2";
static CHECK_DEFAULT: Text = Text::new(|| {
    check("NOT EXISTS (SELECT FROM data_sources WHERE org_id = $1 AND is_default AND uid <> $2)")
});
/// Divides by zero unless there is a data source `$2`.
pub(super) static CHECK_EXISTS: Text =
    Text::new(|| check("EXISTS (SELECT FROM data_sources WHERE org_id = $1 AND uid = $2)"));
static CHECK_WRITABLE: Text = Text::new(|| {
    check("EXISTS (SELECT FROM data_sources WHERE org_id = $1 AND uid = $2 AND id = $3 AND NOT read_only)")
});

impl Projector for DataSourceProjector {
    fn name(&self) -> &'static str {
        "data_sources"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["data_source", "org"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["data_sources"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let (org, at) = (recorded.org.0, recorded.recorded_at.date());
        if let Some(OrgEvent::Deleted(_)) = recorded.event.of() {
            statements.write("DELETE FROM data_sources WHERE org_id = $1", params![org]);
        }
        match recorded.event.of() {
            Some(DataSourceEvent::Created(DataSourceCreated { uid, id, content, secrets, read_only })) => {
                let secrets: Vec<_> = secrets.iter().cloned().collect();
                let (name, is_default, creator) =
                    (content.name.clone(), content.is_default, recorded.actor_id);
                let (uid, content) = (uid.to_string(), json_of(content));
                let row =
                    params![org, *id, uid, name, content, secrets, is_default, *read_only, creator.0, at];
                statements.write_keeping(INSERT, row, DataSource::NAME_UNIQUE);
            }
            Some(DataSourceEvent::Changed(changed)) => {
                let DataSourceChanged { id, content, secrets_set, secrets_removed } = changed;
                let names = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>();
                let (set, removed) = (names(secrets_set), names(secrets_removed));
                let (name, is_default, json) = (content.name.clone(), content.is_default, json_of(content));
                let row = params![org, *id, name, json, is_default, at, set, removed];
                statements.write_keeping(UPDATE, row, DataSource::NAME_UNIQUE);
            }
            Some(DataSourceEvent::DefaultCleared(cleared)) => {
                statements.write(CLEAR_DEFAULT, params![org, cleared.id, at]);
            }
            Some(DataSourceEvent::Deleted(deleted)) => {
                let sql = "DELETE FROM data_sources WHERE org_id = $1 AND id = $2";
                statements.write(sql, params![org, deleted.id]);
            }
            None => {}
        }
    }
}

/// The settings as stored. Serializing them cannot fail, because all keys of maps are texts.
fn json_of(content: &DataSourceContent) -> String {
    serde_json::to_string(content).unwrap_or_default()
}

/// Reads `data_sources`, and their secrets.
pub struct PgDataSourceReader {
    database: Database,
    secrets: Arc<dyn Secrets>,
}

impl PgDataSourceReader {
    /// A reader on this database, with the secrets to decrypt.
    #[must_use]
    pub fn new(database: Database, secrets: Arc<dyn Secrets>) -> Self {
        Self { database, secrets }
    }
}

fn data_source_view(row: &Row) -> Result<DataSourceView> {
    let content: DataSourceContent =
        serde_json::from_str(stored(row, "content")?).map_err(Error::internal)?;
    Ok(DataSourceView {
        uid: uid_column(row, "uid")?,
        id: row.get("id"),
        content: DataSourceContent { is_default: row.get("is_default"), ..content },
        secrets: stored(row, "secrets")?,
        version: row.get("version"),
        read_only: row.get("read_only"),
        updated: timestamp_column(row, "updated"),
    })
}

fn list_text(limit: Place, is_unlimited: Place, filter: FilterPlaces) -> String {
    let (granted, open) = (filter.granted("data_source", "s"), filter.open_at_root("data_source", "s"));
    format!(
        "SELECT * FROM data_sources s WHERE org_id = $1 AND ({is_unlimited}::boolean OR {granted} OR {open})
            ORDER BY name, id LIMIT {limit}"
    )
}

#[async_trait]
impl DataSourceReader for PgDataSourceReader {
    async fn find_data_source(
        &self,
        scope: &Scope,
        key: DataSourceKey<'_>,
    ) -> Result<Option<DataSourceView>> {
        const BY_UID: &str = "SELECT * FROM data_sources WHERE org_id = $1 AND uid = $2";
        const BY_ID: &str = "SELECT * FROM data_sources WHERE org_id = $1 AND id = $2";
        const BY_NAME: &str = "SELECT * FROM data_sources WHERE org_id = $1 AND name = $2";
        let org = scope.org();
        let row = match &key {
            // PostgreSQL has no text with NUL in it.
            DataSourceKey::Uid(text) | DataSourceKey::Name(text) if text.contains('\0') => None,
            DataSourceKey::Uid(uid) => self.database.read_one(org, BY_UID, &[&org.0, uid]).await?,
            DataSourceKey::Id(id) => self.database.read_one(org, BY_ID, &[&org.0, id]).await?,
            DataSourceKey::Name(name) => self.database.read_one(org, BY_NAME, &[&org.0, name]).await?,
        };
        row.as_ref().map(data_source_view).transpose()
    }

    async fn list_data_sources(
        &self,
        scope: &Scope,
        filter: &ContentFilter,
        limit: i64,
    ) -> Result<Vec<DataSourceView>> {
        static SQL: OnceLock<String> = OnceLock::new();
        let (org, filter) = (scope.org(), FilterParams::of(filter));
        let mut values = Values::of(&org);
        let limit = values.push(&limit);
        let (is_unlimited, filter) = filter.push_to(&mut values);
        let sql = SQL.get_or_init(|| list_text(limit, is_unlimited, filter));
        let rows = self.database.read_bounded(org, sql, values.all()).await?;
        rows.iter().map(data_source_view).collect()
    }

    async fn find_default(&self, scope: &Scope) -> Result<Option<Uid>> {
        let sql = "SELECT uid FROM data_sources WHERE org_id = $1 AND is_default";
        let org = scope.org();
        let row = self.database.read_one(org, sql, &[&org.0]).await?;
        row.map(|row| uid_column(&row, "uid")).transpose()
    }

    fn is_only_default(&self, org: OrgId, uid: Option<&Uid>) -> SideWrite {
        let params = values![org.0, uid.map(Uid::as_str).unwrap_or_default()];
        SideWrite { org, sql: &CHECK_DEFAULT, params, on_failure: OnFailure::Conflict }
    }

    fn stays(&self, org: OrgId, uid: &Uid, id: i64) -> SideWrite {
        let params = values![org.0, uid.as_str(), id];
        SideWrite { org, sql: &CHECK_DATA_SOURCE, params, on_failure: OnFailure::Conflict }
    }

    fn stays_writable(&self, org: OrgId, uid: &Uid, id: i64) -> SideWrite {
        let params = values![org.0, uid.as_str(), id];
        SideWrite { org, sql: &CHECK_WRITABLE, params, on_failure: OnFailure::Conflict }
    }

    async fn read_secrets(&self, scope: &Scope, id: i64) -> Result<SourceSecrets> {
        const READ: &str = "SELECT key, sealed FROM secrets WHERE org_id = $1 AND key > $2 AND key < $3";
        // `0` comes after `/`.
        let (org, prefix) = (scope.org(), secret_key(id, ""));
        let end = prefix.trim_end_matches('/').to_owned() + "0";
        let params: Params<'_> = &[&org.0, &prefix, &end];
        let mut secrets = SourceSecrets::default();
        for row in self.database.read(org, READ, params).await? {
            let (key, sealed): (&str, &[u8]) = (row.get("key"), row.get("sealed"));
            let value = self.secrets.open(org, key, sealed).await?;
            secrets.0.insert(key.trim_start_matches(&prefix).to_owned(), value);
        }
        Ok(secrets)
    }
}
