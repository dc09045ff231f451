//! Makes connections: what was [dialled](super::dial) on the [way](super::way) goes to its arbiter, becomes perhaps a TLS session, and starts.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Arbiter, ArbiterHandle, Handler, Message};
use tokio::sync::oneshot;

#[cfg(feature = "test")]
use super::client_connection::ClientConnection;
use super::client_ears::Ears;
use super::content::ContentAborted;
use super::messages::{ConnectError, Connected, HttpClosed, Received, RequestFailed, ResponseStart};
use super::requester::{Asked, Requester};
use super::roster::Roster;
use super::settings::Settings;
#[cfg(feature = "test")]
use super::transport::Transport;
use super::upgrade::UpgradeClient;
use super::upstream::Route;
use super::way::Way;
use crate::http::{Chunk, ContentEnd, HttpResponse};
use crate::proxies::{Proxies, ProxiesError};
use crate::upgrade::handshake::{Redirects, Target};

/// Makes a TCP connection: sent to [`Sockets`](super::Sockets), answered with [`Connected`] or [`ConnectError`].
///
/// The handler hears [`Received<Connected, Requester>`](Requester), whose sender takes an [`HttpRequest`](crate::HttpRequest) or an [`UpgradeClient`]. With
/// [`websocket`](Self::websocket) that is done for you.
pub struct Connect {
    way: Way,
    arbiter: ArbiterHandle,
    connected: Box<dyn FnOnce(Connected, Requester) + Send>,
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
            way: Way::new(host, port, false),
            arbiter: Arbiter::current(),
            connected: Box::new(move |message, sender| route.mail(&handler, Received { message, sender })),
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
            way: Way::new(target.host.clone(), target.port, target.secure),
            arbiter: Arbiter::current(),
            connected: Box::new(move |_, sender| sender.do_send(upgrade)),
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
        let mut connect = Self::new(handler, target.host.clone(), target.port);
        connect.way.secure = target.secure;
        connect
    }

    /// Under TLS, made as this says, whatever the URL's scheme. Without it, `wss` and `https` are under TLS as
    /// [`tls::Client::new`](crate::tls::Client::new) makes it. The name in the server's certificate must be the host.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: crate::tls::Client) -> Self {
        self.way.secure = true;
        self.way.tls = Some(tls);
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
        self.ears().hear_responses(&handler);
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
        self.ears().hear_streams(&handler);
        self
    }

    /// This actor hears which of those requests have no response, and why. Of a response that is heard as it comes the end is told by a [`ContentAborted`].
    #[must_use]
    pub fn failures_to<A>(mut self, handler: Addr<A>) -> Self
    where
        A: Actor + Handler<Received<RequestFailed>>,
        A::Context: ToEnvelope<A, Received<RequestFailed>>,
    {
        self.ears().hear_failures(&handler);
        self
    }

    /// This actor hears how the connection has ended, once: not if it has become a websocket.
    #[must_use]
    pub fn closed_to<A>(mut self, handler: Addr<A>) -> Self
    where
        A: Actor + Handler<Received<HttpClosed>>,
        A::Context: ToEnvelope<A, Received<HttpClosed>>,
    {
        self.ears().hear_the_end(&handler);
        self
    }

    /// By way of this HTTP proxy, whatever is spoken: it is asked for a tunnel by CONNECT (RFC 9110 §9.3.6), and TLS is between us and the host. Where the scheme of its URL is
    /// `https`, there is TLS between us and the proxy, too. A userinfo in it becomes `Proxy-Authorization`. Names are resolved by the proxy. [`Connected::remote`] is the proxy then.
    #[must_use]
    pub fn proxy(self, proxy: &Target) -> Self {
        self.proxies(Proxies::all(proxy.clone()))
    }

    /// By way of one of these proxies, or of none, depending on where it leads: that of a [redirect](Self::redirects) may be another.
    #[must_use]
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.way.proxies = proxies;
        self
    }

    /// By way of the proxy that the environment names, if it does: `https_proxy`, `http_proxy` and `no_proxy`, or their names in capitals. See [`Proxies::of`]. Nobody looks at them
    /// unless asked to.
    ///
    /// # Errors
    ///
    /// When one of them cannot be understood.
    pub fn proxy_from_environment(self) -> Result<Self, ProxiesError> {
        Ok(self.proxies(Proxies::of(|name| std::env::var_os(name))?))
    }

    /// TLS to the proxy is made as this says, where its URL is `https`: as [`tls::Client::new`](crate::tls::Client::new) makes it by default, whatever
    /// [`tls`](Self::tls) says of the host.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn proxy_tls(mut self, tls: crate::tls::Client) -> Self {
        self.way.proxy_tls = Some(tls);
        self
    }

    /// By way of the Unix socket at this path, in place of TCP: who listens there is taken for the host, or for the [proxy](Self::proxy). What is said is the same:
    /// `Host`, and the name that TLS looks for, are the host's.
    #[cfg(unix)]
    #[must_use]
    pub fn unix_socket(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.way.dial.unix = Some(path.into());
        self
    }

    /// From this address of ours; port 0 is any. The operating system chooses both by default.
    #[must_use]
    pub fn local_address(mut self, from: SocketAddr) -> Self {
        self.way.dial.from = Some(from);
        self
    }

    /// Follows so many redirects, one after the other, where an [`UpgradeClient`] is answered with one (RFC 9110 §15.4): none by default. Each is a connection of its own, made as this
    /// one is, with as long a [`timeout`](Self::timeout). The frame handler hears the last answer only; whoever hears [of the end](Self::closed_to) hears of each.
    ///
    /// What is not followed fails the upgrade with [`UpgradeError::Redirect`](super::UpgradeError::Redirect), whose [`RedirectError`](crate::handshake::RedirectError) says
    /// why: one too many, one to where we have been, one from `wss` to `ws`, or to what is no URL. Another origin is told neither `Authorization` nor `Cookie` nor
    /// `Proxy-Authorization`; a [Unix socket](Self::unix_socket) that stands for the host is not asked about it. What [`tls`](Self::tls) says holds for all of them, a certificate of
    /// ours with it. Other requests are answered with the redirect itself: where it leads may be another connection, which is theirs to make.
    #[must_use]
    pub fn redirects(mut self, limit: usize) -> Self {
        self.way.redirects = Redirects::up_to(limit);
        self
    }

    fn ears(&mut self) -> &mut Ears {
        // Nobody shares them before there is a connection.
        Arc::make_mut(&mut self.way.ears)
    }

    /// All limits and deadlines.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.way.settings = settings;
        self
    }

    /// How long connecting may take, all addresses of the host together and the TLS handshake with them: 10 s.
    #[must_use]
    pub fn timeout(mut self, within: Duration) -> Self {
        self.way.within = within;
        self
    }
}

