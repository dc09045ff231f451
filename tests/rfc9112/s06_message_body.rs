//! RFC 9112 §6, Message Body; RFC 9110 §8.6.

use crate::transcript::{chunked, line, post, refused, sees};

/// A chunked `POST` whose `Transfer-Encoding` is this.
fn coded(value: &str) -> String {
    post(&format!("Transfer-Encoding: {value}"), "3\r\nabc\r\n0\r\n\r\n")
}

/// A `POST` of five bytes whose `Content-Length` is this.
fn sized(value: &str) -> String {
    post(&format!("Content-Length: {value}"), "hello")
}

rows! {
    no_body: "§6: its presence is told by Content-Length or Transfer-Encoding",
        post("X: 1", "") => sees(["POST / x=1"]);
    body_of_a_get: "§6: framing is independent of the method's meaning: a GET's content is content",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" => sees(["GET / hello"]);
    body_of_a_delete: "§6: the same, chunked",
        "DELETE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" => sees(["DELETE / x"]);
    body_of_a_head: "§6: the same with HEAD, whose response has none",
        "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" => sees(["HEAD / hello"]).has("content-length: 2");
    body_of_an_unknown_method: "§6: the same",
        "BREW / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" => sees(["BREW / hello"]);
    body_that_reads_as_a_request: "§6: content is octets, whatever they look like",
        post("Content-Length: 33", "GET /evil HTTP/1.1\r\nHost: evil\r\n\r") => sees([r"POST / GET /evil HTTP/1.1\r\nHost: evil\r\n\r"]);
    chunked_is_understood: "§6.1: MUST be able to parse the chunked transfer coding",
        chunked("3\r\nabc\r\n0\r\n\r\n") => sees(["POST / abc"]);
    chunked_has_no_case: "§7: coding names are case-insensitive",
        coded("CHUNKED") => sees(["POST / abc"]);
    chunked_with_space: "RFC 9110 §5.5: whitespace around a value is no part of it",
        coded("\t chunked \t") => sees(["POST / abc"]);
    an_unknown_coding: "§6.1: SHOULD be a 501",
        coded("gzip, chunked") => refused(501);
    another_unknown_coding: "§6.1: the same",
        coded("x-own, chunked") => refused(501);
    chunked_is_not_last: "§6.3: MUST be a 400, then closed",
        coded("chunked, gzip") => refused(400);
    chunked_is_not_there: "§6.3: the same",
        coded("gzip") => refused(400);
    chunked_twice: "§6.1: MUST NOT be applied more than once",
        coded("chunked, chunked") => refused(400);
    chunked_twice_in_two_lines: "§6.1: the same",
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n") => refused(400);
    codings_in_two_lines: "§6.1: other readers take the first or the last",
        post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "0\r\n\r\n") => refused(400);
    chunked_with_a_parameter: "§7: chunked has none; its presence SHOULD be an error",
        coded("chunked;q=1") => refused(400);
    chunked_quoted: "§6.1: transfer-coding = token",
        coded("\"chunked\"") => refused(400);
    an_empty_coding: "§6.1: the same",
        coded("") => refused(400);
    identity: "§6.1: was withdrawn with RFC 7230, and is no coding",
        coded("identity") => refused(400);
    identity_before_chunked: "§6.1: the same",
        coded("identity, chunked") => refused(400);
    a_coding_in_1_0: "§6.1: in HTTP/1.0 the framing MUST be taken as faulty, and the connection closed",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" => refused(400);
    a_coding_in_1_0_with_a_length: "§6.1: the same",
        "POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" => refused(400);
    a_coding_and_a_length: "§6.3: ought to be an error; MUST close behind it",
        post("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n") => refused(400);
    a_length_and_a_coding: "§6.3: the same",
        post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n") => refused(400);
    a_length_of_0_and_a_coding: "§6.3: the same",
        post("Content-Length: 0\r\nTransfer-Encoding: chunked", "0\r\n\r\n") => refused(400);
    content_length: "§6.2: the length in octets",
        sized("5") => sees(["POST / hello"]);
    content_length_0: "§6.2: Content-Length = 1*DIGIT",
        post("Content-Length: 0", "") => sees(["POST /"]);
    content_length_with_zeros: "RFC 9110 §8.6: the same",
        sized("0005") => sees(["POST / hello"]);
    content_length_with_a_plus: "§6.3: an invalid one MUST be a 400, then closed",
        sized("+5") => refused(400);
    content_length_with_a_minus: "§6.3: the same",
        sized("-5") => refused(400);
    content_length_in_hex: "§6.3: the same",
        sized("0x5") => refused(400);
    content_length_with_an_underscore: "§6.3: the same",
        sized("1_0") => refused(400);
    content_length_with_a_fraction: "§6.3: the same",
        sized("5.0") => refused(400);
    content_length_in_words: "§6.3: the same",
        sized("five") => refused(400);
    content_length_of_nothing: "§6.3: the same",
        sized("") => refused(400);
    content_length_with_a_space_within: "§6.3: the same",
        sized("1 0") => refused(400);
    content_length_with_a_comma: "§6.3: the same",
        sized("5,") => refused(400);
    content_lengths_that_differ_in_a_list: "§6.3: the same",
        sized("5, 6") => refused(400);
    content_lengths_that_agree_in_a_list: "§6.3: MAY be taken as one; we do not",
        sized("5, 5") => refused(400);
    content_lengths_that_differ: "§6.3: MUST be a 400, then closed",
        post("Content-Length: 5\r\nContent-Length: 6", "hello") => refused(400);
    content_lengths_that_agree: "§6.3: MAY be taken as one; we do not",
        post("Content-Length: 5\r\nContent-Length: 5", "hello") => refused(400);
    content_length_of_2_to_the_63: "RFC 9110 §8.6: MUST anticipate large numerals, and no overflow",
        sized("9223372036854775808") => refused(400);
    content_length_of_2_to_the_64: "RFC 9110 §8.6: the same",
        sized("18446744073709551616") => refused(400);
    content_length_of_2_to_the_64_and_5: "RFC 9110 §8.6: the same: 5, if it wrapped around",
        sized("18446744073709551621") => refused(400);
    content_length_beyond_the_limit: "RFC 9110 §15.5.14: more than we are willing to process, judged by the head",
        post("Content-Length: 100001", "") => refused(413);
    content_of_the_limit: "RFC 9110 §15.5.14: a limit of our own, set for these tests",
        post("Content-Length: 100000", &"c".repeat(100_000)) => sees([&format!("POST / {}", "c".repeat(100_000))]);
    chunks_beyond_the_limit: "RFC 9110 §15.5.14: the same however it is framed",
        chunked(&format!("{:x}\r\n{}\r\n1\r\nx\r\n", 100_000, "c".repeat(100_000))) => refused(413);
    a_response_has_a_length: "§6.3: that of its content",
        line("GET / HTTP/1.1") => sees(["GET /"]).has("content-length: 2").lacks("transfer-encoding");
    a_streamed_response_is_chunked: "§6.1, §7.1: chunked where the length is not known",
        line("GET /stream HTTP/1.1") => sees(["GET /stream"]).has("transfer-encoding: chunked").content("one two three");
    a_streamed_response_to_1_0: "§6.1: no Transfer-Encoding unless the request is HTTP/1.1; its end is the connection's",
        "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
            => sees(["GET /stream HTTP/1.0"]).lacks("transfer-encoding").lacks("content-length").has("connection: close").content("one two three").ends().one_in_hand();
    a_204_has_neither: "§6.1, RFC 9110 §8.6: MUST NOT send Transfer-Encoding or Content-Length with it",
        line("GET /status/204 HTTP/1.1") => sees(["GET /status/204"]).hears([204]).lacks("content-length").lacks("transfer-encoding");
    a_304_has_no_content: "§6.3: ends with its head",
        line("GET /status/304 HTTP/1.1") => sees(["GET /status/304"]).hears([304]).lacks("transfer-encoding");
    a_205_has_no_content: "RFC 9110 §15.3.6: MUST NOT generate content in it",
        line("GET /status/205 HTTP/1.1") => sees(["GET /status/205"]).hears([205]).has("content-length: 0");
    a_tunnel_has_neither: "§6.1, RFC 9110 §8.6, §9.3.6: nor with a 2xx to CONNECT",
        "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" => sees(["CONNECT a:80"]).lacks("content-length").lacks("transfer-encoding").ends();
}
