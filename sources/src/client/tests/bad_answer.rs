//! Sources with unexpected responses.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn impatient(url: &str) -> SourceContext {
    let mut source = source(url);
    source.content.json_data.insert("timeout".to_owned(), 1.into());
    context(source)
}

async fn error_of(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> QueryError {
    let server = StandIn::start(answer).await;
    match fetch(&server.clients(), &impatient(&server.url())).await {
        Ok(answer) => panic!("answered {} with {} bytes", answer.status, answer.body.len()),
        Err(error) => error,
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gzipped(body: &[u8]) -> Reply {
    Reply::new(200, &[("content-encoding", "gzip")], body)
}

#[tokio::test]
async fn no_answer_is_larger_than_allowed() {
    const LIMIT: &str = "data source \"Test\" answered with more than 16777216 bytes";
    let announced = error_of(|_| Reply::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n")).await;
    assert_eq!((announced.status, announced.message.as_str()), (502, LIMIT));
    let hundred = error_of(|_| Reply::endless(&vec![b' '; 1 << 20], Duration::ZERO)).await;
    assert_eq!((hundred.status, hundred.message.as_str()), (502, LIMIT));
    // A hundred gzip members of 1 MiB each, concatenated.
    let bomb = gzip(&vec![0; 1 << 20]).repeat(100);
    assert!(bomb.len() < 200_000);
    let bomb = error_of(move |_| gzipped(&bomb)).await;
    assert_eq!((bomb.status, bomb.message.as_str()), (502, LIMIT));
}

#[tokio::test]
async fn what_never_ends_is_given_up() {
    let begin = Instant::now();
    for answer in [
        || Reply::silence(),
        || Reply::endless(b"x", Duration::from_millis(20)),
        || Reply { is_open: true, ..Reply::raw(b"HTTP/1.1 200 OK\r\nx-slow: ") },
    ] {
        let error = error_of(move |_| answer()).await;
        assert_eq!(error.message, "data source \"Test\" did not answer within 1 s");
        assert_eq!(error.status, 504);
    }
    assert!(begin.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn gzip_has_to_be_gzip() {
    let whole = gzip(b"the whole text");
    let text = whole.clone();
    let server = StandIn::start(move |_| gzipped(&text)).await;
    let answer = fetch(&server.clients(), &impatient(&server.url())).await.unwrap();
    assert_eq!(answer.body, b"the whole text");
    let mut damaged = whole.clone();
    let at = damaged.len() - 6;
    damaged[at] ^= 0xff;
    for body in [b"no gzip".to_vec(), whole[..whole.len() - 9].to_vec(), damaged, b"\x1f\x8b".to_vec()] {
        let error = error_of(move |_| gzipped(&body)).await;
        assert_eq!(error.message, "data source \"Test\" answered with gzip that cannot be read");
    }
    let other = error_of(|_| Reply::new(200, &[("content-encoding", "br")], b"x")).await;
    assert_eq!(other.message, "data source \"Test\" answered with an encoding that was not asked for");
}

#[tokio::test]
async fn what_breaks_off_or_is_no_http_is_an_error() {
    for bytes in [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort".as_slice(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    ] {
        let error = error_of(move |_| Reply::raw(bytes)).await;
        assert_eq!(error.status, 502, "{}", error.message);
        assert!(error.message.starts_with("data source \"Test\" "), "{}", error.message);
        assert!(error.message.len() < 300);
    }
}

#[tokio::test]
async fn what_is_passed_on_is_neither_gathered_nor_endless() {
    let server = StandIn::start(|_| Reply::endless(&vec![b'x'; 64 << 10], Duration::ZERO)).await;
    let settings = ClientSettings { max_streamed_bytes: Some(16 << 20), ..ClientSettings::default() };
    let clients = HttpClients::new(crate::fixture::local_egress(), settings);
    let context = impatient(&server.url());
    let client = clients.of(&context.source).unwrap();
    let answer = client.open(&context, resource("GET", "x", ""), None).await.unwrap();
    let error = collected(answer).await.unwrap_err();
    assert_eq!(error.to_string(), "answered with more than 16777216 bytes");
    let server = StandIn::start(|_| Reply {
        is_open: true,
        ..Reply::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx")
    })
    .await;
    let context = impatient(&server.url());
    let client = HttpClients::of(&server.clients(), &context.source).unwrap();
    let answer = client.open(&context, resource("GET", "x", ""), None).await.unwrap();
    assert_eq!(collected(answer).await.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_large_answer_must_arrive_at_a_pace() {
    let server = StandIn::start(|_| Reply::endless(&vec![b'x'; 200 << 10], Duration::from_secs(60))).await;
    let clients = server.clients();
    let began = std::time::Instant::now();
    let error = fetch(&clients, &context(source(&server.url()))).await.err().unwrap();
    assert!(error.message.contains("too slowly for its size"), "{}", error.message);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
