//! A stream under TLS that is taken for a stream: what leads to a proxy that is itself under TLS, and has the TLS of the host in it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::address::Address;
use super::secure::Secure;
use super::stream::{Sink, Source, Stream};

/// Both halves of it.
#[derive(Clone, Debug)]
pub(crate) struct Veil(Arc<Mutex<Veiled>>);

#[derive(Debug)]
struct Veiled {
    read: Source,
    write: Sink,
    secure: Secure,
}

impl Veil {
    /// This stream, whose TLS handshake is complete.
    pub(crate) fn new(stream: Stream, secure: Secure) -> Self {
        let (read, write) = stream.into_split();
        Self(Arc::new(Mutex::new(Veiled { read, write, secure })))
    }

    fn lock(&self) -> MutexGuard<'_, Veiled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn local_addr(&self) -> io::Result<Address> {
        self.lock().read.local_addr()
    }

    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut veiled = self.lock();
        if veiled.secure.has_input() { Poll::Ready(Ok(())) } else { veiled.read.poll_readable(cx) }
    }

    /// An end without a close_notify is none that was meant (RFC 8446 §6.1): nobody above can tell.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, mut buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut veiled = self.lock();
        let Veiled { read, write, secure } = &mut *veiled;
        match ready!(secure.poll_read(read, write, cx, &mut buffer))? {
            0 if secure.truncated() => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Ready with the number of bytes whose ciphertext has left. Until then they must be what is written next.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut veiled = self.lock();
        let Veiled { write, secure, .. } = &mut *veiled;
        secure.poll_write_front(write, cx, bytes)
    }

    /// The same of what is taken at once.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut veiled = self.lock();
        let Veiled { write, secure, .. } = &mut *veiled;
        match secure.try_write(write, bytes) {
            0 if !bytes.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            taken => Ok(taken),
        }
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut veiled = self.lock();
        let Veiled { write, secure, .. } = &mut *veiled;
        ready!(secure.poll_close(write, cx))?;
        tokio::io::AsyncWrite::poll_shutdown(std::pin::Pin::new(write), cx)
    }
}
