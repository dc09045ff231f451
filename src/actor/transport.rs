//! The stream of one connection, in the clear or under TLS: reading, writing, FIN.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use super::messages::Connected;
use super::roster::Seat;
use super::secure::Secure;
#[cfg(any(feature = "actix-web", feature = "test"))]
use super::stream::{PipeReader, PipeWriter};
use super::stream::{Sink, Source};
use crate::output::Output;
use crate::tls::Info;

/// Pieces in one vectored write.
const SLICES: usize = 32;

/// A write that the socket's buffer most likely takes whole.
const SHORT: usize = 16 << 10;

/// A stream, of TCP as a rule, and its seat at the listener that accepted it.
#[derive(Debug)]
pub(crate) struct Transport {
    read: Source,
    write: Arc<WriteHalf>,
    seat: Seat,
    pub(crate) remote: SocketAddr,
    /// What is known of the TLS session, if there is one.
    pub(crate) tls: Option<Arc<Info>>,
    finished: bool,
}

/// The writing half of a stream, and its TLS session. Written by whoever owns the [`Transport`], unless nothing waits to be written: then
/// also by a [`Scope`](super::scope::Scope), at the end of the handler's turn. Empty once the transport is gone.
#[derive(Debug)]
pub(crate) struct WriteHalf(Mutex<Option<Writer>>);

#[derive(Debug)]
struct Writer {
    stream: Sink,
    secure: Option<Box<Secure>>,
}

impl WriteHalf {
    fn lock(&self) -> MutexGuard<'_, Option<Writer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what the socket takes at once, and tells how much that was. An error is for the owner to find. Under TLS it is all or
    /// nothing, and only of what is contiguous; then `output` must be what is written next.
    pub(crate) fn try_write(&self, output: &Output) -> usize {
        match self.lock().as_mut() {
            Some(Writer { stream, secure: None }) if output.is_contiguous() => stream.try_write(output.front()).unwrap_or(0),
            Some(Writer { stream, secure: None }) => vectored(output, |slices| stream.try_write_vectored(slices)).unwrap_or(0),
            Some(Writer { stream, secure: Some(secure) }) if output.is_contiguous() => secure.try_write(stream, output.front()),
            _ => 0,
        }
    }
}

/// Writes the pieces of `output` together.
fn vectored<T>(output: &Output, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let filled = output.slices(&mut slices);
    write(&slices[..filled])
}

impl Transport {
    /// Of a stream in the clear, or of one whose TLS handshake is complete.
    pub(crate) fn new(stream: TcpStream, remote: SocketAddr, secure: Option<Secure>, seat: Seat) -> Self {
        let tls = secure.as_ref().map(|secure| secure.info.clone());
        let (read, stream) = stream.into_split();
        let writer = Writer { stream: Sink::Tcp(stream), secure: secure.map(Box::new) };
        let write = Arc::new(WriteHalf(Mutex::new(Some(writer))));
        Self { read: Source::Tcp(read), write, seat, remote, tls, finished: false }
    }

    /// Of a connection that is no socket of ours.
    #[cfg(any(feature = "actix-web", feature = "test"))]
    pub(crate) fn of(incoming: PipeReader, outgoing: PipeWriter, seat: Seat, remote: SocketAddr, local: SocketAddr) -> Self {
        let writer = Writer { stream: Sink::Pipe(outgoing), secure: None };
        let write = Arc::new(WriteHalf(Mutex::new(Some(writer))));
        Self { read: Source::Pipe(incoming, local), write, seat, remote, tls: None, finished: false }
    }

    /// What is told of it.
    pub(crate) fn connected(&self) -> io::Result<Connected> {
        Ok(Connected { id: self.seat.id(), remote: self.remote, local: self.read.local_addr()?, tls: self.tls.clone() })
    }

    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    pub(crate) fn write_half(&self) -> &Arc<WriteHalf> {
        &self.write
    }

