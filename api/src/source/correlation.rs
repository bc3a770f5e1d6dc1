//! Correlations between data sources.

mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kymograph_app::source::correlation::{Correlations, HISTORY};

use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::{many, text};
use crate::kernel::query::{Path, Query};
use crate::kernel::routes::{Group, Routes, delete, get, history, patch, post};
use wire::{CorrelationBody, CorrelationChangeForm, CorrelationForm, CorrelationsBody, SavedCorrelationBody};

const GROUP: Group =
    Group::new("correlations", "Links from the data of one data source to another, or to a web page")
        .of_noun("correlations", "correlation");

/// The default limit of a list of correlations.
const DEFAULT_LIMIT: i64 = 100;

/// The routes of correlations.
pub fn routes(correlations: &Arc<Correlations>) -> Routes {
    let state = correlations;
    Routes::of(&GROUP)
        .add(
            get(
                "/api/datasources/correlations",
                "getCorrelations",
                "List the correlations of the data sources that the caller may ask",
            )
            .query("sourceUID", many(text()), "The data sources that they start from")
            .pages("limit", DEFAULT_LIMIT)
            .for_everybody()
            .to(state, get_correlations),
        )
        .merge(routes_of_source(state))
        .with_history(history!(
            HISTORY,
            "/api/datasources/correlations/{correlation_uid}",
            "Correlation",
            "a correlation"
        ))
}

fn routes_of_source(state: &Arc<Correlations>) -> Routes {
    const OF_SOURCE: &str = "/api/datasources/uid/{data_source_uid}/correlations";
    const ONE: &str = "/api/datasources/uid/{data_source_uid}/correlations/{correlation_uid}";
    Routes::of(&GROUP)
        .add(
            get(OF_SOURCE, "getCorrelationsBySourceUID", "List the correlations of a data source")
                .fails(&[404])
                .to(state, get_correlations_by_source_uid),
        )
        .add(
            post(OF_SOURCE, "createCorrelation", "Create a correlation")
                .fails(&[404])
                .to(state, create_correlation),
        )
        .add(get(ONE, "getCorrelation", "Read a correlation").fails(&[404]).to(state, get_correlation))
        .add(
            patch(ONE, "updateCorrelation", "Change a part of a correlation")
                .fails(&[404])
                .to(state, update_correlation),
        )
        .add(
            delete(ONE, "deleteCorrelation", "Delete a correlation")
                .fails(&[404])
                .to(state, delete_correlation),
        )
}

type CorrelationState = State<Arc<Correlations>>;

async fn get_correlations(
    State(correlations): CorrelationState,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<CorrelationsBody>> {
    let page = query.page("limit", DEFAULT_LIMIT);
    let listed = correlations.list_correlations(&scope, query.texts("sourceUID"), page).await?;
    Ok(Json(CorrelationsBody::of(&scope, listed)))
}

async fn get_correlations_by_source_uid(
    State(correlations): CorrelationState,
    Caller(scope): Caller,
    Path(source): Path<String>,
) -> ApiResult<Json<Vec<CorrelationBody>>> {
    let listed = correlations.list_correlations_from(&scope, &source).await?;
    Ok(Json(listed.into_iter().map(|correlation| CorrelationBody::of(&scope, correlation)).collect()))
}

async fn create_correlation(
    State(correlations): CorrelationState,
    Caller(scope): Caller,
    Path(source): Path<String>,
    JsonBody(form): JsonBody<CorrelationForm>,
) -> ApiResult<Json<SavedCorrelationBody>> {
    let created = correlations.create_correlation(&scope, &source, &form.into_new()?).await?;
    Ok(Json(SavedCorrelationBody::of(&scope, created, "Correlation created")))
}

async fn get_correlation(
    State(correlations): CorrelationState,
    Caller(scope): Caller,
    Path((source, uid)): Path<(String, String)>,
) -> ApiResult<Json<CorrelationBody>> {
    let found = correlations.get_correlation(&scope, &source, &uid).await?;
    Ok(Json(CorrelationBody::of(&scope, found)))
}

async fn update_correlation(
    State(correlations): CorrelationState,
    Caller(scope): Caller,
    Path((source, uid)): Path<(String, String)>,
    JsonBody(form): JsonBody<CorrelationChangeForm>,
) -> ApiResult<Json<SavedCorrelationBody>> {
    let updated = correlations.update_correlation(&scope, &source, &uid, form.into_change()?).await?;
    Ok(Json(SavedCorrelationBody::of(&scope, updated, "Correlation updated")))
}

async fn delete_correlation(
    State(correlations): CorrelationState,
    Caller(scope): Caller,
    Path((source, uid)): Path<(String, String)>,
) -> ApiResult<Json<Message>> {
    correlations.delete_correlation(&scope, &source, &uid).await?;
    Ok(Message::json("Correlation deleted"))
}
