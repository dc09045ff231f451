//! Who is connected: so that a listener can tell all its connections to end, and know when they have.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

use super::line::{Peer, Signal};
use super::socket::SocketId;

/// The connections of one listener.
#[derive(Default)]
pub(crate) struct Roster {
    inner: Mutex<Inner>,
    count: AtomicUsize,
}

#[derive(Default)]
struct Inner {
    peers: HashMap<SocketId, Weak<dyn Peer>>,
    /// What is to be said to everybody, also to those who come later.
    said: Option<Signal>,
    waker: Option<Waker>,
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

    /// Wakes this when somebody leaves.
    pub(crate) fn on_leave(&self, waker: &Waker) {
        self.lock().waker = Some(waker.clone());
    }

    /// A seat for one connection more.
    pub(crate) fn seat(self: &Arc<Self>) -> Seat {
        self.count.fetch_add(1, Ordering::SeqCst);
        Seat { roster: Some(self.clone()), id: SocketId::next() }
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roster({})", self.count())
    }
}

/// One connection's place in the roster, and its name. Moves with the transport, whatever protocol it speaks; is left when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    roster: Option<Arc<Roster>>,
    id: SocketId,
}

impl Seat {
    /// A name for a connection that no listener knows: a client's.
    pub(crate) fn alone() -> Self {
        Self { roster: None, id: SocketId::next() }
    }

    pub(crate) fn id(&self) -> SocketId {
        self.id
    }

    /// From now on it is this one who is signalled.
    pub(crate) fn take(&self, peer: &Arc<impl Peer + 'static>) {
        let Some(roster) = &self.roster else { return };
        let said = {
            let mut inner = roster.lock();
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
        let Some(roster) = &self.roster else { return };
        let waker = {
            let mut inner = roster.lock();
            inner.peers.remove(&self.id);
            inner.waker.take()
        };
        roster.count.fetch_sub(1, Ordering::SeqCst);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
