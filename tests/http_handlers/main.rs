//! HTTP handlers over connections in memory, on virtual time: what they hear beside whole requests, and what they can say.

#![allow(clippy::unwrap_used, clippy::result_large_err, reason = "a test")]

mod closes;
mod downloads;
mod functions;
mod guards;
mod late;
mod peer;
mod reading;
#[allow(dead_code, reason = "shared with tests/http_requesters")]
mod talk;
mod time;
mod uploads;
