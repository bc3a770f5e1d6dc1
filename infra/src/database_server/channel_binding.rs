//! The channel binding of a log-in (RFC 5929, `tls-server-end-point`): the hash of the server's certificate, by the
//! algorithm of its signature.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256, Sha384, Sha512};

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// RSA and ECDSA with SHA-256, and with MD5 and SHA-1, which it replaces.
const WITH_SHA256: [ObjectIdentifier; 5] = [
    oid("1.2.840.113549.1.1.11"),
    oid("1.2.840.113549.1.1.4"),
    oid("1.2.840.113549.1.1.5"),
    oid("1.2.840.10045.4.3.2"),
    oid("1.2.840.10045.4.1"),
];
/// The same with SHA-384.
const WITH_SHA384: [ObjectIdentifier; 2] = [oid("1.2.840.113549.1.1.12"), oid("1.2.840.10045.4.3.3")];
/// The same with SHA-512.
const WITH_SHA512: [ObjectIdentifier; 2] = [oid("1.2.840.113549.1.1.13"), oid("1.2.840.10045.4.3.4")];

/// The hash of a certificate, unless its signature names no hash, as Ed25519's does.
///
/// A certificate that cannot be parsed has an unproven key, which binds nothing.
pub(super) fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    ParsedCertificate::try_from(certificate).ok()?;
    let algorithm = signature_algorithm(certificate).ok()?;
    if WITH_SHA256.contains(&algorithm) {
        Some(Sha256::digest(certificate).to_vec())
    } else if WITH_SHA384.contains(&algorithm) {
        Some(Sha384::digest(certificate).to_vec())
    } else if WITH_SHA512.contains(&algorithm) {
        Some(Sha512::digest(certificate).to_vec())
    } else {
        None
    }
}

/// The algorithm of a certificate's signature. Nothing else of it is read: rustls has verified the whole.
fn signature_algorithm(certificate: &[u8]) -> der::Result<ObjectIdentifier> {
    SliceReader::new(certificate)?.sequence(|certificate| {
        AnyRef::decode(certificate)?;
        let algorithm = certificate.sequence(|algorithm| {
            let identifier = ObjectIdentifier::decode(algorithm)?;
            Option::<AnyRef<'_>>::decode(algorithm)?;
            Ok(identifier)
        })?;
        AnyRef::decode(certificate)?;
        Ok(algorithm)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEQUENCE: u8 = 0x30;
    const BITS: u8 = 0x03;
    /// ECDSA with SHA-256.
    const SIGNED: [u8; 10] = [0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 3, 2];

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, 0x81, u8::try_from(content.len()).unwrap()], content].concat()
    }

    /// A certificate of 200 bytes.
    fn certificate(algorithm: &[u8]) -> Vec<u8> {
        let (about, algorithm) = (element(SEQUENCE, &[0; 200]), [&[SEQUENCE, 10], algorithm].concat());
        let content = [about, algorithm, vec![BITS, 2, 0, 7]].concat();
        element(SEQUENCE, &content)
    }

    #[test]
    fn the_algorithm_is_the_second_part_of_a_certificate() {
        let algorithm = signature_algorithm(&certificate(&SIGNED)).unwrap();
        assert_eq!(algorithm, oid("1.2.840.10045.4.3.2"));
    }

    #[test]
    fn what_is_no_certificate_has_none() {
        let whole = certificate(&SIGNED);
        for length in 0..whole.len() {
            assert!(signature_algorithm(&whole[..length]).is_err(), "{length}");
        }
        for broken in
            [&[SEQUENCE, 2, 7][..], &[SEQUENCE, 0x85, 0, 0, 0, 0, 1, 7], &[SEQUENCE, 0x81], &[5, 0], &[]]
        {
            assert!(signature_algorithm(broken).is_err());
        }
    }
}
