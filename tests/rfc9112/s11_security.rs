//! RFC 9112 §11, Security Considerations. T07: each row is a pair of requests, one of which another reader would not see, or see in vain:
//! "the second request never reaches the handler" of a server that reads it as content, and what is content never becomes a request.

use crate::transcript::{Must, chunked, line, post, refused, sees};

/// The request that is to be smuggled.
const EVIL: &str = "GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n";

/// Front end: `Content-Length`; back end: `Transfer-Encoding`.
fn cl_te(coding: &str) -> String {
    let content = format!("0\r\n\r\n{EVIL}");
    post(&format!("Content-Length: {}\r\n{coding}", content.len()), &content)
}

/// Front end: `Transfer-Encoding`; back end: `Content-Length`, of the chunk-size line.
fn te_cl(coding: &str) -> String {
    post(&format!("{coding}\r\nContent-Length: 4"), &format!("{:x}\r\n{EVIL}\r\n0\r\n\r\n", EVIL.len()))
}

/// Two codings, of which each end obeys another.
fn te_te(codings: &str) -> String {
    post(codings, &format!("0\r\n\r\n{EVIL}"))
}

/// The evil request behind chunk framing that readers understand differently.
fn behind(framing: &str) -> String {
    chunked(&format!("{framing}{EVIL}"))
}

fn whole(request: &str) -> Must {
    sees([request])
}

