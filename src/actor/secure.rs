//! A stream under TLS: the session between the stream and everything above it.
//!
//! Plaintext that is sealed stays in its [`Output`] until its ciphertext has left: what is unsent is counted, and acknowledged, as it is in
//! the clear. Little is sealed ahead, so that a peer which does not read has us keep no more than that.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::io::poll_read_buf;

use super::buffers::{self, READ};
use super::called::Called;
use super::roster::Seat;
use super::stream::{Sink, Source, Stream};
use crate::output::Output;
pub(crate) use crate::tls::Session;
use crate::tls::{Info, Plain, TlsError};

/// What sessions of a listener are made from.
pub(crate) type Acceptor = crate::tls::Server;
/// What sessions of a client are made from.
pub(crate) type Connector = crate::tls::Client;

/// The longest plaintext of a record (RFC 8446 §5.1).
const RECORD: usize = 16 << 10;
/// How much plaintext is sealed ahead of the stream.
const AHEAD: usize = 48 << 10;
/// With more ciphertext than this waiting, nothing is read: else a peer could have us answer its key updates without end.
const FULL: usize = 2 * AHEAD;
/// How long is read on behind a handshake that has failed.
const LINGER: Duration = Duration::from_secs(1);

thread_local! {
    /// Where a record is opened, before its plaintext goes where it belongs.
    static OPENED: RefCell<Box<[u8]>> = RefCell::new(vec![0; RECORD].into());
    /// Where ciphertext is read.
    static SEALED: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// A session whose handshake is complete.
#[derive(Debug)]
pub(crate) struct Secure {
    session: Session,
    pub(crate) info: Arc<Info>,
    /// So much of the plaintext at the front of the output is sealed.
    sealed: usize,
    /// What has ended the session: every read from then on finds it, as FIN is found in the clear, though the stream wakes nobody for it.
    end: Option<Result<Plain, TlsError>>,
    /// Ciphertext has come since the last time that somebody asked.
    stirred: bool,
    /// The peer's FIN has come without a close_notify.
    truncated: bool,
    closed: bool,
    /// Ciphertext has left since the last write.
    moved: usize,
}

impl Secure {
    /// Whether there is something to be read although the stream has nothing.
    pub(crate) fn has_input(&self) -> bool {
        self.end.is_some() || self.session.has_input()
    }

    /// Whether ciphertext has come since the last time, be it a part of a record only.
    pub(crate) fn has_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }

    pub(crate) fn truncated(&self) -> bool {
        self.truncated
    }

    /// As [`Transport::poll_read`](super::transport::Transport::poll_read).
    #[inline(never)]
    pub(crate) fn poll_read(
        &mut self,
        read: &mut Source,
        write: &mut Sink,
        cx: &mut Context<'_>,
        buffer: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        let room = buffer.chunk_mut().len();
        loop {
            let opened = self.open(room, buffer);
            // Alerts, tickets, key updates. What the stream does not take now, it will when it wakes us.
            let flushed = self.poll_flush(write, cx);
            match opened {
                Ok(Plain::Wanting) => {}
                Ok(Plain::Bytes(n)) => return Poll::Ready(Ok(n)),
                Ok(Plain::End) => return Poll::Ready(Ok(0)),
                Err(error) => return Poll::Ready(Err(io::Error::other(error))),
            }
            if flushed.is_pending() && self.session.outgoing().len() > FULL {
                return Poll::Pending;
            }
            let mut sealed = SEALED.take();
            sealed.reserve(READ);
            // Plaintext is never longer than its ciphertext: what is read now has room.
            let got = poll_read_buf(Pin::new(&mut *read), cx, &mut (&mut sealed).limit(room.max(RECORD)));
            if !matches!(got, Poll::Ready(Ok(1..))) {
                SEALED.set(sealed);
                self.truncated = matches!(got, Poll::Ready(Ok(0)));
                return got;
            }
            self.stirred = true;
            *self.session.incoming() = sealed;
        }
    }

    /// Opens what was read, as far as there is room.
    fn open(&mut self, room: usize, buffer: &mut impl BufMut) -> Result<Plain, TlsError> {
        if let Some(end) = &self.end {
            return end.clone();
        }
        let mut total = 0;
        let end = OPENED.with_borrow_mut(|opened| {
            // Nothing is asked of a session that has nothing: a vain question is as dear as a small record.
            while total < room && self.session.has_input() {
                let want = RECORD.min(room - total);
                match self.session.read(&mut opened[..want])? {
                    Plain::Bytes(n) => {
                        buffer.put_slice(&opened[..n]);
                        total += n;
                    }
                    other => return Ok(other),
                }
            }
            Ok(Plain::Wanting)
        });
        let mut rest = std::mem::take(self.session.incoming());
        if rest.is_empty() {
            if rest.capacity() > 0 {
                rest.clear();
                SEALED.set(rest);
            }
        } else {
            *self.session.incoming() = BytesMut::from(&rest[..]);
        }
        self.end = Some(end).filter(|end| *end != Ok(Plain::Wanting));
        match &self.end {
            Some(end) if total == 0 => end.clone(),
            None if total == 0 => Ok(Plain::Wanting),
            _ => Ok(Plain::Bytes(total)),
        }
    }

    /// As [`Transport::poll_write`](super::transport::Transport::poll_write).
    #[inline(never)]
    pub(crate) fn poll_write(
        &mut self,
        write: &mut Sink,
        cx: &mut Context<'_>,
        output: &mut Output,
        progress: &mut bool,
    ) -> Poll<io::Result<()>> {
        loop {
            let flushed = self.poll_flush(write, cx);
            let moved = std::mem::take(&mut self.moved);
            *progress |= moved > 0;
            output.take_ahead(moved.min(self.sealed));
            ready!(flushed)?;
            output.advance(std::mem::take(&mut self.sealed).min(output.len()));
            if output.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let mut slices = [io::IoSlice::new(&[]); 32];
            let filled = output.slices(&mut slices);
            for slice in &slices[..filled] {
                let part = &slice[..slice.len().min(AHEAD - self.sealed)];
                self.seal(part)?;
                if self.sealed == AHEAD {
                    break;
                }
            }
        }
    }

    /// Seals `plain`, and writes it if the stream takes all of it at once: tells how much that was. What it does not take stays sealed, for
    /// `plain` to be the front of the output when that is written next.
    pub(crate) fn try_write(&mut self, write: &Sink, plain: &[u8]) -> usize {
        if self.sealed > 0 || !self.session.outgoing().is_empty() || self.seal(&plain[..plain.len().min(AHEAD)]).is_err() {
            return 0;
        }
        let outgoing = self.session.outgoing();
        let written = write.try_write(outgoing).unwrap_or(0);
        outgoing.advance(written);
        if !outgoing.is_empty() {
            return 0;
        }
        self.rest();
        std::mem::take(&mut self.sealed)
    }

    /// Writes the front of `plain`, and tells how much of it when all its ciphertext has left: until then, `plain` is to begin with the same bytes.
    pub(crate) fn poll_write_front(&mut self, write: &mut Sink, cx: &mut Context<'_>, plain: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(write, cx))?;
        if self.sealed == 0 {
            self.seal(&plain[..plain.len().min(AHEAD)])?;
            ready!(self.poll_flush(write, cx))?;
        }
        Poll::Ready(Ok(std::mem::take(&mut self.sealed).min(plain.len())))
    }

    fn seal(&mut self, plain: &[u8]) -> io::Result<()> {
        if self.session.outgoing().capacity() == 0 {
            *self.session.outgoing() = buffers::take_write();
        }
        self.session.write(plain).map_err(io::Error::other)?;
        self.sealed += plain.len();
        Ok(())
    }

    /// Writes the ciphertext that there is.
    fn poll_flush(&mut self, write: &mut Sink, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outgoing = self.session.outgoing();
        while !outgoing.is_empty() {
            let written = ready!(Pin::new(&mut *write).poll_write(cx, outgoing))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.moved += written;
            outgoing.advance(written);
        }
        self.rest();
        Poll::Ready(Ok(()))
    }

    /// A session at rest owns no buffer.
    fn rest(&mut self) {
        let outgoing = std::mem::take(self.session.outgoing());
        if outgoing.capacity() > 0 {
            buffers::give_write(outgoing);
        }
    }

    /// Says close_notify. Ready when it, and all before it, is written.
    pub(crate) fn poll_close(&mut self, write: &mut Sink, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.closed, true) {
            self.session.close();
        }
        self.poll_flush(write, cx)
    }
}

