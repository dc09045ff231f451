//! Connections that we make, as actors use them: in memory, on virtual time, against a server that the test speaks.

#![allow(clippy::unwrap_used, reason = "a test")]

mod downloads;
mod peer;
mod requests;
#[path = "../http_handlers/talk.rs"]
mod talk;
mod uploads;
