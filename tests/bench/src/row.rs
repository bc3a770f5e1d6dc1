//! The rows of the table: measurements with their required values.

mod annotation;
mod append;
mod audit;
mod import;
mod long_history;
mod math;
mod member;
mod neighbour;
mod portal;
mod process;
mod read;
mod rebuild;
mod save;
mod search;
mod source;
mod source_postgres;
mod stored;

use std::pin::Pin;

use crate::bench::Bench;
use crate::error::Result;
use crate::slice::Slice;

/// The measurement of a row.
pub(crate) struct Reading {
    /// The value that is compared with the floor and the goal.
    pub(crate) value: f64,
    /// The measurements of our side.
    pub(crate) ours: Option<Slice>,
    /// The measurements of the side that it is compared with.
    pub(crate) theirs: Option<Slice>,
}

impl Reading {
    /// A value without a comparison.
    pub(crate) fn alone(value: f64) -> Self {
        Self { value, ours: None, theirs: None }
    }

    /// The same as time per operation instead of operations per time.
    fn into_time(self) -> Self {
        Self { value: 1.0 / self.value, ..self }
    }
}

/// The side of its floor on which a value must be.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// The floor or more.
    AtLeast,
    /// The floor or less.
    AtMost,
}

type Measurement<'a> = Pin<Box<dyn Future<Output = Result<Reading>> + 'a>>;

/// One row of the table.
pub(crate) struct Row {
    /// Its name, which `--row` takes.
    pub(crate) name: &'static str,
    /// The unit of the value.
    pub(crate) unit: &'static str,
    /// The side of the floor on which it must be.
    pub(crate) bound: Bound,
    /// The value that it must reach.
    pub(crate) floor: f64,
    /// The value that we aim for.
    pub(crate) goal: f64,
    /// Measures it.
    pub(crate) measure: for<'a> fn(&'a Bench) -> Measurement<'a>,
}

macro_rules! rows {
    ($($name:literal $bound:ident $floor:literal $goal:literal $unit:literal = $measure:path;)+) => {
        /// All rows, in the order in which they are measured.
        pub(crate) const ROWS: &[Row] = &[$(Row {
            name: $name,
            unit: $unit,
            bound: Bound::$bound,
            floor: $floor,
            goal: $goal,
            measure: |bench| Box::pin($measure(bench, $name)),
        }),+];
    };
}

