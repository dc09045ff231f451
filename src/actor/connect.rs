//! Makes connections: a name becomes addresses, an address a TCP stream, and that perhaps a TLS session.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Arbiter, ArbiterHandle, Handler, Message};
use bytes::BytesMut;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::client_connection::ClientConnection;
use super::clock;
use super::messages::{ConnectError, Connected, Received};
use super::requester::{ClientCommand, Requester};
use super::roster::{Roster, Seat};
use super::secure::{self, Session};
use super::settings::Settings;
use super::stream::Stream;
use super::transport::Transport;
use super::upgrade::UpgradeClient;
use super::upstream::Route;
use crate::http::HttpResponse;
use crate::upgrade::handshake::Target;

/// Makes a TCP connection: sent to [`Sockets`](super::Sockets), answered with [`Connected`] or [`ConnectError`].
///
/// The handler hears [`Received<Connected, Requester>`](Requester), whose sender takes an [`HttpRequest`](crate::HttpRequest) or an [`UpgradeClient`]. With
/// [`websocket`](Self::websocket) that is done for you.
pub struct Connect {
    host: String,
    port: u16,
    from: Option<SocketAddr>,
    secure: bool,
    tls: Option<secure::Connector>,
    settings: Settings,
    within: Duration,
    arbiter: ArbiterHandle,
    connected: Box<dyn FnOnce(Connected, Requester) + Send>,
    respond: Option<Box<dyn Fn(Received<HttpResponse>) + Send>>,
}

impl Connect {
    /// To this host and port, in the clear unless [`tls`](Self::tls) is called ([`target`](Self::target) goes by a URL), for this actor: it hears [`Received<Connected, Requester>`](Requester). An IPv6 address is written without
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
            tls: None,
            settings: Settings::default(),
            within: Duration::from_secs(10),
            arbiter: Arbiter::current(),
            connected: Box::new(move |message, sender| route.mail(&handler, Received { message, sender })),
            respond: None,
        }
    }

    /// To the host of a websocket URL, and asks for the upgrade at once. The answer, [`Connected`], is about TCP and TLS only: whether there is a
    /// websocket is told by [`Upgraded`](super::Upgraded) or by [`UpgradeFailed`](super::UpgradeFailed), which the frame handler can [hear](super::Upgrade::hears). The target comes from
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
            tls: None,
            settings: Settings::default(),
            within: Duration::from_secs(10),
            arbiter: Arbiter::current(),
            connected: Box::new(move |_, sender| sender.command(ClientCommand::Upgrade(Box::new((request, handling))))),
            respond: None,
        }
    }

    /// To the host of an `http` or `https` URL (`ws` and `wss` mean the same), for this actor, as [`new`](Self::new).
    ///
    /// # Panics
    ///
    /// Outside an actix `System`.
    #[must_use]
    pub fn target<A>(handler: Addr<A>, target: &Target) -> Self
    where
        A: Actor + Handler<Received<Connected, Requester>>,
        A::Context: ToEnvelope<A, Received<Connected, Requester>>,
    {
        Self { secure: target.secure, ..Self::new(handler, target.host.clone(), target.port) }
    }

    /// Under TLS, made as this says, whatever the URL's scheme. Without it, `wss` and `https` are under TLS as
    /// [`tls::Client::new`](crate::tls::Client::new) makes it. The name in the server's certificate must be the host.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: crate::tls::Client) -> Self {
        self.secure = true;
        self.tls = Some(tls);
        self
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

    /// How long connecting may take, all addresses of the host together and the TLS handshake with them: 10 s.
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
    let Connect { host, port, from, secure, tls, settings, within, arbiter, connected, respond } = message;
    let began = clock::now();
    let name = format!("{host}:{port}");
    let session = if secure { Some(session(tls, &host, &name)?) } else { None };
    let stream = match timeout(within, open(&host, port, from)).await {
        Ok(opened) => opened?,
        Err(_) => return Err(ConnectError::Timeout(name, within)),
    };
    let refused = |error| ConnectError::Refused(name.clone(), error);
    // The stream moves to its arbiter, and starts there or fails there.
    let stream = stream.set_nodelay(settings.nodelay).and_then(|()| stream.into_std()).map_err(refused)?;
    let (tell, told) = oneshot::channel();
    let dialled = Dialled {
        name: name.clone(),
        stream,
        session,
        within: within.saturating_sub(clock::now().duration_since(began)),
        seat: roster.seat(),
    };
    arbiter.spawn_fn(move || {
        actix_rt::spawn(async move {
            let started = dialled.secured().await.map(|(transport, told)| {
                connected(told.clone(), ClientConnection::start(transport, told.clone(), settings, respond));
                told
            });
            let _ = tell.send(started);
        });
    });
    told.await.unwrap_or_else(|_| Err(refused(io::Error::new(io::ErrorKind::NotConnected, "the arbiter has stopped"))))
}

/// A stream that is connected, and perhaps to be put under TLS.
struct Dialled {
    name: String,
    stream: std::net::TcpStream,
    session: Option<Session>,
    within: Duration,
    seat: Seat,
}

impl Dialled {
    async fn secured(self) -> Result<(Transport, Connected), ConnectError> {
        let Self { name, stream, session, within, seat } = self;
        let refused = |error| ConnectError::Refused(name.clone(), error);
        let stream = TcpStream::from_std(stream).map_err(refused)?;
        let remote = stream.peer_addr().map_err(refused)?;
        let stream = Stream::Tcp(stream);
        let (stream, secure, seat) = match session {
            None => (stream, None, seat),
            Some(session) => {
                let made = secure::handshake(stream, session, BytesMut::new(), seat, within).await;
                made.map(|(stream, secure, seat)| (stream, Some(secure), seat)).map_err(|error| ConnectError::Tls(name.clone(), error))?
            }
        };
        let transport = Transport::new(stream, remote.into(), secure, seat);
        let connected = transport.connected().map_err(refused)?;
        Ok((transport, connected))
    }
}

/// A TLS session with this host, at its beginning.
#[cfg(feature = "tls")]
fn session(tls: Option<secure::Connector>, host: &str, name: &str) -> Result<Session, ConnectError> {
    use std::sync::OnceLock;
    /// To read the system's authorities takes milliseconds: once will do.
    static USUAL: OnceLock<secure::Connector> = OnceLock::new();
    let failed = |error| ConnectError::Tls(name.to_owned(), error);
    let tls = match (tls, USUAL.get()) {
        (Some(tls), _) => tls,
        (None, Some(usual)) => usual.clone(),
        (None, None) => {
            let made = secure::Connector::new().map_err(failed)?;
            USUAL.get_or_init(|| made).clone()
        }
    };
    tls.session(host).map_err(failed)
}

#[cfg(not(feature = "tls"))]
fn session(_: Option<secure::Connector>, _: &str, name: &str) -> Result<Session, ConnectError> {
    Err(ConnectError::NoTls(name.to_owned()))
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
