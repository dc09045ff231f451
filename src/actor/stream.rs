//! What a transport reads and writes: the halves of a TCP stream; or, where there is no socket, chunks that come in and a pipe that leads out.
//!
//! The latter is how a websocket lives inside another server, which reads and writes for it, and how one lives in a test.

#![cfg_attr(not(any(feature = "actix-web", feature = "test")), allow(dead_code, reason = "without them there are sockets only"))]

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// What a pipe holds at most.
const CAPACITY: usize = 64 << 10;

/// Where bytes come from.
#[derive(Debug)]
pub(crate) enum Source {
    Tcp(OwnedReadHalf),
    Chunks(Chunks),
}

/// Where bytes go.
#[derive(Debug)]
pub(crate) enum Sink {
    Tcp(OwnedWriteHalf),
    Pipe(PipeWriter),
}

impl Source {
    /// Whether there may be something to read. Of TCP it is cheap: nothing is asked of the operating system.
    #[inline]
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.as_ref().poll_read_ready(cx),
            Self::Chunks(chunks) => chunks.poll_chunk(cx).map_ok(drop),
        }
    }
}

impl AsyncRead for Source {
    #[inline]
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Chunks(chunks) => {
                let chunk = ready!(chunks.poll_chunk(cx))?;
                buffer.put_slice(&chunk.split_to(chunk.len().min(buffer.remaining())));
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl Sink {
    /// Writes what is taken at once.
    #[inline]
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_write(bytes),
            Self::Pipe(pipe) => pipe.try_write(bytes),
        }
    }
}

impl AsyncWrite for Sink {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Pipe(pipe) => pipe.poll_write(cx, bytes),
        }
    }

    #[inline]
    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            // The output has been asked for something that is not empty.
            Self::Pipe(pipe) => pipe.poll_write(cx, slices.iter().find(|slice| !slice.is_empty()).map_or(&[], |slice| slice)),
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
            Self::Pipe(pipe) => {
                pipe.lock().end();
                Poll::Ready(Ok(()))
            }
        }
    }
}

/// Chunks that come, and what is left of the last.
pub(crate) struct Chunks {
    /// `None` behind its end.
    stream: Option<Pin<Box<dyn Stream<Item = io::Result<Bytes>>>>>,
    rest: Bytes,
}

impl Chunks {
    pub(crate) fn new(stream: impl Stream<Item = io::Result<Bytes>> + 'static) -> Self {
        Self { stream: Some(Box::pin(stream)), rest: Bytes::new() }
    }

    /// What comes next: empty at the end.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut Bytes>> {
        while self.rest.is_empty()
            && let Some(stream) = &mut self.stream
        {
            match ready!(stream.as_mut().poll_next(cx)) {
                Some(chunk) => self.rest = chunk?,
                None => self.stream = None,
            }
        }
        Poll::Ready(Ok(&mut self.rest))
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").field("rest", &self.rest.len()).finish_non_exhaustive()
    }
}

/// A pipe: what is written at one end comes out as chunks at the other. It holds 64 KiB; who writes more waits.
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

    pub(crate) fn poll_write(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut pipe = self.lock();
        match pipe.put(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => pipe.wait(cx),
            written => Poll::Ready(written),
        }
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.lock().end();
    }
}

#[derive(Debug)]
pub(crate) struct PipeReader(Arc<Mutex<Pipe>>);

impl Stream for PipeReader {
    type Item = io::Result<Bytes>;

    /// All that there is, as one chunk.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut pipe = lock(&self.0);
        if !pipe.bytes.is_empty() {
            let chunk = std::mem::take(&mut pipe.bytes).freeze();
            pipe.wake();
            return Poll::Ready(Some(Ok(chunk)));
        }
        if pipe.ended { Poll::Ready(None) } else { pipe.wait(cx) }
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