rows! {
    t07_cl_te: "§11.2: CL.TE",
        cl_te("Transfer-Encoding: chunked") => refused(400);
    t07_cl_te_in_capitals: "§11.2: CL.TE, one that not all recognize",
        cl_te("TRANSFER-ENCODING: CHUNKED") => refused(400);
    t07_cl_te_without_space: "§11.2: the same",
        cl_te("Transfer-Encoding:chunked") => refused(400);
    t07_cl_te_with_tab: "§11.2: the same",
        cl_te("Transfer-Encoding:\tchunked") => refused(400);
    t07_cl_te_with_vertical_tab: "§11.2: the same",
        cl_te("Transfer-Encoding: \x0bchunked") => refused(400);
    t07_cl_te_with_form_feed: "§11.2: the same",
        cl_te("Transfer-Encoding: \x0cchunked") => refused(400);
    t07_cl_te_with_space_before_the_colon: "§11.2: the same",
        cl_te("Transfer-Encoding : chunked") => refused(400);
    t07_cl_te_behind_a_space: "§11.2: the same",
        cl_te(" Transfer-Encoding: chunked") => refused(400);
    t07_cl_te_folded: "§11.2: the same",
        cl_te("Transfer-Encoding:\r\n chunked") => refused(400);
    t07_cl_te_folded_into_another: "§11.2: the same",
        cl_te("X: y\r\n\tTransfer-Encoding: chunked") => refused(400);
    t07_cl_te_behind_a_bare_lf: "§11.2: the same",
        cl_te("X: y\nTransfer-Encoding: chunked") => refused(400);
    t07_cl_te_behind_a_bare_cr: "§11.2: the same",
        cl_te("X: y\rTransfer-Encoding: chunked") => refused(400);
    t07_cl_te_behind_a_nul: "§11.2: the same",
        cl_te("X: y\0\r\nTransfer-Encoding: chunked") => refused(400);
    t07_cl_te_with_a_nul: "§11.2: the same",
        cl_te("Transfer-Encoding: chunked\0") => refused(400);
    t07_cl_te_quoted: "§11.2: the same",
        cl_te("Transfer-Encoding: \"chunked\"") => refused(400);
    t07_cl_te_of_another_name: "§11.2: the same: an underscore makes a field of its own: it is content by its length",
        cl_te("Transfer_Encoding: chunked") => whole(r"POST / 0\r\n\r\nGET /evil HTTP/1.1\r\nHost: evil\r\n\r\n");
    t07_cl_te_of_an_unknown_coding: "§11.2: the same",
        cl_te("Transfer-Encoding: xchunked") => refused(400);
    t07_cl_te_of_identity: "§11.2: the same",
        cl_te("Transfer-Encoding: identity") => refused(400);
    t07_cl_te_of_nothing: "§11.2: the same",
        cl_te("Transfer-Encoding:") => refused(400);
    t07_cl_te_in_1_0: "§11.2: the same, downgraded",
        cl_te("Transfer-Encoding: chunked").replace("HTTP/1.1\r\nHost: a", "HTTP/1.0\r\nHost: a") => refused(400);
    t07_cl_te_named_in_connection: "§11.2: the same, as a hop that removes it would",
        cl_te("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked") => refused(400);
    t07_cl_0: "§11.2: CL.0: content that a server without use for it must not read as a request",
        post(&format!("Content-Length: {}", EVIL.len()), EVIL) => whole(r"POST / GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n");
    t07_cl_0_of_a_get: "§11.2: the same",
        format!("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{EVIL}", EVIL.len())
            => whole(r"GET /a GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n");
    t07_cl_0_of_an_expectation: "§11.2: the same behind a 100",
        post(&format!("Expect: 100-continue\r\nContent-Length: {}", EVIL.len()), EVIL)
            => whole(r"POST / GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n").hears([100, 200]).alone();
    t07_cl_0_of_a_refused_expectation: "§11.2: the same behind a 417: the content is neither asked for nor parsed",
        post(&format!("Expect: tea\r\nContent-Length: {}", EVIL.len()), EVIL) => refused(417);
    t07_te_cl: "§11.2: TE.CL",
        te_cl("Transfer-Encoding: chunked") => refused(400);
    t07_te_cl_of_a_list: "§11.2: the same",
        te_cl("Transfer-Encoding: gzip, chunked") => refused(400);
    t07_te_cl_with_a_plus: "§11.2: the same, with a length that not all read",
        te_cl("Transfer-Encoding: chunked").replace("Length: 4", "Length: +4") => refused(400);
    t07_te_te: "§11.2: TE.TE: one of them disguised",
        te_te("Transfer-Encoding: chunked\r\nTransfer-Encoding: x") => refused(400);
    t07_te_te_reversed: "§11.2: the same",
        te_te("Transfer-Encoding: x\r\nTransfer-Encoding: chunked") => refused(400);
    t07_te_te_of_identity: "§11.2: the same",
        te_te("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity") => refused(400);
    t07_te_te_with_a_space: "§11.2: the same",
        te_te("Transfer-Encoding: chunked\r\nTransfer-Encoding : x") => refused(400);
    t07_te_te_in_a_list: "§11.2: the same",
        te_te("Transfer-Encoding: chunked, x") => refused(400);
    t07_te_te_with_a_leading_comma: "§11.2: the same",
        te_te("Transfer-Encoding: ,chunked") => refused(400);
    t07_te_te_with_a_trailing_comma: "§11.2: the same",
        te_te("Transfer-Encoding: chunked,") => refused(400);
    t07_cl_cl: "§11.2: CL.CL: two lengths",
        post(&format!("Content-Length: 0\r\nContent-Length: {}", EVIL.len()), EVIL) => refused(400);
    t07_cl_cl_reversed: "§11.2: the same",
        post(&format!("Content-Length: {}\r\nContent-Length: 0", EVIL.len()), EVIL) => refused(400);
    t07_cl_cl_in_a_list: "§11.2: the same",
        post(&format!("Content-Length: 0, {}", EVIL.len()), EVIL) => refused(400);
    t07_cl_with_a_plus: "§11.2: a length that not all read",
        post(&format!("Content-Length: +{}", EVIL.len()), EVIL) => refused(400);
    t07_cl_with_a_minus: "§11.2: the same",
        post("Content-Length: -0", EVIL) => refused(400);
    t07_cl_of_octal: "§11.2: the same: a zero in front is a zero in front",
        post("Content-Length: 010", "0123456789") => whole("POST / 0123456789");
    t07_cl_of_hex: "§11.2: the same",
        post(&format!("Content-Length: {:#x}", EVIL.len()), EVIL) => refused(400);
    t07_cl_with_a_space_before_the_colon: "§11.2: the same",
        post(&format!("Content-Length : {}", EVIL.len()), EVIL) => refused(400);
    t07_cl_folded: "§11.2: the same",
        post(&format!("Content-Length:\r\n {}", EVIL.len()), EVIL) => refused(400);
    t07_cl_with_a_nul: "§11.2: the same",
        post(&format!("Content-Length: {}\0", EVIL.len()), EVIL) => refused(400);
    t07_cl_in_two_words: "§11.2: the same",
        post(&format!("Content-Length: {} 0", EVIL.len()), EVIL) => refused(400);
    t07_a_chunk_ended_by_lf: "§11.2: TERM.LF: where does the size line end?",
        behind("0\n\r\n") => refused(400);
    t07_a_chunk_ended_by_cr: "§11.2: the same",
        behind("0\r\r\n") => refused(400);
    t07_an_extension_with_lf: "§11.2: EXT.TERM: and where an extension?",
        behind("1;a\nx\r\n0\r\n\r\n") => refused(400);
    t07_an_extension_with_cr: "§11.2: the same",
        behind("1;a\rx\r\n0\r\n\r\n") => refused(400);
    t07_an_extension_quoting_a_line_end: "§11.2: the same",
        behind("1;a=\"\r\nx\r\n0\r\n\r\n") => refused(400);
    t07_data_ended_by_two_other_bytes: "§11.2: SPILL.TERM: two bytes skipped unseen",
        behind("1\r\nxXX0\r\n\r\n") => refused(400);
    t07_data_ended_by_lf: "§11.2: the same",
        behind("1\r\nx\n0\r\n\r\n") => refused(400);
    t07_data_too_long: "§11.2: SPILL",
        behind("1\r\nxy\r\n0\r\n\r\n") => refused(400);
    t07_a_size_that_wraps_around: "§11.2: an overflow",
        behind("10000000000000000\r\n\r\n") => refused(400);
    t07_a_size_of_minus_zero: "§11.2: a number that not all read",
        behind("-0\r\n\r\n") => refused(400);
    t07_a_size_with_a_prefix: "§11.2: the same",
        behind("0x0\r\n\r\n") => refused(400);
    t07_trailers_ended_by_lf: "§11.2: where do the trailers end?",
        behind("0\r\nX: y\r\n\n") => refused(400);
    t07_trailers_with_a_length: "§11.2: a length in trailers is no length",
        format!("{}{}", chunked(&format!("0\r\nContent-Length: {}\r\n\r\n", EVIL.len())), line("GET /a HTTP/1.1"))
            => sees(["POST /", "GET /a"]);
    t07_a_head_without_end: "§11.2: an empty line with a space in it",
        format!("GET / HTTP/1.1\r\nHost: a\r\n \r\n{EVIL}") => refused(400);
    t07_a_head_ended_by_lf: "§11.2: and one of LF",
        format!("GET / HTTP/1.1\r\nHost: a\r\n\n{EVIL}") => refused(400);
    t07_a_request_line_within_a_field: "§11.2: a line end within a value",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\rGET /evil HTTP/1.1\r\n\r\n" => refused(400);
    t07_a_request_line_within_a_target: "§11.2: within the request-target",
        "GET /\rGET /evil HTTP/1.1\r\nHost: a\r\n\r\n" => refused(400);
    t07_a_tunnel: "§11.2, RFC 9110 §9.3.6: what is behind CONNECT is not HTTP",
        format!("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n{EVIL}") => sees(["CONNECT a:80"]).ends();
    t07_a_tunnel_that_is_refused: "§11.2: unless it is refused: then HTTP goes on",
        format!("CONNECT status:80 HTTP/1.1\r\nHost: status:80\r\nContent-Length: {}\r\n\r\n{EVIL}", EVIL.len())
            => sees([r"CONNECT status:80 GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n"]).ends();
    t07_an_upgrade_that_is_refused: "§11.2: what is behind a handshake is HTTP only if that is refused",
        format!("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n{}", line("GET /a HTTP/1.1"))
            => sees(["GET /upgrade", "GET /a"]).hears([426, 200]);
    t07_an_upgrade_in_1_0: "§11.2, RFC 9110 §7.8: MUST ignore Upgrade in HTTP/1.0",
        "GET / HTTP/1.0\r\nConnection: upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n" => sees(["GET / HTTP/1.0"]).lacks("upgrade");
    t09_a_response_is_not_split: "§11.1: what a handler sets of framing and connection is ours to say",
        line("GET /managed HTTP/1.1") => sees(["GET /managed"]).has("content-length: 2").lacks("transfer-encoding").lacks("server: mine")
            .lacks("date: never").lacks("connection: keep-alive").content("ok");
}
