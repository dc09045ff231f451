//! RFC 9112 and the parts of RFC 9110 that fall to a server's connections, clause by clause, over real loopback TCP.
//!
//! The modules carry the RFC's table of contents. A row is a test: its clause, what a raw peer says, what it must hear, and what the handler,
//! an actor behind the listener, must have seen. Each runs in the clear and under TLS, whole, byte by byte, in random cuts and behind another
//! request, see [`transcript`]; those of the client run against a scripted raw server, see [`client`]. A clause that we do not follow is an
//! ignored row with the reason.

#![allow(clippy::unwrap_used, reason = "a test")]

#[cfg(feature = "tls")]
#[path = "../tls/authority.rs"]
#[allow(dead_code, reason = "shared with tests/tls")]
mod authority;
mod client;
mod peer;
mod proxy;
#[cfg(feature = "tls")]
#[path = "../actors/sealed.rs"]
#[allow(dead_code, reason = "shared with tests/actors")]
mod sealed;
mod site;
#[macro_use]
mod transcript;
#[path = "../actors/transport.rs"]
#[allow(dead_code, reason = "shared with tests/actors")]
mod transport;

// RFC 9112
mod s02_message;
mod s03_request_line;
mod s04_status_line;
mod s05_field_syntax;
mod s06_message_body;
mod s07_transfer_codings;
mod s08_incomplete_messages;
mod s09_connections;
mod s11_security;

// RFC 9110
mod semantics;
