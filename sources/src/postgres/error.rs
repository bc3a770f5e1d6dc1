//! The errors of a source.

use std::io;

use fallible_iterator::FallibleIterator;
use kymograph_app::Error;
use kymograph_app::source::backend::{ErrorOrigin, QueryError};
use kymograph_app::source::room::MIN_BYTES_PER_SECOND;
use postgres_protocol::message::backend::ErrorResponseBody;

use super::query::QUERY_TIMEOUT;
use crate::text::{shown, shown_bytes};

/// PostgreSQL's code for a cancelled statement, also used for its own timeout.
const QUERY_CANCELED: &str = "57014";

/// Why a source did not return a result.
#[derive(Clone, Debug)]
pub(super) enum SourceError {
    /// The settings or the query are invalid.
    Invalid(String),
    /// The source cannot be reached, or rejects the login.
    Unreachable(String),
    /// The server returned an error.
    Refused(Refusal),
    /// The connection was lost, or the server does not speak PostgreSQL's protocol.
    Lost(String),
    /// A row or another message exceeds the limit of the whole response.
    TooLarge(usize),
    /// All connections to the source are in use.
    Busy,
    /// The limit of connections to all sources or to those of the org is reached.
    Full,
    /// It timed out.
    TimedOut,
    /// The statement is a `COPY`.
    Copy,
    /// It sends its rows too slowly for them to be kept in memory.
    Slow,
    /// The memory budget for the response is exhausted.
    NoRoom(Error),
}

/// An error response of a server.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusal {
    code: String,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
}

impl Refusal {
    pub(super) fn of(body: &ErrorResponseBody) -> Self {
        let mut refusal = Self::default();
        let mut fields = body.fields();
        while let Ok(Some(field)) = fields.next() {
            let value = || shown_bytes(field.value_bytes());
            match field.type_() {
                b'C' => refusal.code = value(),
                b'M' => refusal.message = value(),
                b'D' => refusal.detail = Some(value()),
                b'H' => refusal.hint = Some(value()),
                _ => {}
            }
        }
        refusal
    }

    fn text(&self) -> String {
        let mut text = format!("{} (SQLSTATE {})", self.message, self.code);
        for (name, more) in [("DETAIL", &self.detail), ("HINT", &self.hint)] {
            if let Some(more) = more {
                text = format!("{text}; {name}: {more}");
            }
        }
        text
    }

    /// The HTTP status for the class of the code.
    fn status(&self) -> u16 {
        match self.code.get(..2) {
            _ if self.code == QUERY_CANCELED => 504,
            // Connections, resources, operator intervention, system errors, and internal errors of the server.
            Some("08" | "53" | "57" | "58" | "XX") | None => 502,
            _ => 400,
        }
    }
}

impl From<io::Error> for SourceError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Lost("it closed the connection".to_owned()),
            _ => Self::Lost(shown(&error.to_string())),
        }
    }
}

impl From<Error> for SourceError {
    fn from(error: Error) -> Self {
        Self::NoRoom(error)
    }
}

impl SourceError {
    /// The error of a query to the source with this name.
    pub(super) fn of_source(self, name: &str) -> QueryError {
        let downstream = |status, text: &str| QueryError::downstream(status, format!("{name}: {text}"));
        match self {
            Self::Invalid(text) => {
                QueryError { message: format!("{name}: {text}"), status: 400, origin: ErrorOrigin::Plugin }
            }
            Self::Unreachable(text) => QueryError::unreached(502, format!("{name}: {text}")),
            Self::Refused(refusal) => downstream(refusal.status(), &refusal.text()),
            Self::Lost(text) => downstream(502, &format!("the connection to the database was lost: {text}")),
            Self::TooLarge(most) => {
                downstream(400, &format!("a row is larger than the {most} bytes that an answer may have"))
            }
            Self::Busy => downstream(503, "all connections to the database are in use"),
            Self::Full => downstream(503, "there are too many connections to databases, try again shortly"),
            Self::TimedOut => {
                QueryError::timed_out(format!("{name}: the database did not answer within {QUERY_TIMEOUT:?}"))
            }
            Self::NoRoom(error) => error.into(),
            Self::Slow => downstream(
                504,
                &format!("it sends its rows at less than {} KiB per second", MIN_BYTES_PER_SECOND / 1024),
            ),
            Self::Copy => downstream(400, "COPY is not served, only statements that return rows"),
        }
    }
}
