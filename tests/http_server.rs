//! The server's side of HTTP/1.1 as transcripts. Each input is fed whole, byte by byte and in random cuts, and must tell the same.

use std::time::{Duration, Instant, SystemTime};

use actix_sockets::http::{
    Closing, Event, HttpDate, HttpRequest, HttpResponse, RequestNumber, RespondError, Server, Settings, SwitchError, UriParsing,
};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri, Version};

/// xorshift64*: cuts need no better chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n
    }
}

/// One connection on virtual time.
struct Peer {
    server: Server,
    now: Instant,
    date: HttpDate,
}

impl Peer {
    fn new(settings: Settings) -> Self {
        let now = Instant::now();
        let date = HttpDate::from(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777));
        Self { server: Server::new(settings, now).with_date(&date, now), now, date }
    }

    fn says(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.server.receive(BytesMut::from(bytes.as_ref()), self.now);
        self
    }

    /// What is to be written, taken as written.
    fn hears(&mut self) -> String {
        let bytes = self.server.output().take(usize::MAX >> 1);
        self.server.wrote(self.now);
        String::from_utf8(bytes).expect("responses of these tests are text")
    }

    fn request(&mut self) -> (RequestNumber, HttpRequest) {
        match self.server.poll_event() {
            Some(Event::Request { number, request }) => (number, request),
            other => panic!("{other:?} in place of a request"),
        }
    }

    fn answers(&mut self, number: RequestNumber, response: HttpResponse) -> Result<(), RespondError> {
        self.server.respond(number, response, &self.date, self.now)
    }

    fn later(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.server.handle_timeout(self.now, &self.date);
        self
    }

    /// What happened, with each request answered by its own description.
    fn events(&mut self, said: &mut Vec<String>) {
        while let Some(event) = self.server.poll_event() {
            match event {
                Event::Request { number, request } => {
                    let content = String::from_utf8_lossy(&request.content).into_owned();
                    said.push(format!("{} {} {content}", request.method, request.uri));
                    self.answers(number, HttpResponse::ok(format!("{number}"))).expect("the request is in hand");
                }
                Event::TimedOut { number, .. } => said.push(format!("timed out {number}")),
                Event::Failed(error) => said.push(format!("{}", error.status().as_u16())),
                _ => unreachable!("no other event"),
            }
        }
    }
}

/// The events of `input`, the same in all cuts, and the output.
fn told(settings: &Settings, input: impl AsRef<[u8]>) -> (Vec<String>, String) {
    let input = input.as_ref();
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    let mut first = None;
    for round in 0..12 {
        let mut peer = Peer::new(settings.clone());
        let (mut said, mut heard, mut rest) = (Vec::new(), String::new(), input);
        while !rest.is_empty() {
            let n = match round {
                0 => rest.len(),
                1 => 1,
                _ => 1 + chance.below(rest.len().min(1 + round * 10)),
            };
            let (piece, after) = rest.split_at(n);
            peer.says(piece).events(&mut said);
            heard += &peer.hears();
            rest = after;
        }
        peer.events(&mut said);
        said.push(format!("{:?}", peer.server.closing()));
        match &first {
            None => first = Some((said, heard)),
            Some(first) => assert_eq!(*first, (said, heard), "cut {round} of {:?}", String::from_utf8_lossy(input)),
        }
    }
    first.expect("there were rounds")
}

/// That `input` is answered with `status` alone, the connection closes, and what follows is never parsed.
#[track_caller]
fn refused(status: u16, input: impl AsRef<[u8]>) {
    refused_with(&Settings::new(), status, input);
}