/// A stream under TLS, and its seat.
pub(crate) type Secured = (Stream, Secure, Seat);

/// Makes the handshake on a new stream, in time. What was read of it already comes first.
pub(crate) async fn handshake(
    mut stream: Stream,
    mut session: Session,
    unread: BytesMut,
    seat: Seat,
    within: Duration,
) -> Result<Secured, TlsError> {
    *session.incoming() = unread;
    let called = Arc::new(Called::default());
    seat.take(&called);
    let shaken = match called.unless(timeout(within, shake(&mut stream, session))).await {
        Some(shaken) => shaken.unwrap_or(Err(TlsError::Timeout)),
        None => Err(TlsError::Handshake("we are shutting down".to_owned())),
    };
    match shaken {
        Ok(secure) => Ok((stream, secure, seat)),
        Err(error) => {
            if !matches!(error, TlsError::Timeout | TlsError::Truncated) {
                actix_rt::spawn(linger(stream, seat, called));
            }
            Err(error)
        }
    }
}

async fn shake(stream: &mut Stream, mut session: Session) -> Result<Secure, TlsError> {
    let broken = |error: io::Error| TlsError::Handshake(error.to_string());
    let mut first = session.incoming().first().copied();
    loop {
        let shaken = session.handshake();
        if shaken == Err(TlsError::NotTls) {
            session.outgoing().clear();
            if first.is_some_and(|byte: u8| byte.is_ascii_uppercase()) {
                session.outgoing().extend_from_slice(PLAIN);
            }
        }
        let written = stream.write_all_buf(session.outgoing()).await;
        if shaken? {
            written.map_err(broken)?;
            *session.outgoing() = BytesMut::new();
            let info = Arc::new(session.info());
            let (end, stirred, truncated, closed, moved) = Default::default();
            return Ok(Secure { session, info, sealed: 0, end, stirred, truncated, closed, moved });
        }
        let incoming = session.incoming();
        incoming.reserve(RECORD);
        match stream.read_buf(incoming).await.map_err(broken)? {
            0 => return Err(TlsError::Truncated),
            _ => first = first.or(incoming.first().copied()),
        }
    }
}

/// Reads on for a while behind a handshake that has failed: a reset would overtake what the peer was told of it.
async fn linger(mut stream: Stream, seat: Seat, called: Arc<Called>) {
    let _ = stream.shutdown().await;
    let ignored = async {
        let (mut ignored, mut left) = ([0; 4096], READ);
        while let Ok(n @ 1..) = stream.read(&mut ignored).await
            && left > 0
        {
            left = left.saturating_sub(n);
        }
    };
    let _ = called.unless(timeout(LINGER, ignored)).await;
    drop(seat);
}

/// What is said to somebody who speaks HTTP where TLS is spoken.
const PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 51\r\nconnection: close\r\n\r\n\
    This port speaks TLS: ask for https:// or wss://.\r\n";
