//! What a transport reads and writes: the halves of a TCP stream, or of a Unix socket's; or, where there is no socket, two pipes.

#![cfg_attr(not(any(feature = "actix-web", feature = "test")), allow(dead_code, reason = "without them there are sockets only"))]

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
#[cfg(unix)]
use tokio::net::unix;

use super::address::Address;
use super::pipe::{PipeReader, PipeWriter};
use super::veil::Veil;

#[cfg(feature = "test")]
use super::network::{WireReader, WireWriter};

/// A stream of the operating system's, before it is read and written by a transport.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    /// One of these under TLS, and where its other end is.
    Veiled(Veil, Address),
}

/// The same on its way from one arbiter to another.
pub(crate) enum Moving {
    Tcp(std::net::TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

impl Stream {
    pub(crate) fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.set_nodelay(nodelay),
            #[cfg(unix)]
            Self::Unix(_) => Ok(()),
            Self::Veiled(..) => Ok(()),
        }
    }

    /// Where the other end is.
    pub(crate) fn peer_addr(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(tcp) => tcp.peer_addr().map(Address::Tcp),
            #[cfg(unix)]
            Self::Unix(unix) => unix.peer_addr().map(|address| Address::of_unix(&address)),
            Self::Veiled(_, address) => Ok(address.clone()),
        }
    }

    /// Leaves this arbiter.
    pub(crate) fn leave(self) -> io::Result<Moving> {
        match self {
            Self::Tcp(tcp) => tcp.into_std().map(Moving::Tcp),
            #[cfg(unix)]
            Self::Unix(unix) => unix.into_std().map(Moving::Unix),
            // It is made where it stays.
            Self::Veiled(..) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(crate) fn into_split(self) -> (Source, Sink) {
        match self {
            Self::Tcp(tcp) => {
                let (read, write) = tcp.into_split();
                (Source::Tcp(read), Sink::Tcp(write))
            }
            #[cfg(unix)]
            Self::Unix(unix) => {
                let (read, write) = unix.into_split();
                (Source::Unix(read), Sink::Unix(write))
            }
            Self::Veiled(veil, _) => (Source::Veiled(veil.clone()), Sink::Veiled(veil)),
        }
    }
}

impl Moving {
    /// Comes to this arbiter.
    pub(crate) fn arrive(self) -> io::Result<Stream> {
        match self {
            Self::Tcp(tcp) => TcpStream::from_std(tcp).map(Stream::Tcp),
            #[cfg(unix)]
            Self::Unix(unix) => UnixStream::from_std(unix).map(Stream::Unix),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            #[cfg(unix)]
            Self::Unix(unix) => Pin::new(unix).poll_read(cx, buffer),
            Self::Veiled(veil, _) => veil.poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            #[cfg(unix)]
            Self::Unix(unix) => Pin::new(unix).poll_write(cx, bytes),
            Self::Veiled(veil, _) => veil.poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
            Self::Veiled(veil, _) => veil.poll_shutdown(cx),
        }
    }
}

/// Where bytes come from.
#[derive(Debug)]
pub(crate) enum Source {
    Tcp(OwnedReadHalf),
    #[cfg(unix)]
    Unix(unix::OwnedReadHalf),
    Veiled(Veil),
    /// With the address that the connection is known by at this end.
    Pipe(PipeReader, Address),
    #[cfg(feature = "test")]
    Wire(WireReader, Address),
}

/// Where bytes go.
#[derive(Debug)]
pub(crate) enum Sink {
    Tcp(OwnedWriteHalf),
    #[cfg(unix)]
    Unix(unix::OwnedWriteHalf),
    Veiled(Veil),
    Pipe(PipeWriter),
    #[cfg(feature = "test")]
    Wire(WireWriter),
}

impl Source {
    pub(crate) fn local_addr(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(tcp) => tcp.local_addr().map(Address::Tcp),
            #[cfg(unix)]
            Self::Unix(unix) => unix.local_addr().map(|address| Address::of_unix(&address)),
            Self::Veiled(veil) => veil.local_addr(),
            Self::Pipe(_, address) => Ok(address.clone()),
            #[cfg(feature = "test")]
            Self::Wire(_, address) => Ok(address.clone()),
        }
    }

    /// Whether there may be something to read. Of TCP it is cheap: nothing is asked of the operating system.
    #[inline]
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.as_ref().poll_read_ready(cx),
            #[cfg(unix)]
            Self::Unix(unix) => unix.as_ref().poll_read_ready(cx),
            Self::Veiled(veil) => veil.poll_readable(cx),
            Self::Pipe(pipe, _) => pipe.poll_readable(cx).map(Ok),
            #[cfg(feature = "test")]
            Self::Wire(wire, _) => wire.poll_readable(cx).map(Ok),
        }
    }
}

