//! The bounds on the data that a client can send, store or have computed. `kymograph limits` prints those of all
//! crates.

use std::fmt;
use std::time::Duration;

use crate::kernel::{text, uid};
use crate::{account, content, rights, source};

/// A bound on the data that a client can send, store or have computed.
pub struct Limit {
    /// The bounded quantity.
    pub what: &'static str,
    /// Where the bound holds.
    pub at: &'static str,
    /// The maximum.
    pub most: Amount,
    /// The response to a client that exceeds it.
    pub answer: &'static str,
}

/// An amount of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// A number of bytes.
    Bytes(usize),
    /// A number of characters.
    Characters(usize),
    /// A number of the things that the limit names.
    Count(u64),
    /// A duration.
    Time(Duration),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KIB: usize = 1024;
        const MIB: usize = 1024 * KIB;
        match *self {
            Self::Bytes(bytes) if bytes >= MIB && bytes.is_multiple_of(MIB) => {
                write!(f, "{} MiB", bytes / MIB)
            }
            Self::Bytes(bytes) if bytes >= KIB && bytes.is_multiple_of(KIB) => {
                write!(f, "{} KiB", bytes / KIB)
            }
            Self::Bytes(bytes) => write!(f, "{bytes} bytes"),
            Self::Characters(characters) => write!(f, "{characters} characters"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Time(time) => write!(f, "{time:?}"),
        }
    }
}

/// The bounds on the data that every noun stores.
const OF_EVERY_NOUN: &[Limit] = &[
    Limit {
        what: "Name, title, login or e-mail address",
        at: "Every noun",
        most: Amount::Bytes(text::MAX_NAME_BYTES),
        answer: "400",
    },
    Limit {
        what: "Description or version message",
        at: "Folders, dashboards",
        most: Amount::Bytes(text::MAX_DESCRIPTION_BYTES),
        answer: "400",
    },
    Limit { what: "Uid", at: "Every noun", most: Amount::Characters(uid::MAX_UID_LENGTH), answer: "400" },
];

/// The bounds on the data that aggregates store.
pub const LIMITS: [&[Limit]; 5] =
    [OF_EVERY_NOUN, account::LIMITS, content::LIMITS, rights::LIMITS, source::LIMITS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_units() {
        let cases = [
            (Amount::Bytes(0), "0 bytes"),
            (Amount::Bytes(760), "760 bytes"),
            (Amount::Bytes(1024), "1 KiB"),
            (Amount::Bytes(1025), "1025 bytes"),
            (Amount::Bytes(16 * 1024), "16 KiB"),
            (Amount::Bytes(1024 * 1024), "1 MiB"),
            (Amount::Bytes(1024 * 1024 + 1024), "1025 KiB"),
            (Amount::Bytes(10 * 1024 * 1024), "10 MiB"),
            (Amount::Bytes(10 * 1024 * 1024 + 1), "10485761 bytes"),
            (Amount::Characters(40), "40 characters"),
            (Amount::Count(5), "5"),
            (Amount::Time(Duration::from_secs(30)), "30s"),
        ];
        for (amount, text) in cases {
            assert_eq!(amount.to_string(), text);
        }
    }

    #[test]
    fn bounds_are_told_as_they_hold() {
        let told = |what: &str| {
            let mut found = LIMITS.iter().copied().flatten().filter(|limit| limit.what == what);
            found.next().unwrap().most.to_string()
        };
        assert_eq!(told("Description or version message"), "16 KiB");
        assert_eq!(told("All tags together"), "4 KiB");
        assert_eq!(told("Open invites"), "1000");
    }
}
