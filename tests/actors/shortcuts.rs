//! What the short ways must not lose: what is written in a handler's own turn, said within a stage, handled without a wake.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::stage::{Event, Flow, Stage};
use actix_sockets::websocket::CloseCode;
use actix_sockets::{Bind, Connected, Frame, HttpRequest, HttpResponse, Received, Register, Socket, Sockets};
use bytes::Bytes;

use crate::peer::{binary, close, text};
use crate::site::{Kind, with, with_each_handler};

/// As `drained_follows_whenever_more_than_the_soft_limit_was_unsent`, but from a frame's handler, when all before is written.
#[test]
fn drained_follows_what_one_scope_has_sent() {
    with_each_handler(|plan| {
        let site = plan
            .on_frame(|Received { message, sender }, _| {
                if message.as_text() == Some("flood") {
                    sender.do_send(Frame::binary(vec![1; 100 << 10]));
                    assert!(sender.buffered_amount() > 64 << 10);
                } else {
                    sender.do_send(message);
                }
            })
            .on_drained(|drained, _| drained.sender.do_send(Frame::text("room")))
            .up();
        let mut peer = site.peer();
        peer.says(text("hello")).hears(text("hello"));
        peer.says(text("flood")).hears(binary(vec![1; 100 << 10]));
        peer.hears(text("room"));
    });
}

/// A stage that fails at the end.
#[derive(Debug)]
struct FailsAtTheEnd;

impl Stage for FailsAtTheEnd {
    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        if let Event::Closed(_) = event {
            panic!("in Closed");
        }
        flow.up(event);
    }
}

#[test]
fn a_stage_that_panics_at_the_end() {
    for kind in [Kind::Fed, Kind::Shared] {
        with(kind, |plan| {
            let site = plan.stage(|| FailsAtTheEnd).up();
            let mut peer = site.peer();
            peer.says(text("hello")).hears(text("hello"));
            peer.says(close(1000, ""));
            peer.hears(close(1000, ""));
            peer.hears_fin();
            drop(peer);
            assert_eq!(site.closed().code, CloseCode::INTERNAL_ERROR);
        });
    }
}

/// Asks when it is dropped.
struct Asks(Vec<u8>, Socket);

impl AsRef<[u8]> for Asks {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        let _ = self.1.buffered_amount();
    }
}

#[test]
fn a_payload_that_asks_when_it_is_dropped() {
    with(Kind::Fed, |plan| {
        let site = plan
            .on_frame(|Received { message, sender }, _| {
                let data = Bytes::from_owner(Asks(message.data.to_vec(), sender.clone()));
                sender.do_send(Frame::new(message.opcode, data));
            })
            .up();
        let mut peer = site.peer();
        peer.says(text("hello")).hears(text("hello"));
        peer.says(text("again")).hears(text("again"));
    });
}

/// `send` behind `do_send`, in one turn.
#[test]
fn the_hard_limit_holds_in_a_scope() {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    with(Kind::Fed, move |plan| {
        let seen = seen.clone();
        let site = plan
            .on_frame(move |Received { message, sender }, _| {
                if message.as_text() == Some("flood") {
                    while sender.buffered_amount() < (1 << 20) {
                        sender.do_send(Frame::binary(vec![1; 32 << 10]));
                    }
                    let mut n = 0;
                    for _ in 0..64 {
                        let _sending = sender.send(Frame::binary(vec![1; 32 << 10]));
                        n += 1;
                    }
                    let _ = n;
                    seen.fetch_max(sender.buffered_amount(), Ordering::SeqCst);
                }
                sender.do_send(Frame::text("done"));
            })
            .up();
        let mut peer = site.peer();
        peer.says(text("hello")).hears(text("done"));
        peer.says(text("flood"));
        let until = Instant::now() + Duration::from_secs(5);
        while seen_is_zero(&most) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(site);
        let most = most.load(Ordering::SeqCst);
        assert!(most <= (1 << 20) + (64 << 10), "{most} bytes were unsent");
    });
}

fn seen_is_zero(seen: &AtomicUsize) -> bool {
    seen.load(Ordering::SeqCst) == 0
}

/// Handles requests in its context, on another arbiter than the connections', and ticks.
struct Ticks {
    last: Instant,
    most: Arc<AtomicU64>,
    handled: Arc<AtomicU64>,
    work: Duration,
}

impl Actor for Ticks {
    type Context = Context<Self>;
    fn started(&mut self, ctx: &mut Self::Context) {
        self.last = Instant::now();
        ctx.run_interval(Duration::from_millis(5), |ticks, _| {
            let gap = ticks.last.elapsed().as_millis() as u64;
            ticks.last = Instant::now();
            ticks.most.fetch_max(gap, Ordering::SeqCst);
        });
    }
}

