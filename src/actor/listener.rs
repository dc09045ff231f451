//! The actor of one listening socket: accepts, and starts a [`Connection`] for each TCP stream.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFuture, ActorFutureExt, Arbiter, ArbiterHandle, AsyncContext, Context, Handler, Message, Recipient,
    ResponseActFuture, WrapFuture,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

use super::connection::Connection;
use super::messages::{BindError, Bound, Connected, Received, Unbind, Unbound};
use super::register::{Register, Registration};
use super::roster::{Roster, Seat};
use super::secure;
use super::settings::Settings;
use super::transport::Transport;
use crate::http::HttpRequest;

/// Accepted in one turn: then others on this arbiter have theirs.
const BATCH: usize = 32;
/// How long nothing is accepted after the operating system could not: it has run out of descriptors, say.
const PAUSE: Duration = Duration::from_millis(100);

/// Starts a listener: sent to [`Sockets`](super::Sockets), answered with [`Bound`] or [`BindError`].
///
/// ```no_run
/// # use actix_sockets::{Bind, Sockets, Received, HttpRequest, HttpResponse};
/// # use actix::prelude::*;
/// struct Hello;
///
/// impl Actor for Hello {
///     type Context = Context<Self>;
/// }
///
/// impl Handler<Received<HttpRequest>> for Hello {
///     type Result = ();
///     fn handle(&mut self, request: Received<HttpRequest>, _: &mut Context<Self>) {
///         request.sender.do_send(HttpResponse::ok("hello"));
///     }
/// }
///
/// # async fn bind() -> Result<(), Box<dyn std::error::Error>> {
/// let bound = Sockets::from_registry().send(Bind::factory(|| Hello, "127.0.0.1:0")).await??;
/// println!("listening on {}", bound.address);
/// # Ok(()) }
/// ```
pub struct Bind {
    at: At,
    acceptor: Acceptor,
    tls: Option<secure::Acceptor>,
    settings: Settings,
    workers: usize,
    arbiter: ArbiterHandle,
}

/// Where to listen.
#[derive(Debug)]
enum At {
    /// At the first of these that can be had.
    Addresses(io::Result<Vec<SocketAddr>>),
    /// On this socket, which listens already; with these workers.
    Socket(std::net::TcpListener, Arc<Workers>),
}

/// Who takes a new connection.
#[derive(Clone)]
pub(crate) enum Acceptor {
    /// This actor is told, and registers a handler.
    Registering(Recipient<Received<Connected>>),
    /// A handler is made.
    Made(Arc<dyn Fn() -> Registration + Send + Sync>),
}

impl Bind {
    /// This actor hears [`Connected`] of each connection, and answers with a [`Register`](super::Register), which names the handler of
    /// its requests. The connections live on the current arbiter: build the message where `handler` runs.
    ///
    /// # Panics
    ///
    /// Outside an actix `System`.
    #[must_use]
    pub fn new(handler: impl Into<Recipient<Received<Connected>>>, address: impl ToSocketAddrs) -> Self {
        Self::with(Acceptor::Registering(handler.into()), address, 1)
    }

    /// A handler of its own is made for each connection, on the connection's arbiter: the fastest way. It stops with its connection unless
    /// something else holds its address. Connections are spread over as many arbiters as there are processors, see
    /// [`workers`](Self::workers).
    ///
    /// # Panics
    ///
    /// Outside an actix `System`.
    #[must_use]
    pub fn factory<A>(make: impl Fn() -> A + Send + Sync + 'static, address: impl ToSocketAddrs) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<Received<HttpRequest>>,
    {
        Self::with(Acceptor::made(make), address, processors())
    }

    /// As [`factory`](Self::factory), with all that a [`Register`] can say: what this gives is registered for each connection, on the connection's
    /// arbiter. So a handler that is made for its connection hears more than whole requests:
    ///
    /// ```
    /// # use actix::prelude::*;
    /// # use actix_sockets::{Bind, HttpRequest, Received, Register, HttpNotice, RequestStart};
    /// # fn bind<Upload>(make: fn() -> Upload) -> Bind
    /// # where Upload: Actor<Context = Context<Upload>> + Handler<Received<HttpRequest>>, RequestStart: HttpNotice<Upload> {
    /// Bind::registering(move || Register::factory(make).hears::<RequestStart>(), "127.0.0.1:0")
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside an actix `System`.
    #[must_use]
    pub fn registering<A: Actor>(register: impl Fn() -> Register<A> + Send + Sync + 'static, address: impl ToSocketAddrs) -> Self {
        Self::with(Acceptor::registering(register), address, processors())
    }

    fn with(acceptor: Acceptor, address: impl ToSocketAddrs, workers: usize) -> Self {
        let at = At::Addresses(address.to_socket_addrs().map(Iterator::collect));
        Self { at, acceptor, tls: None, settings: Settings::default(), workers, arbiter: Arbiter::current() }
    }

    /// On a socket that listens already, with workers that others may have too.
    pub(crate) fn on(
        socket: std::net::TcpListener,
        workers: Arc<Workers>,
        acceptor: Acceptor,
        tls: Option<secure::Acceptor>,
        settings: Settings,
    ) -> Self {
        Self { at: At::Socket(socket, workers), acceptor, tls, settings, workers: 1, arbiter: Arbiter::current() }
    }

    /// All limits and deadlines.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Under TLS, with these certificates: `https://` and `wss://`. Whoever speaks plain HTTP here is told so, with a 400.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: crate::tls::Server) -> Self {
        self.tls = Some(tls);
        self
    }

