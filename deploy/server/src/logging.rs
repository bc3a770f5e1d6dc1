//! Log lines on standard error.

use std::io::{self, IsTerminal};

use opentelemetry_otlp::ExporterBuildError;
use tracing::Subscriber;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Registry, fmt};

use crate::config::{LogConfig, LogFormat, TracingConfig};
use crate::trace::Traces;

/// Errors of setting up logging.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is invalid.
    #[error("[log] level is not a valid filter")]
    Filter(#[from] ParseError),
    /// The process has a logger already.
    #[error("logging is set up already")]
    Again(#[from] TryInitError),
    /// The exporter of traces cannot be set up.
    #[error("traces cannot be exported to the configured collector: {0}")]
    Collector(#[from] ExporterBuildError),
}

/// Logs to standard error, and exports traces to a collector.
pub fn init(log: &LogConfig, tracing: &TracingConfig) -> Result<Traces, LoggingError> {
    let traces = Traces::try_new(tracing)?;
    let subscriber = subscriber(log, io::stderr().is_terminal(), io::stderr)?;
    match traces.layer() {
        Some(layer) => subscriber.with(layer).try_init()?,
        None => subscriber.try_init()?,
    }
    Ok(traces)
}

/// The formatter. With JSON, a line has the fields of the event next to its level, and in `spans` the fields of all
/// spans around it, outermost first: events in a `request` span have its request id, org and actor.
fn subscriber<W>(
    log: &LogConfig,
    in_terminal: bool,
    writer: W,
) -> Result<impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync + 'static, ParseError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&log.filter)?;
    let layer = fmt::layer().with_writer(writer).with_ansi(in_terminal);
    let as_text = match log.format {
        LogFormat::Auto => in_terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let layer: Box<dyn Layer<Registry> + Send + Sync> = if as_text {
        layer.boxed()
    } else {
        // The current span is the last of the list, so repeating it would only lengthen the line.
        layer.json().flatten_event(true).with_current_span(false).with_span_list(true).boxed()
    };
    Ok(tracing_subscriber::registry().with(layer.with_filter(filter)))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::subscriber;
    use crate::config::{LogConfig, LogFormat};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The log lines of a request.
    fn written(filter: &str, format: LogFormat, in_terminal: bool) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = LogConfig { filter: filter.to_owned(), format };
        let subscriber = subscriber(&log, in_terminal, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let request = tracing::info_span!("request", id = "r1", org = 7, actor = tracing::field::Empty);
            let _request = request.enter();
            request.record("actor", "user:1");
            let _inner = tracing::info_span!("commit", stream = "dashboard").entered();
            tracing::info!(version = 3, "saved\nindeed");
            tracing::debug!("detail");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_carry_the_request() {
        let text = written("info", LogFormat::Auto, false);
        assert_eq!(text.lines().count(), 1);
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["level"], &line["message"]), (&"INFO".into(), &"saved\nindeed".into()));
        assert_eq!(line["version"], 3);
        let request = &line["spans"][0];
        assert_eq!((&request["name"], &request["id"]), (&"request".into(), &"r1".into()));
        assert_eq!((&request["org"], &request["actor"]), (&7.into(), &"user:1".into()));
        assert_eq!(line["spans"][1]["stream"], "dashboard");
    }

    #[test]
    fn text_is_for_terminals_or_on_request() {
        let terminal = written("info", LogFormat::Auto, true);
        assert!(terminal.contains('\u{1b}') && terminal.contains("saved"), "{terminal}");
        let file = written("info", LogFormat::Text, false);
        assert!(!file.contains('\u{1b}') && file.contains("request{id=\"r1\" org=7"), "{file}");
        assert!(written("info", LogFormat::Json, true).starts_with('{'));
    }

    #[test]
    fn the_filter_decides_what_is_written() {
        assert_eq!(written("debug", LogFormat::Json, false).lines().count(), 2);
        assert_eq!(written("off", LogFormat::Json, false), "");
        assert_eq!(written("warn,tokio_postgres=debug", LogFormat::Json, false), "");
        // The name of the program stands for all its crates.
        assert_eq!(written("warn,kymograph=debug", LogFormat::Json, false).lines().count(), 2);
    }
}