#[cfg(feature = "test")]
impl Connect {
    /// Starts the connection over this transport, as if it had been made. It is the only one: no redirect leads out of memory.
    pub(crate) fn over(self, transport: Transport, connected: Connected) {
        let way = Arc::new(Way { redirects: Redirects::default(), ..self.way });
        (self.connected)(connected.clone(), ClientConnection::start(transport, connected, way));
    }
}

impl Message for Connect {
    type Result = Result<Connected, ConnectError>;
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("host", &self.way.host).field("port", &self.way.port).finish_non_exhaustive()
    }
}

/// Resolves, connects, and starts the connection on the arbiter where the message was made.
pub(crate) async fn connect(message: Connect, roster: Arc<Roster>) -> Result<Connected, ConnectError> {
    let Connect { way, arbiter, connected } = message;
    let way = Arc::new(way);
    let dialled = way.open().await?;
    let (tell, told) = oneshot::channel();
    let (there, seat) = (way.clone(), roster.seat());
    // The stream moves to its arbiter, and starts there or fails there.
    arbiter.spawn_fn(move || {
        actix_rt::spawn(async move {
            let started = there.start(dialled, seat).await.map(|(told, requester)| {
                connected(told.clone(), requester);
                told
            });
            let _ = tell.send(started);
        });
    });
    told.await.unwrap_or_else(|_| Err(way.refused(io::Error::new(io::ErrorKind::NotConnected, "the arbiter has stopped"))))
}
