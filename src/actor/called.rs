//! What is signalled to a connection that is none yet.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::sync::Notify;

use super::line::{Peer, Signal};

/// The end of a listener, or of its patience, ends what a connection has to do before it speaks HTTP.
#[derive(Default)]
pub(crate) struct Called(pub(crate) Notify);

impl Peer for Called {
    fn signal(&self, _: Signal) {
        self.0.notify_one();
    }
}

impl Called {
    /// Does this, unless it is called meanwhile.
    pub(crate) async fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let (mut work, mut end) = (pin!(work), pin!(self.0.notified()));
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => end.as_mut().poll(cx).map(|()| None),
        })
        .await
    }
}
