//! The actor of one TCP connection that we made, for as long as it speaks HTTP.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use actix::dev::ToEnvelope;
use actix::{Actor, ActorContext, ActorFuture, Addr, Arbiter, ArbiterHandle, AsyncContext, Context, Handler, Message};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::delivery::Delivery;
use super::line::{Line, Peer, Signal, Signals};
use super::messages::{ConnectError, Connected, Received, UpgradeError, UpgradeFailed, Upgraded};
use super::queue::Queue;
use super::roster::Roster;
use super::settings::Settings;
use super::socket::SocketId;
use super::transport::{self, Transport};
use super::upgrade::{Handled, Handling, UpgradeClient};
use super::upstream::Route;
use super::websocket::{Takeover, Timer, WebSocket};
use crate::http::{self, ClientEvent, Closing, HttpError, HttpRequest, HttpResponse, RequestNumber};
use crate::output::Output;
use crate::upgrade::handshake::deflate::Parameters;
use crate::upgrade::handshake::{self, HandshakeError, Target};
use crate::websocket::Role;

/// Makes a TCP connection: sent to [`Sockets`](super::Sockets), answered with [`Connected`] or [`ConnectError`].
///
/// The handler hears [`Received<Connected, Requester>`](Requester), whose sender takes an [`HttpRequest`] or an [`UpgradeClient`]. With
/// [`websocket`](Self::websocket) that is done for you.
pub struct Connect {
    host: String,
    port: u16,
    from: Option<SocketAddr>,
    secure: bool,
    settings: Settings,
    within: Duration,
    arbiter: ArbiterHandle,
    connected: Box<dyn FnOnce(Connected, Requester) + Send>,
    respond: Option<Box<dyn Fn(Received<HttpResponse>) + Send>>,
}

impl Connect {
    /// To this host and port, for this actor: it hears [`Received<Connected, Requester>`](Requester). An IPv6 address is written without
    /// brackets.
    ///
    /// # Panics
    ///
    /// Outside an actix `System`.
    #[must_use]
    pub fn new<A>(handler: Addr<A>, host: impl Into<String>, port: u16) -> Self
    where
        A: Actor + Handler<Received<Connected, Requester>>,
        A::Context: ToEnvelope<A, Received<Connected, Requester>>,
    {
        let route = Route::<A, Connected, Requester>::new();
        Self {
            host: host.into(),
            port,
            from: None,
            secure: false,
            settings: Settings::default(),
            within: Duration::from_secs(10),
            arbiter: Arbiter::current(),
            connected: Box::new(move |message, sender| route.mail(&handler, Received { message, sender })),
            respond: None,
        }
    }

    /// To the host of a websocket URL, and asks for the upgrade at once. The answer, [`Connected`], is about TCP only: whether there is a
    /// websocket is told by [`Upgraded`] or by [`UpgradeFailed`], which the frame handler can [hear](super::Upgrade::hears). The target comes from
    /// [`Target::parse`](crate::upgrade::handshake::Target::parse), which also knows what goes into `Host` and `Authorization`; headers of your
    /// own go into the request of an [`UpgradeClient`] sent by hand.
    ///
    /// # Panics
    ///
    /// Outside an actix `System`.
    #[must_use]
    pub fn websocket<A: Actor>(target: &Target, upgrade: UpgradeClient<A>) -> Self {
        let (request, handling) = upgrade.into_parts();
        Self {
            host: target.host.clone(),
            port: target.port,
            from: None,
            secure: target.secure,
            settings: Settings::default(),
            within: Duration::from_secs(10),
            arbiter: Arbiter::current(),
            connected: Box::new(move |_, sender| sender.line.push(ClientCommand::Upgrade(Box::new((request, handling))))),
            respond: None,
        }
    }

