//! Content that is told as it comes and said as it is made, by the pure server: on virtual time, without a socket, whatever the cuts.

#![allow(clippy::unwrap_used, reason = "a test")]

mod answers;
mod content;
mod dress;
mod peer;
mod time;
