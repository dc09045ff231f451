//! The builder: `Server`, over loopback TCP, against raw sockets.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::{
    Address, Frame, HttpClose, HttpRequest, HttpResponse, Received, Responder, Server, ServerHandle, Settings, Shutdown, Sockets,
    WebSockets,
};

#[cfg(feature = "tls")]
#[allow(dead_code, reason = "others use more of it")]
#[path = "tls/authority.rs"]
mod authority;

const PATIENCE: Duration = Duration::from_secs(10);

/// A server in a system of its own.
struct Up {
    addresses: Vec<SocketAddr>,
    handle: ServerHandle,
    system: System,
    thread: JoinHandle<()>,
}

impl Up {
    fn new(server: Server) -> Self {
        let (tell, told) = channel();
        let thread = thread::spawn(move || {
            System::new().block_on(async {
                let running = server.run();
                tell.send((running.addresses().iter().filter_map(Address::socket_addr).collect(), running.handle(), System::current()))
                    .unwrap();
                running.await;
            });
        });
        let (addresses, handle, system) = told.recv_timeout(PATIENCE).unwrap();
        Self { addresses, handle, system, thread }
    }

    fn stop(self) {
        drop(self.handle.stop());
        self.ends();
    }

    /// Whoever has stopped it.
    #[track_caller]
    fn ends(self) {
        let began = Instant::now();
        while !self.thread.is_finished() {
            assert!(began.elapsed() < PATIENCE, "the server does not end");
            thread::sleep(Duration::from_millis(5));
        }
        self.thread.join().unwrap();
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What is answered, to the end of the connection.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = connect(address);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Answers with the thread that it runs on.
fn where_it_runs(_: HttpRequest, responder: Responder) {
    responder.do_send(HttpResponse::ok(format!("{:?}", thread::current().id())));
}

struct Echo;

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Received<Frame>> for Echo {
    type Result = ();
    fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Self::Context) {
        sender.do_send(frame);
    }
}

#[test]
fn a_function_answers_at_every_address() {
    let server = Server::answering(|request, responder| responder.do_send(HttpResponse::ok(request.path().to_owned())));
    let up = Up::new(server.bind("127.0.0.1:0").unwrap().bind("127.0.0.1:0").unwrap().workers(1).without_signals());
    assert_eq!(up.addresses.len(), 2);
    for address in &up.addresses {
        let answer = get(*address, "/here");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n/here"), "{answer}");
    }
    up.stop();
}

#[test]
fn an_answer_may_come_later() {
    let server = Server::answering(|_, responder| {
        actix::spawn(async move {
            actix::clock::sleep(Duration::from_millis(20)).await;
            responder.do_send(HttpResponse::ok("late"));
        });
    });
    let up = Up::new(server.bind("127.0.0.1:0").unwrap().without_signals());
    assert!(get(up.addresses[0], "/").ends_with("late"));
    up.stop();
}

#[test]
fn a_handler_of_ones_own_and_websockets() {
    let up = Up::new(Server::websockets(WebSockets::handled_by(|| Echo).at("/echo")).bind("127.0.0.1:0").unwrap().without_signals());
    assert!(get(up.addresses[0], "/elsewhere").starts_with("HTTP/1.1 404 "));
    let mut stream = connect(up.addresses[0]);
    let asks = b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x82\0\0\0\0hi";
    stream.write_all(asks).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\x81\x02hi") {
        let mut some = [0; 512];
        let n = stream.read(&mut some).unwrap();
        assert!(n > 0, "the echo comes before the end: {}", answer.escape_ascii());
        answer.extend_from_slice(&some[..n]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    // The listener's end closes it, after its 1001.
    let handle = up.handle.clone();
    drop(handle.stop_within(Duration::from_millis(50)));
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.starts_with(&[0x88]) && rest[2..4] == 1001_u16.to_be_bytes(), "{rest:?}");
    up.ends();
}

#[test]
fn workers_are_as_many_as_asked_for_and_serve_every_address() {
    let server = Server::answering(where_it_runs).bind("127.0.0.1:0").unwrap().bind("127.0.0.1:0").unwrap().workers(3);
    let up = Up::new(server.without_signals());
    let threads = |address| (0..6).map(|_| get(address, "/").rsplit('\n').next().unwrap().to_owned()).collect::<HashSet<_>>();
    let (one, other) = (threads(up.addresses[0]), threads(up.addresses[1]));
    assert_eq!(one.len(), 3);
    assert_eq!(one, other);
    up.stop();
}

#[cfg(feature = "tls")]
#[test]
fn one_address_in_the_clear_and_one_under_tls() {
    use actix_sockets::tls::{Client, Server as TlsServer};
    use actix_sockets::{Connect, Connected, Requester, handshake::Target};
    use std::sync::mpsc::Sender;

    struct Asks(Sender<HttpResponse>);

    impl Actor for Asks {
        type Context = Context<Self>;
    }

    impl Handler<Received<Connected, Requester>> for Asks {
        type Result = ();
        fn handle(&mut self, connected: Received<Connected, Requester>, _: &mut Self::Context) {
            let request = HttpRequest::new(http::Method::GET, "/".parse().unwrap());
            let (answer, tell) = (connected.sender.send(request), self.0.clone());
            actix::spawn(async move { tell.send(answer.await.unwrap()).unwrap() });
        }
    }

    let ours = authority::Authority::new("ours");
    let tls = TlsServer::builder(ours.signs(&["localhost", "127.0.0.1"]).identity()).build().unwrap();
    let server = Server::answering(|request, responder| {
        let host = request.header("host").unwrap_or_default();
        responder.do_send(HttpResponse::ok(format!("{host} secure: {}", request.secure)));
    });
    let server = server.bind("127.0.0.1:0").unwrap().bind_tls("127.0.0.1:0", tls).unwrap();
    assert_eq!(server.addresses_with_scheme().iter().map(|(_, scheme)| *scheme).collect::<Vec<_>>(), ["http", "https"]);
    assert!(server.addresses_with_scheme().iter().map(|(address, _)| address).eq(&server.addresses()));
    let up = Up::new(server.workers(1).without_signals());
    assert!(get(up.addresses[0], "/").ends_with("secure: false"));
    let client = Client::builder().authorities(ours.trusted()).build().unwrap();
    let (tell, told) = channel();
    let port = up.addresses[1].port();
    up.system.arbiter().spawn_fn(move || {
        let target = Target::parse(&format!("https://localhost:{port}/")).unwrap();
        Sockets::from_registry().do_send(Connect::target(Asks(tell).start(), &target).tls(client));
    });
    assert_eq!(told.recv_timeout(PATIENCE).unwrap().content, format!("localhost:{port} secure: true"));
    up.stop();
}

#[test]
fn an_address_that_is_taken_is_an_error_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::answering(where_it_runs);
    let error = io::Error::from(server.bind(taken.local_addr().unwrap()).unwrap_err());
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().starts_with("cannot listen on 127.0.0.1:"), "{error}");
    assert!(Server::answering(where_it_runs).bind("no address").is_err());
}

