//! Dials: a name becomes addresses, an address a TCP stream; or the path of a Unix socket becomes its stream.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::PathBuf;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::messages::ConnectError;
use super::settings::Settings;
use super::socket_options::SocketOptions;
use super::stream::Stream;

/// When an address has not answered for so long, the next is tried beside it (RFC 8305 §5).
const ATTEMPT: Duration = Duration::from_millis(250);

/// Whence a connection is made, and which way.
#[derive(Clone, Debug, Default)]
pub(super) struct Dial {
    pub(super) from: Option<SocketAddr>,
    #[cfg(unix)]
    pub(super) unix: Option<PathBuf>,
}

impl Dial {
    /// Who listens at the Unix socket is not who is to be reached next.
    pub(super) fn unix_is_elsewhere(&mut self) {
        #[cfg(unix)]
        {
            self.unix = None;
        }
    }

    /// The first stream that can be made: the addresses of the host are tried one after the other, the next when one has failed or is slow.
    pub(super) async fn open(&self, host: &str, port: u16, settings: &Settings) -> Result<Stream, ConnectError> {
        let name = || format!("{host}:{port}");
        #[cfg(unix)]
        if let Some(path) = &self.unix {
            let made = tokio::net::UnixStream::connect(path).await;
            return made.map(Stream::Unix).map_err(|error| ConnectError::Refused(format!("{} by unix:{}", name(), path.display()), error));
        }
        let found = lookup_host((host, port)).await.map_err(|error| ConnectError::Resolve(name(), error))?;
        // What we come from has one family.
        let found = found.filter(|address| self.from.is_none_or(|from| from.is_ipv4() == address.is_ipv4()));
        let (from, options) = (self.from, settings.options);
        let made = first_of(in_turn(found.collect()).into_iter().map(|to| dial(from, to, options))).await;
        made.map(Stream::Tcp).map_err(|error| ConnectError::Refused(name(), error))
    }
}

/// The resolver's order, but IPv6 and IPv4 in turn, so that one that leads nowhere costs one attempt only (RFC 8305 §4).
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, other): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first_is_ipv6);
    let mut turns = Vec::with_capacity(first.len() + other.len());
    let (mut first, mut other) = (first.into_iter(), other.into_iter());
    loop {
        let pair = [first.next(), other.next()];
        if pair == [None, None] {
            return turns;
        }
        turns.extend(pair.into_iter().flatten());
    }
}

/// The first of these attempts that succeeds, or the last error. Those that are not needed any more are dropped.
async fn first_of<T: 'static>(attempts: impl Iterator<Item = impl Future<Output = io::Result<T>> + 'static>) -> io::Result<T> {
    let mut attempts = attempts.fuse();
    let mut running = JoinSet::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(attempt) = attempts.next() {
            running.spawn_local(attempt);
        }
        match timeout(ATTEMPT, running.join_next()).await {
            Ok(Some(Ok(Ok(made)))) => return Ok(made),
            Ok(Some(Ok(Err(error)))) => last = error,
            Ok(Some(Err(error))) => last = io::Error::other(error),
            Ok(None) => return Err(last),
            Err(_) => {}
        }
    }
}

async fn dial(from: Option<SocketAddr>, to: SocketAddr, options: SocketOptions) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    options.set(&SockRef::from(&socket))?;
    if let Some(from) = from {
        socket.bind(from)?;
    }
    socket.connect(to).await
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use tokio::time::sleep;

    use super::*;

    /// What the operating system says of the stream: what was asked for, or more.
    #[test]
    fn what_is_set_before_the_connection_is_made() {
        actix_rt::System::new().block_on(async {
            let there = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let to = there.local_addr().expect("its address");
            let usual = dial(None, to, SocketOptions::default()).await.expect("a stream");
            assert!(!SockRef::from(&usual).keepalive().expect("an option"), "nothing is set that nobody asked for");
            let from = SocketAddr::from(([127, 0, 0, 2], 0));
            let keepalive = Some(Duration::from_secs(100));
            let chosen = SocketOptions { send_buffer: Some(9_000), receive_buffer: Some(7_000), keepalive };
            let stream = dial(Some(from), to, chosen).await.expect("a stream");
            let options = SockRef::from(&stream);
            assert_eq!(stream.local_addr().expect("an address").ip(), from.ip());
            assert!(options.keepalive().expect("an option"));
            assert_eq!(options.tcp_keepalive_time().expect("an option"), Duration::from_secs(100));
            // Linux counts its own needs, and doubles.
            assert!((9_000..=18_000).contains(&options.send_buffer_size().expect("an option")));
            assert!((7_000..=14_000).contains(&options.recv_buffer_size().expect("an option")));
        });
    }

    #[test]
    fn families_in_turn() {
        let of = |addresses: &[&str]| addresses.iter().map(|address| address.parse().expect("an address")).collect::<Vec<SocketAddr>>();
        let found = of(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        assert_eq!(in_turn(found), of(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]));
        assert_eq!(in_turn(of(&["1.1.1.1:1", "[::1]:1"])), of(&["1.1.1.1:1", "[::1]:1"]));
        assert_eq!(in_turn(of(&[])), of(&[]));
    }

    /// What becomes of addresses that answer after so many milliseconds, or refuse; and which were tried.
    fn tried(answers: &'static [(u64, bool)]) -> (io::Result<usize>, Vec<usize>) {
        actix_rt::System::new().block_on(async {
            let began = Rc::<RefCell<Vec<usize>>>::default();
            let attempts = answers.iter().enumerate().map(|(n, &(after, accepts))| {
                let began = began.clone();
                async move {
                    began.borrow_mut().push(n);
                    sleep(Duration::from_millis(after)).await;
                    if accepts { Ok(n) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
                }
            });
            let made = first_of(attempts).await;
            let began = began.take();
            (made, began)
        })
    }

    #[test]
    fn one_that_leads_nowhere_does_not_hold_up_the_next() {
        const NEVER: u64 = 1_000_000;
        assert!(matches!(tried(&[(0, true), (0, true)]), (Ok(0), began) if began == [0]));
        assert!(matches!(tried(&[(0, false), (0, true)]), (Ok(1), began) if began == [0, 1]));
        assert!(matches!(tried(&[(NEVER, true), (0, false), (0, true), (0, true)]), (Ok(2), began) if began == [0, 1, 2]));
        let (made, began) = tried(&[(0, false), (0, false)]);
        assert_eq!((made.expect_err("none accepts").kind(), began), (io::ErrorKind::ConnectionRefused, vec![0, 1]));
        assert_eq!(tried(&[]).0.expect_err("there is none").kind(), io::ErrorKind::NotFound);
    }
}
