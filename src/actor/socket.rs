//! The sender of a websocket's messages.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::line::{Ack, Line};
use super::scope::Scope;
use crate::stage::{Close, Command, Dropped, Drops, Key, Keyed};
use crate::websocket::Frame;

/// The name of a connection: unique in this process, the same before and after an upgrade.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(u64);

impl SocketId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A websocket, to be talked to: the `sender` of a [`Received<Frame>`](super::Received).
///
/// It takes a [`Frame`] or a [`Close`], from any thread, at any time; once the websocket is closed they go nowhere. It can be cloned,
/// kept, compared and hashed: two are equal when they are the same connection's.
///
/// The sender that came with a frame also stands for the frame's bytes: "the message is in hand as long as you hold its sender". While
/// more than the window (256 KiB) is in hand, nothing more is read and the peer feels TCP's own back-pressure. A clone stands for
/// nothing: keep a clone, not the original, if you want to keep a way to answer and not the pressure.
///
/// What an HTTP connection takes, a websocket does not:
///
/// ```compile_fail
/// # use actix_sockets::{Socket, HttpResponse};
/// fn answer(socket: &Socket, response: HttpResponse) {
///     socket.do_send(response);
/// }
/// ```
pub struct Socket {
    /// `None` only while it is dropped.
    line: Option<Arc<Line>>,
    credit: usize,
}

impl Socket {
    #[inline]
    pub(crate) fn new(line: Arc<Line>, credit: usize) -> Self {
        Self { line: Some(line), credit }
    }

    /// The connection's name.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.line().id()
    }

    /// Sends a [`Frame`] or a [`Close`], and forgets it. In one actor's turn as many as wanted: they leave in one write.
    ///
    /// A frame offered while less than the hard limit (1 MiB) is unsent is taken whole; one offered at or above it meets the
    /// [policy](super::WebSocketSettings::overflow), which is to close the websocket with 1008 unless it was said to drop something. A control frame
    /// may pass the limit as far as one data frame may; one that finds no room there is not sent, and nothing is closed for it. So no more than the hard
    /// limit and one frame is ever unsent. A Close always finds room.
    #[inline]
    pub fn do_send(&self, message: impl Into<Outgoing>) {
        let Outgoing { command, key } = message.into();
        if key.is_some() {
            let _ = self.queue(command, key, None, true);
            return;
        }
        if let Some(command) = Scope::send(self.line(), command) {
            let _ = self.line().push(command, None, true);
        }
    }

    /// Sends a [`Frame`] or a [`Close`], and is answered when it has been written to the socket.
    ///
    /// The future need not be awaited for it to be sent.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the connection ended first, [`SendError::Full`] when it met the hard limit, [`SendError::Dropped`] when the policy of
    /// that limit has dropped it, now or while it waited.
    pub fn send(&self, message: impl Into<Outgoing>) -> Sending {
        let (ack, written) = oneshot::channel();
        let Outgoing { command, key } = message.into();
        match self.queue(command, key, Some(ack), true) {
            Ok(_) => Sending(Ok(written)),
            Err(error) => Sending(Err(error)),
        }
    }

    /// Sends a [`Frame`] or a [`Close`] if there is room for it: the policy of the hard limit is not applied. Tells whether there is room for more.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] or [`SendError::Full`], or [`SendError::Dropped`] for the rest of a message whose beginning was; nothing was sent then.
    pub fn try_send(&self, message: impl Into<Outgoing>) -> Result<SendStatus, SendError> {
        let Outgoing { command, key } = message.into();
        if key.is_some() {
            return self.queue(command, key, None, false);
        }
        match Scope::send(self.line(), command) {
            None => Ok(self.line().status(self.buffered_amount())),
            Some(command) => self.line().push(command, None, false),
        }
    }

    /// By the queue, whatever it is.
    #[inline(never)]
    fn queue(&self, command: Command, key: Option<Box<Key>>, ack: Option<Ack>, policy: bool) -> Result<SendStatus, SendError> {
        Scope::leave(self.line());
        self.line().push_by_policy(command, key.map(|key| *key), ack, policy)
    }

    /// How many of the frames sent were dropped by the policy of the hard limit, by whomever they were sent. It can be asked behind the end, too.
    #[must_use]
    pub fn drops(&self) -> Drops {
        self.line().drops()
    }

    /// Bytes that were sent and are not yet written to the socket. What is not encoded yet counts as
    /// [`unsent_limits`](crate::WebSocketSettings::unsent_limits) says: 64 bytes a message, besides its payload.
    #[must_use]
    pub fn buffered_amount(&self) -> usize {
        let line = self.line();
        line.unsent() + Scope::encoded(line) + line.below.as_ref().map_or(0, Self::buffered_amount)
    }

    /// Whether the websocket is still there to take something.
    #[must_use]
    pub fn connected(&self) -> bool {
        !self.line().queue.lock().closed
    }

    #[inline]
    pub(crate) fn line(&self) -> &Arc<Line> {
        self.line.as_ref().expect("it is taken in `drop` only")
    }
}