    /// On how many arbiters connections live, at least 1. With 1 it is the current arbiter. Only for [`factory`](Self::factory): the
    /// connections of a shared handler live on its arbiter.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        if matches!(self.acceptor, Acceptor::Made(_)) {
            self.workers = workers.max(1);
        }
        self
    }

    /// Listens, and starts the listener.
    pub(crate) fn listen(self) -> Result<Bound, BindError> {
        let Self { at, acceptor, tls, settings, workers, arbiter } = self;
        let (socket, workers) = match at {
            At::Addresses(addresses) => (listen(addresses, settings.backlog)?, Arc::new(Workers::new(workers))),
            At::Socket(socket, workers) => (socket, workers),
        };
        let address = socket.local_addr().map_err(BindError::Address)?;
        let house = House { acceptor, tls, settings: Arc::new(settings) };
        let listener = Listener::start_in_arbiter(&arbiter, move |ctx| Listener::new(socket, house, workers, ctx));
        Ok(Bound { address, listener })
    }
}

impl Acceptor {
    /// Each connection has a handler of its own.
    pub(crate) fn made<A>(make: impl Fn() -> A + Send + Sync + 'static) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<Received<HttpRequest>>,
    {
        let make = Arc::new(make);
        Self::registering(move || {
            let make = make.clone();
            Register::factory(move || make())
        })
    }

    /// Each connection has the handler that this registers.
    pub(crate) fn registering<A: Actor>(register: impl Fn() -> Register<A> + Send + Sync + 'static) -> Self {
        Self::Made(Arc::new(move || register().open()))
    }
}

/// As many workers as there are processors.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Message for Bind {
    type Result = Result<Bound, BindError>;
}

impl fmt::Debug for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bind").field("at", &self.at).field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// Listens at the first of these addresses that can be had.
pub(crate) fn listen(addresses: io::Result<Vec<SocketAddr>>, backlog: u32) -> Result<std::net::TcpListener, BindError> {
    let mut last = BindError::Address(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for address in addresses.map_err(BindError::Address)? {
        match listen_at(address, backlog) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = BindError::Listen(address, error),
        }
    }
    Err(last)
}

fn listen_at(address: SocketAddr, backlog: u32) -> io::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// The arbiters of connections; none if they live where the listener does. They stop with the last listener that has them.
#[derive(Debug)]
pub(crate) struct Workers {
    arbiters: Vec<Arbiter>,
    /// Nothing is sent: that it is gone tells who waits for the end of the last listener.
    there: watch::Sender<()>,
}

impl Workers {
    /// So many, each with a thread of its own, if it is more than one.
    pub(crate) fn new(workers: usize) -> Self {
        let arbiters = if workers > 1 { (0..workers).map(|_| Arbiter::new()).collect() } else { Vec::new() };
        Self { arbiters, there: watch::Sender::new(()) }
    }

    /// Fails when the last listener that has these workers is gone.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.there.subscribe()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &self.arbiters {
            worker.stop();
        }
    }
}

