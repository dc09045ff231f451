//! Where to listen, and the sockets that do.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use super::address::Address;
use super::messages::BindError;
use super::settings::Settings;
use super::stream::Stream;

/// Where to listen: whatever is an `impl ToSocketAddrs`, a Unix socket, or a socket that listens already.
///
/// ```
/// use actix_sockets::At;
///
/// At::from("localhost:8080"); // of a name, at each of its addresses that can be had
/// At::from(std::net::SocketAddr::from(([0, 0, 0, 0], 8080)));
/// At::unix("/run/chat.sock").mode(0o660);
/// ```
pub struct At(Which);

enum Which {
    /// At each of these that can be had.
    Named(Box<dyn FnOnce() -> io::Result<Vec<SocketAddr>> + Send>),
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Path(PathBuf, Option<u32>),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

impl<T: ToSocketAddrs + Send + 'static> From<T> for At {
    fn from(address: T) -> Self {
        Self(Which::Named(Box::new(move || address.to_socket_addrs().map(Iterator::collect))))
    }
}

impl At {
    /// On a socket that listens already: made with other options than ours, or inherited (the crate `listenfd` has those that systemd hands over).
    #[must_use]
    pub fn socket(listener: std::net::TcpListener) -> Self {
        Self(Which::Tcp(listener))
    }

    /// At this path, by a Unix socket. Its file is removed when the listener ends. A file that an earlier process has left behind is replaced; not so
    /// one where somebody listens, nor one that is no socket.
    #[cfg(unix)]
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self(Which::Path(path.into(), None))
    }

    /// On a Unix socket that listens already. Its file stays where it is.
    #[cfg(unix)]
    #[must_use]
    pub fn unix_socket(listener: std::os::unix::net::UnixListener) -> Self {
        Self(Which::Unix(listener))
    }

    /// The permissions of a Unix socket's file: what the process's umask leaves, by default. They are there before anybody can connect. Without effect on
    /// others.
    #[cfg(unix)]
    #[must_use]
    pub fn mode(mut self, permissions: u32) -> Self {
        if let Which::Path(_, mode) = &mut self.0 {
            *mode = Some(permissions);
        }
        self
    }

    /// Listens at each of these addresses that can be had.
    ///
    /// # Errors
    ///
    /// None can.
    pub(crate) fn open_each(
        addresses: io::Result<impl Iterator<Item = SocketAddr>>,
        settings: &Settings,
        shared: bool,
    ) -> Result<Vec<Open>, BindError> {
        let (mut open, mut failed) = (Vec::new(), Vec::new());
        for address in addresses.map_err(BindError::Address)? {
            match listen_at(address, settings, shared).and_then(Open::tcp) {
                Ok(one) => open.push(one),
                Err(error) => failed.push((address, error)),
            }
        }
        if open.is_empty() {
            return Err(failed.pop().map_or_else(no_address, |(address, error)| BindError::Listen(address.into(), error)));
        }
        for (address, error) in failed {
            tracing::warn!(%address, %error, "nobody listens at this address of several");
        }
        Ok(open)
    }

    /// Listens: at one address at least. May block, while a name is looked up.
    pub(crate) fn open(self, settings: &Settings, shared: bool) -> Result<Vec<Open>, BindError> {
        let open = match self.0 {
            Which::Named(addresses) => return Self::open_each(addresses().map(Vec::into_iter), settings, shared),
            Which::Tcp(socket) => socket.set_nonblocking(true).and_then(|()| Open::tcp(socket)).map_err(BindError::Address),
            #[cfg(unix)]
            Which::Path(path, mode) => {
                let file = Address::Unix(Some(path.clone()));
                unix::listen_at(path, mode, settings).map_err(|error| BindError::Listen(file, error))
            }
            #[cfg(unix)]
            Which::Unix(socket) => unix::adopt(socket).map_err(BindError::Address),
        };
        Ok(vec![open?])
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Which::Named(_) => f.write_str("At(an address)"),
            Which::Tcp(socket) => write!(f, "At({socket:?})"),
            #[cfg(unix)]
            Which::Path(path, _) => write!(f, "At({})", path.display()),
            #[cfg(unix)]
            Which::Unix(socket) => write!(f, "At({socket:?})"),
        }
    }
}

fn no_address() -> BindError {
    BindError::Address(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

fn listen_at(address: SocketAddr, settings: &Settings, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket =
        if shared { shared_socket(address)? } else { Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))? };
    socket.set_reuse_address(true)?;
    if let (Some(only), true) = (settings.only_v6, address.is_ipv6()) {
        socket.set_only_v6(only)?;
    }
    settings.options.set(&socket)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog(settings))?;
    Ok(socket.into())
}

fn backlog(settings: &Settings) -> i32 {
    i32::try_from(settings.backlog).unwrap_or(i32::MAX)
}

/// One that several may listen on at the same address.
#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
fn shared_socket(address: SocketAddr) -> io::Result<Socket> {
    use socket2::SockRef;
    use tokio::net::TcpSocket;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseport(true)?;
    SockRef::from(&socket).try_clone()
}

#[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin")))))]
fn shared_socket(_: SocketAddr) -> io::Result<Socket> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no SO_REUSEPORT"))
}

/// A socket that listens, before anybody accepts from it.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) address: Address,
    socket: Std,
}

#[derive(Debug)]
enum Std {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener, std::sync::Arc<unix::Leftover>),
}