    /// Whether there may be something to read. Cheap: nothing is asked of the operating system.
    #[inline]
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.secure(|secure| secure.has_input()) {
            return Poll::Ready(Ok(()));
        }
        self.read.poll_readable(cx)
    }

    /// Reads into the room that `buffer` has. 0 is the peer's FIN, or its close_notify.
    #[inline]
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut impl BufMut) -> Poll<io::Result<usize>> {
        if self.tls.is_some()
            && let Some(Writer { stream, secure: Some(secure) }) = self.write.lock().as_mut()
        {
            return secure.poll_read(&mut self.read, stream, cx, buffer);
        }
        poll_read_buf(Pin::new(&mut self.read), cx, buffer)
    }

    /// Whether the stream has ended without a close_notify (RFC 8446 §6.1): what seems to be its end may not be.
    pub(crate) fn is_truncated(&self) -> bool {
        self.secure(|secure| secure.truncated())
    }

    /// Whether something has come since the last time that is not to be read yet: a part of a record. A sign of life all the same.
    pub(crate) fn has_stirred(&self) -> bool {
        self.secure(Secure::has_stirred)
    }

    /// Asks the session, if there is one.
    fn secure(&self, ask: impl FnOnce(&mut Secure) -> bool) -> bool {
        self.tls.is_some() && self.write.lock().as_mut().and_then(|writer| writer.secure.as_deref_mut()).is_some_and(ask)
    }

    /// Writes as much as the socket takes. Ready when nothing is left, or with the error that ends the connection; `progress` tells
    /// whether anything was taken.
    #[inline]
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, output: &mut Output, progress: &mut bool) -> Poll<io::Result<()>> {
        let mut write = self.write.lock();
        let Some(Writer { stream, secure }) = write.as_mut() else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        if let Some(secure) = secure {
            return secure.poll_write(stream, cx, output, progress);
        }
        // The most frequent case, without asking the runtime's leave.
        if output.is_contiguous()
            && output.len() <= SHORT
            && let Ok(written @ 1..) = stream.try_write(output.front())
        {
            *progress = true;
            output.advance(written);
        }
        while !output.is_empty() {
            let written = if output.is_contiguous() {
                ready!(Pin::new(&mut *stream).poll_write(cx, output.front()))?
            } else {
                ready!(vectored(output, |slices| Pin::new(&mut *stream).poll_write_vectored(cx, slices)))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *progress = true;
            output.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends FIN, once; under TLS a close_notify before it. To be called again when the task is woken, until it has.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) {
        if self.finished {
            return;
        }
        if let Some(Writer { stream, secure }) = self.write.lock().as_mut() {
            if let Some(secure) = secure
                && secure.poll_close(stream, cx).is_pending()
            {
                return;
            }
            let _ = Pin::new(stream).poll_shutdown(cx);
        }
        self.finished = true;
    }

    /// The stream, when it is dropped, says no FIN but a reset (RFC 9293 §3.10.7.4): of TCP.
    pub(crate) fn reset(&mut self) {
        if let Source::Tcp(tcp) = &self.read {
            let stream: &TcpStream = tcp.as_ref();
            if let Err(error) = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO)) {
                tracing::debug!(%error, "the connection ends with a FIN in place of a reset");
            }
            // Its writing half would say FIN as it is dropped.
            if let Some(Writer { stream: Sink::Tcp(write), .. }) = self.write.lock().take() {
                write.forget();
            }
        }
    }

    /// Writes these bytes if the socket takes them at once: the last words of a connection whose arbiter stops.
    pub(crate) fn last_words(&mut self, output: &mut Output, words: &[u8]) {
        if output.is_empty() && !self.finished {
            output.put(words);
            self.write.try_write(output);
        }
    }
}

impl Drop for Transport {
    /// The stream is closed now, whoever still knows of its writing half.
    fn drop(&mut self) {
        drop(self.write.lock().take());
    }
}
