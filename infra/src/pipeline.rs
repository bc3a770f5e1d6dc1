//! Connections that send a whole transaction to PostgreSQL at once, and read one answer.
//!
//! `tokio-postgres` ends each statement of a pipeline with a Sync, at which PostgreSQL flushes its output: a flight of
//! a hundred statements wakes both processes a hundred times, which costs more than the statements. Here one Sync ends
//! them all. See `docs/adr/0017-one-sync-per-flight.md`.

mod connect;
mod pool;

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use futures_util::FutureExt;
use kymograph_app::Error;
use kymograph_projections::kernel::database::server_error;
use kymograph_projections::kernel::sql::Tables;
use kymograph_projections::kernel::statement::Param;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use crate::database_server::Socket;

pub use pool::{PipelinePool, pipeline_pool};

/// How long PostgreSQL may neither read nor answer. Its statement timeout is shorter, so this only ends the wait for a
/// server that vanished.
const WAIT_FOR_ANSWER: Duration = Duration::from_secs(120);

/// The capacity in bytes to which a buffer is shrunk after a large flight.
const KEEP_BUFFER: usize = 1024 * 1024;

const BEGIN: &str = "BEGIN";
const COMMIT: &str = "COMMIT";

/// One step of a transaction.
pub enum Step<'a> {
    /// A command without parameters that is not prepared.
    Command(&'a str),
    /// A statement, prepared once per connection.
    Statement {
        /// The text.
        sql: &'static str,
        /// The parameters.
        params: &'a [Param],
    },
}

/// The failure of a transaction.
#[derive(Debug)]
pub enum PipelineError {
    /// PostgreSQL rejected a step, and rolled back the transaction.
    Refused {
        /// The index of the step.
        step: usize,
        /// Why.
        refusal: Refusal,
    },
    /// The connection was lost, or a value cannot be sent.
    Failed(Error),
}

/// PostgreSQL's error for a statement.
#[derive(Debug)]
pub struct Refusal {
    /// The code.
    pub code: SqlState,
    /// The message.
    pub message: String,
}

impl Refusal {
    fn new(body: &ErrorResponseBody, tables: Tables) -> Self {
        let mut refusal = Self { code: SqlState::INTERNAL_ERROR, message: String::new() };
        let mut fields = body.fields();
        while let Ok(Some(field)) = fields.next() {
            let value = || String::from_utf8_lossy(field.value_bytes());
            match field.type_() {
                b'C' => refusal.code = SqlState::from_code(&value()),
                b'M' => refusal.message = value().into_owned(),
                _ => {}
            }
        }
        if tables == Tables::Distributed && refusal.code == SqlState::INTERNAL_ERROR {
            // Citus reports a lost worker in this way.
            refusal.code = SqlState::CONNECTION_FAILURE;
        }
        refusal
    }

    /// Converts it to an error of the application.
    #[must_use]
    pub fn error(&self) -> Error {
        server_error(&self.code, &self.message)
    }
}

/// A prepared statement.
struct Prepared {
    name: String,
    types: Vec<Type>,
}

/// A connection.
pub struct Pipeline {
    socket: Box<dyn Socket>,
    /// The output buffer. It is reused because a large flight would make a new one grow, and copy it, many times.
    out: BytesMut,
    received: BytesMut,
    statements: HashMap<&'static str, Prepared>,
    /// Whether an answer is outstanding. Such a connection is not reused.
    is_waiting: bool,
    tables: Tables,
}

impl Pipeline {
    fn new(socket: Box<dyn Socket>, tables: Tables) -> Self {
        let (out, received) = (BytesMut::new(), BytesMut::new());
        Self { socket, out, received, statements: HashMap::new(), is_waiting: false, tables }
    }

