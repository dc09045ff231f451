//! What RFC 9112 asks of those who send requests and receive responses: our client, against a scripted raw server. A row is a test: its
//! clause, the requests, the bytes that answer them, and what the client's user must hear.

use std::future::Future;
use std::net::TcpListener;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::Settings as HttpSettings;
use actix_sockets::{Connect, Connected, HttpRequest, HttpResponse, Received, Requester, Settings, Sockets};
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Uri};

use crate::peer::{Cut, PATIENCE, Peer};
use crate::transport::{Transport, over_each};

/// Where our clients live.
pub(crate) static CLIENTS: LazyLock<ArbiterHandle> = LazyLock::new(|| {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let system = System::new();
        tell.send(System::current().arbiter().clone()).unwrap();
        system.run().unwrap();
    });
    told.recv_timeout(PATIENCE).unwrap()
});

/// Gets the means to talk to a connection.
pub(crate) struct Asker(pub(crate) Sender<Requester>);

impl Actor for Asker {
    type Context = Context<Self>;
}

impl Handler<Received<Connected, Requester>> for Asker {
    type Result = ();

    fn handle(&mut self, received: Received<Connected, Requester>, _: &mut Context<Self>) {
        self.0.send(received.sender).unwrap();
    }
}

/// A client of ours, connected to a raw server.
fn connected(transport: Transport) -> (Requester, Peer, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = channel();
    CLIENTS.spawn_fn(move || {
        let settings = Settings::new().http(HttpSettings::new().user_agent(None));
        Sockets::from_registry().do_send(transport.connect(Connect::new(Asker(tell).start(), "127.0.0.1", port).settings(settings)));
    });
    let peer = Peer::accepted(listener.accept().unwrap().0, transport);
    (told.recv_timeout(PATIENCE).expect("connected"), peer, listener)
}

/// Sends a request; its answer is described as status, value of the field `x`, and content, or is the error's name.
pub(crate) fn ask(requester: &Requester, request: HttpRequest) -> Receiver<String> {
    let (tell, told) = channel();
    let answer = requester.send(request);
    spawn(async move {
        let answer = answer.await;
        let _ = tell.send(match answer {
            Ok(response) => described(&response),
            Err(error) => format!("{error:?}"),
        });
    });
    told
}

pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    assert!(CLIENTS.spawn(future));
}

pub(crate) fn described(response: &HttpResponse) -> String {
    let mut words = vec![response.status.as_str().to_owned()];
    words.extend(response.headers.get_all("x").iter().map(|value| format!("x={}", value.as_bytes().escape_ascii())));
    words.push(response.content.escape_ascii().to_string());
    words.join(" ").trim_end().to_owned()
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The next request is answered.
    GoesOn,
    /// The client closes it, and sends nothing more.
    Ends,
    /// The server closes it behind its answer.
    AfterFin,
}

use Then::{AfterFin, Ends, GoesOn};

