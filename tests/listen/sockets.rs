//! Where to listen: addresses, sockets that listen already, Unix sockets, shards; and how it ends (B1, B2).

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::{Address, At, Bind, BindError, Settings, Sockets, Unbind};

use crate::site::{Client, Guest, Over, Site, over_each, tcp, wait};

#[test]
fn on_a_socket_that_listens_already() {
    over_each(|over| {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let site = Site::at(At::socket(socket), over, |bind| bind);
        assert_eq!((site.bound.address, site.bound.addresses[0].clone()), (address, Address::Tcp(address)));
        assert_eq!(site.client().asks("/").hears_content(), "hello");
    });
}

#[test]
fn at_several_addresses_or_at_none() {
    let site = Site::up(Over::Clear, |bind| bind.also("127.0.0.1:0").also("127.0.0.2:0"));
    assert_eq!(site.bound.addresses.len(), 3);
    for address in &site.bound.addresses {
        let mut client = Client::new(Box::new(tcp(address.socket_addr().unwrap())));
        assert_eq!(client.asks("/").hears_content(), "hello");
    }
    assert_eq!(site.stats().total_connections, 3, "one listener counts them all");
    let taken = site.bound.address;
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Site::tried(free, Over::Clear, move |bind| bind.also(taken)).err().unwrap();
    assert!(matches!(&error, BindError::Listen(address, _) if *address == taken), "{error}");
    assert!(TcpStream::connect(free).is_err(), "nor at the other");
}

/// B1: in use, not permitted, not ours, no address, not in time.
#[test]
fn what_went_wrong_is_told() {
    let told = |at: &'static str| Site::tried(at, Over::Clear, |bind| bind).err().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let kind = |error: BindError| std::io::Error::from(error).kind();
    assert_eq!(kind(Site::tried(address, Over::Clear, |bind| bind).err().unwrap()), std::io::ErrorKind::AddrInUse);
    assert_eq!(kind(told("192.0.2.1:80")), std::io::ErrorKind::AddrNotAvailable);
    assert!(matches!(told("nonsense"), BindError::Address(_)));
    assert!(matches!(told("host.invalid:80"), BindError::Address(_) | BindError::Timeout(_)));
    // Who is somebody else may not listen here.
    let error = Site::tried(At::unix("/proc/no.sock"), Over::Clear, |bind| bind).err().unwrap();
    assert!(
        matches!(&error, BindError::Listen(Address::Unix(_), _)) && error.to_string().starts_with("cannot listen on unix:/proc/no.sock"),
        "{error}"
    );
}

/// A name of several addresses.
struct Name(&'static [&'static str]);

impl std::net::ToSocketAddrs for Name {
    type Iter = std::vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> std::io::Result<Self::Iter> {
        Ok(self.0.iter().map(|address| address.parse().unwrap()).collect::<Vec<_>>().into_iter())
    }
}

#[test]
fn at_each_address_of_a_name_that_can_be_had() {
    // The second is nobody's (RFC 5737).
    let site = Site::tried(Name(&["127.0.0.1:0", "192.0.2.1:0", "127.0.0.2:0"]), Over::Clear, |bind| bind).unwrap();
    let ips: Vec<_> = site.bound.addresses.iter().map(|address| address.ip().unwrap().to_string()).collect();
    assert_eq!(ips, ["127.0.0.1", "127.0.0.2"]);
    for address in &site.bound.addresses {
        let mut client = Client::new(Box::new(tcp(address.socket_addr().unwrap())));
        assert_eq!(client.asks("/").hears_content(), "hello");
    }
    for nowhere in [Name(&[]), Name(&["192.0.2.1:80"])] {
        let error = Site::tried(nowhere, Over::Clear, |bind| bind.also("127.0.0.1:0")).err().unwrap();
        assert!(matches!(&error, BindError::Address(_) | BindError::Listen(..)), "{error}");
    }
}

/// An address that takes its time to be found.
struct Slow(Duration);

impl std::net::ToSocketAddrs for Slow {
    type Iter = std::vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> std::io::Result<Self::Iter> {
        std::thread::sleep(self.0);
        Ok(vec![([127, 0, 0, 1], 0).into()].into_iter())
    }
}

/// B1: the lookup blocks no arbiter, and has a deadline.
#[test]
fn a_lookup_blocks_nobody() {
    System::new().block_on(async {
        let service = Sockets::from_registry();
        let slow = actix::spawn(service.send(Bind::factory(|| Guest, Slow(Duration::from_millis(500))).workers(1)));
        service.send(Bind::factory(|| Guest, "127.0.0.1:0").workers(1)).await.unwrap().unwrap();
        assert!(!slow.is_finished(), "the other has been answered meanwhile");
        assert!(slow.await.unwrap().unwrap().is_ok());
        let within = Duration::from_millis(20);
        let late = Bind::factory(|| Guest, Slow(Duration::from_millis(300))).settings(Settings::new().bind_timeout(within));
        assert!(matches!(service.send(late).await.unwrap(), Err(BindError::Timeout(after)) if after == within));
    });
}

