//! Servers that are unreachable, do not trust us, are not trustworthy, or are not PostgreSQL servers.

use std::time::{Duration, Instant};

use kymograph_app::source::backend::Backend;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Source, start};

async fn health(source: &Source) -> Result<(), String> {
    let health = source.backend.check_health(&source.context).await;
    assert!(!health.message.contains("secret"), "{health:?}");
    if health.is_ok { Ok(()) } else { Err(health.message) }
}

#[tokio::test]
async fn tls_is_as_the_source_wants_it() {
    let (postgres, _, client) = start("source-tls").await;
    let read = |name: &str| std::fs::read_to_string(postgres.folder.join(name)).unwrap();
    let (root, other, robot, key) =
        (read("root.pem"), read("other.pem"), read("robot.pem"), read("robot.key"));
    let with = |mode: &str, host: &str, user: &str, secrets: &[(&str, &str)]| {
        let mut source = Source::with_secrets(postgres.port, json!({"sslmode": mode}), secrets);
        source.change(|source| {
            source.content.url = format!("{host}:{}", postgres.port);
            source.content.user = user.to_owned();
        });
        source
    };
    let (password, ca) = (("password", "secret"), ("tlsCACert", root.as_str()));
    let certificate = [ca, ("tlsClientCert", robot.as_str()), ("tlsClientKey", key.as_str())];
    let encrypted = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    for (source, is_encrypted) in [
        (with("disable", "127.0.0.1", "ann", &[password]), "false"),
        (with("", "127.0.0.1", "ann", &[password]), "true"),
        (with("require", "127.0.0.1", "ann", &[password]), "true"),
        (with("verify-ca", "127.0.0.1", "ann", &[password, ca]), "true"),
        (with("verify-full", "localhost", "ann", &[password, ca]), "true"),
        (with("verify-full", "localhost", "robot", &certificate), "true"),
    ] {
        let frame = source.table(encrypted).await;
        assert_eq!(super::texts(&frame, "ssl"), [Some(is_encrypted.to_owned())], "{:?}", source.context);
    }
    for (source, told) in [
        (with("verify-full", "127.0.0.1", "ann", &[password, ca]), "not valid for name"),
        (with("verify-full", "localhost", "ann", &[password]), "not trusted"),
        (with("verify-full", "localhost", "ann", &[password, ("tlsCACert", &other)]), "not trusted"),
        (with("verify-ca", "localhost", "ann", &[password, ("tlsCACert", &other)]), "not trusted"),
        (with("verify-ca", "localhost", "ann", &[password]), "needs tlsCACert"),
        (
            with("verify-full", "localhost", "ann", &[password, ("tlsCACert", "no certificate")]),
            "no PEM certificate",
        ),
        (with("require", "localhost", "robot", &certificate[..2]), "both tlsClientCert and tlsClientKey"),
        (with("require", "localhost", "robot", &[certificate[1], ("tlsClientKey", "x")]), "no PEM key"),
        (with("require", "localhost", "robot", &[]), "certificate"),
        (with("prefer", "localhost", "ann", &[password]), "sslmode must be"),
        (with("disable", "localhost", "ann", &[("password", "wrong")]), "28P01"),
        (with("disable", "localhost", "ann", &[]), "28P01"),
    ] {
        let refusal = health(&source).await.unwrap_err();
        assert!(refusal.starts_with("Numbers: ") && refusal.contains(told), "{told}: {refusal}");
    }
    drop(client);
}

#[tokio::test]
async fn settings_that_lead_nowhere_are_told() {
    let wrong = |change: fn(&mut kymograph_app::source::backend::SourceSettings)| {
        let mut source = Source::at(1, json!({"sslmode": "disable"}));
        source.change(change);
        source
    };
    for (source, told) in [
        (wrong(|source| source.content.url = String::new()), "no address"),
        (wrong(|source| source.content.url = "/var/run/postgresql".to_owned()), "must be a host and a port"),
        (wrong(|source| source.content.url = "postgres://localhost".to_owned()), "must be a host and a port"),
        (wrong(|source| source.content.url = "localhost:0".to_owned()), "must be a host and a port"),
        (wrong(|source| source.content.url = "local host".to_owned()), "must be a host and a port"),
        (wrong(|source| source.content.url = "a@b:1".to_owned()), "must be a host and a port"),
        (wrong(|source| source.content.user = String::new()), "no user"),
        (wrong(|source| source.content.database = String::new()), "no database"),
        (wrong(|source| source.content.user = "a\0b".to_owned()), "a character that no name can have"),
        (wrong(|source| source.content.url = "localhost:1".to_owned()), "cannot be reached"),
        (wrong(|source| source.content.url = "10.0.0.1:5432".to_owned()), "private address"),
        (wrong(|source| source.content.url = "169.254.169.254:5432".to_owned()), "address"),
        (wrong(|source| source.content.url = "[::ffff:169.254.169.254]:5432".to_owned()), "address"),
        (
            wrong(|source| {
                source.content.json_data =
                    json!({"sslRootCertFile": "/etc/shadow"}).as_object().unwrap().clone();
            }),
            "certificates cannot be files",
        ),
    ] {
        let refusal = health(&source).await.unwrap_err();
        assert!(refusal.contains(told), "{told}: {refusal}");
        assert!(!refusal.contains("::ffff:a9fe") && !refusal.contains("os error 2"), "{refusal}");
    }
}

