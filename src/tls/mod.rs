//! Bytes ⇄ bytes: TLS as one more step between the wire and HTTP, by OpenSSL over a wire in memory.
//!
//! ```text
//!            plaintext                         ciphertext
//!   HTTP,  ── write ──▶ ┌─────────┐ ── outgoing ──▶
//!   frames              │ Session │                   the stream
//!          ◀── read ─── └─────────┘ ◀── incoming ──
//! ```
//!
//! A [`Session`] does no I/O: whoever owns the stream puts what it has read into [`incoming`](Session::incoming), and writes what stands
//! in [`outgoing`](Session::outgoing). So the same turns, limits and tests serve in the clear and under TLS: what a turn has to say is
//! sealed together and leaves in one write, and how much is unsent is counted in plaintext, until its ciphertext has left.
//!
//! [`Server`] and [`Client`] are what sessions are made from: certificates, authorities, and what is asked of the peer. Both take OpenSSL's
//! own `SslAcceptor` and `SslConnector` too, for what is not on offer here.
//!
//! TLS 1.2 and 1.3 are spoken (RFC 8446, RFC 5246), the ciphers are Mozilla's *intermediate* ones, the protocol offered with
//! ALPN is `http/1.1`, a server accepts `http/1.0` too (RFC 7301). There is no renegotiation, no compression and no early data.
//!
//! [`Info`], [`Certificate`] and [`TlsError`], what can be told of a session, are there without the feature `tls` as well: then there are
//! never any.

#![cfg_attr(not(feature = "tls"), allow(rustdoc::broken_intra_doc_links, reason = "what they name is not built"))]

#[cfg(feature = "tls")]
mod client;
mod error;
mod hello;
#[cfg(feature = "tls")]
mod identity;
mod info;
#[cfg(feature = "tls")]
mod server;
#[cfg(feature = "tls")]
mod session;

#[cfg(feature = "tls")]
pub use client::{Client, ClientBuilder};
pub use error::TlsError;
pub(crate) use hello::begins;
#[cfg(feature = "tls")]
pub use identity::{Authorities, Identity};
pub use info::{Certificate, Info};
#[cfg(feature = "tls")]
pub use server::{Server, ServerBuilder};
#[cfg(feature = "tls")]
pub use session::{Plain, Session};

/// `http/1.1`, as ALPN lists it (RFC 7301 §6).
#[cfg(feature = "tls")]
const ALPN: &[u8] = b"\x08http/1.1";
