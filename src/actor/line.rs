//! What the senders of a websocket share with it: a queue of what they say, how much is unsent, and how much a handler has in hand.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;
use std::thread::ThreadId;

use tokio::sync::oneshot;

use super::home::here;
use super::queue::{Inner, Queue, lend, vec_pool};
use super::socket::{SendError, SendStatus, Socket, SocketId};
use super::transport::WriteHalf;
use crate::output::Output;
use crate::stage::{Command, Life, Overflow, Policy, Waiting};
use crate::websocket::{Frame, OpCode};

mod credit;
mod scoped;
mod signal;
mod taking;
use credit::OVERHEAD;
pub(crate) use signal::{Peer, Protocol, Signal, Signals};
pub(crate) use taking::ALL;

/// Who waits for something to have been written, or to have been dropped.
pub(crate) type Ack = oneshot::Sender<Result<SendStatus, SendError>>;

/// One thing on its way from a handler to its websocket.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) command: Command,
    pub(crate) ack: Option<Ack>,
}

impl Waiting for Entry {
    fn frame(&self) -> Option<&Frame> {
        match &self.command {
            Command::Frame(frame) => Some(frame),
            _ => None,
        }
    }

    fn length(&self) -> usize {
        length(&self.command)
    }
}

vec_pool!(entries, Entry);

/// The longest control frame (RFC 6455 §5.5): what may pass the hard limit if no data frame has.
const CONTROL: usize = 125 + OVERHEAD;

/// What is counted for an entry of the queue is no less than what it takes.
const _: () = assert!(size_of::<Entry>() <= OVERHEAD);

/// How much may be unsent, and what then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) soft: usize,
    pub(crate) hard: usize,
    pub(crate) overflow: Overflow,
}

impl Limits {
    /// How much may be encoded and not written while the rest waits as frames: what a policy may drop is kept as long as it can be.
    fn ahead(self) -> usize {
        self.soft.min(self.hard).max(1)
    }
}

/// What senders share with their websocket.
pub(crate) struct Line {
    id: SocketId,
    pub(super) queue: Queue<Entry, Side>,
    /// Bytes that the handler has in hand.
    in_hand: AtomicUsize,
    /// Wake the websocket once less than this is in hand.
    wake_below: AtomicUsize,
    limits: Limits,
    /// What comes next is taken only as the end below has room for it: see [`take`](Self::take).
    keeps: bool,
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
    /// Messages that were encoded in scopes.
    sent: u64,
    /// A scope is open.
    scoped: bool,
    /// What waits in the queue, as it counts; the keys of its messages the policy counts.
    queued: usize,
    /// Bytes encoded and not written.
    output: usize,
    /// A frame has met the policy of the hard limit.
    overflown: bool,
    /// By how much the hard limit may be passed: by the data frame that was taken last, as one is taken whole.
    beyond: usize,
    /// The most that senders may have seen, here or above stage actors, where that is not what is unsent at the end of the websocket's turn.
    seen: usize,
    /// The peer's signs of life, at the end of the websocket's last turn.
    life: Option<Life>,
    /// The policy of the hard limit, if that is not to close.
    policy: Option<Box<Policy>>,
    /// No room is waited for any more: what is in the queue is the last, or something must come behind it.
    last: bool,
    /// Bytes that wait in the lines above for room in this one, and who wants to know of it.
    above: usize,
    room: Option<Waker>,
}

/// What a command counts for while it waits: its payload, and what it costs to keep one, however short.
#[inline]
pub(crate) fn length(command: &Command) -> usize {
    match command {
        Command::Frame(frame) => frame_length(frame),
        _ => 0,
    }
}

/// What a frame counts for, as a command.
#[inline]
pub(crate) fn frame_length(frame: &Frame) -> usize {
    Line::worth(frame.data.len())
}

/// Whether nothing comes behind it.
#[inline]
fn closes(command: &Command) -> bool {
    match command {
        Command::Frame(frame) => frame.opcode == OpCode::Close,
        _ => true,
    }
}

impl Side {
    pub(super) fn unsent(&self) -> usize {
        self.queued + self.output + self.encoded.len() + self.keys()
    }

    /// What the keys count for of the messages that wait.
    fn keys(&self) -> usize {
        self.policy.as_ref().map_or(0, |policy| policy.keys())
    }

    /// Whether this control frame finds room behind so much that is unsent: as far as one data frame, or one control frame, may pass the hard limit.
    #[inline]
    fn has_room(&self, control: &Frame, unsent: usize, hard: usize) -> bool {
        control.opcode == OpCode::Close || unsent + frame_length(control) <= hard.saturating_add(self.beyond.max(CONTROL))
    }
}

impl Line {
    /// The line of a websocket with these limits of unsent bytes.
    pub(crate) fn new(id: SocketId, limits: Limits, write: Arc<WriteHalf>) -> Arc<Self> {
        Self::with(id, limits, limits.overflow != Overflow::Close, None, Some(write))
    }

    /// The line of a stage actor above this one: the same connection, the same limits.
    pub(crate) fn above(below: &Socket) -> Arc<Self> {
        below.line().hosts.store(true, Ordering::Release);
        Self::with(below.id(), below.line().limits, true, Some(below.clone()), None)
    }

