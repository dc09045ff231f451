//! Where an end of a connection is.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

/// Where an end of a connection is: an address of TCP, or the path of a Unix socket.
///
/// It can be compared with a [`SocketAddr`], printed, and given to whatever takes an `impl ToSocketAddrs`.
///
/// ```
/// use actix_sockets::Address;
///
/// let address = Address::from(([127, 0, 0, 1], 8080));
/// assert_eq!((address.port(), address.to_string().as_str()), (Some(8080), "127.0.0.1:8080"));
/// assert_eq!(Address::Unix(Some("/run/chat.sock".into())).to_string(), "unix:/run/chat.sock");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// Of TCP.
    Tcp(SocketAddr),
    /// Of a Unix socket: its path, if it has one. A client's has none, as a rule.
    Unix(Option<PathBuf>),
}

impl Address {
    /// The address of TCP; `None` of a Unix socket.
    #[must_use]
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The IP address; `None` of a Unix socket.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.socket_addr().map(|address| address.ip())
    }

    /// The port; `None` of a Unix socket.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.socket_addr().map(|address| address.port())
    }

    /// The path of a Unix socket that has one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(path) => path.as_deref(),
        }
    }
}

impl<T: Into<SocketAddr>> From<T> for Address {
    fn from(address: T) -> Self {
        Self::Tcp(address.into())
    }
}

#[cfg(unix)]
impl Address {
    pub(crate) fn of_unix(address: &tokio::net::unix::SocketAddr) -> Self {
        Self::Unix(address.as_pathname().map(Path::to_owned))
    }
}

impl PartialEq<SocketAddr> for Address {
    fn eq(&self, other: &SocketAddr) -> bool {
        self.socket_addr() == Some(*other)
    }
}

impl ToSocketAddrs for Address {
    type Iter = std::option::IntoIter<SocketAddr>;

    /// The address of TCP; an error of a Unix socket.
    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        match self {
            Self::Tcp(address) => address.to_socket_addrs(),
            Self::Unix(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{self} is no address of TCP"))),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(None) => f.write_str("unix:(unnamed)"),
        }
    }
}