/// A server that responds to everything with these bytes, endlessly if `is_endless`.
async fn server(answer: Vec<u8>, is_endless: bool) -> Source {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut asked = [0; 4096];
                let _ = socket.read(&mut asked).await;
                while socket.write_all(&answer).await.is_ok() && is_endless {}
                let _ = socket.read(&mut asked).await;
            });
        }
    });
    Source::at(port, json!({"sslmode": "disable"}))
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

/// The messages of a successful login.
fn welcome() -> Vec<u8> {
    [message(b'R', &[0; 4]), message(b'Z', b"I")].concat()
}

/// The description of a table with one column of a type.
fn described(kind: u32) -> Vec<u8> {
    let column = [b"c\0".as_slice(), &[0; 6], &kind.to_be_bytes(), &[0; 8]].concat();
    [message(b'1', &[]), message(b'T', &[&[0, 1], column.as_slice()].concat()), message(b'Z', b"T")].concat()
}

#[tokio::test]
async fn nothing_that_a_server_says_takes_more_than_a_moment_or_more_memory_than_allowed() {
    let sasl = message(b'R', &[&[0, 0, 0, 10], b"SCRAM-SHA-256\0\0".as_slice()].concat());
    let huge = [b"R".as_slice(), &[0xff; 4]].concat();
    let long_row = [welcome(), described(25), b"D".to_vec(), vec![0x7f, 0xff, 0xff, 0xff]].concat();
    for (answer, is_endless, told) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n<html>".to_vec(), false, "larger than"),
        (vec![0; 100], false, "does not speak the protocol"),
        (huge, false, "larger than"),
        (b"".to_vec(), false, ""),
        (message(b'R', &[0, 0, 0, 7]), false, "a way to log in that is not supported"),
        (message(b'R', &[0, 0, 0, 99]), false, "unknown authentication tag"),
        (message(b'D', &[0, 0]), false, "a way to log in that is not supported"),
        (message(b'N', b"SNOTICE\0\0"), true, "did not accept a connection within 10s"),
        (
            [sasl.clone(), message(b'R', b"\0\0\0\x0br=x,s=eA==,i=4000000000")].concat(),
            false,
            "hashed more than",
        ),
        ([sasl, message(b'R', b"\0\0\0\x0br=x,s=eA==,i=10")].concat(), false, "invalid nonce"),
        (message(b'E', b"SFATAL\0C28P01\0Mgo away\x1b[31m\0\0"), false, "go away"),
        ([welcome(), described(23), message(b'D', &[0, 2, 0, 0])].concat(), false, "not what was announced"),
        (
            [welcome(), described(23), message(b'D', &[0, 1, 0, 0, 0, 9, 1])].concat(),
            false,
            "not what was announced",
        ),
        (
            [welcome(), message(b'n', &[]), message(b'Z', b"T"), message(b'D', &[0, 0])].concat(),
            false,
            "not announced",
        ),
        (long_row, false, "larger than"),
        ([welcome(), described(25), message(b'G', &[0, 0, 0])].concat(), false, "COPY is not served"),
    ] {
        let source = server(answer, is_endless).await;
        let begun = Instant::now();
        let refusal = health(&source).await.unwrap_err();
        assert!(refusal.contains(told) && !refusal.contains('\x1b'), "{told}: {refusal}");
        assert!(begun.elapsed() < Duration::from_secs(25), "{told} took {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn endless_rows_end_at_the_bytes_that_are_allowed() {
    let row = message(b'D', &[&[0, 1, 0, 0, 0, 100], [b'x'; 100].as_slice()].concat());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(&[welcome(), described(25)].concat()).await.unwrap();
        while socket.write_all(&row.repeat(100)).await.is_ok() {}
    });
    let mut source = Source::at(port, json!({"sslmode": "disable"}));
    source.context.max_bytes = 1_000_000;
    let frame = source.table("SELECT 1").await;
    let rows = frame.fields[0].column.len();
    assert!((6000..8000).contains(&rows) && super::notices(&frame).len() == 1, "{rows}");
    let json: Value = json!(super::texts(&frame, "c")[0]);
    assert_eq!(json, "x".repeat(100));
}
