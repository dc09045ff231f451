//! Why there is no listener, no connection, no websocket.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::actor::{Address, ProxyError};
use crate::tls::TlsError;
use crate::upgrade::handshake::{HandshakeError, RedirectError};

/// Why a listener could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// The address cannot be understood or resolved.
    Address(io::Error),
    /// The operating system does not let us listen there: somebody else does, we may not, or the address is not ours.
    Listen(Address, io::Error),
    /// Not within [`Settings::bind_timeout`](crate::Settings::bind_timeout): the name's addresses have not been found, as a rule.
    Timeout(Duration),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => write!(f, "no address to listen on: {error}"),
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Timeout(within) => write!(f, "not listening within {within:?}"),
        }
    }
}

impl std::error::Error for BindError {}

/// For a `main` that returns an [`io::Result`].
impl From<BindError> for io::Error {
    fn from(error: BindError) -> Self {
        match &error {
            BindError::Address(cause) | BindError::Listen(_, cause) => Self::new(cause.kind(), error),
            BindError::Timeout(_) => Self::new(io::ErrorKind::TimedOut, error),
        }
    }
}

/// Why a connection could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The host's name could not be resolved.
    Resolve(String, io::Error),
    /// No address of the host accepted the connection; the last error.
    Refused(String, io::Error),
    /// Not connected in time.
    Timeout(String, Duration),
    /// TLS was asked for, and is not built in.
    NoTls(String),
    /// There is a connection, and no TLS session on it.
    Tls(String, TlsError),
    /// There is a connection to the proxy, and no tunnel.
    Proxy(String, ProxyError),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(host, error) => write!(f, "{host} could not be resolved: {error}"),
            Self::Refused(host, error) => write!(f, "no connection to {host}: {error}"),
            Self::Timeout(host, within) => write!(f, "no connection to {host} within {within:?}"),
            Self::Proxy(host, error) => write!(f, "no connection to {host} by way of the proxy: {error}"),
            Self::Tls(host, error) => write!(f, "no TLS connection to {host}: {error}"),
            Self::NoTls(host) => write!(f, "no TLS connection to {host}: actix-sockets was built without its feature `tls`"),
        }
    }
}

impl std::error::Error for ConnectError {}

/// Why an upgrade did not take place.
#[derive(Debug)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The server's answer is no acceptance (RFC 6455 §4.1).
    Handshake(HandshakeError),
    /// It redirects, and is not followed: see [`Connect::redirects`](crate::Connect::redirects).
    Redirect(RedirectError),
    /// The connection ended, or something that is not HTTP came from it.
    Connection(String),
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => error.fmt(f),
            Self::Redirect(error) => error.fmt(f),
            Self::Connection(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for UpgradeError {}
