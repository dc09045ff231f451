//! HTTP/1.1 (RFC 9110, RFC 9112): bytes ⇄ [`HttpRequest`] and [`HttpResponse`].
//!
//! Two state machines, [`Server`] and [`Client`], and no I/O: what was read is given to `receive`, what is to be written stands in
//! `output`, what happened is asked of `poll_event`, and the time comes as an argument. So an hour of keep-alive is a test of a
//! microsecond, and every cut of the input can be tried.
//!
//! ```text
//!   bytes ─▶ decode (heads) ─▶ content (bodies) ─▶ connection ─▶ Event::Request        RFC 9112 §3, §5; §6, §7; §9
//!   bytes ◀─ output ◀───────── encode ◀─────────── connection ◀─ respond, start/chunk/finish, into_switched
//! ```
//!
//! **Strict where readers may differ.** A message that two recipients could read differently is how requests are smuggled
//! (RFC 9112 §11.2). So a bare LF, obs-fold, a second `Content-Length`, `Transfer-Encoding` in HTTP/1.0 and their kin are refused with
//! 400, also where the RFC would let us mend them; an unknown transfer coding is 501. [`HttpError`] names each, with its clause. Only where
//! it has a client mend a response, obs-fold, that is done.
//!
//! **Nothing is looked at twice.** The search for the end of a head goes on where it stopped; chunk framing is a state machine over
//! bytes. A head of 16 MiB sent byte by byte costs 16 KiB of work, then 431.
//!
//! **Nothing large is kept.** Header values and content that came whole are slices of what was read; what is incomplete when `receive`
//! returns is copied into memory of its own size, so that the caller's read buffer is free again. Content is collected as it arrives,
//! never by its announced length.
//!
//! **Responses leave in the order of requests**, whatever the order of answers (RFC 9112 §9.3.2). At most
//! [`Settings::pipelining_limit`] requests are in hand; behind them, and behind a request for an upgrade to websocket, bytes wait
//! unparsed: they may be of another protocol. [`Server::into_switched`] hands them out.
//!
//! **The end is orderly.** After the last response: FIN, then read and discard until the peer's FIN or a deadline
//! ([`Closing::AfterFlush`]), for a reset would overtake the response (RFC 9112 §9.6).

mod answering;
mod asking;
mod client;
mod client_deadlines;
mod client_event;
mod client_held;
mod connection;
mod content;
mod deadlines;
mod decode;
mod dressing;
mod encode;
mod error;
mod event;
mod exchange;
mod hearing;
mod held;
mod host;
mod input;
mod message;
mod rate;
mod receiving;
mod refusing;
mod settings;
mod switching;
mod target;
mod trailers;
mod wire;

pub use client::Client;
pub use client_event::{ClientEvent, Streams};
pub use connection::Server;
pub use encode::HttpDate;
pub use error::{HttpError, RespondError, SwitchError};
pub use event::{Event, HttpEnd, Parts, RequestNumber};
pub use message::{Chunk, ContentEnd, HttpRequest, HttpResponse};
pub use settings::Settings;
pub use target::UriParsing;
pub use wire::Closing;

/// Of the crate `http`: what the fields of messages are.
#[doc(no_inline)]
pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
