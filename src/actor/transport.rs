//! The stream of one connection, in the clear or under TLS: reading, writing, FIN.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use tokio::io::AsyncWrite;
use tokio_util::io::poll_read_buf;

use super::address::Address;
use super::messages::Connected;
#[cfg(feature = "test")]
use super::network::{WireReader, WireWriter};
#[cfg(any(feature = "actix-web", feature = "test"))]
use super::pipe::{PipeReader, PipeWriter};
use super::proxied::Proxied;
use super::roster::Seat;
use super::secure::Secure;
use super::stream::{Sink, Source, Stream};
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
    pub(crate) remote: Address,
    pub(crate) proxied: Option<Arc<Proxied>>,
    /// What is known of the TLS session, if there is one.
    pub(crate) tls: Option<Arc<Info>>,
    finished: bool,
    /// Bytes read, without what TLS adds.
    received: u64,
}

/// The writing half of a stream, and its TLS session. Written by whoever owns the [`Transport`], unless nothing waits to be written: then
/// also by a [`Scope`](super::scope::Scope), at the end of the handler's turn. Empty once the transport is gone.
#[derive(Debug)]
pub(crate) struct WriteHalf(Mutex<Option<Writer>>);

#[derive(Debug)]
struct Writer {
    stream: Sink,
    secure: Option<Box<Secure>>,
    /// Bytes written, without what TLS adds.
    sent: u64,
}

impl WriteHalf {
    fn lock(&self) -> MutexGuard<'_, Option<Writer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what the socket takes at once, and tells how much that was. An error is for the owner to find. Under TLS it is all or
    /// nothing, and only of what is contiguous; then `output` must be what is written next.
    pub(crate) fn try_write(&self, output: &Output) -> usize {
        let mut writer = self.lock();
        let Some(Writer { stream, secure, sent }) = writer.as_mut() else { return 0 };
        let written = match secure {
            None if output.is_contiguous() => stream.try_write(output.front()).unwrap_or(0),
            None => vectored(output, |slices| stream.try_write_vectored(slices)).unwrap_or(0),
            Some(secure) if output.is_contiguous() => secure.try_write(stream, output.front()),
            Some(_) => 0,
        };
        *sent += written as u64;
        written
    }
}

/// Writes the pieces of `output` together.
fn vectored<T>(output: &Output, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let filled = output.slices(&mut slices);
    write(&slices[..filled])
}

/// Writes until nothing is left, or the stream takes no more.
#[inline(never)]
fn write_all(stream: &mut Sink, sent: &mut u64, cx: &mut Context<'_>, output: &mut Output, progress: &mut bool) -> Poll<io::Result<()>> {
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
        *sent += written as u64;
        output.advance(written);
    }
    Poll::Ready(Ok(()))
}

impl Transport {
    /// Of a stream in the clear, or of one whose TLS handshake is complete.
    pub(crate) fn new(stream: Stream, remote: Address, secure: Option<Secure>, seat: Seat) -> Self {
        let tls = secure.as_ref().map(|secure| secure.info.clone());
        let (read, stream) = stream.into_split();
        let writer = Writer { stream, secure: secure.map(Box::new), sent: 0 };
        let write = Arc::new(WriteHalf(Mutex::new(Some(writer))));
        Self { read, write, seat, remote, proxied: None, tls, finished: false, received: 0 }
    }

    /// The same, by way of a proxy.
    pub(crate) fn behind(mut self, proxied: Option<Arc<Proxied>>) -> Self {
        self.proxied = proxied;
        self
    }

    /// The same, of which so much has been read already.
    pub(crate) fn after(mut self, read: usize) -> Self {
        self.received += read as u64;
        self
    }

    /// Of a connection that is no socket of ours.
    #[cfg(any(feature = "actix-web", feature = "test"))]
    pub(crate) fn of(incoming: PipeReader, outgoing: PipeWriter, seat: Seat, remote: Address, local: Address) -> Self {
        Self::in_memory(Source::Pipe(incoming, local), Sink::Pipe(outgoing), seat, remote)
    }

    /// Over a network that is none.
    #[cfg(feature = "test")]
    pub(crate) fn over(incoming: WireReader, outgoing: WireWriter, seat: Seat, remote: Address, local: Address) -> Self {
        Self::in_memory(Source::Wire(incoming, local), Sink::Wire(outgoing), seat, remote)
    }