/// The actor of one listening socket. It takes [`Unbind`].
pub struct Listener {
    socket: Option<TcpListener>,
    house: House,
    workers: Arc<Workers>,
    next: usize,
    roster: Arc<Roster>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Listener {
    fn new(socket: std::net::TcpListener, house: House, workers: Arc<Workers>, ctx: &mut Context<Self>) -> Self {
        let socket = match TcpListener::from_std(socket) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::error!(%error, "the listening socket cannot be polled");
                None
            }
        };
        ctx.spawn(Accepting);
        Self { socket, house, workers, next: 0, roster: Arc::default(), pause: None }
    }

    /// Accepts what there is. Ready when nothing more is to be accepted.
    fn accept(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let limit = self.house.settings.max_connections.saturating_mul(self.workers.arbiters.len().max(1));
        for _ in 0..BATCH {
            if let Some(pause) = &mut self.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.pause = None;
            }
            let Some(socket) = &self.socket else { return Poll::Ready(()) };
            if self.roster.count() >= limit {
                self.roster.on_leave(cx.waker());
                if self.roster.count() >= limit {
                    return Poll::Pending;
                }
            }
            match socket.poll_accept(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok((stream, remote))) => self.start(stream, remote),
                Poll::Ready(Err(error)) if is_the_peers(&error) => {}
                Poll::Ready(Err(error)) => {
                    tracing::error!(%error, "nothing can be accepted for the moment");
                    self.pause = Some(Box::pin(sleep(PAUSE)));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Starts a connection, on the next arbiter.
    fn start(&mut self, stream: TcpStream, remote: SocketAddr) {
        let seat = self.roster.seat();
        if self.workers.arbiters.is_empty() {
            return self.house.clone().receive(stream, remote, seat);
        }
        self.next = (self.next + 1) % self.workers.arbiters.len();
        let house = self.house.clone();
        let Ok(stream) = stream.into_std() else { return };
        self.workers.arbiters[self.next].spawn_fn(move || match TcpStream::from_std(stream) {
            Ok(stream) => house.receive(stream, remote, seat),
            Err(error) => tracing::error!(%error, "a connection could not move to its arbiter"),
        });
    }
}

/// How a listener receives its connections.
#[derive(Clone)]
struct House {
    acceptor: Acceptor,
    tls: Option<secure::Acceptor>,
    settings: Arc<Settings>,
}

impl House {
    /// Starts a connection on this arbiter; under TLS, when the handshake is complete.
    fn receive(&self, stream: TcpStream, remote: SocketAddr, seat: Seat) {
        // A connection that is gone already is nobody's business.
        let Ok(()) = stream.set_nodelay(self.settings.nodelay) else { return };
        match self.tls.clone() {
            None => self.start(stream, remote, None, seat),
            Some(tls) => drop(actix_rt::spawn(self.clone().secured(stream, remote, tls, seat))),
        }
    }

    async fn secured(self, stream: TcpStream, remote: SocketAddr, tls: secure::Acceptor, seat: Seat) {
        let id = seat.id();
        let made = match tls.session() {
            Ok(session) => secure::handshake(stream, session, seat, self.settings.tls_handshake).await,
            Err(error) => Err(error),
        };
        match made {
            Ok((stream, secure, seat)) => self.start(stream, remote, Some(secure), seat),
            Err(error) => tracing::warn!(connection = %id, %remote, %error, "no connection: its TLS handshake failed"),
        }
    }

    fn start(&self, stream: TcpStream, remote: SocketAddr, secure: Option<secure::Secure>, seat: Seat) {
        Connection::start(Transport::new(stream, remote, secure, seat), &self.acceptor, &self.settings);
    }
}

/// Whether an accept failed for the sake of one connection, which has gone before it was accepted.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

impl Actor for Listener {
    type Context = Context<Self>;
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("connections", &self.roster.count())
            .field("workers", &self.workers.arbiters.len())
            .finish_non_exhaustive()
    }
}

/// Accepts for as long as there is a listening socket.
struct Accepting;

impl ActorFuture<Listener> for Accepting {
    type Output = ();

    fn poll(self: Pin<&mut Self>, listener: &mut Listener, _: &mut Context<Listener>, cx: &mut TaskContext<'_>) -> Poll<()> {
        listener.accept(cx)
    }
}

impl Handler<Unbind> for Listener {
    type Result = ResponseActFuture<Self, Unbound>;

    fn handle(&mut self, Unbind { grace }: Unbind, _: &mut Context<Self>) -> Self::Result {
        self.socket = None;
        let ended = self.roster.clone().wind_down(grace, self.house.settings.drain_spread);
        Box::pin(ended.into_actor(self).map(|unbound, _, ctx| {
            // Behind this turn: whoever has said it too is answered in it.
            ctx.run_later(Duration::ZERO, |_, ctx| ctx.stop());
            unbound
        }))
    }
}
