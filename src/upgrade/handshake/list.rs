//! Field values of the handshake: lists, tokens, and fields that may stand only once (RFC 9110 §5.6).
//!
//! Each byte of a value is looked at a fixed number of times: a value is split once at its commas, an element once at its
//! semicolons. No backtracking, no recursion, nothing copied. (Quadratic and exponential readers of these lists were published as
//! vulnerabilities in other libraries.)

use std::collections::HashSet;

use http::header::{AsHeaderName, HeaderMap};

/// How often a field that may stand once does stand.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Once<'a> {
    Absent,
    /// The value, white space around it removed.
    One(&'a [u8]),
    Several,
}

/// The field that may stand only once: two lines of it are no value, as two readers would pick different ones.
pub(super) fn once(headers: &HeaderMap, name: impl AsHeaderName) -> Once<'_> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Once::Absent,
        (Some(value), None) => Once::One(value.as_bytes().trim_ascii()),
        (Some(_), Some(_)) => Once::Several,
    }
}

/// The elements of a list, over all its field lines, white space around them removed. Empty ones are skipped
/// (RFC 9110 §5.6.1.2).
///
/// A comma inside a quoted-string splits too. No list of the handshake may hold one: there the quoted text must be a token
/// (RFC 6455 §9.1), so both halves are malformed, as the whole is.
pub(super) fn elements(headers: &HeaderMap, name: impl AsHeaderName) -> impl Iterator<Item = &[u8]> {
    headers.get_all(name).into_iter().flat_map(|line| split(line.as_bytes()))
}

fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Whether the list has this token, in any case.
pub(super) fn names(headers: &HeaderMap, list: impl AsHeaderName, token: &str) -> bool {
    elements(headers, list).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// The subprotocols of a `Sec-WebSocket-Protocol`: tokens, each once, one at least. `None` where they are not (RFC 6455 §4.1
/// item 10). No line at all is no subprotocol.
pub(super) fn protocols(headers: &HeaderMap) -> Option<Vec<&str>> {
    let mut seen = HashSet::new();
    let mut protocols = Vec::new();
    for element in elements(headers, http::header::SEC_WEBSOCKET_PROTOCOL) {
        let protocol = token(element)?;
        if !seen.insert(protocol) {
            return None;
        }
        protocols.push(protocol);
    }
    (!protocols.is_empty() || !headers.contains_key(http::header::SEC_WEBSOCKET_PROTOCOL)).then_some(protocols)
}

/// The elements of `Sec-WebSocket-Extensions`, raw: one at least. `None` where one is malformed (RFC 6455 §9.1). No line at all
/// is no extension.
pub(super) fn extensions(headers: &HeaderMap) -> Option<Vec<&str>> {
    let extensions: Vec<&str> = elements(headers, http::header::SEC_WEBSOCKET_EXTENSIONS).map(extension).collect::<Option<_>>()?;
    (!extensions.is_empty() || !headers.contains_key(http::header::SEC_WEBSOCKET_EXTENSIONS)).then_some(extensions)
}

/// The name of a well-formed extension: what stands before its parameters.
pub(super) fn extension_name(extension: &str) -> &str {
    extension.split(';').next().unwrap_or_default().trim_ascii()
}

/// `token *( ";" token [ "=" (token | quoted-string) ] )`, and the quoted text is a token as well.
fn extension(element: &[u8]) -> Option<&str> {
    let mut parts = element.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let well_formed = parts.next().is_some_and(is_token)
        && parts.all(|parameter| match parameter.iter().position(|&byte| byte == b'=') {
            None => is_token(parameter),
            Some(at) => is_token(parameter[..at].trim_ascii()) && is_parameter_value(parameter[at + 1..].trim_ascii()),
        });
    if well_formed { std::str::from_utf8(element).ok() } else { None }
}

fn is_parameter_value(value: &[u8]) -> bool {
    let Some(quoted) = value.strip_prefix(b"\"") else { return is_token(value) };
    let Some(quoted) = quoted.strip_suffix(b"\"") else { return false };
    let mut some = false;
    let mut bytes = quoted.iter();
    while let Some(&byte) = bytes.next() {
        let unescaped = if byte == b'\\' { bytes.next().copied() } else { Some(byte) };
        if !unescaped.is_some_and(is_token_byte) {
            return false;
        }
        some = true;
    }
    some
}

/// The bytes as a token (RFC 9110 §5.6.2), if they are one.
fn token(bytes: &[u8]) -> Option<&str> {
    if is_token(bytes) { std::str::from_utf8(bytes).ok() } else { None }
}

/// Whether these bytes are a token (RFC 9110 §5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL};
    use proptest::prelude::*;

    fn headers(name: http::HeaderName, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn a_list_is_read_over_all_its_lines_and_empty_elements_are_skipped() {
        let headers = headers(CONNECTION, &["keep-alive,, \tUpgrade ,", "", " , close"]);
        let got: Vec<_> = elements(&headers, CONNECTION).collect();
        assert_eq!(got, [&b"keep-alive"[..], b"Upgrade", b"close"]);
        assert!(names(&headers, CONNECTION, "UPGRADE") && !names(&headers, CONNECTION, "up"));
    }

    #[test]
    fn a_field_that_stands_once_is_one_and_two_are_several() {
        assert_eq!(once(&headers(CONNECTION, &[]), CONNECTION), Once::Absent);
        assert_eq!(once(&headers(CONNECTION, &[" a "]), CONNECTION), Once::One(b"a"));
        assert_eq!(once(&headers(CONNECTION, &["a", "a"]), CONNECTION), Once::Several);
    }

    #[test]
    fn subprotocols_are_tokens_each_once() {
        for (lines, expected) in [
            (&[][..], Some(vec![])),
            (&["chat"], Some(vec!["chat"])),
            (&["chat, v2.chat", "echo"], Some(vec!["chat", "v2.chat", "echo"])),
            (&["chat, Chat"], Some(vec!["chat", "Chat"])),
            (&["chat, chat"], None),
            (&["chat", "chat"], None),
            (&["chat room"], None),
            (&["chat/1"], None),
            (&["\"chat\""], None),
            (&[""], None),
            (&[",,,"], None),
        ] {
            assert_eq!(protocols(&headers(SEC_WEBSOCKET_PROTOCOL, lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn extensions_follow_the_grammar_of_rfc_6455_9_1() {
        for (line, legal) in [
            ("permessage-deflate", true),
            ("permessage-deflate; client_max_window_bits", true),
            ("permessage-deflate ; client_max_window_bits = 10 ; x=\"1\\0\", bar", true),
            ("a;b=\"c\"", true),
            ("a;", false),
            (";a", false),
            ("a;b=", false),
            ("a;=b", false),
            ("a;b=\"\"", false),
            ("a;b=\"", false),
            ("a;b=\"c", false),
            ("a;b=\"c\\\"", false),
            ("a;b=\"c d\"", false),
            ("a;b=\"c,d\"", false),
            ("a;b=\"c;d\"", false),
            ("a;b=c=d", false),
            ("a b", false),
            (",,,", false),
        ] {
            assert_eq!(extensions(&headers(SEC_WEBSOCKET_EXTENSIONS, &[line])).is_some(), legal, "{line}");
        }
    }

    proptest! {
        /// Linear by construction: the elements are slices of the line, in order, none over another.
        #[test]
        fn the_elements_of_a_line_never_overlap(line in "[,;=\" a-c\t]{0,300}") {
            let mut behind = line.as_ptr() as usize;
            for element in split(line.as_bytes()) {
                prop_assert!(element.as_ptr() as usize >= behind && !element.is_empty());
                behind = element.as_ptr() as usize + element.len() + 1;
            }
            prop_assert!(behind <= line.as_ptr() as usize + line.len() + 1);
        }
    }
}
