//! A server for those who think in addresses and workers: listeners, as [`Bind`](super::Bind) starts them, put together by a builder.

use std::fmt;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Arbiter, Context, Handler, SystemService};

use super::address::Address;
use super::bind::{Acceptor, How, begin, processors};
use super::gate::Gate;
use super::handlers::WebSockets;
use super::listening::{At, Open};
use super::messages::{BindError, Received, Unbind};
use super::register::Register;
use super::responder::Responder;
use super::secure;
use super::settings::Settings;
use super::sockets::{Adopt, Sockets};
use super::workers::Workers;
use crate::http::HttpRequest;
use crate::proxy::ProxyProtocol;
use crate::websocket::Frame;

mod running;

pub use running::{Running, ServerHandle};

/// A server: who handles its requests, where it listens, on how many threads. It is [`Bind`](super::Bind) for those who come from `HttpServer::new(…)`.
///
/// ```no_run
/// use actix_sockets::{HttpResponse, Server};
///
/// #[actix::main]
/// async fn main() -> std::io::Result<()> {
///     let hello = Server::answering(|_, responder| responder.do_send(HttpResponse::ok("Hello!")));
///     hello.bind("127.0.0.1:8080")?.bind("[::1]:8080")?.workers(2).run().await;
///     Ok(())
/// }
/// ```
///
/// An echo of websockets:
///
/// ```no_run
/// use actix::prelude::*;
/// use actix_sockets::{Frame, Received, Server, WebSockets};
///
/// struct Echo;
///
/// impl Actor for Echo {
///     type Context = Context<Self>;
/// }
///
/// impl Handler<Received<Frame>> for Echo {
///     type Result = ();
///     fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Self::Context) {
///         if frame.opcode.is_data() {
///             sender.do_send(frame);
///         }
///     }
/// }
///
/// #[actix::main]
/// async fn main() -> std::io::Result<()> {
///     Server::websockets(WebSockets::handled_by(|| Echo)).bind("127.0.0.1:9001")?.run().await;
///     Ok(())
/// }
/// ```
#[must_use = "a server serves once it runs"]
pub struct Server {
    acceptor: Acceptor,
    sockets: Vec<(Open, Option<secure::Acceptor>)>,
    settings: Settings,
    proxy: Option<ProxyProtocol>,
    shards: bool,
    workers: usize,
    grace: Duration,
    signals: bool,
}

