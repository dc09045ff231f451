//! What has a deadline before there is a connection, just inside it and just beyond: a TLS handshake, a handler's registration, connecting. The defaults, over real
//! sockets, on virtual time: it stands still while anything is under way, and passes only where the test has it pass.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::handshake::Target;
use actix_sockets::{
    Bind, Bound, Connect, ConnectError, Connected, GetStats, HttpRequest, HttpResponse, Received, Register, Requester, Sockets, test,
};

use crate::site::{Client, Over, PATIENCE, over_each, tcp};

const HANDSHAKE: Duration = Duration::from_secs(3);
const REGISTRATION: Duration = Duration::from_secs(1);
const CONNECTING: Duration = Duration::from_secs(10);
const A_BIT: Duration = Duration::from_millis(2);

/// Does this while time stands still: nobody is idle, so it does not jump, however long the operating system takes.
async fn at_once<T>(work: impl Future<Output = T>) -> T {
    let (mut work, began) = (pin!(work), Instant::now());
    loop {
        if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
            return done;
        }
        assert!(began.elapsed() < PATIENCE, "it does not come about");
        std::thread::sleep(Duration::from_micros(200));
        tokio::task::yield_now().await;
    }
}

/// What a thread comes to, while time stands still.
async fn told<T>(thread: JoinHandle<T>) -> T {
    at_once(poll_fn(|_| if thread.is_finished() { Poll::Ready(()) } else { Poll::Pending })).await;
    thread.join().unwrap()
}

/// What a handler does about its registration.
#[derive(Clone, Copy)]
struct Registers {
    after: Duration,
}

thread_local! {
    /// A handler has heard of a connection.
    static HEARD: Cell<bool> = const { Cell::new(false) };
}

impl Actor for Registers {
    type Context = Context<Self>;
}

impl Handler<Received<Connected>> for Registers {
    type Result = ();
    fn handle(&mut self, connected: Received<Connected>, ctx: &mut Self::Context) {
        HEARD.set(true);
        let register = move |_: &mut Self, ctx: &mut Self::Context| connected.sender.do_send(Register::new(ctx.address()));
        if self.after.is_zero() {
            register(self, ctx);
        } else {
            ctx.run_later(self.after, register);
        }
    }
}

impl Handler<Received<HttpRequest>> for Registers {
    type Result = ();
    fn handle(&mut self, request: Received<HttpRequest>, _: &mut Self::Context) {
        request.sender.do_send(HttpResponse::ok("hello"));
    }
}

/// A listener on this thread, whose time is virtual.
async fn listens(over: Over, after: Duration) -> Bound {
    let bind = over.dress(Bind::new(Registers { after }.start(), "127.0.0.1:0"));
    at_once(Sockets::from_registry().send(bind)).await.unwrap().unwrap()
}

