//! How many are let in (T13, B50 and the limits of B.2), and how many wait for it.

use std::io::{ErrorKind, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use actix_sockets::proxy::ProxyProtocol;
use actix_sockets::{At, ConnectionCap, Settings};

use crate::site::{Client, Over, PATIENCE, Site, over_each, tcp};

/// So many clients, that have said nothing but what TLS has to.
fn all_come(site: &Site, clients: usize) -> Vec<Client> {
    (0..clients).map(|_| site.client()).collect()
}

/// Each is answered.
fn all_ask(clients: &mut [Client]) {
    for client in clients {
        assert_eq!(client.asks("/").hears_content(), "hello");
    }
}

#[test]
fn t13_the_accept_limit_holds() {
    let limit = 50;
    let site = Site::up(Over::Clear, move |bind| bind.workers(2).settings(Settings::new().max_connections(limit / 2)));
    let mut clients = all_come(&site, limit + 10);
    for client in &mut clients[..limit] {
        client.asks("/").hears_content();
    }
    for client in &mut clients[limit..] {
        client.asks("/");
    }
    std::thread::sleep(Duration::from_millis(200));
    let stats = site.stats();
    println!("t13: limit {limit} connections, open {} with {} more waiting", stats.open_connections, clients.len() - limit);
    assert_eq!((stats.open_connections, stats.total_requests), (limit as u64, limit as u64), "the others wait");
    // Each that goes lets one in.
    let mut waiting = clients.split_off(limit);
    for client in &mut waiting {
        drop(clients.pop());
        assert_eq!(client.hears_content(), "hello");
    }
    let stats = site.stats();
    assert_eq!((stats.max_open_connections, stats.refused_connections), (limit as u64, 0));
}

#[test]
fn t13_the_limit_per_address_holds() {
    over_each(|over| {
        let limit = 20;
        let settings = Settings::new().connections_per_address(limit);
        let site = Site::up(over, move |bind| bind.workers(2).settings(settings));
        let mut clients = all_come(&site, limit);
        all_ask(&mut clients);
        for _ in 0..5 {
            let mut stream = tcp(site.bound.address);
            assert!(matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_)), "closed at once");
        }
        let stats = site.stats();
        println!("t13: limit {limit} connections an address, open {}, refused {}", stats.open_connections, stats.refused_connections);
        assert_eq!((stats.open_connections, stats.refused_connections, stats.total_connections), (limit as u64, 5, limit as u64));
        // Somebody else is let in.
        let from: SocketAddr = "127.0.0.9:0".parse().unwrap();
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&from.into()).unwrap();
        socket.connect(&site.bound.address.into()).unwrap();
        let mut other = Client::new(over.client(TcpStream::from(socket)).unwrap());
        assert_eq!(other.asks("/").hears_content(), "hello");
        // And so is one more from here, when one has gone.
        drop(clients.pop());
        site.stats_when("one has gone", |stats| stats.open_connections == limit as u64);
        assert_eq!(site.client().asks("/").hears_content(), "hello");
    });
}

/// B.2: `max_connection_rate`.
#[test]
fn new_connections_in_a_second() {
    let site = Site::up(Over::Clear, |bind| bind.settings(Settings::new().connection_rate(20)));
    let began = Instant::now();
    let mut clients = all_come(&site, 35);
    all_ask(&mut clients);
    let took = began.elapsed();
    println!("20 connections a second: 35 of them in {took:?}");
    assert!(took >= Duration::from_millis(700), "20 at once, 15 more take 0.75 s: {took:?}");
    assert_eq!(site.stats().open_connections, 35, "nobody was turned away");
}

#[cfg(feature = "tls")]
mod places {
    //! B.2: places for answering a hello of TLS.

    use std::cell::Cell;
    use std::io::{self, Read, Write};
    use std::sync::mpsc::{Sender, channel};

    use actix_sockets::tls;
    use openssl::ssl::{HandshakeError, SslAcceptor, SslConnector, SslMethod, SslVerifyMode};

    use super::*;
    use crate::site::identity;

    /// What a client of TLS says first.
    #[derive(Debug, Default)]
    struct Said(Vec<u8>);

