//! What the senders of a websocket share with it: a queue of what they say, how much is unsent, and how much a handler has in hand.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;
use std::thread::{self, ThreadId};

use tokio::sync::oneshot;

use super::queue::{Inner, Queue, vec_pool};
use super::socket::{SendError, Socket, SocketId};
use super::transport::WriteHalf;
use crate::output::Output;
use crate::stage::{Command, Life};
use crate::websocket::OpCode;

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

    /// Content that was told is in nobody's hands any more.
    fn take_back(&self, _worth: usize) {}

    /// What it speaks.
    fn protocol(&self) -> Protocol {
        Protocol::Http
    }
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Or nothing yet.
    Http,
    WebSocket,
}

/// Who waits for something to have been written.
pub(crate) type Ack = oneshot::Sender<()>;

/// One thing on its way from a handler to its websocket.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) command: Command,
    pub(crate) ack: Option<Ack>,
}

vec_pool!(entries, Entry);

/// What senders share with their websocket.
pub(crate) struct Line {
    id: SocketId,
    pub(super) queue: Queue<Entry, Side>,
    /// Bytes that the handler has in hand.
    in_hand: AtomicUsize,
    /// Wake the websocket once less than this is in hand.
    wake_below: AtomicUsize,
    soft: usize,
    hard: usize,
    /// For a stage actor's line: the socket it writes to in its turn.
    pub(super) below: Option<Socket>,
    /// The thread of the websocket's arbiter.
    home: ThreadId,
    /// Where a scope may write, if there is a transport at the other end.
    write: Option<Arc<WriteHalf>>,
    /// Somebody has pushed while a scope was open: see [`Scope`](super::scope::Scope).
    disturbed: AtomicBool,
    /// Something has happened to the queue since it was taken last.
    stirred: AtomicBool,
    /// Stage actors lie above: they ask what the websocket reports.
    hosts: AtomicBool,
}

#[derive(Debug, Default)]
pub(crate) struct Side {
    pub(super) signals: Signals,
    /// Data frames that were encoded where they were sent: they come before the items of the queue.
    encoded: Output,
    /// No stage looks at data frames that are sent, no Close frame has been: they may be encoded where they are sent.
    direct: bool,
    /// A scope is open.
    scoped: bool,
    /// Bytes in the queue.
    queued: usize,
    /// Bytes encoded and not written.
    output: usize,
    /// A frame has met the policy of the hard limit.
    overflown: bool,
    /// What was unsent when a data frame was taken last: one is taken whole, so it may be more than the hard limit.
    ceiling: usize,
    /// The most that senders above stage actors may have seen.
    seen: usize,
    /// The peer's signs of life, at the end of the websocket's last turn.
    life: Option<Life>,
}

/// What a command counts for while it waits: its payload and the longest header.
#[inline]
pub(crate) fn length(command: &Command) -> usize {
    match command {
        Command::Frame(frame) => frame.data.len() + 14,
        _ => 0,
    }
}

impl Side {
    pub(super) fn unsent(&self) -> usize {
        self.queued + self.output + self.encoded.len()
    }
}

/// How far control frames may pass the hard limit.
const CONTROL: usize = 64 << 10;

/// What an item is worth besides its payload, in hand or in the queue.
const OVERHEAD: usize = 64;

impl Line {
    /// The line of a websocket with these limits of unsent bytes.
    pub(crate) fn new(id: SocketId, soft: usize, hard: usize, write: Arc<WriteHalf>) -> Arc<Self> {
        Self::with(id, soft, hard, None, Some(write))
    }

    /// The line of a stage actor above this one: the same connection, the same limit.
    pub(crate) fn above(below: &Socket) -> Arc<Self> {
        below.line().hosts.store(true, Ordering::Release);
        Self::with(below.id(), usize::MAX, below.line().hard, Some(below.clone()), None)
    }

    /// A line with nobody at its other end.
    pub(crate) fn dead(id: SocketId) -> Arc<Self> {
        let line = Self::with(id, usize::MAX, 0, None, None);
        line.close();
        line
    }

