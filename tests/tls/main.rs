//! TLS: the pure session, byte by byte (`session`); and listeners and connections under it, against OpenSSL's own streams (`t34`).

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod authority;
mod session;
mod t34;
