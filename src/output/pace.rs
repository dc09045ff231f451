//! How fast a peer takes what waits for it.

use std::time::{Duration, Instant};

use super::Output;

/// The minimum rate at which output must leave once it waits. Each byte taken buys time; what can be saved up is no more than the grace, which is what
/// output without any progress has. So whoever takes what there is is never slow, and whoever takes a byte now and then is, as soon as the grace is over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// When more must have been taken; `None` while nothing waits, or nothing has been taken of it yet.
    due: Option<Instant>,
    /// How much had been taken when last was looked.
    taken: u64,
}

impl Pace {
    /// Bytes of `output` were taken: `rate` of them are worth a second.
    #[inline]
    pub(crate) fn took(&mut self, output: &Output, rate: u32, grace: Duration, now: Instant) {
        if output.is_empty() || rate == 0 {
            self.due = None;
            return;
        }
        self.keeps(output, rate, grace, now);
    }

    /// Something still waits.
    #[inline(never)]
    fn keeps(&mut self, output: &Output, rate: u32, grace: Duration, now: Instant) {
        let bytes = output.taken().saturating_sub(self.taken);
        self.taken = output.taken();
        let most = now.checked_add(grace);
        let Some(due) = self.due else {
            self.due = most;
            return;
        };
        // Behind its time it is we who are late: before, nobody asked how much was taken.
        let later = due.max(now).checked_add(Duration::from_secs_f64(bytes as f64 / f64::from(rate)));
        self.due = later.into_iter().chain(most).min().filter(|_| most.is_some());
    }

    /// Nothing waits.
    #[inline]
    pub(crate) fn rests(&mut self) {
        self.due = None;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}