    /// The handler also hears the responses to requests sent with [`Requester::do_send`].
    #[must_use]
    pub fn responses_to<A>(mut self, handler: Addr<A>) -> Self
    where
        A: Actor + Handler<Received<HttpResponse>>,
        A::Context: ToEnvelope<A, Received<HttpResponse>>,
    {
        let route = Route::<A, HttpResponse>::new();
        self.respond = Some(Box::new(move |received| route.mail(&handler, received)));
        self
    }

    /// From this address of ours; port 0 is any. The operating system chooses both by default.
    #[must_use]
    pub fn local_address(mut self, from: SocketAddr) -> Self {
        self.from = Some(from);
        self
    }

    /// All limits and deadlines.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// How long connecting may take, all addresses of the host together: 10 s.
    #[must_use]
    pub fn timeout(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }
}

impl Message for Connect {
    type Result = Result<Connected, ConnectError>;
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// Resolves, connects, and starts the connection's actor on the arbiter where the message was made.
pub(crate) async fn connect(message: Connect, roster: Arc<Roster>) -> Result<Connected, ConnectError> {
    let Connect { host, port, from, secure, settings, within, arbiter, connected, respond } = message;
    let name = format!("{host}:{port}");
    if secure {
        return Err(ConnectError::NoTls(name));
    }
    let stream = match timeout(within, open(&host, port, from)).await {
        Ok(opened) => opened?,
        Err(_) => return Err(ConnectError::Timeout(name, within)),
    };
    let refused = |error| ConnectError::Refused(name.clone(), error);
    // The stream moves to its arbiter, and starts there or fails there.
    let stream = stream.set_nodelay(settings.nodelay).and_then(|()| stream.into_std()).map_err(&refused)?;
    let (tell, told) = oneshot::channel();
    arbiter.spawn_fn(move || {
        let started = TcpStream::from_std(stream).and_then(|stream| Transport::new(stream, roster.seat())).map(|transport| {
            let told = Connected { id: transport.seat().id(), remote: transport.remote, local: transport.local };
            ClientConnection::start(transport, told, settings, connected, respond);
            told
        });
        let _ = tell.send(started);
    });
    let stopped = || Err(io::Error::new(io::ErrorKind::NotConnected, "the arbiter has stopped"));
    told.await.unwrap_or_else(|_| stopped()).map_err(refused)
}

async fn open(host: &str, port: u16, from: Option<SocketAddr>) -> Result<TcpStream, ConnectError> {
    let name = || format!("{host}:{port}");
    let addresses = lookup_host((host, port)).await.map_err(|error| ConnectError::Resolve(name(), error))?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match dial(address, from).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(ConnectError::Refused(name(), last))
}

async fn dial(to: SocketAddr, from: Option<SocketAddr>) -> io::Result<TcpStream> {
    let Some(from) = from else { return TcpStream::connect(to).await };
    let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(from)?;
    socket.connect(to).await
}

/// What is said to a client's HTTP connection.
pub(crate) enum ClientCommand {
    Request(Box<HttpRequest>, Option<oneshot::Sender<Result<HttpResponse, HttpError>>>),
    Upgrade(Box<(HttpRequest, Handling)>),
    Close,
}

/// What a client's HTTP connection shares with those who talk to it.
pub(crate) struct ClientLine {
    id: SocketId,
    queue: Queue<ClientCommand, Signals>,
}

impl ClientLine {
    fn push(&self, command: ClientCommand) {
        let mut line = self.queue.lock();
        if line.closed {
            drop(line);
            // An acked request hears that from its dropped sender; an upgrade from its handling.
            if let ClientCommand::Upgrade(upgrade) = command {
                let (_, handling) = *upgrade;
                refuse(handling, self.id, None, UpgradeError::Connection("the connection has ended".into()));
            }
            return;
        }
        line.items.push_back(command);
        line.wake();
    }
}

impl Peer for ClientLine {
    fn signal(&self, signal: Signal) {
        let mut line = self.queue.lock();
        line.side.add(signal);
        line.wake();
    }
}

/// A client's connection, to be talked to: the sender of its [`Connected`], which takes an [`HttpRequest`] or an [`UpgradeClient`].
///
/// It can be cloned. When all are dropped and every request has its response, the connection ends.
///
/// What a websocket takes, it does not:
///
/// ```compile_fail
/// # use actix_sockets::{Requester, websocket::Frame};
/// fn too_soon(requester: &Requester) {
///     requester.do_send(Frame::text("not a websocket yet"));
/// }
/// ```
#[derive(Clone)]
pub struct Requester {
    line: Arc<ClientLine>,
    _open: Arc<Open>,
}

/// Dropped with the last requester.
struct Open(Arc<ClientLine>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.push(ClientCommand::Close);
    }
}

