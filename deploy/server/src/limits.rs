//! The subcommand `limits`.

use std::fmt::Write;

use kymograph_domain::limit::{Amount, Limit};
use kymograph_projections::kernel::database::share_of;

use crate::config::Config;
use crate::serve::connection::{MAX_SILENCE, MIN_SENT_BYTES_PER_SECOND, SMALL_BUFFER};
use crate::serve::connections::{MAX_ANSWER_BYTES, MAX_BUFFER_BYTES, MIN_TAKEN_BYTES, RESERVED_TIMEOUT};
use crate::serve::descriptors::MAX_CONNECTIONS;
use crate::serve::discard::MAX_BYTES_PER_SECOND;
use crate::serve::listener::{MAX_HEAD, MAX_HEADERS};
use crate::serve::table::RESERVED;

/// Prints the bounds.
#[allow(clippy::print_stdout, reason = "the table is what the command is for")]
pub fn print(config: &Config) {
    print!("{}", document(config));
}

/// The bounds of a server with this configuration, as Markdown.
#[must_use]
pub fn document(config: &Config) -> String {
    let settings = settings(config);
    let sections: [(&str, &[&[Limit]]); 7] = [
        ("Settings", &[&settings]),
        ("Connections", &[CONNECTIONS]),
        ("Requests", &[kymograph_api::limit::LIMITS]),
        ("Work of a request", &[kymograph_app::limit::LIMITS]),
        ("What is kept", &kymograph_domain::limit::LIMITS),
        ("What clients share", &[kymograph_infra::limit::LIMITS]),
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
    `kymograph limits` prints this page from the constants in the code and from the settings of a server; here are the \
    defaults.\nA test compares the two. Statuses are those that a client gets.\n";

const CONNECTIONS: &[Limit] = &[
    Limit {
        what: "Connections",
        at: "`[server] max_connections = 0`, if the file descriptors allow as many; half of them an address or an IPv6 /64",
        most: Amount::Count(MAX_CONNECTIONS as u64),
        answer: "One that does nothing is closed, or else 503",
    },
    Limit {
        what: "Connections beyond the limit",
        at: "`/livez`, `/readyz`, `/healthz`, `/api/health` and `/metrics`",
        most: Amount::Count(RESERVED as u64),
        answer: "The connection is closed",
    },
    Limit {
        what: "Time for the head of a request",
        at: "A connection beyond the limit",
        most: Amount::Time(RESERVED_TIMEOUT),
        answer: "The connection is closed",
    },
    Limit { what: "Head of a request", at: "Every request", most: Amount::Bytes(MAX_HEAD), answer: "431" },
    Limit { what: "Headers", at: "Every request", most: Amount::Count(MAX_HEADERS as u64), answer: "431" },
    Limit {
        what: "Buffer that a connection keeps for requests",
        at: "A connection",
        most: Amount::Bytes(SMALL_BUFFER),
        answer: "It counts among the larger ones",
    },
    Limit {
        what: "Bytes of refused requests that are read and thrown away in a second",
        at: "A server, half of it an address or an IPv6 /64",
        most: Amount::Bytes(MAX_BYTES_PER_SECOND),
        answer: "Their clients wait",
    },
    Limit {
        what: "Bytes of larger buffers, for heads and for bodies above 64 KiB",
        at: "A server. From half of it on a connection with one is closed after its answer",
        most: Amount::Bytes(MAX_BUFFER_BYTES),
        answer: "A connection that does nothing is closed",
    },
    Limit {
        what: "Time without a byte of a request body",
        at: "While others need the connection",
        most: Amount::Time(MAX_SILENCE),
        answer: "The connection is closed",
    },
    Limit {
        what: "Pace at which a client sends a request body",
        at: "At least this in a second, while others need the connection",
        most: Amount::Bytes(MIN_SENT_BYTES_PER_SECOND),
        answer: "The connection is closed",
    },
    Limit {
        what: "Bytes of answers of 64 KiB and more that clients have not taken",
        at: "A server",
        most: Amount::Bytes(MAX_ANSWER_BYTES),
        answer: "Of the client that holds most of them a connection that takes nothing is closed",
    },
    Limit {
        what: "Pace at which a client takes an answer",
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
            what: "Document of a dashboard as it is stored, or with its inputs filled in",
            at: "`[server] max_body`",
            most: Amount::Bytes(config.server.max_body),
            answer: "413",
        },
        Limit {
            what: "Time of a request",
            at: "`[server] request_timeout`",
            most: Amount::Time(config.server.request_timeout),
            answer: "504",
        },
        Limit {
            what: "Time for the head of a request",
            at: "`[server] header_timeout`",
            most: Amount::Time(config.server.header_timeout),
            answer: "The connection is closed",
        },
        Limit {
            what: "Time between requests",
            at: "`[server] idle_timeout`",
            most: Amount::Time(config.server.idle_timeout),
            answer: "The connection is closed",
        },
        Limit {
            what: "Time in which a client takes what is sent to it",
            at: "`[server] write_timeout`",
            most: Amount::Time(config.server.write_timeout),
            answer: "The connection is closed",
        },
        Limit {
            what: "Time of an answer of a data source",
            at: "`[dataproxy] timeout`, unless it has a time-out of its own",
            most: Amount::Time(config.data_proxy.client.timeout),
            answer: "The query is 504",
        },
        Limit {
            what: "Reads of the database at a time, of an org",
            at: "A quarter of `[database] max_open_conn`",
            most: Amount::Count(share_of(config.database.readers()) as u64),
            answer: "Others wait, then 429",
        },
        Limit {
            what: "Commits at a time that touch several orgs",
            at: "A quarter of `[database] max_open_conn`",
            most: Amount::Count(share_of(config.database.writers()) as u64),
            answer: "Others wait, then 429",
        },
        Limit {
            what: "Commits at a time that touch several orgs, of an org",
            at: "An eighth of `[database] max_open_conn`",
            most: Amount::Count(share_of(share_of(config.database.writers())) as u64),
            answer: "Others wait, then 429",
        },
    ]
}
