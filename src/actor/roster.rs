//! Who is connected: so that a listener can tell all its connections to end, and know when they have.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::timeout;

use super::line::{Peer, Signal};
use super::socket::SocketId;

/// How long connections that are cut off may take to notice.
const CUT: Duration = Duration::from_secs(2);

/// The connections of one listener, or those that one [`Sockets`](super::Sockets) has made.
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
        self.count.fetch_add(1, Ordering::SeqCst);
        Seat { roster: self.clone(), id: SocketId::next() }
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
    roster: Arc<Roster>,
    id: SocketId,
}

impl Seat {
    pub(crate) fn id(&self) -> SocketId {
        self.id
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
        let waker = {
            let mut inner = self.roster.lock();
            inner.peers.remove(&self.id);
            inner.waker.take()
        };
        self.roster.count.fetch_sub(1, Ordering::SeqCst);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