impl Requester {
    fn new(line: Arc<ClientLine>) -> Self {
        Self { _open: Arc::new(Open(line.clone())), line }
    }

    /// The connection's name.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.line.id
    }

    /// Sends an [`HttpRequest`], whose response goes to the actor named with [`Connect::responses_to`]; or an [`UpgradeClient`].
    pub fn do_send(&self, message: impl Into<Asked>) {
        self.line.push(message.into().0);
    }

    /// Sends a request, and is answered with its response.
    ///
    /// # Errors
    ///
    /// What the server did wrong, or that the connection has ended.
    pub fn send(&self, request: HttpRequest) -> impl Future<Output = Result<HttpResponse, HttpError>> + use<> {
        let (tell, told) = oneshot::channel();
        self.line.push(ClientCommand::Request(Box::new(request), Some(tell)));
        async move { told.await.unwrap_or(Err(HttpError::Closed)) }
    }
}

impl fmt::Debug for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Requester({})", self.line.id)
    }
}

/// What a [`Requester`] takes: an [`HttpRequest`] or an [`UpgradeClient`].
pub struct Asked(ClientCommand);

impl From<HttpRequest> for Asked {
    fn from(request: HttpRequest) -> Self {
        Self(ClientCommand::Request(Box::new(request), None))
    }
}

impl<A: Actor> From<UpgradeClient<A>> for Asked {
    fn from(upgrade: UpgradeClient<A>) -> Self {
        Self(ClientCommand::Upgrade(Box::new(upgrade.into_parts())))
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked")
    }
}

/// The actor behind a [`Requester`]: a client's connection for as long as it speaks HTTP.
pub struct ClientConnection {
    /// `None` once the connection has been handed over.
    parts: Option<Parts>,
    line: Arc<ClientLine>,
    settings: Settings,
    connected: Connected,
    /// Who waits for which response.
    awaited: VecDeque<(RequestNumber, oneshot::Sender<Result<HttpResponse, HttpError>>)>,
    respond: Option<Box<dyn Fn(Received<HttpResponse>) + Send>>,
    /// The upgrade that was asked for.
    upgrade: Option<(RequestNumber, Box<HttpRequest>, Handling)>,
    /// Nobody can ask for anything any more.
    closing: bool,
    timer: Timer,
}

struct Parts {
    http: http::Client,
    transport: Transport,
}

impl ClientConnection {
    fn start(
        transport: Transport,
        told: Connected,
        settings: Settings,
        connected: Box<dyn FnOnce(Connected, Requester) + Send>,
        respond: Option<Box<dyn Fn(Received<HttpResponse>) + Send>>,
    ) {
        let line = Arc::new(ClientLine { id: told.id, queue: Queue::new(Signals::default()) });
        transport.seat().take(&line);
        let http = http::Client::new(settings.http.clone(), Instant::now());
        let requester = Requester::new(line.clone());
        Self::create(move |ctx| {
            ctx.set_mailbox_capacity(0);
            ctx.spawn(Driver);
            Self {
                parts: Some(Parts { http, transport }),
                line,
                settings,
                connected: told,
                awaited: VecDeque::new(),
                respond,
                upgrade: None,
                closing: false,
                timer: Timer::default(),
            }
        });
        connected(told, requester);
    }

