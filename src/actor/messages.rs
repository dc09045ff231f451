//! The whole conversation on one page: what you may say, then what you may hear.
//!
//! | to | you say | you get |
//! |---|---|---|
//! | [`Sockets`](super::Sockets) | [`Bind`](super::Bind) | [`Bound`] or [`BindError`] |
//! | | [`Connect`](super::Connect) | [`Connected`] or [`ConnectError`] |
//! | | [`CloseAll`] | [`ClosedAll`] |
//! | | [`Shutdown`] | [`Unbound`] once all listeners have ended |
//! | [`Bound::listener`] | [`Unbind`] | [`Unbound`] |
//! | it, or [`Sockets`](super::Sockets) | [`GetStats`](super::GetStats), [`ClearStats`](super::ClearStats) | [`Stats`](super::Stats) |
//! | the sender of a [`Connected`] | [`Register`](super::Register) | |
//! | the sender of an [`HttpRequest`] | [`HttpResponse`] or [`UpgradeServer`](super::UpgradeServer), or is started on a [`Streaming`](super::Streaming) response, once | |
//! | an [`HttpConnection`](super::HttpConnection) | [`SetRequestTimeout`](super::SetRequestTimeout), [`SetIdleTimeout`](super::SetIdleTimeout), [`HttpClose`](super::HttpClose) … | |
//! | the sender of a client's [`Connected`] | [`HttpRequest`], [`UpgradeClient`](super::UpgradeClient), or starts a [`StreamingRequest`](super::StreamingRequest) | |
//! | the sender of an [`Upgraded`] or a [`Frame`] | [`Frame`], [`Close`](crate::stage::Close) | |
//!
//! | you hear | as | from |
//! |---|---|---|
//! | a TCP connection was accepted | [`Received<Connected>`] | `Connection` |
//! | a request | [`Received<HttpRequest>`] | `Connection` |
//! | a request whose content follows | [`Received<RequestStart>`](super::RequestStart) | `Connection` |
//! | some of its content, and its end | [`Received<Chunk>`], [`Received<ContentEnd>`] | `Connection`, `ClientConnection` |
//! | its content will not be complete | [`Received<ContentAborted>`](super::ContentAborted) | `Connection`, `ClientConnection` |
//! | a request is not answered in time | [`Received<TimedOut>`] | `Connection` |
//! | an HTTP connection has ended | [`Received<HttpClosed>`] | `Connection`, `ClientConnection` |
//! | a TCP connection was made | [`Received<Connected, Requester>`](super::Requester) | `ClientConnection` |
//! | a response | [`Received<HttpResponse>`] | `ClientConnection` |
//! | a response whose content follows | [`Received<ResponseStart>`] | `ClientConnection` |
//! | a request without a response | [`Received<RequestFailed>`] | `ClientConnection` |
//! | the upgrade has happened | [`Received<Upgraded>`] | `WebSocket` |
//! | an upgrade that did not happen | [`Received<UpgradeFailed>`] | `ClientConnection` |
//! | a frame | [`Received<Frame>`] | `WebSocket` |
//! | how long a ping took | [`Received<RoundTripTime>`] | `WebSocket` |
//! | there is room to send again | [`Received<Drained>`] | `WebSocket` |
//! | the websocket is closed | [`Received<Closed>`] | `WebSocket` |

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, Message};
use http::{Method, Uri};

use super::{Address, Content, Listener, Proxied, Registrar, Requester, Socket, SocketId};
use crate::http::{Chunk, ContentEnd, HttpEnd, HttpError, HttpRequest, HttpResponse};
use crate::stage::By;
use crate::tls::Info;
use crate::websocket::{CloseCode, Frame};

mod ending;
mod errors;

pub use ending::{CloseAll, ClosedAll, Ended, Shutdown, Unbind, Unbound};
pub use errors::{BindError, ConnectError, UpgradeError};

/// A message that came from a connection, and whom to answer: Akka's `sender`, typed by the state that the connection is in.
///
/// While you hold the sender of a [`Frame`] you have the frame in hand, and the connection counts its bytes: see [`Socket`].
#[derive(Debug)]
pub struct Received<M: Told, S: 'static = <M as Told>::Sender> {
    /// The message.
    pub message: M,
    /// The connection it came from.
    pub sender: S,
}

impl<M: Told, S> Message for Received<M, S> {
    type Result = ();
}

/// A message that connections tell, and what its sender can be told in return.
pub trait Told: Send + 'static {
    /// What stands for the connection in a [`Received`].
    type Sender: Send + 'static;
}

macro_rules! told {
    ($($message:ty => $sender:ty),* $(,)?) => { $(impl Told for $message { type Sender = $sender; })* };
}

