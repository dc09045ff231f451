//! From one protocol to the other (RFC 6455 §4, RFC 9110 §7.8).
//!
//! A websocket begins its life as an HTTP/1.1 request. The client asks for another protocol on the same connection, the server
//! answers `101 Switching Protocols`, and from the byte behind that response's head on both speak frames. If the server answers
//! anything else, nothing has changed: HTTP goes on.
//!
//! ```text
//!   client                                             server
//!   handshake::request ── GET, Upgrade: websocket ──▶  handshake::accept ─── Err(refusal) ──▶ 4xx, HTTP goes on
//!                                                            │ Ok(response)
//!   handshake::verify  ◀── 101, Sec-WebSocket-Accept ─── handshake::check_switching
//! ```
//!
//! Two rules of RFC 9110 §7.8 shape this folder. An upgrade is an offer: a server may decline it, so a refusal is an ordinary
//! response and never an error of the connection. And `Upgrade` is hop-by-hop: it counts only when `Connection` names it, so a
//! header forwarded blindly by a proxy that does not know websockets switches nothing.
//!
//! Everything here is a function from messages to messages. The client's key is an argument, as is whether the connection is
//! secured: nothing reads a clock, a socket or a source of randomness.

pub mod handshake;
mod switch;

pub use switch::{NotSwitched, Switched, agree, switch};
