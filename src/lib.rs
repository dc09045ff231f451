#![cfg_attr(all(feature = "deflate", feature = "tls"), doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "deflate", feature = "tls")),
    doc = "Built without all its features: see the README for what there is with them."
)]
//!
//! # The flow
//!
//! ```text
//!                accept                  HttpRequest                UpgradeServer { 101, handler, stages }
//!  Sockets ──▶ Listener ──▶ Connection ──────────────▶ your actor ───────────────────────────────┐
//!     │                       │    ▲ ◀── HttpResponse ──────┘                                    │
//!     │ connect               │    └─────────────────────────────────────────────────────────────┘
//!     └────▶ ClientConnection │  one turn: the 101 is written, Upgraded is told, HTTP is gone
//!                      │      │
//!                      ▼      ▼
//!                     WebSocket  (codec ▸ deflate ▸ closing ▸ consolidation ▸ your stages)
//!               Received<Frame> │  ▲ Frame, Close
//!                               ▼  │
//!                          your frame handler
//! ```
//!
//! The actors and their messages are all at the top of this crate. What they are made of knows nothing of actix, of sockets or of the clock,
//! and can be used by itself: [`http`], [`upgrade`], [`websocket`], [`stage`], [`output`], [`drain`], [`rate`]. There, bytes and time go in, and events, bytes
//! and the next deadline come out.

#[macro_use]
mod planted;

mod actor;
mod admission;
mod budget;
pub mod drain;
mod hint;
pub mod http;
pub mod output;
mod proxies;
pub mod proxy;
pub mod rate;
pub mod stage;
pub mod tls;
pub mod upgrade;
pub mod websocket;

#[cfg(feature = "deflate")]
pub use actor::Deflate;
#[cfg(feature = "test")]
pub use actor::test;
#[cfg(feature = "actix-web")]
pub use actor::web;
pub use actor::{
    Address, Answer, Asked, Asking, At, Bind, BindError, Bound, Budget, ClearStats, ClientConnection, CloseAll, Closed, ClosedAll, Closes,
    Connect, ConnectError, Connected, Connection, ConnectionCap, Content, ContentAborted, Control, Drained, Ended, GetStats, Guard,
    HttpClose, HttpClosed, HttpConnection, HttpNotice, IntoHandler, Listener, Nobody, Notice, Outgoing, Proxied, RateLimit, Received,
    Register, Registrar, RequestId, RequestStart, Requester, Responder, RoundTripTime, Running, SendError, SendStatus, Sending, Server,
    ServerHandle, SetIdleTimeout, SetRequestTimeout, SetTimeoutTimeout, Settings, Shutdown, Socket, SocketId, Sockets, StageActor,
    StageHost, Stats, Streaming, TimedOut, Told, Unbind, Unbound, Upgrade, UpgradeClient, UpgradeError, UpgradeFailed, UpgradeServer,
    Upgraded, WebSocket, WebSocketSettings, WebSockets,
};
#[cfg(planted)]
#[doc(hidden)]
pub use planted::{Bug, plant};

pub use actor::{ProxyError, RequestFailed, ResponseBody, ResponseStart, StreamingRequest};
pub use http::{Chunk, ContentEnd, HttpRequest, HttpResponse};
pub use proxies::{Proxies, ProxiesError};
pub use stage::{Close, Dropped, Drops, Keyed, Overflow};
pub use upgrade::handshake;
pub use websocket::Frame;

/// The pages of `docs/`, whose code is compiled and run as tests.
#[cfg(doctest)]
mod docs {
    #[doc = include_str!("../docs/architecture.md")]
    struct Architecture;

    #[doc = include_str!("../docs/from-spray.md")]
    struct FromSpray;

    #[doc = include_str!("../docs/behind-a-proxy.md")]
    struct BehindAProxy;

    #[cfg(feature = "actix-web")]
    #[doc = include_str!("../docs/from-actix-web-actors.md")]
    struct FromActixWebActors;

    #[doc = include_str!("../docs/writing-a-stage.md")]
    struct WritingAStage;

    #[doc = include_str!("../docs/conformance.md")]
    struct Conformance;
}
