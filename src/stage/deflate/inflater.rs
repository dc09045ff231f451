//! The peer's messages (RFC 7692 §7.2.2).

use flate2::{Decompress, FlushDecompress, Status};

use super::Context;
use super::pool::{self, Sink};
use crate::websocket::utf8::Utf8Validator;
use crate::websocket::{Frame, OpCode, ProtocolError};

/// What the sender has removed from the end of a message: the length of an empty stored block, whose header is still there.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// The ratio does not matter for less than this.
const HARMLESS: u64 = 1 << 20;
/// How many bytes one byte may become.
pub(crate) const RATIO: u32 = 200;
/// The farthest that a message may refer back.
const WINDOW: usize = 32 << 10;

#[derive(Debug)]
pub(super) struct Inflater {
    pub(super) context: Context,
    pub(super) ratio: Option<u32>,
    limit: u64,
    state: Option<Decompress>,
    message: Message,
}

#[derive(Debug)]
enum Message {
    /// Between two messages.
    None,
    /// In one that is not compressed.
    Plain,
    /// In one that is.
    Compressed(Progress),
    /// Behind an error.
    Failed,
}

#[derive(Debug)]
struct Progress {
    /// Of a text.
    utf8: Option<Utf8Validator>,
    taken: u64,
    given: u64,
    /// What came last was the end of a block with BFINAL set, and nothing has come behind it.
    ended: bool,
}

impl Inflater {
    pub(super) fn new(context: Context, limit: u64) -> Self {
        Self { context, ratio: Some(RATIO), limit, state: None, message: Message::None }
    }

    /// Gives the frame with its payload inflated; `None` behind an error.
    pub(super) fn take(&mut self, mut frame: Frame) -> Result<Option<Frame>, ProtocolError> {
        if frame.opcode != OpCode::Continuation {
            self.message = if frame.rsv & 0b100 == 0 {
                Message::Plain
            } else {
                let utf8 = (frame.opcode == OpCode::Text).then(Utf8Validator::new);
                Message::Compressed(Progress { utf8, taken: 0, given: 0, ended: false })
            };
        }
        match std::mem::replace(&mut self.message, Message::Failed) {
            Message::Compressed(mut progress) => {
                frame.data = self.inflate(&mut progress, &frame)?;
                frame.rsv &= 0b011;
                self.message = if frame.fin { Message::None } else { Message::Compressed(progress) };
            }
            Message::Failed => return Ok(None),
            other => self.message = if frame.fin { Message::None } else { other },
        }
        Ok(Some(frame))
    }

    fn inflate(&mut self, progress: &mut Progress, frame: &Frame) -> Result<bytes::Bytes, ProtocolError> {
        let limits = Limits { message: self.limit, ratio: self.ratio };
        let state = self.state.get_or_insert_with(pool::inflater);
        let mut sink = Sink::new();
        if !frame.data.is_empty() {
            progress.feed(state, &frame.data, &mut sink, limits)?;
        }
        if frame.fin {
            // No byte at all is no DEFLATE data (an empty message is one byte, RFC 7692 §7.2.3.6); yet whoever removes the tail from
            // nothing sends it. And a last block with BFINAL set should be followed by a byte for the tail to fit on (§7.2.3.4).
            if progress.taken > 0 && !progress.ended {
                progress.feed(state, &TAIL, &mut sink, limits)?;
            }
            if let Some(utf8) = progress.utf8 {
                utf8.finish().map_err(|_| ProtocolError::InvalidUtf8)?;
            }
            if !self.context.takeover
                && let Some(state) = self.state.take()
            {
                pool::put_inflater(state);
            }
        }
        Ok(sink.take())
    }
}

#[derive(Clone, Copy)]
struct Limits {
    message: u64,
    ratio: Option<u32>,
}

impl Progress {
    fn feed(&mut self, state: &mut Decompress, mut input: &[u8], sink: &mut Sink, limits: Limits) -> Result<(), ProtocolError> {
        loop {
            // One byte beyond the limit is enough to know.
            let most = limits.message.saturating_sub(self.given).saturating_add(1);
            sink.make_room(usize::try_from(most).unwrap_or(usize::MAX));
            let (before, taken, given) = (sink.written.len(), state.total_in(), state.total_out());
            let status = state.decompress_vec(input, &mut sink.written, FlushDecompress::Sync);
            let status = status.map_err(|_| ProtocolError::InvalidDeflate)?;
            let (taken, given) = (state.total_in() - taken, state.total_out() - given);
            self.taken += taken;
            self.given += given;
            input = &input[taken as usize..];
            self.judge(&sink.written[before..], limits)?;
            self.ended = status == Status::StreamEnd;
            if self.ended {
                // RFC 7692 §7.2.1: the next block follows, on a byte's border, and may refer to what came before it.
                state.reset(false);
                let recent = sink.written.len().saturating_sub(WINDOW);
                state.set_dictionary(&sink.written[recent..]).map_err(|_| ProtocolError::InvalidDeflate)?;
            } else if !input.is_empty() && taken == 0 && given == 0 {
                return Err(ProtocolError::InvalidDeflate);
            }
            // A full buffer may mean that there is more.
            if input.is_empty() && (self.ended || !sink.is_full()) {
                return Ok(());
            }
        }
    }

    /// Judges what has come out of a message.
    fn judge(&mut self, new: &[u8], limits: Limits) -> Result<(), ProtocolError> {
        if self.given > limits.message {
            return Err(ProtocolError::MessageTooBig { length: self.given, limit: limits.message });
        }
        if let Some(ratio) = limits.ratio
            && self.given > HARMLESS
            && self.given > self.taken.saturating_mul(ratio.into())
        {
            return Err(ProtocolError::RatioTooHigh { limit: ratio });
        }
        match &mut self.utf8 {
            Some(utf8) => utf8.push(new).map_err(|_| ProtocolError::InvalidUtf8),
            None => Ok(()),
        }
    }
}
