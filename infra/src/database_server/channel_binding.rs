//! What binds a log-in to the TLS session it is made in (RFC 5929, `tls-server-end-point`): the server's certificate,
//! hashed as its signature is.

use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256, Sha384, Sha512};

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// What stands before the number of a signature with RSA (1.2.840.113549.1.1).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// The same for ECDSA (1.2.840.10045.4).
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];

/// The hash of a certificate, unless its signature names no hash, as Ed25519's does.
///
/// A certificate that cannot be parsed is one whose key was not proven, which binds nothing.
pub(super) fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    ParsedCertificate::try_from(certificate).ok()?;
    let algorithm = signature_algorithm(certificate)?;
    let hash = match (algorithm.strip_prefix(RSA), algorithm.strip_prefix(ECDSA)) {
        // MD5 and SHA-1 are replaced by SHA-256.
        (Some([4 | 5 | 11]), _) | (_, Some([1] | [3, 2])) => Sha256::digest(certificate).to_vec(),
        (Some([12]), _) | (_, Some([3, 3])) => Sha384::digest(certificate).to_vec(),
        (Some([13]), _) | (_, Some([3, 4])) => Sha512::digest(certificate).to_vec(),
        _ => return None,
    };
    Some(hash)
}

/// The object identifier of the algorithm that a certificate is signed with.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(certificate, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    Some(element(algorithm, OBJECT_IDENTIFIER)?.0)
}

/// The content of the DER element that bytes begin with, if it has this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = bytes.split_first_chunk()?;
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    if found == tag { rest.split_at_checked(length) } else { None }
}

#[cfg(test)]
mod tests {
    use super::{SEQUENCE, element};

    #[test]
    fn elements_end_where_they_say() {
        assert_eq!(element(&[SEQUENCE, 1, 7, 8], SEQUENCE), Some((&[7][..], &[8][..])));
        assert_eq!(element(&[SEQUENCE, 0x81, 1, 7, 8], SEQUENCE), Some((&[7][..], &[8][..])));
        for broken in
            [&[SEQUENCE, 2, 7][..], &[SEQUENCE, 0x85, 0, 0, 0, 0, 1, 7], &[SEQUENCE, 0x81], &[5, 0], &[]]
        {
            assert_eq!(element(broken, SEQUENCE), None);
        }
    }
}
