//! RFC 9110, as far as it falls to a server's connections: §6 message abstraction, §7 routing, §8.6 Content-Length, §9 methods, §10.1.1
//! Expect, §15 status codes. Its §5 is in [`s05_field_syntax`](crate::s05_field_syntax).

use crate::peer::{Cut, Peer};
use crate::site::address;
use crate::transcript::{get, line, post, refused, sees};
use crate::transport::{Transport, over_each};

/// The opening handshake of RFC 6455 §1.2.
const HANDSHAKE: &str = "GET /upgrade HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

rows! {
    date: "§6.6.1: an origin server with a clock MUST send Date with 2xx, 3xx and 4xx: looked at in every response",
        line("GET / HTTP/1.1") => sees(["GET /"]).has("date: ");
    date_of_a_refusal: "§6.6.1: the same",
        line("GET / HTTP/3.0") => refused(505).has("date: ");
    server: "§10.2.4: MAY say what it is",
        line("GET / HTTP/1.1") => sees(["GET /"]).has("server: actix-sockets/");
    order_of_field_lines: "§5.3: MUST NOT change the order of lines with one name",
        line("GET /twice HTTP/1.1") => sees(["GET /twice"]).has("y: 1").has("y: 2");
    upgrade_is_ignored_if_unknown: "§7.8: MAY ignore Upgrade: the request is answered as it is",
        get("Connection: upgrade\r\nUpgrade: h2c, TLS/1.0") => sees(["GET /"]).lacks("upgrade");
    upgrade_required: "§15.5.22: MUST send Upgrade with a 426, §7.8: and name it in Connection",
        line("GET /upgrade HTTP/1.1") => sees(["GET /upgrade"]).hears([426]).has("upgrade: websocket").has("connection: upgrade");
    head_has_no_content: "§9.3.2: MUST NOT send content in the response to HEAD",
        line("HEAD / HTTP/1.1") => sees(["HEAD /"]).has("content-length: 2").content("");
    head_of_what_it_says: "§8.6: the length that GET would have had",
        line("HEAD /length HTTP/1.1") => sees(["HEAD /length"]).has("content-length: 7");
    head_of_a_stream: "§9.3.2: the same fields as GET",
        line("HEAD /stream HTTP/1.1") => sees(["HEAD /stream"]).has("transfer-encoding: chunked");
    head_of_an_error: "§9.3.2: nor in one that a handler did not make",
        line("HEAD /dropped HTTP/1.1") => sees(["HEAD /dropped"]).hears([500]);
    head_in_lower_case: "§9.1: methods are case-sensitive: this is not HEAD",
        line("head / HTTP/1.1") => sees(["head /"]).content("ok");
    expectation: "§10.1.1: MUST NOT wait for the content before it sends 100",
        post("Expect: 100-continue\r\nContent-Length: 5", "hello") => sees(["POST / hello"]).hears([100, 200]).alone();
    expectation_in_capitals: "§10.1.1: its value has no case",
        post("Expect: 100-CONTINUE\r\nContent-Length: 5", "hello") => sees(["POST / hello"]).hears([100, 200]).alone();
    expectation_of_chunks: "§10.1.1: the same, chunked",
        post("Expect: 100-continue\r\nTransfer-Encoding: chunked", "1\r\nx\r\n0\r\n\r\n") => sees(["POST / x"]).hears([100, 200]).alone();
    expectation_without_content: "§10.1.1: 100 is for a request whose content follows",
        get("Expect: 100-continue") => sees(["GET /"]);
    expectation_of_no_content: "§10.1.1: the same",
        post("Expect: 100-continue\r\nContent-Length: 0", "") => sees(["POST /"]);
    expectation_in_1_0: "§10.1.1: MUST ignore it in HTTP/1.0; §15.2: MUST NOT send a 1xx there",
        "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello" => sees(["POST / HTTP/1.0 hello"]).ends();
    expectation_of_too_much: "§10.1.1: a final status in place of 100, and the content is not waited for",
        post("Expect: 100-continue\r\nContent-Length: 100001", "") => refused(413);
    expectation_that_is_unknown: "§10.1.1: MAY be a 417",
        post("Expect: 200-ok\r\nContent-Length: 5", "hello") => refused(417);
    expectation_in_a_list: "§10.1.1: Expect = #expectation; §5.6.1.2: MUST ignore empty elements",
        post("Expect: 100-continue,, 100-Continue\r\nContent-Length: 5", "hello") => sees(["POST / hello"]).hears([100, 200]).alone();
    expectation_in_a_list_with_another: "§10.1.1: MAY be a 417",
        post("Expect: 100-continue, tea\r\nContent-Length: 5", "hello") => refused(417);
    not_modified_says_its_length: "§8.6: Content-Length with a 304 is that of the 200: nothing is said unless the handler knows",
        line("GET /status/304 HTTP/1.1") => sees(["GET /status/304"]).hears([304]).lacks("content-length");
    an_unknown_status: "§15: three digits, whatever they mean",
        line("GET /status/499 HTTP/1.1") => sees(["GET /status/499"]).hears([499]).content("no");
    a_managed_field: "§8.6: MUST NOT send a Content-Length that is not the content's",
        line("GET /length HTTP/1.1") => sees(["GET /length"]).has("content-length: 0");
}

