//! The types of users' texts, for the schemas only.

#![expect(dead_code, reason = "values of these types are never constructed")]

use kymograph_domain::account::user::{MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARACTERS};
use utoipa::ToSchema;

// The attributes take no constants, so these are compared.
const _: () = assert!(MIN_PASSWORD_CHARACTERS == 4 && MAX_PASSWORD_BYTES == 1024);

/// A new password of at most 1024 bytes.
#[derive(ToSchema)]
#[schema(min_length = 4, max_length = 1024)]
pub(crate) struct NewPassword(String);
