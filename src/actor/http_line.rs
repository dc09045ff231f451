//! What an HTTP connection shares with the senders of its messages: a queue of what they say, how much of it is unsent, and how much content
//! they have given back.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};
use std::thread::{self, ThreadId};

use actix::Recipient;

use super::address::Address;
use super::connection::{Conversation, Turn};
use super::guard::Asking;
use super::home::here;
use super::http_connection::{Control, Controlled};
use super::line::{Ack, Peer, Signal, Signals};
use super::lobby::Later;
use super::messages::{HttpClosed, Received};
use super::proxied::Proxied;
use super::queue::{Queue, lend, vec_pool};
use super::register::Registration;
use super::socket::{SendError, SocketId};
use super::transport::Transport;
use super::upgrade::Handling;
use crate::http::{Chunk, ContentEnd, Event, HttpRequest, HttpResponse, RequestNumber, Settings};
use crate::tls::Info;

/// What is said to an HTTP connection.
pub(crate) enum HttpCommand {
    Register(Box<dyn FnOnce() -> Registration + Send>),
    Respond(RequestNumber, HttpResponse, Option<Ack>),
    Interim(RequestNumber, HttpResponse),
    Start(RequestNumber, HttpResponse, Who),
    Chunk(RequestNumber, Chunk, Who, Option<Ack>),
    Finish(RequestNumber, ContentEnd, Who, Option<Ack>),
    /// Who streams this wants to know when there is room for more.
    Room(RequestNumber, Who, Ack),
    Upgrade(RequestNumber, HttpResponse, Box<Handling>),
    /// The answer is being made.
    Later(RequestNumber, Later),
    /// The responder was dropped without an answer.
    Unanswered(RequestNumber),
    /// The function that was to answer has panicked.
    Panicked(RequestNumber),
    /// A streamed response was dropped before its end.
    Unfinished(RequestNumber, Who),
    Control(Control),
    /// Whoever answers this wants to hear of the connection's end.
    ClosedTo(RequestNumber, Recipient<Received<HttpClosed>>),
}

/// Who answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Whoever heard of it first.
    First,
    /// Whoever heard that it was not answered in time.
    Second,
}

vec_pool!(commands, HttpCommand);

/// What a chunk or an interim response is worth besides its bytes, while it waits.
const OVERHEAD: usize = 64;

/// What is decided under the lock of the queue.
#[derive(Default)]
pub(crate) struct Side {
    signals: Signals,
    /// Bytes of chunks and interim responses in the queue.
    queued: usize,
    /// A chunk has met the hard limit: no other is taken.
    overflown: bool,
}

/// What an HTTP connection shares with the senders of its messages, and with the feeder of its handler.
pub(crate) struct HttpLine {
    pub(crate) id: SocketId,
    /// The peer's address.
    pub(super) remote: Address,
    pub(super) proxied: Option<Arc<Proxied>>,
    pub(super) tls: Option<Arc<Info>>,
    queue: Queue<HttpCommand, Side>,
    /// Bytes that have left the queue and are not written.
    unsent: AtomicUsize,
    /// How many of these wait for the end of the first response, and which that is: they take no room from it.
    waiting: AtomicUsize,
    first: AtomicU64,
    /// The most that may be unsent where a chunk is offered.
    hard: usize,
    /// How many interim responses may go ahead of an answer.
    pub(super) interim_limit: u32,
    /// Content that was given back and is not yet heeded.
    back: AtomicUsize,
    /// Wake the connection when so much has been given back.
    wake_at: AtomicUsize,
    /// The connection itself; `None` once it has ended. Locked for a turn, which is taken on its own thread only.
    conversation: Mutex<Option<Conversation>>,
    /// The thread of the connection's arbiter.
    home: ThreadId,
}

impl HttpLine {
    /// The line of the connection that speaks HTTP over this, on the current thread.
    pub(crate) fn new(transport: &Transport, settings: &Settings) -> Arc<Self> {
        let (id, remote, tls) = (transport.seat().id(), transport.remote.clone(), transport.tls.clone());
        let proxied = transport.proxied.clone();
        let (unsent, back, wake_at) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        let (waiting, first) = Default::default();
        let (queue, conversation, home) = (Queue::new(Side::default()), Mutex::default(), here());
        let (hard, interim_limit) = (settings.hard_limit(), settings.interim());
        Arc::new(Self { id, remote, proxied, tls, queue, unsent, waiting, first, hard, interim_limit, back, wake_at, conversation, home })
    }

