//! A pipe in memory: how a websocket lives inside another server, which reads and writes for it, and how one lives in a test.

#![cfg_attr(not(any(feature = "actix-web", feature = "test")), allow(dead_code, reason = "without them there are sockets only"))]

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::ReadBuf;

/// What a pipe holds at most.
const CAPACITY: usize = 64 << 10;

/// A pipe: what is written at one end comes out at the other. It holds 64 KiB; who writes more waits.
pub(crate) fn pipe() -> (PipeWriter, PipeReader) {
    let pipe = Arc::<Mutex<Pipe>>::default();
    (PipeWriter(pipe.clone()), PipeReader(pipe))
}

#[derive(Debug, Default)]
struct Pipe {
    bytes: BytesMut,
    /// Nothing more will be written.
    ended: bool,
    /// Nobody reads any more.
    broken: bool,
    /// Who waits: to read while it is empty, or to write while it is full.
    waiting: Option<Waker>,
}

impl Pipe {
    /// Takes what there is room for.
    fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.broken || self.ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let taken = bytes.len().min(CAPACITY - self.bytes.len());
        if taken == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.bytes.extend_from_slice(&bytes[..taken]);
        self.wake();
        Ok(taken)
    }

    fn end(&mut self) {
        self.ended = true;
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.waiting = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The end that writes. Dropped, it ends the pipe: what is in it can still be read.
#[derive(Debug)]
pub(crate) struct PipeWriter(Arc<Mutex<Pipe>>);

impl PipeWriter {
    fn lock(&self) -> MutexGuard<'_, Pipe> {
        lock(&self.0)
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().put(bytes)
    }

    pub(super) fn poll_write(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut pipe = self.lock();
        match pipe.put(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => pipe.wait(cx),
            written => Poll::Ready(written),
        }
    }

    /// Nothing more will be written.
    pub(super) fn end(&self) {
        self.lock().end();
    }

    /// Writes all of it, waiting for room.
    pub(crate) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        poll_fn(|cx| {
            while !bytes.is_empty() {
                let taken = ready!(self.poll_write(cx, bytes))?;
                bytes = &bytes[taken..];
            }
            Poll::Ready(Ok(()))
        })
        .await
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.lock().end();
    }
}

/// The end that reads. Dropped, it breaks the pipe: writing fails.
#[derive(Debug)]
pub(crate) struct PipeReader(Arc<Mutex<Pipe>>);

impl PipeReader {
    /// Whether there is something to read, be it the end.
    pub(super) fn poll_readable(&self, cx: &Context<'_>) -> Poll<()> {
        let mut pipe = lock(&self.0);
        if pipe.bytes.is_empty() && !pipe.ended { pipe.wait(cx) } else { Poll::Ready(()) }
    }

    pub(super) fn poll_read(&self, cx: &Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<()> {
        ready!(self.poll_readable(cx));
        let mut pipe = lock(&self.0);
        let taken = pipe.bytes.len().min(buffer.remaining());
        buffer.put_slice(&pipe.bytes.split_to(taken));
        if pipe.bytes.is_empty() {
            pipe.bytes = BytesMut::new();
        }
        pipe.wake();
        Poll::Ready(())
    }

    /// All that there is, as one chunk; `None` at the end.
    pub(crate) fn poll_chunk(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        ready!(self.poll_readable(cx));
        let mut pipe = lock(&self.0);
        let chunk = std::mem::take(&mut pipe.bytes).freeze();
        pipe.wake();
        Poll::Ready((!chunk.is_empty()).then_some(chunk))
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut pipe = lock(&self.0);
        pipe.broken = true;
        pipe.bytes = BytesMut::new();
        pipe.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pipe: &PipeReader) -> Poll<Option<Bytes>> {
        pipe.poll_chunk(&Context::from_waker(Waker::noop()))
    }

    fn write(pipe: &PipeWriter, bytes: &[u8]) -> Poll<Result<usize, io::ErrorKind>> {
        pipe.poll_write(&Context::from_waker(Waker::noop()), bytes).map_err(|error| error.kind())
    }

    #[test]
    fn a_pipe_holds_so_much_and_no_more() {
        let (writer, reader) = pipe();
        assert!(read(&reader).is_pending());
        assert_eq!(write(&writer, &[1; 1000]), Poll::Ready(Ok(1000)));
        assert_eq!(write(&writer, &[2; CAPACITY]), Poll::Ready(Ok(CAPACITY - 1000)));
        assert!(write(&writer, b"more").is_pending());
        assert_eq!(write(&writer, b""), Poll::Ready(Ok(0)));
        assert_eq!(read(&reader), Poll::Ready(Some([vec![1; 1000], vec![2; CAPACITY - 1000]].concat().into())));
        assert_eq!(write(&writer, b"more"), Poll::Ready(Ok(4)));
    }

    #[test]
    fn what_was_written_comes_before_the_end() {
        let (writer, reader) = pipe();
        assert_eq!(write(&writer, b"last words"), Poll::Ready(Ok(10)));
        drop(writer);
        let mut room = [0; 4];
        let mut buffer = ReadBuf::new(&mut room);
        assert!(reader.poll_read(&Context::from_waker(Waker::noop()), &mut buffer).is_ready());
        assert_eq!(buffer.filled(), b"last");
        assert_eq!(read(&reader), Poll::Ready(Some(Bytes::from_static(b" words"))));
        assert_eq!(read(&reader), Poll::Ready(None));
        assert_eq!(read(&reader), Poll::Ready(None));
    }

    #[test]
    fn nobody_reads_any_more() {
        let (writer, reader) = pipe();
        drop(reader);
        assert_eq!(write(&writer, b"hello?"), Poll::Ready(Err(io::ErrorKind::BrokenPipe)));
    }

    /// From one thread to another, in pieces of all sizes.
    #[test]
    fn nothing_is_lost_or_turned_round() {
        let (writer, reader) = pipe();
        let all: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
        let wait = |future: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>| {
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(poll_fn(future));
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (writer, mut rest, mut size) = (writer, &all[..], 1);
                wait(&mut |cx| {
                    while !rest.is_empty() {
                        let taken = ready!(writer.poll_write(cx, &rest[..size.min(rest.len())])).expect("it is read");
                        (rest, size) = (&rest[taken..], size * 7 % 100_003);
                    }
                    Poll::Ready(())
                });
            });
            let mut heard = Vec::new();
            wait(&mut |cx| {
                while let Some(chunk) = ready!(reader.poll_chunk(cx)) {
                    heard.extend_from_slice(&chunk);
                }
                Poll::Ready(())
            });
            assert!(heard == all);
        });
    }
}
