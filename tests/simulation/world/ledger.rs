//! The books of one connection, kept by those at its ends: what each has said, what each has heard, and whether the two agree. They know nothing of
//! how the library does it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_sockets::test::{End, Link, Network, Process};
use actix_sockets::websocket::OpCode;
use actix_sockets::{Closed, Frame, SendError, Socket};
use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::chance::Chance;
use super::company::Company;
use super::conflating::Came;
use super::log::Log;
use super::plan::{How, Plan};
use super::tap::Tap;

/// What a message counts for besides its payload while it waits as a frame; and as much again for its key.
pub(crate) const WAITING: usize = 64;

/// The books, as all at the two ends share them.
pub(crate) type Shared = Arc<Books>;

pub(crate) struct Books {
    pub(crate) plan: Plan,
    pub(crate) link: Link,
    /// Those that it shares a budget with.
    pub(crate) company: Option<Arc<Company>>,
    inner: Mutex<Inner>,
}

pub(crate) struct Inner {
    pub(crate) sides: [Side; 2],
    pub(crate) http: Vec<Exchange>,
    /// How many requests were answered so far, and how many have come.
    pub(crate) answered: usize,
    pub(crate) requested: usize,
    /// Bytes of requests' content that the handler has in hand.
    pub(crate) uploaded: usize,
    /// And of requests that came whole and are not answered.
    pub(crate) whole: usize,
    taps: [Tap; 2],
    log: Log,
}

/// A request, from its sender's side.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    pub(crate) told: usize,
    pub(crate) error: Option<String>,
    /// The head of its answer was told, where the rest is taken as it comes.
    pub(crate) begun: bool,
    /// From its receiver's side: its head has come before its content, all of it, an end that is none.
    pub(crate) begun_there: bool,
    pub(crate) complete: usize,
    pub(crate) aborted: usize,
}

/// One message that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) length: usize,
    pub(crate) text: bool,
    /// How many messages it answers, one after the other.
    pub(crate) depth: u8,
    /// Right before a Close: it is answered at once, in the handler's turn.
    pub(crate) hot: bool,
    /// It was sent in the turn of a handler that had a message in hand.
    pub(crate) in_turn: bool,
    pub(crate) acked: Option<(Instant, Result<(), SendError>)>,
    pub(crate) awaits: bool,
    /// What it is the newest of, where that is what counts.
    pub(crate) key: Option<u64>,
}

/// What one end's websocket has done and heard.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) socket: Option<Socket>,
    pub(crate) said: Vec<Said>,
    /// How many of the other side's messages were heard, or passed over for a later one.
    pub(crate) heard: usize,
    /// How many were passed over: the other side's policy has dropped them.
    pub(crate) missed: usize,
    /// Of a message whose fragments are heard one by one.
    pub(crate) partial: Option<BytesMut>,
    pub(crate) pinged: u64,
    pub(crate) ponged: u64,
    pub(crate) upgraded: usize,
    /// What was unsent when it was.
    pub(crate) inherited: usize,
    pub(crate) refused: usize,
    pub(crate) closed: Vec<Closed>,
    pub(crate) observed: usize,
    /// How many messages had been sent when the first Close was, and its code.
    pub(crate) closing: Option<(usize, u16)>,
    /// Bytes of payload that the handler has in hand, and the most it ever had.
    pub(crate) held: usize,
    pub(crate) most_held: usize,
    /// More than the soft limit was seen.
    pub(crate) flooded: bool,
    /// A frame was refused at the hard limit.
    pub(crate) overflown: bool,
    /// Its handler was told to stop or panic, or waits.
    pub(crate) dead: bool,
    pub(crate) waits: usize,
    pub(crate) chance: Option<Chance>,
    /// Which keys its messages have, and which of the other side's have come, where a policy conflates.
    pub(crate) keys: Option<Chance>,
    pub(crate) came: Came,
}