/// As `HttpServer::bind` does: at each that can be had, and an error only where there is none.
#[test]
fn each_address_of_several_that_can_be_had() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (any, taken) = (SocketAddr::from(([127, 0, 0, 1], 0)), listener.local_addr().unwrap());
    let bind = |addresses: &[SocketAddr]| Server::answering(where_it_runs).without_signals().workers(1).bind(addresses);
    let up = Up::new(bind(&[any, taken, any]).unwrap());
    assert_eq!(up.addresses.len(), 2);
    for address in &up.addresses {
        assert!(*address != taken && get(*address, "/").starts_with("HTTP/1.1 200 OK\r\n"));
    }
    up.stop();
    let kind = |addresses: &[SocketAddr]| io::Error::from(bind(addresses).unwrap_err()).kind();
    assert_eq!((kind(&[taken, taken]), kind(&[])), (io::ErrorKind::AddrInUse, io::ErrorKind::NotFound));
}

/// A socket that was not made to be shared serves all the same, whichever setter came first.
#[test]
fn shards_of_what_listens_already_are_one_door() {
    let sharded = || Server::answering(where_it_runs).without_signals().workers(2);
    let listens = TcpListener::bind("127.0.0.1:0").unwrap();
    for server in [sharded().shards().listen(listens).unwrap(), sharded().bind("127.0.0.1:0").unwrap().shards()] {
        let up = Up::new(server);
        let threads: HashSet<_> = (0..4).map(|_| get(up.addresses[0], "/").rsplit('\n').next().unwrap().to_owned()).collect();
        assert_eq!(threads.len(), 2, "both workers, in turn: {threads:?}");
        up.stop();
    }
}

