//! The way to a server: where it is, how a connection to it is made, and what that connection is told. What is needed to go it once more, to another place.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use http::HeaderValue;
use http::uri::Authority;
use tokio::time::timeout;

use super::called::Called;
use super::client_connection::ClientConnection;
use super::client_ears::Ears;
use super::client_upgrade::refuse;
use super::clock;
use super::dial::Dial;
use super::messages::{ConnectError, Connected, UpgradeError};
use super::proxy::{ProxyError, authority, tunnel};
use super::requester::{Asked, Requester};
use super::roster::Seat;
use super::secure::{self, Session};
use super::settings::Settings;
use super::socket::SocketId;
use super::stream::{Moving, Stream};
use super::transport::Transport;
use super::upgrade::Handling;
use super::veil::Veil;
use crate::http::HttpResponse;
use crate::proxies::Proxies;
use crate::upgrade::handshake::{Redirected, Redirects, Target};

/// Where a connection leads, and how it is made.
#[derive(Clone)]
pub(crate) struct Way {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) dial: Dial,
    pub(super) secure: bool,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<secure::Connector>,
    pub(super) proxies: Proxies,
    #[cfg(feature = "tls")]
    pub(super) proxy_tls: Option<secure::Connector>,
    pub(super) settings: Settings,
    pub(super) within: Duration,
    pub(super) ears: Arc<Ears>,
    pub(super) redirects: Redirects,
}

impl Way {
    pub(super) fn new(host: impl Into<String>, port: u16, secure: bool) -> Self {
        Self {
            host: host.into(),
            port,
            dial: Dial::default(),
            secure,
            #[cfg(feature = "tls")]
            tls: None,
            proxies: Proxies::default(),
            #[cfg(feature = "tls")]
            proxy_tls: None,
            settings: Settings::default(),
            within: Duration::from_secs(10),
            ears: Arc::default(),
            redirects: Redirects::default(),
        }
    }

    /// That of a connection in memory.
    #[cfg(feature = "test")]
    pub(super) fn nowhere(settings: Settings) -> Arc<Self> {
        Arc::new(Self { settings, ..Self::new("", 0, false) })
    }

    /// How the place is called in errors.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The place as `Host` has it: without the port that is the scheme's default (RFC 9110 §7.2), and without an IPv6 address's zone, which means something here
    /// only (RFC 6874 §1). None in memory, and of a host that no `Host` can say.
    pub(super) fn authority(&self) -> Option<HeaderValue> {
        let host = self.host.split_once('%').map_or(&*self.host, |(address, _)| address);
        let mut text = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        if self.port != if self.secure { 443 } else { 80 } {
            text = format!("{text}:{}", self.port);
        }
        let authority = Authority::try_from(text).ok().filter(|_| !host.is_empty())?;
        HeaderValue::try_from(authority.as_str()).ok()
    }

    /// The proxy by which it goes, if by one.
    fn proxy(&self) -> Option<&Target> {
        self.proxies.proxy(self.secure, &self.host, self.port)
    }

    /// A stream to the host, or to the proxy.
    pub(super) async fn open(&self) -> Result<Dialled, ConnectError> {
        let began = clock::now();
        let sessions = Sessions {
            host: if self.secure { Some(self.session(With::Host)?) } else { None },
            proxy: if self.proxy().is_some_and(|proxy| proxy.secure) { Some(self.session(With::Proxy)?) } else { None },
        };
        let (host, port) = self.proxy().map_or((&self.host, self.port), |proxy| (&proxy.host, proxy.port));
        let stream = match timeout(self.within, self.dial.open(host, port, &self.settings)).await {
            Ok(opened) => opened?,
            Err(_) => return Err(self.late()),
        };
        let moving = stream.set_nodelay(self.settings.nodelay).and_then(|()| stream.leave());
        let stream = moving.map_err(|error| self.refused(error))?;
        Ok(Dialled { stream, sessions, until: began.checked_add(self.within) })
    }

    pub(super) fn refused(&self, error: io::Error) -> ConnectError {
        ConnectError::Refused(self.name(), error)
    }

    /// All connections are being closed, and this is to be none.
    fn called_off(&self) -> ConnectError {
        self.refused(io::Error::new(io::ErrorKind::NotConnected, "all connections are being closed"))
    }

    fn late(&self) -> ConnectError {
        ConnectError::Timeout(self.name(), self.within)
    }

