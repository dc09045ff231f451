//! A server that runs: who waits for its end, who stops it, and the signals that do.

use std::fmt;
#[cfg(unix)]
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use actix::Addr;
use tokio::sync::{oneshot, watch};

use crate::actor::address::Address;
use crate::actor::listener::{Listener, Stop};
use crate::actor::messages::{Unbind, Unbound};
use crate::actor::stats::{GetStats, Stats};

/// A server that runs: a future that is ready once its listeners and all their connections have ended. Dropped, it runs on.
#[must_use = "the server runs on when this is dropped, but nobody knows when it has ended"]
pub struct Running {
    pub(super) addresses: Vec<Address>,
    pub(super) handle: ServerHandle,
    pub(super) ended: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Running {
    /// The addresses listened at, with the real port where port 0 was asked for.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// With which to stop the server, from anywhere.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }
}

impl Future for Running {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.ended.as_mut().poll(cx)
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// Stops a server, from any thread.
///
/// ```
/// use std::time::Duration;
/// use actix_sockets::{HttpResponse, Server};
///
/// # actix::System::new().block_on(async {
/// let running = Server::answering(|_, responder| responder.do_send(HttpResponse::ok("Hello!"))).bind("127.0.0.1:0")?.run();
/// let handle = running.handle();
/// actix::spawn(async move {
///     actix::clock::sleep(Duration::from_millis(10)).await;
///     assert_eq!(handle.stop().await.cut_off(), 0);
/// });
/// running.await;
/// # Ok::<(), actix_sockets::BindError>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct ServerHandle {
    pub(super) listeners: Arc<[Addr<Listener>]>,
    pub(super) grace: Duration,
    /// Ends with the last of its listeners.
    pub(super) there: watch::Receiver<()>,
}

impl ServerHandle {
    /// Stops the server, as [`Unbind`] does, within its [grace](super::Server::grace). That begins with the call; the future is ready at the end, and says how the
    /// connections of all its listeners have ended.
    pub fn stop(&self) -> impl Future<Output = Unbound> + Send + use<> {
        self.stop_within(self.grace)
    }

    /// Stops the server within this grace. Said of a server that stops already it cuts off what is still there, at once.
    pub fn stop_within(&self, grace: Duration) -> impl Future<Output = Unbound> + Send + use<> {
        let ask = |listener: &Addr<Listener>| {
            let (tell, told) = oneshot::channel();
            listener.do_send(Stop { unbind: Unbind::within(grace), tell });
            told
        };
        let asked: Vec<_> = self.listeners.iter().map(ask).collect();
        let ended = self.ended();
        async move {
            let mut report = Unbound::default();
            for unbound in asked {
                // One whose arbiter is gone says nothing.
                if let Ok(unbound) = unbound.await {
                    report = report.and(unbound);
                }
            }
            ended.await;
            report
        }
    }

    /// The statistics of all its listeners together.
    pub fn stats(&self) -> impl Future<Output = Stats> + Send + use<> {
        let asked: Vec<_> = self.listeners.iter().map(|listener| listener.send(GetStats::all())).collect();
        async move {
            let mut sum = Stats::default();
            for stats in asked {
                sum += stats.await.unwrap_or_default();
            }
            sum
        }
    }

    pub(super) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut there = self.there.clone();
        async move { while there.changed().await.is_ok() {} }
    }
}

/// Stops the server with the first signal, and cuts it off with the second.
pub(super) async fn heed_signals(handle: ServerHandle) {
    match Signals::new() {
        Ok(mut signals) => {
            signals.next().await;
            drop(handle.stop());
            signals.next().await;
            drop(handle.stop_within(Duration::ZERO));
        }
        Err(error) => tracing::error!(%error, "no signal will stop the server"),
    }
}

#[cfg(unix)]
struct Signals([tokio::signal::unix::Signal; 2]);

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]))
    }

    async fn next(&mut self) {
        poll_fn(|cx| {
            let come = self.0.iter_mut().any(|signal| signal.poll_recv(cx).is_ready());
            if come { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
