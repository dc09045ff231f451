//! The gate of a listener, or of all that a server has: it counts who is in, and has those wait who accept.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::called::Called;
use super::clock;
use super::settings::Settings;
use crate::admission::{Admission, Limits, Refused, Silent, Wait};

/// A cap on connections that several listeners share, whatever each allows by itself: see [`Settings::cap`]. Clones are the same cap.
///
/// ```
/// use actix_sockets::{ConnectionCap, Settings};
///
/// let cap = ConnectionCap::new(100_000);
/// let (public, internal) = (Settings::new().cap(&cap), Settings::new().max_connections(100).cap(&cap));
/// # drop((public, internal));
/// assert_eq!(cap.open(), 0);
/// ```
#[derive(Clone)]
pub struct ConnectionCap(Arc<Cap>);

struct Cap {
    limit: usize,
    open: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

impl ConnectionCap {
    /// So many connections at a time. While there are as many, none is accepted.
    #[must_use]
    pub fn new(connections: usize) -> Self {
        Self(Arc::new(Cap { limit: connections, open: AtomicUsize::new(0), waiting: Mutex::default() }))
    }

    /// How many there are.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::SeqCst)
    }

    fn reserve(&self) -> bool {
        self.0.open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |open| (open < self.0.limit).then_some(open + 1)).is_ok()
    }

    fn leave(&self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
        wake_all(&self.0.waiting);
    }
}

impl fmt::Debug for ConnectionCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionCap({} of {})", self.open(), self.0.limit)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake_all(waiting: &Mutex<Vec<Waker>>) {
    let waiting = std::mem::take(&mut *lock(waiting));
    waiting.into_iter().for_each(Waker::wake);
}

fn wait(waiting: &mut Vec<Waker>, waker: &Waker) {
    if !waiting.iter().any(|other| other.will_wake(waker)) {
        waiting.push(waker.clone());
    }
}

/// The gate of one listener, or of all of a [`Server`](super::Server), for all who accept for them.
#[derive(Debug)]
pub(crate) struct Gate {
    admission: Mutex<Admission>,
    waiting: Mutex<Vec<Waker>>,
    cap: Option<ConnectionCap>,
    /// Those who are in and have said nothing, where something precedes HTTP.
    silent: Mutex<Silent<Arc<Called>>>,
    /// One for each hello of TLS that may be answered at a time.
    places: Arc<Semaphore>,
}

impl Gate {
    /// For so many workers.
    pub(crate) fn new(settings: &Settings, workers: usize) -> Self {
        let limits = Limits {
            connections: settings.max_connections.saturating_mul(workers.max(1)),
            per_address: settings.per_address,
            ipv6_prefix: settings.ipv6_prefix,
            rate: settings.rate,
        };
        // Those who say nothing never have all the room.
        let silent = limits.connections.min(settings.cap.as_ref().map_or(usize::MAX, |cap| cap.0.limit)) / 2;
        let places = settings.max_tls_handshakes.saturating_mul(workers.max(1)).min(Semaphore::MAX_PERMITS);
        Self {
            admission: Mutex::new(Admission::new(limits)),
            waiting: Mutex::default(),
            cap: settings.cap.clone(),
            silent: Mutex::new(Silent::new(silent)),
            places: Arc::new(Semaphore::new(places)),
        }
    }

    /// Tells of settings that nobody can mean.
    pub(crate) fn warn(&self, tls: bool) {
        if lock(&self.admission).is_shut() || self.cap.as_ref().is_some_and(|cap| cap.0.limit == 0) {
            tracing::warn!("zero connections are allowed: nobody will be accepted");
        }
        if tls && self.places.available_permits() == 0 {
            tracing::warn!("zero TLS handshakes are allowed: none will be made");
        }
    }

    /// Room for one more.
    ///
    /// # Errors
    ///
    /// There is none now. The waker is woken when there may be, unless it is told until when to wait.
    pub(crate) fn reserve(self: &Arc<Self>, waker: &Waker) -> Result<Room, Wait> {
        let attempt = |now: Instant| {
            lock(&self.admission).reserve(now)?;
            if self.cap.as_ref().is_none_or(ConnectionCap::reserve) {
                return Ok(Room { gate: self.clone(), taken: false });
            }
            lock(&self.admission).cancel();
            Err(Wait::Leave)
        };
        attempt(clock::now()).or_else(|why| {
            if why != Wait::Leave {
                return Err(why);
            }
            // Whoever leaves between the two attempts wakes nobody yet.
            wait(&mut lock(&self.waiting), waker);
            if let Some(cap) = &self.cap {
                wait(&mut lock(&cap.0.waiting), waker);
            }
            attempt(clock::now())
        })
    }
}

/// Room for one connection that is not there yet.
pub(crate) struct Room {
    gate: Arc<Gate>,
    taken: bool,
}

impl Room {
    /// It has come.
    pub(crate) fn taken(mut self) -> Guest {
        self.taken = true;
        Guest { gate: self.gate.clone(), key: None }
    }
}

impl Gate {
    /// One has said nothing yet, for as long as what is given back is there. If there are too many of them the oldest is called away.
    pub(crate) fn silence(self: &Arc<Self>, called: &Arc<Called>) -> Silence {
        let (ticket, goes) = lock(&self.silent).comes(called.clone());
        if let Some(goes) = goes {
            goes.away();
        }
        Silence { gate: self.clone(), ticket }
    }

    /// A place for answering a hello, when there is one: in the order in which they asked. It is given back when it is dropped.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().acquire_owned().await.ok()
    }

    /// One is not let in, or is shown out, for a reason that is not the gate's.
    pub(crate) fn refuse(&self) -> Refused {
        lock(&self.admission).refuse(clock::now())
    }

    /// One less in than before.
    fn left(&self) {
        if let Some(cap) = &self.cap {
            cap.leave();
        }
        wake_all(&self.waiting);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !self.taken {
            lock(&self.gate.admission).cancel();
            self.gate.left();
        }
    }
}

/// One connection that is in, for as long as this is.
#[derive(Debug)]
pub(crate) struct Guest {
    gate: Arc<Gate>,
    key: Option<IpAddr>,
}

impl Guest {
    /// It came from here: to be said once.
    ///
    /// # Errors
    ///
    /// There are too many from here.
    pub(crate) fn comes_from(&mut self, address: Option<IpAddr>) -> Result<(), Refused> {
        self.key = lock(&self.gate.admission).count(address, clock::now())?;
        Ok(())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        lock(&self.gate.admission).leave(self.key);
        self.gate.left();
    }
}

/// One that has said nothing yet, for as long as this is.
pub(crate) struct Silence {
    gate: Arc<Gate>,
    ticket: u64,
}

impl Drop for Silence {
    fn drop(&mut self) {
        lock(&self.gate.silent).speaks(self.ticket);
    }
}

#[cfg(test)]
mod tests;
