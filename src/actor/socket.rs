//! The sender of a websocket's messages, and what it shares with the [`WebSocket`](super::WebSocket) behind it.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::sync::oneshot;

use super::queue::{Inner, Queue, vec_pool};
use crate::stage::{Close, Command, Life};
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
    line: Arc<Line>,
    credit: usize,
}

impl Socket {
    pub(crate) fn new(line: Arc<Line>, credit: usize) -> Self {
        Self { line, credit }
    }

    /// The connection's name.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.line.id
    }

    /// Sends a [`Frame`] or a [`Close`], and forgets it. In one actor's turn as many as wanted: they leave in one write.
    ///
    /// A frame offered while less than the hard limit (1 MiB) is unsent is taken whole; one offered at or above it meets the policy, which
    /// is to close the websocket with 1008.
    #[inline]
    pub fn do_send(&self, message: impl Into<Outgoing>) {
        let _ = self.line.push(message.into().0, None, true);
    }

    /// Sends a [`Frame`] or a [`Close`], and is answered when it has been written to the socket.
    ///
    /// The future need not be awaited for it to be sent.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the connection ended first, [`SendError::Full`] when it met the hard limit.
    pub fn send(&self, message: impl Into<Outgoing>) -> Sending {
        let (ack, written) = oneshot::channel();
        match self.line.push(message.into().0, Some(ack), true) {
            Ok(()) => Sending(Ok(written)),
            Err(error) => Sending(Err(error)),
        }
    }

    /// Sends a [`Frame`] or a [`Close`] if there is room for it: the policy of the hard limit is not applied.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] or [`SendError::Full`]; nothing was sent then.
    pub fn try_send(&self, message: impl Into<Outgoing>) -> Result<(), SendError> {
        self.line.push(message.into().0, None, false)
    }

    /// Bytes that were sent and are not yet written to the socket.
    #[must_use]
    pub fn buffered_amount(&self) -> usize {
        let line = self.line.queue.lock();
        line.side.queued + line.side.output + self.line.below.as_ref().map_or(0, Self::buffered_amount)
    }

    /// Whether the websocket is still there to take something.
    #[must_use]
    pub fn connected(&self) -> bool {
        !self.line.queue.lock().closed
    }

    pub(crate) fn line(&self) -> &Arc<Line> {
        &self.line
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
        if self.credit > 0 {
            self.line.give_back(self.credit);
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

/// What a websocket takes: a [`Frame`] or a [`Close`].
#[derive(Debug)]
pub struct Outgoing(Command);

impl From<Frame> for Outgoing {
    #[inline]
    fn from(frame: Frame) -> Self {
        Self(Command::Frame(frame))
    }
}

impl From<Close> for Outgoing {
    fn from(close: Close) -> Self {
        Self(Command::Close(close))
    }
}

/// Why something could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The websocket is closed, or was before this could be written.
    Closed,
    /// As much as the hard limit allows waits to be written already.
    Full,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the websocket is closed",
            Self::Full => "the peer does not read fast enough: the limit of unsent bytes is reached",
        })
    }
}

impl std::error::Error for SendError {}

/// The answer to [`Socket::send`]: ready when what was sent has been written.
#[derive(Debug)]
#[must_use = "it is sent anyway; to forget the answer use do_send"]
pub struct Sending(Result<oneshot::Receiver<()>, SendError>);

impl Future for Sending {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ok(written) => Pin::new(written).poll(cx).map_err(|_| SendError::Closed),
            Err(error) => Poll::Ready(Err(*error)),
        }
    }
}

/// What must happen at a connection, from outside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The frame handler is dead.
    HandlerGone = 1,
    /// The listener winds down: finish, with 1001.
    GoAway = 2,
    /// The listener's patience is over.
    Abort = 4,
    /// A frame met the hard limit.
    Overflow = 8,
    /// Something was dropped while a handler panicked: see whether it is still there.
    Check = 16,
}

/// A set of [`Signal`]s.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signals(u8);

impl Signals {
    pub(crate) fn has(self, signal: Signal) -> bool {
        self.0 & signal as u8 != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn add(&mut self, signal: Signal) {
        self.0 |= signal as u8;
    }
}

/// A connection that can be signalled.
pub(crate) trait Peer: Send + Sync {
    fn signal(&self, signal: Signal);
}

/// One thing on its way from a handler to its websocket.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) command: Command,
    pub(crate) ack: Option<oneshot::Sender<()>>,
}

vec_pool!(entries, Entry);

/// What senders share with their websocket.
pub(crate) struct Line {
    id: SocketId,
    queue: Queue<Entry, Side>,
    /// Bytes that the handler has in hand.
    in_hand: AtomicUsize,
    /// Wake the websocket once less than this is in hand.
    wake_below: AtomicUsize,
    hard: usize,
    /// For a stage actor's line: the socket it writes to in its turn.
    below: Option<Socket>,
}

#[derive(Debug, Default)]
pub(crate) struct Side {
    signals: Signals,
    /// Bytes in the queue.
    queued: usize,
    /// Bytes encoded and not written.
    output: usize,
    /// The most that senders above stage actors may have seen.
    seen: usize,
    /// The peer's signs of life, at the end of the websocket's last turn.
    life: Option<Life>,
}

/// What a command counts for while it waits: its payload and the longest header.
#[inline]
fn length(command: &Command) -> usize {
    match command {
        Command::Frame(frame) => frame.data.len() + 14,
        _ => 0,
    }
}

/// What an item is worth besides its payload, in hand or in the queue.
const OVERHEAD: usize = 64;

