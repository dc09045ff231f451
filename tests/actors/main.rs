//! The actors over real loopback TCP, against a peer that shares no protocol code with the library.
//!
//! A test is a transcript: what the raw [`peer`](peer::Peer) says and hears on one side, what the [`probe`](site::Probe) behind the library
//! hears on the other. Every wait has a deadline. Most tests run once for each way that a frame handler can be attached, see
//! [`Kind`](site::Kind), and all of them in the clear and under TLS, see [`Transport`](transport::Transport).

#![allow(clippy::unwrap_used, reason = "a test")]

mod answers;
#[cfg(feature = "tls")]
#[path = "../tls/authority.rs"]
mod authority;
mod client;
mod closing;
mod death;
mod defects;
#[cfg(feature = "deflate")]
mod deflate;
mod guards;
mod hostile_servers;
mod http;
mod order;
mod overflow;
mod peer;
mod pressure;
mod redirects;
#[cfg(feature = "tls")]
mod sealed;
mod seed;
mod sending;
mod shortcuts;
mod shutdown;
mod site;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod upgrades;