#[track_caller]
fn refused_with(settings: &Settings, status: u16, input: impl AsRef<[u8]>) {
    let mut all = input.as_ref().to_vec();
    all.extend_from_slice(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    let (said, heard) = told(settings, &all);
    assert_eq!(said, [status.to_string(), "AfterFlush".to_owned()], "{:?}", String::from_utf8_lossy(input.as_ref()));
    assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")) && heard.contains("\r\nconnection: close\r\n"), "{heard}");
    assert!(heard.contains("\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), "{heard}");
}

#[track_caller]
fn accepted(input: impl AsRef<[u8]>, requests: &[&str]) {
    let (mut said, _) = told(&Settings::new(), input);
    said.retain(|line| line != "Open");
    assert_eq!(said, requests);
}

const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\n";

#[test]
fn a_request_is_answered_and_the_connection_goes_on() {
    let (said, heard) =
        told(&Settings::new(), "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\nPOST /c HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc");
    assert_eq!(said, ["GET /a?b ", "POST /c abc", "Open"]);
    let version = env!("CARGO_PKG_VERSION");
    let one = |n| {
        format!("HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\nserver: actix-sockets/{version}\r\ncontent-length: 1\r\n\r\n{n}")
    };
    assert_eq!(heard, one(0) + &one(1));
}

/// "The server … MUST respond with the 400 … status code and then close the connection" (RFC 9112 §6.3).
#[test]
fn t01_content_length_is_one_number() {
    for value in [
        "+5",
        "-0",
        "-1",
        "0x5",
        "1_0",
        "5 5",
        "5,5",
        "5, 5",
        "5,6",
        "",
        "five",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999",
        "5;",
        "5.0",
    ] {
        refused(400, format!("{HEAD}Content-Length: {value}\r\n\r\nhello"));
    }
    for second in ["5", "6", "0"] {
        refused(400, format!("{HEAD}Content-Length: 5\r\nContent-Length: {second}\r\n\r\nhello"));
    }
    refused(400, format!("{HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
    refused(400, format!("{HEAD}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"));
    refused(413, format!("{HEAD}Content-Length: 9223372036854775807\r\n\r\nhello"));
    accepted(format!("{HEAD}Content-Length: \t 05 \r\n\r\nhello"), &["POST / hello"]);
}

/// "If a Transfer-Encoding header field is present in a request and the chunked transfer coding is not the final encoding … the
/// server MUST respond with the 400" (RFC 9112 §6.3); unknown ones "SHOULD respond with 501" (§6.1).
#[test]
fn t02_transfer_encoding_is_chunked_or_nothing() {
    for value in [
        "identity",
        "xchunked",
        "chunked, chunked",
        "chunked, gzip",
        "gzip",
        ",chunked",
        "chunked,",
        "",
        "\x0bchunked",
        "\x0cchunked",
        "chunked\0",
        "identity, chunked",
        "chunked;q=1",
        "\"chunked\"",
        "chunked gzip",
        "chunk\u{e9}d",
    ] {
        refused(400, format!("{HEAD}Transfer-Encoding: {value}\r\n\r\n0\r\n\r\n"));
    }
    for lines in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding : chunked",
        " Transfer-Encoding: chunked",
        "X: y\r\n\tTransfer-Encoding: chunked",
    ] {
        refused(400, format!("{HEAD}{lines}\r\n\r\n0\r\n\r\n"));
    }
    refused(400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    refused(501, format!("{HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"));
    accepted(format!("{HEAD}Transfer-Encoding:\t Chunked \r\n\r\n3\r\nabc\r\n0\r\n\r\n"), &["POST / abc"]);
}

/// RFC 9112 §7.1: `chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF`.
#[test]
fn t03_chunks_are_exact() {
    let chunked = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n");
    for content in [
        "-1\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "1_0\r\n",
        " 3\r\nabc\r\n",
        "00000000000000003\r\nabc\r\n0\r\n\r\n",
        "\r\n",
        ";a\r\n",
        "g\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc\r0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\rabc",
        "3 \r\nabc\r\n",
        "3;a\nabc\r\n",
        "3;\r\nabc\r\n",
        "3;a=\r\nabc",
        "3;a\x01\r\nabc",
        "3;a=\"b\r\nabc",
        "3;a=\"\x7f\"\r\nabc",
        "3 a\r\nabc",
        "3;a\rb\r\nabc",
        "3;a;;b\r\nabc",
    ] {
        refused(400, format!("{chunked}{content}"));
    }
    refused(413, format!("{chunked}ffffffffffffffff\r\n"));
    accepted(
        format!("{chunked}0000000000000003\r\nabc\r\n2;a;b=c ; d = \"e\\\"; f\"\r\nde\r\nA\r\n0123456789\r\n0;last\r\n\r\n"),
        &["POST / abcde0123456789"],
    );
    let extension = |n: usize| format!("{chunked}1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(n - 1));
    accepted(extension(256), &["POST / x"]);
    refused(400, extension(257));
}

/// "A recipient … MUST NOT merge a received trailer field … unless …" (RFC 9110 §6.5.1): none is merged.
#[test]
fn t04_trailers_are_checked_and_dropped() {
    let chunked = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n");
    let mut peer = Peer::new(Settings::new());
    peer.says(format!(
        "{chunked}Host: evil\r\nContent-Length: 7\r\nAuthorization: me\r\nX-Sum: 1\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
    ));
    let (number, request) = peer.request();
    assert_eq!((request.content.as_ref(), request.header("host"), request.headers.len()), (&b"x"[..], Some("a"), 2));
    peer.answers(number, HttpResponse::ok("")).expect("in hand");
    assert_eq!(peer.request().1.path(), "/2");

    for section in ["a\r\n\r\n", "a : b\r\n\r\n", "a: b\n\r\n", " a: b\r\n\r\n", "a: b\0\r\n\r\n", "a: b\r\n c\r\n\r\n"] {
        refused(400, format!("{chunked}{section}"));
    }
    accepted(format!("{chunked}{}\r\n", "a: b\r\n".repeat(32)), &["POST / x"]);
    refused(400, format!("{chunked}{}\r\n", "a: b\r\n".repeat(33)));
    let of = |n: usize| format!("{chunked}a: {}\r\n\r\n", "b".repeat(n - 5));
    accepted(of(8 << 10), &["POST / x"]);
    refused(400, of((8 << 10) + 1));
}

/// "A server MUST respond with a 400 … to any HTTP/1.1 request message that lacks a Host header field and to any request message that
/// contains more than one Host header field line or a Host header field with an invalid field value" (RFC 9112 §3.2).
#[test]
fn t05_host_is_one_and_right() {
    refused(400, "GET / HTTP/1.1\r\n\r\n");
    for host in ["", "a, b", "a,b", "a b", "a@b", "a:b", "a/b", "[::1", "a?b", "\u{e9}", "a:80:80", ":80"] {
        refused(400, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }
    refused(400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
    refused(400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n");
    for host in ["b", "a:81", "", "a:443"] {
        refused(400, format!("GET http://a/ HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    }
    for host in ["a", "A:80", "a:80"] {
        accepted(format!("GET http://a/x HTTP/1.1\r\nHost: {host}\r\n\r\n"), &["GET http://a/x "]);
    }
    for host in ["a", "a.b-c.d:8080", "[::1]", "[::1]:80", "a_b", "127.0.0.1:1", "a:"] {
        accepted(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), &["GET / "]);
    }
    accepted("GET / HTTP/1.0\r\n\r\n", &["GET / ", "AfterFlush"]);
}

/// RFC 9110 §7.1, RFC 9112 §3.3: which URI is asked for, in all four forms of the target.
#[test]
fn b24_the_effective_uri() {
    for (line, host, secure, uri) in [
        ("GET /a?b=c HTTP/1.1", "Host: a.example:8080", false, Some("http://a.example:8080/a?b=c")),
        ("GET /a HTTP/1.1", "Host: a.example:443", true, Some("https://a.example:443/a")),
        ("GET //a?b HTTP/1.1", "Host: [::1]", false, Some("http://[::1]//a?b")),
        ("GET http://a.example?b HTTP/1.1", "Host: a.example", true, Some("http://a.example/?b")),
        ("OPTIONS * HTTP/1.1", "Host: a.example:81", false, Some("http://a.example:81/")),
        ("CONNECT b.example:80 HTTP/1.1", "Host: b.example:80", true, Some("https://b.example:80/")),
        ("GET / HTTP/1.0", "X: y", false, None),
    ] {
        let mut server = Server::new(Settings::new(), Instant::now()).secure(secure);
        server.receive(BytesMut::from(&*format!("{line}\r\n{host}\r\n\r\n")), Instant::now());
        let Some(Event::Request { request, .. }) = server.poll_event() else { panic!("no request: {line}") };
        assert_eq!(request.effective_uri().map(|uri| uri.to_string()).as_deref(), uri, "{line}, {host}");
    }
    // Of a request of one's own, nobody has looked at `Host`.
    for host in ["", "a b", "u@a"] {
        let own = HttpRequest::get(Uri::from_static("/")).with_header(HOST, HeaderValue::from_static(host));
        assert_eq!(own.effective_uri(), None, "{host:?}");
    }
    let posted = HttpRequest::post(Uri::from_static("http://a/b"), "c");
    assert_eq!((posted.method.as_str(), posted.effective_uri().unwrap().path(), &posted.content[..]), ("POST", "/b", &b"c"[..]));
}

/// RFC 9112 §3.2.1–§3.2.4.
#[test]
fn the_targets_form_goes_with_the_method() {
    for line in
        ["GET *", "GET a", "GET a:80", "CONNECT /", "CONNECT http://a/", "CONNECT a", "GET http://u@a/", "GET http:///x", "OPTIONS **"]
    {
        refused(400, format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    refused(400, "GET /\r\nHost: a\r\n\r\n");
    for line in ["GET /#x", "GET /a b", "GET  /", "GET / ", "GET", "GET\t/", "GET /\u{e9}", "GET /\x7f", "GET /\x01", "GET /\0"] {
        refused(400, format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    accepted("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &["OPTIONS * "]);
    accepted("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", &["CONNECT a:80 ", "AfterFlush"]);
}

/// RFC 9112 §2.2 lines, §5 fields; RFC 9110 §5.5 values.
#[test]
fn t06_bytes_that_do_not_belong() {
    for head in [
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\rHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "G\0T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\x16\x03\x01\x02\0\x01",
    ] {
        refused(400, head);
    }
    for line in [
        "a: b\r\n c",
        "a : b",
        ": b",
        "a",
        "a\0: b",
        "a: b\0",
        "a: b\rc",
        "a: b\x01",
        "a: b\x7f",
        "\u{e9}: b",
        "a b: c",
        "a\t: b",
        " a: b",
        "(a): b",
        "x: \x1b",
    ] {
        refused(400, format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n"));
    }
    let mut peer = Peer::new(Settings::new());
    peer.says("\r\nGET / HTTP/1.1\r\nhost: a\r\nX:\t caf\u{e9} \tau lait \t\r\nempty:\r\n\r\n");
    let request = peer.request().1;
    // obs-text is opaque data (RFC 9110 §5.5).
    assert_eq!(request.headers["x"].as_bytes(), "caf\u{e9} \tau lait".as_bytes());
    assert_eq!(request.headers["empty"], "");
}

#[test]
fn t06_limits_at_n_and_beyond() {
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let target = |n: usize| format!("/{}", "t".repeat(n - 1));
    accepted(get(&target(8 << 10)), &[&format!("GET {} ", target(8 << 10))]);
    refused(414, get(&target((8 << 10) + 1)));
    refused(414, get(&target(40 << 10)));

    let method = |n: usize| format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(n));
    accepted(method(16), &["MMMMMMMMMMMMMMMM / "]);
    refused(501, method(17));
    refused(501, "M".repeat(100));
    for limit in [1, 17, 100, usize::MAX] {
        let (settings, n) = (Settings::new().method_limit(limit), limit.min(200));
        let (told, _) = told(&settings, method(n));
        assert_eq!(told[0], format!("{} / ", "M".repeat(n)), "{limit}");
        if n == limit {
            refused_with(&settings, 501, method(n + 1));
            refused_with(&settings, 501, "M".repeat(n + 1));
        }
    }

    let fields = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(n - 1));
    for n in [23, 24, 25, 99, 100] {
        accepted(fields(n), &["GET / "]);
    }
    refused(431, fields(101));

    let frame = "GET / HTTP/1.1\r\nHost: a\r\nx: \r\ny: \r\nz: \r\n\r\n".len() + (12 << 10);
    let head = |n: usize| {
        let y = "y".repeat(6 << 10);
        format!("GET / HTTP/1.1\r\nHost: a\r\nx: {y}\r\ny: {y}\r\nz: {}\r\n\r\n", "y".repeat(n - frame))
    };
    accepted(head(16 << 10), &["GET / "]);
    refused(431, head((16 << 10) + 1));

    let field = |name: usize, value: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}: {}\r\n\r\n", "n".repeat(name), "v".repeat(value));
    accepted(field(64, 8 << 10), &["GET / "]);
    refused(431, field(65, 1));
    refused(431, field(1, (8 << 10) + 1));

    let small = Settings::new().content_limit(10);
    let post = |n: usize| format!("{HEAD}Content-Length: {n}\r\n\r\n{}", "c".repeat(n));
    assert_eq!(told(&small, post(10)).0, ["POST / cccccccccc", "Open"]);
    refused_with(&small, 413, post(11));
    let chunked = |n: usize| format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nccccc\r\n{n}\r\n{}\r\n0\r\n\r\n", "c".repeat(n));
    assert_eq!(told(&small, chunked(5)).0, ["POST / cccccccccc", "Open"]);
    refused_with(&small, 413, chunked(6));
    // 413 before any of the content has come.
    let mut peer = Peer::new(Settings::new());
    peer.says(format!("{HEAD}Content-Length: 8388609\r\n\r\n"));
    assert!(peer.hears().starts_with("HTTP/1.1 413 "));
}

/// "A server … can respond … 505 … to indicate it doesn't support the client's major version"; a minor one above ours is ours
/// (RFC 9110 §2.5).
#[test]
fn t06_versions() {
    for version in ["HTTP/2.0", "HTTP/0.9", "HTTP/3.0", "HTTP/9.9"] {
        refused(505, format!("GET / {version}\r\nHost: a\r\n\r\n"));
    }
    refused(505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    for version in
        ["HTTP/2", "HTTP/1", "HTTP/1.", "HTTP/1.10", "http/1.1", "HTTP/01.1", "HTTP 1.1", "HTTP/1.1x", "HTTP/+1.1", "FTP/1.1", "HTTP/a.b"]
    {
        refused(400, format!("GET / {version}\r\nHost: a\r\n\r\n"));
    }
    for minor in 1..=9 {
        let mut peer = Peer::new(Settings::new());
        peer.says(format!("GET / HTTP/1.{minor}\r\nHost: a\r\n\r\n"));
        assert_eq!(peer.request().1.version, Version::HTTP_11);
    }
}

/// "Request smuggling … exploits differences in protocol parsing among various recipients" (RFC 9112 §11.2).
#[test]
fn t07_what_is_smuggled_never_arrives() {
    for (length, coding) in [("6", "chunked"), ("4", " chunked"), ("6", "\tchunked"), ("0", "xchunked"), ("0", "chunked, identity")] {
        refused(400, format!("{HEAD}Content-Length: {length}\r\nTransfer-Encoding:{coding}\r\n\r\n0\r\n\r\nG"));
    }
    // A GET with content: the content is content.
    accepted(
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 37\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
        &["GET / GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r", "400", "AfterFlush"],
    );
    accepted(
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 38\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
        &["GET / GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n", "GET /2 "],
    );
}

/// RFC 9112 §9.6: a response that closes ends the parsing, unread content or not.
#[test]
fn t08_nothing_behind_the_last_request_is_parsed() {
    let (said, _) = told(&Settings::new(), "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(said, ["GET /1 ", "AfterFlush"]);
    refused(413, format!("{HEAD}Content-Length: 99999999\r\n\r\n"));
    refused(417, format!("{HEAD}Expect: tea\r\nContent-Length: 5\r\n\r\nhello"));
}

/// What a user may set cannot break out of its field.
#[test]
fn t09_nothing_can_be_injected() {
    for byte in [b'\r', b'\n', 0, 0x7f] {
        assert!(HeaderValue::from_bytes(&[b'a', byte, b'b']).is_err());
        assert!(HeaderName::from_bytes(&[b'a', byte, b'b']).is_err());
        assert!(Method::from_bytes(&[b'a', byte, b'b']).is_err());
        assert!(http::Uri::try_from(&[b'/', byte, b'b'][..]).is_err());
    }
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says("GET / HTTP/1.1\r\nHost: a\r\n\r\n").request();
    let response = HttpResponse::new(StatusCode::from_u16(599).expect("three digits"))
        .with_header(http::header::CONTENT_LENGTH, HeaderValue::from_static("99"))
        .with_header(http::header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"))
        .with_header(http::header::SERVER, HeaderValue::from_static("mine"))
        .with_header(http::header::DATE, HeaderValue::from_static("never"))
        .with_header(http::header::CONNECTION, HeaderValue::from_static("upgrade"));
    peer.answers(number, response).expect("in hand");
    let heard = peer.hears();
    assert!(heard.starts_with("HTTP/1.1 599 \r\n") && heard.ends_with("content-length: 0\r\n\r\n"), "{heard}");
    for gone in ["99\r", "chunked", "mine", "never", "upgrade"] {
        assert!(!heard.contains(gone), "{gone} in {heard}");
    }
}

/// RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with a status code of 1xx … or 204".
#[test]
fn t10_responses_without_content() {
    let response = |method: &str, response: HttpResponse| {
        let mut peer = Peer::new(Settings::new().server_header(None));
        let (number, _) = peer.says(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).request();
        peer.answers(number, response).expect("in hand");
        assert_eq!(peer.server.closing(), Closing::Open);
        peer.hears().replace("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "")
    };
    assert_eq!(response("HEAD", HttpResponse::ok("hello")), "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    let announced = HttpResponse::ok("").with_header(http::header::CONTENT_LENGTH, HeaderValue::from_static("7"));
    assert_eq!(response("HEAD", announced.clone()), "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n");
    assert_eq!(response("GET", announced), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let with = |status| HttpResponse::new(status).with_content("no");
    assert_eq!(response("GET", with(StatusCode::NO_CONTENT)), "HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(response("GET", with(StatusCode::NOT_MODIFIED)), "HTTP/1.1 304 Not Modified\r\n\r\n");
    assert_eq!(response("GET", with(StatusCode::OK)), "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno");
    // RFC 9110 §8.6: a 304 says how long the content of a 200 would be, streamed or not, in both versions.
    for (version, connection) in [("1.1", ""), ("1.0", "connection: keep-alive\r\n")] {
        let mut peer = Peer::new(Settings::new().server_header(None));
        let (number, _) = peer.says(format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")).request();
        let response = with(StatusCode::NOT_MODIFIED).with_header(CONTENT_LENGTH, HeaderValue::from_static("7"));
        peer.server.start(number, response, &peer.date, peer.now).expect("in hand");
        peer.server.finish(number, peer.now).expect("streaming");
        let heard = peer.hears().replace("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "");
        assert_eq!(heard, format!("HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n{connection}\r\n"));
        assert_eq!(peer.server.closing(), Closing::Open);
    }
}

const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n";

/// RFC 9110 §8.6: a 204 has no length, whoever asks and however it is answered.
#[test]
fn t10_a_streamed_204_has_no_length() {
    for method in ["HEAD", "GET"] {
        let mut peer = Peer::new(Settings::new().server_header(None));
        let (number, _) = peer.says(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).request();
        let announced = HttpResponse::new(StatusCode::NO_CONTENT).with_header(http::header::CONTENT_LENGTH, HeaderValue::from_static("7"));
        peer.server.start(number, announced, &peer.date, peer.now).expect("in hand");
        peer.server.finish(number, peer.now).expect("begun");
        assert_eq!(peer.hears(), "HTTP/1.1 204 No Content\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n", "{method}");
        assert_eq!(peer.server.closing(), Closing::Open);
    }
}

/// RFC 9110 §9.3.6: behind a 2xx to CONNECT there is a tunnel and no HTTP, whether the answer is whole or streamed.
#[test]
fn t07_what_is_in_a_tunnel_is_no_request() {
    for streamed in [false, true] {
        let mut peer = Peer::new(Settings::new());
        let tunnel = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        let (number, _) = peer.says(tunnel).request();
        if streamed {
            peer.server.start(number, HttpResponse::ok(""), &peer.date, peer.now).expect("in hand");
            peer.server.finish(number, peer.now).expect("begun");
        } else {
            peer.answers(number, HttpResponse::ok("")).expect("in hand");
        }
        assert!(peer.hears().contains("connection: close\r\n"), "streamed: {streamed}");
        assert!(peer.server.closing() == Closing::AfterFlush && peer.server.poll_event().is_none());
    }
}

/// RFC 9112 §9.6: who has said `close` processes no further request, though its response is still being sent and there is room for more.
#[test]
fn t08_nothing_behind_a_close_that_was_said_is_parsed() {
    let close = || HttpResponse::ok("x").with_header(http::header::CONNECTION, HeaderValue::from_static("close"));
    for (first, answer) in [
        ("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", close()),
        ("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", HttpResponse::ok("ended by closing")),
    ] {
        let mut peer = Peer::new(Settings::new().pipelining_limit(4));
        let (number, _) = peer.says(first).request();
        peer.server.start(number, answer, &peer.date, peer.now).expect("in hand");
        assert!(peer.hears().contains("connection: close\r\n"));
        peer.says("DELETE /2 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(peer.server.poll_event().is_none(), "it would never be answered");
        peer.server.finish(number, peer.now).expect("begun");
        assert!(peer.server.closing() == Closing::AfterFlush && peer.server.poll_event().is_none());
    }
}

fn switching() -> HttpResponse {
    HttpResponse::new(StatusCode::SWITCHING_PROTOCOLS)
        .with_header(http::header::CONNECTION, HeaderValue::from_static("Upgrade"))
        .with_header(http::header::UPGRADE, HeaderValue::from_static("websocket"))
        .with_header(http::header::CONTENT_LENGTH, HeaderValue::from_static("0"))
}

/// RFC 9110 §7.8: the 101 has neither length nor coding, and what follows the request is of the new protocol, split where it may be.
#[test]
fn t10_t17_bytes_behind_a_handshake_are_not_http() {
    let input = format!("{HANDSHAKE}\x01\x02GET /3");
    for cut in 1..input.len() {
        let mut peer = Peer::new(Settings::new().server_header(None).pipelining_limit(8));
        peer.says(&input[..cut]).says(&input[cut..]);
        let (number, _) = peer.request();
        assert!(peer.server.poll_event().is_none() && peer.server.can_switch(number));
        let Peer { server, now, date } = peer;
        let mut parts = server.into_switched(number, switching(), &date, now).map_err(|(_, error)| error).expect("its turn");
        assert_eq!(&parts.unread[..], b"\x01\x02GET /3");
        assert_eq!((parts.request.path(), parts.eof), ("/ws", false));
        let head =
            "HTTP/1.1 101 Switching Protocols\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&parts.output.take(1000)), head);
    }
}

#[test]
fn an_upgrade_that_is_answered_ordinarily_goes_on_as_http() {
    let (said, _) = told(&Settings::new().pipelining_limit(8), format!("{HANDSHAKE}GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(said, ["GET /ws ", "GET /2 ", "Open"]);
}

/// RFC 9112 §9.3.2: "a server … MUST send the corresponding responses in the same order that the requests were received".
#[test]
fn t11_order_is_kept_and_the_upgrade_waits_its_turn() {
    let mut peer = Peer::new(Settings::new().pipelining_limit(8));
    peer.says(format!(
        "GET /0 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /1 HTTP/1.1\r\nHost: a\r\n\r\n{HANDSHAKE}GET /3 HTTP/1.1\r\nHost: a\r\n\r\n"
    ));
    let numbers: Vec<_> = (0..3).map(|_| peer.request().0).collect();
    assert!(peer.server.poll_event().is_none(), "nothing behind the handshake is parsed");
    peer.answers(numbers[1], HttpResponse::ok("one")).expect("in hand");
    assert_eq!(peer.hears(), "");
    assert!(!peer.server.can_switch(numbers[2]));
    let Peer { server, now, date } = peer;
    let (server, error) = server.into_switched(numbers[2], switching(), &date, now).expect_err("not its turn");
    assert_eq!(error, SwitchError::NotYet);
    let mut peer = Peer { server, now, date };
    assert_eq!(peer.answers(numbers[1], HttpResponse::ok("again")), Err(RespondError::NotInHand));
    peer.answers(numbers[0], HttpResponse::ok("zero")).expect("in hand");
    assert_eq!(peer.answers(numbers[0], HttpResponse::ok("again")), Err(RespondError::NotInHand));
    let heard = peer.hears();
    assert!(heard.contains("\r\n\r\nzeroHTTP/1.1 200 OK\r\n") && heard.ends_with("content-length: 3\r\n\r\n"), "{heard}");
    assert!(peer.server.can_switch(numbers[2]));
    let Peer { server, now, date } = peer;
    let (server, error) = server.into_switched(numbers[2], HttpResponse::ok(""), &date, now).expect_err("no 101");
    assert_eq!(error, SwitchError::Status);
    let parts = server.into_switched(numbers[2], switching(), &date, now).map_err(|(_, error)| error).expect("its turn");
    assert_eq!(&parts.unread[..], b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn answers_in_any_order_leave_in_order() {
    let mut chance = Chance(7);
    for _ in 0..50 {
        let mut peer = Peer::new(Settings::new().pipelining_limit(16));
        for i in 0..16 {
            peer.says(format!("GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n"));
        }
        let mut waiting: Vec<_> = (0..16).map(|_| peer.request()).collect();
        assert!(!waiting.is_empty());
        while !waiting.is_empty() {
            let (number, request) = waiting.swap_remove(chance.below(waiting.len()));
            if chance.below(2) == 0 {
                peer.answers(number, HttpResponse::ok(request.path().to_owned())).expect("in hand");
            } else {
                peer.server.start(number, HttpResponse::ok(""), &peer.date, peer.now).expect("in hand");
                peer.server.chunk(number, Bytes::from(request.path().to_owned()), peer.now).expect("streaming");
                peer.server.finish(number, peer.now).expect("streaming");
            }
        }
        let heard = peer.hears();
        let paths: Vec<_> = heard
            .split("HTTP/1.1 200 OK")
            .skip(1)
            .map(|one| one[one.rfind('/').expect("a path")..].trim_end_matches("\r\n0\r\n\r\n").to_owned())
            .collect();
        assert_eq!(paths, (0..16).map(|i| format!("/{i}")).collect::<Vec<_>>());
    }
}

#[test]
fn requests_beyond_the_limit_wait_unparsed_and_reading_pauses() {
    let mut peer = Peer::new(Settings::new());
    peer.says("GET /0 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(peer.server.wants_read());
    for _ in 0..1000 {
        peer.says("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    assert!(!peer.server.wants_read());
    for n in 0..=1000 {
        let (number, _) = peer.request();
        assert_eq!(number.get(), n);
        assert!(peer.server.poll_event().is_none());
        peer.answers(number, HttpResponse::ok("")).expect("in hand");
        let _ = peer.hears();
    }
    assert!(peer.server.wants_read() && peer.server.poll_event().is_none());
}

/// A peer that sends requests and reads no responses is not served on and on.
#[test]
fn unsent_responses_hold_the_next_request_back() {
    let mut peer = Peer::new(Settings::new());
    peer.says("GET /0 HTTP/1.1\r\nHost: a\r\n\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    let (number, _) = peer.request();
    peer.answers(number, HttpResponse::ok(vec![b'x'; 100 << 10])).expect("in hand");
    assert!(peer.server.poll_event().is_none());
    let _ = peer.hears();
    assert_eq!(peer.request().1.path(), "/1");
}

#[test]
fn streamed_responses_are_chunked_or_end_with_the_connection() {
    let stream = |line: &str| {
        let mut peer = Peer::new(Settings::new().server_header(None));
        let (number, _) = peer.says(format!("{line}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")).request();
        assert_eq!(peer.server.chunk(number, Bytes::from_static(b"x"), peer.now), Err(RespondError::OutOfTurn));
        peer.server.start(number, HttpResponse::ok("first"), &peer.date, peer.now).expect("in hand");
        assert_eq!(peer.answers(number, HttpResponse::ok("")), Err(RespondError::OutOfTurn));
        for chunk in ["", "second chunk it is"] {
            peer.server.chunk(number, Bytes::from_static(chunk.as_bytes()), peer.now).expect("streaming");
        }
        peer.server.finish(number, peer.now).expect("streaming");
        assert_eq!(peer.server.finish(number, peer.now), Err(RespondError::NotInHand));
        let heard = peer.hears();
        (heard[heard.find("GMT\r\n").expect("a date") + 5..].to_owned(), peer.server.closing())
    };
    let chunks = "transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n12\r\nsecond chunk it is\r\n0\r\n\r\n";
    assert_eq!(stream("GET / HTTP/1.1"), (chunks.to_owned(), Closing::Open));
    assert_eq!(stream("HEAD / HTTP/1.1"), ("transfer-encoding: chunked\r\n\r\n".to_owned(), Closing::Open));
    assert_eq!(stream("GET / HTTP/1.0"), ("connection: close\r\n\r\nfirstsecond chunk it is".to_owned(), Closing::AfterFlush));
}

/// RFC 9112 §8: half of a response that only the connection's end would end must not pass for whole, whoever ends it.
#[test]
fn a_response_that_closing_would_complete_is_cut() {
    let ends: [fn(&mut Peer); 4] = [
        |peer| peer.server.close(peer.now),
        |peer| peer.server.close_confirmed(peer.now),
        |peer| peer.server.receive_eof(peer.now),
        |peer| {
            peer.later(Duration::from_secs(60));
        },
    ];
    for (end, how) in ends.iter().enumerate() {
        for (version, length, closing) in [("1.0", "", Closing::Abort), ("1.0", "9", Closing::AfterFlush), ("1.1", "", Closing::AfterFlush)]
        {
            let mut peer = Peer::new(Settings::new().allow_half_closed(false));
            let (number, _) = peer.says(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n")).request();
            let mut response = HttpResponse::ok("half");
            if !length.is_empty() {
                response = response.with_header(CONTENT_LENGTH, HeaderValue::from_static(length));
            }
            peer.server.start(number, response, &peer.date, peer.now).expect("in hand");
            assert!(peer.hears().contains("half"));
            how(&mut peer);
            // The peer has ended, or it is the idle timeout's end: there the others are over, or cut, as well.
            let closing = match (end, closing) {
                (2, Closing::AfterFlush) => Closing::Done,
                (3, _) => Closing::Abort,
                (_, closing) => closing,
            };
            assert_eq!(peer.server.closing(), closing, "HTTP/{version} {length:?}, end {end}");
        }
    }
}

/// B35: what nobody has been told when we end the connection nobody is told: its answer would go nowhere.
#[test]
fn what_is_untold_at_the_end_stays_untold() {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let post = |path: &str| format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    let ends: [fn(&mut Peer); 2] = [|peer| peer.server.close(peer.now), |peer| peer.server.close_confirmed(peer.now)];
    for end in ends {
        let mut peer = Peer::new(Settings::new().pipelining_limit(3));
        peer.says(get("/0") + &get("/1") + &get("/2")).request();
        end(&mut peer);
        assert!(peer.server.poll_event().is_none());

        // Behind an answer that made room for it, and of those that are told as they come.
        let mut peer = Peer::new(Settings::new());
        peer.server.stream_content();
        let (first, _) = peer.says(get("/0") + &post("/1")).request();
        peer.answers(first, HttpResponse::ok("")).expect("in hand");
        end(&mut peer);
        assert!(peer.server.poll_event().is_none());

        // Who has been told of the beginning is told of the end.
        let mut peer = Peer::new(Settings::new().pipelining_limit(3));
        peer.server.stream_content();
        peer.says(post("/0"));
        let Some(Event::RequestStart { worth, .. }) = peer.server.poll_event() else { panic!("no start") };
        peer.server.give_back(worth, peer.now);
        peer.says("some");
        end(&mut peer);
        assert!(matches!(peer.server.poll_event(), Some(Event::Chunk { .. })));
        assert!(matches!(peer.server.poll_event(), Some(Event::ContentAborted { .. })));
        assert!(peer.server.poll_event().is_none());
        assert_eq!(peer.server.awaits_back(), None);
    }
}

/// RFC 9112 §9.3.
#[test]
fn persistence() {
    for (line, fields, open) in [
        ("HTTP/1.1", "", true),
        ("HTTP/1.1", "Connection: close\r\n", false),
        ("HTTP/1.1", "Connection: keep-alive, CLOSE\r\n", false),
        ("HTTP/1.0", "", false),
        ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
        ("HTTP/1.0", "Connection: keep-alive\r\nConnection: close\r\n", false),
    ] {
        let (said, heard) = told(&Settings::new(), format!("GET / {line}\r\nHost: a\r\n{fields}\r\n"));
        assert_eq!(said, ["GET / ", if open { "Open" } else { "AfterFlush" }]);
        assert_eq!(heard.contains("connection: close"), !open);
        assert_eq!(heard.contains("connection: keep-alive"), open && line == "HTTP/1.0");
    }
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n").request();
    peer.answers(number, HttpResponse::ok("").with_header(http::header::CONNECTION, HeaderValue::from_static("close"))).expect("in hand");
    assert!(peer.hears().contains("connection: close\r\n"));
    assert!(peer.server.poll_event().is_none() && peer.server.closing() == Closing::AfterFlush && !peer.server.wants_read());
}

/// RFC 9110 §7.8: "A sender of Upgrade MUST also send an "Upgrade" connection option in the Connection header field".
#[test]
fn upgrade_is_named_in_connection() {
    for (line, theirs, heard) in [
        ("HTTP/1.1", "Upgrade", "connection: upgrade\r\n\r\n"),
        ("HTTP/1.1", "close", "connection: close, upgrade\r\n\r\n"),
        ("HTTP/1.0", "", "connection: keep-alive, upgrade\r\n\r\n"),
    ] {
        let mut peer = Peer::new(Settings::new());
        let (number, _) = peer.says(format!("GET / {line}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")).request();
        let response = HttpResponse::new(StatusCode::UPGRADE_REQUIRED)
            .with_header(http::header::UPGRADE, HeaderValue::from_static("websocket"))
            .with_header(http::header::CONNECTION, HeaderValue::from_static(theirs));
        peer.answers(number, response).expect("in hand");
        let said = peer.hears();
        assert!(said.ends_with(heard), "{said}");
    }
}

/// RFC 9110 §10.1.1.
#[test]
fn content_that_is_waited_for_is_asked_for_in_its_turn() {
    let expecting = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
    let mut peer = Peer::new(Settings::new().pipelining_limit(2));
    assert_eq!(peer.says(expecting).hears(), "HTTP/1.1 100 Continue\r\n\r\n");
    let (number, _) = peer.says("ab").request();
    assert_eq!(peer.says(expecting).hears(), "", "an earlier response is due");
    peer.answers(number, HttpResponse::ok("")).expect("in hand");
    assert!(peer.hears().ends_with("\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"));
    assert_eq!(peer.says("cd").request().1.content, "cd");
    // HTTP/1.0 cannot ask so, and no content is not asked for.
    assert_eq!(Peer::new(Settings::new()).says(expecting.replace("1.1", "1.0")).hears(), "");
    assert_eq!(Peer::new(Settings::new()).says(expecting.replace("Length: 2", "Length: 0")).hears(), "");
}

#[test]
fn t12_each_silence_ends_within_its_deadline() {
    const SECOND: Duration = Duration::from_secs(1);
    let silent = |input: &str, seconds: u32, status: &str| {
        let mut peer = Peer::new(Settings::new());
        peer.says(input);
        let deadline = peer.server.deadline().expect("a deadline");
        assert_eq!(deadline - peer.now, SECOND * seconds);
        peer.later(SECOND * seconds - Duration::from_nanos(1));
        assert_eq!(peer.server.closing(), Closing::Open);
        peer.later(Duration::from_nanos(1));
        println!("t12: limit {seconds} s, behind {input:?}: ended after {:?}", SECOND * seconds);
        assert_eq!(peer.server.closing(), Closing::AfterFlush);
        assert!(peer.hears().starts_with(status));
        assert_eq!(peer.server.deadline(), Some(peer.now + SECOND * 2));
        peer.later(SECOND * 2);
        assert_eq!((peer.server.closing(), peer.server.deadline()), (Closing::Done, None));
    };
    silent("", 60, "");
    silent("G", 5, "HTTP/1.1 408 ");
    silent("\r", 5, "HTTP/1.1 408 ");
    silent("\r\n", 60, "");
    silent("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", 5, "HTTP/1.1 408 ");
    silent("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 5, "HTTP/1.1 408 ");

    // A head a byte a second: the deadline is that of its first byte.
    let mut peer = Peer::new(Settings::new());
    for byte in b"GET /" {
        assert_eq!(peer.server.closing(), Closing::Open);
        peer.says([*byte]).later(SECOND);
    }
    assert_eq!(peer.server.closing(), Closing::AfterFlush);

    // 240 B/s are enough, 120 are not; a fast beginning buys a minute at most.
    for (bytes, seconds) in [(240, None), (120, Some(9)), (100_000, Some(60))] {
        let mut peer = Peer::new(Settings::new());
        peer.says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
        let mut ended = None;
        for second in 0..100 {
            if bytes < 1000 || second == 0 {
                peer.says(vec![b'x'; bytes]);
            }
            peer.later(SECOND);
            if peer.server.closing() != Closing::Open {
                ended = Some(second + 1);
                break;
            }
        }
        assert_eq!(ended.is_some(), seconds.is_some(), "{bytes}");
        println!(
            "t12: limit 240 B/s behind 5 s; {bytes} bytes {}: ended after {ended:?} s",
            if bytes < 1000 { "a second" } else { "at once" }
        );
        assert!(ended.unwrap_or(0) <= seconds.unwrap_or(0) + 1, "{bytes} {ended:?}");
    }

    // A slow reader of the response.
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says("GET / HTTP/1.1\r\nHost: a\r\n\r\n").request();
    peer.answers(number, HttpResponse::ok("hello")).expect("in hand");
    peer.later(SECOND * 30);
    assert_eq!(peer.server.closing(), Closing::Abort);
    assert!(peer.server.output().is_empty());
}

/// It is not read, for a reason of ours: its head, its content and its silence have their time when it is again.
#[test]
fn while_it_is_not_read_no_peer_is_late() {
    for (input, seconds, status) in
        [("", 60, ""), ("GET / HT", 5, "HTTP/1.1 408 "), ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", 5, "HTTP/1.1 408 ")]
    {
        let within = Duration::from_secs(seconds);
        let mut peer = Peer::new(Settings::new());
        peer.says(input);
        peer.server.suspend(true, peer.now);
        assert_eq!(peer.server.deadline(), None, "{input:?}");
        peer.later(Duration::from_secs(3600));
        assert_eq!((peer.server.closing(), peer.hears().as_str()), (Closing::Open, ""), "{input:?}");
        peer.server.suspend(false, peer.now);
        assert_eq!(peer.server.deadline(), Some(peer.now + within), "{input:?}");
        peer.later(within);
        assert_eq!(peer.server.closing(), Closing::AfterFlush);
        assert!(peer.hears().starts_with(status), "{input:?}");
    }
}

#[test]
fn a_request_without_answer_is_told_of_then_answered_500() {
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says("GET / HTTP/1.1\r\nHost: a\r\n\r\n").request();
    let mut said = Vec::new();
    peer.later(Duration::from_secs(20) - Duration::from_nanos(1)).events(&mut said);
    assert!(said.is_empty(), "{said:?}");
    peer.later(Duration::from_nanos(1)).events(&mut said);
    assert_eq!((said.as_slice(), peer.server.closing()), (&["timed out 0".to_owned()][..], Closing::Open));
    peer.later(Duration::from_secs(2) - Duration::from_nanos(1));
    assert_eq!(peer.hears(), "");
    peer.later(Duration::from_nanos(1));
    assert!(peer.hears().starts_with("HTTP/1.1 500 "));
    assert_eq!(peer.server.closing(), Closing::AfterFlush);
    assert_eq!(peer.answers(number, HttpResponse::ok("late")), Err(RespondError::NotInHand));
    // A late timer finds both deadlines past.
    let mut peer = Peer::new(Settings::new());
    peer.says("GET / HTTP/1.1\r\nHost: a\r\n\r\n").request();
    peer.later(Duration::from_secs(60));
    assert!(peer.hears().starts_with("HTTP/1.1 500 "));
}

/// RFC 9112 §9.6: a half-closed peer is answered, all of its requests, and what is incomplete is dropped.
#[test]
fn half_close() {
    let mut peer = Peer::new(Settings::new());
    peer.says("GET /0 HTTP/1.1\r\nHost: a\r\n\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HT");
    peer.server.receive_eof(peer.now);
    for path in ["/0", "/1"] {
        let (number, request) = peer.request();
        assert_eq!((request.path(), peer.server.closing()), (path, Closing::Open));
        peer.answers(number, HttpResponse::ok("")).expect("in hand");
    }
    assert_eq!(peer.server.closing(), Closing::AfterFlush);
    assert_eq!(peer.hears().matches("200 OK").count(), 2);
    assert_eq!(peer.server.closing(), Closing::Done);
    for input in ["", "GET", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"] {
        let mut peer = Peer::new(Settings::new());
        peer.says(input);
        peer.server.receive_eof(peer.now);
        assert_eq!((peer.hears().as_str(), peer.server.closing()), ("", Closing::Done));
    }
}

#[test]
fn a_graceful_close_answers_what_is_in_hand_and_takes_no_more() {
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n").request();
    peer.server.close_gracefully(peer.now);
    assert_eq!(peer.server.closing(), Closing::Open);
    peer.answers(number, HttpResponse::ok("bye")).expect("in hand");
    assert!(peer.hears().contains("connection: close\r\n"));
    assert_eq!((peer.server.closing(), peer.server.in_hand()), (Closing::AfterFlush, 0));
    assert!(peer.server.poll_event().is_none());
    let mut peer = Peer::new(Settings::new());
    peer.server.close_gracefully(peer.now);
    assert_eq!(peer.server.closing(), Closing::AfterFlush);
}

/// What has begun to come when the server is told to go is a request in flight.
#[test]
fn a_graceful_close_waits_for_content_that_is_coming() {
    for waits in [false, true] {
        let mut peer = Peer::new(Settings::new().pipelining_limit(2));
        let mut first = None;
        if waits {
            first = Some(peer.says("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").request().0);
        }
        peer.says("POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
        peer.server.close_gracefully(peer.now);
        if let Some(first) = first {
            peer.answers(first, HttpResponse::ok("one")).expect("in hand");
            assert!(!peer.hears().contains("close"), "there is another to come");
        }
        assert_eq!(peer.server.closing(), Closing::Open);
        let (number, request) = peer.says("67890GET /3 HTTP/1.1\r\nHost: a\r\n\r\n").request();
        assert_eq!(&request.content[..], b"1234567890");
        peer.answers(number, HttpResponse::ok("two")).expect("in hand");
        assert!(peer.hears().contains("connection: close\r\n"));
        assert!(peer.server.closing() == Closing::AfterFlush && peer.server.poll_event().is_none());
    }
    // It is bound by the rate of content as ever.
    let mut peer = Peer::new(Settings::new());
    peer.says("POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    peer.server.close_gracefully(peer.now);
    peer.later(Duration::from_secs(6));
    assert!(peer.hears().starts_with("HTTP/1.1 408 "));
}

/// RFC 9112 §3.2.2: an absolute target says what its host is.
#[test]
fn the_default_host_is_for_targets_that_have_none() {
    let settings = Settings::new().default_host_header(Some(HeaderValue::from_static("b:8080")));
    for (input, host) in [
        ("GET http://a/1 HTTP/1.0\r\n\r\n", None),
        ("CONNECT a:80 HTTP/1.0\r\n\r\n", None),
        ("GET /1 HTTP/1.0\r\n\r\n", Some("b:8080")),
        ("GET /1 HTTP/1.1\r\nHost:\r\n\r\n", Some("b:8080")),
    ] {
        let (_, request) = Peer::new(settings.clone()).says(input).request();
        assert_eq!(request.headers.get(http::header::HOST).map(|host| host.to_str().expect("text")), host, "{input:?}");
    }
}

#[test]
fn the_raw_target_is_what_was_sent() {
    for target in ["http://a", "http://a?x", "HTTP://a/A", "http://a/", "/a?b", "*"] {
        let method = if target == "*" { "OPTIONS" } else { "GET" };
        let (_, request) = Peer::new(Settings::new()).says(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n")).request();
        assert_eq!(request.raw_target(), target);
    }
}

/// Content that the handler of an earlier request still has in hand is no time that a later one has used.
#[test]
fn each_streamed_request_has_its_own_time() {
    let mut peer = Peer::new(Settings::new());
    peer.server.stream_content();
    let upload = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    let Some(Event::RequestStart { number, .. }) = peer.says(upload).server.poll_event() else { panic!("no start") };
    peer.answers(number, HttpResponse::ok("early")).expect("in hand");
    peer.hears();
    peer.says("12345").later(Duration::from_secs(19)).says(upload).says("12345");
    while peer.server.poll_event().is_some() {}
    peer.later(Duration::from_secs(2));
    assert!(peer.server.poll_event().is_none(), "its handler has 20 s");
}

#[test]
fn an_answer_to_nothing_is_harmless() {
    let mut peer = Peer::new(Settings::new());
    let (number, _) = Peer::new(Settings::new()).says("GET / HTTP/1.1\r\nHost: a\r\n\r\n").request();
    assert_eq!(peer.answers(number, HttpResponse::ok("")), Err(RespondError::NotInHand));
    assert!(!peer.server.can_switch(number));
    peer.says("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.answers(number, switching()), Err(RespondError::Interim));
    assert_eq!(peer.hears(), "");
}

/// CVE-2023-43669: the head is limited and no byte of it is looked at twice.
#[test]
fn t14_an_endless_head_byte_by_byte() {
    for (start, status) in [("GET / HTTP/1.1\r\nHost: a\r\nx: ", 431), ("GET /", 414)] {
        let mut peer = Peer::new(Settings::new());
        peer.says(start);
        let mut fed = start.len();
        while peer.server.closing() == Closing::Open {
            peer.says("y");
            fed += 1;
        }
        println!("t14: limit {} bytes of head, {status} at {fed}", 16 << 10);
        assert!(fed <= 16 << 10, "{fed}");
        assert!(peer.hears().starts_with(&format!("HTTP/1.1 {status} ")));
    }
    // Linear: 16 MiB of tiny chunks come through.
    let mut peer = Peer::new(Settings::new());
    peer.says(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n"));
    for _ in 0..200_000 {
        peer.says("1\r\n").says("x\r\n");
    }
    assert_eq!(peer.says("0\r\n\r\n").request().1.content.len(), 200_000);
}

/// Whatever comes: no panic, no endless loop, and the same requests in all cuts.
#[test]
fn t35_mutations_tell_the_same_in_all_cuts() {
    const BASES: [&str; 4] = [
        "GET /a?b=c HTTP/1.1\r\nHost: a.b:80\r\nAccept: */*\r\n\r\nGET /2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\nhello world\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n1\r\n \r\n0\r\nx: y\r\n\r\nGET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        HANDSHAKE,
    ];
    let mut chance = Chance(35);
    let requests = |input: &[u8], cut: usize| {
        let mut peer = Peer::new(Settings::new());
        let mut said = Vec::new();
        for piece in input.chunks(cut) {
            peer.says(piece).events(&mut said);
            let _ = peer.hears();
        }
        let failed = said.iter().filter(|line| line.len() == 3).count();
        assert!(failed <= 1, "{said:?}");
        said.retain(|line| line.len() != 3);
        (said, failed, peer.server.closing())
    };
    println!("t35: 4000 mutations of {} inputs, each in three cuts; limit one failure each, and the same in all cuts", BASES.len());
    for _ in 0..4000 {
        let mut input = BASES[chance.below(BASES.len())].as_bytes().to_vec();
        for _ in 0..=chance.below(3) {
            let at = chance.below(input.len() - 1);
            let byte = b"\r\n\0 \t:;,=0f9-+_xH/\"\x80\xff#@"[chance.below(23)];
            match chance.below(4) {
                0 => input[at] = byte,
                1 => input.insert(at, byte),
                2 => drop(input.remove(at)),
                _ => input.truncate(at.max(20)),
            }
        }
        let whole = requests(&input, usize::MAX);
        for cut in [1, 2 + chance.below(40)] {
            assert_eq!(whole, requests(&input, cut), "cut {cut} of {:?}", String::from_utf8_lossy(&input));
        }
    }
}

/// The caller's read buffer is free again when nothing of it is in use.
#[test]
fn a_large_read_buffer_is_not_retained() {
    let mut buffer = BytesMut::with_capacity(64 << 10);
    let mut peer = Peer::new(Settings::new());
    for rest in ["GET / HTTP/1.1\r\nHo", "st: a\r\nContent-Length: 5\r\n\r\nab", "c"] {
        buffer.extend_from_slice(rest.as_bytes());
        peer.server.receive(buffer.split(), peer.now);
        assert!(buffer.try_reclaim(64 << 10), "after {rest:?}");
    }
    assert_eq!(peer.says("de").request().1.content, "abcde");
}

#[test]
fn t31_the_request_of_a_websocket_has_memory_of_its_own() {
    let lies_within = |head: &str| {
        let mut peer = Peer::new(Settings::new().uri_parsing(UriParsing::Relaxed));
        let read = BytesMut::from(head);
        let within = read.as_ptr_range();
        peer.server.receive(read, peer.now);
        let Some(Event::Request { request, .. }) = peer.server.poll_event() else { panic!("a request") };
        let text = [&request.headers["host"], &request.headers["x"]].map(HeaderValue::as_bytes);
        let found = text.map(|text| within.contains(&text.as_ptr()));
        assert_eq!((request.path(), request.raw_target().as_ref(), text), ("/a%7C", "/a|", [&b"a"[..], b"yes"]));
        (found, within.contains(&request.raw_target().as_ptr()))
    };
    let fields = "Host: a\r\nX: yes\r\n";
    assert_eq!(lies_within(&format!("GET /a| HTTP/1.1\r\n{fields}\r\n")), ([true; 2], true));
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(lies_within(&format!("GET /a| HTTP/1.1\r\n{fields}{upgrade}\r\n")), ([false; 2], false));
}
