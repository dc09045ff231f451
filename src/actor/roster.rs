//! Who is connected: so that a listener can tell all its connections to end, and know when they have.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::timeout;

use super::gate::Guest;
use super::line::{Peer, Signal};
use super::socket::SocketId;
use super::stats::Counters;

/// How long connections that are cut off may take to notice.
const CUT: Duration = Duration::from_secs(2);

/// The connections of one listener, or those that one [`Sockets`](super::Sockets) has made.
#[derive(Default)]
pub(crate) struct Roster {
    inner: Mutex<Inner>,
    count: AtomicUsize,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Inner {
    peers: HashMap<SocketId, Weak<dyn Peer>>,
    /// What is to be said to everybody, also to those who come later.
    said: Option<Signal>,
    wakers: Vec<Waker>,
}

impl Roster {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are connected.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Tells all.
    pub(crate) fn signal(&self, signal: Signal) {
        let mut inner = self.lock();
        inner.said = Some(signal);
        let peers: Vec<_> = inner.peers.values().filter_map(Weak::upgrade).collect();
        drop(inner);
        peers.iter().for_each(|peer| peer.signal(signal));
    }

    /// What is counted of them.
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Wakes this when somebody leaves, with all others who wait for it.
    fn on_leave(&self, waker: &Waker) {
        let mut inner = self.lock();
        if !inner.wakers.iter().any(|other| other.will_wake(waker)) {
            inner.wakers.push(waker.clone());
        }
    }

    /// Tells all to end, and waits until they have: within the grace, or cut off behind it. Gives how many were cut off.
    pub(crate) async fn wind_down(self: Arc<Self>, grace: Duration) -> usize {
        self.signal(Signal::GoAway);
        let empty = || {
            poll_fn(|cx| {
                self.on_leave(cx.waker());
                if self.count() == 0 { Poll::Ready(()) } else { Poll::Pending }
            })
        };
        if timeout(grace, empty()).await.is_ok() {
            return 0;
        }
        let cut_off = self.count();
        self.signal(Signal::Abort);
        if timeout(CUT, empty()).await.is_err() {
            tracing::warn!(left = self.count(), "connections do not end: their arbiters are blocked");
        }
        cut_off
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
        Seat { roster: self.clone(), id: SocketId::next(), guest, requests: Cell::new(0), upgraded: Cell::new(false) }
    }

    /// The connections that come from now on are on another, which counts on with the same counters.
    pub(crate) fn successor(&self) -> Self {
        Self { counters: self.counters.clone(), ..Self::default() }
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
}

impl Seat {
    pub(crate) fn id(&self) -> SocketId {
        self.id
    }

    pub(crate) fn guest(&mut self) -> Option<&mut Guest> {
        self.guest.as_mut()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.roster.counters
    }

    /// So many requests have come since the last time, and so many are in hand now.
    #[inline]
    pub(crate) fn requests(&self, came: usize, in_hand: usize) {
        let counted = self.requests.get();
        if came > 0 || counted != in_hand {
            let level = &self.counters().requests;
            level.up(came as u64);
            // Those that have come and gone meanwhile were open together, as far as anybody can tell.
            level.down((counted + came).saturating_sub(in_hand) as u64);
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
            inner.peers.insert(self.id, weak);
            inner.said
        };
        if let Some(signal) = said {
            peer.signal(signal);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.requests(0, 0);
        if self.upgraded.get() {
            self.counters().websockets.down(1);
        }
        self.counters().connections.down(1);
        let wakers = {
            let mut inner = self.roster.lock();
            inner.peers.remove(&self.id);
            std::mem::take(&mut inner.wakers)
        };
        self.roster.count.fetch_sub(1, Ordering::SeqCst);
        wakers.into_iter().for_each(Waker::wake);
    }
}
