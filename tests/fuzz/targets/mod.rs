//! What is fuzzed: each place that reads what a peer has sent, and what must hold there whatever comes.
//!
//! A target is a function of bytes that panics when something does not hold. The programs of `fuzz/` call it with inputs that they grow
//! by what they see of the code; `tests/fuzz/main.rs` calls it with those that were found so, and with generated ones. There is no other
//! copy. The oracles are few and short:
//!
//! * only documented errors, and after an error nothing;
//! * the same is heard whole, byte by byte and in pieces of any length;
//! * what one role writes the other reads;
//! * what comes out is bounded by what went in, and the limits hold;
//! * every wait has a deadline, and meeting deadlines leads to the end.

mod chunked;
mod client;
mod codec;
#[cfg(feature = "deflate")]
mod deflate;
#[cfg(feature = "deflate")]
mod extensions;
mod handshake;
pub(crate) mod input;
mod origin;
mod pair;
mod proxy;
mod server;
mod session;
mod url;

/// A target's name, and what it does with an input.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All targets, by name.
pub(crate) const ALL: &[Target] = &[
    ("chunked", chunked::run),
    ("client", client::run),
    ("codec", codec::run),
    #[cfg(feature = "deflate")]
    ("deflate", deflate::run),
    #[cfg(feature = "deflate")]
    ("extensions", extensions::run),
    ("handshake", handshake::run),
    ("origin", origin::run),
    ("pair", pair::run),
    ("proxy", proxy::run),
    ("server", server::run),
    ("session", session::run),
    ("url", url::run),
];
