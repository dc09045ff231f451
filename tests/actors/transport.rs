//! What the bytes travel over: every test runs once for each.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use actix_sockets::{Bind, Connect};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Clear,
    /// With certificates verified on the client's side, whichever side is ours.
    #[cfg(feature = "tls")]
    Tls,
}

impl Transport {
    #[cfg(not(feature = "tls"))]
    pub(crate) const ALL: [Self; 1] = [Self::Clear];
    #[cfg(feature = "tls")]
    pub(crate) const ALL: [Self; 2] = [Self::Clear, Self::Tls];

    /// Our server's side of it.
    pub(crate) fn bind(self, bind: Bind) -> Bind {
        match self {
            Self::Clear => bind,
            #[cfg(feature = "tls")]
            Self::Tls => bind.tls(crate::sealed::our_server()),
        }
    }

    /// Our client's side of it.
    pub(crate) fn connect(self, connect: Connect) -> Connect {
        match self {
            Self::Clear => connect,
            #[cfg(feature = "tls")]
            Self::Tls => connect.tls(crate::sealed::our_client()),
        }
    }

    /// The raw client's side of it.
    pub(crate) fn client(self, stream: TcpStream) -> Box<dyn Wire> {
        match self {
            Self::Clear => Box::new(stream),
            #[cfg(feature = "tls")]
            Self::Tls => Box::new(crate::sealed::Sealed::client(stream)),
        }
    }

    /// The raw server's side of it.
    pub(crate) fn server(self, stream: TcpStream) -> Box<dyn Wire> {
        match self {
            Self::Clear => Box::new(stream),
            #[cfg(feature = "tls")]
            Self::Tls => Box::new(crate::sealed::Sealed::server(stream)),
        }
    }

    /// The scheme of a URL.
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::Clear => "ws",
            #[cfg(feature = "tls")]
            Self::Tls => "wss",
        }
    }
}

/// The test once for each transport.
pub(crate) fn over_each(test: impl Fn(Transport)) {
    for transport in Transport::ALL {
        eprintln!("── {transport:?}");
        test(transport);
    }
}

/// A stream of bytes over TCP, with its deadlines. Who drops it sends FIN and nothing before it.
pub(crate) trait Wire: Read + Write + Send {
    /// The TCP stream below.
    fn tcp(&self) -> &TcpStream;

    fn set_nonblocking(&mut self, nonblocking: bool) -> io::Result<()>;

    /// Says that nothing more will be said, then FIN.
    fn finish(&mut self) -> io::Result<()>;
}

impl Wire for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }

    fn set_nonblocking(&mut self, nonblocking: bool) -> io::Result<()> {
        Self::set_nonblocking(self, nonblocking)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}
