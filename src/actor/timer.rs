//! When a connection is to be woken.

use std::pin::Pin;
use std::task::Context as TaskContext;
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

/// The sooner of two moments, each of which there may be or not.
#[inline]
pub(crate) fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// One timer, armed again only when it has rung or something is due sooner.
#[derive(Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: Option<Instant>,
}

impl Timer {
    /// Whether a deadline may have come.
    #[inline]
    pub(crate) fn rings(&self, now: Instant) -> bool {
        self.armed.is_some_and(|armed| armed <= now)
    }

    /// Wakes the task at the deadline, or somewhat before.
    #[inline]
    pub(crate) fn arm(&mut self, deadline: Option<Instant>, now: Instant, cx: &mut TaskContext<'_>) {
        let Some(deadline) = deadline else { return };
        if self.armed.is_none_or(|armed| armed > deadline || armed <= now) {
            self.set(deadline, cx);
        }
    }

    #[cold]
    fn set(&mut self, deadline: Instant, cx: &mut TaskContext<'_>) {
        self.armed = Some(deadline);
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                sleep.as_mut().reset(deadline.into());
                sleep
            }
            none => none.insert(Box::pin(sleep_until(deadline.into()))),
        };
        // Whatever the task has done before, and it may be a handler's: what is not polled here would never ring.
        if Pin::new(&mut tokio::task::unconstrained(sleep.as_mut())).poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;

    use super::super::clock;
    use super::*;

    /// A turn in a feeder shares its task's budget with all else that this task does: with none left a timer is armed and nobody is told when it rings.
    #[test]
    fn a_timer_that_is_armed_without_budget_rings() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let task = tokio::spawn(async {
                let mut timer = Timer::default();
                let start = clock::now();
                let deadline = start + Duration::from_millis(50);
                let mut first = true;
                poll_fn(|cx| {
                    let now = clock::now();
                    if std::mem::take(&mut first) {
                        // The task's other work uses its budget up.
                        while let Poll::Ready(left) = tokio::task::coop::poll_proceed(cx) {
                            left.made_progress();
                        }
                    }
                    if timer.rings(now) {
                        return Poll::Ready(());
                    }
                    timer.arm(Some(deadline), now, cx);
                    Poll::Pending
                })
                .await;
            });
            tokio::time::timeout(Duration::from_secs(2), task).await.expect("it rings").expect("no panic");
        });
    }
}
