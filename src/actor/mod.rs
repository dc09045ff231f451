//! The only folder that knows actix and tokio: the actors around the pure protocols.
//!
//! ```text
//!   Sockets ──▶ Listener ──▶ Connection ──▶ WebSocket ──▶ (StageActor …) ──▶ your frame handler
//!      └────────────────▶ ClientConnection ──▶─┘
//! ```
//!
//! **Who owns whom.** Nobody is supervised by anybody: a `Connection` owns its TCP stream and ends with it, or hands it over to a
//! `WebSocket`, which does the same. A seat in the listener's roster moves with the stream, so that a listener can tell all its
//! connections to end, and knows when they have.
//!
//! **Who stops whom.** The end of a stream ends its connection, or websocket. The death of a handler ends its connection: a handler that was given by its
//! context or made for the connection is known to be dead at once, one that was given by its address within five seconds, or as soon as it
//! drops a message's sender while it panics. The end of a connection does not stop a handler that others hold the address of.
//!
//! **Who may block whom.** Nobody: a handler that is slow has its connection not read, a peer that is slow has its handler told, by
//! [`SendError::Full`], by [`Drained`], and at the hard limit by the end of the connection.
//!
//! **How messages travel.** What handlers say goes into a queue that the connection drains in its turn, with one wake for all of
//! them, and one write. What connections tell goes the same way up, by a feeder in the handler's own context; or through the mailbox, for
//! handlers that are known by their address only.

mod above;
mod accepting;
mod address;
mod bind;
mod budget;
mod buffers;
mod called;
mod client_connection;
mod client_ears;
mod client_line;
mod client_upgrade;
mod clock;
mod connect;
mod connection;
mod content;
#[cfg(feature = "deflate")]
mod deflate;
mod delivery;
mod dial;
mod exchange;
mod gate;
mod guard;
mod handlers;
mod home;
mod house;
mod http_connection;
mod http_delivery;
mod http_line;
mod large;
mod line;
mod listener;
mod listening;
mod lobby;
mod messages;
#[cfg(feature = "test")]
mod network;
mod pipe;
mod proxied;
mod proxy;
mod queue;
mod register;
mod requester;
mod responder;
mod response_body;
mod roster;
mod scope;
#[cfg(feature = "tls")]
mod secure;
#[cfg(not(feature = "tls"))]
#[path = "insecure.rs"]
mod secure;
mod server;
mod settings;
mod socket;
mod socket_options;
mod sockets;
mod stage_actor;
mod stats;
mod stream;
mod streaming;
mod streaming_request;
#[cfg(feature = "test")]
pub mod test;
mod timer;
mod transport;
mod upgrade;
mod upstream;
mod veil;
mod watch;
mod way;
#[cfg(feature = "actix-web")]
pub mod web;
mod websocket;
mod workers;

pub use address::Address;
pub use bind::Bind;
pub use budget::Budget;
pub use client_connection::ClientConnection;
pub use connect::Connect;
pub use connection::Connection;
pub use content::{Content, ContentAborted, RequestId, RequestStart};
#[cfg(feature = "deflate")]
pub use deflate::Deflate;
pub use delivery::Notice;
pub use gate::ConnectionCap;
pub use guard::{Asking, Guard, RateLimit};
pub use handlers::WebSockets;
pub use http_connection::{Control, HttpClose, HttpConnection, SetIdleTimeout, SetRequestTimeout, SetTimeoutTimeout};
pub use http_delivery::HttpNotice;
pub use listener::Listener;
pub use listening::At;
pub use messages::{
    BindError, Bound, CloseAll, Closed, ClosedAll, ConnectError, Connected, Drained, Ended, HttpClosed, Received, RoundTripTime, Shutdown,
    TimedOut, Told, Unbind, Unbound, UpgradeError, UpgradeFailed, Upgraded,
};
pub use messages::{RequestFailed, ResponseStart};
pub use proxied::Proxied;
pub use proxy::ProxyError;
pub use register::{Register, Registrar};
pub use requester::{Asked, Requester};
pub use responder::{Answer, Responder};
pub use response_body::ResponseBody;
pub use server::{Running, Server, ServerHandle};
pub use settings::{Settings, WebSocketSettings};
pub use socket::{Outgoing, SendError, SendStatus, Sending, Socket, SocketId};
pub use sockets::Sockets;
pub use stage_actor::{StageActor, StageHost};
pub use stats::{ClearStats, Closes, GetStats, Stats};
pub use streaming::Streaming;
pub use streaming_request::StreamingRequest;
pub use upgrade::{Nobody, Upgrade, UpgradeClient, UpgradeServer};
pub use upstream::IntoHandler;
pub use websocket::WebSocket;