    /// Runs steps as one transaction: all of them, or none.
    ///
    /// If this is dropped half way, the pool closes the connection, which rolls back.
    pub async fn transaction(&mut self, steps: &[Step<'_>]) -> Result<(), PipelineError> {
        self.prepare_missing(steps).await?;
        let mut out = std::mem::take(&mut self.out);
        let written = self.write_transaction(steps, &mut out);
        let answer = match written {
            Ok(()) => self.exchange(&out).await.map_err(lost),
            Err(error) => Err(error),
        };
        out.clear();
        if out.capacity() <= KEEP_BUFFER {
            self.out = out;
        }
        let Some((done, refusal)) = answer? else { return Ok(()) };
        let mut rollback = BytesMut::new();
        frontend::query("ROLLBACK", &mut rollback).map_err(lost)?;
        self.exchange(&rollback).await.map_err(lost)?;
        // The first command is BEGIN, which is not a step of the caller.
        Err(PipelineError::Refused { step: done.saturating_sub(1), refusal })
    }

    fn write_transaction(&self, steps: &[Step<'_>], out: &mut BytesMut) -> Result<(), PipelineError> {
        self.write_statement(BEGIN, &[], out)?;
        for step in steps {
            match step {
                Step::Command(text) => write_command(text, out).map_err(lost)?,
                Step::Statement { sql, params } => self.write_statement(sql, params, out)?,
            }
        }
        self.write_statement(COMMIT, &[], out)?;
        frontend::sync(out);
        Ok(())
    }

    /// Prepares statements that are new to this connection, outside of the transaction.
    async fn prepare_missing(&mut self, steps: &[Step<'_>]) -> Result<(), PipelineError> {
        let sqls = steps.iter().filter_map(|step| match step {
            Step::Command(_) => None,
            Step::Statement { sql, .. } => Some(*sql),
        });
        for sql in [BEGIN, COMMIT].into_iter().chain(sqls) {
            if self.statements.contains_key(sql) {
                continue;
            }
            let name = format!("k{}", self.statements.len());
            let mut out = BytesMut::new();
            let written = frontend::parse(&name, sql, std::iter::empty(), &mut out)
                .and_then(|()| frontend::describe(b'S', &name, &mut out));
            written.map_err(lost)?;
            frontend::sync(&mut out);
            let types = self.describe(&out).await.map_err(lost)?.map_err(|refusal| {
                PipelineError::Failed(Error::internal(format!("{} in: {sql}", refusal.message)))
            })?;
            self.statements.insert(sql, Prepared { name, types });
        }
        Ok(())
    }

    fn write_statement(
        &self,
        sql: &'static str,
        params: &[Param],
        out: &mut BytesMut,
    ) -> Result<(), PipelineError> {
        let ours = |detail: String| PipelineError::Failed(Error::internal(detail));
        let prepared = self.statements.get(sql).ok_or_else(|| ours("a statement is missing".to_owned()))?;
        if prepared.types.len() != params.len() {
            return Err(ours(format!("{} parameters for: {sql}", params.len())));
        }
        let values = params.iter().zip(&prepared.types);
        let serialize = |(param, kind): (&Param, &Type), out: &mut BytesMut| {
            param.to_sql_checked(kind, out).map(|is_null| match is_null {
                tokio_postgres::types::IsNull::Yes => IsNull::Yes,
                tokio_postgres::types::IsNull::No => IsNull::No,
            })
        };
        // One format for all parameters, and for all columns: binary.
        match frontend::bind("", &prepared.name, [1], values, serialize, [1], out) {
            Ok(()) => frontend::execute("", 0, out).map_err(lost),
            Err(frontend::BindError::Conversion(error)) => Err(ours(error.to_string())),
            Err(frontend::BindError::Serialization(error)) => Err(ours(error.to_string())),
        }
    }

    /// Sends messages that end with a Sync, and reads the answer: nothing on success, otherwise the number of completed
    /// steps and the error of the next one.
    async fn exchange(&mut self, out: &[u8]) -> io::Result<Option<(usize, Refusal)>> {
        let (mut done, mut refused, tables) = (0, None, self.tables);
        let take = |message| {
            match message {
                Message::CommandComplete(_) | Message::EmptyQueryResponse => done += 1,
                Message::ErrorResponse(body) => {
                    refused.get_or_insert_with(|| (done, Refusal::new(&body, tables)));
                }
                _ => {}
            }
            Ok(())
        };
        self.converse(out, take).await?;
        Ok(refused)
    }

    /// Sends a Parse and a Describe, and reads the types of the parameters.
    async fn describe(&mut self, out: &[u8]) -> io::Result<Result<Vec<Type>, Refusal>> {
        let (mut types, mut refused, tables) = (Vec::new(), None, self.tables);
        let take = |message| {
            match message {
                Message::ParameterDescription(body) => {
                    let mut oids = body.parameters();
                    while let Some(oid) = oids.next()? {
                        types.push(Type::from_oid(oid).ok_or_else(|| io::Error::other("an unknown type"))?);
                    }
                }
                Message::ErrorResponse(body) => refused = Some(Refusal::new(&body, tables)),
                _ => {}
            }
            Ok(())
        };
        self.converse(out, take).await?;
        Ok(refused.map_or(Ok(types), Err))
    }

    /// Sends messages that end with a Sync, and reads the answer until PostgreSQL is ready for more.
    async fn converse(
        &mut self,
        mut unsent: &[u8],
        mut take: impl FnMut(Message) -> io::Result<()>,
    ) -> io::Result<()> {
        self.is_waiting = true;
        let mut is_flushed = false;
        loop {
            while let Some(message) = Message::parse(&mut self.received)? {
                if matches!(message, Message::ReadyForQuery(_)) {
                    self.is_waiting = false;
                    return Ok(());
                }
                take(message)?;
            }
            let step = self.send_or_receive(&mut unsent, &mut is_flushed);
            let step = tokio::time::timeout(WAIT_FOR_ANSWER, step).await;
            step.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        }
    }

    /// Sends a part of the output, or receives a part of the answer. PostgreSQL stops reading while it cannot send, so
    /// sending everything first would deadlock if the answers exceed the buffers of the sockets.
    async fn send_or_receive(&mut self, unsent: &mut &[u8], is_flushed: &mut bool) -> io::Result<()> {
        let (mut receiver, mut sender) = tokio::io::split(&mut self.socket);
        let send = async {
            if unsent.is_empty() {
                return sender.flush().await.map(|()| 0);
            }
            match sender.write(unsent).await? {
                0 => Err(io::ErrorKind::WriteZero.into()),
                sent => Ok(sent),
            }
        };
        tokio::select! {
            biased;
            sent = send, if !*is_flushed => {
                *is_flushed = unsent.is_empty();
                *unsent = &unsent[sent?..];
                Ok(())
            }
            received = receiver.read_buf(&mut self.received) => match received? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            },
        }
    }

    /// Sends a small message, as at the start of a connection.
    async fn send(&mut self, out: &[u8]) -> io::Result<()> {
        self.is_waiting = true;
        self.socket.write_all(out).await?;
        self.socket.flush().await
    }

    /// Receives one message.
    async fn receive(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = Message::parse(&mut self.received)? {
                return Ok(message);
            }
            let read = tokio::time::timeout(WAIT_FOR_ANSWER, self.socket.read_buf(&mut self.received));
            if read.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Whether it can be used: no answer is outstanding, and the server has not closed the connection.
    fn is_usable(&mut self) -> bool {
        if self.is_waiting {
            return false;
        }
        loop {
            match self.socket.read_buf(&mut self.received).now_or_never() {
                None => return true,
                // A notice; more may follow.
                Some(Ok(read)) if read > 0 && self.received.len() < KEEP_BUFFER => {}
                Some(_) => return false,
            }
        }
    }
}

/// Encodes a command as the unnamed statement.
fn write_command(text: &str, out: &mut BytesMut) -> io::Result<()> {
    frontend::parse("", text, std::iter::empty(), out)?;
    let nothing = |(): (), _: &mut BytesMut| Ok(IsNull::No);
    frontend::bind("", "", [], [], nothing, [], out).map_err(|_| io::Error::other("cannot bind"))?;
    frontend::execute("", 0, out)
}

fn lost(error: io::Error) -> PipelineError {
    PipelineError::Failed(Error::unavailable(error))
}
