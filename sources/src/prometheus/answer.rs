//! Responses of the API of Prometheus, which many other servers implement, as frames.

mod exemplar;

use kymograph_domain::source::frame::{Frame, Notice};

use super::query::PrometheusQuery;
use crate::json::{Json, Read};
use crate::parse::Parsed;
use crate::series::{self, Naming};
use crate::text::shown;

/// The maximum number of notices that are forwarded.
pub(crate) const MAX_NOTICES: usize = 100;

/// The endpoint of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// `query_range`.
    Range,
    /// `query`.
    Instant,
    /// `query_exemplars`.
    Exemplars,
}

/// A parsed response.
#[derive(Debug, Default)]
pub(super) struct PrometheusAnswer {
    /// The frames. Without any series there is one frame without fields; without exemplars there is none.
    pub(super) frames: Vec<Frame>,
    /// The error type and message of an error response.
    pub(super) error: Option<String>,
    notices: Vec<Notice>,
}

impl Parsed for PrometheusAnswer {
    fn bytes(&self) -> usize {
        self.frames.bytes()
    }
}

impl PrometheusAnswer {
    /// Parses a response. `budget` limits the memory of the result, in bytes.
    pub(super) fn read(text: &str, budget: usize, asked: Asked, query: &PrometheusQuery) -> Read<Self> {
        let mut json = Json::new(text, budget);
        let mut answer = Self::default();
        let (mut is_error, mut kind, mut message) = (false, String::new(), String::new());
        json.object(|json, name| {
            match name {
                "status" => is_error = json.string()? == "error",
                "errorType" => kind = shown(&json.string()?),
                "error" => message = shown(&json.string()?),
                "warnings" => answer.read_notices(json, "warning")?,
                "infos" => answer.read_notices(json, "info")?,
                "data" if json.peek()? == b'n' => json.skip()?,
                "data" if asked == Asked::Exemplars => {
                    answer.frames = exemplar::read(json, query)?;
                }
                "data" => answer.read_data(json, asked, query)?,
                _ => json.skip()?,
            }
            Ok(())
        })?;
        json.end()?;
        if is_error {
            answer.error = Some(format!("{kind}: {message}"));
            return Ok(answer);
        }
        if answer.frames.is_empty() && asked != Asked::Exemplars {
            return json.malformed();
        }
        if let Some(meta) = answer.frames.first_mut().and_then(|frame| frame.meta.as_mut()) {
            meta.executed_query = Some(query.executed());
            meta.notices = std::mem::take(&mut answer.notices);
        }
        Ok(answer)
    }

    fn read_notices(&mut self, json: &mut Json<'_>, severity: &'static str) -> Read<()> {
        if json.peek()? == b'n' {
            return json.skip();
        }
        json.list(|json| {
            let text = shown(&json.string()?);
            if self.notices.len() < MAX_NOTICES {
                self.notices.push(Notice { severity, text });
            }
            Ok(())
        })
    }

    /// Parses the type and the result, in either order.
    fn read_data(&mut self, json: &mut Json<'_>, asked: Asked, query: &PrometheusQuery) -> Read<()> {
        let (mut kind, mut waiting) = (None, None);
        json.object(|json, name| {
            match (name, &kind) {
                ("resultType", _) => kind = Some(json.string()?.into_owned()),
                ("result", Some(kind)) => self.frames = read_result(json, kind, asked, query)?,
                ("result", None) => {
                    waiting = Some(json.position());
                    json.skip()?;
                }
                _ => json.skip()?,
            }
            Ok(())
        })?;
        if let (Some(position), Some(kind)) = (waiting, kind) {
            let end = json.position();
            json.rewind(position);
            self.frames = read_result(json, &kind, asked, query)?;
            json.rewind(end);
        }
        Ok(())
    }
}

fn kind_of(asked: Asked) -> &'static str {
    match asked {
        Asked::Range => "timeseries-multi",
        Asked::Instant | Asked::Exemplars => "numeric-multi",
    }
}

fn read_result(
    json: &mut Json<'_>,
    result_type: &str,
    asked: Asked,
    query: &PrometheusQuery,
) -> Read<Vec<Frame>> {
    let naming = Naming {
        name: &|labels| query.name(labels),
        expression: &query.expression,
        step_ms: query.step_ms,
        kind: kind_of(asked),
    };
    let mut frames = series::read(json, result_type, &naming)?;
    if frames.is_empty() {
        let meta = series::meta(result_type, naming.kind);
        frames.push(Frame { meta: Some(Box::new(meta)), ..Frame::default() });
    }
    Ok(frames)
}

#[cfg(test)]
mod tests;
