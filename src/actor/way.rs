//! The way to a server: where it is, how a connection to it is made, and what that connection is told. What is needed to go it once more, to another place.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::timeout;

use super::called::Called;
use super::client_connection::{ClientConnection, refuse};
use super::client_ears::Ears;
use super::clock;
use super::dial::Dial;
use super::messages::{ConnectError, Connected, UpgradeError};
use super::proxy::{ProxyError, authority, tunnel};
use super::requester::{Asked, Requester};
use super::roster::Seat;
use super::secure::{self, Session};
use super::settings::Settings;
use super::socket::SocketId;
use super::stream::Moving;
use super::transport::Transport;
use super::upgrade::Handling;
use crate::http::HttpResponse;
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
    pub(super) proxy: Option<Target>,
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
            proxy: None,
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

    /// A stream to the host, in the clear: by way of the proxy, if there is one.
    pub(super) async fn open(&self) -> Result<Dialled, ConnectError> {
        let began = clock::now();
        let session = if self.secure { Some(self.session()?) } else { None };
        let opened = async {
            let Some(proxy) = &self.proxy else { return self.dial.open(&self.host, self.port, &self.settings).await };
            let failed = |error| ConnectError::Proxy(self.name(), error);
            if proxy.secure {
                return Err(failed(ProxyError::Secure));
            }
            let mut stream = self.dial.open(&proxy.host, proxy.port, &self.settings).await?;
            tunnel(&mut stream, proxy, &authority(&self.host, self.port)).await.map_err(failed)?;
            Ok(stream)
        };
        let stream = match timeout(self.within, opened).await {
            Ok(opened) => opened?,
            Err(_) => return Err(ConnectError::Timeout(self.name(), self.within)),
        };
        let moving = stream.set_nodelay(self.settings.nodelay).and_then(|()| stream.leave());
        let stream = moving.map_err(|error| self.refused(error))?;
        Ok(Dialled { stream, session, within: self.within.saturating_sub(clock::now().duration_since(began)) })
    }

    pub(super) fn refused(&self, error: io::Error) -> ConnectError {
        ConnectError::Refused(self.name(), error)
    }

    /// Starts the connection, on this arbiter.
    pub(super) async fn start(self: Arc<Self>, dialled: Dialled, seat: Seat) -> Result<(Connected, Requester), ConnectError> {
        let Dialled { stream, session, within } = dialled;
        let stream = stream.arrive().map_err(|error| self.refused(error))?;
        let remote = stream.peer_addr().map_err(|error| self.refused(error))?;
        let (stream, secure, seat) = match session {
            None => (stream, None, seat),
            Some(session) => {
                let made = secure::handshake(stream, session, BytesMut::new(), seat, within).await;
                let (stream, secure, seat) = made.map_err(|error| ConnectError::Tls(self.name(), error))?;
                (stream, Some(secure), seat)
            }
        };
        let transport = Transport::new(stream, remote, secure, seat);
        let connected = transport.connected().map_err(|error| self.refused(error))?;
        Ok((connected.clone(), ClientConnection::start(transport, connected, self)))
    }

    /// A TLS session with the host, at its beginning.
    #[cfg(feature = "tls")]
    fn session(&self) -> Result<Session, ConnectError> {
        use std::sync::OnceLock;
        /// To read the system's authorities takes milliseconds: once will do.
        static USUAL: OnceLock<secure::Connector> = OnceLock::new();
        let failed = |error| ConnectError::Tls(self.name(), error);
        let tls = match (&self.tls, USUAL.get()) {
            (Some(tls), _) => tls,
            (None, Some(usual)) => usual,
            (None, None) => {
                let made = secure::Connector::new().map_err(failed)?;
                USUAL.get_or_init(|| made)
            }
        };
        tls.session(&self.host).map_err(failed)
    }

    #[cfg(not(feature = "tls"))]
    fn session(&self) -> Result<Session, ConnectError> {
        Err(ConnectError::NoTls(self.name()))
    }

    /// The way to where a server has sent us. What was said of the other end of this one holds at the same origin only.
    fn elsewhere(&self, target: &Target, same_origin: bool, redirects: Redirects) -> Self {
        let mut way = Self { redirects, ..self.clone() };
        if !same_origin {
            (way.host, way.port, way.secure) = (target.host.clone(), target.port, target.secure);
            if way.proxy.is_none() {
                way.dial.leaves_the_host();
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
                None => Err(way.refused(io::Error::new(io::ErrorKind::NotConnected, "all connections are being closed"))),
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
    session: Option<Session>,
    /// What is left of the time.
    within: Duration,
}
