//! Fragments become messages (RFC 6455 §5.4).

use bytes::BytesMut;

use super::{Command, Event, Flow, Interest, Stage};
use crate::websocket::{CloseCode, Frame, OpCode};

/// Puts the fragments of a message together and hands it up as one frame. Control frames between them pass.
///
/// How fragments may follow each other, how many there may be and how long the message may get is judged by the codec on each
/// fragment's header, before it comes here; what is held here is the bytes of the message, copied, so that a thousand small fragments
/// do not hold on to a thousand read buffers. The limit of this stage bounds the message once more, for chains in which a stage below
/// makes it longer (inflating does).
#[derive(Debug)]
pub struct Consolidation {
    limit: u64,
    message: Option<Partial>,
}

#[derive(Debug)]
struct Partial {
    first: Frame,
    data: BytesMut,
}

impl Consolidation {
    /// With a limit on the length of a message, in bytes: a longer one fails the websocket with 1009.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, message: None }
    }
}

impl Stage for Consolidation {
    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        let Event::Frame(frame) = event else { return flow.up(event) };
        if frame.opcode.is_control() || (frame.fin && frame.opcode != OpCode::Continuation) {
            return flow.up(Event::Frame(frame));
        }
        let before = self.message.as_ref().map_or(0, |message| message.data.len());
        if (before + frame.data.len()) as u64 > self.limit {
            return flow.down(Command::Fail(CloseCode::TOO_BIG, "message too big".into()));
        }
        let fin = frame.fin;
        let message = match &mut self.message {
            Some(message) => {
                message.data.extend_from_slice(&frame.data);
                message
            }
            none => none.insert(Partial { data: BytesMut::from(&frame.data[..]), first: Frame { data: bytes::Bytes::new(), ..frame } }),
        };
        if fin {
            let data = std::mem::take(&mut message.data).freeze();
            let whole = Frame { fin: true, data, ..message.first.clone() };
            self.message = None;
            flow.up(Event::Frame(whole));
        }
    }

    fn interest(&self) -> Interest {
        Interest::FRAGMENTS_IN
    }
}