impl Line {
    pub(crate) fn new(id: SocketId, hard: usize, below: Option<Socket>) -> Arc<Self> {
        let (in_hand, wake_below) = Default::default();
        Arc::new(Self { id, queue: Queue::new(Side::default()), in_hand, wake_below, hard, below })
    }

    pub(crate) fn id(&self) -> SocketId {
        self.id
    }

    /// The line of a stage actor above this one: the same connection, the same limit.
    pub(crate) fn above(below: &Socket) -> Arc<Self> {
        Self::new(below.id(), below.line.hard, Some(below.clone()))
    }

    #[inline]
    pub(crate) fn push(&self, command: Command, ack: Option<oneshot::Sender<()>>, policy: bool) -> Result<(), SendError> {
        // What waits between this line and the wire, if stage actors lie there.
        let below = self.below.as_ref().map_or(0, Socket::buffered_amount);
        let mut line = self.queue.lock();
        if line.closed {
            return Err(SendError::Closed);
        }
        // Closing is always possible; so are control frames, which are small.
        if line.side.queued + line.side.output + below >= self.hard && matches!(&command, Command::Frame(frame) if frame.opcode.is_data()) {
            if policy && !line.side.signals.has(Signal::Overflow) {
                line.side.signals.add(Signal::Overflow);
                line.wake();
            }
            return Err(SendError::Full);
        }
        Self::append(&mut line, command, ack);
        Ok(())
    }

    /// As [`push`](Self::push), for what has met the limit on the line above already.
    pub(crate) fn forward(&self, command: Command, ack: Option<oneshot::Sender<()>>) {
        let mut line = self.queue.lock();
        if !line.closed {
            Self::append(&mut line, command, ack);
        }
    }

    #[inline]
    fn append(line: &mut Inner<Entry, Side>, command: Command, ack: Option<oneshot::Sender<()>>) {
        line.side.queued += length(&command);
        if line.items.capacity() == 0 {
            line.items = entries::get();
        }
        line.items.push_back(Entry { command, ack });
        line.wake();
    }

    /// What was pushed and signalled since the last time.
    #[inline]
    pub(crate) fn take(&self, waker: &Waker) -> (VecDeque<Entry>, Signals) {
        let mut line = self.queue.lock();
        line.side.output += std::mem::take(&mut line.side.queued);
        (line.take(waker), std::mem::take(&mut line.side.signals))
    }

    /// A vector that was [taken](Self::take), empty again.
    #[inline]
    pub(crate) fn done_with(entries: VecDeque<Entry>) {
        entries::put(entries);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.lock().items.is_empty()
    }

    /// Tells the websocket how much senders on this line may have seen waiting: it may owe them a `Drained`.
    pub(crate) fn tell_seen(&self) {
        if let Some(below) = &self.below {
            let seen = self.queue.lock().side.output + below.buffered_amount();
            below.line.saw(seen);
        }
    }

    /// This command, which a stage actor has taken, goes to the line below now, and counts there.
    pub(crate) fn hand_down(&self, command: &Command) {
        let mut line = self.queue.lock();
        line.side.output = line.side.output.saturating_sub(length(command));
    }

    fn saw(&self, bytes: usize) {
        match &self.below {
            Some(below) => below.line.saw(bytes),
            None => {
                let mut line = self.queue.lock();
                line.side.seen = line.side.seen.max(bytes);
            }
        }
    }

    /// At the end of a websocket's turn: how much of what was taken is still to be written, and how the peer is. Gives the most that has
    /// waited since the last time, as a sender may have seen it, and what waits now.
    #[inline]
    pub(crate) fn report(&self, bytes: usize, life: Life) -> (usize, usize) {
        let mut line = self.queue.lock();
        line.side.life = Some(life);
        let most = (line.side.output + line.side.queued).max(std::mem::take(&mut line.side.seen));
        line.side.output = bytes;
        (most.max(bytes), line.side.output + line.side.queued)
    }

    /// The peer's signs of life, as the websocket below all stage actors knows them.
    pub(crate) fn life(&self) -> Option<Life> {
        match &self.below {
            Some(below) => below.line.life(),
            None => self.queue.lock().side.life,
        }
    }

    /// Nothing more is taken; what is in the queue is dropped, and with it the acks.
    pub(crate) fn close(&self) {
        let mut line = self.queue.lock();
        line.closed = true;
        line.side = Side::default();
        let items = std::mem::take(&mut line.items);
        drop(line);
        drop(items);
    }

    /// What an item of this payload is worth while it is in hand.
    #[inline]
    pub(crate) fn worth(payload: usize) -> usize {
        payload + OVERHEAD
    }

    #[inline]
    pub(crate) fn hand_out(&self, worth: usize) {
        self.in_hand.fetch_add(worth, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn in_hand(&self) -> usize {
        self.in_hand.load(Ordering::SeqCst)
    }

    /// Asks for a wake once less than `limit` is in hand. Tells whether that is so already.
    pub(crate) fn wake_below(&self, limit: usize) -> bool {
        self.wake_below.store(limit, Ordering::SeqCst);
        self.in_hand() < limit
    }

    #[inline]
    fn give_back(&self, worth: usize) {
        let left = self.in_hand.fetch_sub(worth, Ordering::SeqCst) - worth;
        if left < self.wake_below.load(Ordering::SeqCst) {
            self.wake_below.store(0, Ordering::SeqCst);
            self.queue.lock().wake();
        }
        if std::thread::panicking() {
            self.signal(Signal::Check);
        }
    }
}

impl Peer for Line {
    fn signal(&self, signal: Signal) {
        let mut line = self.queue.lock();
        line.side.signals.add(signal);
        line.wake();
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({})", self.id)
    }
}