    #[cfg(any(feature = "actix-web", feature = "test"))]
    fn in_memory(read: Source, stream: Sink, seat: Seat, remote: Address) -> Self {
        let writer = Writer { stream, secure: None, sent: 0 };
        let write = Arc::new(WriteHalf(Mutex::new(Some(writer))));
        Self { read, write, seat, remote, proxied: None, tls: None, finished: false, received: 0 }
    }

    /// What is told of it.
    pub(crate) fn connected(&self) -> io::Result<Connected> {
        Ok(Connected {
            id: self.seat.id(),
            remote: self.remote.clone(),
            local: self.read.local_addr()?,
            tls: self.tls.clone(),
            proxied: self.proxied.clone(),
        })
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
        let read = if self.tls.is_some()
            && let Some(Writer { stream, secure: Some(secure), .. }) = self.write.lock().as_mut()
        {
            secure.poll_read(&mut self.read, stream, cx, buffer)
        } else {
            poll_read_buf(Pin::new(&mut self.read), cx, buffer)
        };
        if let Poll::Ready(Ok(n)) = read {
            self.received += n as u64;
        }
        read
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
    #[inline]
    fn secure(&self, ask: fn(&mut Secure) -> bool) -> bool {
        self.tls.is_some() && self.ask_session(ask)
    }

    #[inline(never)]
    fn ask_session(&self, ask: fn(&mut Secure) -> bool) -> bool {
        self.write.lock().as_mut().and_then(|writer| writer.secure.as_deref_mut()).is_some_and(ask)
    }

    /// Writes as much as the socket takes. Ready when nothing is left, or with the error that ends the connection; `progress` tells
    /// whether anything was taken.
    #[inline]
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, output: &mut Output, progress: &mut bool) -> Poll<io::Result<()>> {
        let mut write = self.write.lock();
        let Some(Writer { stream, secure, sent }) = write.as_mut() else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        if let Some(secure) = secure {
            let before = output.written();
            let written = secure.poll_write(stream, cx, output, progress);
            *sent += output.written() - before;
            return written;
        }
        // The most frequent case, without asking the runtime's leave.
        if output.is_contiguous()
            && output.len() <= SHORT
            && let Ok(written @ 1..) = stream.try_write(output.front())
        {
            *progress = true;
            *sent += written as u64;
            output.advance(written + usize::from(planted!(ByteLostAtPartialWrite) && written < output.len()));
        }
        if output.is_empty() { Poll::Ready(Ok(())) } else { write_all(stream, sent, cx, output, progress) }
    }

    /// Sends FIN, once; under TLS a close_notify before it. To be called again when the task is woken, until it has.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) {
        if self.finished {
            return;
        }
        if let Some(Writer { stream, secure, .. }) = self.write.lock().as_mut() {
            if let Some(secure) = secure
                && secure.poll_close(stream, cx).is_pending()
            {
                return;
            }
            let _ = Pin::new(stream).poll_shutdown(cx);
        }
        self.finished = true;
    }

    /// The socket once more, if it is one: to see how it stands, without being woken for what is not read.
    #[cfg(unix)]
    pub(crate) fn socket(&self) -> Option<io::Result<super::watch::Socket>> {
        self.read.socket()
    }

    /// The stream, when it is dropped, says no FIN but a reset (RFC 9293 §3.10.7.4): of TCP.
    pub(crate) fn reset(&mut self) {
        if let Source::Tcp(tcp) = &self.read {
            let stream: &tokio::net::TcpStream = tcp.as_ref();
            if let Err(error) = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO)) {
                tracing::debug!(%error, "the connection ends with a FIN in place of a reset");
            }
            // Its writing half would say FIN as it is dropped.
            if let Some(Writer { stream: Sink::Tcp(write), sent, .. }) = self.write.lock().take() {
                write.forget();
                self.seat.counters().bytes(0, sent);
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
        let writer = self.write.lock().take();
        let sent = writer.as_ref().map_or(0, |writer| writer.sent);
        self.seat.counters().bytes(self.received, sent);
        drop(writer);
    }
}
