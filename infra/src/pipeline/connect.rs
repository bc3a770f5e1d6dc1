//! Opens a connection: reaching a server, and telling it who we are.

use std::io;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use kymograph_app::{Error, Result};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, ChannelBinding, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, TargetSessionAttrs};

use super::{Pipeline, Refusal, Socket};

const DEFAULT_PORT: u16 = 5432;

/// Connects to the first server of a configuration that accepts us.
pub(super) async fn connect(config: &Config) -> Result<Pipeline> {
    let mut failure = Error::internal("no server is configured");
    for (index, host) in config.get_hosts().iter().enumerate() {
        match connect_to(config, host, port(config, index)).await {
            Ok(pipeline) => return Ok(pipeline),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn port(config: &Config, index: usize) -> u16 {
    let ports = config.get_ports();
    ports.get(index).or(ports.first()).copied().unwrap_or(DEFAULT_PORT)
}

async fn connect_to(config: &Config, host: &Host, port: u16) -> Result<Pipeline> {
    let socket: Box<dyn Socket> = match host {
        Host::Unix(folder) => {
            let path = folder.join(format!(".s.PGSQL.{port}"));
            Box::new(UnixStream::connect(path).await.map_err(Error::unavailable)?)
        }
        Host::Tcp(name) => {
            let socket = TcpStream::connect((name.as_str(), port)).await.map_err(Error::unavailable)?;
            socket.set_nodelay(true).map_err(Error::unavailable)?;
            Box::new(socket)
        }
    };
    let mut pipeline = Pipeline::new(socket);
    log_in(&mut pipeline, config).await?;
    if config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite {
        must_accept_writes(&mut pipeline).await?;
    }
    Ok(pipeline)
}

/// Refuses a standby, so that the next server is tried.
async fn must_accept_writes(pipeline: &mut Pipeline) -> Result<()> {
    let mut out = BytesMut::new();
    let check = "SELECT 1 / (CASE WHEN pg_is_in_recovery() THEN 0 ELSE 1 END)";
    frontend::query(check, &mut out).map_err(Error::unavailable)?;
    match pipeline.exchange(&out).await.map_err(Error::unavailable)? {
        None => Ok(()),
        Some(_) => Err(Error::unavailable("the server does not accept writes")),
    }
}

async fn log_in(pipeline: &mut Pipeline, config: &Config) -> Result<()> {
    let user = config.get_user().unwrap_or_default();
    let mut parameters = vec![("user", user), ("client_encoding", "UTF8")];
    parameters.extend(config.get_dbname().map(|name| ("database", name)));
    parameters.extend(config.get_options().map(|options| ("options", options)));
    parameters.extend(config.get_application_name().map(|name| ("application_name", name)));
    let mut out = BytesMut::new();
    frontend::startup_message(parameters, &mut out).map_err(Error::unavailable)?;
    pipeline.send(&out).await.map_err(Error::unavailable)?;
    let password = config.get_password().unwrap_or_default();
    loop {
        match pipeline.receive().await.map_err(Error::unavailable)? {
            Message::AuthenticationCleartextPassword => tell(pipeline, password).await,
            Message::AuthenticationMd5Password(body) => {
                tell(pipeline, md5_hash(user.as_bytes(), password, body.salt()).as_bytes()).await
            }
            Message::AuthenticationSasl(body) => scram(pipeline, &body, password).await,
            Message::ErrorResponse(body) => return Err(Refusal::new(&body).error()),
            Message::ReadyForQuery(_) => {
                pipeline.is_waiting = false;
                return Ok(());
            }
            // What remains are the end of authentication, settings of the server, and notices.
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

async fn scram(pipeline: &mut Pipeline, offer: &AuthenticationSaslBody, password: &[u8]) -> io::Result<()> {
    let mut mechanisms = offer.mechanisms();
    let mut is_offered = false;
    while let Some(mechanism) = mechanisms.next()? {
        is_offered |= mechanism == sasl::SCRAM_SHA_256;
    }
    if !is_offered {
        return Err(io::Error::other("the server wants an unknown way to authenticate"));
    }
    let mut dialogue = ScramSha256::new(password, ChannelBinding::unsupported());
    let mut out = BytesMut::new();
    frontend::sasl_initial_response(sasl::SCRAM_SHA_256, dialogue.message(), &mut out)?;
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
