//! The senders of HTTP's messages: what each can be told is what the connection can take in that state.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};
use std::thread::{self, ThreadId};

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, AsyncContext, Context, Handler};
use bytes::Bytes;

use super::connection::{Conversation, Turn};
use super::line::{Peer, Signal, Signals};
use super::messages::Received;
use super::queue::{Queue, vec_pool};
use super::socket::SocketId;
use super::transport::Transport;
use super::upgrade::{Handling, UpgradeServer};
use super::upstream::{IntoHandler, Parcel, Place, Route, Upstream};
use crate::http::{Event, HttpRequest, HttpResponse, RequestNumber};
use crate::tls::Info;

/// What is said to an HTTP connection.
pub(crate) enum HttpCommand {
    Register(Box<dyn FnOnce() -> Box<dyn Upstream<Event>> + Send>),
    Respond(RequestNumber, HttpResponse),
    Start(RequestNumber, HttpResponse),
    Chunk(RequestNumber, Bytes),
    Finish(RequestNumber),
    Upgrade(RequestNumber, HttpResponse, Box<Handling>),
    /// The responder was dropped without an answer.
    Unanswered(RequestNumber),
    /// A streamed response was dropped before its end.
    Unfinished,
}

vec_pool!(commands, HttpCommand);
vec_pool!(events, Event);

/// What an HTTP connection shares with the senders of its messages, and with the feeder of its handler.
pub(crate) struct HttpLine {
    pub(crate) id: SocketId,
    /// The peer's address.
    remote: SocketAddr,
    tls: Option<Arc<Info>>,
    queue: Queue<HttpCommand, Signals>,
    /// The connection itself; `None` once it has ended. Locked for a turn, which is taken on its own thread only.
    conversation: Mutex<Option<Conversation>>,
    /// The thread of the connection's arbiter.
    home: ThreadId,
}

impl HttpLine {
    /// The line of the connection that speaks HTTP over this, on the current thread.
    pub(crate) fn new(transport: &Transport) -> Arc<Self> {
        let (id, remote, tls) = (transport.seat().id(), transport.remote, transport.tls.clone());
        let (queue, conversation, home) = (Queue::new(Signals::default()), Mutex::default(), thread::current().id());
        Arc::new(Self { id, remote, tls, queue, conversation, home })
    }

    fn conversation(&self) -> MutexGuard<'_, Option<Conversation>> {
        self.conversation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, conversation: Conversation) {
        *self.conversation() = Some(conversation);
    }

    /// Has the connection take a turn. Ready when all is over.
    pub(crate) fn turn(self: &Arc<Self>, turn: Turn, cx: &mut TaskContext<'_>) -> Poll<()> {
        let mut conversation = self.conversation();
        let over = conversation.as_mut().map_or(Poll::Ready(()), |conversation| conversation.turn(self, turn, cx));
        if over.is_ready() {
            let ended = conversation.take();
            drop(conversation);
            drop(ended);
        }
        over
    }

    /// What was pushed and signalled since the last time.
    pub(crate) fn take(&self, waker: &Waker) -> (VecDeque<HttpCommand>, Signals) {
        let mut line = self.queue.lock();
        (line.take(waker), std::mem::take(&mut line.side))
    }

    /// A vector that was [taken](Self::take), empty again.
    pub(crate) fn done_with(commands: VecDeque<HttpCommand>) {
        commands::put(commands);
    }

    fn push(&self, command: HttpCommand) {
        let mut line = self.queue.lock();
        if line.closed {
            tracing::debug!(connection = %self.id, "an answer came after the connection's end");
            drop(line);
            return drop(command);
        }
        if line.items.capacity() == 0 {
            line.items = commands::get();
        }
        line.items.push_back(command);
        line.wake();
    }

    pub(crate) fn close(&self) {
        let mut line = self.queue.lock();
        line.closed = true;
        let items = std::mem::take(&mut line.items);
        drop(line);
        let conversation = self.conversation().take();
        drop((items, conversation));
    }
}

