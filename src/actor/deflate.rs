//! Compressed messages, at the call site.

use std::fmt;
use std::sync::Arc;

use crate::stage::PerMessageDeflate;
use crate::stage::deflate::{Choice, Context, LEVEL, RATIO, THRESHOLD};
use crate::upgrade::handshake::deflate::{Parameters, Preferences};
use crate::websocket::{Frame, Role};

/// Turns permessage-deflate (RFC 7692) on, with one call at an upgrade:
///
/// ```
/// # use actix_sockets::{Deflate, Received, Frame, UpgradeServer};
/// # use actix_sockets::http::HttpResponse;
/// # use actix::prelude::*;
/// # fn upgrade<A>(response: HttpResponse, ctx: &mut Context<A>) -> UpgradeServer<A>
/// # where A: Actor<Context = Context<A>> + Handler<Received<Frame>> {
/// UpgradeServer::new(response, ctx).deflate(Deflate::new())
/// # }
/// ```
///
/// Whether messages are compressed is for both ends to agree on: a server accepts it if the client offers it, and the 101 says so by
/// itself; a client offers it, and does without if the server does. [`Upgraded::extensions`](super::Upgraded) tells. Where it is not agreed
/// on nothing is different.
///
/// The defaults are those of the RFC, which make the smallest messages: contexts are taken over, so that a message may refer to those
/// before it. That costs memory for each connection, from its first compressed message on: 371 KiB for what we send and 46 KiB for what we
/// hear. [`without_contexts`](Self::without_contexts) costs none while nothing is on its way. See [`stage::deflate`](crate::stage::deflate)
/// for figures.
///
/// **Secrets.** A message that holds a secret and also text that somebody else chooses tells of the secret by its length once it is
/// compressed (CRIME, BREACH). Send such ones with [`Frame::uncompressed`].
#[derive(Clone)]
pub struct Deflate {
    preferences: Preferences,
    level: u8,
    threshold: usize,
    ratio: Option<u32>,
    choice: Option<Choice>,
}

impl Default for Deflate {
    fn default() -> Self {
        Self { preferences: Preferences::default(), level: LEVEL, threshold: THRESHOLD, ratio: Some(RATIO), choice: None }
    }
}

impl Deflate {
    /// The defaults: level 1, messages of 128 bytes and more, contexts taken over, windows of 15 bits, a message swells 200 times at most.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How hard to compress, from 1 (fast) to 9 (small): 1, which makes a kibibyte of JSON 28 % of it; 6 makes it 21 % and takes five times
    /// as long.
    ///
    /// From level 2 on a message that repeats itself for more than a mebibyte can get smaller than a 200th of it, which the default
    /// [`ratio_limit`](Self::ratio_limit) of a receiver refuses; level 1 does not.
    #[must_use]
    pub fn level(mut self, level: u8) -> Self {
        self.level = level.clamp(1, 9);
        self
    }

    /// A message of fewer bytes is sent as it is: 128. One sent in fragments is compressed whatever its length.
    #[must_use]
    pub fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// Only messages for which this says yes are compressed; it is asked with the message, or with its first fragment. For one message,
    /// [`Frame::uncompressed`] says no.
    #[must_use]
    pub fn when(mut self, choice: impl Fn(&Frame) -> bool + Send + Sync + 'static) -> Self {
        self.choice = Some(Arc::new(choice));
        self
    }

    /// How many bytes one compressed byte may become, in a message that is inflated to more than 1 MiB: 200. Beyond: close 1009. The
    /// message limit holds besides, also while inflating.
    #[must_use]
    pub fn ratio_limit(mut self, ratio: u32) -> Self {
        self.ratio = Some(ratio);
        self
    }

    /// A message may swell as much as the message limit allows: DEFLATE can make 1032 bytes of one.
    #[must_use]
    pub fn ratio_unlimited(mut self) -> Self {
        self.ratio = None;
        self
    }

    /// The server compresses each message by itself (RFC 7692 §7.1.1.1). To a client this is a demand: the handshake fails if the server
    /// does not agree.
    #[must_use]
    pub fn server_no_context_takeover(mut self) -> Self {
        self.preferences.server_no_context_takeover = true;
        self
    }

    /// The client compresses each message by itself (RFC 7692 §7.1.1.2).
    #[must_use]
    pub fn client_no_context_takeover(mut self) -> Self {
        self.preferences.client_no_context_takeover = true;
        self
    }

    /// Both ends compress each message by itself: a connection at rest holds no memory for it.
    #[must_use]
    pub fn without_contexts(self) -> Self {
        self.server_no_context_takeover().client_no_context_takeover()
    }

    /// The most bits of the server's window, 8 to 15: 15 (RFC 7692 §7.1.2.1). To a client this is a demand.
    #[must_use]
    pub fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.preferences.server_max_window_bits = bits.clamp(8, 15);
        self
    }

    /// The most bits of the client's window, 8 to 15: 15 (RFC 7692 §7.1.2.2). To a server this is a wish, for the clients that can be
    /// asked.
    #[must_use]
    pub fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.preferences.client_max_window_bits = bits.clamp(8, 15);
        self
    }

    /// What is negotiated.
    #[must_use]
    pub fn preferences(&self) -> &Preferences {
        &self.preferences
    }

    /// The stage for what was agreed on.
    pub(crate) fn stage(self, agreed: &Parameters, role: Role, message_size_limit: u64) -> PerMessageDeflate {
        let server = Context { window_bits: agreed.server_max_window_bits.unwrap_or(15), takeover: !agreed.server_no_context_takeover };
        let client = Context { window_bits: agreed.client_max_window_bits.unwrap_or(15), takeover: !agreed.client_no_context_takeover };
        let (incoming, outgoing) = match role {
            Role::Server => (client, server),
            Role::Client => (server, client),
        };
        let stage = PerMessageDeflate::new(incoming, outgoing, message_size_limit).level(self.level).threshold(self.threshold);
        let stage = match self.ratio {
            Some(ratio) => stage.ratio_limit(ratio),
            None => stage.ratio_unlimited(),
        };
        match self.choice {
            Some(choice) => stage.when(choice),
            None => stage,
        }
    }
}

impl fmt::Debug for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { preferences, level, threshold, ratio, .. } = self;
        f.debug_struct("Deflate")
            .field("preferences", preferences)
            .field("level", level)
            .field("threshold", threshold)
            .field("ratio", ratio)
            .finish_non_exhaustive()
    }
}
