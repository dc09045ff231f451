//! T13: descriptors that run out, ten thousand idle connections; and what an accepted connection costs.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use actix_sockets::{Settings, http};

use crate::process::{Process, cpu, memory, report, role, told};
use crate::site::{Client, Over, Site, tcp};

/// A server that reports where it is, then what it is asked: `cpu`, `memory`, `open`, `total`.
fn serves(over: Over, dress: impl FnOnce(actix_sockets::Bind) -> actix_sockets::Bind + Send + 'static) {
    let site = Site::up(over, dress);
    cpu();
    report(site.bound.address);
    while let Some(line) = told() {
        match line.as_str() {
            "cpu" => report(cpu()),
            "memory" => report(memory()),
            "open" => report(site.stats().open_connections),
            _ => report(site.stats().total_connections),
        }
    }
}

fn patient() -> Settings {
    Settings::new().max_connections(usize::MAX).http(http::Settings::new().idle_timeout(Duration::from_secs(3600)))
}

/// The kernel makes the connections, whether anybody accepts them or not.
#[test]
fn t13_running_out_of_descriptors_does_not_spin_the_acceptor() {
    const TEST: &str = "t13::t13_running_out_of_descriptors_does_not_spin_the_acceptor";
    const DESCRIPTORS: usize = 100;
    if role().is_some() {
        return serves(Over::Clear, |bind| bind.settings(patient()));
    }
    let mut server = Process::start(TEST, "server", Some(DESCRIPTORS));
    let address: SocketAddr = server.reports().parse().unwrap();
    let mut there_before = Client::new(Box::new(tcp(address)));
    there_before.asks("/").hears_content();
    let crowd: Vec<TcpStream> = (0..200).map(|_| tcp(address)).collect();
    // It accepts what it can.
    let open = loop {
        let open = server.numbers("open")[0];
        std::thread::sleep(Duration::from_millis(300));
        if open > 50 && server.numbers("open")[0] == open {
            break open;
        }
    };
    let (before, began) = (server.numbers("cpu")[0], Instant::now());
    while began.elapsed() < Duration::from_secs(3) {
        assert_eq!(there_before.asks("/").hears_content(), "hello", "who was there goes on");
        std::thread::sleep(Duration::from_millis(100));
    }
    let used = server.numbers("cpu")[0] - before;
    println!("t13: limit {DESCRIPTORS} descriptors, {open} connections of 201; processor time in 3 s without any: {used} ms");
    assert!(open < 100, "{open}");
    assert!(used <= 300, "{used} ms of processor time while nothing could be accepted");
    // When there are descriptors again, it goes on.
    drop(crowd);
    let mut late = Client::new(Box::new(tcp(address)));
    assert_eq!(late.asks("/").hears_content(), "hello");
    let until = Instant::now() + crate::site::PATIENCE;
    while server.numbers("open")[0] > 2 {
        assert!(Instant::now() < until, "those that have gone are accepted, and found to have gone");
    }
    assert_eq!(server.numbers("total")[0], 202);
}

/// Connects so many clients, and holds them.
fn visits(address: SocketAddr, clients: usize, upgrade: bool, over: Over) {
    let held: Vec<_> = (0..clients)
        .map(|_| {
            let mut client = Client::new(over.client(tcp(address)).unwrap());
            if upgrade {
                client.upgrades();
            }
            client
        })
        .collect();
    report(held.len());
    while told().is_some() {}
}

