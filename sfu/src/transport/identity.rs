//! The certificate all transports of a node share: made by the edge once at start.

/// A self-signed ECDSA P-256 certificate, its key and its SHA-256 fingerprint.
#[derive(Clone)]
pub struct Identity {
    /// X.509 in DER.
    pub certificate: Vec<u8>,
    /// PKCS #8 in DER. Secret.
    pub private_key: Vec<u8>,
    /// SHA-256 of the certificate, for `a=fingerprint`.
    pub fingerprint: [u8; 32],
}

impl Identity {
    /// From a certificate and its key, both in DER.
    #[must_use]
    pub fn new(certificate: Vec<u8>, private_key: Vec<u8>) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest.as_ref());
        Self {
            certificate,
            private_key,
            fingerprint,
        }
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}
