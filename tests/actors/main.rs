//! The actors over real loopback TCP, against a peer that shares no protocol code with the library.
//!
//! A test is a transcript: what the raw [`peer`](peer::Peer) says and hears on one side, what the [`probe`](site::Probe) behind the library
//! hears on the other. Every wait has a deadline. Most tests run once for each way that a frame handler can be attached, see
//! [`Kind`](site::Kind), and take the [`Transport`](transport::Transport) as an argument.

#![allow(clippy::unwrap_used, reason = "a test")]

mod answers;
mod client;
mod closing;
mod death;
mod defects;
#[cfg(feature = "deflate")]
mod deflate;
mod order;
mod peer;
mod pressure;
mod seed;
mod sending;
mod shutdown;
mod site;
mod transport;
mod upgrades;
