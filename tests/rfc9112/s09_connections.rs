//! RFC 9112 §9, Connection Management: the server's side.

use crate::peer::{Cut, Peer, responses};
use crate::site::{address, seen_by_handler_of};
use crate::transcript::{get, line, post, sees};
use crate::transport::{Transport, over_each};

rows! {
    persistence: "§9.3: HTTP/1.1 goes on by default",
        line("GET /a HTTP/1.1") => sees(["GET /a"]).lacks("connection");
    persistence_with_keep_alive: "§9.3: it needs no keep-alive",
        get("Connection: keep-alive") => sees(["GET /"]);
    close: "§9.6: behind `close` MUST NOT process further requests, SHOULD say so, and MUST close",
        get("Connection: close") => sees(["GET /"]).has("connection: close").ends();
    close_in_capitals: "RFC 9110 §7.6.1: connection options have no case",
        get("Connection: CLOSE") => sees(["GET /"]).has("connection: close").ends();
    close_in_a_list: "RFC 9110 §7.6.1: Connection is a list",
        get("Connection: x, keep-alive ,\tclose,") => sees(["GET /"]).has("connection: close").ends();
    close_in_another_line: "RFC 9110 §5.3: a list in several lines is one",
        get("Connection: keep-alive\r\nConnection: close") => sees(["GET /"]).has("connection: close").ends();
    close_within_another_word: "RFC 9110 §7.6.1: an option is a whole token",
        get("Connection: not-close, closed") => sees(["GET /"]).lacks("connection");
    close_behind_content: "§9.6: the content belongs to the request",
        post("Connection: close\r\nContent-Length: 5", "hello") => sees(["POST / hello"]).has("connection: close").ends();
    persistence_of_1_0: "§9.3: HTTP/1.0 does not go on by default",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n" => sees(["GET / HTTP/1.0"]).has("connection: close").ends();
    persistence_of_1_0_with_keep_alive: "§9.3: with keep-alive it does, if the answer says so",
        "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" => sees(["GET / HTTP/1.0"]).has("connection: keep-alive");
    persistence_of_1_0_with_both: "§9.3: close is asked first",
        "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n" => sees(["GET / HTTP/1.0"]).has("connection: close").ends();
    close_by_the_server: "§9.6: a server that says close MUST close, and MUST NOT process further requests",
        line("GET /close HTTP/1.1") => sees(["GET /close"]).has("connection: close").ends().one_in_hand();
    the_whole_body_is_read: "§9.3: MUST read the entire body or close",
        post("Content-Length: 60000", &"b".repeat(60_000)) => sees([&format!("POST / {}", "b".repeat(60_000))]);
    pipelining: "§9.3.2: MUST answer in the order of requests",
        format!("{}{}", get("X: 1"), get("X: 2")) => sees(["GET / x=1", "GET / x=2"]);
    pipelining_behind_a_slow_one: "§9.3.2: the same, whatever the order of the answers",
        format!("{}{}", line("GET /slow HTTP/1.1"), line("GET /length HTTP/1.1")) => sees(["GET /slow", "GET /length"]).content("");
    pipelining_of_three_kinds: "§9.3.2: the same: a stream between whole ones",
        format!("{}{}{}", line("GET /slow HTTP/1.1"), line("GET /stream HTTP/1.1"), line("HEAD /a HTTP/1.1"))
            => sees(["GET /slow", "GET /stream", "HEAD /a"]);
    pipelining_of_a_fault: "§9.3.2: the refusal waits its turn as well",
        format!("{}{}", line("GET /slow HTTP/1.1"), "GET / HTTP/1.1\r\nHost : a\r\n\r\n") => sees(["GET /slow"]).then_refused(400);
    a_dropped_responder: "§9.2: each request has its response: one that the handler drops is a 500",
        line("GET /dropped HTTP/1.1") => sees(["GET /dropped"]).hears([500]);
    nothing_unasked: "§9.2: a 101 to a request that asked for nothing is a 500",
        line("GET /switch HTTP/1.1") => sees(["GET /switch"]).hears([500]);
    an_interim_answer: "§9.2, RFC 9110 §15.2: a 1xx is no answer: 500",
        line("GET /status/102 HTTP/1.1") => sees(["GET /status/102"]).hears([500]);
}

/// §8, §9.6: "a message … is incomplete": a response that cannot be finished must not look finished.
#[test]
fn an_unfinished_response_is_no_whole_one() {
    over_each(|transport| {
        let mut peer = Peer::connect(address(transport, 1), transport);
        peer.says(line("GET /unfinished HTTP/1.1"), Cut::Whole);
        let head = peer.hears_up_to("\r\n\r\n");
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        let rest = peer.hears_whatever();
        assert_eq!(String::from_utf8_lossy(&rest), "4\r\nhalf\r\n", "no last chunk, for it is not the whole");
    });
}

/// §9.6: the server closes in stages, so that no reset overtakes the last response: a client that goes on talking hears all of it.
#[test]
fn a_last_response_is_heard_by_one_who_goes_on_talking() {
    for transport in Transport::ALL {
        let mut peer = Peer::connect(address(transport, 1), transport);
        peer.says(get("Connection: close"), Cut::Whole);
        for _ in 0..50 {
            peer.says([b'x'; 4096], Cut::Whole);
        }
        let heard = peer.hears_all();
        let responses = responses(&heard, &[]);
        assert_eq!((responses.len(), responses[0].content.as_str()), (1, "ok"));
        peer.finishes();
        let ends = peer.ends;
        drop(peer);
        assert_eq!(seen_by_handler_of(ends), ["GET /"]);
    }
}

/// §9.3.2: a hundred requests in one write.
#[test]
fn a_hundred_pipelined_requests() {
    for transport in Transport::ALL {
        for limit in crate::site::LIMITS {
            let mut peer = Peer::connect(address(transport, limit), transport);
            let asked: Vec<String> = (0..100).map(|n| if n % 7 == 3 { format!("HEAD /{n}") } else { format!("GET /{n}") }).collect();
            let all: String = asked.iter().map(|start| line(&format!("{start} HTTP/1.1"))).collect();
            peer.says(all + &get("Connection: close"), Cut::Random(7));
            let heard = peer.hears_all();
            let methods: Vec<String> = asked.iter().map(|start| start.split(' ').next().unwrap().to_owned()).collect();
            assert_eq!(responses(&heard, &methods).len(), 101);
            peer.finishes();
            let ends = peer.ends;
            drop(peer);
            assert_eq!(seen_by_handler_of(ends)[..100], asked);
        }
    }
}
