//! Ten thousand who come, and ten thousand who are told to go (T13, T32, T33). The clients live in a process of their own: this program, started
//! once more for [`clients::go`] only; so what is counted here is the server's.

#![allow(clippy::unwrap_used, reason = "a test")]
#![cfg(target_os = "linux")]

#[cfg(feature = "tls")]
#[allow(dead_code, reason = "others use more of it")]
#[path = "../tls/authority.rs"]
mod authority;
mod clients;
mod deaths;
mod site;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use actix_sockets::Unbind;

use clients::Clients;
use site::{Census, Site};

/// How many come, and how many are there.
const MANY: usize = 10_000;

/// The same under TLS, where most of the time goes into the clients' handshakes: so many, or all of them with `STORMS=full`.
fn many_under_tls(usually: usize) -> usize {
    if std::env::var("STORMS").is_ok_and(|storms| storms == "full") { MANY } else { usually }
}

/// How long they may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// What memory may grow by: noise of the allocator.
const NOISE: usize = 24 << 20;

/// Nobody else is measured meanwhile.
static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn storm(many: usize, tls: bool) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let site = Site::up(tls);
    // The pools of the arbiter fill, and the allocator's.
    Clients::storm(site.address, many / 5, tls).end();
    let before = site.settled(None);
    let began = Instant::now();
    Clients::storm(site.address, many, tls).end();
    let took = began.elapsed();
    let after = site.settled(Some(before));
    let Census { descriptors, actors, resident, threads } = after;
    println!(
        "storm, {}: {many} came and went in {took:.1?}; descriptors {} → {descriptors}, actors {} → {actors}, threads {} → {threads}, \
         resident {} KiB → {} KiB",
        if tls { "TLS" } else { "clear" },
        before.descriptors,
        before.actors,
        before.threads,
        before.resident >> 10,
        resident >> 10,
    );
    assert_eq!((descriptors, actors), (before.descriptors, before.actors));
    assert!(threads <= before.threads, "threads that have nothing to do may have ended meanwhile, none may have come");
    assert!(resident <= before.resident + NOISE, "limit {} KiB more", NOISE >> 10);
    // Nor does the listener think that anybody is there.
    let unbound = Site::wait(site.listener.send(Unbind::within(PATIENCE))).unwrap();
    let counts = [unbound.http, unbound.websockets].map(|ended| ended.closed + ended.lost + ended.cut_off);
    assert_eq!((counts, unbound.left), ([0, 0], 0), "{unbound:?}");
    site.end();
}

#[test]
fn t32_ten_thousand_come_and_go() {
    storm(MANY, false);
}

#[cfg(feature = "tls")]
#[test]
fn t32_thousands_come_and_go_under_tls() {
    storm(many_under_tls(2500), true);
}

#[test]
fn t33_ten_thousand_websockets_are_told_to_go() {
    are_told_to_go(MANY, false);
}

#[cfg(feature = "tls")]
#[test]
fn t33_websockets_under_tls_are_told_to_go() {
    are_told_to_go(many_under_tls(1000), true);
}

fn are_told_to_go(many: usize, tls: bool) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let site = Site::up(tls);
    let before = site.settled(None);
    let began = Instant::now();
    let mut clients = Clients::guests(site.address, many, tls);
    clients.hears("ready", PATIENCE);
    let came = began.elapsed();
    let full = Site::census();
    assert!(full.actors >= many, "a frame handler for each: {full:?}");
    let ended = site.listener.send(Unbind::default());
    let ended = std::thread::spawn(move || Site::wait(ended).unwrap());
    // Nobody else is let in meanwhile.
    let refused_within = Instant::now() + Duration::from_secs(5);
    while TcpStream::connect_timeout(&site.address, Duration::from_secs(1)).is_ok() {
        assert!(Instant::now() < refused_within, "it listens on");
    }
    assert!(!ended.is_finished(), "they are still being told");
    let told = clients.hears("told", PATIENCE);
    let unbound = ended.join().unwrap();
    clients.end();
    let after = site.settled(Some(before));
    println!(
        "t33, {}: {many} websockets, there in {came:.1?}, {} B each; grace 30 s, ended in {:.2?}: {}; {told}; descriptors {} → {} → {}",
        if tls { "TLS" } else { "clear" },
        full.resident.saturating_sub(before.resident) / many,
        unbound.took,
        unbound.websockets,
        before.descriptors,
        full.descriptors,
        after.descriptors,
    );
    assert_eq!((unbound.websockets.closed, unbound.cut_off(), unbound.left), (many, 0, 0), "{unbound:?}");
    assert!(unbound.took < Duration::from_secs(30) && unbound.took > Duration::from_secs(4), "{unbound:?}");
    // The listening socket is closed, too.
    assert_eq!(after.descriptors + 1, before.descriptors);
    let numbers: Vec<u64> = told.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [over, most] = numbers[..] else { panic!("{told}") };
    assert!(over >= 3000, "spread over 5 s: {told}");
    // A hundredth at a time; on a busy machine some batches are heard together.
    assert!(most <= many as u64 * 3 / 10, "in batches: {told}");
    site.end();
}