impl Books {
    pub(crate) fn new(plan: Plan, log: Log, company: Option<Arc<Company>>) -> Shared {
        let network = Network::seeded(plan.seed)
            .latency(plan.latency.0, plan.latency.1)
            .pieces(plan.pieces)
            .capacity(plan.capacity)
            .forgetful(plan.forgetful);
        let here = Process::default();
        let link = Link::between(&here, company.as_ref().map_or(&here, |company| &company.process), &network);
        let side = |purpose, keys| Side {
            chance: Some(Chance::of(plan.seed, purpose)),
            keys: Some(Chance::of(plan.seed, keys)),
            ..Side::default()
        };
        let inner = Inner {
            sides: [side("client", "the client's keys"), side("server", "the server's keys")],
            http: Vec::new(),
            answered: 0,
            requested: 0,
            uploaded: 0,
            whole: 0,
            taps: Default::default(),
            log,
        };
        Arc::new(Self { plan, link, company, inner: Mutex::new(inner) })
    }

    pub(crate) fn open(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        self.open().note(what);
    }

    /// Something is not as it should be.
    pub(crate) fn wrong(&self, what: fmt::Arguments<'_>) {
        self.open().wrong(what);
    }

    /// What this end has written, as far as it has come.
    pub(crate) fn tap<T>(&self, end: End, look: impl FnOnce(&Tap) -> T) -> T {
        let mut inner = self.open();
        let tap = &mut inner.taps[end as usize];
        let opening: &[u8] = if end == End::Client { b"GET /socket HTTP/1.1\r\n" } else { b"HTTP/1.1 101 " };
        self.link.written(end, |written| tap.read(written, opening));
        look(tap)
    }

    /// Sends a message in so many fragments, and looks whether the limits are kept. Tells whether it was taken.
    pub(crate) fn say(self: &Arc<Self>, end: End, socket: &Socket, mut said: Said, fragments: usize, how: How) -> bool {
        let plan = &self.plan.ends[end as usize];
        if plan.conflates() {
            return self.conflate(end, socket, said, how);
        }
        if plan.drops() {
            return self.offer(end, socket, said, how);
        }
        // The last of several fragments is not to be refused: the message would never end.
        let how = if fragments > 1 && how == How::Try { How::Send } else { how };
        let (number, polite) = {
            let inner = self.open();
            (inner.sides[end as usize].said.len(), !plan.overloads)
        };
        let unsent = socket.buffered_amount();
        let limit = if plan.floods { plan.hard } else { plan.soft + 1 };
        if polite && (unsent + said.length + fragments * WAITING >= limit) {
            return false;
        }
        let whole = self.content(end, number, &said);
        let opcode = if said.text { OpCode::Text } else { OpCode::Binary };
        let mut frames = split(opcode, whole, fragments);
        let last = frames.pop();
        for (at, frame) in frames.into_iter().enumerate() {
            if at == 0 {
                self.open().sides[end as usize].said.push(Said { awaits: false, ..said.clone() });
            }
            let before = socket.buffered_amount();
            socket.do_send(frame);
            self.sent(end, socket, before);
            if at == 0 {
                self.ping(end, socket);
            }
        }
        let Some(frame) = last else { return false };
        let payload = frame.data.len();
        let before = socket.buffered_amount();
        let over = before >= plan.hard || self.open().sides[end as usize].overflown;
        said.awaits = how == How::Acked;
        let push = |said| {
            let mut inner = self.open();
            let side = &mut inner.sides[end as usize];
            if fragments == 1 { side.said.push(said) } else { side.said[number].awaits = said.awaits }
        };
        match how {
            How::Send | How::Acked if over && fragments == 1 => {
                let overflown = self.open().sides[end as usize].overflown;
                let refused = matches!(futures_now(socket.send(frame)), Some(Err(_)));
                let after = socket.buffered_amount();
                // What was taken was taken where less than the limit was unsent: in the room that was made, see below.
                let most = if refused { before } else { plan.hard + payload + WAITING };
                if after > most || overflown && !refused {
                    self.wrong(format_args!(
                        "{end:?}: {before} bytes were unsent, {after} are behind a frame that is beyond the hard limit of {}",
                        plan.hard
                    ));
                }
                if !refused {
                    // What the handler's turn had encoded was written before it, and made room.
                    said.awaits = false;
                    push(said);
                    self.note(format_args!("{end:?} says message {number} of {payload} bytes, in the room of {before}"));
                    self.sent(end, socket, 0);
                    return true;
                }
                // It meets the policy, and nothing follows it.
                self.open().sides[end as usize].overflown = true;
                return false;
            }
            How::Send => {
                push(said);
                socket.do_send(frame);
            }
            How::Acked => {
                push(said);
                let (books, sending) = (self.clone(), socket.send(frame));
                actix::spawn(async move {
                    let answer = sending.await.map(drop);
                    books.acked(end, number, answer);
                });
            }
            How::Try => {
                let connected = socket.connected();
                match socket.try_send(frame).map(drop) {
                    Ok(()) if over && connected => {
                        self.wrong(format_args!(
                            "{end:?}: {before} bytes were unsent, the hard limit is {}, and a frame was taken",
                            plan.hard
                        ));
                    }
                    Err(SendError::Full) if !over => {
                        self.wrong(format_args!(
                            "{end:?}: {before} bytes were unsent, the hard limit is {}, and a frame was refused",
                            plan.hard
                        ));
                    }
                    Ok(()) => push(said),
                    Err(_) => return false,
                }
            }
        }
        self.note(format_args!("{end:?} says message {number} of {payload} bytes, {how:?}, {before} were unsent"));
        self.sent(end, socket, before);
        true
    }