/// Whatever it listens at: a worker has room for so many.
#[test]
fn the_limits_are_those_of_all_addresses_together() {
    let settings = Settings::new().max_connections(1);
    let server = Server::answering(where_it_runs).settings(settings).bind("127.0.0.1:0").unwrap().bind("127.0.0.1:0").unwrap();
    let up = Up::new(server.workers(1).without_signals());
    let mut first = ask(up.addresses[0]);
    let mut head = [0; 15];
    first.read_exact(&mut head).unwrap();
    let mut second = ask(up.addresses[1]);
    second.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(second.read(&mut head).is_err(), "it waits in the backlog");
    drop(first);
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    second.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    drop(second);
    up.stop();
}

/// Says that it has the request, and never answers.
fn hanging() -> (Server, std::sync::mpsc::Receiver<()>) {
    let (tell, told) = channel();
    let server = Server::answering(move |_, responder| {
        tell.send(()).unwrap();
        std::mem::forget(responder);
    });
    (server.bind("127.0.0.1:0").unwrap(), told)
}

fn ask(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream
}

#[test]
fn what_does_not_end_is_cut_off_by_a_second_stop() {
    let (server, asked) = hanging();
    let up = Up::new(server.without_signals());
    let _stream = ask(up.addresses[0]);
    asked.recv_timeout(PATIENCE).unwrap();
    drop(up.handle.stop());
    thread::sleep(Duration::from_millis(50));
    assert!(!up.thread.is_finished(), "a request is in hand");
    drop(up.handle.stop_within(Duration::ZERO));
    up.ends();
}

/// Whoever stops it from elsewhere hears how its connections have ended, though its own thread ends at the same time.
#[test]
fn it_tells_another_thread_how_its_connections_have_ended() {
    for _ in 0..10 {
        let server = Server::answering(|_, responder| responder.do_send(HttpResponse::ok("")));
        let up = Up::new(server.bind("127.0.0.1:0").unwrap().workers(1).without_signals());
        let _idle = connect(up.addresses[0]);
        let began = Instant::now();
        let report = System::new().block_on(async {
            while up.handle.stats().await.open_connections == 0 {
                assert!(began.elapsed() < PATIENCE);
                actix::clock::sleep(Duration::from_millis(1)).await;
            }
            up.handle.stop_within(Duration::ZERO).await
        });
        assert_eq!(report.http.closed + report.http.cut_off, 1, "{report:?}");
        up.ends();
    }
}

