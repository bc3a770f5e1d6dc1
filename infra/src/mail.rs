//! Mail over SMTP.

use std::time::Duration;

use async_trait::async_trait;
use kymograph_app::kernel::mail::{Mail, MailError, Mailer};
use kymograph_app::{Error, Result};
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::sync::Semaphore;

/// The timeout of a mail, including the time in the queue.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum number of concurrently sent mails.
const MAX_AT_ONCE: usize = 8;

/// The port of implicit TLS.
const SMTPS: u16 = 465;

/// The encryption of the connection to the mail server, as Grafana's `startTLS_policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTls {
    /// If the server supports it.
    Opportunistic,
    /// Always.
    Mandatory,
    /// Never.
    Never,
}

/// The settings of a mail server.
#[derive(Clone)]
pub struct SmtpSettings {
    /// The name.
    pub host: String,
    /// The port; 465 means implicit TLS.
    pub port: u16,
    /// The credentials, if required.
    pub credentials: Option<(String, String)>,
    /// The address of the sender.
    pub from_address: String,
    /// The name of the sender.
    pub from_name: String,
    /// The encryption.
    pub start_tls: StartTls,
    /// Whether the certificate is not verified.
    pub skip_verify: bool,
}

/// Sends mail through a mail server.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    turns: Semaphore,
}

impl SmtpMailer {
    /// A mailer. It connects on demand.
    pub fn new(settings: &SmtpSettings) -> Result<Self> {
        let address: Address = settings.from_address.parse().map_err(|error| {
            Error::internal(format!("[smtp] from_address is not an e-mail address: {error}"))
        })?;
        let tls = match settings.start_tls {
            _ if settings.port == SMTPS => Tls::Wrapper(tls_parameters(settings)?),
            StartTls::Opportunistic => Tls::Opportunistic(tls_parameters(settings)?),
            StartTls::Mandatory => Tls::Required(tls_parameters(settings)?),
            StartTls::Never => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .timeout(Some(TIMEOUT))
            .tls(tls);
        if let Some((user, password)) = &settings.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        let name = Some(settings.from_name.clone()).filter(|name| !name.is_empty());
        Ok(Self {
            transport: builder.build(),
            from: Mailbox::new(name, address),
            turns: Semaphore::new(MAX_AT_ONCE),
        })
    }

    async fn deliver(&self, mail: &Mail) -> std::result::Result<(), MailError> {
        let to = mail.to.parse::<Address>();
        let to = to.map_err(|error| failed("the address is none", &error).finally())?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(&mail.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone())
            .map_err(|error| failed("the mail cannot be written", &error).finally())?;
        let _turn =
            self.turns.acquire().await.map_err(|error| failed("the mailer is shutting down", &error))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let refused = failed("the mail server rejected the mail", &error);
                Err(if error.is_permanent() { refused.finally() } else { refused })
            }
        }
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> std::result::Result<(), MailError> {
        let delivered = tokio::time::timeout(TIMEOUT, self.deliver(mail)).await;
        delivered.unwrap_or_else(|_| Err(MailError::new("the mail server timed out")))
    }
}

fn tls_parameters(settings: &SmtpSettings) -> Result<TlsParameters> {
    let parameters = TlsParameters::builder(settings.host.clone())
        .dangerous_accept_invalid_certs(settings.skip_verify)
        .build_rustls();
    parameters.map_err(|error| Error::internal(format!("TLS to the mail server cannot be set up: {error}")))
}

fn failed(what: &str, error: &dyn std::error::Error) -> MailError {
    let causes = std::iter::successors(Some(error), |error| error.source());
    MailError::new(&causes.fold(what.to_owned(), |text, cause| format!("{text}: {cause}")))
}
