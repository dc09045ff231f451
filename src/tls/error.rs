//! What can go wrong with TLS, and who did it.

use std::fmt;

#[cfg(feature = "tls")]
use openssl::{error::ErrorStack, ssl, x509::X509VerifyResult};

/// Why there is no TLS session, or none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// A certificate, a key or a setting of ours is of no use.
    Settings(String),
    /// The peer does not speak TLS.
    NotTls,
    /// The peer's certificate is not to be trusted: the name is wrong, it has expired, its authority is unknown (RFC 5280 §6).
    Untrusted(String),
    /// The handshake failed (RFC 8446 §4).
    Handshake(String),
    /// A record is broken, or the peer has sent a fatal alert (RFC 8446 §5, §6.2).
    Broken(String),
    /// The stream ended without a close_notify: what came last may be missing (RFC 8446 §6.1).
    Truncated,
    /// The handshake was not complete in time.
    Timeout,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(what) => write!(f, "TLS cannot be set up: {what}"),
            Self::NotTls => f.write_str("the peer does not speak TLS (RFC 8446 §5.1)"),
            Self::Untrusted(what) => write!(f, "the peer's certificate is not trusted: {what} (RFC 5280 §6)"),
            Self::Handshake(what) => write!(f, "the TLS handshake failed: {what} (RFC 8446 §4)"),
            Self::Broken(what) => write!(f, "the TLS session is broken: {what} (RFC 8446 §6.2)"),
            Self::Truncated => f.write_str("the stream ended without a close_notify (RFC 8446 §6.1)"),
            Self::Timeout => f.write_str("the TLS handshake was not complete in time"),
        }
    }
}

impl std::error::Error for TlsError {}

#[cfg(feature = "tls")]
impl TlsError {
    /// The same, with the files that it is about.
    pub(super) fn of(self, files: impl fmt::Display) -> Self {
        match self {
            Self::Settings(what) => Self::Settings(format!("{files}: {what}")),
            other => other,
        }
    }

    pub(super) fn settings(what: impl fmt::Display) -> impl FnOnce(ErrorStack) -> Self {
        move |errors| Self::Settings(format!("{what}: {}", reasons(&errors)))
    }

    /// Of a handshake that failed: the certificate's fault, if it was one.
    pub(super) fn handshake(error: &ssl::Error, verified: X509VerifyResult) -> Self {
        match error.ssl_error().map(reasons) {
            Some(reason) if reason.contains("certificate verify failed") && verified != X509VerifyResult::OK => {
                Self::Untrusted(verified.error_string().to_owned())
            }
            Some(reason) if ["wrong version number", "http request", "https proxy request"].contains(&reason.as_str()) => Self::NotTls,
            Some(reason) => Self::Handshake(reason),
            None => Self::Truncated,
        }
    }

    pub(super) fn broken(error: &ssl::Error) -> Self {
        error.ssl_error().map_or(Self::Truncated, |errors| Self::Broken(reasons(errors)))
    }
}

/// What OpenSSL says, without its codes.
#[cfg(feature = "tls")]
fn reasons(errors: &ErrorStack) -> String {
    let reasons: Vec<_> = errors.errors().iter().filter_map(openssl::error::Error::reason).collect();
    if reasons.is_empty() { "no reason given".to_owned() } else { reasons.join(", ") }
}