/// All its listeners together, whenever it is asked.
#[test]
fn it_tells_how_its_connections_have_ended() {
    System::new().block_on(async {
        let (server, asked) = hanging();
        let running = server.bind("127.0.0.1:0").unwrap().workers(1).without_signals().run();
        let addresses: Vec<_> = running.addresses().iter().filter_map(Address::socket_addr).collect();
        let _hanging = addresses.iter().map(|address| ask(*address)).collect::<Vec<_>>();
        let _idle = connect(addresses[0]);
        let began = Instant::now();
        let mut in_hand = 0;
        while in_hand < 2 || running.handle().stats().await.open_connections < 3 {
            assert!(began.elapsed() < PATIENCE);
            actix::clock::sleep(Duration::from_millis(5)).await;
            in_hand += asked.try_iter().count();
        }
        let handle = running.handle();
        let report = handle.stop_within(Duration::from_millis(50)).await;
        assert_eq!((report.http.cut_off, report.http.lost, report.websockets.closed, report.cut.len()), (2, 0, 0, 2), "{report:?}");
        assert_eq!((report.http.closed, report.left, report.cut_off()), (1, 0, 2), "{report:?}");
        running.await;
        assert_eq!(handle.stop().await, report, "asked again");
    });
}

/// RFC 9112 §8: a response to HTTP/1.0 that has no length is complete with the connection's end. So what cuts it says no FIN, whatever it is.
#[test]
fn a_response_that_only_the_end_would_end_is_cut_with_a_reset() {
    let server = Server::answering(|request, responder| {
        let connection = responder.connection();
        let stream = responder.start(HttpResponse::ok("begun"));
        match request.path() {
            "/whole" => return stream.finish(),
            "/dropped" => return,
            "/closed" => connection.do_send(HttpClose::Close),
            "/too-much" => {
                return drop(actix::spawn(async move {
                    stream.ready().await.unwrap();
                    (0..32).for_each(|_| stream.do_send(vec![b'x'; 64 << 10]));
                    std::mem::forget(stream);
                }));
            }
            _ => {}
        }
        std::mem::forget(stream);
    });
    let up = Up::new(server.bind("127.0.0.1:0").unwrap().without_signals());
    let ask = |path: &str| {
        let mut stream = connect(up.addresses[0]);
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        stream
    };
    let ends = |mut stream: TcpStream| stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
    let length = ends(ask("/whole")).unwrap();
    for path in ["/dropped", "/closed", "/too-much"] {
        assert_eq!(ends(ask(path)), Err(io::ErrorKind::ConnectionReset), "{path}");
    }
    let (began, mut stats) = (Instant::now(), None);
    while stats.is_none_or(|stats: actix_sockets::Stats| stats.open_connections > 0) {
        assert!(began.elapsed() < PATIENCE);
        stats = Some(System::new().block_on(up.handle.stats()));
    }
    assert!(stats.unwrap().bytes_sent >= 2 * length as u64, "what was sent before a reset counts: {stats:?}");
    let mut stopped = ask("/stopped");
    let mut head = [0; 16];
    stopped.read_exact(&mut head).unwrap();
    drop(up.handle.stop_within(Duration::ZERO));
    assert_eq!(ends(stopped), Err(io::ErrorKind::ConnectionReset), "at the end of the grace");
    up.ends();
}

#[test]
fn the_shutdown_of_sockets_ends_it_too() {
    let up = Up::new(Server::answering(where_it_runs).bind("127.0.0.1:0").unwrap().without_signals());
    up.system.arbiter().spawn_fn(|| Sockets::from_registry().do_send(Shutdown::default()));
    up.ends();
}

/// The only one here that heeds signals, as they are the whole process's.
#[cfg(unix)]
#[test]
fn the_first_signal_stops_it_and_the_second_cuts_it_off() {
    let (server, asked) = hanging();
    let up = Up::new(server);
    let _stream = ask(up.addresses[0]);
    asked.recv_timeout(PATIENCE).unwrap();
    let signal = |name: &str| {
        let sent = std::process::Command::new("sh").args(["-c", &format!("kill -{name} {}", std::process::id())]).status();
        assert!(sent.unwrap().success());
    };
    signal("TERM");
    let began = Instant::now();
    while TcpStream::connect(up.addresses[0]).is_ok() {
        assert!(began.elapsed() < PATIENCE, "it listens on");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(!up.thread.is_finished(), "a request is in hand");
    signal("INT");
    up.ends();
}