    fn with(id: SocketId, soft: usize, hard: usize, below: Option<Socket>, write: Option<Arc<WriteHalf>>) -> Arc<Self> {
        let (in_hand, wake_below, disturbed, hosts) = Default::default();
        let (home, stirred) = (thread::current().id(), AtomicBool::new(true));
        Arc::new(Self {
            id,
            queue: Queue::new(Side::default()),
            in_hand,
            wake_below,
            soft,
            hard,
            below,
            home,
            write,
            disturbed,
            stirred,
            hosts,
        })
    }

    pub(crate) fn id(&self) -> SocketId {
        self.id
    }

    #[inline]
    pub(crate) fn push(&self, command: Command, ack: Option<Ack>, policy: bool) -> Result<(), SendError> {
        let mut line = self.queue.lock();
        if line.closed {
            return Err(SendError::Closed);
        }
        // And what waits between this line and the wire, if stage actors lie there: asked for under the lock, and a stage actor hands down
        // before it lets go, so that what is on its way may count twice for a moment, and is never overlooked.
        let unsent = line.side.unsent() + self.below.as_ref().map_or(0, Socket::buffered_amount);
        let full = match &command {
            Command::Frame(frame) if frame.opcode.is_data() => {
                line.side.overflown || unsent >= self.hard + usize::from(planted!(HardLimitOffByOne))
            }
            // Control frames, which are small, pass the limit by some. Closing is always possible.
            Command::Frame(frame) if frame.opcode != OpCode::Close => unsent >= line.side.ceiling.max(self.hard).saturating_add(CONTROL),
            _ => false,
        };
        if full {
            if policy && !line.side.overflown {
                // From now on nothing is taken: no frame comes behind one that was refused.
                line.side.overflown = true;
                line.side.signals.add(Signal::Overflow);
                self.wake(&mut line);
            }
            return Err(SendError::Full);
        }
        if matches!(&command, Command::Frame(frame) if frame.opcode.is_data()) {
            line.side.ceiling = unsent + length(&command);
        }
        self.append(&mut line, command, ack);
        Ok(())
    }

    /// As [`push`](Self::push), for what has met the limit on the line above already.
    pub(crate) fn forward(&self, command: Command, ack: Option<Ack>) {
        let mut line = self.queue.lock();
        if !line.closed {
            self.append(&mut line, command, ack);
        }
    }

    #[inline]
    fn append(&self, line: &mut Inner<Entry, Side>, command: Command, ack: Option<Ack>) {
        line.side.queued += length(&command);
        if line.items.capacity() == 0 {
            line.items = entries::get();
        }
        line.items.push_back(Entry { command, ack });
        if line.side.scoped {
            self.disturbed.store(true, Ordering::Release);
        }
        self.wake(line);
    }

    /// Wakes the websocket for what has just been done to the queue.
    #[inline]
    fn wake(&self, line: &mut Inner<Entry, Side>) {
        self.stirred.store(true, Ordering::Release);
        line.wake();
    }

    /// Whether there may be something to [`take`](Self::take). If not, the task need not ask again before it is woken.
    #[inline]
    pub(crate) fn is_stirred(&self) -> bool {
        self.stirred.load(Ordering::Acquire)
    }

    /// Whether there are stage actors above, which ask for what is [reported](Self::report).
    #[inline]
    pub(crate) fn hosts(&self) -> bool {
        self.hosts.load(Ordering::Acquire)
    }

    /// Begins a scope on this thread: gives how many bytes may be encoded in it, if any.
    pub(super) fn open_scope(&self) -> Option<usize> {
        if self.home != thread::current().id() {
            return None;
        }
        let mut line = self.queue.lock();
        let room = self.hard.saturating_sub(line.side.unsent());
        if !line.side.direct || line.closed || !line.items.is_empty() || line.side.scoped || room == 0 {
            return None;
        }
        line.side.scoped = true;
        self.disturbed.store(false, Ordering::Relaxed);
        Some(room)
    }