    fn conversation(&self) -> MutexGuard<'_, Option<Conversation>> {
        self.conversation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, conversation: Conversation) {
        *self.conversation() = Some(conversation);
    }

    /// Has the connection read in the turn of its handler's feeder, which gets what has come. Tells whether something has.
    pub(super) fn read(self: &Arc<Self>, events: &mut VecDeque<Event>, cx: &mut TaskContext<'_>) -> bool {
        self.home == here() && self.conversation().as_mut().is_some_and(|conversation| conversation.read(self, events, cx))
    }

    /// Has the connection take a turn. Ready when all is over.
    pub(crate) fn turn(self: &Arc<Self>, turn: Turn<'_>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let mut conversation = self.conversation();
        let over = conversation.as_mut().map_or(Poll::Ready(()), |conversation| conversation.turn(self, turn, cx));
        if over.is_ready() {
            self.end(conversation);
        }
        over
    }

    /// The conversation is over.
    #[cold]
    fn end(&self, mut conversation: MutexGuard<'_, Option<Conversation>>) {
        let ended = conversation.take();
        drop(conversation);
        // Who hears of the end finds that nothing more is taken.
        let unheard = self.shut();
        drop((ended, unheard));
    }

    /// What was pushed and signalled since the last time.
    pub(crate) fn take(&self, waker: &Waker) -> (VecDeque<HttpCommand>, Signals) {
        let mut line = self.queue.lock();
        if line.side.queued > 0 {
            // It stays unsent until the turn has seen what became of it.
            self.unsent.fetch_add(std::mem::take(&mut line.side.queued), Ordering::Release);
        }
        (line.take(waker), std::mem::take(&mut line.side.signals))
    }

    /// The connection is awake, and takes what is pushed before its turn ends.
    pub(crate) fn stay_awake(&self) {
        self.queue.lock().stay_awake();
    }

    /// A vector that was [taken](Self::take), empty again.
    pub(crate) fn done_with(commands: VecDeque<HttpCommand>) {
        commands::put(commands);
    }

    /// What is unsent at the end of a turn; and how much of it waits for the end of which response.
    #[inline]
    pub(crate) fn report(&self, unsent: usize, (waiting, first): (usize, RequestNumber)) {
        if self.unsent.load(Ordering::Relaxed) != unsent {
            self.unsent.store(unsent, Ordering::Release);
        }
        if waiting > 0 || self.waiting.load(Ordering::Relaxed) > 0 {
            self.first.store(first.get(), Ordering::Release);
            self.waiting.store(waiting, Ordering::Release);
        }
    }

    /// What goes before the next piece of this response, and is not written.
    fn before(&self, number: RequestNumber) -> usize {
        let waiting = if self.first.load(Ordering::Acquire) == number.get() { self.waiting.load(Ordering::Acquire) } else { 0 };
        self.unsent.load(Ordering::Acquire).saturating_sub(waiting)
    }

    /// Content that was given back since the last time.
    #[inline]
    pub(crate) fn given_back(&self) -> usize {
        if self.back.load(Ordering::Acquire) == 0 {
            return 0;
        }
        self.wake_at.store(usize::MAX, Ordering::SeqCst);
        self.back.swap(0, Ordering::SeqCst)
    }

    /// Wakes the connection when so much has been given back; tells if it has been already.
    pub(crate) fn wake_at(&self, back: usize) -> bool {
        self.wake_at.store(back, Ordering::SeqCst);
        self.back.load(Ordering::SeqCst) >= back
    }

    /// What a guard is asked about this request.
    pub(super) fn asking(&self, request: HttpRequest) -> Asking {
        Asking { request: Arc::new(request), id: self.id, remote: self.remote.clone(), tls: self.tls.clone() }
    }

    pub(super) fn push(&self, command: HttpCommand) {
        let mut line = self.queue.lock();
        if line.closed {
            drop(line);
            return self.came_late(command);
        }
        lend(&mut line.items, commands::get);
        line.items.push_back(command);
        line.wake();
    }

    #[cold]
    fn came_late(&self, command: HttpCommand) {
        tracing::debug!(connection = %self.id, "an answer came after the connection's end");
        drop(command);
    }

    /// The function that was to answer this request has panicked: so its responder, which was dropped with it, says.
    pub(super) fn panicked(&self, number: RequestNumber) {
        let mut line = self.queue.lock();
        if matches!(line.items.back(), Some(HttpCommand::Unanswered(dropped)) if *dropped == number) {
            line.items.pop_back();
        }
        drop(line);
        self.push(HttpCommand::Panicked(number));
    }

    /// An interim response is taken as long as less than the hard limit is unsent.
    pub(super) fn push_interim(&self, number: RequestNumber, response: HttpResponse) -> Result<(), SendError> {
        let worth = response.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>() + OVERHEAD;
        self.push_bounded(worth, number, HttpCommand::Interim(number, response), false)
    }

    /// A chunk is taken whole as long as less than the hard limit is unsent. At or above it the connection is cut, if the policy is to be applied.
    pub(super) fn push_chunk(
        &self,
        number: RequestNumber,
        chunk: Chunk,
        who: Who,
        ack: Option<Ack>,
        policy: bool,
    ) -> Result<(), SendError> {
        let worth = chunk.data.len() + chunk.extensions.len() + OVERHEAD;
        self.push_bounded(worth, number, HttpCommand::Chunk(number, chunk, who, ack), policy)
    }

    fn push_bounded(&self, worth: usize, number: RequestNumber, command: HttpCommand, policy: bool) -> Result<(), SendError> {
        let mut line = self.queue.lock();
        if line.closed {
            return Err(SendError::Closed);
        }
        if line.side.overflown || line.side.queued + self.before(number) >= self.hard {
            if policy && !line.side.overflown {
                line.side.overflown = true;
                line.side.signals.add(Signal::Overflow);
                line.wake();
            }
            return Err(SendError::Full);
        }
        lend(&mut line.items, commands::get);
        line.side.queued += worth;
        line.items.push_back(command);
        line.wake();
        Ok(())
    }

    /// Bytes of responses that were sent and are not yet written.
    pub(super) fn unsent(&self) -> usize {
        let line = self.queue.lock();
        line.side.queued + self.unsent.load(Ordering::Acquire)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.queue.lock().closed
    }

    pub(crate) fn close(&self) {
        let unheard = self.shut();
        let conversation = self.conversation().take();
        drop((unheard, conversation));
    }

    /// Nothing more is taken. Gives what nobody will hear.
    fn shut(&self) -> VecDeque<HttpCommand> {
        let mut line = self.queue.lock();
        line.closed = true;
        std::mem::take(&mut line.items)
    }
}

