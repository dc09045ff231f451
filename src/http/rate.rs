//! The minimum rate of content.

use std::time::{Duration, Instant};

use super::Settings;

/// When the next bytes of content have to be there. Each byte received buys time at the minimum rate; what can be saved up is bounded,
/// so that a fast first megabyte does not pay for an hour of silence.
#[derive(Clone, Copy, Debug)]
pub(super) struct ContentClock {
    due: Option<Instant>,
}

impl ContentClock {
    pub(super) fn new(now: Instant, settings: &Settings) -> Self {
        let due = if settings.content_rate == 0 { None } else { now.checked_add(settings.content_grace) };
        Self { due }
    }

    /// Asks for no rate.
    pub(super) fn patient() -> Self {
        Self { due: None }
    }

    pub(super) fn received(&mut self, bytes: usize, now: Instant, settings: &Settings) {
        let Some(due) = self.due else { return };
        let bought = Duration::from_secs_f64(bytes as f64 / f64::from(settings.content_rate));
        self.later(due, bought, now, settings);
    }

    /// Nothing was read from then until now, for a reason of ours.
    pub(super) fn stood_still(&mut self, began: Instant, now: Instant, settings: &Settings) {
        let Some(due) = self.due else { return };
        self.later(due, now.saturating_duration_since(began), now, settings);
    }

    fn later(&mut self, due: Instant, time: Duration, now: Instant, settings: &Settings) {
        let most = now.checked_add(settings.idle_timeout.max(settings.content_grace));
        self.due = match (due.checked_add(time), most) {
            (Some(later), Some(most)) => Some(later.min(most)),
            (_, most) => most,
        };
    }

    /// The peer has shown that it is there: it has the grace from now on.
    pub(super) fn stirred(&mut self, now: Instant, settings: &Settings) {
        let Some(due) = self.due else { return };
        self.due = now.checked_add(settings.content_grace).map(|grace| due.max(grace));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }
}