told! {
    Connected => Registrar,
    HttpRequest => super::Responder,
    super::RequestStart => super::Responder,
    Chunk => super::Content,
    ContentEnd => super::Content,
    super::ContentAborted => super::Content,
    TimedOut => super::Responder,
    HttpClosed => SocketId,
    HttpResponse => Requester,
    ResponseStart => Requester,
    RequestFailed => SocketId,
    Upgraded => Socket,
    UpgradeFailed => SocketId,
    Frame => Socket,
    RoundTripTime => Socket,
    Drained => Socket,
    Closed => Socket,
}

/// A listener accepts connections.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Where it listens, with the real port also if port 0 was asked for: at the first of its addresses that is of TCP. If none is, `0.0.0.0:0`.
    pub address: SocketAddr,
    /// All its addresses, in the order asked for, Unix sockets with them.
    pub addresses: Vec<Address>,
    /// The listener: it takes [`Unbind`], [`GetStats`](super::GetStats) and [`ClearStats`](super::ClearStats).
    pub listener: Addr<Listener>,
}

/// A TCP connection is there: accepted, or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// The connection's name.
    pub id: SocketId,
    /// The peer's address: by way of a proxy, what that says of the client.
    pub remote: Address,
    /// Our own address.
    pub local: Address,
    /// The proxy that the connection came by: see [`Bind::proxy_protocol`](super::Bind::proxy_protocol).
    pub proxied: Option<Arc<Proxied>>,
    /// What the TLS handshake has agreed on, the peer's certificate with it; `None` in the clear.
    pub tls: Option<Arc<Info>>,
}

/// The connection is a websocket now. Comes before all frames.
#[derive(Clone, Debug)]
pub struct Upgraded {
    /// The request that asked for it: path, headers.
    pub request: HttpRequest,
    /// The peer's address.
    pub remote: Address,
    /// What the TLS handshake has agreed on, the peer's certificate with it; `None` in the clear.
    pub tls: Option<Arc<Info>>,
    /// The subprotocol agreed on (RFC 6455 §1.9), if any.
    pub protocol: Option<String>,
    /// The extensions agreed on (RFC 6455 §9), as the response names them.
    pub extensions: Vec<String>,
}

/// A request has not been answered in time. It still can be, for a short while: by its own [`Responder`](super::Responder), or by the sender of this.
/// Whoever answers first is heard; the other answer goes nowhere. Then the peer gets a 500, and the connection closes.
#[derive(Clone, Debug)]
pub struct TimedOut {
    /// The request; without its content, where that was told as it came.
    pub request: HttpRequest,
}

/// An HTTP connection has ended. The last that its handler hears of it, and there is exactly one; none, if it has become a websocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpClosed {
    /// The connection's name.
    pub id: SocketId,
    /// How it came to its end.
    pub how: HttpEnd,
}

/// The upgrade that a client asked for did not take place.
#[derive(Debug)]
pub struct UpgradeFailed {
    /// The server's answer, if it gave one.
    pub response: Option<HttpResponse>,
    /// What is wrong with it.
    pub error: UpgradeError,
}

/// A response has begun whose content is told as it comes: its [`Chunk`]s follow, then a [`ContentEnd`] or a [`ContentAborted`](super::ContentAborted). See
/// [`Connect::streams_responses_to`](super::Connect::streams_responses_to).
#[derive(Debug)]
pub struct ResponseStart {
    /// The response, without its content.
    pub response: HttpResponse,
    /// How many bytes of content follow, where the server has said so.
    pub length: Option<u64>,
    /// Whose content it is. As long as you hold this nothing of it is read. It is dropped with the message, so that a handler that does nothing about it has
    /// the content come at once.
    pub content: Content,
}

/// A request of a client has no response, or no complete one, and will have none: see [`Connect::failures_to`](super::Connect::failures_to).
#[derive(Clone, Debug)]
pub struct RequestFailed {
    /// The request's method.
    pub method: Method,
    /// Its URI, as it was given.
    pub uri: Uri,
    /// What happened; and whether anything was sent: see [`HttpError::may_be_sent_again`].
    pub error: HttpError,
}

/// How long a ping of [`AutoPing`](crate::stage::AutoPing) took to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoundTripTime(pub Duration);

/// What waited to be written was above the soft limit, and no longer is: there is room to send again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained;

/// The websocket is closed. The last message of a connection, and there is exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The connection's name.
    pub id: SocketId,
    /// The code of the Close frame that began the closing handshake; 1005 if it had none, 1006 if there was no Close frame at all.
    pub code: CloseCode,
    /// The reason in that frame, or what happened in place of one.
    pub reason: Cow<'static, str>,
    /// Who began.
    pub by: By,
    /// Whether a Close frame passed in both directions (RFC 6455 §7.1.4).
    pub clean: bool,
}
