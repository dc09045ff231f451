//! A request's content on its way to an `App`, as it comes: bounded by the window that the connection keeps for what is in hand.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};

use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_core::Stream;

use super::super::content::Content;

/// The end that the connection's handler holds.
pub(super) struct Incoming(Rc<RefCell<Pipe>>);

/// The end that the `App` reads.
pub(super) struct Payload(Rc<RefCell<Pipe>>);

struct Pipe {
    /// Nothing comes as long as this is held: the `App` may answer without a look at the content, which then is not asked for.
    untouched: Option<Content>,
    /// Each piece is in hand until it is read.
    pieces: VecDeque<(Bytes, Content)>,
    end: Option<Result<(), PayloadError>>,
    reader: Option<Waker>,
    /// Nobody reads it any more.
    dropped: bool,
}

/// Content that comes when it is wanted.
pub(super) fn payload(content: Content) -> (Incoming, Payload) {
    let pipe = Pipe { untouched: Some(content), pieces: VecDeque::new(), end: None, reader: None, dropped: false };
    let pipe = Rc::new(RefCell::new(pipe));
    (Incoming(pipe.clone()), Payload(pipe))
}

impl Incoming {
    pub(super) fn push(&self, data: Bytes, content: Content) {
        let mut pipe = self.0.borrow_mut();
        if !pipe.dropped {
            pipe.pieces.push_back((data, content));
            pipe.wake();
        }
    }

    pub(super) fn end(self, how: Result<(), PayloadError>) {
        let mut pipe = self.0.borrow_mut();
        pipe.end = Some(how);
        pipe.wake();
    }
}

impl Pipe {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl Drop for Incoming {
    /// Whatever ends the connection ends its content.
    fn drop(&mut self) {
        let mut pipe = self.0.borrow_mut();
        pipe.end.get_or_insert(Err(PayloadError::Incomplete(None)));
        pipe.wake();
    }
}

impl Stream for Payload {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let mut pipe = self.0.borrow_mut();
        pipe.untouched = None;
        if let Some((data, _)) = pipe.pieces.pop_front() {
            return Poll::Ready(Some(Ok(data)));
        }
        match pipe.end.replace(Ok(())) {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => {
                pipe.end = None;
                pipe.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        let mut pipe = self.0.borrow_mut();
        pipe.dropped = true;
        pipe.untouched = None;
        pipe.pieces.clear();
    }
}
