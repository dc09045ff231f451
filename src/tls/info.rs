//! What is known of a TLS session.

use std::fmt;

use bytes::Bytes;

/// What a TLS handshake has agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: String,
    /// The cipher suite, as OpenSSL names it: `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The name that the client asked for (RFC 6066 §3), if it did.
    pub server_name: Option<String>,
    /// The protocol agreed on with ALPN (RFC 7301): `http/1.1`, `http/1.0` for a client that offers no
    /// other, or nothing if one side did not care.
    pub protocol: Option<String>,
    /// The peer's certificate. It has been verified: on a server against the authorities that it was told to ask for, on a client
    /// against its authorities and the host's name.
    pub certificate: Option<Certificate>,
}

/// A verified certificate of a peer (RFC 5280).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// The subject, its parts in the certificate's order: `C=AQ, O=Station, CN=alice`. Commas, backslashes, quotes and control bytes
    /// within a part are escaped with a backslash, so that no part can pass for two.
    pub subject: String,
    /// The subject's last common name, as it stands.
    pub common_name: Option<String>,
    /// The alternative names: DNS names, e-mail addresses, URIs and IP addresses (RFC 5280 §4.2.1.6).
    pub names: Vec<String>,
    /// The whole certificate, DER.
    pub der: Bytes,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, names, .. } = self;
        f.debug_struct("Certificate").field("subject", subject).field("names", names).finish_non_exhaustive()
    }
}
