//! Sessions.

use async_trait::async_trait;
use kymograph_app::random::random_bytes;
use kymograph_app::session::{Session, SessionLifetimes, SessionStore, TokenHash};
use kymograph_app::{Error, RequestContext, Result};
use kymograph_domain::quota::QuotaError;
use kymograph_domain::{Timestamp, UserId};
use kymograph_projections::Database;
use kymograph_projections::database::Params;
use tokio_postgres::Row;

/// Keeps sessions in `sessions`.
pub struct PgSessionStore {
    database: Database,
    max_sessions: Option<i64>,
}

macro_rules! insert_session {
    ($rest:literal) => {
        concat!(
            "INSERT INTO sessions
                (user_id, id, token, previous_token, created, rotated, seen, client_ip, user_agent) ",
            $rest
        )
    };
}
const INSERT: &str = insert_session!("VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id");
const INSERT_WITHIN: &str = insert_session!(
    "SELECT $1::bigint, $2::bigint, $3::bytea, $4::bytea, $5::timestamptz, $6::timestamptz, $7::timestamptz,
        $8::text, $9::text WHERE (SELECT count(*) FROM sessions) < $10 RETURNING id"
);

impl PgSessionStore {
    /// Sessions in this database, of which there may be so many.
    #[must_use]
    pub fn new(database: Database, max_sessions: Option<i64>) -> Self {
        Self { database, max_sessions }
    }
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

/// A client's name for itself, cut to what is worth keeping.
fn user_agent(text: &str) -> String {
    text.chars().take(500).filter(|character| *character != '\0').collect()
}

#[async_trait]
impl SessionStore for PgSessionStore {
    async fn insert_session(&self, session: &Session) -> Result<i64> {
        // 52 random bits: unique without a sequence, and exact as a number in JavaScript.
        let id = i64::from_le_bytes(random_bytes()?) & ((1 << 52) - 1);
        let (created, rotated, seen) = (session.created.date(), session.rotated.date(), session.seen.date());
        let (token, previous_token) = (session.token.as_slice(), session.previous_token.as_slice());
        let user_agent = user_agent(&session.user_agent);
        let params: Params<'_> = &[
            &session.user_id.0,
            &id,
            &token,
            &previous_token,
            &created,
            &rotated,
            &seen,
            &session.client_ip,
            &user_agent,
        ];
        let rows = match &self.max_sessions {
            None => self.database.read_global(INSERT, params).await?,
            Some(max) => {
                let params = [params, &[max]].concat();
                self.database.write_global_alone("kymograph/sessions", INSERT_WITHIN, &params).await?
            }
        };
        if rows.is_empty() { Err(QuotaError::Reached.into()) } else { Ok(id) }
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

    async fn touch_session(&self, id: i64, user: UserId, now: Timestamp) -> Result<()> {
        let sql = "UPDATE sessions SET seen = $3 WHERE user_id = $1 AND id = $2";
        self.database.write_global(sql, &[&user.0, &id, &now.date()]).await.map(drop)
    }

    async fn forget_sessions(&self, lifetimes: &SessionLifetimes, now: Timestamp) -> Result<()> {
        let sql = "DELETE FROM sessions WHERE greatest(seen, rotated) <= $1 OR created <= $2";
        let unused_since = now.plus_seconds(-lifetimes.inactive_seconds).date();
        let created_before = now.plus_seconds(-lifetimes.total_seconds).date();
        self.database.write_global(sql, &[&unused_since, &created_before]).await.map(drop)
    }

    async fn list_sessions(&self, user: UserId) -> Result<Vec<Session>> {
        let sql = "SELECT * FROM sessions WHERE user_id = $1 ORDER BY seen DESC, id LIMIT 1000";
        let rows = self.database.read_global(sql, &[&user.0]).await?;
        rows.iter().map(session).collect()
    }
}
