//! Data sources, and correlations between them.

use std::sync::Arc;

use kymograph_app::kernel::ending::{EndingListener, Endings};
use kymograph_app::rights::resource_permission::GuardedKind;
use kymograph_app::source::SourceServices;
use kymograph_app::source::backend::Backend;
use kymograph_app::source::correlation::{CorrelationEndings, Correlations};
use kymograph_app::source::data_source::{DataSources, GuardedDataSources};
use kymograph_app::source::query::{Backends, Queries, QueryAudit, QueryPorts};
use kymograph_app::{Commands, Error, Result, Workers};
use kymograph_infra::source_metrics::SourceMetrics;
use kymograph_projections::source::correlation::PgCorrelationReader;
use kymograph_projections::source::data_source::PgDataSourceReader;
use kymograph_sources::alertmanager::AlertmanagerBackend;
use kymograph_sources::client::HttpClients;
use kymograph_sources::loki::LokiBackend;
use kymograph_sources::policy::Egress;
use kymograph_sources::postgres::{self, PostgresBackend};
use kymograph_sources::prometheus::PrometheusBackend;
use kymograph_sources::proxy::HttpProxy;
use kymograph_sources::testdata::{self, TestDataBackend};

use super::kernel::Kernel;
use super::rights::RightsReaders;

/// The readers of data sources and correlations.
pub(super) struct SourceReaders {
    correlations: Arc<PgCorrelationReader>,
    data_sources: Arc<PgDataSourceReader>,
}

impl SourceReaders {
    pub(super) fn new(kernel: &Kernel<'_>) -> Self {
        let data_sources = PgDataSourceReader::new(kernel.database.clone(), kernel.secrets.clone());
        let correlations = PgCorrelationReader::new(kernel.database.clone());
        Self { correlations: Arc::new(correlations), data_sources: Arc::new(data_sources) }
    }

    pub(super) fn endings(&self) -> Vec<Arc<dyn EndingListener>> {
        vec![Arc::new(CorrelationEndings::new(self.correlations.clone()))]
    }

    /// The kinds of objects with access-control lists.
    pub(super) fn guarded(&self) -> Vec<Arc<dyn GuardedKind>> {
        vec![Arc::new(GuardedDataSources::new(self.data_sources.clone()))]
    }

    pub(super) fn services(
        &self,
        kernel: &Kernel<'_>,
        commands: &Commands,
        rights: &RightsReaders,
        endings: Endings,
        audit: QueryAudit,
    ) -> Result<SourceServices> {
        let data_sources = Arc::new(DataSources::new(
            commands.clone(),
            self.data_sources.clone(),
            rights.authorization.clone(),
            kernel.ids.clone(),
            endings,
        ));
        let correlations =
            Correlations::new(commands.clone(), self.correlations.clone(), data_sources.clone());
        let metrics = SourceMetrics::try_new(&kernel.registry).map_err(Error::internal)?;
        let settings = &kernel.config.data_proxy;
        let egress = Egress::new(settings.egress.clone());
        let clients = Arc::new(HttpClients::new(egress.clone(), settings.client.clone()));
        let ports = QueryPorts {
            data_sources: data_sources.clone(),
            reader: self.data_sources.clone(),
            backends: backends(&clients, egress, kernel.workers.clone(), settings.row_limit),
            proxy: Arc::new(HttpProxy::new(clients)),
            workers: kernel.workers.clone(),
            clock: kernel.clock.clone(),
            max_bytes: settings.max_answer_bytes(),
            tells_user: settings.client.sends_user,
            audit,
            observer: Arc::new(metrics),
        };
        Ok(SourceServices {
            correlations: Arc::new(correlations),
            data_sources,
            queries: Arc::new(Queries::new(ports)),
        })
    }
}

fn backends(clients: &Arc<HttpClients>, egress: Egress, workers: Workers, max_rows: usize) -> Backends {
    let prometheus: Arc<dyn Backend> = Arc::new(PrometheusBackend::new(clients.clone(), workers.clone()));
    let loki: Arc<dyn Backend> = Arc::new(LokiBackend::new(clients.clone(), workers.clone()));
    let alertmanager: Arc<dyn Backend> = Arc::new(AlertmanagerBackend::new(clients.clone()));
    let test_data: Arc<dyn Backend> = Arc::new(TestDataBackend::new(workers.clone()));
    let postgres: Arc<dyn Backend> = Arc::new(PostgresBackend::new(egress, workers).with_max_rows(max_rows));
    Backends::default()
        .with(&["prometheus"], &prometheus)
        .with(&["loki"], &loki)
        .with(&["alertmanager"], &alertmanager)
        .with(&postgres::TYPES, &postgres)
        .with(&testdata::TYPES, &test_data)
}
