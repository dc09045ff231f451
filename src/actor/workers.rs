//! The arbiters of connections.

use actix::{Arbiter, ArbiterHandle};
use tokio::sync::watch;

/// The arbiters of connections; none if they live where the listener does. They stop with the last listener that has them.
#[derive(Debug)]
pub(crate) struct Workers {
    arbiters: Vec<Arbiter>,
    /// Nothing is sent: that it is gone tells who waits for the end of the last listener.
    there: watch::Sender<()>,
}

impl Workers {
    /// So many, each with a thread of its own, if it is more than one.
    pub(crate) fn new(workers: usize) -> Self {
        let arbiters = if workers > 1 { (0..workers).map(|_| Arbiter::new()).collect() } else { Vec::new() };
        Self { arbiters, there: watch::Sender::new(()) }
    }

    /// Fails when the last listener that has these workers is gone.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.there.subscribe()
    }

    /// On how many arbiters connections live.
    pub(crate) fn count(&self) -> usize {
        self.arbiters.len().max(1)
    }

    /// Where to, if not here.
    pub(crate) fn handles(&self) -> Vec<ArbiterHandle> {
        self.arbiters.iter().map(Arbiter::handle).collect()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &self.arbiters {
            worker.stop();
        }
    }
}
