//! The limits on requests to sources and on their responses.

use kymograph_domain::limit::{Amount, Limit};
use kymograph_domain::source::time_range;

use crate::{backend, client, interval, loki, policy, postgres, prometheus, series, sql, template, testdata};

/// The limits on requests to sources and on their responses.
pub const LIMITS: &[Limit] = &[
    Limit {
        what: "Expression of a query",
        at: "Prometheus and Loki",
        most: Amount::Bytes(backend::MAX_EXPRESSION),
        answer: "The query is 400",
    },
    Limit {
        what: "Points of a series that are asked for",
        at: "Prometheus and Loki",
        most: Amount::Count(interval::MAX_POINTS.unsigned_abs()),
        answer: "The time between them is longer",
    },
    Limit {
        what: "Lines that are asked for",
        at: "Loki",
        most: Amount::Count(loki::MAX_LINES.unsigned_abs()),
        answer: "So many",
    },
    Limit {
        what: "Queries of a request that a source is asked at a time",
        at: "Prometheus and Loki",
        most: Amount::Count(backend::CONCURRENCY as u64),
        answer: "The others wait",
    },
    Limit {
        what: "Bytes that a series counts for, beside its labels and points",
        at: "The bytes that a source may answer with",
        most: Amount::Bytes(series::SERIES),
        answer: "The query is 502",
    },
    Limit {
        what: "Format of a legend",
        at: "Prometheus and Loki",
        most: Amount::Bytes(template::MAX_LEGEND),
        answer: "The query is 400",
    },
    Limit {
        what: "Name that a legend gives to a series",
        at: "Prometheus and Loki",
        most: Amount::Bytes(template::MAX_LEGEND),
        answer: "It ends there",
    },
    Limit {
        what: "Warnings of an answer",
        at: "Prometheus",
        most: Amount::Count(prometheus::MAX_NOTICES as u64),
        answer: "The others are left out",
    },
    Limit {
        what: "Time-out that a data source may have",
        at: "`jsonData.timeout`",
        most: Amount::Time(client::MAX_TIMEOUT),
        answer: "This time-out",
    },
    Limit {
        what: "Time of an answer that is passed on",
        at: "The proxy and the resources of data sources",
        most: Amount::Time(client::LIFETIME),
        answer: "It breaks off",
    },
    Limit {
        what: "Memory of the clients of data sources, each of 32 KiB and more",
        at: "A server",
        most: Amount::Bytes(client::MAX_CLIENT_BYTES),
        answer: "Those that were not used for the longest time connect again",
    },
    Limit {
        what: "Names that are looked up at a time",
        at: "A server",
        most: Amount::Count(policy::LOOKUPS as u64),
        answer: "The others wait, then 504",
    },
    Limit {
        what: "Text of a time",
        at: "`from` and `to` of a query",
        most: Amount::Bytes(time_range::MAX_TIME_BYTES),
        answer: "400",
    },
    Limit {
        what: "Steps of date math",
        at: "`from` and `to` of a query",
        most: Amount::Count(time_range::MAX_STEPS as u64),
        answer: "400",
    },
    Limit {
        what: "Statement, before and after its macros are replaced",
        at: "A query of PostgreSQL",
        most: Amount::Bytes(sql::MAX_SQL_BYTES),
        answer: "400 for the query",
    },
    Limit {
        what: "Macros inside of each other",
        at: "A query of PostgreSQL",
        most: Amount::Count(sql::MAX_MACRO_DEPTH as u64),
        answer: "400 for the query",
    },
    Limit {
        what: "Columns",
        at: "A query of PostgreSQL",
        most: Amount::Count(postgres::MAX_COLUMNS as u64),
        answer: "502 for the query",
    },
    Limit {
        what: "Time of a statement",
        at: "A query of PostgreSQL",
        most: Amount::Time(postgres::QUERY_TIMEOUT),
        answer: "504 for the query",
    },
    Limit {
        what: "Time to connect and log in",
        at: "A PostgreSQL",
        most: Amount::Time(postgres::CONNECT_TIMEOUT),
        answer: "502 for the query",
    },
    Limit {
        what: "Connections",
        at: "A PostgreSQL, or `maxOpenConns` of it",
        most: Amount::Count(postgres::MAX_CONNECTIONS as u64),
        answer: "Others wait",
    },
    Limit {
        what: "Connections",
        at: "All PostgreSQL sources",
        most: Amount::Count(postgres::MAX_CONNECTIONS_OF_ALL as u64),
        answer: "503 for the query",
    },
    Limit {
        what: "Connections",
        at: "All PostgreSQL sources of an org",
        most: Amount::Count(postgres::MAX_CONNECTIONS_OF_ORG as u64),
        answer: "503 for the query",
    },
    Limit {
        what: "Time to wait for a connection",
        at: "A PostgreSQL",
        most: Amount::Time(postgres::WAIT_FOR_CONNECTION),
        answer: "503 for the query",
    },
    Limit {
        what: "Time without a query for which a connection is kept",
        at: "A PostgreSQL",
        most: Amount::Time(postgres::IDLE_TIME),
        answer: "It is closed",
    },
    Limit {
        what: "Memory of the pools of PostgreSQL sources, each of 32 KiB and more",
        at: "A server",
        most: Amount::Bytes(postgres::MAX_POOL_BYTES),
        answer: "The connections of others are closed",
    },
    Limit {
        what: "Times that a password is hashed for a log-in",
        at: "A PostgreSQL",
        most: Amount::Count(postgres::MAX_SCRAM_ITERATIONS as u64),
        answer: "502 for the query",
    },
    Limit {
        what: "Points of a series",
        at: "A query of test data",
        most: Amount::Count(testdata::MAX_POINTS as u64),
        answer: "Fewer points",
    },
    Limit {
        what: "Points of all series, and cells of a table",
        at: "A query of test data",
        most: Amount::Count(testdata::MAX_POINTS_OF_QUERY as u64),
        answer: "400 for the query",
    },
    Limit {
        what: "Series, and waves",
        at: "A query of test data",
        most: Amount::Count(testdata::MAX_SERIES as u64),
        answer: "400 for the query",
    },
    Limit {
        what: "Lines of a log",
        at: "A query of test data",
        most: Amount::Count(testdata::MAX_LINES as u64),
        answer: "400 for the query",
    },
    Limit {
        what: "CSV",
        at: "A query of test data",
        most: Amount::Bytes(testdata::MAX_CSV_BYTES),
        answer: "400 for the query",
    },
    Limit {
        what: "Time of a slow query",
        at: "A query of test data",
        most: Amount::Time(testdata::MAX_DELAY),
        answer: "400 for the query",
    },
];
