//! The stages by themselves, on virtual time: no socket, no actor, no sleep.
//!
//! [`probe`] holds one stage between two probes and writes down what it says, up and down. [`wire`] holds a whole pipeline between a
//! handler and a peer that writes and reads raw bytes. Both have a clock of their own, so that an hour of pings is a loop.

#![allow(clippy::unwrap_used, reason = "a test")]

mod probe;
mod wire;

mod auto_ping;
mod auto_pong;
mod chain;
mod closing;
mod consolidation;
mod cuts;
#[cfg(feature = "deflate")]
mod deflate;
mod hide_pongs;
mod pace;
mod pipeline;
#[cfg(feature = "deflate")]
mod puff;
mod t25;
#[cfg(feature = "deflate")]
mod t29;