    /// Takes what was encoded in a scope, and ends it. If nothing else waits it is written at once: the websocket need not be woken for it.
    pub(super) fn close_scope(&self, encoded: &mut Output) {
        let mut line = self.queue.lock();
        line.side.scoped = false;
        if encoded.is_empty() || line.closed {
            return encoded.clear();
        }
        let seen = line.side.unsent() + encoded.len();
        if seen > self.soft {
            // Whoever saw it, and waits for room, must hear that there is some, also if all of it leaves now.
            line.side.seen = line.side.seen.max(seen);
            self.wake(&mut line);
        }
        let first = line.side.output == 0 && line.side.encoded.is_empty() || planted!(ScopeOvertakes);
        if let (true, Some(write)) = (first, &self.write) {
            // The websocket cannot take a turn meanwhile: it lives on this thread.
            drop(line);
            encoded.advance(write.try_write(encoded));
            if encoded.is_empty() {
                return;
            }
            line = self.queue.lock();
        }
        line.side.encoded.append(encoded);
        line.side.ceiling = line.side.unsent();
        self.wake(&mut line);
    }

    /// Whether somebody has pushed since the scope was opened.
    #[inline]
    pub(super) fn is_disturbed(&self) -> bool {
        self.disturbed.load(Ordering::Acquire)
    }

    /// Bytes that were sent and are not written.
    pub(super) fn unsent(&self) -> usize {
        self.queue.lock().side.unsent()
    }

    /// Whether data frames may be encoded where they are sent.
    pub(crate) fn set_direct(&self, direct: bool) {
        self.queue.lock().side.direct = direct;
    }

    /// What was pushed and signalled since the last time. What was encoded already goes to the output, before the rest.
    #[inline]
    pub(crate) fn take(&self, waker: &Waker, output: &mut Output) -> (VecDeque<Entry>, Signals) {
        self.stirred.store(false, Ordering::Release);
        let mut line = self.queue.lock();
        line.side.output += std::mem::take(&mut line.side.queued);
        if !line.side.encoded.is_empty() {
            line.side.output += line.side.encoded.len();
            output.append(&mut line.side.encoded);
        }
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
            below.line().saw(seen);
        }
    }

    /// A command of this [`length`], which a stage actor has taken, is on the line below now, and counts there.
    pub(crate) fn handed_down(&self, length: usize) {
        let mut line = self.queue.lock();
        line.side.output = line.side.output.saturating_sub(length);
    }

    fn saw(&self, bytes: usize) {
        match &self.below {
            Some(below) => below.line().saw(bytes),
            None => {
                let mut line = self.queue.lock();
                line.side.seen = line.side.seen.max(bytes);
            }
        }
    }

    /// At the end of a websocket's turn: how much of what was taken is still to be written, whether frames are sent at all any more, and how
    /// the peer is. Gives the most that has waited since the last time, as a sender may have seen it, and what waits now.
    #[inline]
    pub(crate) fn report(&self, bytes: usize, open: bool, life: Life) -> (usize, usize) {
        let mut line = self.queue.lock();
        line.side.life = Some(life);
        line.side.direct &= open;
        let most = line.side.unsent().max(std::mem::take(&mut line.side.seen));
        line.side.output = bytes;
        (most.max(bytes), line.side.unsent())
    }

    /// The peer's signs of life, as the websocket below all stage actors knows them.
    pub(crate) fn life(&self) -> Option<Life> {
        match &self.below {
            Some(below) => below.line().life(),
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
    pub(super) fn give_back(&self, worth: usize) {
        if planted!(CreditTwice) {
            self.in_hand.fetch_sub(worth, Ordering::SeqCst);
        }
        let left = self.in_hand.fetch_sub(worth, Ordering::SeqCst) - worth;
        if left < self.wake_below.load(Ordering::SeqCst) {
            self.wake_below.store(0, Ordering::SeqCst);
            self.wake(&mut self.queue.lock());
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
        self.wake(&mut line);
    }

    fn protocol(&self) -> Protocol {
        Protocol::WebSocket
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({})", self.id)
    }
}