/// B2: each is answered, together or one after the other.
#[test]
fn unbind_twice_is_answered_twice() {
    let site = Site::up(Over::Clear, |bind| bind);
    let mut client = site.client();
    client.asks("/").hears_content();
    client.asks("/never");
    site.stats_when("it is asked", |stats| stats.open_requests == 1);
    let first = site.listener().send(Unbind::within(Duration::from_secs(20)));
    let second = site.listener().send(Unbind::within(Duration::ZERO));
    let (first, second) = wait(async {
        let first = actix_rt_join(first, second).await;
        (first.0.unwrap(), first.1.unwrap())
    });
    assert_eq!((first.cut_off(), second.cut_off()), (1, 1), "the second has no patience");
    let again = wait(site.listener().send(Unbind::default())).unwrap();
    assert_eq!(again.cut_off(), 1, "what it was is told to those that come later, too");
    assert!(TcpStream::connect(site.bound.address).is_err());
    assert_eq!(site.stats().open_connections, 0, "statistics are there, too");
}

async fn actix_rt_join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (std::pin::pin!(a), std::pin::pin!(b));
    let (mut from_a, mut from_b) = (None, None);
    std::future::poll_fn(|cx| {
        use std::task::Poll;
        if from_a.is_none()
            && let Poll::Ready(done) = a.as_mut().poll(cx)
        {
            from_a = Some(done);
        }
        if from_b.is_none()
            && let Poll::Ready(done) = b.as_mut().poll(cx)
        {
            from_b = Some(done);
        }
        match (from_a.take(), from_b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (from_a, from_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// Whoever has started it need not keep it.
#[test]
fn a_listener_whose_address_nobody_keeps_listens_on() {
    System::new().block_on(async {
        let address = Sockets::from_registry().send(Bind::factory(|| Guest, "127.0.0.1:0").workers(2)).await.unwrap().unwrap().address;
        let said = actix_rt_blocking(move || Client::new(Box::new(tcp(address))).asks("/").hears_content()).await;
        assert_eq!(said, "hello");
        Sockets::from_registry().send(actix_sockets::Shutdown::default()).await.unwrap();
        assert!(TcpStream::connect(address).is_err());
    });
}

async fn actix_rt_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[test]
fn two_listeners_of_one_service_are_two() {
    System::new().block_on(async {
        let service = Sockets::default().start();
        let one = service.send(Bind::factory(|| Guest, "127.0.0.1:0").workers(2)).await.unwrap().unwrap();
        let other = service.send(Bind::factory(|| Guest, "127.0.0.1:0").workers(2)).await.unwrap().unwrap();
        one.listener.send(Unbind::default()).await.unwrap();
        assert!(TcpStream::connect(one.address).is_err());
        let address = other.address;
        assert_eq!(actix_rt_blocking(move || Client::new(Box::new(tcp(address))).asks("/").hears_content()).await, "hello");
    });
}

/// The options of sockets are those of the connections, as they are inherited.
#[cfg(target_os = "linux")]
#[test]
fn options_are_set() {
    let v6 = Site::at("[::]:0", Over::Clear, |bind| bind.settings(Settings::new().only_v6(true)));
    let port = v6.bound.address.port();
    let mut client = Client::new(Box::new(tcp(([0, 0, 0, 0, 0, 0, 0, 1], port).into())));
    assert!(client.asks("/who").hears_content().starts_with("from [::1]:"));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "IPv6 only");
    let both = Site::at("[::]:0", Over::Clear, |bind| bind.settings(Settings::new().only_v6(false)));
    let mut client = Client::new(Box::new(tcp(([127, 0, 0, 1], both.bound.address.port()).into())));
    assert!(client.asks("/who").hears_content().starts_with("from [::ffff:127.0.0.1]:"));
    // A connection with a small buffer announces a small window, whatever is sent to it.
    let settings = Settings::new().receive_buffer(8 << 10).send_buffer(8 << 10).tcp_keepalive(Duration::from_secs(60));
    let site = Site::up(Over::Clear, move |bind| bind.settings(settings));
    assert_eq!(site.client().asks("/").hears_content(), "hello");
}

/// Every worker accepts for itself; all of it is one listener.
#[cfg(target_os = "linux")]
#[test]
fn shards() {
    over_each(|over| {
        let site = Site::up(over, |bind| bind.workers(3).shards());
        let mut threads = HashSet::new();
        let mut clients = 0;
        while threads.len() < 3 {
            assert!(clients < 1000, "the operating system spreads them over {threads:?}");
            let answer = site.client().asks("/who").hears_content();
            threads.insert(answer.split("thread ").nth(1).unwrap().split(" secure").next().unwrap().to_owned());
            clients += 1;
        }
        assert_eq!(site.stats().total_connections, clients);
        wait(site.listener().send(Unbind::default())).unwrap();
        assert!(TcpStream::connect(site.bound.address).is_err(), "all of them are closed");
    });
}

/// A socket that was not made to be shared is not.
#[test]
fn shards_of_a_socket_that_is_not_shared() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = Site::tried(At::socket(socket), Over::Clear, |bind| bind.workers(2).shards()).err().unwrap();
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::AddrInUse);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;

    use super::*;

    /// A path where nothing is.
    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("actix-sockets-{}-{name}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    fn client(path: &PathBuf) -> Client {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(crate::site::PATIENCE)).unwrap();
        Client::new(Box::new(stream))
    }

    #[test]
    fn requests_and_websockets() {
        for workers in [1, 2] {
            let at = path("chat");
            let site = Site::at(At::unix(&at).mode(0o600), Over::Clear, move |bind| bind.workers(workers));
            assert_eq!(site.bound.addresses, [Address::Unix(Some(at.clone()))]);
            assert_eq!(std::fs::metadata(&at).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(client(&at).asks("/who").hears_content().starts_with("from unix:(unnamed) "));
            client(&at).upgrades().says_text("over a file").hears_text("over a file").says_close(1000).hears_the_end();
            wait(site.listener().send(Unbind::default())).unwrap();
            assert!(!at.exists(), "its file is removed");
        }
    }

    #[test]
    fn with_tcp_and_on_every_worker() {
        let at = path("both");
        let also = at.clone();
        let site = Site::up(Over::Clear, move |bind| bind.also(At::unix(also)).workers(2).shards());
        assert_eq!(site.client().asks("/").hears_content(), "hello");
        for _ in 0..20 {
            assert_eq!(client(&at).asks("/").hears_content(), "hello");
        }
        assert_eq!(site.stats().total_connections, 21);
        wait(site.listener().send(Unbind::default())).unwrap();
        assert!(!at.exists());
    }

    #[test]
    fn a_file_that_was_left_behind_is_replaced() {
        let at = path("left");
        drop(UnixListener::bind(&at).unwrap());
        assert!(at.exists());
        let site = Site::at(At::unix(&at), Over::Clear, |bind| bind);
        assert_eq!(client(&at).asks("/").hears_content(), "hello");
        // Not so where somebody listens: us.
        let error = std::io::Error::from(Site::tried(At::unix(&at), Over::Clear, |bind| bind).err().unwrap());
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        assert_eq!(client(&at).asks("/").hears_content(), "hello", "nothing was taken away");
        drop(site);
    }

    #[test]
    fn a_file_that_is_no_socket_is_not_touched() {
        let at = path("file");
        std::fs::write(&at, "precious").unwrap();
        let error = std::io::Error::from(Site::tried(At::unix(&at), Over::Clear, |bind| bind).err().unwrap());
        assert_eq!((error.kind(), std::fs::read_to_string(&at).unwrap().as_str()), (std::io::ErrorKind::AddrInUse, "precious"));
        std::fs::remove_file(&at).unwrap();
    }

    /// Who has replaced our file keeps theirs.
    #[test]
    fn somebody_elses_file_is_not_removed() {
        let at = path("replaced");
        let site = Site::at(At::unix(&at), Over::Clear, |bind| bind);
        std::fs::remove_file(&at).unwrap();
        let theirs = UnixListener::bind(&at).unwrap();
        wait(site.listener().send(Unbind::default())).unwrap();
        assert!(at.exists());
        drop(theirs);
        std::fs::remove_file(&at).unwrap();
    }

    #[test]
    fn one_that_listens_already_keeps_its_file() {
        let at = path("inherited");
        let site = Site::at(At::unix_socket(UnixListener::bind(&at).unwrap()), Over::Clear, |bind| bind);
        assert_eq!(client(&at).asks("/").hears_content(), "hello");
        wait(site.listener().send(Unbind::default())).unwrap();
        assert!(at.exists());
        std::fs::remove_file(&at).unwrap();
    }

    #[test]
    fn a_path_that_is_too_long() {
        let error = Site::tried(At::unix("/tmp/".to_owned() + &"x".repeat(200)), Over::Clear, |bind| bind).err().unwrap();
        assert!(matches!(error, BindError::Listen(Address::Unix(_), _)), "{error}");
    }
}
