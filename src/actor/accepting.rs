//! Accepting: a task for each listening socket.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix::ArbiterHandle;
use tokio::time::{Sleep, sleep, sleep_until};

use super::address::Address;
use super::clock;
use super::gate::Room;
use super::house::{House, is_the_peers};
use super::listening::Door;
use super::stream::Stream;
use crate::admission::Wait;

/// Accepted in one turn: then others on this arbiter have theirs.
const BATCH: usize = 32;
/// How long nothing is accepted after the operating system could not: it has run out of descriptors, say. The listening socket stays ready all the while, and
/// to try again at once would take a processor for itself.
const PAUSE: Duration = Duration::from_millis(100);
/// How often is told that it could not.
const TELL: Duration = Duration::from_secs(1);

/// Accepts for as long as the door is open.
pub(crate) struct Accepting {
    door: Arc<Door>,
    house: Arc<House>,
    /// Where connections go, in turn; nowhere if they stay here.
    workers: Vec<ArbiterHandle>,
    next: usize,
    pause: Option<Pin<Box<Sleep>>>,
    told: Option<Instant>,
}

impl Accepting {
    /// Begins on this arbiter.
    pub(crate) fn begin(door: Arc<Door>, house: Arc<House>, workers: Vec<ArbiterHandle>) {
        match door.open() {
            Ok(()) => drop(actix_rt::spawn(Self { door, house, workers, next: 0, pause: None, told: None })),
            Err(error) => tracing::error!(%error, "the listening socket cannot be polled"),
        }
    }

    fn receive(&mut self, room: Room, stream: Stream, remote: Address) {
        let Some(seat) = self.house.admit(room, &remote) else { return };
        if self.workers.is_empty() {
            return self.house.receive(stream, remote, seat);
        }
        self.next = (self.next + 1) % self.workers.len();
        let house = self.house.clone();
        // A connection that is gone already is nobody's business.
        let Ok(moving) = stream.leave() else { return };
        let there = self.workers[self.next].spawn_fn(move || match moving.arrive() {
            Ok(stream) => house.receive(stream, remote, seat),
            Err(error) => tracing::error!(%error, "a connection could not move to its arbiter"),
        });
        if !there {
            // Its connection is lost; those that come go to the others. The last stays: then nobody is served any more.
            tracing::error!("a worker has stopped");
            if self.workers.len() > 1 {
                self.workers.remove(self.next);
            }
        }
    }

    /// The operating system cannot, and may be able to later.
    fn rest(&mut self, error: &std::io::Error) {
        let now = clock::now();
        if self.told.is_none_or(|told| now.saturating_duration_since(told) >= TELL) {
            self.told = Some(now);
            tracing::error!(%error, "nothing can be accepted for the moment");
        }
        self.pause = Some(Box::pin(sleep(PAUSE)));
    }
}

impl Future for Accepting {
    type Output = ();

    /// Accepts what there is. Ready when nothing more is to be accepted.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..BATCH {
            if !self.door.is_open(cx.waker()) {
                return Poll::Ready(());
            }
            if let Some(pause) = &mut self.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.pause = None;
            }
            let room = match self.house.gate.reserve(cx.waker()) {
                Ok(room) => room,
                Err(Wait::Leave) => return Poll::Pending,
                Err(Wait::Until(then)) => {
                    self.pause = Some(Box::pin(sleep_until(then.into())));
                    continue;
                }
            };
            match self.door.poll_accept(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok((stream, remote))) => self.receive(room, stream, remote),
                Poll::Ready(Err(error)) if is_the_peers(&error) => {}
                Poll::Ready(Err(error)) => self.rest(&error),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
