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

mod actor;
pub mod drain;
pub mod http;
pub mod output;
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
    Answer, Asked, Asking, Bind, BindError, Bound, ClientConnection, CloseAll, Closed, ClosedAll, Connect, ConnectError, Connected,
    Connection, Content, ContentAborted, Control, Drained, Ended, Guard, HttpClose, HttpClosed, HttpConnection, HttpNotice, IntoHandler,
    Listener, Nobody, Notice, Outgoing, RateLimit, Received, Register, Registrar, RequestId, RequestStart, Requester, Responder,
    RoundTripTime, Running, SendError, Sending, Server, ServerHandle, SetIdleTimeout, SetRequestTimeout, SetTimeoutTimeout, Settings,
    Shutdown, Socket, SocketId, Sockets, StageActor, StageHost, Streaming, TimedOut, Told, Unbind, Unbound, Upgrade, UpgradeClient,
    UpgradeError, UpgradeFailed, UpgradeServer, Upgraded, WebSocket, WebSocketSettings, WebSockets,
};
pub use actor::{ProxyError, RequestFailed, ResponseBody, ResponseStart, StreamingRequest};
pub use http::{Chunk, ContentEnd, HttpRequest, HttpResponse};
pub use stage::Close;
pub use upgrade::handshake;
pub use websocket::Frame;

/// The pages of `docs/`, whose code is compiled and run as tests.
#[cfg(doctest)]
mod docs {
    #[doc = include_str!("../docs/architecture.md")]
    struct Architecture;

    #[doc = include_str!("../docs/from-spray.md")]
    struct FromSpray;

    #[cfg(feature = "actix-web")]
    #[doc = include_str!("../docs/from-actix-web-actors.md")]
    struct FromActixWebActors;

    #[doc = include_str!("../docs/writing-a-stage.md")]
    struct WritingAStage;

    #[doc = include_str!("../docs/conformance.md")]
    struct Conformance;
}
