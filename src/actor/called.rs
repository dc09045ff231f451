//! What is signalled to a connection that is none yet.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio::sync::Notify;

use super::line::{Peer, Signal};

/// The end of a listener, or of its patience, ends what a connection has to do before it speaks HTTP.
#[derive(Debug, Default)]
pub(crate) struct Called {
    notify: Notify,
    away: AtomicBool,
}

impl Peer for Called {
    fn signal(&self, _: Signal) {
        self.notify.notify_one();
    }
}

impl Called {
    /// It is to go, and make room for somebody else.
    pub(crate) fn away(&self) {
        self.away.store(true, Ordering::SeqCst);
        self.notify.notify_one();
    }

    /// Whether that is what it was called for.
    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::SeqCst)
    }

    /// Does this, unless it is called meanwhile.
    pub(crate) async fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let (mut work, mut end) = (pin!(work), pin!(self.notify.notified()));
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => end.as_mut().poll(cx).map(|()| None),
        })
        .await
    }
}
