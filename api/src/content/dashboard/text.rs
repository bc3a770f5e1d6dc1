//! The types of dashboards' texts, for the schemas only.

#![expect(dead_code, reason = "values of these types are never constructed")]

use kymograph_domain::content::dashboard::{MAX_MESSAGE_CHARACTERS, MAX_TITLE_CHARACTERS};
use utoipa::ToSchema;

// The attributes take no constants, so these are compared.
const _: () = assert!(MAX_TITLE_CHARACTERS == 5000 && MAX_MESSAGE_CHARACTERS == 500);

/// The title of a dashboard: at most 5000 characters, not blank and without NUL.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 5000, pattern = r"^[^\u0000]*[^\s\u0000][^\u0000]*$")]
pub(crate) struct Title(String);

/// A message about the change, of at most 500 characters without NUL.
#[derive(ToSchema)]
#[schema(max_length = 500, pattern = r"^[^\u0000]*$")]
pub(crate) struct VersionMessage(String);
