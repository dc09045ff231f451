//! What has a deadline before there is a connection, just inside it and just beyond: a TLS handshake, a handler's registration, connecting. The defaults, over real
//! sockets, on virtual time: it stands still while anything is under way, and passes only where the test has it pass.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::handshake::Target;
use actix_sockets::{
    Bind, Bound, Connect, ConnectError, Connected, Frame, GetStats, HttpRequest, HttpResponse, Received, Register, Requester, Settings,
    Sockets, UpgradeServer, WebSocketSettings, handshake, test,
};

use crate::site::{Client, HANDSHAKE as UPGRADE, Over, PATIENCE, over_each, tcp};

const HANDSHAKE: Duration = Duration::from_secs(3);
const REGISTRATION: Duration = Duration::from_secs(1);
const CONNECTING: Duration = Duration::from_secs(10);
const INCOMPLETE: Duration = Duration::from_secs(60);
const STALL: Duration = Duration::from_secs(30);
const A_BIT: Duration = Duration::from_millis(2);
/// More than the buffers of a socket and of its other end have room for.
const LARGE: usize = 12 << 20;

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
    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, ctx: &mut Self::Context) {
        match request.path() {
            "/large" => sender.do_send(HttpResponse::ok(vec![b'x'; LARGE])),
            "/chat" => sender.do_send(UpgradeServer::new(handshake::accept(&request).unwrap(), ctx)),
            _ => sender.do_send(HttpResponse::ok("hello")),
        }
    }
}

impl Handler<Received<Frame>> for Registers {
    type Result = ();
    fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Self::Context) {
        match frame.as_text() {
            Some("now") => sender.do_send(Frame::binary(vec![b'x'; LARGE])),
            _ => sender.do_send(Frame::text("heard")),
        }
    }
}

/// A listener on this thread, whose time is virtual.
async fn listens(over: Over, after: Duration) -> Bound {
    let quiet = Settings::new().websocket(WebSocketSettings::new().ping_every(None));
    let bind = over.dress(Bind::new(Registers { after }.start(), "127.0.0.1:0").settings(quiet));
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

/// A client's stream whose buffer for what comes is small: so each read makes room.
fn narrow(at: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(32 << 10).unwrap();
    socket.connect(&at.into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

/// Linux tells of room in a socket only when a third of its buffer is free: who takes a little in each half minute takes what is written all the same.
#[test]
fn t12_a_reader_that_takes_less_than_a_socket_tells_of_is_not_stalled() {
    over_each(|over| {
        for websocket in [false, true] {
            test::run(async move {
                let bound = listens(over, Duration::ZERO).await;
                let stream = narrow(bound.address);
                let mut client = told(std::thread::spawn(move || {
                    let mut client = over.client(stream).unwrap();
                    if websocket {
                        client.write_all(UPGRADE.as_bytes()).unwrap();
                        assert!(client.read(&mut [0; 1024]).unwrap() > 0);
                        // "now", masked with zeros.
                        client.write_all(b"\x81\x83\0\0\0\0now").unwrap();
                    } else {
                        client.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
                    }
                    client
                }))
                .await;
                let (mut heard, a_little, each) = (0, 64 << 10, STALL - Duration::from_secs(5));
                for _ in 0..4 {
                    let reading = std::thread::spawn(move || {
                        let mut some = vec![0; a_little];
                        client.read_exact(&mut some).unwrap();
                        client
                    });
                    client = told(reading).await;
                    heard += a_little;
                    test::pass(each).await;
                }
                println!("{over:?}, websocket: {websocket}: limit {STALL:?}: {heard} bytes of {LARGE} are taken in {:?}", 4 * each);
                // Pings and heads come with it.
                let rest = std::thread::spawn(move || client.read_exact(&mut vec![0; LARGE - heard]).map(|()| client));
                let _client = told(rest).await.expect("all of it comes");
            });
        }
    });
}

/// We are late, and more has come than one turn reads: all of it was there in time.
#[test]
fn t12_a_message_that_was_all_there_in_time_is_heard_however_late_we_are() {
    over_each(|over| {
        test::run(async move {
            let bound = listens(over, Duration::ZERO).await;
            let stream = tcp(bound.address);
            let mut client = told(std::thread::spawn(move || {
                let mut client = over.client(stream).unwrap();
                client.write_all(UPGRADE.as_bytes()).unwrap();
                assert!(client.read(&mut [0; 1024]).unwrap() > 0);
                // The beginning of a binary message.
                client.write_all(b"\x02\x80\0\0\0\0").unwrap();
                client
            }))
            .await;
            test::pass(INCOMPLETE - A_BIT).await;
            // This thread does nothing else meanwhile.
            let rest = std::thread::spawn(move || {
                let fragment = [&b"\0\xfe\x20\0\0\0\0\0"[..], &[0; 8 << 10]].concat();
                (0..100).for_each(|_| client.write_all(&fragment).unwrap());
                client.write_all(b"\x80\x80\0\0\0\0").unwrap();
                client
            });
            let mut client = rest.join().unwrap();
            tokio::time::advance(2 * A_BIT).await;
            let answer = told(std::thread::spawn(move || {
                let mut answer = [0; 7];
                client.read_exact(&mut answer).map(|()| answer)
            }))
            .await;
            println!("{over:?}: limit {INCOMPLETE:?}: 800 KiB that were there {A_BIT:?} before are read {A_BIT:?} behind it");
            assert_eq!(answer.unwrap(), *b"\x81\x05heard");
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

/// A listening socket that has no room for another: Linux leaves who comes then without an answer.
#[cfg(target_os = "linux")]
fn full() -> (socket2::Socket, SocketAddr, Vec<TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(1).unwrap();
    let at = socket.local_addr().unwrap().as_socket().unwrap();
    let waiting = std::iter::from_fn(|| TcpStream::connect_timeout(&at, Duration::from_millis(100)).ok()).take(10).collect::<Vec<_>>();
    assert!(waiting.len() < 10);
    (socket, at, waiting)
}

#[cfg(target_os = "linux")]
#[test]
fn t34_a_server_that_tcp_itself_does_not_answer_for_is_waited_for_so_long() {
    over_each(|over| {
        test::run(async move {
            let (_socket, at, _waiting) = full();
            let connect = over.dress_client(Connect::new(Asker.start(), "127.0.0.1", at.port()));
            let connecting = actix::spawn(Sockets::from_registry().send(connect));
            test::pass(CONNECTING - A_BIT).await;
            assert!(!connecting.is_finished());
            test::pass(2 * A_BIT).await;
            assert!(connecting.is_finished(), "limit {CONNECTING:?}");
            let error = connecting.await.unwrap().unwrap().unwrap_err();
            println!("{over:?}: limit {CONNECTING:?}, nobody answers: {error}");
            assert!(matches!(error, ConnectError::Timeout(..)), "{error:?}");
        });
    });
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
