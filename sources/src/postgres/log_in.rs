//! Logs in to a source.

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, ChannelBinding, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;

use super::error::{Refusal, SourceError};
use super::session::Session;
use super::settings::PostgresSettings;

/// The maximum number of hash iterations that a server may request for one login. PostgreSQL requests 4,096.
pub const MAX_SCRAM_ITERATIONS: u32 = 100_000;

/// The process that serves a connection, and the secret that authorizes cancel requests.
pub(super) type CancelKey = (i32, i32);

/// Logs in on a new connection.
pub(super) async fn log_in(
    session: &mut Session,
    settings: &PostgresSettings,
    end_point: Option<Vec<u8>>,
) -> Result<CancelKey, SourceError> {
    let parameters = [
        ("user", settings.user.as_str()),
        ("database", settings.database.as_str()),
        ("client_encoding", "UTF8"),
        // The distinction between strings and comments relies on this setting.
        ("standard_conforming_strings", "on"),
        ("application_name", "kymograph"),
    ];
    let mut out = BytesMut::new();
    frontend::startup_message(parameters, &mut out)?;
    session.send(&out).await?;
    let (user, password) = (settings.user.as_bytes(), settings.password.as_bytes());
    let mut key = (0, 0);
    loop {
        match session.receive().await? {
            Message::AuthenticationCleartextPassword => tell(session, password).await?,
            Message::AuthenticationMd5Password(body) => {
                tell(session, md5_hash(user, password, body.salt()).as_bytes()).await?;
            }
            Message::AuthenticationSasl(body) => scram(session, &body, password, end_point.clone()).await?,
            Message::BackendKeyData(body) => key = (body.process_id(), body.secret_key()),
            Message::ErrorResponse(body) => return Err(SourceError::Refused(Refusal::of(&body))),
            Message::ReadyForQuery(_) => return Ok(key),
            Message::AuthenticationOk | Message::ParameterStatus(_) | Message::NoticeResponse(_) => {}
            _ => return Err(unexpected()),
        }
    }
}

fn unexpected() -> SourceError {
    SourceError::Unreachable("the server wants a way to log in that is not supported".to_owned())
}

async fn tell(session: &mut Session, password: &[u8]) -> Result<(), SourceError> {
    let mut out = BytesMut::new();
    frontend::password_message(password, &mut out)?;
    session.send(&out).await
}

async fn scram(
    session: &mut Session,
    offer: &AuthenticationSaslBody,
    password: &[u8],
    end_point: Option<Vec<u8>>,
) -> Result<(), SourceError> {
    let offered: Vec<_> = offer.mechanisms().map(|name| Ok(name.to_owned())).collect()?;
    let has = |mechanism: &str| offered.iter().any(|name| name == mechanism);
    let (mechanism, binding) = match end_point {
        Some(end_point) if has(sasl::SCRAM_SHA_256_PLUS) => {
            (sasl::SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(end_point))
        }
        _ if !has(sasl::SCRAM_SHA_256) => return Err(unexpected()),
        // The client declares its support of channel binding, so that the server detects if its offer was tampered
        // with.
        Some(_) => (sasl::SCRAM_SHA_256, ChannelBinding::unrequested()),
        None => (sasl::SCRAM_SHA_256, ChannelBinding::unsupported()),
    };
    let mut dialogue = ScramSha256::new(password, binding);
    let mut out = BytesMut::new();
    frontend::sasl_initial_response(mechanism, dialogue.message(), &mut out)?;
    session.send(&out).await?;
    let challenge = match session.receive().await? {
        Message::AuthenticationSaslContinue(body) => body.data().to_vec(),
        Message::ErrorResponse(body) => return Err(SourceError::Refused(Refusal::of(&body))),
        _ => return Err(unexpected()),
    };
    if iterations(&challenge).is_none_or(|count| count > MAX_SCRAM_ITERATIONS) {
        return Err(SourceError::Unreachable(format!(
            "the server wants a password hashed more than {MAX_SCRAM_ITERATIONS} times"
        )));
    }
    // Hashing takes milliseconds, which would block this thread.
    let hashed = tokio::task::spawn_blocking(move || dialogue.update(&challenge).map(|()| dialogue));
    let mut dialogue = hashed.await.map_err(std::io::Error::other)??;
    out.clear();
    frontend::sasl_response(dialogue.message(), &mut out)?;
    session.send(&out).await?;
    match session.receive().await? {
        Message::AuthenticationSaslFinal(body) => Ok(dialogue.finish(body.data())?),
        Message::ErrorResponse(body) => Err(SourceError::Refused(Refusal::of(&body))),
        _ => Err(unexpected()),
    }
}

/// The number of hash iterations that a challenge requests.
fn iterations(challenge: &[u8]) -> Option<u32> {
    let challenge = std::str::from_utf8(challenge).ok()?;
    challenge.split(',').find_map(|part| part.strip_prefix("i="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_tells_its_cost() {
        assert_eq!(iterations(b"r=abc,s=c2FsdA==,i=4096"), Some(4096));
        for broken in [
            &b"r=abc,s=c2FsdA=="[..],
            b"r=abc,s=x,i=",
            b"r=abc,s=x,i=-1",
            b"r=abc,s=x,i=99999999999",
            b"\xff",
        ] {
            assert_eq!(iterations(broken), None, "{broken:?}");
        }
    }
}