impl Open {
    fn tcp(socket: std::net::TcpListener) -> io::Result<Self> {
        Ok(Self { address: socket.local_addr()?.into(), socket: Std::Tcp(socket) })
    }

    /// As many more of it, that the operating system spreads connections over: those of TCP must have been opened as shared. A Unix socket is the same one
    /// for all.
    pub(crate) fn shards(&self, more: usize, settings: &Settings) -> Result<Vec<Self>, BindError> {
        let shard = || match &self.socket {
            Std::Tcp(socket) => listen_at(socket.local_addr()?, settings, true).and_then(Self::tcp),
            #[cfg(unix)]
            Std::Unix(socket, leftover) => {
                Ok(Self { address: self.address.clone(), socket: Std::Unix(socket.try_clone()?, leftover.clone()) })
            }
        };
        (0..more).map(|_| shard().map_err(|error| BindError::Listen(self.address.clone(), error))).collect()
    }
}

/// A listening socket, on the arbiter of those who accept from it; the listener can close it from elsewhere.
pub(crate) struct Door(Mutex<Inner>);

struct Inner {
    socket: Option<Listening>,
    waker: Option<Waker>,
}

enum Listening {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, #[expect(dead_code, reason = "removes the file")] std::sync::Arc<unix::Leftover>),
    /// Not on its arbiter yet.
    Coming(Open),
}

impl Door {
    pub(crate) fn new(open: Open) -> Self {
        Self(Mutex::new(Inner { socket: Some(Listening::Coming(open)), waker: None }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens on this arbiter.
    pub(crate) fn open(&self) -> io::Result<()> {
        let mut inner = self.lock();
        inner.socket = match inner.socket.take() {
            Some(Listening::Coming(Open { socket: Std::Tcp(socket), .. })) => Some(Listening::Tcp(TcpListener::from_std(socket)?)),
            #[cfg(unix)]
            Some(Listening::Coming(Open { socket: Std::Unix(socket, leftover), .. })) => {
                Some(Listening::Unix(UnixListener::from_std(socket)?, leftover))
            }
            other => other,
        };
        Ok(())
    }

    /// Closes, from wherever. Nobody listens any more when this returns.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        let (socket, waker) = (inner.socket.take(), inner.waker.take());
        drop(inner);
        drop(socket);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether it is open; who asks is woken when it closes.
    pub(crate) fn is_open(&self, waker: &Waker) -> bool {
        let mut inner = self.lock();
        if !inner.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            inner.waker = Some(waker.clone());
        }
        inner.socket.is_some()
    }

    /// A connection, and where it came from. Pending without an end once it is closed.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Address)>> {
        match &self.lock().socket {
            Some(Listening::Tcp(socket)) => {
                socket.poll_accept(cx).map(|accepted| accepted.map(|(stream, from)| (Stream::Tcp(stream), Address::Tcp(from))))
            }
            #[cfg(unix)]
            Some(Listening::Unix(socket, _)) => {
                socket.poll_accept(cx).map(|accepted| accepted.map(|(stream, from)| (Stream::Unix(stream), Address::of_unix(&from))))
            }
            Some(Listening::Coming(_)) | None => Poll::Pending,
        }
    }
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::io;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::{Address, Domain, Open, Settings, SockAddr, Socket, Std, Type, backlog};

    /// A Unix socket's file, to be removed if it is still the same.
    #[derive(Debug)]
    pub(super) struct Leftover(Option<(PathBuf, (u64, u64))>);

    impl Drop for Leftover {
        fn drop(&mut self) {
            if let Some((path, made)) = self.0.take()
                && identity(&path).is_ok_and(|there| there == made)
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::warn!(path = %path.display(), %error, "a socket's file cannot be removed");
            }
        }
    }

    fn identity(path: &PathBuf) -> io::Result<(u64, u64)> {
        fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
    }

    pub(super) fn listen_at(path: PathBuf, mode: Option<u32>, settings: &Settings) -> io::Result<Open> {
        let (socket, at) = (Socket::new(Domain::UNIX, Type::STREAM, None)?, SockAddr::unix(&path)?);
        socket.set_nonblocking(true)?;
        if let Err(error) = socket.bind(&at) {
            if error.kind() != io::ErrorKind::AddrInUse || !is_left_behind(&path, &at) {
                return Err(error);
            }
            fs::remove_file(&path)?;
            socket.bind(&at)?;
        }
        let leftover = Leftover(Some((path.clone(), identity(&path)?)));
        // Before it listens nobody can connect.
        if let Some(mode) = mode {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
        socket.listen(backlog(settings))?;
        Ok(Open { address: Address::Unix(Some(path)), socket: Std::Unix(socket.into(), Arc::new(leftover)) })
    }

    /// Whether this is a socket where nobody listens: whoever tries to connect is refused. That somebody is there and busy is another answer.
    fn is_left_behind(path: &PathBuf, at: &SockAddr) -> bool {
        let refused = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.connect(at)
        };
        fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
            && refused().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }

    pub(super) fn adopt(socket: UnixListener) -> io::Result<Open> {
        socket.set_nonblocking(true)?;
        let address = Address::Unix(socket.local_addr()?.as_pathname().map(ToOwned::to_owned));
        Ok(Open { address, socket: Std::Unix(socket, Arc::new(Leftover(None))) })
    }
}
