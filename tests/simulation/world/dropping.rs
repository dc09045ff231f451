//! An end that drops messages at its hard limit, in place of ending its connection: what comes is what was sent, in its order, without some; and
//! how many those are is told.

use std::sync::Arc;

use actix_sockets::test::End;
use actix_sockets::websocket::OpCode;
use actix_sockets::{Frame, Socket};

use super::ledger::{Books, Said, Side, WAITING};
use super::plan::How;

/// So long is a message at least, to be told from all others.
const TOLD_APART: usize = 8;

impl Books {
    /// Sends a message that may be dropped, or another for it. Tells whether it was taken.
    pub(crate) fn offer(self: &Arc<Self>, end: End, socket: &Socket, mut said: Said, how: How) -> bool {
        let plan = &self.plan.ends[end as usize];
        said.length = said.length.max(TOLD_APART);
        said.awaits = how == How::Acked;
        let number = self.open().sides[end as usize].said.len();
        let opcode = if said.text { OpCode::Text } else { OpCode::Binary };
        let frame = Frame::new(opcode, self.content(end, number, &said));
        let (before, length, connected) = (socket.buffered_amount(), said.length, socket.connected());
        let push = || self.open().sides[end as usize].said.push(said);
        match how {
            How::Try => {
                // Nothing is dropped for who asks first, and nothing of it is counted.
                if let Err(error) = socket.try_send(frame) {
                    if connected && before < plan.hard {
                        self.wrong(format_args!(
                            "{end:?}: {before} bytes were unsent, the hard limit is {}, and it is {error:?}",
                            plan.hard
                        ));
                    }
                    return false;
                }
                push();
            }
            How::Send => {
                push();
                socket.do_send(frame);
            }
            How::Acked => {
                push();
                let (books, sending) = (self.clone(), socket.send(frame));
                actix::spawn(async move {
                    let answer = sending.await.map(drop);
                    books.acked(end, number, answer);
                });
            }
        }
        self.note(format_args!("{end:?} offers message {number} of {length} bytes, {how:?}, {before} were unsent"));
        let after = socket.buffered_amount();
        let mut inner = self.open();
        if after > plan.soft && connected {
            inner.sides[end as usize].flooded = true;
        }
        // What was dropped has left its room.
        let most = plan.hard + length + WAITING + (64 << 10) + 125 + WAITING;
        if after > most.max(before) {
            inner.wrong(format_args!("{end:?}: {after} bytes are unsent, the hard limit is {}", plan.hard));
        }
        true
    }

    /// How many messages were dropped at both ends.
    pub(crate) fn dropped(&self) -> usize {
        self.open().sides.iter().map(Side::dropped).sum()
    }

    /// Which of the other side's messages this is: the next that says the same.
    pub(crate) fn find(&self, from: End, said: &[Said], next: usize, text: bool, data: &[u8]) -> usize {
        let same = |number: &usize| {
            let said = &said[*number];
            said.text == text && said.length == data.len() && self.content(from, *number, said) == data
        };
        (next..said.len()).find(same).unwrap_or(next)
    }
}

impl Side {
    /// How many frames its policy is told to have dropped.
    pub(crate) fn dropped(&self) -> usize {
        self.socket.as_ref().map_or(0, |socket| socket.drops().total() as usize)
    }

    /// How many of the other side's messages have not come.
    pub(crate) fn lacks(&self, there: &Self) -> usize {
        self.missed + there.said.len() - self.heard.min(there.said.len())
    }
}
