//! When a connection is to be woken.

use std::pin::Pin;
use std::task::Context as TaskContext;
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

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
    pub(crate) fn arm(&mut self, deadline: Option<Instant>, now: Instant, cx: &mut TaskContext<'_>) {
        let Some(deadline) = deadline else { return };
        if self.armed.is_some_and(|armed| armed <= deadline && armed > now) {
            return;
        }
        self.armed = Some(deadline);
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                sleep.as_mut().reset(deadline.into());
                sleep
            }
            none => none.insert(Box::pin(sleep_until(deadline.into()))),
        };
        if sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}
