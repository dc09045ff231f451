//! RFC 9112 §4, Status Line: what the server writes. What our client makes of one is in [`client`](crate::client).

use crate::transcript::{line, sees};

rows! {
    status_line: "§4: HTTP-version SP status-code SP reason-phrase",
        line("GET / HTTP/1.1") => sees(["GET /"]).has("HTTP/1.1 200 OK").content("ok");
    status_line_of_an_error: "§4: the same",
        line("GET /status/404 HTTP/1.1") => sees(["GET /status/404"]).hears([404]).has("HTTP/1.1 404 Not Found").content("no");
    status_line_without_reason: "§4: MUST send the space though the reason-phrase is absent",
        line("GET /status/599 HTTP/1.1") => sees(["GET /status/599"]).hears([599]).has("HTTP/1.1 599 ");
    status_line_to_1_0: "RFC 9110 §2.5: our version, whatever the request's",
        "GET /status/404 HTTP/1.0\r\n\r\n" => sees(["GET /status/404 HTTP/1.0"]).hears([404]).has("HTTP/1.1 404 Not Found").ends();
}
