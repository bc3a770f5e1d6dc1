//! Numbers of PostgreSQL's type `numeric`.

use std::fmt::Write;

/// The powers of ten that a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// The integers up to here are exact doubles.
const EXACT_WHOLE: u64 = 1 << f64::MANTISSA_DIGITS;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITE: u16 = 0xD000;
const NEGATIVE_INFINITE: u16 = 0xF000;

/// The double nearest to a number in PostgreSQL's binary format: the count of its digits of base 10,000, the weight of
/// the first, the sign, the number of decimals shown, and the digits.
pub(super) fn number(cell: &[u8]) -> Option<f64> {
    let (header, digits) = cell.split_first_chunk::<8>()?;
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let (count, weight, sign) = (word(0), word(2).cast_signed(), word(4));
    let (digits, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() || digits.len() != usize::from(count) {
        return None;
    }
    let size = match sign {
        NAN => return Some(f64::NAN),
        INFINITE => return Some(f64::INFINITY),
        NEGATIVE_INFINITE => return Some(f64::NEG_INFINITY),
        0 | NEGATIVE => size(digits, i32::from(weight))?,
        _ => return None,
    };
    Some(if sign == NEGATIVE { -size } else { size })
}

fn size(digits: &[[u8; 2]], weight: i32) -> Option<f64> {
    let exponent = 4 * (weight + 1 - i32::try_from(digits.len()).ok()?);
    if digits.iter().any(|digit| u16::from_be_bytes(*digit) >= 10_000) {
        return None;
    }
    let whole = digits.iter().try_fold(0_u64, |whole, digit| {
        let whole = whole.checked_mul(10_000)?.checked_add(u64::from(u16::from_be_bytes(*digit)))?;
        (whole <= EXACT_WHOLE).then_some(whole)
    });
    let power = EXACT_POWERS.get(usize::try_from(exponent.abs()).ok()?);
    if let (Some(whole), Some(power)) = (whole, power) {
        // Both are exact, so there is one rounding only, and the result is the nearest.
        #[allow(clippy::cast_precision_loss, reason = "numbers up to this one are exact")]
        let whole = whole as f64;
        return Some(if exponent < 0 { whole / power } else { whole * power });
    }
    let mut text = String::with_capacity(digits.len() * 4 + 8);
    for digit in digits {
        write!(text, "{:04}", u16::from_be_bytes(*digit)).ok()?;
    }
    write!(text, "e{exponent}").ok()?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(weight: i16, sign: u16, digits: &[u16]) -> Vec<u8> {
        let header = [u16::try_from(digits.len()).unwrap(), weight.cast_unsigned(), sign, 0];
        header.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn numbers_are_the_nearest_doubles() {
        for (cell, expected) in [
            (cell(0, 0, &[]), 0.0),
            (cell(0, 0, &[1]), 1.0),
            (cell(0, NEGATIVE, &[12, 5000]), -12.5),
            (cell(-1, 0, &[1000]), 0.1),
            (cell(-1, 0, &[3]), 0.0003),
            (cell(1, 0, &[1]), 10_000.0),
            (cell(4, 0, &[1844, 6744, 737, 955, 1615]), 18_446_744_073_709_551_615.0),
            // More digits than a double can represent.
            (cell(0, 0, &[3, 1415, 9265, 3589, 7932, 3846]), std::f64::consts::PI),
            (cell(3, 0, &[9007, 1992, 5474, 993]), 9_007_199_254_740_993.0),
            (cell(75, 0, &[1]), 1e300),
            (cell(-76, 0, &[1]), 1e-304),
            (cell(-1000, 0, &[1]), 0.0),
            (cell(1000, 0, &[1]), f64::INFINITY),
            (cell(0, INFINITE, &[]), f64::INFINITY),
            (cell(0, NEGATIVE_INFINITE, &[]), f64::NEG_INFINITY),
        ] {
            assert_eq!(number(&cell).map(f64::to_bits), Some(expected.to_bits()), "{expected}");
        }
        assert!(number(&cell(0, NAN, &[])).unwrap().is_nan());
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let good = cell(0, 0, &[1, 2]);
        for broken in
            [&good[..0], &good[..7], &good[..10], &good[..11], &cell(0, 0, &[10_000]), &cell(0, 1, &[1])]
        {
            assert_eq!(number(broken), None);
        }
    }
}