macro_rules! rows {
    ($($(#[$attribute:meta])* $name:ident: $clause:literal, $requests:expr, $says:expr => $hears:expr, $then:expr;)*) => { $(
        #[doc = $clause]
        #[test]
        $(#[$attribute])*
        fn $name() {
            run(&$requests, ($says).as_ref(), &$hears, $then);
        }
    )* };
}

fn run(requests: &[HttpRequest], says: &[u8], hears: &[&str], then: Then) {
    for transport in Transport::ALL {
        for cut in [Cut::Whole, Cut::Bytes, Cut::Random(9112)] {
            eprintln!("── {transport:?} {cut:?}");
            let (requester, mut peer, _listener) = connected(transport);
            let answers: Vec<_> = requests.iter().map(|request| ask(&requester, request.clone())).collect();
            for request in requests {
                let head = peer.hears_up_to("\r\n\r\n");
                assert!(head.starts_with(request.method.as_str()), "{head}");
            }
            peer.says(says, cut);
            if matches!(then, AfterFin) {
                peer.finishes();
            }
            let heard: Vec<_> = answers.iter().map(|answer| answer.recv_timeout(PATIENCE).expect("an answer")).collect();
            assert_eq!(heard, hears);
            if matches!(then, GoesOn) {
                let answer = ask(&requester, get("/next"));
                peer.hears_up_to("\r\n\r\n");
                peer.says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain", cut);
                assert_eq!(answer.recv_timeout(PATIENCE).expect("an answer"), "200 again");
            } else {
                assert_eq!(ask(&requester, get("/next")).recv_timeout(PATIENCE).expect("an answer"), "NotSent");
                assert_eq!(String::from_utf8_lossy(&peer.hears_whatever()), "", "no request behind the end");
            }
        }
    }
}

pub(crate) fn get(uri: &'static str) -> HttpRequest {
    HttpRequest::new(Method::GET, Uri::from_static(uri))
}

fn with(method: Method) -> HttpRequest {
    HttpRequest::new(method, Uri::from_static("/"))
}

/// A response of 200 with this behind its status-line.
fn ok(rest: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{rest}")
}

/// The same with content in chunks.
fn chunked(rest: &str) -> String {
    ok(&format!("Transfer-Encoding: chunked\r\n\r\n{rest}"))
}

const FIVE: &str = "Content-Length: 5\r\n\r\nhello";

rows! {
    // §2, Message
    a_bare_lf: "§2.2: MAY be taken for a line's end; we do not", [get("/")], "HTTP/1.1 200 OK\n\r\n" => ["BareLineFeed"], Ends;
    space_behind_the_status_line: "§2.2: MUST be refused, or each such line ignored", [get("/")], ok(" X: 1\r\n\r\n") => ["FieldLine"], Ends;
    no_http_at_all: "§2.3: HTTP-name is HTTP", [get("/")], "ICY 200 OK\r\n\r\n" => ["StatusLine"], Ends;
    a_higher_minor_version: "RFC 9110 §2.5: is treated as ours", [get("/")], "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n" => ["200"], GoesOn;
    another_major_version: "RFC 9110 §2.5: is not understood", [get("/")], "HTTP/2.0 200 OK\r\n\r\n" => ["Version"], Ends;
    // §4, Status Line
    a_reason: "§4: SHOULD be ignored", [get("/")], "HTTP/1.1 200 Not at all\tfine \u{e9}\r\nContent-Length: 0\r\n\r\n" => ["200"], GoesOn;
    no_reason: "§4: reason-phrase is optional", [get("/")], "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n" => ["200"], GoesOn;
    no_reason_and_no_space: "§4: the space is not; some forget it", [get("/")], "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n" => ["200"], GoesOn;
    a_status_of_two_digits: "§4: status-code = 3DIGIT", [get("/")], "HTTP/1.1 20 OK\r\n\r\n" => ["StatusLine"], Ends;
    a_status_of_four_digits: "§4: the same", [get("/")], "HTTP/1.1 2000 OK\r\n\r\n" => ["StatusLine"], Ends;
    a_status_that_is_unknown: "RFC 9110 §15: is one of its class", [get("/")], "HTTP/1.1 299 Fine\r\nContent-Length: 0\r\n\r\n" => ["299"], GoesOn;
    two_spaces: "§4: a single space", [get("/")], "HTTP/1.1  200 OK\r\n\r\n" => ["StatusLine"], Ends;
    // §5, Field Syntax
    obs_fold: "§5.2: a user agent MUST replace it by SP", [get("/")], ok(&format!("X: a\r\n \t b\r\n\tc\r\n{FIVE}")) => [r"200 x=a   \t b  \tc hello"], GoesOn;
    obs_fold_of_framing: "§5.2: the same, before the value is interpreted", [get("/")], ok("Content-Length:\r\n 5\r\n\r\nhello") => ["200 hello"], GoesOn;
    obs_fold_of_two_lengths: "§5.2, §6.3: the same: no length", [get("/")], ok("Content-Length: 5\r\n 0\r\n\r\nhello") => ["ContentLength"], Ends;
    obs_fold_of_a_trailer: "§5.2: the same", [get("/")], chunked("1\r\nx\r\n0\r\nX: a\r\n b\r\n\r\n") => ["200 x"], GoesOn;
    obs_fold_before_the_first_trailer: "§5.2: nothing is there to be folded", [get("/")], chunked("1\r\nx\r\n0\r\n X: a\r\n\r\n") => ["Trailers"], Ends;
    a_nul_in_a_value: "RFC 9110 §5.5: MUST be refused or become SP", [get("/")], ok("X: a\0b\r\n\r\n") => ["FieldLine"], Ends;
    // §6, Message Body
    a_length: "§6.3: so many octets", [get("/")], ok(FIVE) => ["200 hello"], GoesOn;
    chunks: "§6.3: up to the last chunk", [get("/")], chunked("5\r\nhello\r\n0\r\n\r\n") => ["200 hello"], GoesOn;
    until_the_end: "§6.3: neither: up to the end of the connection", [get("/")], ok("\r\nhello") => ["200 hello"], AfterFin;
    head: "§6.3: MUST end with its head, whatever it says", [with(Method::HEAD)], ok("Content-Length: 5\r\n\r\n") => ["200"], GoesOn;
    head_in_chunks: "§6.3: the same", [with(Method::HEAD)], ok("Transfer-Encoding: chunked\r\n\r\n") => ["200"], GoesOn;
    no_content: "§6.3: the same with 204", [get("/")], "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n" => ["204"], GoesOn;
    not_modified: "§6.3: the same with 304", [get("/")], "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n" => ["304"], GoesOn;
    interim: "§6.3: the same with 1xx", [get("/")], format!("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n{}", ok(FIVE)) => ["200 hello"], GoesOn;
    a_coding_and_a_length: "§6.3: ought to be an error", [get("/")], ok("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n") => ["AmbiguousLength"], Ends;
    a_coding_in_1_0: "§6.1: MUST be taken as faulty, and the connection closed", [get("/")], "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" => ["TransferEncoding"], Ends;
    a_coding_that_we_never_named: "§6.1, §7.4: what TE does not name is not sent, and not understood", [get("/")], ok("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n") => ["UnknownTransferCoding"], Ends;
    a_length_that_is_none: "§6.3: MUST close and discard", [get("/")], ok("Content-Length: 0x5\r\n\r\nhello") => ["ContentLength"], Ends;
    lengths_that_differ: "§6.3: the same", [get("/")], ok("Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello") => ["ContentLength"], Ends;
    lengths_in_a_list: "§6.3: the same", [get("/")], ok("Content-Length: 5, 6\r\n\r\nhello") => ["ContentLength"], Ends;
    a_length_of_2_to_the_63: "RFC 9110 §8.6: MUST anticipate large numerals", [get("/")], ok("Content-Length: 9223372036854775808\r\n\r\n") => ["ContentLength"], Ends;
    // §7, Transfer Codings
    a_chunk_extension: "§7.1.1: MUST be ignored", [get("/")], chunked("5;a=\"b\";c\r\nhello\r\n0;d\r\n\r\n") => ["200 hello"], GoesOn;
    trailers: "§7.1.2: MAY be discarded, MUST NOT be merged", [get("/")], chunked("5\r\nhello\r\n0\r\nX: 1\r\nContent-Length: 9\r\n\r\n") => ["200 hello"], GoesOn;
    a_chunk_size_too_large: "§7.1: MUST prevent overflow", [get("/")], chunked("10000000000000005\r\nhello\r\n0\r\n\r\n") => ["ChunkSize"], Ends;
    a_chunk_ended_by_lf: "§7.1: CRLF", [get("/")], chunked("5\nhello\r\n0\r\n\r\n") => ["ChunkSize"], Ends;
    chunk_data_ended_by_lf: "§7.1: CRLF", [get("/")], chunked("5\r\nhello\n0\r\n\r\n") => ["ChunkData"], Ends;
    // §8, Handling Incomplete Messages
    nothing: "§8: no response at all", [get("/")], "" => ["Closed"], AfterFin;
    half_a_head: "§8: a head cut off is no response", [get("/")], ok("X: 1\r\n") => ["Truncated"], AfterFin;
    half_a_length: "§8: fewer octets than Content-Length: incomplete", [get("/")], ok("Content-Length: 6\r\n\r\nhello") => ["Truncated"], AfterFin;
    no_last_chunk: "§8: without the zero-sized chunk: incomplete", [get("/")], chunked("5\r\nhello\r\n") => ["Truncated"], AfterFin;
    half_the_trailers: "§8: the same", [get("/")], chunked("5\r\nhello\r\n0\r\nX: 1\r\n") => ["Truncated"], AfterFin;
    // §9, Connection Management
    pipelined: "§9.2: MUST associate them in order", [get("/1"), with(Method::HEAD), get("/3")],
        format!("{}{}{}", ok("Content-Length: 1\r\n\r\n1"), ok(FIVE).trim_end_matches("hello"), chunked("1\r\n3\r\n0\r\n\r\n")) => ["200 1", "200", "200 3"], GoesOn;
    pipelined_behind_interim_ones: "§9.2: MUST associate a final one, however many interim ones precede it", [get("/1"), get("/2")],
        format!("HTTP/1.1 102 P\r\n\r\n{0}HTTP/1.1 102 P\r\n\r\nHTTP/1.1 100 C\r\n\r\n{0}", ok(FIVE)) => ["200 hello", "200 hello"], GoesOn;
    data_behind_the_last: "§9.2: MUST NOT be taken for a response", [get("/")], format!("{}{}", ok(FIVE), ok("Content-Length: 4\r\n\r\nevil")) => ["200 hello"], Ends;
    close: "§9.6: MUST cease to send requests, and close", [get("/")], ok(&format!("Connection: close\r\n{FIVE}")) => ["200 hello"], Ends;
    close_in_a_list: "§9.6: the same", [get("/")], ok(&format!("Connection: x, Close\r\n{FIVE}")) => ["200 hello"], Ends;
    close_before_others: "§9.6: MUST NOT assume that those behind will be answered", [get("/1"), get("/2")], ok(&format!("Connection: close\r\n{FIVE}")) => ["200 hello", "Closed"], Ends;
    close_by_ourselves: "§9.6: behind its own close a client MUST NOT send requests", [get("/").with_header(header::CONNECTION, HeaderValue::from_static("close"))], ok(FIVE) => ["200 hello"], Ends;
    version_1_0: "§9.3: HTTP/1.0 does not go on", [get("/")], format!("HTTP/1.0 200 OK\r\n{FIVE}") => ["200 hello"], Ends;
    version_1_0_with_keep_alive: "§9.3: unless it says so", [get("/")], format!("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n{FIVE}") => ["200 hello"], GoesOn;
    // RFC 9110
    a_100_that_was_not_asked_for: "RFC 9110 §15.2: MUST be able to parse 1xx, asked for or not", [get("/")], format!("HTTP/1.1 100 Continue\r\n\r\n{}", ok(FIVE)) => ["200 hello"], GoesOn;
    a_101_that_was_not_asked_for: "RFC 9110 §7.8: MUST NOT switch to what was not asked for", [get("/")], "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" => ["UnexpectedSwitch"], Ends;
    interim_without_end: "RFC 9110 §15.2: a limit of our own: 16", [get("/")], "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17) => ["TooManyInterim"], Ends;
    a_head_without_end: "RFC 9110 §5.4: a limit of our own: 16 KiB", [get("/")], ok(&"X: 1\r\n".repeat(3000)) => ["HeadTooLarge"], Ends;
}

/// What the client writes.
#[test]
fn requests_are_written_as_the_clauses_say() {
    let field = |request: HttpRequest, name: HeaderName, value| request.with_header(name, HeaderValue::from_static(value));
    let host = |request| field(request, header::HOST, "h");
    for (clause, request, wire) in [
        (
            "§3.2: Host is the authority, without userinfo",
            get("http://u:p@a.example:81/x"),
            "GET /x HTTP/1.1\r\nhost: a.example:81\r\n\r\n",
        ),
        ("§3.2: MUST be sent, RFC 9110 §7.2: whom the connection leads to", get("/x"), "GET /x HTTP/1.1\r\nhost: {peer}\r\n\r\n"),
        ("§3.2.1: an empty path is a slash", get("http://a"), "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("§3.2.1: the query with the path", host(get("/x?y=z")), "GET /x?y=z HTTP/1.1\r\nhost: h\r\n\r\n"),
        (
            "§3.2.3: CONNECT sends the authority",
            HttpRequest::new(Method::CONNECT, Uri::from_static("a:80")),
            "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n",
        ),
        ("§3.2.4: the asterisk", host(HttpRequest::new(Method::OPTIONS, Uri::from_static("*"))), "OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n"),
        (
            "§6.3: a length with content",
            host(with(Method::PUT)).with_content("abc"),
            "PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc",
        ),
        (
            "RFC 9110 §8.6: and with none where it is expected",
            host(with(Method::POST)),
            "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n",
        ),
        ("RFC 9110 §8.6: and not where it is not", host(with(Method::DELETE)), "DELETE / HTTP/1.1\r\nhost: h\r\n\r\n"),
        (
            "RFC 9110 §10.1.1: MUST NOT expect 100 without content",
            field(host(with(Method::POST)), header::EXPECT, "100-continue"),
            "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            "§6.2: MUST NOT send Content-Length with Transfer-Encoding, RFC 9110 §8.6: nor a wrong one",
            field(field(host(with(Method::PUT)), header::CONTENT_LENGTH, "9"), header::TRANSFER_ENCODING, "gzip").with_content("abc"),
            "PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc",
        ),
    ] {
        over_each(|transport| {
            let (requester, mut peer, listener) = connected(transport);
            let wire = wire.replace("{peer}", &listener.local_addr().unwrap().to_string());
            let answer = ask(&requester, request.clone());
            let end = if request.content.is_empty() { "\r\n\r\n" } else { "abc" };
            assert_eq!(peer.hears_up_to(end), wire, "{clause}");
            peer.says(ok("Connection: close\r\nContent-Length: 0\r\n\r\n"), Cut::Whole);
            answer.recv_timeout(PATIENCE).expect("an answer");
            assert_eq!(String::from_utf8_lossy(&peer.hears_whatever()), "", "{clause}: nothing behind it");
        });
    }
}

/// §9.3.1: MUST NOT retry a request of its own accord, unless it knows that to be safe: no request comes again.
#[test]
fn nothing_is_retried() {
    over_each(|transport| {
        let (requester, mut peer, listener) = connected(transport);
        let answer = ask(&requester, with(Method::POST));
        peer.hears_up_to("\r\n\r\n");
        peer.finishes();
        assert_eq!(answer.recv_timeout(PATIENCE).expect("an answer"), "Closed");
        assert_eq!(peer.hears_whatever(), b"");
        listener.set_nonblocking(true).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        assert!(listener.accept().is_err(), "no other connection");
    });
}

/// §9.8: "an incomplete close": a response that only the end of the connection ends, and TLS has not said that it is the end.
#[cfg(feature = "tls")]
#[test]
fn a_response_that_tls_does_not_end_is_incomplete() {
    let (requester, mut peer, _listener) = connected(Transport::Tls);
    let answer = ask(&requester, get("/"));
    peer.hears_up_to("\r\n\r\n");
    peer.says(ok("\r\nhello"), Cut::Whole);
    // FIN without close_notify.
    drop(peer);
    assert_eq!(answer.recv_timeout(PATIENCE).expect("an answer"), "Truncated");
}

/// §7.1: content in chunks, both ways and at once, with the pieces that the wire has.
#[test]
fn chunks_both_ways() {
    over_each(|transport| {
        for cut in [Cut::Whole, Cut::Bytes, Cut::Random(71)] {
            let (requester, mut peer, _listener) = connected(transport);
            let (tell, told) = channel();
            let (request, answer) = requester.start_streaming(with(Method::POST));
            let asked = requester.clone();
            spawn(async move {
                let (head, mut body) = answer.await.unwrap();
                tell.send(head.status.to_string()).unwrap();
                let mut said = Vec::new();
                while let Some(chunk) = body.next().await {
                    said.extend_from_slice(&chunk.unwrap().data);
                }
                tell.send(String::from_utf8(said).unwrap()).unwrap();
                tell.send(format!("{:?}", body.trailers())).unwrap();
                drop(asked);
            });
            assert!(peer.hears_up_to("\r\n\r\n").contains("transfer-encoding: chunked\r\n"));
            request.do_send("question");
            peer.hears_up_to("8\r\nquestion\r\n");
            peer.says(chunked("6\r\nanswer\r\n"), cut);
            assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "200 OK");
            request.do_send("?");
            request.finish();
            peer.hears_up_to("1\r\n?\r\n0\r\n\r\n");
            peer.says("1\r\n!\r\n0\r\nX: 1\r\nContent-Length: 9\r\n\r\n", cut);
            assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "answer!");
            assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "{\"x\": \"1\"}");
            let answer = ask(&requester, get("/next"));
            peer.hears_up_to("\r\n\r\n");
            peer.says(ok(FIVE), cut);
            assert_eq!(answer.recv_timeout(PATIENCE).expect("an answer"), "200 hello");
        }
    });
}
