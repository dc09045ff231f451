//! The thread that something lives on.

use std::cell::Cell;
use std::thread::{self, ThreadId};

/// The current thread: what [`thread::current`] says, which counts a reference each time it is asked.
#[inline]
pub(crate) fn here() -> ThreadId {
    thread_local! {
        static HERE: Cell<Option<ThreadId>> = const { Cell::new(None) };
    }
    HERE.get().unwrap_or_else(|| {
        let here = thread::current().id();
        HERE.set(Some(here));
        here
    })
}