    /// Starts the connection, on this arbiter.
    pub(super) async fn start(self: Arc<Self>, dialled: Dialled, seat: Seat) -> Result<(Connected, Requester), ConnectError> {
        let Dialled { stream, sessions, until } = dialled;
        let left = || until.map_or(self.within, |until| until.saturating_duration_since(clock::now()));
        let stream = stream.arrive().map_err(|error| self.refused(error))?;
        let remote = stream.peer_addr().map_err(|error| self.refused(error))?;
        let (stream, seat) = match self.proxy() {
            None => (stream, seat),
            Some(proxy) => {
                let failed = |error| ConnectError::Proxy(self.name(), error);
                let (mut stream, seat) = match sessions.proxy {
                    None => (stream, seat),
                    Some(session) => {
                        let made = secure::handshake(stream, session, BytesMut::new(), seat, left(), None).await;
                        let (stream, secure, seat) = made.map_err(|error| failed(ProxyError::Tls(error)))?;
                        (Stream::Veiled(Veil::new(stream, secure), remote.clone()), seat)
                    }
                };
                let called = Arc::new(Called::default());
                seat.take(&called);
                let authority = authority(&self.host, self.port);
                let made = called.unless(timeout(left(), tunnel(&mut stream, proxy, &authority))).await;
                made.ok_or_else(|| self.called_off())?.map_err(|_| self.late())?.map_err(failed)?;
                (stream, seat)
            }
        };
        let (stream, secure, seat) = match sessions.host {
            None => (stream, None, seat),
            Some(session) => {
                let made = secure::handshake(stream, session, BytesMut::new(), seat, left(), None).await;
                let (stream, secure, seat) = made.map_err(|error| ConnectError::Tls(self.name(), error))?;
                (stream, Some(secure), seat)
            }
        };
        let transport = Transport::new(stream, remote, secure, seat);
        let connected = transport.connected().map_err(|error| self.refused(error))?;
        Ok((connected.clone(), ClientConnection::start(transport, connected, self)))
    }

    /// A TLS session with the host, or the proxy, at its beginning.
    #[cfg(feature = "tls")]
    fn session(&self, with: With) -> Result<Session, ConnectError> {
        use std::sync::OnceLock;
        /// To read the system's authorities takes milliseconds: once will do.
        static USUAL: OnceLock<secure::Connector> = OnceLock::new();
        let failed = |error| match with {
            With::Host => ConnectError::Tls(self.name(), error),
            With::Proxy => ConnectError::Proxy(self.name(), ProxyError::Tls(error)),
        };
        let (own, host) = match (with, self.proxy()) {
            (With::Proxy, Some(proxy)) => (&self.proxy_tls, &proxy.host),
            _ => (&self.tls, &self.host),
        };
        let tls = match (own, USUAL.get()) {
            (Some(tls), _) => tls,
            (None, Some(usual)) => usual,
            (None, None) => {
                let made = secure::Connector::new().map_err(failed)?;
                USUAL.get_or_init(|| made)
            }
        };
        tls.session(host).map_err(failed)
    }

    #[cfg(not(feature = "tls"))]
    fn session(&self, _: With) -> Result<Session, ConnectError> {
        Err(ConnectError::NoTls(self.name()))
    }

    /// The way to where a server has sent us. What was said of the other end of this one holds at the same origin only.
    fn elsewhere(&self, target: &Target, same_origin: bool, redirects: Redirects) -> Self {
        let mut way = Self { redirects, ..self.clone() };
        if !same_origin {
            (way.host, way.port, way.secure) = (target.host.clone(), target.port, target.secure);
            // A Unix socket is that of the host, or of the proxy.
            if self.proxy().is_none() || way.proxy().is_none() {
                way.dial.unix_is_elsewhere();
            }
        }
        way
    }

    /// Goes where a server has sent us, on this arbiter, and asks there. The seat is that of the new connection.
    pub(super) fn goes_on(&self, to: Redirected, response: HttpResponse, handling: Handling, from: SocketId, seat: Seat) {
        let Redirected { target, request, same_origin, redirects, .. } = to;
        tracing::debug!(connection = %from, host = target.host, port = target.port, "redirected");
        let way = Arc::new(self.elsewhere(&target, same_origin, redirects));
        actix_rt::spawn(async move {
            let called = Arc::new(Called::default());
            seat.take(&called);
            let started = match called.unless(way.open()).await {
                Some(Ok(dialled)) => way.start(dialled, seat).await,
                Some(Err(error)) => Err(error),
                None => Err(way.called_off()),
            };
            match started {
                Ok((_, requester)) => requester.do_send(Asked::upgrade((request, handling))),
                Err(error) => refuse(handling, from, Some(response), UpgradeError::Connection(error.to_string())),
            }
        });
    }
}

/// A stream that is connected, and perhaps to be put under TLS.
pub(super) struct Dialled {
    stream: Moving,
    sessions: Sessions,
    /// When its time is over.
    until: Option<Instant>,
}

/// The TLS sessions that are to be, at their beginning.
struct Sessions {
    host: Option<Session>,
    proxy: Option<Session>,
}

/// Whose certificate is asked for.
#[derive(Clone, Copy)]
enum With {
    Host,
    Proxy,
}
