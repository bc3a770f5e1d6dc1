//! Native histograms as cells of a heatmap: one row for each bucket at each point in time.

use kymograph_domain::source::frame::{Cells, Column, Field, Frame, FrameMeta, Labels};
use serde_json::json;

use crate::json::{Json, Read};

/// The bytes of a bucket in columns; its text can be shorter.
const BUCKET: usize = 40;

/// Buckets in columns.
#[derive(Default)]
pub(super) struct Histograms {
    times: Vec<i64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    counts: Vec<f64>,
    layouts: Vec<i16>,
}

impl Histograms {
    pub(super) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Parses a time and its histogram.
    pub(super) fn read(&mut self, json: &mut Json<'_>) -> Read<()> {
        json.expect(b'[')?;
        let time = json.seconds()?;
        json.expect(b',')?;
        json.object(|json, name| match name {
            "buckets" => json.list(|json| self.read_bucket(json, time)),
            _ => json.skip(),
        })?;
        json.expect(b']')
    }

    /// Parses a bucket: which of its bounds are inclusive, its bounds, and its number of observations.
    fn read_bucket(&mut self, json: &mut Json<'_>, time: i64) -> Read<()> {
        json.spend(BUCKET)?;
        json.expect(b'[')?;
        let at = json.position();
        let layout = match json.float()? {
            0.0 => 0,
            1.0 => 1,
            2.0 => 2,
            3.0 => 3,
            _ => {
                json.rewind(at);
                return json.malformed();
            }
        };
        json.expect(b',')?;
        let lower = json.quoted_float()?;
        json.expect(b',')?;
        let upper = json.quoted_float()?;
        json.expect(b',')?;
        let count = json.quoted_float()?;
        json.expect(b']')?;
        self.times.push(time);
        self.lower.push(lower);
        self.upper.push(upper);
        self.counts.push(count);
        self.layouts.push(layout);
        Ok(())
    }

    /// The frame for a heatmap.
    pub(super) fn into_frame(self, name: String, labels: Labels, result_type: &str) -> Frame {
        let mut counts = Field::new("count", Column::Float64(Cells::new(self.counts)));
        counts.labels = Some(labels);
        let fields = vec![
            Field::new("xMax", Column::Time(Cells::new(self.times))),
            Field::new("yMin", Column::Float64(Cells::new(self.lower))),
            Field::new("yMax", Column::Float64(Cells::new(self.upper))),
            counts,
            Field::new("yLayout", Column::Int16(Cells::new(self.layouts))),
        ];
        let custom = Some(json!({ "resultType": result_type }));
        let meta = FrameMeta { kind: Some("heatmap-cells"), custom, ..FrameMeta::default() };
        Frame { name, meta: Some(Box::new(meta)), fields }
    }
}
