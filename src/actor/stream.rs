//! What a transport reads and writes: the halves of a TCP stream, or of a Unix socket's; or, where there is no socket, two pipes.
//!
//! The latter is how a websocket lives inside another server, which reads and writes for it, and how one lives in a test.

#![cfg_attr(not(any(feature = "actix-web", feature = "test")), allow(dead_code, reason = "without them there are sockets only"))]

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
#[cfg(unix)]
use tokio::net::unix;

use super::address::Address;
use super::veil::Veil;

#[cfg(feature = "test")]
use super::network::{WireReader, WireWriter};

/// What a pipe holds at most.
const CAPACITY: usize = 64 << 10;

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
                pipe.lock().end();
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

/// A pipe: what is written at one end comes out at the other. It holds 64 KiB; who writes more waits.
pub(crate) fn pipe() -> (PipeWriter, PipeReader) {
    let pipe = Arc::<Mutex<Pipe>>::default();
    (PipeWriter(pipe.clone()), PipeReader(pipe))
}

#[derive(Debug, Default)]
struct Pipe {
    bytes: BytesMut,
    /// Nothing more will be written.
    ended: bool,
    /// Nobody reads any more.
    broken: bool,
    /// Who waits: to read while it is empty, or to write while it is full.
    waiting: Option<Waker>,
}

impl Pipe {
    /// Takes what there is room for.
    fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.broken || self.ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let taken = bytes.len().min(CAPACITY - self.bytes.len());
        if taken == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.bytes.extend_from_slice(&bytes[..taken]);
        self.wake();
        Ok(taken)
    }

    fn end(&mut self) {
        self.ended = true;
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.waiting = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
pub(crate) struct PipeWriter(Arc<Mutex<Pipe>>);

impl PipeWriter {
    fn lock(&self) -> MutexGuard<'_, Pipe> {
        lock(&self.0)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().put(bytes)
    }

    fn poll_write(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut pipe = self.lock();
        match pipe.put(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => pipe.wait(cx),
            written => Poll::Ready(written),
        }
    }

    /// Writes all of it, waiting for room.
    pub(crate) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        poll_fn(|cx| {
            while !bytes.is_empty() {
                let taken = ready!(self.poll_write(cx, bytes))?;
                bytes = &bytes[taken..];
            }
            Poll::Ready(Ok(()))
        })
        .await
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.lock().end();
    }
}

#[derive(Debug)]
pub(crate) struct PipeReader(Arc<Mutex<Pipe>>);

impl PipeReader {
    /// Whether there is something to read, be it the end.
    fn poll_readable(&self, cx: &Context<'_>) -> Poll<()> {
        let mut pipe = lock(&self.0);
        if pipe.bytes.is_empty() && !pipe.ended { pipe.wait(cx) } else { Poll::Ready(()) }
    }

    fn poll_read(&self, cx: &Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<()> {
        ready!(self.poll_readable(cx));
        let mut pipe = lock(&self.0);
        let taken = pipe.bytes.len().min(buffer.remaining());
        buffer.put_slice(&pipe.bytes.split_to(taken));
        if pipe.bytes.is_empty() {
            pipe.bytes = BytesMut::new();
        }
        pipe.wake();
        Poll::Ready(())
    }

    /// All that there is, as one chunk; `None` at the end.
    pub(crate) fn poll_chunk(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        ready!(self.poll_readable(cx));
        let mut pipe = lock(&self.0);
        let chunk = std::mem::take(&mut pipe.bytes).freeze();
        pipe.wake();
        Poll::Ready((!chunk.is_empty()).then_some(chunk))
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut pipe = lock(&self.0);
        pipe.broken = true;
        pipe.bytes = BytesMut::new();
        pipe.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pipe: &PipeReader) -> Poll<Option<Bytes>> {
        pipe.poll_chunk(&Context::from_waker(Waker::noop()))
    }

    fn write(pipe: &PipeWriter, bytes: &[u8]) -> Poll<Result<usize, io::ErrorKind>> {
        pipe.poll_write(&Context::from_waker(Waker::noop()), bytes).map_err(|error| error.kind())
    }

    #[test]
    fn a_pipe_holds_so_much_and_no_more() {
        let (writer, reader) = pipe();
        assert!(read(&reader).is_pending());
        assert_eq!(write(&writer, &[1; 1000]), Poll::Ready(Ok(1000)));
        assert_eq!(write(&writer, &[2; CAPACITY]), Poll::Ready(Ok(CAPACITY - 1000)));
        assert!(write(&writer, b"more").is_pending());
        assert_eq!(write(&writer, b""), Poll::Ready(Ok(0)));
        assert_eq!(read(&reader), Poll::Ready(Some([vec![1; 1000], vec![2; CAPACITY - 1000]].concat().into())));
        assert_eq!(write(&writer, b"more"), Poll::Ready(Ok(4)));
    }

    #[test]
    fn what_was_written_comes_before_the_end() {
        let (writer, reader) = pipe();
        assert_eq!(write(&writer, b"last words"), Poll::Ready(Ok(10)));
        drop(writer);
        let mut room = [0; 4];
        let mut buffer = ReadBuf::new(&mut room);
        assert!(reader.poll_read(&Context::from_waker(Waker::noop()), &mut buffer).is_ready());
        assert_eq!(buffer.filled(), b"last");
        assert_eq!(read(&reader), Poll::Ready(Some(Bytes::from_static(b" words"))));
        assert_eq!(read(&reader), Poll::Ready(None));
        assert_eq!(read(&reader), Poll::Ready(None));
    }

    #[test]
    fn nobody_reads_any_more() {
        let (writer, reader) = pipe();
        drop(reader);
        assert_eq!(write(&writer, b"hello?"), Poll::Ready(Err(io::ErrorKind::BrokenPipe)));
    }

    /// From one thread to another, in pieces of all sizes.
    #[test]
    fn nothing_is_lost_or_turned_round() {
        let (writer, reader) = pipe();
        let all: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
        let wait = |future: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>| {
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(poll_fn(future));
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (writer, mut rest, mut size) = (writer, &all[..], 1);
                wait(&mut |cx| {
                    while !rest.is_empty() {
                        let taken = ready!(writer.poll_write(cx, &rest[..size.min(rest.len())])).expect("it is read");
                        (rest, size) = (&rest[taken..], size * 7 % 100_003);
                    }
                    Poll::Ready(())
                });
            });
            let mut heard = Vec::new();
            wait(&mut |cx| {
                while let Some(chunk) = ready!(reader.poll_chunk(cx)) {
                    heard.extend_from_slice(&chunk);
                }
                Poll::Ready(())
            });
            assert!(heard == all);
        });
    }
}
