//! HTTP handlers over connections in memory, on virtual time: what they hear beside whole requests, and what they can say.

#![allow(clippy::unwrap_used, reason = "a test")]

mod downloads;
mod peer;
mod uploads;
