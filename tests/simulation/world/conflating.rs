//! An end whose policy puts the newest message of a key in the place of an older one that waits: each key is heard in its order, the newest of each is
//! heard, and where a message comes follows from what was sent and what was not heard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix_sockets::test::End;
use actix_sockets::websocket::OpCode;
use actix_sockets::{Frame, SendError, Sending, Socket};

use super::ledger::{Books, Inner, Said, WAITING, futures_now};
use super::plan::How;

/// So long is a message at least, to be told from all others; and so many keys there are.
const TOLD_APART: usize = 8;
const KEYS: usize = 3;

/// What has come of the other side's messages.
#[derive(Debug, Default)]
pub(crate) struct Came {
    pub(crate) numbers: BTreeSet<usize>,
    /// The newest of each key.
    newest: BTreeMap<u64, usize>,
    /// The place in the row that the last one took.
    place: Option<usize>,
}

impl Came {
    /// A message has come that nobody may have overtaken. Its place is its own; that of one with a key is the place of the first of its key that was
    /// sent behind the one heard last, since each of those in between has taken the place of the one before it.
    fn comes(&mut self, said: &[Said], number: usize) -> Result<(), String> {
        if !self.numbers.insert(number) {
            return Err(format!("message {number} is heard twice"));
        }
        let mut place = number;
        if let Some(key) = said[number].key {
            let last = self.newest.insert(key, number);
            if last.is_some_and(|last| last > number) {
                return Err(format!("message {number} of key {key} is heard behind {last:?}, a newer one"));
            }
            let behind = last.map_or(0, |last| last + 1);
            place = (behind..=number).find(|other| said[*other].key == Some(key)).unwrap_or(number);
        }
        match self.place.replace(place) {
            Some(before) if before > place => Err(format!("message {number} comes in the place of {place}, behind that of {before}")),
            _ => Ok(()),
        }
    }
}

impl Books {
    /// Sends a message of some key, or of none. Tells whether it was taken.
    pub(crate) fn conflate(self: &Arc<Self>, end: End, socket: &Socket, mut said: Said, how: How) -> bool {
        let plan = &self.plan.ends[end as usize];
        said.length = said.length.max(TOLD_APART);
        let (number, overflown) = {
            let mut inner = self.open();
            let side = &mut inner.sides[end as usize];
            let key = side.keys.as_mut().map_or(0, |chance| chance.between(0, KEYS));
            said.key = (key > 0).then_some(key as u64);
            (side.said.len(), side.overflown)
        };
        let (before, connected) = (socket.buffered_amount(), socket.connected());
        let limit = if plan.floods { plan.hard } else { plan.soft + 1 };
        if !plan.overloads && before + said.length + 2 * WAITING >= limit {
            return false;
        }
        let frame = Frame::new(if said.text { OpCode::Text } else { OpCode::Binary }, self.content(end, number, &said));
        let full = |what: &str| {
            if connected && before < plan.hard && !overflown {
                self.wrong(format_args!("{end:?}: {before} bytes were unsent, the hard limit is {}, and a frame was {what}", plan.hard));
            }
            false
        };
        let (length, key) = (said.length, said.key);
        let mut sending: Option<Sending> = None;
        match (how, key) {
            (How::Try, key) => {
                let tried = match key {
                    Some(key) => socket.try_send(frame.keyed(key)),
                    None => socket.try_send(frame),
                };
                if tried.is_err() {
                    return full("refused");
                }
            }
            // It cannot be refused, and may take the short way.
            (How::Send, None) if before < plan.hard && !overflown => socket.do_send(frame),
            (_, key) => {
                let mut sent = match key {
                    Some(key) => socket.send(frame.keyed(key)),
                    None => socket.send(frame),
                };
                match futures_now(&mut sent) {
                    Some(Err(SendError::Full)) => {
                        self.open().sides[end as usize].overflown = true;
                        return full("too much");
                    }
                    Some(Err(SendError::Closed)) => return false,
                    _ => sending = (how == How::Acked).then_some(sent),
                }
            }
        }
        said.awaits = sending.is_some();
        self.open().sides[end as usize].said.push(said);
        if let Some(sending) = sending {
            let books = self.clone();
            actix::spawn(async move {
                let answer = sending.await.map(drop);
                books.acked(end, number, answer);
            });
        }
        self.note(format_args!("{end:?} says message {number} of {length} bytes and key {key:?}, {how:?}, {before} were unsent"));
        self.sent(end, socket, if overflown { before } else { 0 });
        true
    }

    /// Which of the messages of an end that conflates this is.
    pub(crate) fn came(&self, inner: &mut Inner, from: End, text: bool, data: &[u8]) -> Option<Said> {
        let end = from.other();
        let said = std::mem::take(&mut inner.sides[from as usize].said);
        let same = |said: &Said, number| said.text == text && said.length == data.len() && self.content(from, number, said) == data;
        let number = (0..said.len()).rev().find(|number| same(&said[*number], *number));
        let result = match number {
            Some(number) => inner.sides[end as usize].came.comes(&said, number),
            None => Err(format!("a message of {} bytes was never sent", data.len())),
        };
        let found = number.map(|number| said[number].clone());
        inner.sides[from as usize].said = said;
        inner.sides[end as usize].heard += usize::from(number.is_some());
        inner.note(format_args!("{end:?} hears message {number:?} of {} bytes", data.len()));
        if let Err(what) = result {
            inner.wrong(format_args!("{end:?}: {what}"));
        }
        found
    }
}
