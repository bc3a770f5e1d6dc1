//! Sessions.

use async_trait::async_trait;
use kymograph_app::account::session::{MAX_SESSIONS, Session, SessionLifetimes, SessionStore, TokenHash};
use kymograph_app::account::user::password_secret;
use kymograph_app::kernel::random::random_bytes;
use kymograph_app::{Error, RequestContext, Result};
use kymograph_domain::account::quota::QuotaError;
use kymograph_domain::{OrgId, Timestamp, UserId};
use kymograph_projections::kernel::sql::{Text, check};
use kymograph_projections::{Database, params};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::pipeline::{PipelineError, PipelinePool, Step};

/// Stores sessions in `sessions`.
pub struct PgSessionStore {
    database: Database,
    pipelines: PipelinePool,
    max_sessions: Option<i64>,
}

const SET_SERVER: &str = "SET LOCAL app.org_id = '0'";
/// Log-ins are serialized while all sessions are counted.
const LOCK_QUOTA: &str = "SELECT pg_advisory_xact_lock(hashtextextended('kymograph/sessions', 0))";

/// From here on the log-ins of a user are serialized, also with a running change of the password or state; a later
/// change waits for the session, and revokes it.
const LOCK_USER: &str = "SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE";
static CHECK_USER: Text = Text::new(|| check("EXISTS (SELECT FROM users WHERE id = $1 AND NOT is_disabled)"));
static CHECK_PASSWORD: Text =
    Text::new(|| check("EXISTS (SELECT FROM secrets WHERE org_id = $1 AND key = $2 AND sealed = $3)"));
static CHECK_QUOTA: Text = Text::new(|| check("(SELECT count(*) FROM sessions) < $1"));
const END_OLDEST: &str = "DELETE FROM sessions WHERE user_id = $1
    AND id IN (SELECT id FROM sessions WHERE user_id = $1 ORDER BY seen DESC, id OFFSET $2)";
const INSERT: &str =
    "INSERT INTO sessions (user_id, id, token, previous_token, created, rotated, seen, client_ip, user_agent)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

impl PgSessionStore {
    /// Sessions in this database, up to a maximum number if there is one.
    #[must_use]
    pub fn new(database: Database, pipelines: PipelinePool, max_sessions: Option<i64>) -> Self {
        Self { database, pipelines, max_sessions }
    }

    /// Inserts a session in one transaction with its conditions, and returns which condition is violated.
    async fn insert(&self, id: i64, session: &Session, password_seal: Option<&[u8]>) -> Result<Inserted> {
        let user = session.user_id;
        let mut steps: Vec<(&'static str, _, _)> = vec![
            (LOCK_USER, params![user.0], Inserted::Done),
            (&CHECK_USER, params![user.0], Inserted::Unproven),
        ];
        if let Some(seal) = password_seal {
            let params = params![OrgId::SERVER.0, password_secret(user, None).key, seal.to_vec()];
            steps.push((&CHECK_PASSWORD, params, Inserted::Unproven));
        }
        if let Some(max) = self.max_sessions {
            steps.push((&CHECK_QUOTA, params![max], Inserted::TooMany));
        }
        let kept = i64::try_from(MAX_SESSIONS - 1).map_err(Error::internal)?;
        steps.push((END_OLDEST, params![user.0, kept], Inserted::Done));
        let (created, rotated, seen) = (session.created.date(), session.rotated.date(), session.seen.date());
        let (token, previous) = (session.token.to_vec(), session.previous_token.to_vec());
        let (ip, agent) = (session.client_ip.clone(), user_agent(&session.user_agent));
        let row = params![user.0, id, token, previous, created, rotated, seen, ip, agent];
        steps.push((INSERT, row, Inserted::Done));
        let mut sent = vec![Step::Command(SET_SERVER)];
        if self.max_sessions.is_some() {
            sent.push(Step::Command(LOCK_QUOTA));
        }
        let before = sent.len();
        sent.extend(steps.iter().map(|(sql, params, _)| Step::Statement { sql, params }));
        match self.pipelines.get().await?.transaction(&sent).await {
            Ok(()) => Ok(Inserted::Done),
            Err(PipelineError::Refused { step, refusal }) if refusal.code == SqlState::DIVISION_BY_ZERO => {
                let broken = step.checked_sub(before).and_then(|step| steps.get(step));
                broken.map(|(_, _, broken)| *broken).ok_or_else(|| refusal.error())
            }
            Err(PipelineError::Refused { refusal, .. }) => Err(refusal.error()),
            Err(PipelineError::Failed(error)) => Err(error),
        }
    }
}