impl Peer for HttpLine {
    fn signal(&self, signal: Signal) {
        let mut line = self.queue.lock();
        line.side.add(signal);
        line.wake();
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
    line: &'a Arc<HttpLine>,
    /// The connection's, if it is to take its turn here: it is not awake already, and lives on this thread.
    waker: Option<Waker>,
    /// The handler waits for something else now: its feeder does not come back at once.
    waits: Cell<bool>,
}

impl Drop for HttpScope<'_> {
    fn drop(&mut self) {
        let Some(waker) = self.waker.take() else { return };
        if thread::panicking() {
            return waker.wake();
        }
        let turn = if self.waits.get() { Turn::LastOfFeeder } else { Turn::Feeder };
        if self.line.turn(turn, &mut TaskContext::from_waker(&waker)).is_ready() {
            // It finds nothing to do any more, and ends.
            waker.wake();
        }
    }
}

/// What an HTTP handler hears.
pub(crate) struct HttpRoutes<A: Actor> {
    request: Route<A, HttpRequest>,
}

impl<A> HttpRoutes<A>
where
    A: Actor + Handler<Received<HttpRequest>>,
    A::Context: ToEnvelope<A, Received<HttpRequest>>,
{
    pub(crate) fn new() -> Self {
        Self { request: Route::new() }
    }
}

/// A request is told, with a sender that is made when the handler's turn comes; the rest is of no concern to it.
impl Parcel for Event {
    type Routes<A: Actor> = HttpRoutes<A>;
    type Link = HttpLine;
    type Scope<'a> = HttpScope<'a>;

    fn scope(line: &Arc<HttpLine>) -> HttpScope<'_> {
        let waker = if line.home == thread::current().id() { line.queue.lock().take_turn() } else { None };
        HttpScope { line, waker, waits: Cell::new(false) }
    }

    fn last(scope: &HttpScope<'_>) {
        scope.waits.set(true);
    }

    fn call<A>(queue: &mut VecDeque<Self>, scope: &HttpScope<'_>, routes: &HttpRoutes<A>, actor: &mut A, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>>,
    {
        while let Some(event) = queue.pop_front() {
            if let Self::Request { number, request: message } = event {
                let sender = Responder { line: scope.line.clone(), number, answered: false };
                routes.request.call(actor, Received { message, sender }, ctx);
                if ctx.waiting() {
                    return scope.waits.set(true);
                }
            }
        }
    }

    fn mail<A: Actor>(self, line: &Arc<HttpLine>, routes: &HttpRoutes<A>, addr: &Addr<A>) {
        if let Self::Request { number, request: message } = self {
            let sender = Responder { line: line.clone(), number, answered: false };
            routes.request.mail(addr, Received { message, sender });
        }
    }

    /// They are answered with a 500.
    fn unheard(events: VecDeque<Self>, line: &Arc<HttpLine>) {
        for event in events {
            if let Self::Request { number, .. } = event {
                drop(Responder { line: line.clone(), number, answered: false });
            }
        }
    }

    fn pool_get() -> VecDeque<Self> {
        events::get()
    }

    fn pool_put(deque: VecDeque<Self>) {
        events::put(deque);
    }
}

/// The sender of a [`Connected`](super::Connected): takes a [`Register`].
#[derive(Debug)]
pub struct Registrar {
    line: Arc<HttpLine>,
}

impl Registrar {
    pub(crate) fn new(line: Arc<HttpLine>) -> Self {
        Self { line }
    }

    /// The connection's name.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.line.id
    }

    /// Registers the actor that is to hear the connection's requests. Without it the connection is closed after a second.
    pub fn do_send(self, register: Register) {
        self.line.push(HttpCommand::Register(register.open));
    }
}

/// Names the actor that is to hear a connection's requests: its address, or, in one of its own methods, its context `ctx`.
pub struct Register {
    open: Box<dyn FnOnce() -> Box<dyn Upstream<Event>> + Send>,
}

impl Register {
    /// This actor.
    #[must_use]
    pub fn new<A>(handler: impl IntoHandler<A>) -> Self
    where
        A: Actor + Handler<Received<HttpRequest>>,
        A::Context: ToEnvelope<A, Received<HttpRequest>>,
    {
        let place = handler.place();
        Self { open: Box::new(move || place.open(HttpRoutes::new())) }
    }

