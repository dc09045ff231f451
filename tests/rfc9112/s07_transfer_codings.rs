//! RFC 9112 §7, Transfer Codings; RFC 9110 §6.5.

use crate::transcript::{chunked, post, refused, sees};

/// A chunk of one byte whose extensions take so many bytes.
fn extended(bytes: usize) -> String {
    chunked(&format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(bytes - 1)))
}

/// No content, and this trailer section.
fn trailed(section: &str) -> String {
    chunked(&format!("1\r\nx\r\n0\r\n{section}\r\n"))
}

rows! {
    chunks: "§7.1: chunked-body = *chunk last-chunk trailer-section CRLF",
        chunked("5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n") => sees(["POST / hello world"]);
    no_chunks: "§7.1: the last one alone",
        chunked("0\r\n\r\n") => sees(["POST /"]);
    a_last_chunk_of_many_zeros: "§7.1: last-chunk = 1*\"0\"",
        chunked("1\r\nx\r\n0000\r\n\r\n") => sees(["POST / x"]);
    sizes_in_both_cases: "§7.1: HEXDIG has no case",
        chunked("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n") => sees(["POST / 01234567890123456789"]);
    sizes_with_zeros: "§7.1: chunk-size = 1*HEXDIG",
        chunked("0003\r\nabc\r\n0\r\n\r\n") => sees(["POST / abc"]);
    chunks_of_crlf: "§7.1: chunk-data is octets",
        chunked("4\r\n\r\n\r\n\r\n0\r\n\r\n") => sees([r"POST / \r\n\r\n"]);
    chunks_that_read_as_the_end: "§7.1: the same",
        chunked("5\r\n0\r\n\r\n\r\n0\r\n\r\n") => sees([r"POST / 0\r\n\r\n"]);
    a_size_of_2_to_the_63: "§7.1: MUST prevent overflow",
        chunked("8000000000000000\r\n") => refused(413);
    a_size_of_2_to_the_64: "§7.1: the same",
        chunked("10000000000000000\r\n") => refused(400);
    a_size_of_2_to_the_64_and_3: "§7.1: the same: 3, if it wrapped around",
        chunked("10000000000000003\r\nabc\r\n0\r\n\r\n") => refused(400);
    a_size_of_endless_zeros: "§7.1: the same: 16 digits at most",
        chunked("00000000000000003\r\nabc\r\n0\r\n\r\n") => refused(400);
    a_size_with_a_plus: "§7.1: 1*HEXDIG",
        chunked("+3\r\nabc\r\n0\r\n\r\n") => refused(400);
    a_size_with_a_minus: "§7.1: the same",
        chunked("-1\r\n") => refused(400);
    a_size_with_a_prefix: "§7.1: the same",
        chunked("0x3\r\nabc\r\n0\r\n\r\n") => refused(400);
    a_size_with_an_underscore: "§7.1: the same",
        chunked("1_0\r\n") => refused(400);
    a_size_behind_a_space: "§7.1: the same",
        chunked(" 3\r\nabc\r\n0\r\n\r\n") => refused(400);
    a_size_before_a_space: "§7.1: the same",
        chunked("3 \r\nabc\r\n0\r\n\r\n") => refused(400);
    a_size_that_is_none: "§7.1: the same",
        chunked("g\r\n") => refused(400);
    a_size_missing: "§7.1: the same",
        chunked("\r\nabc\r\n0\r\n\r\n") => refused(400);
    a_size_ended_by_lf: "§7.1: CRLF",
        chunked("3\nabc\r\n0\r\n\r\n") => refused(400);
    a_size_ended_by_cr: "§7.1: the same",
        chunked("3\rabc\r\n0\r\n\r\n") => refused(400);
    data_ended_by_lf: "§7.1: the same",
        chunked("3\r\nabc\n0\r\n\r\n") => refused(400);
    data_ended_by_cr: "§7.1: the same",
        chunked("3\r\nabc\r0\r\n\r\n") => refused(400);
    data_ended_by_another_byte_and_lf: "§7.1: the same",
        chunked("3\r\nabcX\n0\r\n\r\n") => refused(400);
    data_ended_by_cr_and_another_byte: "§7.1: the same",
        chunked("3\r\nabc\rX0\r\n\r\n") => refused(400);
    data_ended_by_nothing: "§7.1: the same",
        chunked("3\r\nabc0\r\n\r\n") => refused(400);
    data_too_long: "§7.1: chunk-data = 1*OCTET, a sequence of chunk-size octets",
        chunked("3\r\nabcd\r\n0\r\n\r\n") => refused(400);
    data_too_short: "§7.1: the same",
        chunked("4\r\nabc\r\n0\r\n\r\n") => refused(400);
    a_last_chunk_ended_by_lf: "§7.1: CRLF",
        chunked("0\n\r\n") => refused(400);
    an_extension: "§7.1.1: MUST ignore unrecognized ones",
        chunked("3;name=value\r\nabc\r\n0;last\r\n\r\n") => sees(["POST / abc"]);
    an_extension_quoted: "§7.1.1: chunk-ext-val = token / quoted-string",
        chunked("3;a=\"b;\\\"c\";d\r\nabc\r\n0\r\n\r\n") => sees(["POST / abc"]);
    an_extension_with_space: "§7.1.1: BWS around ; and =",
        chunked("3 ; a = b\t;c\r\nabc\r\n0\r\n\r\n") => sees(["POST / abc"]);
    extensions_of_the_limit: "§7.1.1: a server ought to limit their length: 256 bytes",
        extended(256) => sees(["POST / x"]);
    extensions_too_long: "§7.1.1: and answer with a 4xx",
        extended(257) => refused(400);
    an_extension_without_name: "§7.1.1: chunk-ext-name = token",
        chunked("3;\r\nabc\r\n0\r\n\r\n") => refused(400);
    an_extension_without_value: "§7.1.1: chunk-ext-val has a byte at least",
        chunked("3;a=\r\nabc\r\n0\r\n\r\n") => refused(400);
    an_extension_without_semicolon: "§7.1.1: it begins with one",
        chunked("3 a\r\nabc\r\n0\r\n\r\n") => refused(400);
    an_extension_with_a_bare_lf: "§7.1.1: others end the line there",
        chunked("3;a\nabc\r\n0\r\n\r\n") => refused(400);
    an_extension_with_a_bare_cr: "§7.1.1: the same",
        chunked("3;a\rb\r\nabc\r\n0\r\n\r\n") => refused(400);
    an_extension_with_a_nul: "§7.1.1: a token has none",
        chunked("3;a\0\r\nabc\r\n0\r\n\r\n") => refused(400);
    an_extension_quoted_without_end: "§7.1.1: quoted-string",
        chunked("3;a=\"b\r\nabc\r\n0\r\n\r\n") => refused(400);
    an_extension_quoted_over_a_line_end: "§7.1.1: the same: no CR or LF within",
        chunked("3;a=\"\r\nabc\r\n0\r\n\r\n\"\r\n") => refused(400);
    trailers: "§7.1.2: MAY be discarded",
        trailed("X: 1\r\nY: 2\r\n") => sees(["POST / x"]);
    trailers_of_framing: "§7.1.2, RFC 9110 §6.5.1: MUST NOT be merged unless that is known to be safe",
        trailed("Content-Length: 99\r\nTransfer-Encoding: gzip\r\n") => sees(["POST / x"]);
    trailers_of_routing: "RFC 9110 §6.5.1: the same",
        trailed("Host: evil\r\nConnection: close\r\n") => sees(["POST / x"]);
    trailers_of_authentication: "RFC 9110 §6.5.1: the same",
        trailed("Authorization: Basic Zm9vOmJhcg==\r\nX: 1\r\n") => sees(["POST / x"]);
    trailers_without_colon: "§7.1.2: field lines as any",
        trailed("X\r\n") => refused(400);
    trailers_with_a_space_before_the_colon: "§7.1.2, §5.1: the same",
        trailed("X : 1\r\n") => refused(400);
    trailers_folded: "§7.1.2, §5.2: the same",
        trailed("X: 1\r\n 2\r\n") => refused(400);
    trailers_with_a_bare_lf: "§7.1.2, §2.2: the same",
        trailed("X: 1\n") => refused(400);
    trailers_with_a_bare_cr: "§7.1.2, §2.2: the same",
        trailed("X: 1\r2\r\n") => refused(400);
    trailers_ended_by_lf: "§7.1.2, §2.2: the same",
        chunked("0\r\n\n") => refused(400);
    trailers_ended_by_cr: "§7.1.2, §2.2: the same",
        chunked("0\r\n\rX") => refused(400);
    too_many_trailers: "RFC 9110 §5.4: a limit of our own: 32",
        trailed(&"X: 1\r\n".repeat(33)) => refused(400);
    trailers_too_large: "RFC 9110 §5.4: the same: 8 KiB",
        trailed(&format!("X: {}\r\n", "v".repeat(8 << 10))) => refused(400);
    te_is_no_demand: "§7.4: a server need not send what TE names",
        "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers, gzip;q=0.5\r\nConnection: TE\r\n\r\n" => sees(["GET /"]).lacks("transfer-encoding");
    content_behind_chunks: "§7.1: what follows the empty line is the next message",
        format!("{}{}", chunked("1\r\nx\r\n0\r\n\r\n"), post("Content-Length: 1", "y")) => sees(["POST / x", "POST / y"]);
}
