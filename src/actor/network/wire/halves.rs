//! The two halves of one end of a connection: where a transport, or a test, writes and reads.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::{READER, WRITER, Wire};
use crate::actor::clock;

/// The writing half of one end.
#[derive(Debug)]
pub(crate) struct WireWriter(pub(crate) Arc<Wire>);

impl WireWriter {
    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.lock().put(slices, clock::now())
    }

    pub(crate) fn poll_write(&self, cx: &Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut wire = self.0.lock();
        match wire.put(slices, clock::now()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wire.writer = Some(cx.waker().clone());
                Poll::Pending
            }
            written => Poll::Ready(written),
        }
    }

    /// Writes all of it, waiting for room.
    pub(crate) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        poll_fn(|cx| {
            while !bytes.is_empty() {
                let taken = ready!(self.poll_write(cx, &[IoSlice::new(bytes)]))?;
                bytes = &bytes[taken..];
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Sends FIN.
    pub(crate) fn finish(&self) {
        let now = clock::now();
        let mut wire = self.0.lock();
        if wire.finished.is_none() && !wire.dark {
            let at = wire.arrival(now);
            wire.finished = Some(at);
            if wire.is_readable(now) {
                wire.wake_reader();
            }
            wire.wake_courier();
        }
    }
}

impl Drop for WireWriter {
    fn drop(&mut self) {
        self.finish();
        let mut wire = self.0.lock();
        wire.gone[WRITER] = true;
        wire.wake_courier();
    }
}

/// The reading half of one end: what it reads, and the direction in which it says that it is gone.
#[derive(Debug)]
pub(crate) struct WireReader {
    pub(crate) wire: Arc<Wire>,
    pub(crate) back: Arc<Wire>,
}

impl WireReader {
    /// Whether there may be something to read; where the pieces are random, now and then though there is not, as sockets say it.
    pub(crate) fn poll_readable(&self, cx: &Context<'_>) -> Poll<()> {
        let mut wire = self.wire.lock();
        if wire.is_readable(clock::now()) || wire.network.pieces < usize::MAX && wire.chance.up_to(15) == 0 {
            return Poll::Ready(());
        }
        wire.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn poll_read(&self, cx: &Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let now = clock::now();
        let mut wire = self.wire.lock();
        if wire.is_readable(now) {
            return Poll::Ready(wire.get(buffer, now));
        }
        wire.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The next bytes; none at the end.
    pub(crate) async fn read(&self) -> io::Result<Option<Bytes>> {
        let mut room = vec![0; 16 << 10];
        let mut buffer = ReadBuf::new(&mut room);
        poll_fn(|cx| self.poll_read(cx, &mut buffer)).await?;
        let read = Bytes::copy_from_slice(buffer.filled());
        Ok((!read.is_empty()).then_some(read))
    }
}

impl Drop for WireReader {
    /// What has come and was not read is answered with a reset, and so is what comes later.
    fn drop(&mut self) {
        let now = clock::now();
        let unread = {
            let mut wire = self.wire.lock();
            wire.gone[READER] = true;
            let there = wire.flight.front().is_some_and(|(at, _)| *at <= now);
            wire.wake_courier();
            // What is on its way still finds nobody here when it comes.
            let on_its_way = wire.flight.front().map(|(at, _)| *at);
            let from = if there { Some(now) } else { on_its_way };
            wire.flight.clear();
            wire.held = 0;
            wire.wake_writer();
            if wire.dark { None } else { from }
        };
        let Some(from) = unread else { return };
        let at = {
            let mut back = self.back.lock();
            if back.dark {
                return;
            }
            let at = back.arrival(from);
            back.reset[READER] = back.reset[READER].or(Some(at));
            back.wake_courier();
            at
        };
        let mut wire = self.wire.lock();
        wire.reset[WRITER] = wire.reset[WRITER].or(Some(at));
        wire.wake_courier();
    }
}
