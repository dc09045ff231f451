//! Version 1: a line of text (§2.1).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Addresses, Header, HeaderError, begins};

/// The longest line, with its CRLF.
const LINE: usize = 107;
const START: &[u8] = b"PROXY ";

pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Header, usize)>, HeaderError> {
    if !begins(bytes, START) {
        return Err(HeaderError::NoHeader);
    }
    let within = &bytes[..bytes.len().min(LINE)];
    let Some(end) = within.windows(2).position(|pair| pair == b"\r\n") else {
        return if within.len() < LINE { Ok(None) } else { Err(HeaderError::Line("a line of more than 107 bytes")) };
    };
    let rest = within.get(START.len()..end).ok_or(HeaderError::Line("a line without a protocol"))?;
    let text = std::str::from_utf8(rest).map_err(|_| HeaderError::Line("a line that is no text"))?;
    Ok(Some((Header { addresses: addresses(text)?, tlvs: Vec::new() }, end + 2)))
}

fn addresses(text: &str) -> Result<Option<Addresses>, HeaderError> {
    let mut words = text.split(' ');
    let address: fn(&str) -> Option<IpAddr> = match words.next() {
        Some("TCP4") => |word| word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        Some("TCP6") => |word| word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        // Whatever follows is to be ignored.
        Some("UNKNOWN") => return Ok(None),
        _ => return Err(HeaderError::Line("neither TCP4, TCP6 nor UNKNOWN")),
    };
    let mut ip = || words.next().and_then(address).ok_or(HeaderError::Line("an address that is none"));
    let (source, destination) = (ip()?, ip()?);
    let mut port = || words.next().and_then(port).ok_or(HeaderError::Line("a port that is none"));
    let (from, to) = (port()?, port()?);
    if words.next().is_some() {
        return Err(HeaderError::Line("something behind the ports"));
    }
    Ok(Some(Addresses { source: SocketAddr::new(source, from), destination: SocketAddr::new(destination, to) }))
}

/// Digits only, without leading zeros.
fn port(word: &str) -> Option<u16> {
    let digits = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| digits)
}
