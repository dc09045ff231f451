//! One direction of a connection: what is on its way there, when it arrives, and what becomes of it.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use tokio::io::ReadBuf;
use tokio::time::{Sleep, sleep_until};

use super::{Chance, Network};
use crate::actor::clock;

mod halves;

pub(crate) use halves::{WireReader, WireWriter};

/// One direction of a connection.
pub(crate) struct Wire(Mutex<State>);

struct State {
    chance: Chance,
    network: Network,
    /// On the way, or there, each with when it is there; in order.
    flight: VecDeque<(Instant, Bytes)>,
    /// Bytes in `flight`, and those that have gone astray.
    held: usize,
    /// When the latest of all pieces is there.
    latest: Instant,
    /// Nothing arrives before.
    not_before: Instant,
    /// When the FIN is there.
    finished: Option<Instant>,
    /// When a reset is there: at the end that reads here, and at the end that writes.
    reset: [Option<Instant>; 2],
    /// What is written goes nowhere, and nobody is told.
    dark: bool,
    gone: [bool; 2],
    /// Who waits: to read, to write, and to bring what is on the way.
    reader: Option<Waker>,
    writer: Option<Waker>,
    courier: Option<Waker>,
    written: Vec<u8>,
}

/// The places of an end in [`State::reset`] and [`State::gone`].
const READER: usize = 0;
const WRITER: usize = 1;

impl State {
    fn new(network: Network, chance: Chance, now: Instant) -> Self {
        Self {
            chance,
            network,
            flight: VecDeque::new(),
            held: 0,
            latest: now,
            not_before: now,
            finished: None,
            reset: [None; 2],
            dark: false,
            gone: [false; 2],
            reader: None,
            writer: None,
            courier: None,
            written: Vec::new(),
        }
    }

    /// When something that sets out now is there.
    fn arrival(&mut self, now: Instant) -> Instant {
        let (least, most) = self.network.latency;
        let more = self.chance.up_to((most - least).as_millis() as u64);
        self.latest = self.latest.max(now + least + Duration::from_millis(more));
        self.latest
    }

    fn is_reset(&self, end: usize, now: Instant) -> bool {
        self.reset[end].is_some_and(|at| at <= now)
    }

    /// Whether the one who reads would find something: bytes, the end, an error.
    fn is_readable(&self, now: Instant) -> bool {
        let there = |at: Instant| at <= now && self.not_before <= now;
        let end = self.flight.is_empty() && self.finished.is_some_and(there);
        self.is_reset(READER, now) || self.flight.front().is_some_and(|(at, _)| there(*at)) || end
    }

    /// When something happens by itself that has not happened yet.
    fn next(&self, now: Instant) -> Option<Instant> {
        let there = self.flight.iter().map(|(at, _)| *at).chain(self.finished).map(|at| at.max(self.not_before));
        there.chain(self.reset.into_iter().flatten()).filter(|at| *at > now).min()
    }

    fn piece(&mut self) -> usize {
        match self.network.pieces {
            usize::MAX => usize::MAX,
            most => 1 + self.chance.up_to(most as u64 - 1) as usize,
        }
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }

    fn wake_courier(&mut self) {
        if let Some(waker) = self.courier.take() {
            waker.wake();
        }
    }

    /// Takes what there is room for, of several pieces together.
    fn put(&mut self, slices: &[IoSlice<'_>], now: Instant) -> io::Result<usize> {
        if self.is_reset(WRITER, now) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if self.gone[WRITER] || self.finished.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        if offered == 0 {
            return Ok(0);
        }
        let room = self.network.capacity.saturating_sub(self.held);
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = offered.min(room).min(self.piece());
        let from = self.written.len();
        for slice in slices {
            let left = taken - (self.written.len() - from);
            self.written.extend_from_slice(&slice[..slice.len().min(left)]);
        }
        if self.gone[READER] && !self.dark {
            // What comes where nobody is any more is answered with a reset.
            let back = self.arrival(now);
            let there = self.arrival(back);
            self.reset[WRITER] = self.reset[WRITER].or(Some(there));
            self.wake_courier();
            return Ok(taken);
        }
        self.held += taken;
        if !self.dark {
            let at = self.arrival(now);
            self.flight.push_back((at, Bytes::copy_from_slice(&self.written[from..])));
            if self.is_readable(now) {
                self.wake_reader();
            }
            self.wake_courier();
        }
        Ok(taken)
    }

    fn get(&mut self, buffer: &mut ReadBuf<'_>, now: Instant) -> io::Result<()> {
        if self.is_reset(READER, now) && (self.network.forgetful || self.flight.is_empty()) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let mut left = self.piece().min(buffer.remaining());
        while left > 0
            && let Some((at, bytes)) = self.flight.front_mut()
            && *at <= now
        {
            let taken = bytes.len().min(left);
            buffer.put_slice(&bytes[..taken]);
            bytes.advance(taken);
            left -= taken;
            self.held -= taken;
            if bytes.is_empty() {
                self.flight.pop_front();
            }
        }
        self.wake_writer();
        Ok(())
    }
}

impl Wire {
    /// A direction, and who brings what is on its way, on this arbiter.
    pub(super) fn start(network: &Network, chance: Chance) -> Arc<Self> {
        let now = clock::now();
        let wire = Arc::new(Self(Mutex::new(State::new(network.clone(), chance, now))));
        drop(actix_rt::spawn(Courier { wire: wire.clone(), sleep: Box::pin(sleep_until(now.into())) }));
        wire
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing arrives for so long.
    pub(crate) fn stall(&self, time: Duration) {
        let mut wire = self.lock();
        wire.not_before = wire.not_before.max(clock::now() + time);
        wire.wake_courier();
    }

    /// From now on nothing arrives, and nobody is told.
    pub(crate) fn darken(&self) {
        let mut wire = self.lock();
        wire.dark = true;
        wire.flight.clear();
        wire.finished = None;
    }

    /// A reset for both ends, now.
    pub(crate) fn reset(&self) {
        let now = Some(clock::now());
        let mut wire = self.lock();
        wire.reset = [now; 2];
        wire.wake_reader();
        wire.wake_writer();
    }

    /// All that was ever written here, whatever became of it.
    pub(crate) fn written<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.lock().written)
    }

    /// Whether both ends are gone.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.lock().gone == [true; 2]
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire = self.lock();
        f.debug_struct("Wire").field("held", &wire.held).field("finished", &wire.finished).field("dark", &wire.dark).finish_non_exhaustive()
    }
}

/// Wakes who reads when something is there, and not before.
struct Courier {
    wire: Arc<Wire>,
    sleep: Pin<Box<Sleep>>,
}

impl Future for Courier {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let now = clock::now();
        let next = {
            let mut wire = self.wire.lock();
            if wire.gone == [true; 2] {
                return Poll::Ready(());
            }
            if wire.is_readable(now) {
                wire.wake_reader();
            }
            if wire.is_reset(WRITER, now) {
                wire.wake_writer();
            }
            wire.courier = Some(cx.waker().clone());
            wire.next(now)
        };
        if let Some(next) = next {
            self.sleep.as_mut().reset(next.into());
            ready!(self.sleep.as_mut().poll(cx));
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
