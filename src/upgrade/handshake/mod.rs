//! The opening handshake (RFC 6455 §4), both ends of it.
//!
//! **The server** judges a request with [`accept()`], or with [`Rules`] of its own about origins and subprotocols. Out comes the
//! 101, or a [`Refusal`] that knows the response it deserves. A user may as well write the 101 by hand;
//! [`check_switching`] looks at it before the connection believes it.
//!
//! ```
//! # use actix_sockets::http::{HttpRequest, HttpResponse};
//! use actix_sockets::upgrade::handshake;
//!
//! fn answer(request: &HttpRequest) -> HttpResponse {
//!     match handshake::accept(request) {
//!         Ok(switching_protocols) => switching_protocols,
//!         Err(refusal) => refusal.into_response(),
//!     }
//! }
//! # let target = handshake::Target::parse("ws://example.com/chat").unwrap();
//! # assert_eq!(answer(&handshake::request(&target, *b"the sample nonce")).status, 101);
//! ```
//!
//! **The client** reads a URL into a [`Target`], writes the [`request()`] and judges the response with [`verify()`]. What both
//! settled on is [`Agreed`].
//!
//! ```
//! use actix_sockets::upgrade::handshake::{self, Rules, Target};
//!
//! let target = Target::parse("wss://example.com/chat").unwrap();
//! let sent = handshake::with_protocols(handshake::request(&target, *b"the sample nonce"), &["superchat", "chat"]).unwrap();
//! let answer = Rules::new().protocols(["chat"]).accept(&sent).unwrap();
//! assert_eq!(handshake::verify(&sent, &answer).unwrap().protocol.as_deref(), Some("chat"));
//! ```
//!
//! Why so strict? A page in a browser can send a request to any server, and a proxy on the way can be made to misread one. The
//! handshake is built so that neither can produce a websocket by accident: every field of it is judged, a doubled one is refused
//! rather than one of the two picked, and there is no 101 for a request that is wrong anywhere.

mod accept;
pub mod deflate;
mod list;
mod origin;
mod redirect;
mod refusal;
mod request;
mod target;
mod verify;

pub use accept::{Rules, accept, accept_key, is_handshake};
pub use origin::Origin;
pub use redirect::{RedirectError, Redirected, Redirects};
pub use refusal::Refusal;
pub use request::{BadProtocols, request, with_protocols};
pub use target::{Target, UrlError};
pub(crate) use verify::settle;
pub use verify::{Agreed, HandshakeError, SwitchRefused, agreed, check_switching, verify};