    /// A line with nobody at its other end.
    pub(crate) fn dead(id: SocketId) -> Arc<Self> {
        let line = Self::with(id, Limits { soft: usize::MAX, hard: 0, overflow: Overflow::Close }, false, None, None);
        line.close();
        line
    }

    fn with(id: SocketId, limits: Limits, keeps: bool, below: Option<Socket>, write: Option<Arc<WriteHalf>>) -> Arc<Self> {
        let (in_hand, wake_below, disturbed, hosts) = Default::default();
        let (home, stirred) = (here(), AtomicBool::new(true));
        let policy = (limits.overflow != Overflow::Close).then(|| Box::new(Policy::new(limits.overflow)));
        let queue = Queue::new(Side { policy, ..Side::default() });
        Arc::new(Self { id, queue, in_hand, wake_below, limits, keeps, below, home, write, disturbed, stirred, hosts })
    }

    pub(crate) fn id(&self) -> SocketId {
        self.id
    }

    #[inline]
    pub(crate) fn push(&self, command: Command, ack: Option<Ack>, policy: bool) -> Result<SendStatus, SendError> {
        if self.has_policy() {
            return self.push_by_policy(command, None, ack, policy);
        }
        self.push_or_close(command, ack, policy)
    }

    #[inline]
    pub(super) fn push_or_close(&self, command: Command, ack: Option<Ack>, policy: bool) -> Result<SendStatus, SendError> {
        let mut line = self.queue.lock();
        if line.closed {
            return Err(SendError::Closed);
        }
        let unsent = self.waiting(&line);
        let full = match &command {
            Command::Frame(frame) if frame.opcode.is_data() => {
                line.side.overflown || unsent >= self.limits.hard + usize::from(planted!(HardLimitOffByOne))
            }
            Command::Frame(control) if !line.side.has_room(control, unsent, self.limits.hard) => return Err(SendError::Full),
            _ => false,
        };
        if full {
            self.shows(&mut line.side, unsent);
            if policy {
                self.overflow(&mut line);
            }
            return Err(SendError::Full);
        }
        let after = unsent + length(&command);
        self.shows(&mut line.side, after);
        if matches!(&command, Command::Frame(frame) if frame.opcode.is_data()) {
            line.side.beyond = length(&command);
        }
        self.append(&mut line, command, ack);
        Ok(self.status(after))
    }

    /// What waits between this line and the wire. What is in stage actors below is asked for under the lock, and a stage actor hands down before it
    /// lets go, so that what is on its way may count twice for a moment, and is never overlooked.
    #[inline]
    fn waiting(&self, line: &Inner<Entry, Side>) -> usize {
        line.side.unsent() + self.below.as_ref().map_or(0, Socket::buffered_amount)
    }

    /// A sender sees so much waiting. Above stage actors the websocket does not see it by itself: what waits below may be written before the stage's
    /// turn comes. Nor does it see what keys count for: they are gone when their messages have been taken.
    #[inline]
    fn shows(&self, side: &mut Side, unsent: usize) {
        if unsent > self.limits.soft && (self.below.is_some() || side.keys() > 0) {
            side.seen = side.seen.max(unsent);
        }
    }

    /// The limit closes the websocket. From now on nothing is taken: no frame comes behind one that was refused.
    fn overflow(&self, line: &mut Inner<Entry, Side>) {
        if !line.side.overflown {
            line.side.overflown = true;
            line.side.signals.add(Signal::Overflow);
            self.wake(line);
        }
    }

    /// Whether something may be dropped at the hard limit.
    pub(super) fn has_policy(&self) -> bool {
        self.limits.overflow != Overflow::Close
    }

    /// What is said of a frame that was taken, when so much is unsent with it.
    #[inline]
    pub(super) fn status(&self, unsent: usize) -> SendStatus {
        if unsent > self.limits.soft { SendStatus::Flooded } else { SendStatus::Queued }
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
        line.side.last |= closes(&command);
        lend(&mut line.items, entries::get);
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

    /// Bytes that were sent and are not written.
    pub(super) fn unsent(&self) -> usize {
        self.queue.lock().side.unsent()
    }

    /// A vector that was [taken](Self::take), empty again.
    #[inline]
    pub(crate) fn done_with(entries: VecDeque<Entry>) {
        entries::put(entries);
    }

    /// Whether nothing waits to be taken, here and above.
    pub(crate) fn is_empty(&self) -> bool {
        let line = self.queue.lock();
        line.items.is_empty() && line.side.above == 0
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
        let mut policy = line.side.policy.take();
        if let Some(policy) = &mut policy {
            policy.close();
        }
        let side = std::mem::replace(&mut line.side, Side { policy, ..Side::default() });
        if let Some(waiting) = side.room {
            waiting.wake();
        }
        let items = std::mem::take(&mut line.items);
        drop(line);
        drop(items);
    }
}

impl Peer for Line {
    fn signal(&self, signal: Signal) {
        let mut line = self.queue.lock();
        line.side.signals.add(signal);
        self.wake(&mut line);
    }

    fn nudge(&self) {
        self.wake(&mut self.queue.lock());
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