/// §9.3.2: no content in answer to HEAD, a refusal included. The responses of a row are read by the methods that the handler saw, so here
/// the bytes are looked at.
#[test]
fn a_refused_head_has_no_content() {
    over_each(|transport| {
        for head in [
            "HEAD / HTTP/1.1\r\n\r\n",
            "\r\nHEAD / HTTP/1.1\r\n\r\n",
            "HEAD / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
            "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
            "HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx",
            "HEAD / HTTP/2.0\r\nHost: a\r\n\r\n",
        ] {
            for cut in [Cut::Whole, Cut::Bytes] {
                let mut peer = Peer::connect(address(transport, 1), transport);
                let heard = peer.says(head, cut).hears_all();
                assert!(heard.ends_with(b"\r\n\r\n"), "{head:?}: {:?}", String::from_utf8_lossy(&heard));
            }
        }
    });
}

/// §7.4: "a request for an "https" resource MUST be rejected unless it has been received over a connection that has been secured".
#[test]
fn https_is_for_tls_only() {
    over_each(|transport| {
        let mut peer = Peer::connect(address(transport, 1), transport);
        let target = "GET https://a/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let heard = String::from_utf8(peer.says(target, Cut::Bytes).hears_all()).unwrap();
        let status = if transport == Transport::Clear { "HTTP/1.1 421 Misdirected Request\r\n" } else { "HTTP/1.1 200 OK\r\n" };
        assert!(heard.starts_with(status), "{heard}");
    });
}

/// §7.8, §15.2.2: 101 with Upgrade and Connection, and with neither Content-Length nor Transfer-Encoding (§8.6, RFC 9112 §6.1).
#[test]
fn t10_a_101_says_what_it_must_and_nothing_of_content() {
    over_each(|transport| {
        for cut in [Cut::Whole, Cut::Bytes] {
            let mut peer = Peer::connect(address(transport, 1), transport);
            let head = peer.says(HANDSHAKE, cut).hears_up_to("\r\n\r\n").to_lowercase();
            assert!(head.starts_with("http/1.1 101 switching protocols\r\n"), "{head}");
            assert!(head.contains("\r\nupgrade: websocket\r\n") && head.contains("\r\nconnection: upgrade\r\n"), "{head}");
            assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
        }
    });
}

/// RFC 9112 §9.3.2, RFC 9110 §7.8: an upgrade waits behind the responses that are due before it, and what follows it is not HTTP.
#[test]
fn t11_an_upgrade_waits_behind_slow_requests() {
    over_each(|transport| {
        for limit in crate::site::LIMITS {
            for cut in [Cut::Whole, Cut::Bytes] {
                let mut peer = Peer::connect(address(transport, limit), transport);
                // A masked Close frame with 1000 in the same bytes.
                let close = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];
                let all =
                    [line("GET /slow HTTP/1.1").as_bytes(), line("HEAD / HTTP/1.1").as_bytes(), HANDSHAKE.as_bytes(), &close].concat();
                peer.says(all, cut);
                let slow = peer.hears_up_to("slow");
                assert!(slow.starts_with("HTTP/1.1 200 OK\r\n"), "{slow}");
                let head = peer.hears_up_to("\r\n\r\n");
                assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
                let switch = peer.hears_up_to("\r\n\r\n");
                assert!(switch.starts_with("HTTP/1.1 101 "), "{switch}");
                assert_eq!(peer.hears_all(), [0x88, 0x02, 0x03, 0xe8], "the Close is answered, and nothing else is said");
            }
        }
    });
}
