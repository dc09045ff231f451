//! RFC 9112 §5, Field Syntax; RFC 9110 §5.

use crate::transcript::{get, refused, sees};

/// So many field lines, `Host` among them.
fn fields(lines: usize) -> String {
    get(&["X-Y: z"].repeat(lines - 1).join("\r\n"))
}

rows! {
    field_line: "§5: field-name \":\" OWS field-value OWS",
        get("X: a") => sees(["GET / x=a"]);
    field_without_space: "§5: the whitespace is optional",
        get("X:a") => sees(["GET / x=a"]);
    field_with_much_space: "§5.1: leading and trailing whitespace is no part of the value",
        get("X: \t  a b\tc \t ") => sees([r"GET / x=a b\tc"]);
    field_with_an_empty_value: "RFC 9110 §5.5: field-value = *field-content",
        get("X:") => sees(["GET / x="]);
    field_of_space_alone: "RFC 9110 §5.5: the same",
        get("X: \t ") => sees(["GET / x="]);
    field_names_have_no_case: "RFC 9110 §5.1: field names are case-insensitive",
        "GET / HTTP/1.1\r\nhOST: a\r\nX: 1\r\n\r\n" => sees(["GET / x=1"]);
    field_with_a_colon: "§5: the first colon ends the name",
        get("X: a: b:c") => sees(["GET / x=a: b:c"]);
    field_lines_of_one_name: "RFC 9110 §5.3: their order is part of their meaning",
        get("X: 1\r\nY: 0\r\nx: 2\r\nX: 3") => sees(["GET / x=1 x=2 x=3"]);
    space_before_the_colon: "§5.1: whitespace between name and colon MUST be a 400",
        get("X : a") => refused(400);
    tab_before_the_colon: "§5.1: the same",
        get("X\t: a") => refused(400);
    space_before_the_colon_of_a_framing_field: "§5.1: the same: this is how requests are smuggled",
        get("Content-Length : 5") => refused(400);
    no_colon: "§5: a field line has one",
        get("X") => refused(400);
    no_name: "RFC 9110 §5.1: field-name = token",
        get(": a") => refused(400);
    a_space_in_a_name: "RFC 9110 §5.1: the same",
        get("X Y: a") => refused(400);
    a_separator_in_a_name: "RFC 9110 §5.1: the same",
        get("X(Y): a") => refused(400);
    a_nul_in_a_name: "RFC 9110 §5.1: the same",
        get("X\0: a") => refused(400);
    a_byte_above_ascii_in_a_name: "RFC 9110 §5.1: the same",
        get("X\u{e9}: a") => refused(400);
    a_name_of_all_token_bytes: "RFC 9110 §5.6.2: tchar",
        get("!#$%&'*+-.^_`|~09azAZ: a\r\nX: 1") => sees(["GET / x=1"]);
    a_nul_in_a_value: "RFC 9110 §5.5: CR, LF and NUL MUST be refused or become a SP",
        get("X: a\0b") => refused(400);
    a_control_byte_in_a_value: "RFC 9110 §5.5: other control bytes are invalid too",
        get("X: a\x01b") => refused(400);
    an_escape_in_a_value: "RFC 9110 §5.5: the same",
        get("X: \x1b[31m") => refused(400);
    a_delete_in_a_value: "RFC 9110 §5.5: the same",
        get("X: a\x7f") => refused(400);
    obs_fold: "§5.2: obs-fold in a request MUST be a 400, or become SP",
        get("X: a\r\n b") => refused(400);
    obs_fold_by_tab: "§5.2: the same",
        get("X: a\r\n\tb") => refused(400);
    obs_fold_of_nothing: "§5.2: the same",
        get("X: a\r\n \r\nY: b") => refused(400);
    obs_fold_of_host: "§5.2: the same",
        "GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n" => refused(400);
    obs_fold_of_a_framing_field: "§5.2: the same",
        get("Transfer-Encoding:\r\n chunked") => refused(400);
    obs_fold_in_the_last_line: "§5.2: the same",
        get("X: a\r\n ") => refused(400);
    as_many_fields_as_may_be: "RFC 9110 §5.4: a limit of our own: 100 lines",
        fields(100) => sees(["GET /"]);
    too_many_fields: "RFC 9110 §5.4: more than we wish to process MUST be a 4xx, RFC 6585 §5: 431",
        fields(101) => refused(431);
    a_field_value_of_the_limit: "RFC 9110 §5.4: a limit of our own: 8 KiB",
        get(&format!("Y: {}", "v".repeat(8 << 10))) => sees(["GET /"]);
    a_field_value_too_large: "RFC 9110 §5.4: MUST be a 4xx",
        get(&format!("X: {}", "v".repeat((8 << 10) + 1))) => refused(431);
    a_field_name_of_the_limit: "RFC 9110 §5.4: a limit of our own: 64 bytes",
        get(&format!("{}: 1", "n".repeat(64))) => sees(["GET /"]);
    a_field_name_too_large: "RFC 9110 §5.4: MUST be a 4xx",
        get(&format!("{}: 1", "n".repeat(65))) => refused(431);
    a_head_too_large: "RFC 9110 §5.4: the same, all fields together",
        get(&format!("X: {0}\r\nY: {0}\r\nZ: {0}", "v".repeat(6 << 10))) => refused(431);
    a_field_without_end: "RFC 9110 §5.4: the same, and it need not be complete",
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "v".repeat(20 << 10)) => refused(431);
}
