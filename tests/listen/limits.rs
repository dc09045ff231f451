//! How many are let in (T13, B50 and the limits of B.2), and how many wait for it.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

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

/// B.2: handshakes of TLS in progress.
#[cfg(feature = "tls")]
#[test]
fn handshakes_in_progress() {
    let settings = Settings::new().max_tls_handshakes(3).tls_handshake_timeout(Duration::from_secs(60));
    let site = Site::up(Over::Tls, |bind| bind.settings(settings));
    let mut silent: Vec<_> = (0..3).map(|_| tcp(site.bound.address)).collect();
    site.stats_when("three are silent", |stats| stats.open_connections == 3);
    let address = site.bound.address;
    let late = std::thread::spawn(move || Client::new(Over::Tls.client(tcp(address)).unwrap()).asks("/").hears_content());
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((site.stats().open_connections, late.is_finished()), (3, false), "it waits");
    drop(silent.pop());
    assert_eq!(late.join().unwrap(), "hello");
    // Those that are through count no more.
    let mut through = all_come(&site, 5);
    all_ask(&mut through);
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
