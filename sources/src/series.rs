//! Series in the JSON of the API of Prometheus, which Loki also uses, as frames.

mod histogram;

use kymograph_domain::source::frame::{Cells, Column, Field, FieldConfig, Frame, FrameMeta, Labels};
use serde_json::json;

use crate::json::{Json, Read};
use histogram::Histograms;

/// The bytes counted for a series in addition to its texts and points.
pub(crate) const SERIES: usize = 1_024;

/// The names and metadata of the frames of series.
pub(crate) struct Naming<'n> {
    /// The name of a series; empty if the client chooses one.
    pub(crate) name: &'n dyn Fn(&Labels) -> String,
    /// The expression of the query.
    pub(crate) expression: &'n str,
    /// The time between points.
    pub(crate) step_ms: i64,
    /// The kind of the frames.
    pub(crate) kind: &'static str,
}

/// The metadata of a frame with a type of result.
pub(crate) fn meta(result_type: &str, kind: &'static str) -> FrameMeta {
    let custom = (!result_type.is_empty()).then(|| json!({ "resultType": result_type }));
    FrameMeta { kind: Some(kind), kind_version: [0, 1], custom, ..FrameMeta::default() }
}

/// Parses the result of a type: `matrix`, `vector`, `scalar` or `string`.
pub(crate) fn read(json: &mut Json<'_>, result_type: &str, naming: &Naming<'_>) -> Read<Vec<Frame>> {
    let mut frames = Vec::new();
    match result_type {
        "matrix" | "vector" => {
            let mut points = 0;
            json.list(|json| {
                json.spend(SERIES)?;
                let series = Series::read(json, points)?;
                points = series.values.len();
                series.push_frames(json, &mut frames, result_type, naming)
            })?;
        }
        "scalar" => {
            let mut series = Series::default();
            series.read_sample(json)?;
            series.push_frames(json, &mut frames, result_type, naming)?;
        }
        "string" => {
            json.expect(b'[')?;
            let time = json.seconds()?;
            json.expect(b',')?;
            let text = json.string()?.into_owned();
            json.expect(b']')?;
            let fields = vec![
                Field::new("Time", Column::Time(Cells::new(vec![time]))),
                Field::new("Value", Column::Text(Cells::new(vec![text]))),
            ];
            let meta = Some(Box::new(meta(result_type, naming.kind)));
            frames.push(Frame { name: naming.expression.to_owned(), meta, fields });
        }
        _ => return json.malformed(),
    }
    Ok(frames)
}

/// A series that is being parsed.
#[derive(Default)]
struct Series {
    labels: Labels,
    times: Vec<i64>,
    values: Vec<f64>,
    histograms: Histograms,
}

impl Series {
    /// Parses a series, which probably has as many points as the one before.
    fn read(json: &mut Json<'_>, points: usize) -> Read<Self> {
        let mut series =
            Self { times: Vec::with_capacity(points), values: Vec::with_capacity(points), ..Self::default() };
        json.object(|json, name| match name {
            "metric" => {
                series.labels = json.labels()?;
                Ok(())
            }
            "values" => json.list(|json| series.read_sample(json)),
            "value" => series.read_sample(json),
            "histograms" => json.list(|json| series.histograms.read(json)),
            "histogram" => series.histograms.read(json),
            _ => json.skip(),
        })?;
        Ok(series)
    }

    #[inline]
    fn read_sample(&mut self, json: &mut Json<'_>) -> Read<()> {
        let (time, value) = json.sample()?;
        self.times.push(time);
        self.values.push(value);
        Ok(())
    }

    /// Adds a frame of the points, and another one of the histograms.
    fn push_frames(
        mut self,
        json: &mut Json<'_>,
        frames: &mut Vec<Frame>,
        result_type: &str,
        naming: &Naming<'_>,
    ) -> Read<()> {
        let name = (naming.name)(&self.labels);
        json.spend(name.len() * 2)?;
        if !self.histograms.is_empty() {
            let labels = self.labels.clone();
            frames.push(self.histograms.into_frame(name.clone(), labels, result_type));
            if self.values.is_empty() {
                return Ok(());
            }
        }
        // Unused capacity would be kept as long as the frame.
        self.times.shrink_to_fit();
        self.values.shrink_to_fit();
        let mut times = Field::new("Time", Column::Time(Cells::new(self.times)));
        times.config = Some(Box::new(FieldConfig {
            #[expect(clippy::cast_precision_loss, reason = "a step is far below 2^52")]
            interval_ms: Some(naming.step_ms as f64),
            ..FieldConfig::default()
        }));
        let mut values = Field::new("Value", Column::Float64(Cells::new(self.values)));
        values.labels = Some(self.labels);
        if !name.is_empty() {
            let display_name_from_ds = Some(name.clone());
            values.config = Some(Box::new(FieldConfig { display_name_from_ds, ..FieldConfig::default() }));
        }
        let fields = vec![times, values];
        frames.push(Frame { name, meta: Some(Box::new(meta(result_type, naming.kind))), fields });
        Ok(())
    }
}