rows! {
    // Reads of a dashboard per second, against a handler that only sends the same bytes.
    "get-session" AtLeast 0.5 0.8 "x" = read::with_session;
    "get-basic" AtLeast 0.5 0.8 "x" = read::with_basic;
    // Saves of a dashboard per second, against pgbench with the same statements.
    "save-100-orgs" AtLeast 0.6 0.9 "x" = save::in_many_orgs;
    // The same in one org, against the same in 100 orgs.
    "save-one-org" AtLeast 0.5 1.0 "x" = save::in_one_org;
    // Saves of one dashboard per second by 16 clients that overwrite each other's changes, against one client.
    "save-hot" AtLeast 1.0 2.0 "x" = save::of_one_dashboard;
    // Commits of three events with one view per second, against postgres-es.
    "append-vs-postgres-es" AtLeast 2.0 5.0 "x" = append::against_postgres_es;
    // The time of a save after 10,000 others, against the second save of a dashboard.
    "save-version-10001" AtMost 1.15 1.05 "x" = long_history::save;
    // The time of a rebuild of a projection over 1,000,000 events, against `COPY` of the same events.
    "rebuild-projection" AtMost 4.0 2.0 "x" = rebuild::dashboards;
    // An import of 1,000,000 events: its time; its time against `COPY` of them into a bare table with the same indexes;
    // and the longest time that another writer to the same org waits meanwhile.
    "import-1m" AtMost 180.0 90.0 "s" = import::time;
    "import-vs-copy" AtMost 12.0 5.0 "x" = import::against_copy;
    "import-writer-wait" AtMost 5.0 2.0 "s" = import::wait_of_writers;
    // The time of a save and of a read with 1,000,000 dashboards stored, against 1,000.
    "save-1m" AtMost 1.15 1.05 "x" = stored::save;
    "get-1m" AtMost 1.15 1.05 "x" = stored::get;
    // The time of a search by the words of titles among 100,000 dashboards, against the statement alone.
    "search-100k" AtMost 1.5 1.2 "x" = search::by_words;
    // The time of a page of annotations by time and tag out of 1,000,000, against the statement alone.
    "annotations-1m" AtMost 2.0 1.2 "x" = annotation::page;
    // The slowest 99th percentile of the requests of a member who may see a fifth of 54,300 folders and 585,000
    // dashboards, and of an admin; the median of the member against that of the admin; and the requests right after a
    // change of a permission.
    "member-p99" AtMost 250.0 50.0 "ms" = member::latency;
    "member-vs-admin" AtMost 5.0 2.0 "x" = member::against_admin;
    "member-admin-p99" AtMost 100.0 50.0 "ms" = member::admin_latency;
    "member-after-change" AtMost 250.0 50.0 "ms" = member::after_change;
    // The time of a page of the audit log by actor and action, with 10,000,000 events against 100,000.
    "audit-page-10m" AtMost 2.0 1.2 "x" = audit::page;
    // The time of an export of 1,000,000 entries, against copying the same rows out.
    "audit-export-1m" AtMost 2.0 1.3 "x" = audit::export;
    // The processor time of a query to Prometheus for 200 series of 1,000 points, against that of the proxy for the
    // same response; its median time with 16 clients, against that of the proxy; and the number of requests to the
    // source for 32 concurrent equal queries.
    "ds-query-cpu" AtMost 2.0 1.3 "x" = source::query_cpu;
    "ds-query-time" AtMost 1.5 1.2 "x" = source::query_time;
    "ds-query-same" AtMost 2.0 1.0 "requests" = source::of_the_same_query;
    // The additional memory of the server while it forwards a response of 100 MiB.
    "ds-proxy-memory" AtMost 16.0 4.0 "MB" = source::memory_of_proxy;
    // The 99th percentile of the queries of 50 orgs to nine sources each, while a tenth source of each never responds,
    // against without.
    "ds-dead-source" AtMost 1.5 1.1 "x" = source::beside_a_dead_one;
    // The processor time of a formula over two sets of 1,000 series with 500 points, against a plain loop over arrays.
    "math-1000-series" AtMost 2.0 1.2 "x" = math::over_two_sets;
    // The processor time of a PostgreSQL table of 100,000 rows as frames, against `COPY` of them.
    "source-postgres-frames" AtMost 3.0 1.5 "x" = source_postgres::frames;
    // Saves per second with metrics, against without.
    "save-with-metrics" AtLeast 0.95 0.98 "x" = save::with_metrics;
    // The bytes that the browser fetches until the portal's overview is usable.
    "portal-first-load" AtMost 500.0 300.0 "KB" = portal::first_load;
    // The time until then, with a cold cache.
    "portal-overview" AtMost 2.0 1.0 "s" = portal::overview;
    // The longest frame while 10,000 rows of a log of 1,000,000 entries are scrolled through.
    "portal-audit-scroll" AtMost 100.0 50.0 "ms" = portal::audit_scroll;
    // The time from a key press to its result among 100,000 dashboards.
    "portal-dashboard-search" AtMost 300.0 100.0 "ms" = portal::dashboard_search;
    // The 99th percentile of another org's requests while one org causes the maximum load, against without.
    "noisy-neighbour" AtMost 5.0 2.0 "x" = neighbour::latency;
    // The peak resident memory of the server meanwhile, without PostgreSQL.
    "noisy-neighbour-memory" AtMost 300.0 200.0 "MB" = neighbour::memory;
    // Resident memory of an idle server, without PostgreSQL.
    "idle-memory" AtMost 60.0 40.0 "MB" = process::idle_memory;
    // The time from the start of the program to the first request that finds it ready.
    "start" AtMost 1.0 0.5 "s" = process::start;
}
