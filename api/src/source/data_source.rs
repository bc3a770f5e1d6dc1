//! Data sources, by uid and in the older operations by numeric id or name.

mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kymograph_app::Scope;
use kymograph_app::source::data_source::{DataSourceKey, DataSources, HISTORY};
use serde::Serialize;
use utoipa::ToSchema;

use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::query::{Path, parse_id};
use crate::kernel::routes::{Group, Routes, delete, get, history, post, put};
use wire::{DataSourceBody, DataSourceForm, ListedDataSourceBody, SavedDataSourceBody};

/// The group of operations named `datasources`.
pub(crate) const DATA_SOURCES: Group =
    Group::new("datasources", "What dashboards and rules get their data from")
        .of_noun("datasources", "data_source");

/// The routes of data sources.
pub fn routes(data_sources: &Arc<DataSources>) -> Routes {
    let state = data_sources;
    Routes::of(&DATA_SOURCES)
        .add(
            get("/api/datasources", "getDataSources", "List the data sources that the caller may ask")
                .for_everybody()
                .to(state, get_data_sources),
        )
        .add(
            post("/api/datasources", "addDataSource", "Create a data source")
                .fails(&[409])
                .to(state, add_data_source),
        )
        .add(
            get("/api/datasources/uid/{data_source_uid}", "getDataSourceByUID", "Read a data source")
                .fails(&[404])
                .to(state, get_data_source_by_uid),
        )
        .add(
            put("/api/datasources/uid/{data_source_uid}", "updateDataSourceByUID", "Change a data source")
                .details(SECRETS)
                .fails(&[404, 409])
                .to(state, update_data_source_by_uid),
        )
        .add(
            delete("/api/datasources/uid/{data_source_uid}", "deleteDataSourceByUID", "Delete a data source")
                .fails(&[404])
                .to(state, delete_data_source_by_uid),
        )
        .merge(older_routes(state))
        .with_history(history!(
            HISTORY,
            "/api/datasources/uid/{data_source_uid}",
            "DataSource",
            "a data source"
        ))
}

const SECRETS: &str = "Secrets that are left out stay; an empty one or `null` is removed.";

const DELETED: &str = "Data source deleted";

/// The routes that older clients use.
fn older_routes(state: &Arc<DataSources>) -> Routes {
    Routes::of(&DATA_SOURCES)
        .add(
            get("/api/datasources/{data_source_id}", "getDataSourceByID", "Read a data source")
                .fails(&[404])
                .to(state, get_data_source_by_id),
        )
        .add(
            put("/api/datasources/{data_source_id}", "updateDataSourceByID", "Change a data source")
                .details(SECRETS)
                .fails(&[404, 409])
                .to(state, update_data_source_by_id),
        )
        .add(
            delete("/api/datasources/{data_source_id}", "deleteDataSourceByID", "Delete a data source")
                .fails(&[404])
                .to(state, delete_data_source_by_id),
        )
        .add(
            get("/api/datasources/name/{data_source_name}", "getDataSourceByName", "Read a data source")
                .fails(&[404])
                .to(state, get_data_source_by_name),
        )
        .add(
            delete(
                "/api/datasources/name/{data_source_name}",
                "deleteDataSourceByName",
                "Delete a data source",
            )
            .fails(&[404])
            .to(state, delete_data_source_by_name),
        )
        .add(
            get(
                "/api/datasources/id/{data_source_name}",
                "getDataSourceIdByName",
                "Read the numeric id of a data source",
            )
            .fails(&[404])
            .to(state, get_data_source_id_by_name),
        )
}

type DataSourceState = State<Arc<DataSources>>;

#[derive(Serialize, ToSchema)]
struct DeletedDataSourceBody {
    message: &'static str,
    id: i64,
}

#[derive(Serialize, ToSchema)]
struct DataSourceIdBody {
    id: i64,
}

async fn get_data_sources(
    State(data_sources): DataSourceState,
    Caller(scope): Caller,
) -> ApiResult<Json<Vec<ListedDataSourceBody>>> {
    let listed = data_sources.list_data_sources(&scope).await?;
    Ok(Json(listed.into_iter().map(|source| ListedDataSourceBody::of(&scope, source)).collect()))
}

