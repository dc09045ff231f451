//! A network between the two ends of a connection in memory: as bad as a test wants it, and the same each time for the same seed.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use tokio::io::ReadBuf;
use tokio::time::{Sleep, sleep_until};

use super::clock;

/// What both directions of a connection are like. Chained setters; a network that none was called of takes all at once and loses nothing.
///
/// ```
/// use std::time::Duration;
/// use actix_sockets::test::Network;
///
/// let slow = Network::seeded(7).latency(Duration::from_millis(20), Duration::from_millis(80)).pieces(100).capacity(4096);
/// ```
#[derive(Clone, Debug)]
pub struct Network {
    seed: u64,
    latency: (Duration, Duration),
    pieces: usize,
    capacity: usize,
    forgetful: bool,
}

impl Network {
    /// All that is left to chance comes of this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed, latency: (Duration::ZERO, Duration::ZERO), pieces: usize::MAX, capacity: 64 << 10, forgetful: false }
    }

    /// How long a piece takes to the other end: from `least` to `most`, in whole milliseconds; none overtakes another. Default: no time.
    #[must_use]
    pub fn latency(mut self, least: Duration, most: Duration) -> Self {
        self.latency = (least, most.max(least));
        self
    }

    /// One write and one read move from one to so many bytes. Default: what there is.
    #[must_use]
    pub fn pieces(mut self, most: usize) -> Self {
        self.pieces = most.max(1);
        self
    }

    /// How many bytes may be on the way and unread, in each direction, before none is taken: 64 KiB.
    #[must_use]
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes.max(1);
        self
    }

    /// Whether a reset destroys what has come and was not read, as it may (RFC 9112 §9.6). Default: no.
    #[must_use]
    pub fn forgetful(mut self, forgetful: bool) -> Self {
        self.forgetful = forgetful;
        self
    }

    /// The two directions of a connection: what the first one's writer writes, the second's reader reads.
    pub(super) fn wires(&self) -> [Arc<Wire>; 2] {
        let now = clock::now();
        let wire = |way: u64| {
            let chance = Chance(self.seed ^ way.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            Arc::new(Wire(Mutex::new(State { chance, network: self.clone(), latest: now, not_before: now, ..State::of(now) })))
        };
        let wires = [wire(1), wire(2)];
        for wire in &wires {
            drop(actix_rt::spawn(Courier { wire: wire.clone(), sleep: Box::pin(sleep_until(now.into())) }));
        }
        wires
    }
}

/// Chance out of a seed (SplitMix64): the same numbers each time.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From nought to `most`.
    fn up_to(&mut self, most: u64) -> u64 {
        if most == u64::MAX { self.next() } else { self.next() % (most + 1) }
    }
}

/// One direction of a connection.
pub(super) struct Wire(Mutex<State>);

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
    fn of(now: Instant) -> Self {
        Self {
            chance: Chance(0),
            network: Network::seeded(0),
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
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing arrives for so long.
    pub(super) fn stall(&self, time: Duration) {
        let mut wire = self.lock();
        wire.not_before = wire.not_before.max(clock::now() + time);
        wire.wake_courier();
    }

    /// From now on nothing arrives, and nobody is told.
    pub(super) fn darken(&self) {
        let mut wire = self.lock();
        wire.dark = true;
        wire.flight.clear();
        wire.finished = None;
    }

    /// A reset for both ends, now.
    pub(super) fn reset(&self) {
        let now = Some(clock::now());
        let mut wire = self.lock();
        wire.reset = [now; 2];
        wire.wake_reader();
        wire.wake_writer();
    }

    /// All that was ever written here, whatever became of it.
    pub(super) fn written<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.lock().written)
    }

    /// Whether both ends are gone.
    pub(super) fn is_abandoned(&self) -> bool {
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

/// The writing half of one end.
#[derive(Debug)]
pub(crate) struct WireWriter(pub(super) Arc<Wire>);

impl WireWriter {
    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.lock().put(slices, clock::now())
    }

    pub(crate) fn poll_write(&self, cx: &Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut wire = self.0.lock();
        match wire.put(slices, clock::now()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wire.writer = Some(cx.waker().clone());
                Poll::Pending
            }
            written => Poll::Ready(written),
        }
    }

    /// Writes all of it, waiting for room.
    pub(crate) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        poll_fn(|cx| {
            while !bytes.is_empty() {
                let taken = ready!(self.poll_write(cx, &[IoSlice::new(bytes)]))?;
                bytes = &bytes[taken..];
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Sends FIN.
    pub(crate) fn finish(&self) {
        let now = clock::now();
        let mut wire = self.0.lock();
        if wire.finished.is_none() && !wire.dark {
            let at = wire.arrival(now);
            wire.finished = Some(at);
            if wire.is_readable(now) {
                wire.wake_reader();
            }
            wire.wake_courier();
        }
    }
}

impl Drop for WireWriter {
    fn drop(&mut self) {
        self.finish();
        let mut wire = self.0.lock();
        wire.gone[WRITER] = true;
        wire.wake_courier();
    }
}

/// The reading half of one end: what it reads, and the direction in which it says that it is gone.
#[derive(Debug)]
pub(crate) struct WireReader {
    pub(super) wire: Arc<Wire>,
    pub(super) back: Arc<Wire>,
}

impl WireReader {
    /// Whether there may be something to read; where the pieces are random, now and then though there is not, as sockets say it.
    pub(crate) fn poll_readable(&self, cx: &Context<'_>) -> Poll<()> {
        let mut wire = self.wire.lock();
        if wire.is_readable(clock::now()) || wire.network.pieces < usize::MAX && wire.chance.up_to(15) == 0 {
            return Poll::Ready(());
        }
        wire.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn poll_read(&self, cx: &Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let now = clock::now();
        let mut wire = self.wire.lock();
        if wire.is_readable(now) {
            return Poll::Ready(wire.get(buffer, now));
        }
        wire.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The next bytes; none at the end.
    pub(crate) async fn read(&self) -> io::Result<Option<Bytes>> {
        let mut room = vec![0; 16 << 10];
        let mut buffer = ReadBuf::new(&mut room);
        poll_fn(|cx| self.poll_read(cx, &mut buffer)).await?;
        let read = Bytes::copy_from_slice(buffer.filled());
        Ok((!read.is_empty()).then_some(read))
    }
}

impl Drop for WireReader {
    /// What has come and was not read is answered with a reset, and so is what comes later.
    fn drop(&mut self) {
        let now = clock::now();
        let unread = {
            let mut wire = self.wire.lock();
            wire.gone[READER] = true;
            let there = wire.flight.front().is_some_and(|(at, _)| *at <= now);
            wire.wake_courier();
            // What is on its way still finds nobody here when it comes.
            let on_its_way = wire.flight.front().map(|(at, _)| *at);
            let from = if there { Some(now) } else { on_its_way };
            wire.flight.clear();
            wire.held = 0;
            wire.wake_writer();
            if wire.dark { None } else { from }
        };
        let Some(from) = unread else { return };
        let at = {
            let mut back = self.back.lock();
            if back.dark {
                return;
            }
            let at = back.arrival(from);
            back.reset[READER] = back.reset[READER].or(Some(at));
            back.wake_courier();
            at
        };
        let mut wire = self.wire.lock();
        wire.reset[WRITER] = wire.reset[WRITER].or(Some(at));
        wire.wake_courier();
    }
}
