//! RFC 9112 §3, Request Line; RFC 9110 §7.1, §7.2.

use crate::transcript::{get, line, refused, sees};

/// A request-target of so many bytes.
fn target(length: usize) -> String {
    format!("/{}", "t".repeat(length - 1))
}

rows! {
    two_spaces_behind_the_method: "§3: a single space; whitespace elsewhere is how requests are smuggled",
        line("GET  / HTTP/1.1") => refused(400);
    two_spaces_before_the_version: "§3: the same",
        line("GET /  HTTP/1.1") => refused(400);
    a_tab_for_a_space: "§3: the same",
        line("GET\t/\tHTTP/1.1") => refused(400);
    a_vertical_tab_for_a_space: "§3: the same",
        line("GET\x0b/ HTTP/1.1") => refused(400);
    a_space_behind_the_version: "§3: the same",
        line("GET / HTTP/1.1 ") => refused(400);
    a_third_word: "§3.2: no whitespace in the request-target; a 400 and no redirect is what we do",
        line("GET /a b HTTP/1.1") => refused(400);
    a_method_of_ones_own: "§3.1: method = token, case-sensitive",
        line("M-search!#$ / HTTP/1.1") => sees(["M-search!#$ /"]);
    a_method_in_lower_case: "§3.1: the method is case-sensitive: this is not GET",
        line("get / HTTP/1.1") => sees(["get /"]);
    a_method_that_is_no_token: "§3.1: method = token",
        line("G(T / HTTP/1.1") => refused(400);
    a_nul_in_the_method: "§3.1: the same",
        line("G\0T / HTTP/1.1") => refused(400);
    a_colon_in_the_method: "§3.1: the same",
        line("GET: / HTTP/1.1") => refused(400);
    a_method_too_long: "§3: longer than any that we implement SHOULD be a 501",
        line(&format!("{} / HTTP/1.1", "M".repeat(17))) => refused(501);
    a_target_of_8000: "§3: SHOULD support request-lines of 8000 octets",
        line(&format!("GET {} HTTP/1.1", target(8000))) => sees([&format!("GET {}", target(8000))]);
    a_target_of_the_limit: "§3: ours is 8 KiB",
        line(&format!("GET {} HTTP/1.1", target(8 << 10))) => sees([&format!("GET {}", target(8 << 10))]);
    a_target_too_long: "§3: longer than any we wish to parse MUST be a 414",
        line(&format!("GET {} HTTP/1.1", target((8 << 10) + 1))) => refused(414);
    a_target_far_too_long: "§3: the same, longer than a head may be",
        line(&format!("GET {} HTTP/1.1", target(40 << 10))) => refused(414);
    a_fragment: "§3.2: a request-target has none",
        line("GET /#top HTTP/1.1") => refused(400);
    a_control_byte_in_the_target: "§3.2: not in a URI",
        line("GET /\x01 HTTP/1.1") => refused(400);
    a_nul_in_the_target: "§3.2: the same",
        line("GET /\0 HTTP/1.1") => refused(400);
    a_byte_above_ascii_in_the_target: "§3.2: the same",
        line("GET /\u{e9} HTTP/1.1") => refused(400);
    a_percent_encoded_target: "§3.2: is left as it is",
        line("GET /%2e%2E/%00?a=%20 HTTP/1.1") => sees(["GET /%2e%2E/%00?a=%20"]);
    no_host: "§3.2: HTTP/1.1 without Host MUST be a 400",
        "GET / HTTP/1.1\r\n\r\n" => refused(400);
    no_host_among_others: "§3.2: the same",
        "GET / HTTP/1.1\r\nX: 1\r\nAccept: */*\r\n\r\n" => refused(400);
    no_host_in_1_0: "§3.2: HTTP/1.0 needs none",
        "GET / HTTP/1.0\r\nX: 1\r\n\r\n" => sees(["GET / HTTP/1.0 x=1"]).ends();
    two_hosts: "§3.2: more than one Host line MUST be a 400",
        get("Host: b") => refused(400);
    the_same_host_twice: "§3.2: the same, though they agree",
        get("host: a") => refused(400);
    two_hosts_in_1_0: "§3.2: the same, to any request message",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n" => refused(400);
    a_list_of_hosts: "§3.2: an invalid Host MUST be a 400",
        "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n" => refused(400);
    a_host_with_userinfo: "§3.2, RFC 9110 §4.2.4: the same",
        "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n" => refused(400);
    a_host_with_a_path: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n" => refused(400);
    a_host_with_a_space: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" => refused(400);
    a_host_with_a_port_that_is_none: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: a:http\r\n\r\n" => refused(400);
    a_host_with_a_port_beyond_tcp: "§3.2: the same: no TCP port is beyond 65535",
        "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n" => refused(400);
    a_host_with_the_last_port: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: a:65535\r\n\r\n" => sees(["GET /"]);
    a_host_with_a_port_of_many_digits: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: a:00000000000000000000080\r\n\r\n" => sees(["GET /"]);
    a_host_with_bytes_behind_an_ipv6: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: [::1]evil\r\n\r\n" => refused(400);
    a_host_of_ipv6_without_brackets: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n" => refused(400);
    a_host_that_is_no_ip_in_brackets: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: [evil]\r\n\r\n" => refused(400);
    a_host_with_a_broken_escape: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n" => refused(400);
    a_host_with_a_backslash: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n" => refused(400);
    a_host_with_a_query: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n" => refused(400);
    a_host_with_a_quote: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: a\"b\r\n\r\n" => refused(400);
    a_host_with_angles: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: <a>\r\n\r\n" => refused(400);
    a_host_that_is_a_port: "§3.2, RFC 9110 §4.2.1: the same: an empty host",
        "GET / HTTP/1.1\r\nHost: :80\r\n\r\n" => refused(400);
    a_host_with_a_nul: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: a\0\r\n\r\n" => refused(400);
    a_host_with_a_broken_ipv6: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n" => refused(400);
    a_host_with_a_port: "§3.2: Host = uri-host [ \":\" port ]",
        "GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n" => sees(["GET /"]);
    a_host_of_ipv6: "§3.2: the same",
        "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n" => sees(["GET /"]);
    a_host_last: "RFC 9110 §7.2: first is good practice, not a rule",
        "GET / HTTP/1.1\r\nX: 1\r\nHost: a\r\n\r\n" => sees(["GET / x=1"]);
    #[ignore = "RFC 9112 §3.2: Host is empty where the target has no authority. That is of no http URI (RFC 9110 §4.2.1): 400, unless the server has a `default_host_header` (tests/streaming/dress.rs)"]
    an_empty_host: "§3.2: a client sends an empty Host where the target has no authority",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n" => sees(["GET /"]);
    an_empty_host_is_refused: "RFC 9110 §4.2.1: an http URI with an empty host MUST be refused",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n" => refused(400);
    origin_form: "§3.2.1: absolute-path and query",
        line("GET /a/b?c=d&e=/?f HTTP/1.1") => sees(["GET /a/b?c=d&e=/?f"]);
    origin_form_without_slash: "§3.2.1: a path begins with a slash",
        line("GET a/b HTTP/1.1") => refused(400);
    origin_form_of_a_query_alone: "§3.2.1: the same",
        line("GET ?a HTTP/1.1") => refused(400);
    origin_form_of_two_slashes: "§3.2.1: an empty first segment is a path, no authority",
        line("GET //evil/x HTTP/1.1") => sees(["GET //evil/x"]);
    absolute_form: "§3.2.2: a server MUST accept the absolute-form",
        line("GET http://a/b?c HTTP/1.1") => sees(["GET http://a/b?c"]);
    absolute_form_with_the_default_port: "§3.2.2: the same, Host says the same by its default port",
        line("GET http://a:80/ HTTP/1.1") => sees(["GET http://a:80/"]);
    absolute_form_in_capitals: "§3.2.2, RFC 9110 §4.2.3: scheme and host have no case",
        line("GET HTTP://A/ HTTP/1.1") => sees(["GET http://A/"]);
    absolute_form_with_options: "§3.2.2: the same with OPTIONS",
        line("OPTIONS http://a/x HTTP/1.1") => sees(["OPTIONS http://a/x"]);
    absolute_form_with_userinfo: "RFC 9110 §4.2.4: SHOULD be an error: it hides whom one talks to",
        line("GET http://a@a/ HTTP/1.1") => refused(400);
    absolute_form_with_a_port_beyond_tcp: "§3.2.2: no TCP port is beyond 65535",
        line("GET http://a:65616/ HTTP/1.1") => refused(400);
    absolute_form_of_another_scheme: "§3.2.2: absolute-URI, whatever its scheme",
        line("GET ftp://a/ HTTP/1.1") => sees(["GET ftp://a/"]);
    absolute_form_with_a_query_alone: "§3.2.2: the same, without a path",
        line("GET http://a?b HTTP/1.1") => sees(["GET http://a/?b"]);
    absolute_form_without_host: "§3.2: Host is needed with it too",
        "GET http://a/ HTTP/1.1\r\n\r\n" => refused(400);
    absolute_form_of_an_empty_host: "RFC 9110 §4.2.1: an http URI with an empty host MUST be refused",
        line("GET http:///a HTTP/1.1") => refused(400);
    #[ignore = "RFC 9112 §3.2.2: Host is ignored behind an absolute-form. Two readers that differ here are a cache to poison: a Host that contradicts is a 400"]
    absolute_form_against_host: "§3.2.2: an origin server MUST ignore Host and use the target's",
        line("GET http://b/ HTTP/1.1") => sees(["GET http://b/"]);
    absolute_form_against_host_is_refused: "§3.2.2, §11.2: what we do in place of it, and nobody is misled",
        line("GET http://b/ HTTP/1.1") => refused(400);
    absolute_form_against_hosts_port_is_refused: "§3.2.2, §11.2: the same",
        line("GET http://a:81/ HTTP/1.1") => refused(400);
    authority_form: "§3.2.3: only with CONNECT; its success ends HTTP",
        "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" => sees(["CONNECT a:80"]).ends();
    authority_form_with_get: "§3.2.3: only with CONNECT",
        line("GET a:80 HTTP/1.1") => refused(400);
    authority_form_without_port: "RFC 9110 §9.3.6: CONNECT to an empty port MUST be refused",
        "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n" => refused(400);
    authority_form_with_an_empty_port: "RFC 9110 §9.3.6: the same",
        "CONNECT a: HTTP/1.1\r\nHost: a:\r\n\r\n" => refused(400);
    authority_form_with_an_invalid_port: "RFC 9110 §9.3.6: or to an invalid one",
        "CONNECT a:99999 HTTP/1.1\r\nHost: a:99999\r\n\r\n" => refused(400);
    connect_with_origin_form: "§3.2.3: CONNECT MUST send the authority only",
        "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n" => refused(400);
    connect_with_absolute_form: "§3.2.3: the same",
        "CONNECT http://a:80/ HTTP/1.1\r\nHost: a:80\r\n\r\n" => refused(400);
    asterisk_form: "§3.2.4: with OPTIONS",
        line("OPTIONS * HTTP/1.1") => sees(["OPTIONS *"]);
    asterisk_form_with_get: "§3.2.4: only with OPTIONS",
        line("GET * HTTP/1.1") => refused(400);
    two_asterisks: "§3.2.4: one",
        line("OPTIONS ** HTTP/1.1") => refused(400);
}
