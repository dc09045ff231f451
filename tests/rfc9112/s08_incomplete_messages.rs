//! RFC 9112 §8, Handling Incomplete Messages: the server's side of it. No part of a request is a request.

use crate::transcript::{chunked, get, nothing, post, sees};

rows! {
    half_a_request_line: "§8: a request cut off",
        "GET / HT" => nothing().after_fin();
    half_a_field_line: "§8: the same",
        "GET / HTTP/1.1\r\nHost: a" => nothing().after_fin();
    no_empty_line: "§8: the same",
        "GET / HTTP/1.1\r\nHost: a\r\n" => nothing().after_fin();
    half_an_empty_line: "§8: the same",
        "GET / HTTP/1.1\r\nHost: a\r\n\r" => nothing().after_fin();
    no_content: "§8: fewer octets than Content-Length says: incomplete",
        post("Content-Length: 5", "") => nothing().after_fin();
    half_the_content: "§8: the same",
        post("Content-Length: 5", "hell") => nothing().after_fin();
    no_chunk: "§8: without the zero-sized chunk: incomplete",
        chunked("") => nothing().after_fin();
    half_a_chunk_size: "§8: the same",
        chunked("1") => nothing().after_fin();
    half_a_chunk: "§8: the same",
        chunked("5\r\nhe") => nothing().after_fin();
    no_last_chunk: "§8: the same",
        chunked("5\r\nhello\r\n") => nothing().after_fin();
    half_a_last_chunk: "§8: the same",
        chunked("5\r\nhello\r\n0\r\n") => nothing().after_fin();
    half_the_trailers: "§8: the same",
        chunked("5\r\nhello\r\n0\r\nX: 1\r\n") => nothing().after_fin();
    content_asked_for_and_not_sent: "§8, RFC 9110 §10.1.1: the same behind a 100",
        post("Expect: 100-continue\r\nContent-Length: 5", "") => nothing().hears([100]).after_fin().alone();
    half_a_request_behind_a_whole_one: "§8, §9.5: what is complete is answered",
        format!("{}GET /half HTTP/1.1\r\nHo", get("X: 1")) => sees(["GET / x=1"]).after_fin();
    two_requests_and_fin: "§9.6: a half-closed peer hears its answers",
        format!("{}{}", get("X: 1"), get("X: 2")) => sees(["GET / x=1", "GET / x=2"]).after_fin();
}