    /// One turn. Ready when this actor's work is over.
    fn turn(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Some(mut parts) = self.parts.take() else { return Poll::Ready(()) };
        let now = Instant::now();
        let (commands, signals) = {
            let mut line = self.line.queue.lock();
            (line.take(cx.waker()), std::mem::take(&mut line.side))
        };
        if signals.has(Signal::Abort) {
            return Poll::Ready(());
        }
        if signals.has(Signal::GoAway) {
            parts.http.close_gracefully(now);
        }
        for command in commands {
            self.obey(command, &mut parts, now);
        }
        if self.timer.rings(now) {
            parts.http.handle_timeout(now);
        }
        if let Err(error) = parts.exchange(now, cx) {
            self.fail(HttpError::Closed, &error.to_string());
            return Poll::Ready(());
        }
        let Some(mut parts) = self.events(parts) else { return Poll::Ready(()) };
        if self.closing && self.awaited.is_empty() && self.upgrade.is_none() && parts.http.in_hand() == 0 {
            parts.http.close_gracefully(now);
        }
        match parts.http.closing() {
            Closing::Open => {}
            Closing::AfterFlush if parts.http.output().is_empty() => parts.transport.finish(cx),
            Closing::AfterFlush => {}
            Closing::Done | Closing::Abort => return Poll::Ready(()),
        }
        self.timer.arm(parts.http.deadline(), now, cx);
        self.parts = Some(parts);
        Poll::Pending
    }

    fn obey(&mut self, command: ClientCommand, parts: &mut Parts, now: Instant) {
        match command {
            ClientCommand::Close => self.closing = true,
            // Behind the last request of a connection, and behind one that may end HTTP, nothing can be asked (RFC 9110 §7.8).
            ClientCommand::Request(_, tell) if !parts.http.can_request() => {
                tracing::debug!(connection = %self.line.id, "a request behind the last one of its connection is not sent");
                if let Some(tell) = tell {
                    let _ = tell.send(Err(HttpError::Closed));
                }
            }
            ClientCommand::Request(request, tell) => {
                let number = parts.http.request(*request, now);
                if let Some(tell) = tell {
                    self.awaited.push_back((number, tell));
                }
            }
            ClientCommand::Upgrade(upgrade) => {
                let (mut request, handling) = *upgrade;
                if !parts.http.can_request() {
                    let error = UpgradeError::Connection("no request can be sent on this connection any more".into());
                    return refuse(handling, self.line.id, None, error);
                }
                if let Some(deflate) = handling.deflate() {
                    deflate.offer(&mut request);
                }
                let number = parts.http.request(request.clone(), now);
                self.upgrade = Some((number, Box::new(request), handling));
            }
        }
    }

    /// Tells what has come. Gives the parts back if HTTP goes on.
    fn events(&mut self, mut parts: Parts) -> Option<Parts> {
        while let Some(event) = parts.http.poll_event() {
            match event {
                ClientEvent::Response { number, response } => {
                    if self.upgrade.as_ref().is_some_and(|(asked, ..)| *asked == number) {
                        let (_, request, handling) = self.upgrade.take()?;
                        let verified = handshake::verify(&request, &response).and_then(|agreed| {
                            handling.check_extensions(&response)?;
                            let deflate = handling.deflate().map_or(Ok(None), |deflate| deflate.judge(&response))?;
                            Ok((agreed, deflate))
                        });
                        match verified {
                            Ok((agreed, deflate)) => {
                                self.take_over(parts, *request, response, agreed, deflate, handling);
                                return None;
                            }
                            Err(error) => {
                                refuse(handling, self.line.id, Some(response), UpgradeError::Handshake(error));
                                if parts.http.is_switched() {
                                    // Whatever it speaks now, it is not what we asked for.
                                    return None;
                                }
                            }
                        }
                    } else if let Some(at) = self.awaited.iter().position(|(asked, _)| *asked == number) {
                        let tell = self.awaited.remove(at).map(|(_, tell)| tell)?;
                        let _ = tell.send(Ok(response));
                    } else if let Some(respond) = &self.respond {
                        respond(Received { message: response, sender: Requester::new(self.line.clone()) });
                    }
                }
                ClientEvent::Failed(error) => self.fail(error, &error.to_string()),
            }
        }
        Some(parts)
    }

