//! The stream of one connection: what is read and written, and the buffers of the arbiter that it is read and written through.
//!
//! A connection at rest owns no buffer. Reading goes to a buffer that the arbiter keeps; what is decoded from it are slices of it, and
//! it is used again from the start when the last of them has been dropped. Writing is put together in another one; what the socket does
//! not take is kept by the connection, in memory of its own size.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::io::poll_read_buf;

use super::roster::Seat;
use crate::output::Output;

/// How much is read at most in one go.
pub(crate) const READ: usize = 64 << 10;
/// With less room than this, a read buffer is spent.
const ROOM: usize = 16 << 10;
/// Spent read buffers that are kept until what was decoded from them is dropped.
const RESTING: usize = 8;
/// Write buffers that are kept, and how large they may be; how large they are at first.
const WRITERS: usize = 16;
const WRITE: usize = 64 << 10;
const FIRST: usize = 8 << 10;
/// Pieces in one vectored write.
const SLICES: usize = 32;

/// A TCP stream, and its seat at the listener that accepted it.
#[derive(Debug)]
pub(crate) struct Transport {
    read: OwnedReadHalf,
    write: Arc<WriteHalf>,
    seat: Seat,
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
    finished: bool,
}

/// The writing half of a stream. Written by whoever owns the [`Transport`], unless nothing waits to be written: then also by a
/// [`Scope`](super::scope::Scope), at the end of the handler's turn. Empty once the transport is gone.
#[derive(Debug)]
pub(crate) struct WriteHalf(Mutex<Option<OwnedWriteHalf>>);

impl WriteHalf {
    fn lock(&self) -> MutexGuard<'_, Option<OwnedWriteHalf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what the socket takes at once, and tells how much that was. An error is for the owner to find.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> usize {
        self.lock().as_ref().and_then(|stream| stream.try_write(bytes).ok()).unwrap_or(0)
    }
}

impl Transport {
    pub(crate) fn new(stream: TcpStream, seat: Seat) -> io::Result<Self> {
        let (remote, local) = (stream.peer_addr()?, stream.local_addr()?);
        let (read, write) = stream.into_split();
        let write = Arc::new(WriteHalf(Mutex::new(Some(write))));
        Ok(Self { read, write, seat, remote, local, finished: false })
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
        self.read.as_ref().poll_read_ready(cx)
    }

    /// Reads into the room that `buffer` has. 0 is the peer's FIN.
    #[inline]
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut impl BufMut) -> Poll<io::Result<usize>> {
        poll_read_buf(Pin::new(&mut self.read), cx, buffer)
    }

    /// Writes as much as the socket takes. Ready when nothing is left, or with the error that ends the connection; `progress` tells
    /// whether anything was taken.
    #[inline]
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, output: &mut Output, progress: &mut bool) -> Poll<io::Result<()>> {
        let mut write = self.write.lock();
        let Some(stream) = write.as_mut() else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        while !output.is_empty() {
            let written = if output.is_contiguous() {
                ready!(Pin::new(&mut *stream).poll_write(cx, output.front()))?
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let filled = output.slices(&mut slices);
                ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..filled]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *progress = true;
            output.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends FIN, once.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.finished, true)
            && let Some(stream) = self.write.lock().as_mut()
        {
            let _ = Pin::new(stream).poll_shutdown(cx);
        }
    }

    /// Writes these bytes if the socket takes them at once: the last words of a connection whose arbiter stops.
    pub(crate) fn last_words(&mut self, output: &mut Output, words: &[u8]) {
        if output.is_empty() && !self.finished {
            self.write.try_write(words);
        }
    }
}

impl Drop for Transport {
    /// The stream is closed now, whoever still knows of its writing half.
    fn drop(&mut self) {
        drop(self.write.lock().take());
    }
}

/// The buffers of one arbiter.
struct Buffers {
    read: BytesMut,
    resting: Vec<BytesMut>,
    write: Vec<BytesMut>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> =
        RefCell::new(Buffers { read: BytesMut::new(), resting: Vec::new(), write: Vec::new() });
}

/// Takes the arbiter's read buffer: empty, with room. To be [given back](give_read_buffer).
#[inline]
pub(crate) fn take_read_buffer() -> BytesMut {
    BUFFERS.with_borrow_mut(|buffers| {
        let mut buffer = std::mem::take(&mut buffers.read);
        if buffer.capacity() - buffer.len() >= ROOM || buffer.try_reclaim(READ) {
            return buffer;
        }
        if buffers.resting.len() == RESTING {
            buffers.resting.remove(0);
        }
        if buffer.capacity() > 0 {
            buffers.resting.push(buffer);
        }
        match buffers.resting.iter_mut().position(|buffer| buffer.try_reclaim(READ)) {
            Some(at) => buffers.resting.swap_remove(at),
            None => BytesMut::with_capacity(READ),
        }
    })
}

#[inline]
pub(crate) fn give_read_buffer(mut buffer: BytesMut) {
    buffer.clear();
    BUFFERS.with_borrow_mut(|buffers| buffers.read = buffer);
}

/// Lends one of the arbiter's write buffers to `output`, unless it has a buffer.
#[inline]
pub(crate) fn lend_write_buffer(output: &mut Output) {
    if output.has_buffer() {
        return;
    }
    let kept = BUFFERS.with_borrow_mut(|buffers| buffers.write.pop());
    output.lend_buffer(kept.unwrap_or_else(|| BytesMut::with_capacity(FIRST)));
}

/// Takes the write buffer back. What waits in it stays with the connection, in memory of its own size.
#[inline]
pub(crate) fn take_write_buffer(output: &mut Output) {
    let Some(mut buffer) = output.take_buffer() else { return };
    // A buffer of which slices are out, or that a partial write has moved along, is whole again or it is not kept.
    if buffer.capacity() >= FIRST || buffer.try_reclaim(FIRST) {
        BUFFERS.with_borrow_mut(|buffers| {
            if buffer.capacity() <= WRITE && buffers.write.len() < WRITERS {
                buffers.write.push(buffer);
            }
        });
    }
}
