#![allow(clippy::unwrap_used, reason = "a test")]

//! The client's side of HTTP/1.1 as transcripts, without sockets and on virtual time. Each input is fed whole, byte by byte and in cuts, and must tell the same.

mod answers;
mod peer;
mod pipelining;
mod streaming;
