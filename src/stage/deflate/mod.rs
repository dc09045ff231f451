//! Compressed messages (RFC 7692).
//!
//! permessage-deflate gives RSV1 a meaning: the message that begins with it is DEFLATE data (RFC 1951), cut into fragments wherever the
//! sender liked. The stage stands below all others, between [`Closing`](super::Closing) and the codec, so that nobody above it sees RSV1 or
//! a compressed byte:
//!
//! * **In**, a frame is inflated when it comes and handed up as one frame with what came out of it. Whole messages stay whole, fragments
//!   stay fragments; [`Consolidation`](super::Consolidation) knows nothing of it. Text is judged as it comes out, and the message limit holds
//!   *while* inflating: not one piece more is made of a message that has crossed it.
//! * **Out**, each message is sent compressed or not, as its size, your choice and the frame's own
//!   [word](crate::websocket::Frame::uncompressed) say. Fragments are compressed as they come and flushed, so that the peer can read each of
//!   them at once.
//!
//! What the two ends agreed on is a [`Context`] for each direction. With *context takeover* a message may refer to those before it:
//! messages that resemble each other get very small, and each connection keeps a compressor or an inflater for as long as it lives, from
//! the first compressed message on. Without it a connection at rest keeps nothing: both come from a pool of the thread and go back to it
//! behind each message.
//!
//! What one connection then holds, measured:
//!
//! | window bits | compressor | inflater |
//! |---|---|---|
//! | 15 | 371 KiB | 46 KiB |
//! | 12 | 259 KiB | 46 KiB |
//! | 8 or 9 | 245 KiB | 46 KiB |
//! | without context takeover | 0 | 0 |
//!
//! These are what is allocated; of it a connection of `examples/echo.rs` has in memory, at rest after a message of 1000 bytes each way: 335
//! KiB with windows of 15 bits, 211 KiB with 9, and 3.9 KiB without contexts, where one that does not compress has 3.5 KiB.
//!
//! Each thread keeps four of each at most for those without. (The backend has no setting for its memory but the window.)
//!
//! A broken message fails the websocket as the codec's errors do: nothing more is read, and the Close frame goes out behind the answers to
//! what came before it ([`Command::Refuse`]).

mod deflater;
mod inflater;
mod pool;

use std::fmt;
use std::sync::Arc;

use self::deflater::Deflater;
pub(crate) use self::deflater::{LEVEL, THRESHOLD};
use self::inflater::Inflater;
pub(crate) use self::inflater::RATIO;
use super::{Command, Event, Flow, Interest, Stage};
use crate::websocket::Frame;

/// What may be referred to, in one direction (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Context {
    /// The base-2 logarithm of the LZ77 sliding window's size: 8 to 15.
    pub window_bits: u8,
    /// Whether a message may refer to those before it.
    pub takeover: bool,
}

impl Default for Context {
    /// What holds unless something else is agreed on: 32 KiB, with context takeover.
    fn default() -> Self {
        Self { window_bits: 15, takeover: true }
    }
}

/// Which messages are worth compressing: see [`PerMessageDeflate::when`].
pub type Choice = Arc<dyn Fn(&Frame) -> bool + Send + Sync>;

/// Inflates what comes and compresses what goes: permessage-deflate (RFC 7692). The lowest stage of a chain.
///
/// With a server or a client of this crate, [`Deflate`](crate::Deflate) is the way to have it: that agrees on it with the peer first.
pub struct PerMessageDeflate {
    incoming: Inflater,
    outgoing: Deflater,
}

impl PerMessageDeflate {
    /// With what was agreed on for the peer's messages and for ours, and the most bytes that a message may be inflated to. Beyond: 1009.
    #[must_use]
    pub fn new(incoming: Context, outgoing: Context, message_size_limit: u64) -> Self {
        Self { incoming: Inflater::new(incoming, message_size_limit), outgoing: Deflater::new(outgoing) }
    }

    /// How hard to compress, from 1 (fast) to 9 (small): 1.
    ///
    /// From level 2 on a message that repeats itself for more than a mebibyte can get smaller than a 200th of it, which the default
    /// [`ratio_limit`](Self::ratio_limit) of a receiver refuses; level 1 does not.
    #[must_use]
    pub fn level(mut self, level: u8) -> Self {
        self.outgoing.level = level.clamp(1, 9);
        self
    }

    /// A message of fewer bytes is sent as it is: 128. One in fragments is compressed whatever its length, which nobody knows when it
    /// begins.
    #[must_use]
    pub fn threshold(mut self, bytes: usize) -> Self {
        self.outgoing.threshold = bytes;
        self
    }

    /// Only messages for which this says yes are compressed. It is asked with the message, or with its first fragment.
    #[must_use]
    pub fn when(mut self, choice: Choice) -> Self {
        self.outgoing.choice = Some(choice);
        self
    }

    /// How many bytes one compressed byte may become, in a message that is inflated to more than 1 MiB: 200. Beyond: 1009.
    #[must_use]
    pub fn ratio_limit(mut self, ratio: u32) -> Self {
        self.incoming.ratio = Some(ratio);
        self
    }

    /// No limit to how much a message may swell, but for the message limit.
    #[must_use]
    pub fn ratio_unlimited(mut self) -> Self {
        self.incoming.ratio = None;
        self
    }
}

impl Stage for PerMessageDeflate {
    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        match event {
            Event::Frame(frame) if frame.opcode.is_data() => match self.incoming.take(frame) {
                Ok(Some(frame)) => flow.up(Event::Frame(frame)),
                Ok(None) => {}
                Err(error) => flow.down(Command::Refuse(error)),
            },
            other => flow.up(other),
        }
    }

    fn command(&mut self, command: Command, flow: &mut Flow<'_>) {
        match command {
            Command::Frame(frame) if frame.opcode.is_data() => {
                if let Some(frame) = self.outgoing.take(frame) {
                    flow.down(Command::Frame(frame));
                }
            }
            other => flow.down(other),
        }
    }

    // Whole messages without RSV1 pass by.
    fn interest(&self) -> Interest {
        Interest::RSV1_IN.and(Interest::FRAGMENTS_IN).and(Interest::DATA_OUT)
    }
}

impl fmt::Debug for PerMessageDeflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PerMessageDeflate(in {}, out {} at {})", self.incoming.context, self.outgoing.context, self.outgoing.level)
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.window_bits, if self.takeover { "" } else { " without takeover" })
    }
}
