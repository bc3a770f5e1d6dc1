//! TLS as configured in the settings of a source.

use std::convert::Infallible;

use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A certificate authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a name and its key, as PEM texts.
    fn certify(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// Starts a TLS server for HTTP/2 or 1.1 that reports the version in its response. Returns its port.
async fn serve(authority: &Authority, name: &str, wants_client: bool, protocols: &[&str]) -> u16 {
    let (certificate, key) = authority.certify(name);
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let builder = if wants_client {
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let name = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let text = format!("{:?} {name}", request.version());
                    async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text)))) }
                });
                let io = TokioIo::new(stream);
                if is_http2 {
                    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(io, service)
                        .await;
                } else {
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
                }
            });
        }
    });
    port
}

fn trusting(authority: &Authority, host: &str, port: u16) -> SourceSettings {
    let mut source = source(&format!("https://{host}:{port}/"));
    source.content.json_data.insert("tlsAuthWithCACert".to_owned(), true.into());
    source.secrets.0.insert("tlsCACert".to_owned(), authority.pem.clone().into());
    source
}

async fn answer(source: SourceSettings) -> Result<String, QueryError> {
    let clients = HttpClients::new(local_egress(), ClientSettings::default());
    let answer = fetch(&clients, &context(source)).await?;
    Ok(String::from_utf8(answer.body).unwrap())
}

#[tokio::test]
async fn the_protocol_is_negotiated() {
    let authority = Authority::new();
    for (protocols, version) in [
        (["h2", "http/1.1"].as_slice(), "HTTP/2.0"),
        (["http/1.1"].as_slice(), "HTTP/1.1"),
        ([].as_slice(), "HTTP/1.1"),
    ] {
        let port = serve(&authority, "localhost", false, protocols).await;
        let text = answer(trusting(&authority, "localhost", port)).await.unwrap();
        assert_eq!(text, format!("{version} localhost"));
    }
}

#[tokio::test]
async fn only_the_right_authority_and_name_are_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let port = serve(&authority, "prometheus.test", false, &["h2"]).await;
    let wrong_name = answer(trusting(&authority, "localhost", port)).await.unwrap_err();
    assert_eq!(wrong_name.status, 502, "{}", wrong_name.message);
    let mut named = trusting(&authority, "127.0.0.1", port);
    named.content.json_data.insert("serverName".to_owned(), "prometheus.test".into());
    assert_eq!(answer(named.clone()).await.unwrap(), "HTTP/2.0 prometheus.test");
    named.secrets.0.insert("tlsCACert".to_owned(), other.pem.clone().into());
    assert!(answer(named.clone()).await.unwrap_err().message.contains("certificate"));
    named.content.json_data.remove("tlsAuthWithCACert");
    assert!(answer(named.clone()).await.is_err(), "the system does not know the authority");
    named.content.json_data.insert("tlsSkipVerify".to_owned(), true.into());
    assert!(answer(named).await.is_ok());
}

#[tokio::test]
async fn a_source_may_want_a_certificate() {
    let authority = Authority::new();
    let port = serve(&authority, "localhost", true, &["http/1.1"]).await;
    let mut source = trusting(&authority, "localhost", port);
    assert_eq!(answer(source.clone()).await.unwrap_err().status, 502);
    let (certificate, key) = authority.certify("client");
    source.content.json_data.insert("tlsAuth".to_owned(), true.into());
    source.secrets.0.insert("tlsClientCert".to_owned(), certificate.into());
    source.secrets.0.insert("tlsClientKey".to_owned(), key.into());
    assert_eq!(answer(source.clone()).await.unwrap(), "HTTP/1.1 localhost");
    let (_, other_key) = authority.certify("client");
    for (secret, value) in [
        ("tlsClientKey", other_key.as_str()),
        ("tlsClientKey", "no key"),
        ("tlsClientCert", ""),
        ("tlsCACert", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"),
    ] {
        let mut broken = source.clone();
        broken.secrets.0.insert(secret.to_owned(), value.to_owned().into());
        let error = answer(broken).await.unwrap_err();
        assert_eq!(error.status, 400, "{secret}: {}", error.message);
    }
    source.content.json_data.insert("serverName".to_owned(), "not a name".into());
    assert_eq!(answer(source).await.unwrap_err().status, 400);
}

/// Starts a proxy that opens tunnels for clients with the password. Returns its port.
async fn tunnels() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                if !head.contains("Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n") {
                    let _ = client.write_all(b"HTTP/1.1 407 Who?\r\ncontent-length: 0\r\n\r\n").await;
                    return;
                }
                let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap();
                let mut server = tokio::net::TcpStream::connect(target).await.unwrap();
                client.write_all(b"HTTP/1.1 200 Open\r\nx-proxy: 1\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn tls_goes_through_a_proxy() {
    let authority = Authority::new();
    let port = serve(&authority, "localhost", false, &["h2"]).await;
    let proxy = tunnels().await;
    for (user, expected) in
        [("ann:secret@", Ok("HTTP/2.0 localhost")), ("", Err("the proxy refused the connection with 407"))]
    {
        let settings = ClientSettings {
            proxy: ForwardProxy::parse(&format!("http://{user}127.0.0.1:{proxy}")),
            ..ClientSettings::default()
        };
        let clients = HttpClients::new(local_egress(), settings);
        let answer = fetch(&clients, &context(trusting(&authority, "localhost", port))).await;
        match (answer, expected) {
            (Ok(answer), Ok(text)) => assert_eq!(answer.body, text.as_bytes()),
            (Err(error), Err(text)) => assert!(error.message.ends_with(text), "{}", error.message),
            (answer, _) => panic!("{user}: {:?}", answer.map(|answer| answer.status)),
        }
    }
}
