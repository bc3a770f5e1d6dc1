//! Log lines in columns.

use std::collections::HashMap;

use kymograph_domain::source::frame::{Cells, Column, Field, Frame, FrameMeta, Labels};
use serde_json::json;

use super::query::LokiQuery;
use crate::json::{Json, LABEL, Read};
use crate::series::SERIES;

/// The bytes counted for a line in addition to its texts.
const LINE: usize = 192;

/// The origin of a label: the stream, the metadata sent with a line, or the parsed line.
const OF_STREAM: &str = "I";
const OF_METADATA: &str = "S";
const OF_LINE: &str = "P";

struct Line {
    time: i64,
    text: String,
    labels: String,
    label_types: String,
}

/// Labels by name, each with its origin.
#[derive(Clone, Default)]
struct Origins(Vec<(&'static str, Labels)>);

impl Origins {
    fn labels_json(&self) -> String {
        let mut all = serde_json::Map::new();
        for (_, labels) in &self.0 {
            all.extend(labels.iter().map(|(name, value)| (name.clone(), value.clone().into())));
        }
        serde_json::Value::from(all).to_string()
    }

    fn types_json(&self) -> String {
        let mut all = serde_json::Map::new();
        for (origin, labels) in &self.0 {
            all.extend(labels.keys().map(|name| (name.clone(), (*origin).into())));
        }
        serde_json::Value::from(all).to_string()
    }
}

/// The lines of all streams.
#[derive(Default)]
pub(super) struct Lines {
    lines: Vec<Line>,
    /// Whether the response reports the origin of labels.
    is_categorized: bool,
}

impl Lines {
    /// Parses all streams.
    pub(super) fn read(json: &mut Json<'_>) -> Read<Self> {
        let mut lines = Self::default();
        json.list(|json| {
            json.spend(SERIES)?;
            let (mut stream, mut values) = (None, None);
            json.object(|json, name| {
                match name {
                    "stream" => stream = Some(json.labels()?),
                    "values" => {
                        json.peek()?;
                        values = Some(json.position());
                        json.skip()?;
                    }
                    _ => json.skip()?,
                }
                Ok(())
            })?;
            let Some(position) = values else { return Ok(()) };
            let end = json.position();
            json.rewind(position);
            lines.read_stream(json, stream.unwrap_or_default())?;
            json.rewind(end);
            Ok(())
        })?;
        Ok(lines)
    }

    fn read_stream(&mut self, json: &mut Json<'_>, labels: Labels) -> Read<()> {
        let stream = Origins(vec![(OF_STREAM, labels)]);
        let texts = (stream.labels_json(), stream.types_json());
        json.list(|json| {
            json.expect(b'[')?;
            let at = json.position();
            let Ok(time) = json.string()?.parse() else {
                json.rewind(at);
                return json.malformed();
            };
            json.expect(b',')?;
            // Each line is counted with the labels of its stream, although it may override them: to check that costs as
            // much.
            json.spend(LINE + texts.0.len() + texts.1.len())?;
            let text = json.string()?.into_owned();
            let (labels, label_types) = if json.accept(b',')? {
                let own = self.read_own_labels(json, stream.clone())?;
                (own.labels_json(), own.types_json())
            } else {
                texts.clone()
            };
            json.expect(b']')?;
            self.lines.push(Line { time, text, labels, label_types });
            Ok(())
        })
    }

    /// Parses the labels of one line: by origin if Loki reports it, otherwise all of them as metadata.
    fn read_own_labels(&mut self, json: &mut Json<'_>, mut origins: Origins) -> Read<Origins> {
        let mut plain = Labels::new();
        json.object(|json, name| {
            if json.peek()? == b'"' {
                let value = json.string()?;
                json.spend(LABEL + name.len() + value.len())?;
                plain.insert(name.to_owned(), value.into_owned());
                return Ok(());
            }
            self.is_categorized = true;
            match name {
                "structuredMetadata" => origins.0.push((OF_METADATA, json.labels()?)),
                "parsed" => origins.0.push((OF_LINE, json.labels()?)),
                _ => json.skip()?,
            }
            Ok(())
        })?;
        origins.0.push((OF_METADATA, plain));
        Ok(origins)
    }

    /// The frame of all lines, in the requested order.
    pub(super) fn into_frame(mut self, query: &LokiQuery) -> Frame {
        if query.is_forward {
            self.lines.sort_by_key(|line| line.time);
        } else {
            self.lines.sort_by_key(|line| std::cmp::Reverse(line.time));
        }
        let ids = ids(&self.lines);
        let count = self.lines.len();
        let (mut times, mut stamps) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let (mut texts, mut labels, mut types) = (Vec::new(), Vec::new(), Vec::new());
        for line in self.lines {
            times.push(line.time);
            stamps.push(line.time.to_string());
            texts.push(line.text);
            labels.push(line.labels);
            types.push(line.label_types);
        }
        let mut fields = vec![
            Field::new("labels", Column::Json(Cells::new(labels))),
            Field::new("Time", Column::Time(Cells::new(times))),
            Field::new("Line", Column::Text(Cells::new(texts))),
            Field::new("tsNs", Column::Text(Cells::new(stamps))),
        ];
        if self.is_categorized {
            fields.push(Field::new("labelTypes", Column::Json(Cells::new(types))));
        }
        fields.push(Field::new("id", Column::Text(Cells::new(ids))));
        let meta = FrameMeta {
            executed_query: Some(query.executed_logs()),
            preferred_visualisation: Some("logs"),
            custom: Some(json!({ "frameType": "LabeledTimeValues" })),
            ..FrameMeta::default()
        };
        Frame { name: String::new(), meta: Some(Box::new(meta)), fields }
    }
}

/// The ids of lines: a line has the same id in every response, and the ids in one response are unique.
fn ids(lines: &[Line]) -> Vec<String> {
    let mut seen: HashMap<(i64, u64), u32> = HashMap::with_capacity(lines.len());
    let id = |line: &Line| {
        let hash = [&line.labels, "\0", &line.text].iter().fold(FNV_OFFSET, |hash, text| fnv(hash, text));
        let count = seen.entry((line.time, hash)).or_default();
        *count += 1;
        match *count {
            1 => format!("{}_{hash:x}", line.time),
            count => format!("{}_{hash:x}_{}", line.time, count - 1),
        }
    };
    lines.iter().map(id).collect()
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a, which is the same on every server and in every version.
fn fnv(hash: u64, text: &str) -> u64 {
    text.bytes().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}