    impl Read for Said {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::WouldBlock.into())
        }
    }

    impl Write for Said {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn hello() -> Vec<u8> {
        let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
        connector.set_verify(SslVerifyMode::NONE);
        match connector.build().connect("localhost", Said::default()) {
            Err(HandshakeError::WouldBlock(halfway)) => halfway.get_ref().0.clone(),
            _ => panic!("nobody has answered"),
        }
    }

    /// Whoever has said its hello and been answered waits for nobody but itself.
    #[test]
    fn t12_those_who_say_a_hello_and_no_more_hold_up_nobody() {
        let (places, within) = (1, Duration::from_secs(60));
        let settings = Settings::new().max_tls_handshakes(places).tls_handshake_timeout(within);
        let site = Site::up(Over::Tls, |bind| bind.settings(settings));
        let (hello, began) = (hello(), Instant::now());
        let canned: Vec<_> = (0..20)
            .map(|_| {
                let mut stream = tcp(site.bound.address);
                stream.write_all(&hello).unwrap();
                assert!(stream.read(&mut [0; 4096]).unwrap() > 0, "it is answered");
                stream
            })
            .collect();
        let mut others = all_come(&site, 3);
        all_ask(&mut others);
        let took = began.elapsed();
        println!("t12: {places} handshake at a time, {} halfway and silent; three others were served in {took:?}", canned.len());
        assert!(took < Duration::from_secs(20), "{took:?}");
        assert_eq!(site.stats().open_connections, 23, "nobody had to go for it");
    }

    thread_local! {
        /// How often all on this arbiter have had a turn, once somebody counts it.
        static TURNS: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// An acceptor that tells when each hello is answered. It answers the first as soon as the others have had time to come.
    fn acceptor(tell: Sender<u64>) -> tls::Server {
        let (chain, key) = (identity::OURS.1.certificate.clone(), identity::OURS.1.key.clone());
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_certificate(&chain).unwrap();
        acceptor.set_private_key(&key).unwrap();
        acceptor.set_servername_callback(move |_, _| {
            let turn = TURNS.get().unwrap_or_else(|| {
                std::thread::sleep(Duration::from_millis(200));
                TURNS.set(Some(0));
                actix_rt::spawn(async {
                    while let Some(turn) = TURNS.get() {
                        TURNS.set(Some(turn + 1));
                        tokio::task::yield_now().await;
                    }
                });
                0
            });
            let _ = tell.send(turn);
            Ok(())
        });
        tls::Server::from(acceptor.build())
    }

    /// So many in one turn of the arbiter, and then the others on it have theirs.
    #[test]
    fn hellos_are_answered_so_many_at_a_time() {
        for places in [3, 256] {
            let (tell, told) = channel();
            let settings = Settings::new().max_tls_handshakes(places).tls_handshake_timeout(PATIENCE);
            let site = Site::up(Over::Clear, move |bind| bind.settings(settings).tls(acceptor(tell)));
            let hello = hello();
            let _canned: Vec<_> = (0..20)
                .map(|_| {
                    let mut stream = tcp(site.bound.address);
                    stream.write_all(&hello).unwrap();
                    stream
                })
                .collect();
            let turns: Vec<_> = (0..20).map(|_| told.recv_timeout(PATIENCE).unwrap()).collect();
            let at_once = turns.chunk_by(|one, other| one == other).map(<[_]>::len).collect::<Vec<_>>();
            println!("limit {places} at a time: of 20 hellos were answered {at_once:?}");
            let most = at_once.into_iter().max().unwrap();
            assert!(if places == 3 { most <= 3 } else { most > 3 }, "{turns:?}");
        }
    }
}

/// Before the hello, or the proxy's header: the oldest make room, and who speaks is served at once.
#[test]
fn t12_those_who_say_nothing_hold_up_nobody() {
    over_each(|over| {
        let (limit, within) = (40, Duration::from_secs(60));
        let settings = Settings::new().max_connections(limit).max_tls_handshakes(1).tls_handshake_timeout(within);
        let site = Site::up(over, move |bind| {
            match over {
                Over::Clear => bind.proxy_protocol(ProxyProtocol::required().within(within)),
                #[cfg(feature = "tls")]
                Over::Tls => bind,
            }
            .settings(settings)
        });
        let mut silent: Vec<_> = (0..3 * limit).map(|_| tcp(site.bound.address)).collect();
        let (began, others) = (Instant::now(), 3);
        for _ in 0..others {
            let mut client = site.client();
            if over == Over::Clear {
                client.says(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n");
            }
            assert_eq!(client.asks("/").hears_content(), "hello");
        }
        let took = began.elapsed();
        // The first of the others was silent for a moment, too.
        let stay = limit / 2 - 1;
        let stats = site.stats_when("the oldest are gone", |stats| stats.open_connections == stay as u64);
        println!(
            "t12: {} that say nothing, {} of them are there; three others were served in {took:?}",
            silent.len(),
            stats.open_connections
        );
        assert!(took < Duration::from_secs(10), "{took:?}");
        let stayed = silent.split_off(silent.len() - stay);
        for mut stream in silent {
            assert!(matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_)), "the oldest");
        }
        for mut stream in stayed {
            stream.set_nonblocking(true).unwrap();
            assert!(stream.read(&mut [0; 16]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "not the latest");
        }
        assert_eq!((stats.refused_connections, stats.failed_tls_handshakes), ((3 * limit - stay) as u64, 0));
    });
}

/// B50: one cap over several listeners.
#[test]
fn a_cap_that_listeners_share() {
    let cap = ConnectionCap::new(4);
    let [one, other] = [(); 2].map(|()| {
        let settings = Settings::new().cap(&cap);
        Site::up(Over::Clear, move |bind| bind.settings(settings))
    });
    let mut clients: Vec<_> = [&one, &other, &one, &other].into_iter().map(Site::client).collect();
    all_ask(&mut clients);
    assert_eq!(cap.open(), 4);
    let mut late = [one.client(), other.client()];
    for client in &mut late {
        client.asks("/");
    }
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((cap.open(), one.stats().total_connections + other.stats().total_connections), (4, 4), "both wait");
    // Whichever listener had those that leave.
    clients.drain(..2);
    late.iter_mut().for_each(|client| assert_eq!(client.hears_content(), "hello"));
    assert_eq!(one.stats().total_connections + other.stats().total_connections, 6);
    drop((clients, late));
    let until = Instant::now() + crate::site::PATIENCE;
    while cap.open() > 0 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// B1: what is set is what the socket listens with. Linux has one more wait than that; who comes then is not connected, or at a Unix socket turned away.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "how many wait at a backlog of n is each system's own affair")]
fn the_backlog_is_what_is_set() {
    for backlog in [1, 6] {
        // One is let in: the others wait where the operating system has them wait.
        let settings = Settings::new().max_connections(1).backlog(backlog);
        let limited = settings.clone();
        let site = Site::up(Over::Clear, move |bind| bind.settings(limited));
        let mut first = site.client();
        first.asks("/").hears_content();
        let at = site.bound.address;
        let within = Duration::from_millis(200);
        let mut waiting: Vec<_> = (0..backlog).map(|_| TcpStream::connect_timeout(&at, PATIENCE).unwrap()).collect();
        waiting.extend(TcpStream::connect_timeout(&at, within));
        let beyond = TcpStream::connect_timeout(&at, within);
        println!("backlog {backlog}: {} wait, and one more within {within:?}: {:?}", waiting.len(), beyond.as_ref().map(|_| ()));
        assert_eq!(waiting.len(), backlog as usize + 1);
        assert!(beyond.is_err_and(|error| error.kind() == std::io::ErrorKind::TimedOut));
        // They were only waiting.
        drop(first);
        for stream in waiting {
            assert_eq!(Client::new(Over::Clear.client(stream).unwrap()).asks("/").hears_content(), "hello");
        }

        let path = std::env::temp_dir().join(format!("backlog-{}-{backlog}", std::process::id()));
        let site = Site::at(At::unix(&path), Over::Clear, move |bind| bind.settings(settings));
        let connects = || {
            let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.connect(&socket2::SockAddr::unix(&path).unwrap()).map(|()| socket)
        };
        let mut there = vec![connects().unwrap()];
        // Until it is accepted, it is one of those that wait.
        site.stats_when("one is let in", |stats| stats.open_connections == 1);
        while let Ok(socket) = connects() {
            there.push(socket);
        }
        println!("backlog {backlog}: {} wait at the Unix socket", there.len() - 1);
        assert_eq!(there.len() - 1, backlog as usize + 1);
    }
}
