//! Avatars: a pattern generated from the hash in the URL.

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::kernel::query::Path;
use crate::kernel::routes::{Group, Routes, get};

/// The group of operations named `frontend`.
pub(crate) const FRONTEND: Group = Group::new("frontend", "Pictures of users, teams and service accounts");

/// The routes of avatars.
pub fn routes() -> Routes {
    Routes::of(&FRONTEND).add(
        get("/avatar/{hash}", "avatar", "Get an avatar")
            .answers_text(200, "An image", "image/png")
            .public()
            .to(&(), get_avatar),
    )
}

async fn get_avatar(Path(hash): Path<String>) -> Response {
    // The avatar of a hash never changes.
    let headers = [(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "public, max-age=86400")];
    (headers, picture(&hash)).into_response()
}

/// The number of fields in a row of a pattern, and of pixels in a field.
const FIELDS: usize = 5;
const FIELD_PIXELS: usize = 16;
const SIDE: usize = FIELDS * FIELD_PIXELS;

/// A symmetric pattern in one colour, as PNG.
fn picture(hash: &str) -> Vec<u8> {
    let bits = crc32fast::hash(hash.as_bytes());
    let colour = crc32fast::hash(&bits.to_le_bytes()).to_le_bytes();
    // Half of each channel's range keeps the colour dark enough to stand out.
    let palette = [0xf0, 0xf0, 0xf0, colour[0] / 2, colour[1] / 2, colour[2] / 2];
    let side = u32::try_from(SIDE).unwrap_or_default().to_be_bytes();
    // One bit per pixel, with a palette.
    let header = [&side[..], &side[..], &[1, 3, 0, 0, 0]].concat();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in [
        (b"IHDR", header),
        (b"PLTE", palette.to_vec()),
        (b"IDAT", stored(&pixels(bits))),
        (b"IEND", Vec::new()),
    ] {
        let chunk = [&name[..], &data].concat();
        png.extend(u32::try_from(data.len()).unwrap_or_default().to_be_bytes());
        png.extend(&chunk);
        png.extend(crc32fast::hash(&chunk).to_be_bytes());
    }
    png
}

/// The rows of pixels, each after the filter byte for none.
fn pixels(bits: u32) -> Vec<u8> {
    let is_set = |row: usize, column: usize| {
        let field = row * FIELDS.div_ceil(2) + column.min(FIELDS - 1 - column);
        bits >> field & 1 == 1
    };
    let mut pixels = Vec::with_capacity(SIDE * (1 + SIDE / 8));
    for row in 0..SIDE {
        pixels.push(0);
        for byte in 0..SIDE / 8 {
            let is_dark = is_set(row / FIELD_PIXELS, byte * 8 / FIELD_PIXELS);
            pixels.push(if is_dark { 0xff } else { 0 });
        }
    }
    pixels
}

/// An uncompressed zlib stream: an avatar has less than a kilobyte.
fn stored(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or_default();
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    let mut stream = vec![0x78, 0x01, 0x01];
    stream.extend(length.to_le_bytes());
    stream.extend((!length).to_le_bytes());
    stream.extend(data);
    stream.extend((b << 16 | a).to_be_bytes());
    stream
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_small_png_that_depends_on_the_hash() {
        let (one, other) = (picture("0123456789abcdef"), picture("fedcba9876543210"));
        assert!(one.starts_with(b"\x89PNG") && one.len() < 1200, "{}", one.len());
        assert_ne!(one, other);
        assert_eq!(one, picture("0123456789abcdef"));
    }

    #[test]
    fn is_the_same_from_both_sides() {
        for row in pixels(0x0055_1234).chunks(1 + SIDE / 8) {
            assert!(row[1..].iter().eq(row[1..].iter().rev()));
        }
    }

    #[test]
    fn a_stored_stream_ends_with_its_checksum() {
        assert_eq!(stored(b"abc"), *b"\x78\x01\x01\x03\x00\xfc\xffabc\x02\x4d\x01\x27");
    }
}