impl Server {
    /// Each connection has a handler of its own, which is made on the connection's arbiter and stops with it.
    pub fn new<A>(make: impl Fn() -> A + Send + Sync + 'static) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<Received<HttpRequest>>,
    {
        Self::accepting(Acceptor::made(make))
    }

    /// As [`new`](Self::new), with all that a [`Register`] can say: what this gives is registered for each connection. See
    /// [`Bind::registering`](super::Bind::registering).
    pub fn registering<A: Actor>(register: impl Fn() -> Register<A> + Send + Sync + 'static) -> Self {
        Self::accepting(Acceptor::registering(register))
    }

    fn accepting(acceptor: Acceptor) -> Self {
        Self {
            acceptor,
            sockets: Vec::new(),
            settings: Settings::default(),
            proxy: None,
            shards: false,
            workers: processors(),
            grace: Unbind::default().grace,
            signals: true,
        }
    }

    /// Each request is answered by this, at once or later: the [`Responder`] may be moved into a future, or upgrade the connection.
    pub fn answering(answer: impl Fn(HttpRequest, Responder) + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        Self::registering(move || {
            let answer = answer.clone();
            Register::answering(move |request, responder| answer(request, responder))
        })
    }

    /// Websockets only.
    pub fn websockets<A>(websockets: WebSockets<A>) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<Received<Frame>>,
    {
        Self::new(move || websockets.clone())
    }

    /// Requests are an actix-web `App`'s, which `make` makes once on each arbiter; see [`web`](crate::web).
    ///
    /// ```no_run
    /// use actix_sockets::Server;
    /// use actix_web::{App, web};
    ///
    /// #[actix::main]
    /// async fn main() -> std::io::Result<()> {
    ///     Server::app(|| App::new().route("/", web::get().to(async || "Hello!"))).bind("127.0.0.1:8080")?.run().await;
    ///     Ok(())
    /// }
    /// ```
    #[cfg(feature = "actix-web")]
    pub fn app<F, I, S, B>(make: F) -> Self
    where
        F: Fn() -> I + Send + Sync + 'static,
        I: actix_service::IntoServiceFactory<S, actix_http::Request>,
        S: actix_web::dev::ServiceFactory<actix_http::Request, Config = actix_web::dev::AppConfig> + 'static,
        S::Error: Into<actix_web::Error>,
        S::InitError: fmt::Debug,
        S::Response: Into<actix_web::dev::Response<B>>,
        B: actix_web::body::MessageBody + 'static,
    {
        Self::registering(super::web::app(make))
    }

    /// Listens here too: at each address that the name or the slice has and that can be had; of the others the log tells. Port 0 is another port for each of them.
    /// Connections wait until the server [runs](Self::run).
    ///
    /// # Errors
    ///
    /// There is no address, or none that can be had.
    pub fn bind(self, addresses: impl ToSocketAddrs) -> Result<Self, BindError> {
        self.open_each(addresses, None)
    }

    /// Listens here too, as [`bind`](Self::bind), under TLS: `https://` and `wss://`.
    ///
    /// # Errors
    ///
    /// There is no address, or none that can be had.
    #[cfg(feature = "tls")]
    pub fn bind_tls(self, addresses: impl ToSocketAddrs, tls: crate::tls::Server) -> Result<Self, BindError> {
        self.open_each(addresses, Some(tls))
    }

    /// Listens wherever [`At`] can say: at a Unix socket whose file has these permissions, on a socket that listens already.
    ///
    /// # Errors
    ///
    /// It cannot be had.
    pub fn bind_at(self, at: impl Into<At>) -> Result<Self, BindError> {
        self.open(at.into())
    }

    /// Listens at this path too, by a Unix socket: see [`At::unix`].
    ///
    /// # Errors
    ///
    /// Somebody listens there, or the file cannot be made.
    #[cfg(unix)]
    pub fn bind_unix(self, path: impl Into<std::path::PathBuf>) -> Result<Self, BindError> {
        self.open(At::unix(path))
    }

    /// Accepts from a socket that listens already, too. Its options are its own, and it has one door, whatever [`shards`](Self::shards) says.
    ///
    /// # Errors
    ///
    /// It does not listen, or is gone.
    pub fn listen(self, listener: std::net::TcpListener) -> Result<Self, BindError> {
        self.open(At::socket(listener))
    }

    fn open(mut self, at: At) -> Result<Self, BindError> {
        let open = at.open(&self.settings, self.shards)?;
        self.sockets.extend(open.into_iter().map(|open| (open, None)));
        Ok(self)
    }

    fn open_each(mut self, addresses: impl ToSocketAddrs, tls: Option<secure::Acceptor>) -> Result<Self, BindError> {
        let open = At::open_each(addresses.to_socket_addrs(), &self.settings, self.shards)?;
        self.sockets.extend(open.into_iter().map(|open| (open, tls.clone())));
        Ok(self)
    }

    /// All limits and deadlines. Said before [`bind`](Self::bind), for the sake of [`backlog`](Settings::backlog) and the options of sockets: those that listen already
    /// stay as they are, and the log says so.
    pub fn settings(mut self, settings: Settings) -> Self {
        if !self.sockets.is_empty() && settings.of_sockets() != self.settings.of_sockets() {
            tracing::warn!("the backlog and the options of sockets come too late for those that listen already: say settings before bind");
        }
        self.settings = settings;
        self
    }

    /// On how many arbiters connections live, whichever address they came to: as many as there are processors. With 1 it is the current
    /// arbiter.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Connections, to whichever address, come by way of a proxy, as [`Bind::proxy_protocol`](super::Bind::proxy_protocol) has it.
    pub fn proxy_protocol(mut self, proxy: ProxyProtocol) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Each worker accepts for itself, as [`Bind::shards`](super::Bind::shards) has it. Said before [`bind`](Self::bind): a socket that listens already and was not made to be
    /// shared has one door, from which connections go to all workers, and the log says so.
    pub fn shards(mut self) -> Self {
        self.shards = true;
        self
    }

    /// How long connections may take to end when the server is stopped: 30 s. What is still there then is cut off.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// SIGINT and SIGTERM are not ours. By default the first of them (Ctrl-C, where there are no such signals) stops the server, as
    /// [`ServerHandle::stop`] does, and the second cuts it off; neither ends the process by itself any more.
    pub fn without_signals(mut self) -> Self {
        self.signals = false;
        self
    }

    /// The addresses listened at, with the real port where port 0 was asked for.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.sockets.iter().map(|(open, _)| open.address.clone()).collect()
    }

    /// The same, each with the scheme of its URLs: `http`, or `https` under TLS.
    #[must_use]
    pub fn addresses_with_scheme(&self) -> Vec<(Address, &'static str)> {
        let scheme = |tls: &Option<_>| if tls.is_some() { "https" } else { "http" };
        self.sockets.iter().map(|(open, tls)| (open.address.clone(), scheme(tls))).collect()
    }

    /// Starts to accept connections. The server runs until it is stopped, whether this is awaited or not; [`Shutdown`](super::Shutdown)
    /// of the system's [`Sockets`] stops it too.
    ///
    /// # Panics
    ///
    /// Outside an actix `System`: `#[actix::main]` makes one.
    pub fn run(self) -> Running {
        let addresses = self.addresses();
        let Self { acceptor, sockets, settings, proxy, shards, workers, grace, signals } = self;
        let workers = Arc::new(Workers::new(workers));
        let there = workers.watch();
        let gate = Arc::new(Gate::new(&settings, workers.count()));
        gate.warn(sockets.iter().any(|(_, tls)| tls.is_some()));
        let mut listeners = Vec::new();
        for (open, tls) in sockets {
            let more = if shards { open.shards(workers.count() - 1, &settings) } else { Ok(Vec::new()) };
            let more = more.unwrap_or_else(|error| {
                tracing::warn!(%error, "a socket has one door, no shards: it was not made to be shared");
                Vec::new()
            });
            let how = How { acceptor: acceptor.clone(), tls, proxy: proxy.clone(), settings: settings.clone(), shards };
            let doors = std::iter::once(open).chain(more).collect();
            listeners.push(begin(vec![doors], how, workers.clone(), gate.clone(), &Arbiter::current()).listener);
        }
        let service = Sockets::from_registry();
        listeners.iter().for_each(|listener| service.do_send(Adopt(listener.clone())));
        let handle = ServerHandle { listeners: listeners.into(), grace, there };
        if signals {
            actix_rt::spawn(running::heed_signals(handle.clone()));
        }
        Running { addresses, ended: Box::pin(handle.ended()), handle }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses()).field("workers", &self.workers).finish_non_exhaustive()
    }
}
