//! TLS as a source wants it.

use std::sync::{Arc, OnceLock};

use kymograph_app::source::backend::{QueryError, SourceSettings};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::failure::misconfigured;
use super::settings::{json_flag, json_text};

/// The most certificates that one secret may have.
const MAX_CERTIFICATES: usize = 1_000;

/// How TLS is spoken with a source.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    /// The name that the source's certificate must have, if it is not the host of its address.
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
            let roots =
                if json_flag(source, "tlsAuthWithCACert") { own_roots(source)? } else { system_roots() };
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|_| misconfigured(source, "there is no authority that it could be trusted by"))?;
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

/// The authorities of the system, which are read once.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS
        .get_or_init(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(roots)
        })
        .clone()
}

fn own_roots(source: &SourceSettings) -> Result<Arc<RootCertStore>, QueryError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(source, "tlsCACert", "its authority")? {
        let refused = |_| misconfigured(source, "its authority is no certificate");
        roots.add(certificate).map_err(refused)?;
    }
    Ok(Arc::new(roots))
}

fn own_certificate(
    source: &SourceSettings,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), QueryError> {
    let chain = certificates(source, "tlsClientCert", "its client certificate")?;
    let key = source.secrets.get("tlsClientKey").unwrap_or_default();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|_| misconfigured(source, "its client key is no PEM text of a private key"))?;
    Ok((chain, key))
}

fn certificates(
    source: &SourceSettings,
    secret: &str,
    what: &str,
) -> Result<Vec<CertificateDer<'static>>, QueryError> {
    let text = source.secrets.get(secret).unwrap_or_default();
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(text.as_bytes()).take(MAX_CERTIFICATES).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(misconfigured(source, &format!("{what} is no PEM text of a certificate"))),
    }
}

/// Takes any certificate, but only from who has its key.
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