    /// An actor that is made for the connection, on the connection's arbiter.
    #[must_use]
    pub fn factory<A>(make: impl FnOnce() -> A + Send + 'static) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<Received<HttpRequest>>,
    {
        Self { open: Box::new(move || Place::made(make).open(HttpRoutes::new())) }
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Register")
    }
}

/// The sender of an [`HttpRequest`]: takes one answer, an [`HttpResponse`] or an [`UpgradeServer`], or the
/// [start](Self::start) of a streamed response.
///
/// It is used up by that: a second answer to a request does not compile.
///
/// ```compile_fail
/// # use actix_sockets::{Responder, HttpResponse};
/// fn answer(responder: Responder) {
///     responder.do_send(HttpResponse::ok("once"));
///     responder.do_send(HttpResponse::ok("twice"));
/// }
/// ```
///
/// Nor does a frame to a connection that is not a websocket yet:
///
/// ```compile_fail
/// # use actix_sockets::{Responder, websocket::Frame};
/// fn answer(responder: Responder) {
///     responder.do_send(Frame::text("too soon"));
/// }
/// ```
///
/// Dropped without an answer, it answers `500 Internal Server Error`. Requests of one connection are answered in their order, whatever the
/// order of the answers; an answer to a connection that has ended goes nowhere.
#[must_use = "a request whose responder is dropped is answered with a 500"]
pub struct Responder {
    line: Arc<HttpLine>,
    number: RequestNumber,
    answered: bool,
}

impl Responder {
    /// The connection's name.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.line.id
    }

    /// The peer's address.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.line.remote
    }

    /// What the TLS handshake has agreed on, the peer's certificate with it; `None` in the clear.
    #[must_use]
    pub fn tls(&self) -> Option<&Info> {
        self.line.tls.as_deref()
    }

    /// The same, for those who keep it.
    #[cfg(feature = "actix-web")]
    pub(crate) fn shared_tls(&self) -> Option<Arc<Info>> {
        self.line.tls.clone()
    }

    /// Answers: an [`HttpResponse`] or an [`UpgradeServer`].
    pub fn do_send(mut self, answer: impl Into<Answer>) {
        self.answered = true;
        self.line.push(match answer.into().0 {
            Answered::Response(response) => HttpCommand::Respond(self.number, response),
            Answered::Upgrade(response, handling) => HttpCommand::Upgrade(self.number, response, handling),
        });
    }

    /// Begins an answer whose length is not known: its content goes out in chunks (RFC 9112 §7.1); to HTTP/1.0 as it is, ended by the
    /// connection's end.
    pub fn start(mut self, response: HttpResponse) -> Streaming {
        self.answered = true;
        self.line.push(HttpCommand::Start(self.number, response));
        Streaming { line: self.line.clone(), number: self.number, finished: false }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if !self.answered {
            self.line.push(HttpCommand::Unanswered(self.number));
        }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Responder({}, request {})", self.line.id, self.number)
    }
}

/// What a [`Responder`] takes: an [`HttpResponse`] or an [`UpgradeServer`].
pub struct Answer(Answered);

enum Answered {
    Response(HttpResponse),
    Upgrade(HttpResponse, Box<Handling>),
}

impl Answer {
    pub(crate) fn upgrade(response: HttpResponse, handling: Handling) -> Self {
        Self(Answered::Upgrade(response, Box::new(handling)))
    }
}

impl From<HttpResponse> for Answer {
    fn from(response: HttpResponse) -> Self {
        Self(Answered::Response(response))
    }
}

impl<A: Actor> From<UpgradeServer<A>> for Answer {
    fn from(upgrade: UpgradeServer<A>) -> Self {
        let (response, handling) = upgrade.into_parts();
        Self::upgrade(response, handling)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Answered::Response(response) => response.fmt(f),
            Answered::Upgrade(response, _) => f.debug_tuple("UpgradeServer").field(response).finish(),
        }
    }
}

/// A response that is being streamed. Dropped before its end, it cuts the connection, so that nobody takes it for complete.
#[must_use = "a streamed response that is dropped before its end cuts the connection"]
pub struct Streaming {
    line: Arc<HttpLine>,
    number: RequestNumber,
    finished: bool,
}

impl Streaming {
    /// Sends the next piece of content. Empty pieces are passed over.
    pub fn do_send(&self, content: impl Into<Bytes>) {
        self.line.push(HttpCommand::Chunk(self.number, content.into()));
    }

    /// Ends the response.
    pub fn finish(mut self) {
        self.finished = true;
        self.line.push(HttpCommand::Finish(self.number));
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if !self.finished {
            self.line.push(HttpCommand::Unfinished);
        }
    }
}

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streaming({}, request {})", self.line.id, self.number)
    }
}
