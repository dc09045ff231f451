//! The message that starts a listener.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use actix::{Actor, Arbiter, ArbiterHandle, Context, Handler, Message, Recipient};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::address::Address;
use super::gate::Gate;
use super::house::House;
use super::listener::Listener;
use super::listening::{At, Open};
use super::messages::{BindError, Bound, Connected, Received};
use super::register::{Register, Registration};
use super::roster::Roster;
use super::secure;
use super::settings::Settings;
use super::workers::Workers;
use crate::http::HttpRequest;
use crate::proxy::ProxyProtocol;

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
    at: Vec<At>,
    how: How,
    workers: usize,
    arbiter: ArbiterHandle,
}

/// How a listener receives its connections.
#[derive(Clone)]
pub(crate) struct How {
    pub(crate) acceptor: Acceptor,
    pub(crate) tls: Option<secure::Acceptor>,
    pub(crate) proxy: Option<ProxyProtocol>,
    pub(crate) settings: Settings,
    pub(crate) shards: bool,
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
    /// This actor hears [`Connected`] of each connection, and answers with a [`Register`], which names the handler of
    /// its requests. The connections live on the current arbiter: build the message where `handler` runs.
    ///
    /// The address is an `impl ToSocketAddrs`, or what [`At`] makes: a Unix socket, or a socket that listens already. A name is looked up when the message has been sent,
    /// and blocks no arbiter. At each address that it has and that can be had is listened; of the others the log tells. Port 0 is another port for each of them.
    ///
    /// # Panics
    ///
    /// Outside an actix `System`.
    #[must_use]
    pub fn new(handler: impl Into<Recipient<Received<Connected>>>, address: impl Into<At>) -> Self {
        Self::with(Acceptor::Registering(handler.into()), address.into(), 1)
    }

    /// A handler of its own is made for each connection, on the connection's arbiter: the fastest way. It stops with its connection unless
    /// something else holds its address. Connections are spread over as many arbiters as there are processors, see
    /// [`workers`](Self::workers).
    ///
    /// # Panics
    ///
    /// Outside an actix `System`.
    #[must_use]
    pub fn factory<A>(make: impl Fn() -> A + Send + Sync + 'static, address: impl Into<At>) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<Received<HttpRequest>>,
    {
        Self::with(Acceptor::made(make), address.into(), processors())
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
    pub fn registering<A: Actor>(register: impl Fn() -> Register<A> + Send + Sync + 'static, address: impl Into<At>) -> Self {
        Self::with(Acceptor::registering(register), address.into(), processors())
    }

    fn with(acceptor: Acceptor, at: At, workers: usize) -> Self {
        let how = How { acceptor, tls: None, proxy: None, settings: Settings::default(), shards: false };
        Self { at: vec![at], how, workers, arbiter: Arbiter::current() }
    }

    /// Listens here too; nowhere, if it cannot be had.
    #[must_use]
    pub fn also(mut self, address: impl Into<At>) -> Self {
        self.at.push(address.into());
        self
    }

    /// All limits and deadlines.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.how.settings = settings;
        self
    }

    /// Under TLS, with these certificates: `https://` and `wss://`. Whoever speaks plain HTTP here is told so, with a 400.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: crate::tls::Server) -> Self {
        self.how.tls = Some(tls);
        self
    }

    /// Connections come by way of a proxy, which says of each, before anything else, whose it is (HAProxy's PROXY protocol, versions 1 and 2): before TLS, too. Then
    /// [`Connected::remote`] is the client's address, and the proxy's own is in [`Connected::proxied`]. A connection that does not begin with a right header in time
    /// is closed, with a line in the log.
    #[must_use]
    pub fn proxy_protocol(mut self, proxy: ProxyProtocol) -> Self {
        self.how.proxy = Some(proxy);
        self
    }

    /// On how many arbiters connections live, at least 1. With 1 it is the current arbiter. Only for [`factory`](Self::factory): the
    /// connections of a shared handler live on its arbiter.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        if matches!(self.how.acceptor, Acceptor::Made(_)) {
            self.workers = workers.max(1);
        }
        self
    }

    /// Each worker accepts for itself, from a listening socket of its own (`SO_REUSEPORT`), over which the operating system spreads the connections: no connection crosses
    /// from one arbiter to another. Without it the listener's arbiter accepts, and hands each connection to the next worker in turn.
    ///
    /// It is not the default, as the operating system spreads by chance, not in turn: with few connections some workers have none, and what waits for a worker that
    /// is busy is taken by no other. It is worth it where connections are many and short.
    #[must_use]
    pub fn shards(mut self) -> Self {
        self.how.shards = true;
        self
    }

    /// Listens, and starts the listener.
    pub(crate) async fn listen(self) -> Result<Bound, BindError> {
        let Self { at, how, workers, arbiter } = self;
        let (settings, within) = (how.settings.clone(), how.settings.bind_within);
        let shared = how.shards && workers > 1;
        let open = spawn_blocking(move || at.into_iter().map(|at| at.open(&settings, shared)).collect::<Result<Vec<_>, _>>());
        let opened = timeout(within, open).await.map_err(|_| BindError::Timeout(within))?;
        let opened = opened.unwrap_or_else(|error| Err(BindError::Address(std::io::Error::other(error))))?;
        let workers = Arc::new(Workers::new(workers));
        let mut sockets = Vec::new();
        for open in opened.into_iter().flatten() {
            let more = if how.shards { open.shards(workers.count() - 1, &how.settings)? } else { Vec::new() };
            sockets.push(std::iter::once(open).chain(more).collect());
        }
        let gate = Arc::new(Gate::new(&how.settings, workers.count()));
        gate.warn(how.tls.is_some());
        Ok(begin(sockets, how, workers, gate, &arbiter))
    }
}

/// Starts a listener on sockets that are open, for each address one or one for each worker, with workers and a gate that others may have too.
pub(crate) fn begin(sockets: Vec<Vec<Open>>, how: How, workers: Arc<Workers>, gate: Arc<Gate>, arbiter: &ArbiterHandle) -> Bound {
    let How { acceptor, tls, proxy, settings, .. } = how;
    let addresses: Vec<_> = sockets.iter().flat_map(|shards| shards.first()).map(|open| open.address.clone()).collect();
    let address = addresses.iter().find_map(Address::socket_addr).unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into());
    let roster = Arc::<Roster>::default();
    let house = Arc::new(House { acceptor, tls, proxy, settings: Arc::new(settings), gate, roster });
    let listener = Listener::start(sockets, house, workers, arbiter);
    Bound { address, addresses, listener }
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
