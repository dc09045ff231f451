//! What the bytes travel over. One variant more is all that a TLS run of every test needs.

use std::io::{Read, Write};
use std::net::TcpStream;

use actix_sockets::Bind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Clear,
}

impl Transport {
    pub(crate) const ALL: [Self; 1] = [Self::Clear];

    /// A server's side of it.
    pub(crate) fn bind(self, bind: Bind) -> Bind {
        match self {
            Self::Clear => bind,
        }
    }

    /// The raw peer's side of it.
    pub(crate) fn dress(self, stream: TcpStream) -> Box<dyn Wire> {
        match self {
            Self::Clear => Box::new(stream),
        }
    }

    /// The scheme of a URL.
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::Clear => "ws",
        }
    }
}

/// A blocking stream of bytes over TCP.
pub(crate) trait Wire: Read + Write + Send {
    /// The TCP stream below.
    fn tcp(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}