impl Clone for Socket {
    /// Another sender to the same websocket, which stands for no message.
    fn clone(&self) -> Self {
        Self { line: self.line.clone(), credit: 0 }
    }
}

impl Drop for Socket {
    #[inline]
    fn drop(&mut self) {
        if self.credit > 0
            && let Some(line) = self.line.take()
        {
            Scope::give_back(line, self.credit);
        }
    }
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Socket {}

impl Hash for Socket {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({})", self.id())
    }
}

/// What a websocket takes: a [`Frame`], a [`Close`], or a frame with a [key](Frame::keyed).
#[derive(Debug)]
pub struct Outgoing {
    command: Command,
    /// Small, as most have none.
    key: Option<Box<Key>>,
}

impl From<Frame> for Outgoing {
    #[inline]
    fn from(frame: Frame) -> Self {
        Self { command: Command::Frame(frame), key: None }
    }
}

impl From<Keyed> for Outgoing {
    fn from(Keyed { key, frame }: Keyed) -> Self {
        Self { command: Command::Frame(frame), key: Some(Box::new(key)) }
    }
}

impl From<Close> for Outgoing {
    fn from(close: Close) -> Self {
        Self { command: Command::Close(close), key: None }
    }
}

/// What became of something that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendStatus {
    /// It has been written to the socket.
    Sent,
    /// It was taken, and there is room for more.
    Queued,
    /// It was taken, and more than the soft limit waits to be written: [`Drained`](super::Drained) tells when there is room again.
    Flooded,
}

/// Why something could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is closed, or was before this could be written.
    Closed,
    /// As much as the hard limit allows waits to be written already.
    Full,
    /// The policy of the hard limit has dropped it.
    Dropped(Dropped),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the connection is closed",
            Self::Full => "the peer does not read fast enough: the limit of unsent bytes is reached",
            Self::Dropped(Dropped::Newest) => "the peer does not read fast enough: this was dropped at the limit of unsent bytes",
            Self::Dropped(Dropped::Oldest) => "the peer does not read fast enough: this was dropped for something newer",
            Self::Dropped(Dropped::Conflated) => "something newer of the same key was sent in its place",
        })
    }
}

impl std::error::Error for SendError {}

/// The answer to [`Socket::send`]: ready when what was sent has been written.
#[derive(Debug)]
#[must_use = "it is sent anyway; to forget the answer use do_send"]
pub struct Sending(Result<oneshot::Receiver<Result<SendStatus, SendError>>, SendError>);

impl Sending {
    pub(super) fn awaited(written: oneshot::Receiver<Result<SendStatus, SendError>>) -> Self {
        Self(Ok(written))
    }

    pub(super) fn failed(error: SendError) -> Self {
        Self(Err(error))
    }
}

impl Future for Sending {
    type Output = Result<SendStatus, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ok(written) => Pin::new(written).poll(cx).map(|answer| answer.unwrap_or(Err(SendError::Closed))),
            Err(error) => Poll::Ready(Err(*error)),
        }
    }
}
