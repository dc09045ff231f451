//! What is handed from one actor's turn to another's without a mailbox: many items, one wake.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Items pushed from anywhere, taken all at once by the one task that polls. The first push after a take wakes the task, the others do
/// not.
#[derive(Debug)]
pub(crate) struct Queue<T, S = ()> {
    inner: Mutex<Inner<T, S>>,
}

#[derive(Debug)]
pub(crate) struct Inner<T, S> {
    pub(crate) items: VecDeque<T>,
    /// What else is decided under the same lock.
    pub(crate) side: S,
    waker: Option<Waker>,
    woken: bool,
    /// The taking end is gone: what is pushed is dropped.
    pub(crate) closed: bool,
}

impl<T, S> Inner<T, S> {
    /// Wakes the taking task, unless it has been woken since it last took.
    #[inline]
    pub(crate) fn wake(&mut self) {
        if !self.woken
            && let Some(waker) = &self.waker
        {
            self.woken = true;
            waker.wake_by_ref();
        }
    }

    /// Takes all items, and registers the task for the next.
    #[inline]
    pub(crate) fn take(&mut self, waker: &Waker) -> VecDeque<T> {
        self.register(waker);
        std::mem::take(&mut self.items)
    }

    /// As [`take`](Self::take), into an empty vector, which becomes the queue's.
    #[inline]
    pub(crate) fn take_into(&mut self, waker: &Waker, empty: &mut VecDeque<T>) {
        self.register(waker);
        std::mem::swap(&mut self.items, empty);
    }

    /// The taking task is awake: until it takes again it need not be woken.
    #[inline]
    pub(crate) fn stay_awake(&mut self) {
        self.woken = true;
    }

    /// Takes over the taking task's next turn, unless it is awake already: it is not woken before the next take, which must come.
    #[inline]
    pub(crate) fn take_turn(&mut self) -> Option<Waker> {
        let asleep = !std::mem::replace(&mut self.woken, true);
        if asleep { self.waker.clone() } else { None }
    }

    #[inline]
    pub(crate) fn register(&mut self, waker: &Waker) {
        self.woken = false;
        match &self.waker {
            Some(known) if known.will_wake(waker) => {}
            _ => self.waker = Some(waker.clone()),
        }
    }
}

impl<T, S> Queue<T, S> {
    pub(crate) fn new(side: S) -> Self {
        Self { inner: Mutex::new(Inner { items: VecDeque::new(), side, waker: None, woken: false, closed: false }) }
    }

    /// The lock is held for a push or a take only, and never across foreign code but a `wake`: a poisoned one is as good as new.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner<T, S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a vector memory that has none.
#[inline]
pub(crate) fn lend<T>(vec: &mut VecDeque<T>, pooled: impl FnOnce() -> VecDeque<T>) {
    if vec.capacity() == 0 {
        // Of a vector that holds nothing there is nothing to be dropped.
        std::mem::forget(std::mem::replace(vec, pooled()));
    }
}

/// Empty vectors of one arbiter, for the next ones: so that a connection at rest owns none, and a busy one allocates none.
macro_rules! vec_pool {
    ($name:ident, $item:ty) => {
        mod $name {
            use super::*;
            use std::cell::RefCell;

            thread_local! {
                static POOL: RefCell<Vec<VecDeque<$item>>> = const { RefCell::new(Vec::new()) };
            }

            /// An empty vector.
            pub(super) fn get() -> VecDeque<$item> {
                POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten().unwrap_or_default()
            }

            /// Keeps the vector's memory: that of many small ones, as many connections may be busy at a time, and of some that are larger.
            #[inline]
            pub(super) fn put(mut vec: VecDeque<$item>) {
                let room = match vec.capacity() {
                    0 => return std::mem::forget(vec),
                    1..=64 => 128,
                    65..=1024 => 16,
                    _ => 0,
                };
                vec.clear();
                let kept = POOL.try_with(|pool| {
                    let mut pool = pool.borrow_mut();
                    let kept = pool.len() < room;
                    if kept {
                        pool.push(std::mem::take(&mut vec));
                    }
                    kept
                });
                if kept == Ok(true) {
                    // What is left of it holds nothing, either.
                    std::mem::forget(vec);
                }
            }
        }
    };
}
pub(crate) use vec_pool;