    /// A frame was sent where so much was unsent.
    pub(crate) fn sent(&self, end: End, socket: &Socket, before: usize) {
        let plan = &self.plan.ends[end as usize];
        let after = socket.buffered_amount();
        let mut inner = self.open();
        if after > plan.soft && socket.connected() {
            inner.sides[end as usize].flooded = true;
        }
        if before >= plan.hard {
            inner.sides[end as usize].overflown = true;
        }
        // One frame; and what the library says by itself: a ping, a Close.
        // What HTTP had not written when it became a websocket counts, whatever the limit.
        let most = plan.hard.max(inner.sides[end as usize].inherited) + self.plan.longest.max(125) + WAITING + 2 * (125 + WAITING);
        if after > most {
            inner.wrong(format_args!("{end:?}: {after} bytes are unsent, the hard limit is {}", plan.hard));
        }
    }

    pub(crate) fn ping(&self, end: End, socket: &Socket) {
        let mut inner = self.open();
        let side = &mut inner.sides[end as usize];
        side.pinged += 1;
        let data = Bytes::from(format!("ping {}", side.pinged));
        drop(inner);
        // At the hard limit and one frame there is no room for it, and nothing is closed for it.
        if socket.try_send(Frame::ping(data)) == Err(SendError::Full) {
            self.open().sides[end as usize].pinged -= 1;
        }
    }

    /// This end closes, if it has not.
    pub(crate) fn close(&self, end: End, socket: &Socket, code: u16) {
        let mut inner = self.open();
        let side = &mut inner.sides[end as usize];
        side.closing = side.closing.or(Some((side.said.len(), code)));
        inner.note(format_args!("{end:?} closes with {code}"));
        drop(inner);
        socket.do_send(actix_sockets::Close::new(actix_sockets::websocket::CloseCode(code), "bye"));
    }