impl AsyncRead for Source {
    #[inline]
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            #[cfg(unix)]
            Self::Unix(unix) => Pin::new(unix).poll_read(cx, buffer),
            Self::Veiled(veil) => veil.poll_read(cx, buffer),
            Self::Pipe(pipe, _) => pipe.poll_read(cx, buffer).map(Ok),
            #[cfg(feature = "test")]
            Self::Wire(wire, _) => wire.poll_read(cx, buffer),
        }
    }
}

impl Sink {
    /// Writes what is taken at once.
    #[inline]
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_write(bytes),
            #[cfg(unix)]
            Self::Unix(unix) => unix.try_write(bytes),
            Self::Veiled(veil) => veil.try_write(bytes),
            Self::Pipe(pipe) => pipe.try_write(bytes),
            #[cfg(feature = "test")]
            Self::Wire(wire) => wire.try_write(&[IoSlice::new(bytes)]),
        }
    }

    /// Writes what the socket takes now, whatever it has said of its room. Linux tells of room when a third of a socket's buffer is free, which may be megabytes: a peer
    /// that takes less than that in the time it has is slow, but takes what is written.
    pub(crate) fn press(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => {
                let stream: &TcpStream = tcp.as_ref();
                SockRef::from(stream).send(bytes)
            }
            #[cfg(unix)]
            Self::Unix(unix) => {
                let stream: &UnixStream = unix.as_ref();
                SockRef::from(stream).send(bytes)
            }
            other => other.try_write(bytes),
        }
    }

    /// Writes what is taken at once of several pieces.
    #[inline]
    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_write_vectored(slices),
            #[cfg(unix)]
            Self::Unix(unix) => unix.try_write_vectored(slices),
            Self::Veiled(veil) => veil.try_write(first(slices)),
            Self::Pipe(pipe) => pipe.try_write(first(slices)),
            #[cfg(feature = "test")]
            Self::Wire(wire) => wire.try_write(slices),
        }
    }
}

/// A pipe, and a veil, takes the first piece that is not empty.
fn first<'a>(slices: &'a [IoSlice<'_>]) -> &'a [u8] {
    slices.iter().find(|slice| !slice.is_empty()).map_or(&[], |slice| slice)
}

impl AsyncWrite for Sink {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            #[cfg(unix)]
            Self::Unix(unix) => Pin::new(unix).poll_write(cx, bytes),
            Self::Veiled(veil) => veil.poll_write(cx, bytes),
            Self::Pipe(pipe) => pipe.poll_write(cx, bytes),
            #[cfg(feature = "test")]
            Self::Wire(wire) => wire.poll_write(cx, &[IoSlice::new(bytes)]),
        }
    }

    #[inline]
    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            #[cfg(unix)]
            Self::Unix(unix) => Pin::new(unix).poll_write_vectored(cx, slices),
            Self::Veiled(veil) => veil.poll_write(cx, first(slices)),
            Self::Pipe(pipe) => pipe.poll_write(cx, first(slices)),
            #[cfg(feature = "test")]
            Self::Wire(wire) => wire.poll_write(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
            Self::Veiled(veil) => veil.poll_shutdown(cx),
            Self::Pipe(pipe) => {
                pipe.end();
                Poll::Ready(Ok(()))
            }
            #[cfg(feature = "test")]
            Self::Wire(wire) => {
                wire.finish();
                Poll::Ready(Ok(()))
            }
        }
    }
}
