//! The forms and bodies of data sources.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use kymograph_app::Scope;
use kymograph_app::source::data_source::{DataSourceChange, DataSourceView, NewDataSource};
use kymograph_domain::source::data_source::{DataSourceAccess, DataSourceContent};
use kymograph_domain::{OrgId, Uid};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::openapi::text::{Name, NewUid};

#[derive(Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DataSourceForm {
    #[schema(value_type = Option<NewUid>)]
    uid: Option<String>,
    #[schema(value_type = Name, required)]
    name: Option<String>,
    /// The id of the plugin, like `prometheus`.
    #[schema(value_type = Name, required)]
    r#type: Option<String>,
    #[schema(value_type = Option<DataSourceAccess>)]
    access: Option<String>,
    url: Option<String>,
    user: Option<String>,
    database: Option<String>,
    basic_auth: Option<bool>,
    basic_auth_user: Option<String>,
    with_credentials: Option<bool>,
    is_default: Option<bool>,
    /// What only its type knows.
    #[schema(value_type = Option<Object>)]
    json_data: Option<Map<String, Value>>,
    /// Secrets by name. No answer ever has them.
    #[schema(value_type = Option<BTreeMap<String, Option<String>>>)]
    secure_json_data: Option<BTreeMap<String, Option<String>>>,
    /// The version the client has seen; 0 overwrites whatever is there.
    version: Option<i64>,
}

impl DataSourceForm {
    pub(super) fn into_new(self) -> ApiResult<NewDataSource> {
        let (uid, _, secrets, content) = self.into_parts()?;
        Ok(NewDataSource { uid, content, secrets })
    }

    pub(super) fn into_change(self) -> ApiResult<DataSourceChange> {
        let (uid, version, secrets, content) = self.into_parts()?;
        let uid = uid.filter(|uid| !uid.is_empty());
        let expected_version = version.filter(|version| *version != 0);
        Ok(DataSourceChange { uid, content, secrets, expected_version })
    }

    fn into_parts(self) -> ApiResult<Parts> {
        let access = match self.access.as_deref().unwrap_or_default() {
            "" | "proxy" | "server" => DataSourceAccess::Proxy,
            "direct" | "browser" => DataSourceAccess::Direct,
            _ => return Err(ApiError::new(StatusCode::BAD_REQUEST, "access is neither proxy nor direct")),
        };
        let content = DataSourceContent {
            name: self.name.unwrap_or_default().trim().to_owned(),
            kind: self.r#type.unwrap_or_default(),
            access,
            url: self.url.unwrap_or_default().trim().to_owned(),
            user: self.user.unwrap_or_default(),
            database: self.database.unwrap_or_default(),
            basic_auth: self.basic_auth.unwrap_or_default(),
            basic_auth_user: self.basic_auth_user.unwrap_or_default(),
            with_credentials: self.with_credentials.unwrap_or_default(),
            is_default: self.is_default.unwrap_or_default(),
            json_data: self.json_data.unwrap_or_default(),
        };
        Ok((self.uid, self.version, self.secure_json_data.unwrap_or_default(), content))
    }
}

/// The uid, the version, the secrets and the rest of a form.
type Parts = (Option<String>, Option<i64>, BTreeMap<String, Option<String>>, DataSourceContent);

/// A data source in a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedDataSourceBody {
    id: i64,
    uid: Uid,
    org_id: OrgId,
    name: String,
    r#type: String,
    type_name: String,
    type_logo_url: &'static str,
    access: DataSourceAccess,
    url: String,
    user: String,
    database: String,
    basic_auth: bool,
    is_default: bool,
    #[schema(value_type = Object)]
    json_data: Map<String, Value>,
    read_only: bool,
}

impl ListedDataSourceBody {
    pub(super) fn of(scope: &Scope, source: DataSourceView) -> Self {
        let content = source.content;
        Self {
            id: source.id,
            uid: source.uid,
            org_id: scope.org(),
            name: content.name,
            type_name: type_name(&content.kind),
            r#type: content.kind,
            type_logo_url: "",
            access: content.access,
            url: content.url,
            user: content.user,
            database: content.database,
            basic_auth: content.basic_auth,
            is_default: content.is_default,
            json_data: content.json_data,
            read_only: source.read_only,
        }
    }
}

/// The name of a type for people. One that is not known is its own name.
fn type_name(kind: &str) -> String {
    let known = match kind {
        "alertmanager" => "Alertmanager",
        "grafana-postgresql-datasource" | "postgres" => "PostgreSQL",
        "grafana-testdata-datasource" | "testdata" => "TestData",
        "loki" => "Loki",
        "prometheus" => "Prometheus",
        other => other,
    };
    known.to_owned()
}

/// A data source.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DataSourceBody {
    id: i64,
    uid: Uid,
    org_id: OrgId,
    name: String,
    r#type: String,
    type_logo_url: &'static str,
    access: DataSourceAccess,
    url: String,
    user: String,
    database: String,
    basic_auth: bool,
    basic_auth_user: String,
    with_credentials: bool,
    is_default: bool,
    #[schema(value_type = Object)]
    json_data: Map<String, Value>,
    /// Which secrets are set.
    secure_json_fields: BTreeMap<String, bool>,
    version: i64,
    read_only: bool,
}

impl DataSourceBody {
    pub(super) fn of(scope: &Scope, source: DataSourceView) -> Self {
        let content = source.content;
        Self {
            id: source.id,
            uid: source.uid,
            org_id: scope.org(),
            name: content.name,
            r#type: content.kind,
            type_logo_url: "",
            access: content.access,
            url: content.url,
            user: content.user,
            database: content.database,
            basic_auth: content.basic_auth,
            basic_auth_user: content.basic_auth_user,
            with_credentials: content.with_credentials,
            is_default: content.is_default,
            json_data: content.json_data,
            secure_json_fields: source.secrets.into_iter().map(|name| (name, true)).collect(),
            version: source.version,
            read_only: source.read_only,
        }
    }
}

/// A data source that was created or changed.
#[derive(Serialize, ToSchema)]
pub(super) struct SavedDataSourceBody {
    id: i64,
    name: String,
    message: &'static str,
    datasource: DataSourceBody,
}

impl SavedDataSourceBody {
    pub(super) fn of(scope: &Scope, source: DataSourceView, message: &'static str) -> Self {
        let (id, name) = (source.id, source.content.name.clone());
        Self { id, name, message, datasource: DataSourceBody::of(scope, source) }
    }
}
