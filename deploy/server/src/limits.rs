//! The subcommand `limits`.

use std::fmt::Write;

use kymograph_domain::limit::{Amount, Limit};
use kymograph_projections::kernel::database::share_of;

use crate::config::{Config, DataProxyConfig};
use crate::serve::connection::{MAX_SILENCE, MIN_SENT_BYTES_PER_SECOND, SMALL_BUFFER};
use crate::serve::connections::{MAX_ANSWER_BYTES, MAX_BUFFER_BYTES, MIN_TAKEN_BYTES, RESERVED_TIMEOUT};
use crate::serve::descriptors::MAX_CONNECTIONS;
use crate::serve::discard::MAX_BYTES_PER_SECOND;
use crate::serve::listener::{MAX_HEAD, MAX_HEADERS};
use crate::serve::table::RESERVED;

/// Prints the limits.
#[allow(clippy::print_stdout, reason = "the table is what the command is for")]
pub fn print(config: &Config) {
    print!("{}", document(config));
}

/// The limits of a server with this configuration, as Markdown.
#[must_use]
pub fn document(config: &Config) -> String {
    let mut settings = settings(config);
    settings.extend(settings_of_sources(&config.data_proxy));
    let sections: [(&str, &[&[Limit]]); 7] = [
        ("Settings", &[&settings]),
        ("Connections", &[CONNECTIONS]),
        ("Requests", &[kymograph_api::limit::LIMITS]),
        ("Work of a request", &[kymograph_app::limit::LIMITS, kymograph_app::source::limit::LIMITS]),
        ("Stored data", &kymograph_domain::limit::LIMITS),
        ("Shared resources", &[kymograph_infra::limit::LIMITS]),
        ("Data sources", &[kymograph_sources::limit::LIMITS]),
    ];
    let mut text = String::from(INTRODUCTION);
    for (title, limits) in sections {
        // Writing to a text cannot fail.
        let _ = write!(text, "\n## {title}\n\n| What | Where | At most | Beyond it |\n|---|---|---|---|\n");
        for Limit { what, at, most, answer } in limits.iter().copied().flatten() {
            let _ = writeln!(text, "| {what} | {at} | {most} | {answer} |");
        }
    }
    text
}

const INTRODUCTION: &str = "# Limits\n\n\
    `kymograph limits` prints this page for the settings of a server; these are the defaults. A test compares it with \
    the constants in\nthe code. Statuses are those of the response.\n";

const CONNECTIONS: &[Limit] = &[
    Limit {
        what: "Connections",
        at: "`[server] max_connections = 0`, if the limit of file descriptors allows it; half of them per address or IPv6 /64",
        most: Amount::Count(MAX_CONNECTIONS as u64),
        answer: "An idle one is closed, otherwise 503",
    },
    Limit {
        what: "Connections beyond the limit",
        at: "`/livez`, `/readyz`, `/healthz`, `/api/health` and `/metrics`",
        most: Amount::Count(RESERVED as u64),
        answer: "The connection is closed",
    },
    Limit {
        what: "Time to receive a request head",
        at: "A connection beyond the limit",
        most: Amount::Time(RESERVED_TIMEOUT),
        answer: "The connection is closed",
    },
    Limit { what: "Head of a request", at: "Every request", most: Amount::Bytes(MAX_HEAD), answer: "431" },
    Limit { what: "Headers", at: "Every request", most: Amount::Count(MAX_HEADERS as u64), answer: "431" },
    Limit {
        what: "Request buffer",
        at: "A connection",
        most: Amount::Bytes(SMALL_BUFFER),
        answer: "It counts as a large buffer",
    },
    Limit {
        what: "Bytes of rejected requests read and discarded per second",
        at: "A server; half of it per address or IPv6 /64",
        most: Amount::Bytes(MAX_BYTES_PER_SECOND),
        answer: "Their clients are throttled",
    },
    Limit {
        what: "Bytes of large buffers, for heads and for bodies above 64 KiB",
        at: "A server. Beyond half of it, connections with one are closed after the response",
        most: Amount::Bytes(MAX_BUFFER_BYTES),
        answer: "An idle connection is closed",
    },
    Limit {
        what: "Time without receiving a byte of a request body",
        at: "While connections are scarce",
        most: Amount::Time(MAX_SILENCE),
        answer: "The connection is closed",
    },
    Limit {
        what: "Minimum rate of sending a request body, per second",
        at: "At least this, while connections are scarce",
        most: Amount::Bytes(MIN_SENT_BYTES_PER_SECOND),
        answer: "The connection is closed",
    },
    Limit {
        what: "Unread bytes of responses of 64 KiB and more",
        at: "A server",
        most: Amount::Bytes(MAX_ANSWER_BYTES),
        answer: "A stalled connection of the client with the most of them is closed",
    },
    Limit {
        what: "Minimum rate of reading a response",
        at: "At least this within `[server] write_timeout`",
        most: Amount::Bytes(MIN_TAKEN_BYTES),
        answer: "The connection is closed",
    },
];

fn settings(config: &Config) -> Vec<Limit> {
    vec![
        Limit {
            what: "Request body",
            at: "`[server] max_body`",
            most: Amount::Bytes(config.server.max_body),
            answer: "413",
        },
        Limit {
            what: "Dashboard document, as stored or with its inputs filled in",
            at: "`[server] max_body`",
            most: Amount::Bytes(config.server.max_body),
            answer: "413",
        },
        Limit {
            what: "Duration of a request",
            at: "`[server] request_timeout`",
            most: Amount::Time(config.server.request_timeout),
            answer: "504",
        },
        Limit {
            what: "Time to receive a request head",
            at: "`[server] header_timeout`",
            most: Amount::Time(config.server.header_timeout),
            answer: "The connection is closed",
        },
        Limit {
            what: "Idle time between requests",
            at: "`[server] idle_timeout`",
            most: Amount::Time(config.server.idle_timeout),
            answer: "The connection is closed",
        },
        Limit {
            what: "Time for a client to read pending output",
            at: "`[server] write_timeout`",
            most: Amount::Time(config.server.write_timeout),
            answer: "The connection is closed",
        },
        Limit {
            what: "Concurrent reads of the database by an org",
            at: "A quarter of `[database] max_open_conn`",
            most: Amount::Count(share_of(config.database.readers()) as u64),
            answer: "Others wait, then 429",
        },
        Limit {
            what: "Concurrent commits on several orgs",
            at: "A quarter of `[database] max_open_conn`",
            most: Amount::Count(share_of(config.database.writers()) as u64),
            answer: "Others wait, then 429",
        },
        Limit {
            what: "Concurrent commits on several orgs, started by one org",
            at: "An eighth of `[database] max_open_conn`",
            most: Amount::Count(share_of(share_of(config.database.writers())) as u64),
            answer: "Others wait, then 429",
        },
    ]
}

fn settings_of_sources(config: &DataProxyConfig) -> Vec<Limit> {
    vec![
        Limit {
            what: "Duration of a response of a data source",
            at: "`[dataproxy] timeout`, unless the data source has its own",
            most: Amount::Time(config.client.timeout),
            answer: "The query is 504",
        },
        Limit {
            what: "Response of a data source to a query",
            at: "`[dataproxy] response_limit`, at most 16 MiB",
            most: Amount::Bytes(config.max_answer_bytes()),
            answer: "The query is 502",
        },
        Limit {
            what: "Rows of a response of PostgreSQL as a data source",
            at: "`[dataproxy] row_limit`",
            most: Amount::Count(config.row_limit as u64),
            answer: "The first ones, and a notice",
        },
    ]
}
