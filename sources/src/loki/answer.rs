//! Responses of the API of Loki as frames.

use kymograph_domain::source::frame::Frame;

use super::lines::Lines;
use super::query::LokiQuery;
use crate::json::{Json, Read};
use crate::series::{self, Naming};

/// The type of a result with log lines.
const STREAMS: &str = "streams";

/// Parses a response. `budget` limits the memory of the result, in bytes.
pub(super) fn read(text: &str, budget: usize, query: &LokiQuery) -> Read<Vec<Frame>> {
    let mut json = Json::new(text, budget);
    let mut frames = None;
    json.object(|json, name| {
        match name {
            "data" => frames = read_data(json, query)?,
            _ => json.skip()?,
        }
        Ok(())
    })?;
    json.end()?;
    frames.map_or_else(|| json.malformed(), Ok)
}

/// Parses the type and the result, in either order.
fn read_data(json: &mut Json<'_>, query: &LokiQuery) -> Read<Option<Vec<Frame>>> {
    let (mut result_type, mut waiting, mut frames) = (None::<String>, None, None);
    json.object(|json, name| {
        match name {
            "resultType" => result_type = Some(json.string()?.into_owned()),
            "result" => match &result_type {
                Some(result_type) => frames = Some(read_result(json, result_type, query)?),
                None => {
                    waiting = Some(json.position());
                    json.skip()?;
                }
            },
            _ => json.skip()?,
        }
        Ok(())
    })?;
    if let (Some(position), Some(result_type)) = (waiting, result_type) {
        let end = json.position();
        json.rewind(position);
        frames = Some(read_result(json, &result_type, query)?);
        json.rewind(end);
    }
    Ok(frames)
}

fn read_result(json: &mut Json<'_>, result_type: &str, query: &LokiQuery) -> Read<Vec<Frame>> {
    if result_type == STREAMS {
        return Ok(vec![Lines::read(json)?.into_frame(query)]);
    }
    let naming = Naming {
        name: &|labels| query.name(labels),
        expression: &query.expression,
        step_ms: query.step_ms,
        kind: if query.is_instant { "numeric-multi" } else { "timeseries-multi" },
    };
    let mut frames = series::read(json, result_type, &naming)?;
    if frames.is_empty() {
        frames
            .push(Frame { meta: Some(Box::new(series::meta(result_type, naming.kind))), ..Frame::default() });
    }
    if let Some(meta) = frames.first_mut().and_then(|frame| frame.meta.as_mut()) {
        meta.executed_query = Some(query.executed());
    }
    Ok(frames)
}

/// The message of an error response, in JSON or not.
pub(super) fn error_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut json = Json::new(&text, text.len());
    let (mut message, mut error) = (None, None);
    let read = json.object(|json, name| {
        match name {
            "message" if json.peek()? == b'"' => message = Some(json.string()?.into_owned()),
            "error" if json.peek()? == b'"' => error = Some(json.string()?.into_owned()),
            _ => json.skip()?,
        }
        Ok(())
    });
    let told = read.ok().and(message.or(error));
    told.unwrap_or_else(|| text.into_owned())
}
