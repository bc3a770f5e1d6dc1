//! What texts that clients send must be like. Forms take any text and the domain checks it, so these types are
//! there for their schemas only: `#[schema(value_type = Name)]`.

#![expect(dead_code, reason = "nobody makes a value of these types")]

use kymograph_domain::account::user::{MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARACTERS};
use kymograph_domain::content::dashboard::{MAX_MESSAGE_CHARACTERS, MAX_TITLE_CHARACTERS};
use kymograph_domain::kernel::text::{MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES};
use kymograph_domain::kernel::uid::MAX_UID_LENGTH;
use utoipa::ToSchema;

// The attributes take no constants, so these are compared.
const _: () = assert!(MAX_UID_LENGTH == 40 && MAX_NAME_BYTES == 760 && MAX_DESCRIPTION_BYTES == 16384);
const _: () = assert!(MAX_TITLE_CHARACTERS == 5000 && MAX_MESSAGE_CHARACTERS == 500);
const _: () = assert!(MIN_PASSWORD_CHARACTERS == 4 && MAX_PASSWORD_BYTES == 1024);

/// A name, title, login or e-mail address of at most 760 bytes, not blank and without NUL.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 760, pattern = r"^[^\u0000]*[^\s\u0000][^\u0000]*$")]
pub(crate) struct Name(String);

/// The title of a dashboard: at most 5000 characters, not blank and without NUL.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 5000, pattern = r"^[^\u0000]*[^\s\u0000][^\u0000]*$")]
pub(crate) struct Title(String);

/// A message about the change, of at most 500 characters without NUL.
#[derive(ToSchema)]
#[schema(max_length = 500, pattern = r"^[^\u0000]*$")]
pub(crate) struct VersionMessage(String);

/// A short text of at most 760 bytes without NUL, or nothing.
#[derive(ToSchema)]
#[schema(max_length = 760, pattern = r"^[^\u0000]*$")]
pub(crate) struct ShortText(String);

/// A description or message of at most 16384 bytes without NUL, or nothing.
#[derive(ToSchema)]
#[schema(max_length = 16384, pattern = r"^[^\u0000]*$")]
pub(crate) struct LongText(String);

/// The uid for a new object. An empty one has one generated.
#[derive(ToSchema)]
#[schema(max_length = 40, pattern = "^[a-zA-Z0-9_-]*$")]
pub(crate) struct NewUid(String);

/// The uid of the folder to be in. The root for an empty text or `general`.
#[derive(ToSchema)]
#[schema(max_length = 40, pattern = "^[a-zA-Z0-9_-]*$")]
pub(crate) struct ParentUid(String);

/// A new password of at most 1024 bytes.
#[derive(ToSchema)]
#[schema(min_length = 4, max_length = 1024)]
pub(crate) struct NewPassword(String);

/// A word of at most 64 bytes without NUL, or nothing.
#[derive(ToSchema)]
#[schema(max_length = 64, pattern = r"^[^\u0000]*$")]
pub(crate) struct Word(String);

/// The colours of pages. Nothing leaves them to the server.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(crate) enum Theme {
    #[schema(rename = "")]
    Unset,
    Light,
    Dark,
    System,
}