    pub(crate) fn acked(&self, end: End, number: usize, answer: Result<(), SendError>) {
        self.note(format_args!("{end:?}: message {number} is answered with {answer:?}"));
        if answer.is_ok() {
            let there = self.tap(end, |tap| tap.messages);
            // What was dropped is not there; perhaps later ones were.
            let dropped = self.open().sides[end as usize].dropped();
            let conflates = self.plan.ends[end as usize].conflates();
            let before = self.open().sides[end as usize].said.iter().filter(|said| said.is_written()).count();
            if there <= if conflates { before } else { number.saturating_sub(dropped) } {
                self.wrong(format_args!("{end:?}: message {number} is told to be written, and {there} messages are on the wire"));
            }
        }
        let mut inner = self.open();
        let side = &mut inner.sides[end as usize];
        // Those of one turn are told in one moment, and heard in any order.
        let now = Instant::now();
        let earlier = |later: &Said| later.acked.is_some_and(|(at, answer)| answer.is_ok() && at < now);
        // One that takes an older one's place may come before others.
        let overtaken = !self.plan.ends[end as usize].conflates() && answer.is_ok() && side.said[number..].iter().skip(1).any(earlier);
        side.said[number].acked = Some((now, answer));
        if overtaken {
            inner.wrong(format_args!("{end:?}: message {number} is told to be written behind a later one"));
        }
    }

    /// What this end's message of that number says.
    pub(crate) fn content(&self, end: End, number: usize, said: &Said) -> Bytes {
        let mut chance = Chance::new(self.plan.seed ^ ((end as u64) << 40 | number as u64));
        let mut word = chance.next().to_le_bytes();
        if said.text {
            word.iter_mut().for_each(|byte| *byte = b'a' + *byte % 26);
        }
        let mut content = word.repeat(said.length / 8 + 1);
        content.truncate(said.length);
        content.into()
    }

    /// A message was heard, whole.
    pub(crate) fn heard(&self, end: End, text: bool, data: &[u8]) -> Option<Said> {
        let mut inner = self.open();
        let next = inner.sides[end as usize].heard;
        let from = end.other();
        if inner.sides[end as usize].upgraded != 1 || !inner.sides[end as usize].closed.is_empty() {
            inner.wrong(format_args!("{end:?}: a message before Upgraded, or behind Closed"));
        }
        if self.plan.ends[from as usize].conflates() {
            return self.came(&mut inner, from, text, data);
        }
        let drops = self.plan.ends[from as usize].drops();
        let number = if drops { self.find(from, &inner.sides[from as usize].said, next, text, data) } else { next };
        inner.sides[end as usize].heard = number + 1;
        inner.sides[end as usize].missed += number - next;
        inner.note(format_args!("{end:?} hears message {number} of {} bytes", data.len()));
        let Some(said) = inner.sides[end.other() as usize].said.get(number).cloned() else {
            inner.wrong(format_args!("{end:?} hears message {number}, of {} bytes: it was never sent", data.len()));
            return None;
        };
        drop(inner);
        if said.text != text || self.content(end.other(), number, &said) != data {
            self.wrong(format_args!(
                "{end:?} hears message {number}, and it is not what was sent ({} bytes of {})",
                data.len(),
                said.length
            ));
        }
        Some(said)
    }
}

/// The answer, if it is there without waiting.
pub(crate) fn futures_now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

fn split(opcode: OpCode, mut whole: Bytes, fragments: usize) -> Vec<Frame> {
    let size = whole.len() / fragments;
    let mut frames = Vec::with_capacity(fragments);
    for at in 0..fragments {
        let data = if at + 1 == fragments { std::mem::take(&mut whole) } else { whole.split_to(size) };
        let frame = if at == 0 { Frame::new(opcode, data) } else { Frame::continuation(data) };
        frames.push(if at + 1 == fragments { frame } else { frame.more() });
    }
    frames
}

impl Said {
    pub(crate) fn is_written(&self) -> bool {
        matches!(self.acked, Some((_, Ok(()))))
    }

    /// A policy was told to have dropped it.
    pub(crate) fn is_dropped(&self) -> bool {
        matches!(self.acked, Some((_, Err(SendError::Dropped(_)))))
    }

    pub(crate) fn new(length: usize, text: bool) -> Self {
        Self { length, text, depth: 0, hot: false, in_turn: false, acked: None, awaits: false, key: None }
    }
}

impl Inner {
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        self.log.note(what);
    }

    pub(crate) fn wrong(&self, what: fmt::Arguments<'_>) {
        self.log.wrong(what);
    }
}
