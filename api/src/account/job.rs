//! The jobs of the server.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kymograph_app::account::job::{JobState, JobView, Jobs};
use kymograph_domain::OrgId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::kernel::body::Message;
use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::one_of;
use crate::kernel::query::{Path, Query};
use crate::kernel::routes::{Routes, get, post};
use crate::kernel::setting::ADMIN;

const DEFAULT_PAGE: i64 = 100;

/// The routes of jobs.
pub fn routes(jobs: &Arc<Jobs>) -> Routes {
    let states = JobState::ALL.map(JobState::as_str);
    Routes::of(&ADMIN)
        .add(
            get("/api/admin/jobs", "listJobs", "List the background jobs of the server in a state, newest first")
                .details(
                    "A job does work after the request that caused it, such as sending a mail. A dead one has failed for good: it is a dead letter.",
                )
                .query("state", one_of(&states), "The state, by default `dead`")
                .pages("perpage", DEFAULT_PAGE)
                .fails(&[400])
                .to(jobs, list_jobs),
        )
        .add(
            post("/api/admin/jobs/{job_id}/retry", "retryJob", "Retry a dead job")
                .details("It is due at once, with all its attempts again.")
                .fails(&[404])
                .to(jobs, retry_job),
        )
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct JobBody {
    id: String,
    kind: String,
    /// The org of the job, 0 for the server.
    org_id: OrgId,
    /// `waiting`, `running` or `dead`.
    state: &'static str,
    /// The number of attempts.
    attempts: i32,
    /// The error of the last attempt, empty if it did not fail.
    last_error: String,
    #[schema(format = DateTime)]
    created: String,
    /// The time of the next attempt; of a dead job the time at which it died.
    #[schema(format = DateTime)]
    due: String,
}

impl From<JobView> for JobBody {
    fn from(job: JobView) -> Self {
        let JobView { id, kind, org, state, attempts, last_error, created, due } = job;
        let (created, due) = (created.rfc3339(), due.rfc3339());
        Self { id, kind, org_id: org, state: state.as_str(), attempts, last_error, created, due }
    }
}

async fn list_jobs(
    State(jobs): State<Arc<Jobs>>,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<Vec<JobBody>>> {
    let state = query.text("state").map_or(Ok(JobState::Dead), JobState::parse)?;
    let found = jobs.list_jobs(&scope, state, query.page("perpage", DEFAULT_PAGE)).await?;
    Ok(Json(found.into_iter().map(JobBody::from).collect()))
}

async fn retry_job(
    State(jobs): State<Arc<Jobs>>,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<Message>> {
    jobs.retry_job(&scope, &id).await?;
    Ok(Message::json("Job will be retried"))
}
