//! The time, as the timers count it; and the time of day, asked for and made into text once a second.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::http::HttpDate;

thread_local! {
    /// The date, and until when it is that.
    static DATE: Cell<Option<(Instant, HttpDate)>> = const { Cell::new(None) };
}

/// Now. In tests this may be virtual time: see [`test::run`](super::test::run).
#[cfg(feature = "test")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Now.
#[cfg(not(feature = "test"))]
#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// When that time will have passed; in thirty years, if it is more than can be counted.
#[cfg(feature = "test")]
pub(crate) fn later(now: Instant, time: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
    now.checked_add(time).unwrap_or_else(|| now + FAR)
}

/// The value of `Date`, now.
#[inline]
pub(crate) fn http_date(now: Instant) -> HttpDate {
    match DATE.get() {
        Some((until, date)) if now < until => date,
        _ => next_date(now),
    }
}

/// Asks for the time of day.
#[cold]
fn next_date(now: Instant) -> HttpDate {
    let time = SystemTime::now();
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let date = HttpDate::from(time);
    DATE.set(Some((now + (Duration::from_secs(1) - Duration::from_nanos(since.subsec_nanos().into())), date)));
    date
}
