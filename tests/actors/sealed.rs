//! The raw peer's side of TLS: OpenSSL over two buffers, so that what it seals can be cut wherever a test likes; and our side's settings.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use actix_sockets::tls;
use openssl::ssl::{ErrorCode, Ssl, SslAcceptor, SslConnector, SslMethod, SslStream};

use crate::authority::{Authority, Signed};
use crate::peer::{PATIENCE, is_timeout};
use crate::transport::Wire;

/// Whom all clients here trust, and nobody else; and what all servers show.
static CERTIFICATES: LazyLock<(Authority, Signed)> = LazyLock::new(|| {
    let authority = Authority::new("tests of actix-sockets");
    let signed = authority.signs(&["localhost", "127.0.0.1"]);
    (authority, signed)
});

/// Our server's side.
pub(crate) fn our_server() -> tls::Server {
    static SERVER: LazyLock<tls::Server> = LazyLock::new(|| tls::Server::builder(CERTIFICATES.1.identity()).build().unwrap());
    SERVER.clone()
}

/// Our client's side.
pub(crate) fn our_client() -> tls::Client {
    static CLIENT: LazyLock<tls::Client> = LazyLock::new(|| tls::Client::builder().authorities(CERTIFICATES.0.trusted()).build().unwrap());
    CLIENT.clone()
}

static CONNECTOR: LazyLock<SslConnector> = LazyLock::new(|| {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.cert_store_mut().add_cert(CERTIFICATES.0.certificate().clone()).unwrap();
    connector.build()
});

static ACCEPTOR: LazyLock<SslAcceptor> = LazyLock::new(|| {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(&CERTIFICATES.1.certificate).unwrap();
    acceptor.set_private_key(&CERTIFICATES.1.key).unwrap();
    acceptor.build()
});

/// The raw peer's end.
pub(crate) struct Sealed {
    session: SslStream<Buffers>,
    tcp: TcpStream,
    nonblocking: bool,
}

/// Ciphertext on its way.
#[derive(Default)]
struct Buffers {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Sealed {
    /// Of a client that verifies whom it talks to.
    pub(crate) fn client(tcp: TcpStream) -> Self {
        let mut ssl = CONNECTOR.configure().unwrap().into_ssl("localhost").unwrap();
        ssl.set_connect_state();
        Self::shaken(ssl, tcp)
    }

    pub(crate) fn server(tcp: TcpStream) -> Self {
        let mut ssl = Ssl::new(ACCEPTOR.context()).unwrap();
        ssl.set_accept_state();
        Self::shaken(ssl, tcp)
    }

    fn shaken(ssl: Ssl, tcp: TcpStream) -> Self {
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut sealed = Self { session: SslStream::new(ssl, Buffers::default()).unwrap(), tcp, nonblocking: false };
        loop {
            let done = sealed.session.do_handshake();
            sealed.flush().expect("the handshake is taken");
            match done {
                Ok(()) => return sealed,
                Err(error) if error.code() == ErrorCode::WANT_READ => {}
                Err(error) => panic!("the handshake fails: {error}"),
            }
            assert!(sealed.fill().expect("the handshake goes on") > 0, "FIN within the handshake");
        }
    }

    /// This in one record, not sent.
    pub(crate) fn seals(&mut self, plain: &[u8]) -> Vec<u8> {
        assert_eq!(self.session.ssl_write(plain).unwrap(), plain.len(), "more than a record");
        std::mem::take(&mut self.session.get_mut().outgoing)
    }

    /// A close_notify, not sent.
    pub(crate) fn seals_the_end(&mut self) -> Vec<u8> {
        self.session.shutdown().unwrap();
        std::mem::take(&mut self.session.get_mut().outgoing)
    }

    /// Reads ciphertext once. What is not written yet goes on being written meanwhile, or two that wait for each other would for ever.
    fn fill(&mut self) -> io::Result<usize> {
        let mut sealed = [0; 64 << 10];
        let until = Instant::now() + self.tcp.read_timeout()?.unwrap_or(PATIENCE);
        let both = !self.nonblocking && !self.session.get_ref().outgoing.is_empty();
        if both {
            self.tcp.set_nonblocking(true)?;
        }
        let read = loop {
            match self.flush() {
                Err(error) if !is_timeout(&error) => break Err(error),
                _ => {}
            }
            match self.tcp.read(&mut sealed) {
                Err(error) if both && is_timeout(&error) && Instant::now() < until => std::thread::sleep(Duration::from_micros(200)),
                other => break other,
            }
        };
        if both {
            self.tcp.set_nonblocking(false)?;
        }
        let n = read?;
        self.session.get_mut().incoming.extend_from_slice(&sealed[..n]);
        Ok(n)
    }
}

impl Wire for Sealed {
    fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    fn set_nonblocking(&mut self, nonblocking: bool) -> io::Result<()> {
        self.nonblocking = nonblocking;
        self.tcp.set_nonblocking(nonblocking)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.session.shutdown().map_err(io::Error::other)?;
        self.flush()?;
        self.tcp.shutdown(Shutdown::Write)
    }
}

impl Read for Sealed {
    /// One record at most. 0 is close_notify and FIN; one without the other is an error.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.ssl_read(into) {
                Ok(n) => return Ok(n),
                Err(error) if error.code() == ErrorCode::WANT_READ => {}
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    return match self.fill() {
                        Ok(0) => Ok(0),
                        Err(error) => Err(io::Error::new(error.kind(), format!("a close_notify, and no FIN: {error}"))),
                        Ok(n) => Err(io::Error::other(format!("{n} bytes behind the close_notify"))),
                    };
                }
                Err(error) => return Err(io::Error::other(error)),
            }
            if self.fill()? == 0 {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "FIN without a close_notify"));
            }
        }
    }
}

impl Write for Sealed {
    /// One record at most. Once it is sealed it counts as taken, and what the stream does not take now goes before all that follows.
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.flush()?;
        let n = match self.session.ssl_write(&from[..from.len().min(16 << 10)]) {
            Ok(n) => n,
            Err(error) => return Err(io::Error::other(error)),
        };
        match self.flush() {
            Err(error) if !is_timeout(&error) => Err(error),
            _ => Ok(n),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let outgoing = &mut self.session.get_mut().outgoing;
        while !outgoing.is_empty() {
            let n = self.tcp.write(outgoing)?;
            outgoing.drain(..n);
        }
        Ok(())
    }
}

impl Read for Buffers {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.incoming.len().min(into.len());
        if n == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        into[..n].copy_from_slice(&self.incoming[..n]);
        self.incoming.drain(..n);
        Ok(n)
    }
}

impl Write for Buffers {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(from);
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