/// Waits until it has so many connections, and gives how many handshakes have failed.
async fn has(bound: &Bound, connections: u64) -> u64 {
    at_once(async {
        loop {
            let stats = bound.listener.send(GetStats::all()).await.unwrap();
            if stats.open_connections == connections {
                return stats.failed_tls_handshakes;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// What this client's stream ends with.
fn ends(mut stream: TcpStream) -> bool {
    matches!(stream.read(&mut [0; 64]), Ok(0)) || stream.read(&mut [0; 64]).is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

fn asks(over: Over, stream: TcpStream) -> String {
    Client::new(over.client(stream).unwrap()).asks("/").hears_content()
}

#[test]
fn t12_a_tls_handshake_within_its_deadline_and_beyond() {
    test::run(async {
        let bound = listens(Over::Tls, Duration::ZERO).await;
        let stream = tcp(bound.address);
        assert_eq!(has(&bound, 1).await, 0);
        test::pass(HANDSHAKE - A_BIT).await;
        assert_eq!(told(std::thread::spawn(|| asks(Over::Tls, stream))).await, "hello");
        println!("limit {HANDSHAKE:?}: a handshake that begins {A_BIT:?} before is done");
        has(&bound, 0).await;
        let stream = tcp(bound.address);
        assert_eq!(has(&bound, 1).await, 0);
        test::pass(HANDSHAKE - A_BIT).await;
        assert_eq!(has(&bound, 1).await, 0);
        test::pass(2 * A_BIT).await;
        assert_eq!(has(&bound, 0).await, 1, "it has failed");
        assert!(told(std::thread::spawn(|| ends(stream))).await, "nothing but the end");
        println!("limit {HANDSHAKE:?}: {A_BIT:?} behind it the connection has ended");
    });
}

#[test]
fn t12_a_registration_within_its_deadline_and_beyond() {
    over_each(|over| {
        test::run(async {
            for (after, in_time) in [(REGISTRATION - A_BIT, true), (REGISTRATION + A_BIT, false)] {
                let bound = listens(over, after).await;
                let stream = tcp(bound.address);
                let client = std::thread::spawn(move || {
                    let mut client = over.client(stream).unwrap();
                    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
                    let mut heard = vec![0; 1024];
                    let read = client.read(&mut heard).unwrap_or(0);
                    String::from_utf8_lossy(&heard[..read]).into_owned()
                });
                // The handler has heard of the connection once the handshake is over.
                at_once(poll_fn(|_| if HEARD.take() { Poll::Ready(()) } else { Poll::Pending })).await;
                let began = tokio::time::Instant::now();
                while !client.is_finished() && began.elapsed() < 2 * REGISTRATION {
                    test::pass(Duration::from_millis(1)).await;
                    // Whoever is told something now is given the time to hear it.
                    std::thread::sleep(Duration::from_micros(200));
                }
                let (took, heard) = (began.elapsed(), told(client).await);
                println!("{over:?}: limit {REGISTRATION:?}, registered after {after:?}: {heard:.15?} after {took:?}");
                assert_eq!(heard.starts_with("HTTP/1.1 200 "), in_time, "{heard}");
                assert!(in_time || heard.is_empty(), "{heard}");
                has(&bound, 0).await;
            }
        });
    });
}

/// Hears of its connection.
struct Asker;

impl Actor for Asker {
    type Context = Context<Self>;
}

impl Handler<Received<Connected, Requester>> for Asker {
    type Result = ();
    fn handle(&mut self, _: Received<Connected, Requester>, _: &mut Self::Context) {}
}

/// What makes connecting slow.
#[derive(Clone, Copy, Debug)]
enum Slow {
    Handshake,
    Proxy,
}

/// Connects to this, which is slow: after so long it goes on. Gives what came of it, and when.
async fn connects(slow: Slow, after: Duration) -> (Result<Connected, ConnectError>, Duration) {
    let there = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = there.local_addr().unwrap();
    let connect = match slow {
        Slow::Handshake => Over::Tls.dress_client(Connect::new(Asker.start(), "localhost", at.port())),
        Slow::Proxy => Connect::new(Asker.start(), "nowhere", 80).proxy(&Target::parse(&format!("http://{at}")).unwrap()),
    };
    let began = tokio::time::Instant::now();
    let connecting = actix::spawn(async move {
        let connected = Sockets::from_registry().send(connect).await.unwrap();
        (connected, began.elapsed())
    });
    let accepted = std::thread::spawn(move || {
        let (stream, _) = there.accept().unwrap();
        // Something was said: all that is left is to hear an answer.
        stream.peek(&mut [0]).unwrap();
        stream
    });
    let stream = told(accepted).await;
    test::pass(after).await;
    let goes_on = std::thread::spawn(move || answers(slow, stream));
    let connected = at_once(connecting).await.unwrap();
    let _ = told(goes_on).await;
    connected
}

fn answers(slow: Slow, mut stream: TcpStream) -> Option<Box<dyn crate::site::Wire>> {
    match slow {
        Slow::Handshake => Over::Tls.server(stream),
        Slow::Proxy => stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_ok().then(|| Box::new(stream) as _),
    }
}

#[test]
fn t12_connecting_within_its_deadline_and_beyond() {
    test::run(async {
        for slow in [Slow::Handshake, Slow::Proxy] {
            let (connected, took) = connects(slow, CONNECTING - A_BIT).await;
            println!("{slow:?}: limit {CONNECTING:?}, answered {A_BIT:?} before: {:?}", connected.as_ref().map(|_| took));
            connected.unwrap();
            let (connected, took) = connects(slow, CONNECTING + A_BIT).await;
            let error = connected.unwrap_err();
            println!("{slow:?}: limit {CONNECTING:?}, not answered: {error} after {took:?}");
            assert!((CONNECTING - A_BIT..=CONNECTING + A_BIT).contains(&took), "{took:?}");
        }
    });
}
