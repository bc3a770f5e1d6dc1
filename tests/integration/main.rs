//! The integration tests, in one binary so that they share one PostgreSQL and are linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at what it did not expect")]

mod folder;
