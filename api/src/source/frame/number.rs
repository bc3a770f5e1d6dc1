//! Numbers as Go writes them in JSON: `1`, `0.00001`, `1e-7`, `1e+21`.

use itoa::Integer;
use zmij::Float;

/// Up to here every whole number is written by its digits, and is the shortest text that reads as it.
const MAX_WHOLE: f64 = 1e15;
/// The same for single precision, of which fewer are exact.
const MAX_WHOLE_F32: f32 = 16_777_216.0;
/// Go writes an exponent from here on, and below [`MIN_EXPONENT`].
const MAX_EXPONENT: usize = 21;
const MIN_EXPONENT: usize = 6;

/// Writes a whole number.
pub(super) fn push_whole(out: &mut Vec<u8>, number: impl Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Writes a number with the fewest digits that read as it; NaN and the infinities as null.
#[expect(clippy::cast_possible_truncation, clippy::float_cmp, reason = "it is whole, and small enough")]
pub(super) fn push_f64(out: &mut Vec<u8>, number: f64) {
    let size = number.abs();
    if size < MAX_WHOLE && number == number.trunc() && (number != 0.0 || number.is_sign_positive()) {
        push_whole(out, number as i64);
    } else if (1e-3..MAX_WHOLE).contains(&size) {
        out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
    } else {
        push_other(out, number, number.is_finite());
    }
}

/// Writes a number of single precision.
#[expect(clippy::cast_possible_truncation, clippy::float_cmp, reason = "it is whole, and small enough")]
pub(super) fn push_f32(out: &mut Vec<u8>, number: f32) {
    let size = number.abs();
    if size < MAX_WHOLE_F32 && number == number.trunc() && (number != 0.0 || number.is_sign_positive()) {
        push_whole(out, number as i64);
    } else {
        push_other(out, number, number.is_finite());
    }
}

/// Writes a number whose text may have an exponent or a needless fraction.
#[cold]
fn push_other(out: &mut Vec<u8>, number: impl Float, is_finite: bool) {
    if !is_finite {
        return out.extend_from_slice(b"null");
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(number);
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let (first, others) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let others = if others == "0" { "" } else { others };
    out.extend_from_slice(sign.as_bytes());
    let size = exponent.trim_start_matches(['-', '+']).parse().unwrap_or(usize::MAX);
    let is_small = exponent.starts_with('-');
    if is_small && size <= MIN_EXPONENT {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + size - 1, b'0');
        return [first, others].iter().for_each(|digits| out.extend_from_slice(digits.as_bytes()));
    }
    out.extend_from_slice(first.as_bytes());
    if !is_small && size < MAX_EXPONENT && others.len() <= size {
        out.extend_from_slice(others.as_bytes());
        return out.resize(out.len() + size - others.len(), b'0');
    }
    if !others.is_empty() {
        out.push(b'.');
        out.extend_from_slice(others.as_bytes());
    }
    out.extend_from_slice(if is_small { b"e-" } else { b"e+" });
    push_whole(out, size);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: f64) -> String {
        let mut out = Vec::new();
        push_f64(&mut out, number);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_go_does() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-17.0, "-17"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (-0.001, "-0.001"),
            (0.00012, "0.00012"),
            (0.00001, "0.00001"),
            (-0.000_012_5, "-0.0000125"),
            (0.000_001, "0.000001"),
            (0.000_000_1, "1e-7"),
            (1.25e-9, "1.25e-9"),
            (1e-10, "1e-10"),
            (5e-324, "5e-324"),
            (999_999_999_999_999.0, "999999999999999"),
            (1e15, "1000000000000000"),
            (1_234_567_890_123_456.0, "1234567890123456"),
            (123_456_789_012_345.6, "123456789012345.6"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (1e16, "10000000000000000"),
            (1.25e20, "125000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e22, "-1.5e+22"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
            (f64::NEG_INFINITY, "null"),
        ];
        for (number, expected) in cases {
            assert_eq!(text(number), expected);
        }
    }

    /// Numbers of all sizes are read as what they were.
    #[test]
    fn numbers_are_exact() {
        let mut bits: u64 = 1;
        for _ in 0..100_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = f64::from_bits(bits);
            if number.is_finite() {
                let read: f64 = text(number).parse().unwrap();
                assert_eq!(read.to_bits(), number.to_bits(), "{number:e}");
                let _: serde_json::Number = serde_json::from_str(&text(number)).unwrap();
            }
            let number = number.abs() % 1e25;
            if number.is_finite() {
                assert_eq!(text(number).parse::<f64>().unwrap().to_bits(), number.to_bits(), "{number:e}");
            }
            let single = f32::from_bits((bits >> 32) as u32);
            if single.is_finite() {
                let mut out = Vec::new();
                push_f32(&mut out, single);
                let text = String::from_utf8(out).unwrap();
                assert_eq!(text.parse::<f32>().unwrap().to_bits(), single.to_bits(), "{single:e}");
            }
        }
    }

    #[test]
    fn decimals_are_the_shortest() {
        for whole in [0_u64, 1, 7, 99, 12_345, 4_294_967_296, 999_999_999_999] {
            for thousandth in 0..1_000 {
                let decimal = format!("{whole}.{thousandth:03}");
                let shortest = decimal.trim_end_matches('0').trim_end_matches('.');
                let number: f64 = decimal.parse().unwrap();
                assert_eq!(text(number), shortest);
                let negative = format!("-{shortest}");
                assert_eq!(text(-number), negative);
            }
        }
        for number in [0.1 + 0.2, 1.0 / 3.0, 12.375_000_000_000_002, 999_999_999_999.999_9, 0.0005] {
            assert_eq!(text(number), number.to_string());
        }
    }

    #[test]
    fn numbers_of_single_precision() {
        let cases = [
            (0.1, "0.1"),
            (1.0, "1"),
            (-0.0, "-0"),
            (16_777_215.0, "16777215"),
            (3.4e15, "3400000000000000"),
            (1e21, "1e+21"),
            (1e-7, "1e-7"),
            (f32::NAN, "null"),
        ];
        for (number, expected) in cases {
            let mut out = Vec::new();
            push_f32(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn whole_numbers() {
        let mut out = Vec::new();
        for number in [i64::MIN, -1, 0, i64::MAX] {
            push_whole(&mut out, number);
            out.push(b' ');
        }
        assert_eq!(String::from_utf8(out).unwrap(), "-9223372036854775808 -1 0 9223372036854775807 ");
    }
}