/// Memory of idle connections, in bytes for each.
fn idle(test: &str, over: Over, clients: usize, upgrade: bool) -> u64 {
    let mut server = Process::start(test, "server", None);
    let address = server.reports();
    // What is allocated once is not counted.
    let warm = 50.min(clients / 10);
    let first = Process::start(test, &format!("clients {address} {warm} {upgrade}"), None);
    first.reports();
    let before = server.numbers("memory")[0];
    let more = Process::start(test, &format!("clients {address} {clients} {upgrade}"), None);
    assert_eq!(more.reports(), clients.to_string());
    let until = Instant::now() + crate::site::PATIENCE;
    while server.numbers("open")[0] < (warm + clients) as u64 {
        assert!(Instant::now() < until, "{} of {clients} are accepted", server.numbers("open")[0] - warm as u64);
        std::thread::sleep(Duration::from_millis(50));
    }
    let began = server.numbers("cpu")[0];
    std::thread::sleep(Duration::from_secs(1));
    let (after, used) = (server.numbers("memory")[0], server.numbers("cpu")[0] - began);
    let each = (after - before) * 1024 / clients as u64;
    let kind = if upgrade { "websockets" } else { "connections" };
    println!("t13: {clients} idle {kind}, {over:?}: {each} bytes each, processor time in 1 s: {used} ms");
    drop((first, more));
    let until = Instant::now() + 4 * crate::site::PATIENCE;
    while server.numbers("open")[0] > 0 {
        assert!(Instant::now() < until, "all go");
        std::thread::sleep(Duration::from_millis(50));
    }
    each
}

/// This process's part, if it has one.
fn takes_part(over: Over) -> bool {
    let Some(role) = role() else { return false };
    match role.split(' ').collect::<Vec<_>>()[..] {
        ["clients", address, clients, upgrade] => visits(address.parse().unwrap(), clients.parse().unwrap(), upgrade == "true", over),
        _ => {
            let websocket = actix_sockets::WebSocketSettings::new().ping_every(None);
            serves(over, move |bind| bind.settings(patient().websocket(websocket)));
        }
    }
    true
}

#[test]
fn t13_ten_thousand_idle_connections() {
    if takes_part(Over::Clear) {
        return;
    }
    let each = idle("t13::t13_ten_thousand_idle_connections", Over::Clear, 10_000, false);
    assert!(each < 8 << 10, "{each} bytes for an idle connection");
}

#[test]
fn t13_ten_thousand_idle_websockets() {
    if takes_part(Over::Clear) {
        return;
    }
    let each = idle("t13::t13_ten_thousand_idle_websockets", Over::Clear, 10_000, true);
    assert!(each < 8 << 10, "{each} bytes for an idle websocket");
}

/// Fewer, as each has a handshake to go through, one after the other.
#[cfg(feature = "tls")]
#[test]
fn t13_idle_websockets_under_tls() {
    if takes_part(Over::Tls) {
        return;
    }
    let each = idle("t13::t13_idle_websockets_under_tls", Over::Tls, 100, true);
    assert!(each < 64 << 10, "{each} bytes for an idle websocket under TLS");
}

/// What it costs to accept, by shards and by handing over: printed, as it is the machine's. `Bind::shards` says which is the default, and why.
#[test]
fn what_accepting_costs() {
    const TEST: &str = "t13::what_accepting_costs";
    const TIMES: u64 = 2000;
    match role().as_deref() {
        Some("shards") => return serves(Over::Clear, |bind| bind.workers(2).shards().settings(patient())),
        Some("hand-over") => return serves(Over::Clear, |bind| bind.workers(2).settings(patient())),
        Some("one worker") => return serves(Over::Clear, |bind| bind.settings(patient())),
        Some(other) => panic!("{other}"),
        None => {}
    }
    for way in ["one worker", "hand-over", "shards"] {
        let mut server = Process::start(TEST, way, None);
        let address: SocketAddr = server.reports().parse().unwrap();
        let before = server.numbers("cpu")[0];
        for _ in 0..TIMES {
            assert_eq!(Client::new(Box::new(tcp(address))).asks_and_hears("/").as_deref(), Some("hello"));
        }
        let used = server.numbers("cpu")[0] - before;
        println!("accepting by {way}: {} µs of processor time a connection with one request", used * 1000 / TIMES);
        assert_eq!(server.numbers("total")[0], TIMES);
    }
}