async fn add_data_source(
    State(data_sources): DataSourceState,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<DataSourceForm>,
) -> ApiResult<Json<SavedDataSourceBody>> {
    let added = data_sources.create_data_source(&scope, &form.into_new()?).await?;
    Ok(Json(SavedDataSourceBody::of(&scope, added, "Datasource added")))
}

async fn get_data_source_by_uid(
    State(data_sources): DataSourceState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
) -> ApiResult<Json<DataSourceBody>> {
    read(&data_sources, &scope, DataSourceKey::Uid(&uid)).await
}

async fn get_data_source_by_id(
    State(data_sources): DataSourceState,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<DataSourceBody>> {
    read(&data_sources, &scope, DataSourceKey::Id(parse_id("id", &id)?)).await
}

async fn get_data_source_by_name(
    State(data_sources): DataSourceState,
    Caller(scope): Caller,
    Path(name): Path<String>,
) -> ApiResult<Json<DataSourceBody>> {
    read(&data_sources, &scope, DataSourceKey::Name(&name)).await
}

async fn get_data_source_id_by_name(
    State(data_sources): DataSourceState,
    Caller(scope): Caller,
    Path(name): Path<String>,
) -> ApiResult<Json<DataSourceIdBody>> {
    let found = data_sources.get_data_source(&scope, DataSourceKey::Name(&name)).await?;
    Ok(Json(DataSourceIdBody { id: found.id }))
}

async fn read(
    data_sources: &DataSources,
    scope: &Scope,
    key: DataSourceKey<'_>,
) -> ApiResult<Json<DataSourceBody>> {
    let found = data_sources.get_data_source(scope, key).await?;
    Ok(Json(DataSourceBody::of(scope, found)))
}

async fn update_data_source_by_uid(
    State(data_sources): DataSourceState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
    JsonBody(form): JsonBody<DataSourceForm>,
) -> ApiResult<Json<SavedDataSourceBody>> {
    update(&data_sources, &scope, DataSourceKey::Uid(&uid), form).await
}

async fn update_data_source_by_id(
    State(data_sources): DataSourceState,
    Caller(scope): Caller,
    Path(id): Path<String>,
    JsonBody(form): JsonBody<DataSourceForm>,
) -> ApiResult<Json<SavedDataSourceBody>> {
    update(&data_sources, &scope, DataSourceKey::Id(parse_id("id", &id)?), form).await
}

async fn update(
    data_sources: &DataSources,
    scope: &Scope,
    key: DataSourceKey<'_>,
    form: DataSourceForm,
) -> ApiResult<Json<SavedDataSourceBody>> {
    let updated = data_sources.update_data_source(scope, key, &form.into_change()?).await?;
    Ok(Json(SavedDataSourceBody::of(scope, updated, "Datasource updated")))
}

async fn delete_data_source_by_uid(
    State(data_sources): DataSourceState,
    Caller(scope): Caller,
    Path(uid): Path<String>,
) -> ApiResult<Json<DeletedDataSourceBody>> {
    delete_one(&data_sources, &scope, DataSourceKey::Uid(&uid)).await
}

async fn delete_data_source_by_id(
    State(data_sources): DataSourceState,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<Message>> {
    data_sources.delete_data_source(&scope, DataSourceKey::Id(parse_id("id", &id)?)).await?;
    Ok(Message::json(DELETED))
}

async fn delete_data_source_by_name(
    State(data_sources): DataSourceState,
    Caller(scope): Caller,
    Path(name): Path<String>,
) -> ApiResult<Json<DeletedDataSourceBody>> {
    delete_one(&data_sources, &scope, DataSourceKey::Name(&name)).await
}

async fn delete_one(
    data_sources: &DataSources,
    scope: &Scope,
    key: DataSourceKey<'_>,
) -> ApiResult<Json<DeletedDataSourceBody>> {
    let id = data_sources.delete_data_source(scope, key).await?;
    Ok(Json(DeletedDataSourceBody { message: DELETED, id }))
}
