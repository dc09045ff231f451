//! What becomes of a peer whose bytes are not read: its reset, and its end, are seen without reading them.
//!
//! A stream's own readiness says only that there are bytes. So the operating system is asked by a second descriptor of the socket, once it has not been read for a
//! while: most pauses are short. That goes for TCP and Unix sockets, under TLS as in the clear; what is no socket, and other systems than Unix, tell nothing.
//!
//! A peer can have us pause, so descriptors that are for this only are few: beyond them nobody is watched, and a peer's end is noticed when it is read again, or at
//! its deadline.

use std::fmt;
use std::io;
use std::pin::Pin;
#[cfg(unix)]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

#[cfg(unix)]
use tokio::io::{Interest, Ready};
#[cfg(unix)]
use tokio::net::{TcpStream, UnixStream};

#[cfg(unix)]
use super::stream::Source;
use super::transport::Transport;

/// How long a socket may be unread before it is watched.
const SOON: Duration = Duration::from_secs(1);

/// How many sockets of the process are watched at a time.
#[cfg(unix)]
const WATCHED: usize = 1024;
#[cfg(unix)]
static FREE: AtomicUsize = AtomicUsize::new(WATCHED);

/// One of the descriptors that there are for watching.
#[cfg(unix)]
struct Spare;

#[cfg(unix)]
impl Spare {
    /// None, if all are in use.
    fn take() -> Option<Self> {
        // It keeps a number, and nothing that others would have to see.
        FREE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(1)).ok().map(|_| Self)
    }
}

#[cfg(unix)]
impl Drop for Spare {
    fn drop(&mut self) {
        FREE.fetch_add(1, Ordering::Relaxed);
    }
}

/// What has become of the peer.
#[derive(Debug)]
pub(crate) enum Gone {
    /// It has closed its side.
    Finished,
    /// The connection is broken.
    Broken(io::Error),
}

/// Whether a socket is read, and who watches over it while it is not.
#[derive(Default)]
pub(crate) enum Watch {
    /// It is, or something else tells of its end.
    #[default]
    Off,
    /// It has not been since then.
    Unread(Instant),
    On(Pin<Box<dyn Future<Output = Gone> + Send>>),
    /// Nothing can be known.
    Blind,
}

impl Watch {
    /// The socket is read again.
    #[inline]
    pub(crate) fn rest(&mut self) {
        if !matches!(self, Self::Off) {
            self.end();
        }
    }

    #[cold]
    fn end(&mut self) {
        *self = Self::Off;
    }

    /// The socket is not read. Ready when the peer is gone; that it has closed its side is told only if `ends`.
    pub(crate) fn poll(&mut self, transport: &Transport, ends: bool, now: Instant, cx: &mut Context<'_>) -> Poll<Gone> {
        match self {
            Self::Off => *self = Self::Unread(now),
            Self::Unread(since) if now.saturating_duration_since(*since) >= SOON => {
                *self = gone(transport, ends).map_or(Self::Blind, |gone| Self::On(Box::pin(gone)));
            }
            _ => {}
        }
        match self {
            Self::On(gone) => gone.as_mut().poll(cx),
            _ => Poll::Pending,
        }
    }

    /// When to look again, if the socket is still not read.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Unread(since) => Some(*since + SOON),
            _ => None,
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Unread(_) => "Unread",
            Self::On(_) => "On",
            Self::Blind => "Blind",
        })
    }
}

#[cfg(unix)]
fn gone(transport: &Transport, ends: bool) -> Option<impl Future<Output = Gone> + Send + use<>> {
    // Whoever can write no more is gone altogether: who is only done with speaking can be answered.
    let mut interest = Interest::ERROR | Interest::WRITABLE;
    if ends {
        interest |= Interest::READABLE;
    }
    let spare = Spare::take()?;
    let socket = transport.socket()?.inspect_err(|error| tracing::debug!(%error, "a peer that is not read is not watched over")).ok()?;
    Some(async move {
        let _spare = spare;
        loop {
            // It fails where the runtime ends.
            let Ok(ready) = socket.ready(interest).await else { return std::future::pending().await };
            if ready.is_error() || ready.is_write_closed() {
                return Gone::Broken(socket.take_error().unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()));
            }
            if ready.is_read_closed() {
                return Gone::Finished;
            }
            // There is more that is not read, or room to write.
            socket.pass(Interest::WRITABLE);
            socket.pass(Interest::READABLE);
            tokio::task::yield_now().await;
        }
    })
}

#[cfg(not(unix))]
fn gone(_: &Transport, _: bool) -> Option<std::future::Pending<Gone>> {
    None
}

/// A socket by a descriptor of its own.
#[cfg(unix)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

#[cfg(unix)]
impl Source {
    /// The socket by a descriptor of its own, if it is one of ours alone.
    pub(super) fn socket(&self) -> Option<io::Result<Socket>> {
        use std::os::fd::AsFd;
        match self {
            Self::Tcp(tcp) => {
                let stream: &TcpStream = tcp.as_ref();
                let socket = stream.as_fd().try_clone_to_owned();
                Some(socket.and_then(|socket| TcpStream::from_std(socket.into())).map(Socket::Tcp))
            }
            Self::Unix(unix) => {
                let stream: &UnixStream = unix.as_ref();
                let socket = stream.as_fd().try_clone_to_owned();
                Some(socket.and_then(|socket| UnixStream::from_std(socket.into())).map(Socket::Unix))
            }
            _ => None,
        }
    }
}

#[cfg(unix)]
impl Socket {
    /// How it stands, once there is something to be told of it.
    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Self::Tcp(tcp) => tcp.ready(interest).await,
            Self::Unix(unix) => unix.ready(interest).await,
        }
    }

    /// Nothing is done about it: the next time it is told when there is more. One interest at a time, as several are none to `try_io`.
    fn pass(&self, interest: Interest) {
        let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = match self {
            Self::Tcp(tcp) => tcp.try_io(interest, nothing),
            Self::Unix(unix) => unix.try_io(interest, nothing),
        };
    }

    /// What has broken it.
    fn take_error(&self) -> Option<io::Error> {
        match self {
            Self::Tcp(tcp) => tcp.take_error(),
            Self::Unix(unix) => unix.take_error(),
        }
        .ok()
        .flatten()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_watched_and_no_more() {
        let mut taken: Vec<_> = (0..WATCHED).map_while(|_| Spare::take()).collect();
        assert_eq!((taken.len(), Spare::take().is_none()), (WATCHED, true));
        drop(taken.pop());
        assert!(Spare::take().is_some(), "one is free again");
    }
}
