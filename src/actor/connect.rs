//! Makes connections: what was [dialled](super::dial) goes to its arbiter, becomes perhaps a TLS session, and starts.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Arbiter, ArbiterHandle, Handler, Message};
use bytes::BytesMut;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::client_connection::ClientConnection;
use super::client_ears::Ears;
use super::clock;
use super::content::ContentAborted;
use super::dial::Dial;
use super::messages::{ConnectError, Connected, HttpClosed, Received, RequestFailed, ResponseStart};
use super::proxy::{ProxyError, authority, tunnel};
use super::requester::{Asked, Requester};
use super::roster::{Roster, Seat};
use super::secure::{self, Session};
use super::settings::Settings;
use super::stream::Moving;
use super::transport::Transport;
use super::upgrade::UpgradeClient;
use super::upstream::Route;
use crate::http::{Chunk, ContentEnd, HttpResponse};
use crate::upgrade::handshake::Target;

/// Makes a TCP connection: sent to [`Sockets`](super::Sockets), answered with [`Connected`] or [`ConnectError`].
///
/// The handler hears [`Received<Connected, Requester>`](Requester), whose sender takes an [`HttpRequest`](crate::HttpRequest) or an [`UpgradeClient`]. With
/// [`websocket`](Self::websocket) that is done for you.
pub struct Connect {
    host: String,
    port: u16,
    dial: Dial,
    secure: bool,
    tls: Option<secure::Connector>,
    proxy: Option<Target>,
    settings: Settings,
    within: Duration,
    arbiter: ArbiterHandle,
    connected: Box<dyn FnOnce(Connected, Requester) + Send>,
    ears: Ears,
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
            dial: Dial::default(),
            secure: false,
            tls: None,
            proxy: None,
            settings: Settings::default(),
            within: Duration::from_secs(10),
            arbiter: Arbiter::current(),
            connected: Box::new(move |message, sender| route.mail(&handler, Received { message, sender })),
            ears: Ears::default(),
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
        let upgrade = Asked::upgrade(upgrade.into_parts());
        Self {
            host: target.host.clone(),
            port: target.port,
            dial: Dial::default(),
            secure: target.secure,
            tls: None,
            proxy: None,
            settings: Settings::default(),
            within: Duration::from_secs(10),
            arbiter: Arbiter::current(),
            connected: Box::new(move |_, sender| sender.do_send(upgrade)),
            ears: Ears::default(),
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

    /// This actor hears the responses to requests that were sent with [`Requester::do_send`], [`write`](Requester::write) and [`start`](Requester::start), in the order of the
    /// requests. Content beyond [`Settings::content_limit`](crate::http::Settings::content_limit) is an error.
    #[must_use]
    pub fn responses_to<A>(mut self, handler: Addr<A>) -> Self
    where
        A: Actor + Handler<Received<HttpResponse>>,
        A::Context: ToEnvelope<A, Received<HttpResponse>>,
    {
        self.ears.hear_responses(&handler);
        self
    }

    /// This actor hears those responses as they come: a [`ResponseStart`], any number of [`Chunk`]s, and a [`ContentEnd`] with the trailers, or a
    /// [`ContentAborted`]. While it holds the senders of more than a window of chunks nothing is read: see [`Content`](super::Content).
    #[must_use]
    pub fn streams_responses_to<A>(mut self, handler: Addr<A>) -> Self
    where
        A: Actor
            + Handler<Received<ResponseStart>>
            + Handler<Received<Chunk>>
            + Handler<Received<ContentEnd>>
            + Handler<Received<ContentAborted>>,
        A::Context: ToEnvelope<A, Received<ResponseStart>>
            + ToEnvelope<A, Received<Chunk>>
            + ToEnvelope<A, Received<ContentEnd>>
            + ToEnvelope<A, Received<ContentAborted>>,
    {
        self.ears.hear_streams(&handler);
        self
    }

    /// This actor hears which of those requests have no response, and why. Of a response that is heard as it comes the end is told by a [`ContentAborted`].
    #[must_use]
    pub fn failures_to<A>(mut self, handler: Addr<A>) -> Self
    where
        A: Actor + Handler<Received<RequestFailed>>,
        A::Context: ToEnvelope<A, Received<RequestFailed>>,
    {
        self.ears.hear_failures(&handler);
        self
    }

    /// This actor hears how the connection has ended, once: not if it has become a websocket.
    #[must_use]
    pub fn closed_to<A>(mut self, handler: Addr<A>) -> Self
    where
        A: Actor + Handler<Received<HttpClosed>>,
        A::Context: ToEnvelope<A, Received<HttpClosed>>,
    {
        self.ears.hear_the_end(&handler);
        self
    }

    /// By way of this HTTP proxy, whatever is spoken: it is asked for a tunnel by CONNECT (RFC 9110 §9.3.6), and TLS is between us and the host. The scheme of its URL is
    /// `http`; a userinfo in it becomes `Proxy-Authorization`. Names are resolved by the proxy. [`Connected::remote`] is the proxy then.
    #[must_use]
    pub fn proxy(mut self, proxy: &Target) -> Self {
        self.proxy = Some(proxy.clone());
        self
    }

    /// By way of the Unix socket at this path, in place of TCP: who listens there is taken for the host, or for the [proxy](Self::proxy). What is said is the same:
    /// `Host`, and the name that TLS looks for, are the host's.
    #[cfg(unix)]
    #[must_use]
    pub fn unix_socket(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.dial.unix = Some(path.into());
        self
    }

    /// From this address of ours; port 0 is any. The operating system chooses both by default.
    #[must_use]
    pub fn local_address(mut self, from: SocketAddr) -> Self {
        self.dial.from = Some(from);
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

#[cfg(feature = "test")]
impl Connect {
    /// Starts the connection over this transport, as if it had been made.
    pub(crate) fn over(self, transport: Transport, connected: Connected) {
        (self.connected)(connected.clone(), ClientConnection::start(transport, connected, self.settings, self.ears));
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
    let Connect { host, port, dial, secure, tls, proxy, settings, within, arbiter, connected, ears } = message;
    let began = clock::now();
    let name = format!("{host}:{port}");
    let session = if secure { Some(session(tls, &host, &name)?) } else { None };
    let opened = async {
        let Some(proxy) = proxy else { return dial.open(&host, port, &settings).await };
        if proxy.secure {
            return Err(ConnectError::Proxy(name.clone(), ProxyError::Secure));
        }
        let mut stream = dial.open(&proxy.host, proxy.port, &settings).await?;
        let tunnel = tunnel(&mut stream, &proxy, &authority(&host, port)).await;
        tunnel.map(|()| stream).map_err(|error| ConnectError::Proxy(name.clone(), error))
    };
    let stream = match timeout(within, opened).await {
        Ok(opened) => opened?,
        Err(_) => return Err(ConnectError::Timeout(name, within)),
    };
    let refused = |error| ConnectError::Refused(name.clone(), error);
    // The stream moves to its arbiter, and starts there or fails there.
    let stream = stream.set_nodelay(settings.nodelay).and_then(|()| stream.leave()).map_err(refused)?;
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
                connected(told.clone(), ClientConnection::start(transport, told.clone(), settings, ears));
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
    stream: Moving,
    session: Option<Session>,
    within: Duration,
    seat: Seat,
}

impl Dialled {
    async fn secured(self) -> Result<(Transport, Connected), ConnectError> {
        let Self { name, stream, session, within, seat } = self;
        let refused = |error| ConnectError::Refused(name.clone(), error);
        let stream = stream.arrive().map_err(refused)?;
        let remote = stream.peer_addr().map_err(refused)?;
        let (stream, secure, seat) = match session {
            None => (stream, None, seat),
            Some(session) => {
                let made = secure::handshake(stream, session, BytesMut::new(), seat, within).await;
                made.map(|(stream, secure, seat)| (stream, Some(secure), seat)).map_err(|error| ConnectError::Tls(name.clone(), error))?
            }
        };
        let transport = Transport::new(stream, remote, secure, seat);
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
