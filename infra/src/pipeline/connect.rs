//! Opens a connection: connects to a server and authenticates.

use std::io;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use kymograph_app::{Error, Result};
use kymograph_projections::kernel::sql::{Tables, check};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, ChannelBinding, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use tokio_postgres::Config;
use tokio_postgres::config::{self, Host, TargetSessionAttrs};

use super::{Pipeline, Refusal};
use crate::database_server::{DatabaseServer, OpenSocket};

/// Connects to the first server of a configuration that accepts the log-in.
pub(super) async fn connect(server: &DatabaseServer) -> Result<Pipeline> {
    let mut failure = Error::internal("no server is configured");
    for (host, port) in server.addresses() {
        match connect_to(server, host, port).await {
            Ok(pipeline) => return Ok(pipeline),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn connect_to(server: &DatabaseServer, host: &Host, port: u16) -> Result<Pipeline> {
    let OpenSocket { socket, has_tls, channel_binding } = server.open(host, port).await?;
    let mut pipeline = Pipeline::new(socket, server.tables());
    let binding = Binding { has_tls, end_point: channel_binding };
    log_in(&mut pipeline, server.config(), binding).await?;
    if server.config().get_target_session_attrs() == TargetSessionAttrs::ReadWrite {
        must_accept_writes(&mut pipeline).await?;
    }
    Ok(pipeline)
}

/// The channel binding of a log-in, which makes it useless to a man in the middle.
struct Binding {
    has_tls: bool,
    end_point: Option<Vec<u8>>,
}

impl Binding {
    /// The SASL mechanism, of those that the server offers.
    fn choose(
        self,
        wanted: config::ChannelBinding,
        has_plus: bool,
    ) -> io::Result<(&'static str, ChannelBinding)> {
        let end_point = self.end_point.filter(|_| wanted != config::ChannelBinding::Disable);
        match end_point {
            Some(end_point) if has_plus => {
                Ok((sasl::SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(end_point)))
            }
            _ if wanted == config::ChannelBinding::Require => Err(unbound()),
            // It tells the server that channel binding is supported, so that a tampered offer is detected.
            Some(_) if self.has_tls => Ok((sasl::SCRAM_SHA_256, ChannelBinding::unrequested())),
            _ => Ok((sasl::SCRAM_SHA_256, ChannelBinding::unsupported())),
        }
    }
}

fn unbound() -> io::Error {
    io::Error::other("channel binding is required, and cannot be had")
}

/// Rejects a standby, so that the next server is tried.
async fn must_accept_writes(pipeline: &mut Pipeline) -> Result<()> {
    let mut out = BytesMut::new();
    frontend::query(&check("NOT pg_is_in_recovery()"), &mut out).map_err(Error::unavailable)?;
    match pipeline.exchange(&out).await.map_err(Error::unavailable)? {
        None => Ok(()),
        Some(_) => Err(Error::unavailable("the server does not accept writes")),
    }
}

async fn log_in(pipeline: &mut Pipeline, config: &Config, binding: Binding) -> Result<()> {
    let user = config.get_user().unwrap_or_default();
    let mut parameters = vec![("user", user), ("client_encoding", "UTF8")];
    parameters.extend(config.get_dbname().map(|name| ("database", name)));
    parameters.extend(config.get_options().map(|options| ("options", options)));
    parameters.extend(config.get_application_name().map(|name| ("application_name", name)));
    let mut out = BytesMut::new();
    frontend::startup_message(parameters, &mut out).map_err(Error::unavailable)?;
    pipeline.send(&out).await.map_err(Error::unavailable)?;
    let password = config.get_password().unwrap_or_default();
    let wanted = config.get_channel_binding();
    let (mut binding, mut is_bound) = (Some(binding), false);
    loop {
        match pipeline.receive().await.map_err(Error::unavailable)? {
            Message::AuthenticationCleartextPassword => tell(pipeline, password).await,
            Message::AuthenticationMd5Password(body) => {
                tell(pipeline, md5_hash(user.as_bytes(), password, body.salt()).as_bytes()).await
            }
            Message::AuthenticationSasl(body) => match binding.take() {
                Some(binding) => {
                    is_bound = true;
                    scram(pipeline, &body, password, wanted, binding).await
                }
                None => Err(refused()),
            },
            Message::ErrorResponse(body) => return Err(Refusal::new(&body, Tables::Local).error()),
            Message::ReadyForQuery(_) => {
                if wanted == config::ChannelBinding::Require && !is_bound {
                    return Err(Error::unavailable(unbound()));
                }
                pipeline.is_waiting = false;
                return Ok(());
            }
            // The rest are the end of authentication, server settings, and notices.
            _ => Ok(()),
        }
        .map_err(Error::unavailable)?;
    }
}

async fn tell(pipeline: &mut Pipeline, password: &[u8]) -> io::Result<()> {
    let mut out = BytesMut::new();
    frontend::password_message(password, &mut out)?;
    pipeline.send(&out).await
}

async fn scram(
    pipeline: &mut Pipeline,
    offer: &AuthenticationSaslBody,
    password: &[u8],
    wanted: config::ChannelBinding,
    binding: Binding,
) -> io::Result<()> {
    let mut mechanisms = offer.mechanisms();
    let (mut has_plain, mut has_plus) = (false, false);
    while let Some(mechanism) = mechanisms.next()? {
        has_plain |= mechanism == sasl::SCRAM_SHA_256;
        has_plus |= mechanism == sasl::SCRAM_SHA_256_PLUS;
    }
    if !has_plain && !has_plus {
        return Err(io::Error::other("the server wants an unknown way to authenticate"));
    }
    let (mechanism, binding) = binding.choose(wanted, has_plus)?;
    let mut dialogue = ScramSha256::new(password, binding);
    let mut out = BytesMut::new();
    frontend::sasl_initial_response(mechanism, dialogue.message(), &mut out)?;
    pipeline.send(&out).await?;
    let Message::AuthenticationSaslContinue(body) = pipeline.receive().await? else { return Err(refused()) };
    dialogue.update(body.data())?;
    out.clear();
    frontend::sasl_response(dialogue.message(), &mut out)?;
    pipeline.send(&out).await?;
    let Message::AuthenticationSaslFinal(body) = pipeline.receive().await? else { return Err(refused()) };
    dialogue.finish(body.data())
}

fn refused() -> io::Error {
    io::Error::other("the server refused to authenticate us")
}
