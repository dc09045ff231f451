//! Our messages (RFC 7692 §7.2.1).

use std::fmt;

use bytes::Bytes;
use flate2::{Compress, FlushCompress};

use super::pool::{self, Sink};
use super::{Choice, Context};
use crate::websocket::{Frame, OpCode};

/// What a message is shortened by: the length of the empty stored block that a flush ends with.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// An empty message: the header of that block (RFC 7692 §7.2.3.6).
const EMPTY: Bytes = Bytes::from_static(&[0]);
/// Shorter messages fit into a packet as they are, and compressing them costs more than sending them.
pub(crate) const THRESHOLD: usize = 128;
/// The fastest. A kibibyte of JSON is compressed to 28 % of it in 8 µs; level 6 makes it 21 % in 45 µs, and messages are many.
pub(crate) const LEVEL: u8 = 1;

pub(super) struct Deflater {
    pub(super) context: Context,
    pub(super) level: u8,
    pub(super) threshold: usize,
    pub(super) choice: Option<Choice>,
    state: Option<Compress>,
    message: Message,
}

/// The message in fragments that is being sent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Message {
    Plain,
    Compressed,
}

impl Deflater {
    pub(super) fn new(context: Context) -> Self {
        Self { context, level: LEVEL, threshold: THRESHOLD, choice: None, state: None, message: Message::Plain }
    }

    /// The frame as it is to be sent; `None` if it may not be.
    pub(super) fn take(&mut self, mut frame: Frame) -> Option<Frame> {
        if frame.rsv & 0b011 != 0 {
            // The codec would refuse it, and then the peer would not know what our compressor remembers.
            tracing::error!("a frame with RSV2 or RSV3 was not sent: no extension that was agreed on uses them (RFC 6455 §5.2)");
            return None;
        }
        let first = frame.opcode != OpCode::Continuation;
        if first {
            self.message = if self.chooses(&frame) { Message::Compressed } else { Message::Plain };
        }
        frame.rsv &= !Frame::UNCOMPRESSED;
        if frame.rsv & 0b100 != 0 {
            // Compressed already, by somebody else. The peer would remember it, and our compressor does not.
            if self.context.takeover {
                tracing::error!("a frame with RSV1 was not sent: with context takeover only this stage may compress (RFC 7692 §7.2.1)");
                return None;
            }
            self.message = Message::Plain;
        }
        if self.message == Message::Plain {
            return Some(frame);
        }
        let compressed = self.compress(&frame.data, frame.fin)?;
        // What the peer does not inflate it does not remember. That is right only if it forgets everything anyway.
        if self.context.takeover || !frame.is_whole() || compressed.len() < frame.data.len() {
            frame.data = compressed;
            frame.rsv |= u8::from(first) << 2;
        }
        Some(frame)
    }

    fn chooses(&self, frame: &Frame) -> bool {
        frame.rsv & (Frame::UNCOMPRESSED | 0b100) == 0
            && (!frame.fin || frame.data.len() >= self.threshold)
            && self.choice.as_ref().is_none_or(|choice| choice(frame))
    }

    fn compress(&mut self, mut input: &[u8], last: bool) -> Option<Bytes> {
        let Context { window_bits, takeover } = self.context;
        let make = if takeover { pool::new_compressor } else { pool::compressor };
        let state = self.state.get_or_insert_with(|| make(self.level, window_bits));
        let mut sink = Sink::new();
        loop {
            sink.make_room(usize::MAX);
            let taken = state.total_in();
            if let Err(error) = state.compress_vec(input, &mut sink.written, FlushCompress::Sync) {
                tracing::error!(%error, "a message was not sent: it could not be compressed");
                return None;
            }
            input = &input[(state.total_in() - taken) as usize..];
            if input.is_empty() && !sink.is_full() {
                break;
            }
        }
        if !last {
            return Some(sink.take());
        }
        if sink.written.ends_with(&TAIL) {
            sink.written.truncate(sink.written.len() - TAIL.len());
        }
        if !takeover && let Some(state) = self.state.take() {
            pool::put_compressor(self.level, window_bits, state);
        }
        // Nothing new since the flush before: then nothing was flushed, and there is no block for the tail to belong to.
        Some(if sink.written.is_empty() { EMPTY } else { sink.take() })
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").field("context", &self.context).field("message", &self.message).finish_non_exhaustive()
    }
}
