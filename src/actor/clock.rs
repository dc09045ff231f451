//! The time of day, asked for and made into text once a second.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::http::HttpDate;

thread_local! {
    /// The date, and until when it is that.
    static DATE: Cell<Option<(Instant, HttpDate)>> = const { Cell::new(None) };
}

/// The value of `Date`, now.
pub(crate) fn http_date(now: Instant) -> HttpDate {
    match DATE.get() {
        Some((until, date)) if now < until => date,
        _ => {
            let time = SystemTime::now();
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            let date = HttpDate::from(time);
            DATE.set(Some((now + (Duration::from_secs(1) - Duration::from_nanos(since.subsec_nanos().into())), date)));
            date
        }
    }
}
