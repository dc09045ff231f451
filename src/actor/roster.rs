//! Who is connected: so that a listener can tell all its connections to end, know when they have, and tell how.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::budget::Whose;
use super::clock;
use super::gate::Guest;
use super::line::{Peer, Protocol, Signal};
use super::messages::Unbound;
use super::socket::SocketId;
use super::stats::Counters;
use crate::drain;

/// How long connections that are cut off may take to notice.
const CUT: Duration = Duration::from_secs(2);

/// The connections of one listener, or those that one [`Sockets`](super::Sockets) has made.
#[derive(Default)]
pub(crate) struct Roster {
    inner: Mutex<Inner>,
    count: AtomicUsize,
    counters: Arc<Counters>,
    whose: Whose,
}

#[derive(Default)]
struct Inner {
    peers: HashMap<SocketId, (Protocol, Weak<dyn Peer>)>,
    /// What is to be said to everybody, also to those who come later.
    said: Option<Signal>,
    /// Since it winds down.
    farewell: Option<Farewell>,
    /// Who waits for somebody to leave.
    wakers: Vec<Waker>,
}

/// How those have left who were told to.
struct Farewell {
    since: Instant,
    /// Nobody has patience any more.
    impatient: bool,
    report: Unbound,
}

/// What has ended a wait.
#[derive(PartialEq, Eq)]
enum Waited {
    /// All have left.
    Empty,
    /// Nobody has patience any more.
    Impatient,
    /// Its time is over.
    Over,
}

