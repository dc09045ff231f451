//! The time, as the timers count it; and the time of day, made into text once a second.

use std::cell::Cell;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::http::HttpDate;

thread_local! {
    static DATE: Cell<Option<(u64, HttpDate)>> = const { Cell::new(None) };
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

/// The value of `Date`, now.
pub(crate) fn http_date() -> HttpDate {
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match DATE.get() {
        Some((known, date)) if known == second => date,
        _ => {
            let date = HttpDate::from(now);
            DATE.set(Some((second, date)));
            date
        }
    }
}
