//! Limits on texts that people write, so that no name can fill a page or an index.

/// The longest title, name, login or e-mail address, in bytes. Grafana's column is 190 characters wide; a
/// title in any script fits in this many bytes.
pub const MAX_NAME_BYTES: usize = 760;

/// The longest description or version message, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 16 * 1024;

/// Whether a name is short enough and free of NUL, which PostgreSQL cannot store.
#[must_use]
pub fn is_storable(text: &str, max_bytes: usize) -> bool {
    text.len() <= max_bytes && !text.contains('\0')
}
