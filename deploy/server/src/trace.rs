//! Exports traces to a collector.

use std::time::Duration;

use kymograph_app::TRACE_TARGET;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::config::TracingConfig;

/// The timeout for exporting the last traces at the stop.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Batches spans, and exports them from a separate thread.
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Traces to the configured collector, if there is one. Called inside a runtime.
    pub(crate) fn try_new(config: &TracingConfig) -> Result<Self, ExporterBuildError> {
        let Some(url) = &config.collector else { return Ok(Self(None)) };
        global::set_text_map_propagator(TraceContextPropagator::new());
        let attributes =
            config.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let resource = Resource::builder()
            .with_service_name(config.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attributes(attributes)
            .build();
        // The sampling decision of a client is kept.
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sampled_part)));
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(sampler)
            .with_batch_exporter(SpanExporter::builder().with_http().with_endpoint(url).build()?)
            .build();
        Ok(Self(Some(provider)))
    }

    /// The layer that records spans, if a collector is configured.
    pub(crate) fn layer<S>(&self) -> Option<impl Layer<S> + Send + Sync + 'static>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let tracer = self.0.as_ref()?.tracer("kymograph");
        let ours = Targets::new().with_target(TRACE_TARGET, LevelFilter::TRACE);
        Some(tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_filter(ours))
    }

    /// Exports the remaining spans, and ends.
    pub async fn flush(self) {
        let Some(provider) = self.0 else { return };
        let flushed =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "could not export the last traces");
        }
    }
}