/// The result of inserting a session.
#[derive(Clone, Copy)]
enum Inserted {
    Done,
    /// The user is missing or disabled, or has another password.
    Unproven,
    /// The maximum number of sessions is reached.
    TooMany,
}

fn session(row: &Row) -> Result<Session> {
    let token = |column| <TokenHash>::try_from(row.get::<_, &[u8]>(column)).map_err(Error::internal);
    Ok(Session {
        id: row.get("id"),
        user_id: UserId(row.get("user_id")),
        token: token("token")?,
        previous_token: token("previous_token")?,
        created: Timestamp::from_date(row.get("created")),
        rotated: Timestamp::from_date(row.get("rotated")),
        seen: Timestamp::from_date(row.get("seen")),
        client_ip: row.get("client_ip"),
        user_agent: row.get("user_agent"),
    })
}

/// The client's name for itself, truncated to a useful length.
fn user_agent(text: &str) -> String {
    text.chars().take(500).filter(|character| *character != '\0').collect()
}

#[async_trait]
impl SessionStore for PgSessionStore {
    async fn insert_session(&self, session: &Session, password_seal: Option<&[u8]>) -> Result<Option<i64>> {
        // 52 random bits: unique without a sequence, and exact as a number in JavaScript.
        let id = i64::from_le_bytes(random_bytes()?) & ((1 << 52) - 1);
        match self.insert(id, session, password_seal).await? {
            Inserted::Done => Ok(Some(id)),
            Inserted::Unproven => Ok(None),
            Inserted::TooMany => Err(QuotaError::Reached.into()),
        }
    }

    async fn find_session(&self, token: &TokenHash) -> Result<Option<Session>> {
        let sql = "SELECT * FROM sessions WHERE token = $1 OR previous_token = $1";
        let row = self.database.read_global_one(sql, &[&token.as_slice()]).await?;
        row.as_ref().map(session).transpose()
    }

    async fn rotate_token(
        &self,
        session: &Session,
        new: &TokenHash,
        request: &RequestContext,
        now: Timestamp,
    ) -> Result<bool> {
        let sql =
            "UPDATE sessions SET token = $4, previous_token = $3, rotated = $5, seen = $5, client_ip = $6,
                user_agent = $7
            WHERE user_id = $1 AND id = $2 AND token = $3";
        let rows = self
            .database
            .write_global(
                sql,
                &[
                    &session.user_id.0,
                    &session.id,
                    &session.token.as_slice(),
                    &new.as_slice(),
                    &now.date(),
                    &request.ip,
                    &user_agent(&request.user_agent),
                ],
            )
            .await?;
        Ok(rows == 1)
    }

    async fn touch_session(&self, id: i64, user: UserId, now: Timestamp) -> Result<bool> {
        let sql = "UPDATE sessions SET seen = $3 WHERE user_id = $1 AND id = $2";
        Ok(self.database.write_global(sql, &[&user.0, &id, &now.date()]).await? == 1)
    }

    async fn forget_sessions(&self, lifetimes: &SessionLifetimes, now: Timestamp) -> Result<()> {
        let sql = "DELETE FROM sessions WHERE greatest(seen, rotated) <= $1 OR created <= $2";
        let unused_since = now.plus_seconds(-lifetimes.inactive_seconds).date();
        let created_before = now.plus_seconds(-lifetimes.total_seconds).date();
        let database = self.database.in_background();
        database.write_global(sql, &[&unused_since, &created_before]).await.map(drop)
    }

    async fn has_session(&self, user: UserId, id: i64) -> Result<bool> {
        let sql = "SELECT FROM sessions WHERE user_id = $1 AND id = $2";
        Ok(self.database.read_global_one(sql, &[&user.0, &id]).await?.is_some())
    }

    async fn list_sessions(&self, user: UserId) -> Result<Vec<Session>> {
        let sql = "SELECT * FROM sessions WHERE user_id = $1 ORDER BY seen DESC, id LIMIT 1000";
        let rows = self.database.read_global(sql, &[&user.0]).await?;
        rows.iter().map(session).collect()
    }
}
