//! TLS for a source, with the certificates that are stored with it.

use kymograph_app::source::backend::SourceSettings;
use kymograph_infra::database_server::{KeyedCertificate, Tls, TlsMode, Trust};
use rustls::pki_types::CertificateDer;

use super::settings::text;
use crate::certificate::{authorities, certificates, private_key, roots_of_system};

/// The settings for certificates in files of the server, which a tenant must not choose.
const FILES: [&str; 3] = ["sslRootCertFile", "sslCertFile", "sslKeyFile"];

/// The TLS configuration of a source.
pub(super) fn tls_of(source: &SourceSettings, mode: TlsMode) -> Result<Tls, String> {
    if mode == TlsMode::Disable {
        return Ok(Tls::default());
    }
    if FILES.iter().any(|name| !text(&source.content.json_data, name).is_empty()) {
        return Err("certificates cannot be files on the server: set tlsConfigurationMethod to file-content, and store them in tlsCACert, tlsClientCert and tlsClientKey".to_owned());
    }
    let secret = |name| source.secrets.get(name);
    let client = match (secret("tlsClientCert"), secret("tlsClientKey")) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(keyed(certificate, key)?),
        _ => return Err("a client certificate needs both tlsClientCert and tlsClientKey".to_owned()),
    };
    let trust = match (mode, secret("tlsCACert")) {
        (_, Some(pem)) => named_authorities(pem, mode == TlsMode::VerifyFull)?,
        (TlsMode::VerifyFull, None) => {
            let roots = roots_of_system().map_err(|error| error.to_string())?;
            Trust::Roots { roots: (*roots).clone(), pinned: Vec::new(), is_name_checked: true }
        }
        (TlsMode::VerifyCa, None) => {
            return Err(
                "sslmode verify-ca needs tlsCACert; with the authorities of the system, use verify-full"
                    .to_owned(),
            );
        }
        _ => Trust::Anybody,
    };
    Tls::of(trust, client, None).map_err(|error| error.to_string())
}

fn named_authorities(pem: &str, is_name_checked: bool) -> Result<Trust, String> {
    let pinned = named_certificates("tlsCACert", pem)?;
    let roots = authorities(&pinned).map_err(|error| format!("tlsCACert cannot be used: {error}"))?;
    Ok(Trust::Roots { roots, pinned, is_name_checked })
}

fn keyed(certificate: &str, key: &str) -> Result<KeyedCertificate, String> {
    let certificates = named_certificates("tlsClientCert", certificate)?;
    let key = private_key(key).ok_or("tlsClientKey is no PEM key without a password")?;
    Ok((certificates, key))
}

fn named_certificates(name: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    certificates(pem).ok_or_else(|| format!("{name} is no PEM certificate"))
}
