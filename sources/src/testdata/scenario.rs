//! The scenarios of test data.

use std::time::Duration;

use kymograph_app::kernel::work::Workers;
use kymograph_app::source::backend::{ErrorOrigin, Query, QueryError, QueryResult, SourceContext};
use kymograph_domain::source::frame::Frame;

use super::model::{self, text};
use super::{csv, logs, predictable, streaming, walk};
use crate::interval;
use crate::parse::Parsed;

/// The maximum delay of a slow query.
pub const MAX_DELAY: Duration = Duration::from_secs(30);
const DEFAULT_DELAY: Duration = Duration::from_secs(5);

/// A scenario.
pub(super) struct Scenario {
    /// The id in queries.
    pub(super) id: &'static str,
    /// The name for people.
    pub(super) name: &'static str,
    /// The default `stringInput` of an editor.
    pub(super) input: &'static str,
    answer: Answer,
}

#[derive(Clone, Copy)]
enum Answer {
    Frames(fn(&Query) -> Result<Vec<Frame>, String>),
    Slow,
    Failure,
}

/// All scenarios; a query without an id gets the first.
pub(super) const SCENARIOS: &[Scenario] = &[
    of("random_walk", "Random walk", Answer::Frames(walk::random_walk)),
    of("predictable_pulse", "Predictable pulse", Answer::Frames(predictable::pulse)),
    of("predictable_csv_wave", "Predictable CSV wave", Answer::Frames(predictable::csv_wave)),
    Scenario {
        input: "1,20,90,30,5,0",
        ..of("csv_metric_values", "CSV values", Answer::Frames(predictable::listed))
    },
    of("csv_content", "CSV content", Answer::Frames(csv::content)),
    of("csv_file", "CSV file", Answer::Frames(csv::file)),
    of("no_data_points", "No points", Answer::Frames(|_| Ok(Vec::new()))),
    of("datapoints_outside_range", "Points outside of the range", Answer::Frames(predictable::outside)),
    of("server_error_500", "Server error (500)", Answer::Failure),
    Scenario { input: "5s", ..of("slow_query", "Slow query", Answer::Slow) },
    of("logs", "Logs", Answer::Frames(logs::logs)),
    of("random_walk_table", "Random walk as a table", Answer::Frames(walk::table)),
    of("table", "Table", Answer::Frames(walk::table)),
    of("streaming_client", "Streaming client", Answer::Frames(streaming::streaming)),
];

const fn of(id: &'static str, name: &'static str, answer: Answer) -> Scenario {
    Scenario { id, name, input: "", answer }
}

/// Answers a query. The size of the frames is known only after they are generated, so only one turn of the org
/// generates frames before they are counted.
pub(super) async fn answer(workers: &Workers, context: &SourceContext, query: &Query) -> QueryResult {
    let wanted = text(&query.model, "scenarioId");
    let scenario = SCENARIOS.iter().find(|known| wanted.is_empty() || known.id == wanted);
    let Some(scenario) = scenario else {
        let shown: String = wanted.chars().take(64).collect();
        return Err(QueryError::invalid(format!("there is no scenario {shown}")));
    };
    let make = match scenario.answer {
        Answer::Frames(make) => make,
        Answer::Slow => {
            tokio::time::sleep(delay(text(&query.model, "stringInput")).map_err(QueryError::invalid)?).await;
            walk::random_walk
        }
        Answer::Failure => {
            let message = "this scenario always fails".to_owned();
            return Err(QueryError { message, status: 500, origin: ErrorOrigin::Plugin });
        }
    };
    let bytes = model::expected_bytes(query);
    let query = query.clone();
    let frames = workers.run(context.source.org, bytes, move || make(&query)).await?;
    let frames = frames.map_err(QueryError::invalid)?;
    context.share.take(frames.bytes()).await?;
    Ok(frames)
}

fn delay(input: &str) -> Result<Duration, String> {
    if input.trim().is_empty() {
        return Ok(DEFAULT_DELAY);
    }
    let delay =
        interval::parse(input).and_then(|length_ms| u64::try_from(length_ms).ok()).map(Duration::from_millis);
    delay
        .filter(|delay| *delay <= MAX_DELAY)
        .ok_or_else(|| format!("stringInput must be a time like 5s, and at most {MAX_DELAY:?}"))
}