impl Roster {
    /// Whose connections are counted there.
    #[cfg(feature = "test")]
    pub(crate) fn of(whose: Whose) -> Self {
        Self { whose, ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are connected.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Tells all.
    pub(crate) fn signal(&self, signal: Signal) {
        self.tell(signal, self.lock(), |_| true);
    }

    /// Tells some of them, and those who come later. Gives the others.
    fn tell(&self, signal: Signal, mut inner: MutexGuard<'_, Inner>, who: impl Fn(Protocol) -> bool) -> Vec<Weak<dyn Peer>> {
        inner.said = Some(signal);
        let (now, later): (Vec<_>, Vec<_>) = inner.peers.values().cloned().partition(|(protocol, _)| who(*protocol));
        drop(inner);
        now.iter().filter_map(|(_, peer)| peer.upgrade()).for_each(|peer| peer.signal(signal));
        later.into_iter().map(|(_, peer)| peer).collect()
    }

    /// What is counted of them.
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Tells all to end, websockets in batches over the spread, half the grace at most; and waits until they have: within the grace, or cut off behind it.
    /// If it is said again all are cut off at once.
    pub(crate) async fn wind_down(self: Arc<Self>, grace: Duration, spread: Duration) -> Unbound {
        match self.begin() {
            Some(websockets) => self.dismiss(websockets, grace, spread).await,
            None => self.hurry(),
        }
        if self.count() > 0 {
            self.signal(Signal::Abort);
            self.wait(CUT).await;
        }
        let report = self.report();
        report.log();
        report
    }

    /// Tells those that speak HTTP, and gives the websockets. None if it has begun already.
    fn begin(&self) -> Option<Vec<Weak<dyn Peer>>> {
        let mut inner = self.lock();
        if inner.farewell.is_some() {
            return None;
        }
        inner.farewell = Some(Farewell { since: clock::now(), impatient: false, report: Unbound::default() });
        Some(self.tell(Signal::GoAway, inner, |protocol| protocol == Protocol::Http))
    }

    /// Tells the websockets, batch by batch, and waits for everybody.
    async fn dismiss(&self, websockets: Vec<Weak<dyn Peer>>, grace: Duration, spread: Duration) {
        let plan = drain::plan(websockets.len(), spread.min(grace / 2), rand::random());
        let mut websockets = websockets.into_iter();
        for batch in plan {
            if self.wait(batch.after.saturating_sub(self.passed())).await != Waited::Over {
                return;
            }
            websockets.by_ref().take(batch.size).filter_map(|peer| peer.upgrade()).for_each(|peer| peer.signal(Signal::GoAway));
        }
        self.wait(grace.saturating_sub(self.passed())).await;
    }

    /// Nobody has patience any more.
    fn hurry(&self) {
        let mut inner = self.lock();
        if let Some(farewell) = &mut inner.farewell {
            farewell.impatient = true;
        }
        let wakers = std::mem::take(&mut inner.wakers);
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How long it has been winding down.
    fn passed(&self) -> Duration {
        self.lock().farewell.as_ref().map_or(Duration::ZERO, |farewell| clock::now().saturating_duration_since(farewell.since))
    }

    /// Waits until all have left, until nobody has patience any more, or so long.
    async fn wait(&self, within: Duration) -> Waited {
        let left = poll_fn(|cx| {
            let mut inner = self.lock();
            inner.on_leave(cx.waker());
            if self.count() == 0 {
                return Poll::Ready(Waited::Empty);
            }
            let told = inner.said == Some(Signal::Abort);
            match &inner.farewell {
                Some(farewell) if farewell.impatient && !told => Poll::Ready(Waited::Impatient),
                _ => Poll::Pending,
            }
        });
        timeout(within, left).await.unwrap_or(Waited::Over)
    }

    fn report(&self) -> Unbound {
        let report = self.lock().farewell.as_ref().map(|farewell| farewell.report.clone()).unwrap_or_default();
        Unbound { took: self.passed(), left: self.count(), ..report }
    }

    /// A seat for one connection more.
    pub(crate) fn seat(self: &Arc<Self>) -> Seat {
        self.seated(None)
    }

    /// A seat for one that has come through a gate.
    pub(crate) fn seat_of(self: &Arc<Self>, guest: Guest) -> Seat {
        self.seated(Some(guest))
    }

    fn seated(self: &Arc<Self>, guest: Option<Guest>) -> Seat {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.counters.connections.up(1);
        Seat {
            roster: self.clone(),
            id: SocketId::next(),
            well: Cell::new(false),
            guest,
            requests: Cell::new(0),
            upgraded: Cell::new(false),
        }
    }

    /// The connections that come from now on are on another, which counts on with the same counters.
    pub(crate) fn successor(&self) -> Self {
        Self { counters: self.counters.clone(), whose: self.whose.clone(), ..Self::default() }
    }
}

impl Inner {
    fn on_leave(&mut self, waker: &Waker) {
        if !self.wakers.iter().any(|known| known.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roster({})", self.count())
    }
}

/// One connection's place in the roster, its name, and what is counted of it. Moves with the transport, whatever protocol it speaks; is left when
/// dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    roster: Arc<Roster>,
    id: SocketId,
    guest: Option<Guest>,
    /// Its requests that are counted as open.
    requests: Cell<usize>,
    upgraded: Cell<bool>,
    /// Its connection ends in good order.
    well: Cell<bool>,
}

impl Seat {
    pub(crate) fn id(&self) -> SocketId {
        self.id
    }

    /// A seat for one connection more, in the same roster.
    pub(crate) fn another(&self) -> Self {
        self.roster.seat()
    }

    pub(crate) fn guest(&mut self) -> Option<&mut Guest> {
        self.guest.as_mut()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.roster.counters
    }

    /// In which budget it is counted.
    pub(crate) fn whose(&self) -> &Whose {
        &self.roster.whose
    }

    /// So many requests have come since the last time, and so many are in hand now.
    #[inline]
    pub(crate) fn requests(&self, came: usize, in_hand: usize) {
        let counted = self.requests.get();
        if came > 0 || counted != in_hand {
            let level = &self.counters().requests;
            // Those that were there went first, and made room: never are more open than may be. Of those that have come, all were there at once.
            let gone = (counted + came).saturating_sub(in_hand);
            let before = gone.min(counted);
            if before > 0 {
                level.down(before as u64);
            }
            if came > 0 {
                level.up(came as u64);
            }
            if gone > before {
                level.down((gone - before) as u64);
            }
            self.requests.set(in_hand.min(counted + came));
        }
    }

    /// It is a websocket from now on.
    pub(crate) fn upgrades(&self) {
        self.requests(0, 0);
        if !self.upgraded.replace(true) {
            self.counters().websockets.up(1);
        }
    }

    /// From now on it is this one who is signalled.
    pub(crate) fn take(&self, peer: &Arc<impl Peer + 'static>) {
        let said = {
            let mut inner = self.roster.lock();
            let weak: Weak<dyn Peer> = Arc::downgrade(peer) as Weak<dyn Peer>;
            inner.peers.insert(self.id, (peer.protocol(), weak));
            inner.said
        };
        if let Some(signal) = said {
            peer.signal(signal);
        }
    }

    /// All that was to be said has been, and the connection ends as it should. Otherwise it counts as lost.
    pub(crate) fn ends_well(&self) {
        self.well.set(true);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.requests(0, 0);
        if self.upgraded.get() {
            self.counters().websockets.down(1);
        }
        self.counters().connections.down(1);
        let mut inner = self.roster.lock();
        let protocol = inner.peers.remove(&self.id).map_or(Protocol::Http, |(protocol, _)| protocol);
        let cut_off = inner.said == Some(Signal::Abort);
        if let Some(farewell) = &mut inner.farewell {
            let ended = match protocol {
                Protocol::Http => &mut farewell.report.http,
                Protocol::WebSocket => &mut farewell.report.websockets,
            };
            match (self.well.get(), cut_off) {
                (true, _) => ended.closed += 1,
                (false, false) => ended.lost += 1,
                (false, true) => {
                    ended.cut_off += 1;
                    if farewell.report.cut.len() < Unbound::NAMED {
                        farewell.report.cut.push(self.id);
                    }
                }
            }
        }
        // With the lock: who asks for the count and then waits is among the wakers, or sees it.
        self.roster.count.fetch_sub(1, Ordering::SeqCst);
        let wakers = std::mem::take(&mut inner.wakers);
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
    }
}