impl Peer for HttpLine {
    fn signal(&self, signal: Signal) {
        let mut line = self.queue.lock();
        line.side.signals.add(signal);
        line.wake();
    }

    fn take_back(&self, worth: usize) {
        let back = self.back.fetch_add(worth, Ordering::SeqCst).saturating_add(worth);
        if back >= self.wake_at.load(Ordering::SeqCst) {
            self.queue.lock().wake();
        }
    }

    fn nudge(&self) {
        self.queue.lock().wake();
    }
}

impl Controlled for HttpLine {
    fn control(&self, control: Control) {
        self.push(HttpCommand::Control(control));
    }

    fn connected(&self) -> bool {
        !self.is_closed()
    }
}

impl fmt::Debug for HttpLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpLine({})", self.id)
    }
}

/// Open while a feeder calls the handler for the requests that one read has brought. What is answered in it does not wake the connection:
/// it takes its turn at the end, in the feeder's task. Only where both live on one thread.
pub(crate) struct HttpScope<'a> {
    pub(super) line: &'a Arc<HttpLine>,
    /// The feeder's, if it reads.
    reader: Option<&'a Waker>,
    /// The connection's, if it is to take its turn here: it is not awake already, and lives on this thread.
    waker: Option<Waker>,
    /// The handler waits for something else now: its feeder does not come back at once.
    waits: Cell<bool>,
}

impl<'a> HttpScope<'a> {
    pub(super) fn open(line: &'a Arc<HttpLine>, reader: Option<&'a Waker>) -> Self {
        let waker = if line.home == here() { line.queue.lock().take_turn() } else { None };
        Self { line, reader, waker, waits: Cell::new(false) }
    }

    pub(super) fn waits(&self) {
        self.waits.set(true);
    }
}

impl Drop for HttpScope<'_> {
    #[inline]
    fn drop(&mut self) {
        let Some(waker) = self.waker.take() else { return };
        if thread::panicking() {
            return waker.wake();
        }
        let turn = if self.waits.get() { Turn::LastOfFeeder } else { Turn::Feeder(self.reader) };
        if self.line.turn(turn, &mut TaskContext::from_waker(&waker)).is_ready() {
            // It finds nothing to do any more, and ends.
            waker.wake();
        }
    }
}
