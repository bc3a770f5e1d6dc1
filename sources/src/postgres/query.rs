//! Runs a statement and reads its result into a table.

use std::time::Duration;

use bytes::BytesMut;
use kymograph_app::source::room::{AnswerShare, Pace};
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use tokio::time::{timeout, timeout_at};

use super::column::Table;
use super::error::{Refusal, SourceError};
use super::pool::SourcePool;
use super::session::{HEADER_BYTES, MAX_MESSAGE_BYTES, ROW, Session};

/// The default maximum number of rows of a result, which the server's settings override.
pub const MAX_ROWS: usize = 1_000_000;
/// The timeout of a statement.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(60);
/// How much longer the server may take to report that a statement timed out.
const GRACE: Duration = Duration::from_secs(5);

const BEGIN: &str = "BEGIN READ ONLY";
const ROLLBACK: &str = "ROLLBACK";

/// The result of a statement.
pub(super) struct Answer {
    /// The table, unless the statement returns none.
    pub(super) table: Option<Table>,
    /// Why the result is truncated, if it is.
    pub(super) cut: Option<Cut>,
    /// The approximate size of the table, in bytes.
    pub(super) bytes: usize,
}

/// Why a result is truncated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The maximum number of rows is reached.
    Rows,
    /// The maximum number of bytes is reached.
    Bytes,
}

/// The limits of a result, and the memory share that it is taken from.
#[derive(Clone, Copy)]
pub(super) struct Room<'a> {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    pub(super) share: &'a AnswerShare,
}

/// The steps in which memory for a result is reserved, in bytes.
const STEP_BYTES: usize = 64 * 1024;

/// Runs a statement in a read-only transaction that is rolled back. If this is dropped, the statement is cancelled.
pub(super) async fn run(pool: &SourcePool, sql: &str, room: Room<'_>) -> Result<Answer, SourceError> {
    let whole = async {
        let mut lease = pool.lease().await?;
        let session = lease.session()?;
        let answer = run_on(session, sql, room).await;
        // After a truncation the server still sends the rest, until the connection is closed.
        if session.has_transaction() && !session.is_busy() {
            session.command(ROLLBACK).await?;
        }
        answer
    };
    timeout(QUERY_TIMEOUT + GRACE, whole).await.unwrap_or(Err(SourceError::TimedOut))
}

async fn run_on(session: &mut Session, sql: &str, room: Room<'_>) -> Result<Answer, SourceError> {
    let mut table = describe(session, sql).await?;
    let mut out = BytesMut::new();
    let formats: Vec<i16> = table.iter().flat_map(Table::formats).collect();
    bind(formats, &mut out)?;
    // One row more than the maximum is requested, to detect whether there are more.
    frontend::execute("", i32::try_from(room.rows.saturating_add(1)).unwrap_or(i32::MAX), &mut out)?;
    command(ROLLBACK, &mut out)?;
    frontend::sync(&mut out);
    session.send(&out).await?;
    let (cut, bytes) = receive(session, table.as_mut(), room).await?;
    Ok(Answer { table, cut, bytes })
}

/// Begins a transaction, and describes the result of a statement.
async fn describe(session: &mut Session, sql: &str) -> Result<Option<Table>, SourceError> {
    if sql.contains('\0') {
        return Err(SourceError::Invalid("the query has a character that no statement can have".to_owned()));
    }
    let mut out = BytesMut::new();
    command(BEGIN, &mut out)?;
    command(&format!("SET LOCAL statement_timeout = {}", QUERY_TIMEOUT.as_millis()), &mut out)?;
    frontend::parse("", sql, std::iter::empty(), &mut out)?;
    frontend::describe(b'S', "", &mut out)?;
    frontend::sync(&mut out);
    let mut table = None;
    let take = |message: &Message| {
        if let Message::RowDescription(body) = message {
            table = Some(Table::of(body)?);
        }
        Ok(())
    };
    session.converse(&out, take).await?;
    Ok(table)
}

/// Writes a command of ours as the unnamed statement.
fn command(text: &str, out: &mut BytesMut) -> Result<(), SourceError> {
    frontend::parse("", text, std::iter::empty(), out)?;
    bind(Vec::new(), out)?;
    Ok(frontend::execute("", 0, out)?)
}

/// Binds the unnamed statement with these column formats.
fn bind(formats: Vec<i16>, out: &mut BytesMut) -> Result<(), SourceError> {
    let nothing = |(): (), _: &mut BytesMut| Ok(IsNull::Yes);
    frontend::bind("", "", [], [], nothing, formats, out)
        .map_err(|_| SourceError::Lost("the statement cannot be sent".to_owned()))
}

/// Reads rows until the server is ready again, or until the byte limit is exceeded. Returns the cut and the bytes used.
async fn receive(
    session: &mut Session,
    mut table: Option<&mut Table>,
    room: Room<'_>,
) -> Result<(Option<Cut>, usize), SourceError> {
    let (mut used, mut taken, mut of_message, mut cut, mut refusal) = (0, 0, 0, None, None);
    let mut pace = Pace::default();
    let most = room.bytes.max(MAX_MESSAGE_BYTES);
    loop {
        while let Some((tag, total)) = session.peek(most)? {
            if tag != ROW {
                match session.take()? {
                    Some(Message::ReadyForQuery(_)) => {
                        return refusal.map_or(Ok((cut, used)), |refusal| Err(SourceError::Refused(refusal)));
                    }
                    Some(Message::ErrorResponse(body)) => {
                        refusal.get_or_insert_with(|| Refusal::of(&body));
                    }
                    Some(Message::CopyOutResponse(_) | Message::CopyInResponse(_)) => {
                        return Err(SourceError::Copy);
                    }
                    _ => {}
                }
                continue;
            }
            let Some(table) = table.as_deref_mut() else {
                return Err(SourceError::Lost("it sent rows that were not announced".to_owned()));
            };
            if table.rows() == room.rows {
                cut = Some(Cut::Rows);
            } else {
                let cost = table.cost(total);
                if used + cost > room.bytes {
                    return Ok((Some(Cut::Bytes), used));
                }
                used += cost;
                if used > taken {
                    let step = STEP_BYTES.max(used - taken);
                    pace.take(room.share, step).await?;
                    taken += step;
                }
                table.push(session.message(total).get(HEADER_BYTES..).unwrap_or_default())?;
            }
            session.skip(total);
            room.share.give_back(std::mem::take(&mut of_message));
        }
        let announced = session.announced();
        if announced > STEP_BYTES.max(of_message) {
            pace.take(room.share, announced - of_message).await?;
            of_message = announced;
        }
        match pace.deadline(taken + of_message) {
            Some(deadline) => {
                timeout_at(deadline.into(), session.read()).await.map_err(|_| SourceError::Slow)??;
            }
            None => session.read().await?,
        }
    }
}