    fn fail(&mut self, error: HttpError, what: &str) {
        for (_, tell) in self.awaited.drain(..) {
            let _ = tell.send(Err(error));
        }
        if let Some((_, _, handling)) = self.upgrade.take() {
            refuse(handling, self.line.id, None, UpgradeError::Connection(what.to_owned()));
        }
    }

    fn take_over(
        &mut self,
        parts: Parts,
        request: HttpRequest,
        response: HttpResponse,
        agreed: handshake::Agreed,
        deflate: Option<Parameters>,
        handling: Handling,
    ) {
        let Parts { mut http, transport } = parts;
        let unsent: Output = std::mem::take(http.output());
        let unread = http.into_unread();
        let Handled { settings, chain, upstream, masks, observers } =
            handling.open(Role::Client, &self.settings.websocket, deflate.as_ref());
        let requester = Requester::new(self.line.clone());
        let message = Upgraded { request, remote: self.connected.remote, protocol: agreed.protocol, extensions: agreed.extensions };
        let first = VecDeque::from([
            Delivery::Response(Box::new(Received { message: response, sender: requester })),
            Delivery::Upgraded(Box::new(message)),
        ]);
        WebSocket::take_over(Takeover {
            transport,
            role: Role::Client,
            settings,
            chain,
            unsent,
            unread,
            upstream,
            masks,
            observers,
            first,
        });
    }
}

impl Parts {
    /// Writes what there is to write and reads what there is to read.
    fn exchange(&mut self, now: Instant, cx: &mut TaskContext<'_>) -> io::Result<()> {
        let Self { http, transport } = self;
        if !http.output().is_empty() {
            let mut progress = false;
            let result = transport.poll_write(cx, http.output(), &mut progress);
            if progress {
                http.wrote(now);
            }
            if let Poll::Ready(Err(error)) = result {
                return Err(error);
            }
        }
        while http.wants_read() || http.closing() == Closing::AfterFlush {
            let mut buffer = transport::take_read_buffer();
            let read = transport.poll_read(cx, &mut buffer);
            let arrived = buffer.split();
            transport::give_read_buffer(buffer);
            match read {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => {
                    http.receive_eof(now);
                    break;
                }
                Poll::Ready(Ok(_)) => http.receive(arrived, now),
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Tells a frame handler that there will be no websocket.
fn refuse(handling: Handling, id: SocketId, response: Option<HttpResponse>, error: UpgradeError) {
    tracing::debug!(connection = %id, %error, "no upgrade");
    let Handled { upstream: Some(mut upstream), .. } = handling.open(Role::Client, &Settings::default().websocket, None) else { return };
    let message = UpgradeFailed { response, error };
    // There is no websocket at the other end.
    upstream.attach(&Line::dead(id));
    let mut deliveries = VecDeque::from([Delivery::Failed(Box::new(Received { message, sender: id }))]);
    upstream.deliver(&mut deliveries);
}

impl From<HandshakeError> for UpgradeError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        let items = {
            let mut line = self.line.queue.lock();
            line.closed = true;
            std::mem::take(&mut line.items)
        };
        drop(items);
        self.fail(HttpError::Closed, "the connection ended before the handshake did");
    }
}

impl Actor for ClientConnection {
    type Context = Context<Self>;
}

impl fmt::Debug for ClientConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientConnection({})", self.line.id)
    }
}

/// Takes turns for as long as the connection speaks HTTP.
struct Driver;

impl ActorFuture<ClientConnection> for Driver {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        connection: &mut ClientConnection,
        ctx: &mut Context<ClientConnection>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let over = connection.turn(cx);
        if over.is_ready() {
            ctx.stop();
        }
        over
    }
}
