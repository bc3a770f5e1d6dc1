//! The metrics of calls of data sources, under Grafana's names. They have no labels of tenants or data sources, of which there can
//! be any number.

use kymograph_app::source::observer::{CallKind, CallObserver, ObservedCall};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

/// The upper bounds of the durations, in seconds.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The metrics of calls of data sources.
pub struct SourceMetrics {
    running: IntGauge,
    calls: IntCounterVec,
    seconds: HistogramVec,
}

impl SourceMetrics {
    /// Metrics in a registry.
    pub fn try_new(registry: &Registry) -> prometheus::Result<Self> {
        let running =
            IntGauge::new("grafana_datasource_request_in_flight", "Running calls of data sources.")?;
        let opts = Opts::new("grafana_datasource_request_total", "Calls of data sources.");
        let calls = IntCounterVec::new(opts, &["datasource_type", "endpoint", "code"])?;
        let name = "grafana_datasource_request_duration_seconds";
        let opts =
            HistogramOpts::new(name, "Duration of the calls of data sources.").buckets(SECONDS.to_vec());
        let seconds = HistogramVec::new(opts, &["datasource_type", "endpoint"])?;
        registry.register(Box::new(running.clone()))?;
        registry.register(Box::new(calls.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { running, calls, seconds })
    }
}

impl CallObserver for SourceMetrics {
    fn started(&self) {
        self.running.inc();
    }

    fn finished(&self, call: ObservedCall) {
        self.running.dec();
        let ObservedCall { source_type, kind, status, duration } = call;
        let endpoint = match kind {
            CallKind::Query => "query",
            CallKind::Health => "health",
            CallKind::Resource => "resource",
            CallKind::Proxy => "proxy",
        };
        // A source can respond with any number, of which each would be a series for ever.
        let code = match status {
            100..600 => status.to_string(),
            _ => "other".to_owned(),
        };
        self.calls.with_label_values(&[source_type, endpoint, &code]).inc();
        self.seconds.with_label_values(&[source_type, endpoint]).observe(duration.as_secs_f64());
    }
}
