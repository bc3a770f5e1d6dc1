//! The errors of requests to a source, with messages for people. Every message names the source.

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::time::Duration;

use kymograph_app::source::backend::{ErrorOrigin, QueryError, SourceSettings};

use crate::policy::{Refusal, ResolveError};
use crate::text::shown;

const BAD_GATEWAY: u16 = 502;
const GATEWAY_TIMEOUT: u16 = 504;
const FORBIDDEN: u16 = 403;

/// The name of a source in messages.
pub(crate) fn named(source: &SourceSettings) -> String {
    format!("data source {:?}", shown(&source.content.name))
}

/// The error of a source with invalid settings.
pub(crate) fn misconfigured(source: &SourceSettings, why: &str) -> QueryError {
    QueryError::invalid(format!("the settings of {} are not valid: {why}", named(source)))
}

/// The error of a response that cannot be used.
pub(crate) fn unusable(source: &SourceSettings, why: impl Display) -> QueryError {
    QueryError::downstream(BAD_GATEWAY, format!("{} {why}", named(source)))
}

/// The error of a source that must not be queried.
pub(crate) fn refused(source: &SourceSettings, why: impl Display) -> QueryError {
    let message = format!("{}: {why}", named(source));
    QueryError { message, status: FORBIDDEN, origin: ErrorOrigin::Plugin }
}

/// The error of a source that did not respond in time.
pub(crate) fn timed_out(source: &SourceSettings, limit: Duration) -> QueryError {
    let message = format!("{} did not answer within {} s", named(source), limit.as_secs_f64());
    QueryError::timed_out(message)
}

/// The error of a request that failed in transit.
pub(crate) fn failed(source: &SourceSettings, error: &(dyn Error + 'static)) -> QueryError {
    let causes = || std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    for cause in causes() {
        if let Some(refusal) = cause.downcast_ref::<Refusal>() {
            return refused(source, refusal);
        }
        if let Some(ResolveError::Refused(refusal)) = cause.downcast_ref::<ResolveError>() {
            return refused(source, refusal);
        }
        let is_slow = cause.downcast_ref::<io::Error>().map(io::Error::kind) == Some(io::ErrorKind::TimedOut);
        if is_slow {
            let message = format!("{} did not answer in time: {}", named(source), shown(&cause.to_string()));
            return QueryError::unreached(GATEWAY_TIMEOUT, message);
        }
    }
    // The last cause is the plainest: those before it only say where in the client it happened.
    let cause = causes().last().unwrap_or(error);
    let message = format!("{} cannot be reached: {}", named(source), shown(&cause.to_string()));
    QueryError::unreached(BAD_GATEWAY, message)
}