impl Handler<Received<Connected>> for Ticks {
    type Result = ();
    fn handle(&mut self, connected: Received<Connected>, ctx: &mut Self::Context) {
        connected.sender.do_send(Register::new(ctx));
    }
}

impl Handler<Received<HttpRequest>> for Ticks {
    type Result = ();
    fn handle(&mut self, received: Received<HttpRequest>, _: &mut Self::Context) {
        let until = Instant::now() + self.work;
        while Instant::now() < until {}
        self.handled.fetch_add(1, Ordering::Relaxed);
        received.sender.do_send(HttpResponse::ok("hi"));
    }
}

#[test]
fn a_feeder_lets_others_have_their_turn_here() {
    ticks(0);
}

#[test]
fn a_feeder_lets_others_have_their_turn_elsewhere() {
    ticks(1);
}

/// On a machine that is busy with other things a pause may be its own: not three times in a row.
#[track_caller]
fn ticks(workers: usize) {
    let gaps: Vec<_> = (0..3).map(|_| longest_gap(workers)).take_while(|most| *most >= 300).collect();
    assert!(gaps.len() < 3, "elsewhere: {workers}: {gaps:?} ms without a tick");
}

/// The longest time in ms in which a timer of 5 ms has not rung, while its actor has all the requests that it can handle.
fn longest_gap(workers: usize) -> u64 {
    let most = Arc::new(AtomicU64::new(0));
    let handled = Arc::new(AtomicU64::new(0));
    let (seen, count) = (most.clone(), handled.clone());
    let (up, is_up) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runner = System::new();
        let address = runner.block_on(async {
            let start = move || Ticks { last: Instant::now(), most: seen, handled: count, work: Duration::from_micros(200) };
            let addr = if workers == 0 {
                start().start()
            } else {
                let arbiter = Arbiter::new();
                let addr = Ticks::start_in_arbiter(&arbiter.handle(), move |_| start());
                std::mem::forget(arbiter);
                addr
            };
            Sockets::from_registry().send(Bind::new(addr, "127.0.0.1:0").workers(1)).await.unwrap().unwrap().address
        });
        up.send((address, System::current())).unwrap();
        runner.run().unwrap();
    });
    let (address, system) = is_up.recv().unwrap();
    let stream = std::net::TcpStream::connect(address).unwrap();
    let mut reading = stream.try_clone().unwrap();
    let until = Instant::now() + Duration::from_secs(3);
    let writer = std::thread::spawn(move || {
        let mut stream = stream;
        let requests = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(256);
        while Instant::now() < until {
            if stream.write_all(&requests).is_err() {
                break;
            }
        }
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
    let mut buffer = vec![0; 1 << 16];
    while let Ok(1..) = reading.read(&mut buffer) {}
    writer.join().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    eprintln!(
        "elsewhere: {workers}, handled {}, longest gap between ticks of 5 ms: {} ms",
        handled.load(Ordering::SeqCst),
        most.load(Ordering::SeqCst)
    );
    system.stop();
    thread.join().unwrap();
    most.load(Ordering::SeqCst)
}

/// What a scope has written in part is no place for last words.
#[test]
fn an_arbiter_that_stops_says_nothing_within_a_frame() {
    let site = crate::site::Plan::new(Kind::Fed, crate::transport::Transport::Clear)
        .workers(2)
        .on_frame(|Received { message, sender }, _| {
            if message.as_text() == Some("flood") {
                // More than a turn of the arbiter's tasks, so that the websocket has none before the end; meanwhile the peer reads.
                actix::spawn(async { std::thread::sleep(Duration::from_millis(500)) });
                for _ in 0..500 {
                    actix::spawn(async {});
                }
                sender.do_send(Frame::binary(vec![1; 40 << 20]));
                Arbiter::current().stop();
            } else {
                sender.do_send(message);
            }
        })
        .up();
    let mut stream = std::net::TcpStream::connect(site.address()).unwrap();
    let head = b"GET /chat HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head).unwrap();
    let mut heard = vec![0; 4096];
    let mut n = stream.read(&mut heard).unwrap();
    // "hello", echoed: all before is written.
    stream.write_all(b"\x81\x85\0\0\0\0hello").unwrap();
    while !heard[..n].ends_with(b"hello") {
        n += stream.read(&mut heard[n..]).unwrap();
    }
    stream.write_all(b"\x81\x85\0\0\0\0flood").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    eprintln!("{} bytes, {:?}", all.len(), String::from_utf8_lossy(&all[all.len().saturating_sub(24)..]));
    assert!(all.len() > 10 && all.len() < 40 << 20);
    assert!(!all.ends_with(b"the arbiter stopped"), "a Close frame within the payload of another");
}
