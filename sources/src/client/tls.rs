//! The TLS settings of a source.

use std::sync::Arc;

use kymograph_app::source::backend::{QueryError, SourceSettings};
use kymograph_infra::database_server::KeyedCertificate;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::failure::misconfigured;
use super::settings::{json_flag, json_text};
use crate::certificate::{authorities, certificates, private_key, roots_of_system};

/// The TLS configuration for a source.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    /// The name expected in the source's certificate, if it is not the host of its URL.
    pub(super) server_name: Option<ServerName<'static>>,
}

impl Tls {
    /// Reads the settings of a source.
    pub(super) fn of(source: &SourceSettings) -> Result<Self, QueryError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| misconfigured(source, &error.to_string()))?;
        let builder = if json_flag(source, "tlsSkipVerify") {
            tracing::warn!(
                org = source.org.0,
                source = %source.uid,
                "a data source is trusted whatever certificate it shows, as its settings say tlsSkipVerify"
            );
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else {
            let untrusted = || misconfigured(source, "there is no authority that it could be trusted by");
            let roots = if json_flag(source, "tlsAuthWithCACert") {
                own_roots(source)?
            } else {
                roots_of_system().map_err(|_| untrusted())?
            };
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider);
            let verifier = verifier.build().map_err(|_| untrusted())?;
            builder.with_webpki_verifier(verifier)
        };
        let mut config = if json_flag(source, "tlsAuth") {
            let (chain, key) = own_certificate(source)?;
            let refused = |_| misconfigured(source, "its client certificate and key do not fit each other");
            builder.with_client_auth_cert(chain, key).map_err(refused)?
        } else {
            builder.with_no_client_auth()
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let server_name =
            match json_text(source, "serverName") {
                "" => None,
                name => {
                    let name = ServerName::try_from(name.to_owned());
                    Some(name.map_err(|_| {
                        misconfigured(source, "its server name is neither a name nor an address")
                    })?)
                }
            };
        Ok(Self { config: Arc::new(config), server_name })
    }
}

fn own_roots(source: &SourceSettings) -> Result<Arc<RootCertStore>, QueryError> {
    let certificates = named_certificates(source, "tlsCACert", "its authority")?;
    let roots = authorities(&certificates);
    Ok(Arc::new(roots.map_err(|_| misconfigured(source, "its authority is no certificate"))?))
}

fn own_certificate(source: &SourceSettings) -> Result<KeyedCertificate, QueryError> {
    let chain = named_certificates(source, "tlsClientCert", "its client certificate")?;
    let key = private_key(source.secrets.get("tlsClientKey").unwrap_or_default())
        .ok_or_else(|| misconfigured(source, "its client key is no PEM text of a private key"))?;
    Ok((chain, key))
}

fn named_certificates(
    source: &SourceSettings,
    secret: &str,
    what: &str,
) -> Result<Vec<CertificateDer<'static>>, QueryError> {
    certificates(source.secrets.get(secret).unwrap_or_default())
        .ok_or_else(|| misconfigured(source, &format!("{what} is no PEM text of a certificate")))
}

/// Accepts any certificate, but only from a server that has its private key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
