//! The types of clients' texts. Forms accept any text and the domain validates it, so these types are for schemas only:
//! `#[schema(value_type = Name)]`.

#![expect(dead_code, reason = "values of these types are never constructed")]

use kymograph_domain::kernel::text::{MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES};
use kymograph_domain::kernel::uid::MAX_UID_LENGTH;
use utoipa::ToSchema;

// The attributes take no constants, so these are compared.
const _: () = assert!(MAX_UID_LENGTH == 40 && MAX_NAME_BYTES == 760 && MAX_DESCRIPTION_BYTES == 16384);

/// A name, title, login or e-mail address of at most 760 bytes, not blank and without NUL.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 760, pattern = r"^[^\u0000]*[^\s\u0000][^\u0000]*$")]
pub(crate) struct Name(String);

/// A short text of at most 760 bytes without NUL, or nothing.
#[derive(ToSchema)]
#[schema(max_length = 760, pattern = r"^[^\u0000]*$")]
pub(crate) struct ShortText(String);

/// A description or message of at most 16384 bytes without NUL, or nothing.
#[derive(ToSchema)]
#[schema(max_length = 16384, pattern = r"^[^\u0000]*$")]
pub(crate) struct LongText(String);

/// The uid of a new object. If it is empty, one is generated.
#[derive(ToSchema)]
#[schema(max_length = 40, pattern = "^[a-zA-Z0-9_-]*$")]
pub(crate) struct NewUid(String);

/// The uid of the parent folder; an empty text or `general` is the root.
#[derive(ToSchema)]
#[schema(max_length = 40, pattern = "^[a-zA-Z0-9_-]*$")]
pub(crate) struct ParentUid(String);

/// A word of at most 64 bytes without NUL, or nothing.
#[derive(ToSchema)]
#[schema(max_length = 64, pattern = r"^[^\u0000]*$")]
pub(crate) struct Word(String);

/// The theme. An empty text is the default of the server.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum Theme {
    #[schema(rename = "")]
    Unset,
    Light,
    Dark,
    System,
}
