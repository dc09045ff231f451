//! A connection to the server, in the clear or under TLS, ready for its first message.
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::OnceLock;

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};

use crate::frames::{answer, request};
use crate::{Opts, sys};

pub enum Socket {
    Plain(TcpStream),
    Tls(SslStream<TcpStream>),
}

fn connector() -> &'static SslConnector {
    static CONNECTOR: OnceLock<SslConnector> = OnceLock::new();
    CONNECTOR.get_or_init(|| {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).expect("OpenSSL");
        builder.set_verify(SslVerifyMode::NONE); // the certificate is made for the run
        builder.build()
    })
}

impl Socket {
    /// Connects and, but for HTTP, upgrades; blocking.
    pub fn open(o: &Opts) -> io::Result<Self> {
        let s = TcpStream::connect(("127.0.0.1", o.port))?;
        s.set_nodelay(true)?;
        let mut s = match o.tls {
            false => Self::Plain(s),
            true => Self::Tls(connector().connect("localhost", s).map_err(|e| io::Error::other(format!("TLS: {e}")))?),
        };
        if !o.http {
            s.upgrade(o)?;
        }
        Ok(s)
    }

    fn upgrade(&mut self, o: &Opts) -> io::Result<()> {
        self.stream().write_all(&request(o))?;
        let (mut buf, mut have) = ([0u8; 2048], 0);
        loop {
            let n = self.recv(&mut buf[have..])?;
            if n == 0 {
                return Err(io::Error::other("closed in the upgrade"));
            }
            have += n;
            match answer(&buf[..have], o.deflate) {
                None => {}
                Some(Ok(end)) if end == have => return Ok(()),
                Some(Ok(_)) => return Err(io::Error::other("bytes after the upgrade answer")),
                Some(Err(e)) => return Err(io::Error::other(e)),
            }
        }
    }

    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(s) => s,
            Self::Tls(s) => s.get_ref(),
        }
    }

    pub fn fd(&self) -> RawFd {
        self.tcp().as_raw_fd()
    }

    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    pub fn stream(&mut self) -> &mut dyn ReadWrite {
        match self {
            Self::Plain(s) => s,
            Self::Tls(s) => s,
        }
    }

    #[inline]
    pub fn recv(&mut self, b: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(s) => sys::recv(s.as_raw_fd(), b),
            Self::Tls(s) => s.read(b),
        }
    }

    #[inline]
    pub fn send(&mut self, b: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(s) => sys::send(s.as_raw_fd(), b),
            Self::Tls(s) => s.write(b),
        }
    }
}

pub trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}
