//! Responses that contain a dashboard's document, without parsing or copying it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use kymograph_app::Error;
use kymograph_app::content::dashboard::{DashboardView, VersionContent};
use kymograph_domain::content::dashboard::resource::spec_of;
use kymograph_domain::{CanonicalJson, Uid};
use serde::Serialize;

use crate::kernel::error::ApiResult;

/// How many bytes of a response are buffered before the server writes them to the socket.
pub const WRITE_AT_BYTES: usize = 32 * 1024;
/// How much of a document is in the first write, after the head of the response and the metadata.
const FIRST_BYTES: usize = WRITE_AT_BYTES - 4 * 1024;
/// How much of the end of a document is copied to the closing braces, which would otherwise need a more expensive write
/// of their own.
const MAX_COPIED_BYTES: usize = 64 * 1024;

/// The text between the braces of a document, shared with its other owners.
struct Inside(CanonicalJson);

impl AsRef<[u8]> for Inside {
    fn as_ref(&self) -> &[u8] {
        inside(&self.0).as_bytes()
    }
}

/// The members of a document, without its braces and its API version. There is at least the title.
fn inside(data: &CanonicalJson) -> &str {
    let text = spec_of(data);
    text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default()
}

/// The members that the server adds to a document, before the others.
fn head(id: i64, uid: &Uid, version: i64) -> String {
    // A uid needs no escaping.
    format!(r#"{{"id":{id},"uid":"{uid}","version":{version},"#)
}

/// The response `{"meta": …, "dashboard": …}`.
pub(super) fn with_meta(meta: &impl Serialize, dashboard: &DashboardView) -> ApiResult<Response> {
    let meta = serde_json::to_string(meta).map_err(Error::internal)?;
    let head = head(dashboard.id, &dashboard.uid, dashboard.version);
    Ok(response(format!(r#"{{"meta":{meta},"dashboard":{head}"#), &dashboard.data))
}

/// The response with a version: its metadata, and the document as the member `data`.
pub(super) fn with_version(said: &impl Serialize, version: &VersionContent) -> ApiResult<Response> {
    let said = serde_json::to_string(said).map_err(Error::internal)?;
    let said = said.strip_suffix('}').unwrap_or_default();
    let VersionContent { view, data, .. } = version;
    let head = head(view.dashboard_id, &view.uid, view.version);
    Ok(response(format!(r#"{said},"data":{head}"#), data))
}

/// A response of a text that ends inside an object, and a document.
fn response(before: String, data: &CanonicalJson) -> Response {
    let [document, end] = with_end(Bytes::from_owner(Inside(data.clone())), b"}}");
    let parts = Parts::new([Bytes::from(before), document, end]);
    let mut response = Response::new(Body::new(parts));
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// A document and the text after it, in two parts; the last one combines as much as possible into one write.
fn with_end(mut document: Bytes, end: &'static [u8]) -> [Bytes; 2] {
    let rest = document.len().saturating_sub(FIRST_BYTES);
    if rest == 0 || rest > MAX_COPIED_BYTES {
        return [document, Bytes::from_static(end)];
    }
    let copied = document.split_off(FIRST_BYTES);
    [document, [&copied[..], end].concat().into()]
}

/// A body of a few parts of known length, written to the socket unchanged.
struct Parts {
    parts: [Bytes; 3],
    next: usize,
}

impl Parts {
    fn new(parts: [Bytes; 3]) -> Self {
        Self { parts, next: 0 }
    }
}

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let index = self.next;
        self.next += 1;
        Poll::Ready(self.parts.get_mut(index).map(|part| Ok(Frame::data(std::mem::take(part)))))
    }

    fn is_end_stream(&self) -> bool {
        self.next == self.parts.len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.parts.iter().map(|part| part.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_and_its_end_are_whole_in_parts_of_any_size() {
        for length in [0, 1, FIRST_BYTES, FIRST_BYTES + 1, FIRST_BYTES + MAX_COPIED_BYTES + 1] {
            let document: Vec<u8> = (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect();
            let parts = with_end(document.clone().into(), b"}}");
            assert_eq!(parts.concat(), [document.as_slice(), b"}}"].concat());
            assert_eq!(
                parts[1].len() > 2,
                (1..=MAX_COPIED_BYTES).contains(&(length.saturating_sub(FIRST_BYTES)))
            );
        }
    }

    #[test]
    fn puts_the_servers_members_first() {
        let data = serde_json::from_str::<CanonicalJson>(r#"{"panels":[],"title":"CPU"}"#).unwrap();
        let uid = Uid::try_new("d1").unwrap();
        let text = format!("{}{}}}", head(7, &uid, 2), inside(&data));
        assert_eq!(text, r#"{"id":7,"uid":"d1","version":2,"panels":[],"title":"CPU"}"#);
    }
}
