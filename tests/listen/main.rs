//! Listening: where, how many are let in, by way of whom, and what is counted of it; over real loopback TCP and Unix sockets, in the clear and under TLS.
//!
//! What needs a process of its own (descriptors that run out, memory that is measured) starts this program again, see [`process`].

#![allow(clippy::unwrap_used, reason = "a test")]

#[cfg(feature = "tls")]
#[allow(dead_code, reason = "others use more of it")]
#[path = "../tls/authority.rs"]
mod authority;
#[cfg(unix)]
mod by_unix;
#[cfg(feature = "tls")]
mod deadlines;
mod gone;
mod limits;
#[cfg(target_os = "linux")]
mod process;
mod proxy;
mod site;
mod sockets;
mod stats;
#[cfg(target_os = "linux")]
mod t13;
