//! RFC 9112 §2, Message.

use crate::transcript::{get, line, nothing, post, refused, sees};

rows! {
    message_format: "§2.1: a start-line, field lines, an empty line, and perhaps a body",
        post("X: 1\r\nContent-Length: 5", "hello") => sees(["POST / x=1 hello"]);
    message_octets: "§2.2: MUST parse as octets in a superset of US-ASCII: a byte above it is no character of UTF-8",
        [b"GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\xff\x80\r\n\r\n".as_slice()].concat() => sees([r"GET / x=\xe9\xff\x80"]);
    bare_lf_behind_the_request_line: "§2.2: MAY take a single LF for a line's end; we do not, as others may not",
        "GET / HTTP/1.1\nHost: a\r\n\r\n" => refused(400);
    bare_lf_behind_a_field_line: "§2.2: the same",
        "GET / HTTP/1.1\r\nHost: a\n\r\n" => refused(400);
    bare_lf_for_the_empty_line: "§2.2: the same",
        "GET / HTTP/1.1\r\nHost: a\r\n\n" => refused(400);
    bare_lf_everywhere: "§2.2: the same",
        "GET / HTTP/1.1\nHost: a\n\n" => refused(400);
    bare_cr_in_the_request_line: "§2.2: a bare CR MUST be invalid, or become a SP",
        "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n" => refused(400);
    bare_cr_behind_the_request_line: "§2.2: the same",
        "GET / HTTP/1.1\rHost: a\r\n\r\n" => refused(400);
    bare_cr_in_a_value: "§2.2: the same",
        get("X: a\rb") => refused(400);
    bare_cr_in_a_name: "§2.2: the same",
        get("X\ry: a") => refused(400);
    bare_cr_before_a_line_end: "§2.2: the same",
        "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n" => refused(400);
    bare_cr_for_the_empty_line: "§2.2: the same",
        "GET / HTTP/1.1\r\nHost: a\r\n\rX" => refused(400);
    an_empty_line_first: "§2.2: a server SHOULD ignore at least one empty line before the request-line",
        format!("\r\n{}", get("X: 1")) => sees(["GET / x=1"]);
    an_empty_line_between: "§2.2: the same, behind a body by an old user agent",
        format!("{}\r\n{}", post("Content-Length: 2", "ab"), get("X: 2")) => sees(["POST / ab", "GET / x=2"]);
    two_empty_lines_first: "§2.2: at least one; we ignore no more",
        format!("\r\n\r\n{}", get("X: 1")) => refused(400);
    space_before_the_first_field: "§2.2: whitespace behind the start-line MUST be refused, or each such line ignored",
        "GET / HTTP/1.1\r\n X: 1\r\nHost: a\r\n\r\n" => refused(400);
    tab_before_the_first_field: "§2.2: the same",
        "GET / HTTP/1.1\r\n\tHost: a\r\n\r\n" => refused(400);
    space_alone_behind_the_start_line: "§2.2: the same",
        "GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n" => refused(400);
    space_before_the_request_line: "§2.2: what does not match the grammar SHOULD be a 400, then closed",
        format!(" {}", get("X: 1")) => refused(400);
    not_http_at_all: "§2.2: the same: a TLS hello",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" => refused(400);
    garbage: "§2.2: the same",
        "hello world\r\n\r\n" => refused(400);
    version_1_0: "§2.3, RFC 9110 §2.5: a request of HTTP/1.0 is answered as HTTP/1.1 speaks",
        "GET / HTTP/1.0\r\n\r\n" => sees(["GET / HTTP/1.0"]).ends().has("HTTP/1.1 200 OK");
    version_1_2: "RFC 9110 §2.5: a higher minor version is treated as the highest of ours",
        line("GET / HTTP/1.2") => sees(["GET /"]);
    version_1_9: "RFC 9110 §2.5: the same",
        line("GET / HTTP/1.9") => sees(["GET /"]);
    version_2_0: "RFC 9110 §15.6.6: a major version that is not ours is a 505",
        line("GET / HTTP/2.0") => refused(505);
    version_preface: "RFC 9110 §15.6.6: HTTP/2's own first line",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" => refused(505);
    version_0_9: "RFC 9110 §15.6.6: the same, below ours",
        line("GET / HTTP/0.9") => refused(505);
    version_missing: "§3: HTTP/0.9's request-line is none",
        "GET /\r\n\r\n" => refused(400);
    version_in_lower_case: "§2.3: HTTP-version is case-sensitive",
        line("GET / http/1.1") => refused(400);
    version_of_two_digits: "§2.3: one digit each",
        line("GET / HTTP/1.10") => refused(400);
    version_with_zeros: "§2.3: the same",
        line("GET / HTTP/01.1") => refused(400);
    version_without_minor: "§2.3: the same",
        line("GET / HTTP/1") => refused(400);
    version_by_another_name: "§2.3: HTTP-name is HTTP",
        line("GET / ICAP/1.1") => refused(400);
    nothing_said: "§2.2: no message is no error: a connection that closes is closed",
        "" => nothing().after_fin();
}
