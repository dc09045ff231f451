//! Version 2: binary (§2.2).

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;

use super::crc32c::crc32c;
use super::{Addresses, Header, HeaderError, LIMIT, Tlv, begins};

pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family and protocol, length.
const FIXED: usize = 16;

pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Header, usize)>, HeaderError> {
    if !begins(bytes, &SIGNATURE) {
        return Err(HeaderError::NoHeader);
    }
    let Some(fixed) = bytes.first_chunk::<FIXED>() else {
        return bytes.get(12).map_or(Ok(None), |command| check(*command).map(|_| None));
    };
    let is_proxied = check(fixed[12])?;
    let length = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > LIMIT {
        return Err(HeaderError::TooLong(length));
    }
    let Some(header) = bytes.get(..length) else { return Ok(None) };
    if !is_proxied {
        // "discard the protocol block including the family" (§2.2).
        return Ok(Some((Header::default(), length)));
    }
    let rest = &header[FIXED..];
    let (family, protocol) = (fixed[13] >> 4, fixed[13] & 0x0f);
    if family > 3 || protocol > 2 {
        return Err(HeaderError::Binary("a family or protocol that there is not"));
    }
    let (addresses, rest) = match family {
        1 => split(rest, ipv4)?,
        2 => split(rest, ipv6)?,
        3 => split(rest, |_: &[u8; 216]| None)?,
        _ => (None, rest),
    };
    // Only a stream's addresses are those of a connection. What LOCAL says is to be skipped, TLVs too, though their form is looked at.
    let tlvs = tlvs(header, rest)?;
    Ok(Some(if is_proxied {
        (Header { addresses: addresses.filter(|_| protocol == 1), tlvs }, length)
    } else {
        (Header::default(), length)
    }))
}

/// Whether the connection is proxied; if not, the proxy speaks for itself.
fn check(command: u8) -> Result<bool, HeaderError> {
    match command {
        0x20 => Ok(false),
        0x21 => Ok(true),
        _ if command >> 4 != 2 => Err(HeaderError::Binary("a version that is not 2")),
        _ => Err(HeaderError::Binary("neither PROXY nor LOCAL")),
    }
}

/// The addresses at the beginning, and what is behind them.
fn split<const N: usize>(rest: &[u8], read: impl FnOnce(&[u8; N]) -> Option<Addresses>) -> Result<(Option<Addresses>, &[u8]), HeaderError> {
    let (addresses, rest) = rest.split_first_chunk::<N>().ok_or(HeaderError::Binary("too short for its addresses"))?;
    Ok((read(addresses), rest))
}

fn ipv4(bytes: &[u8; 12]) -> Option<Addresses> {
    let [a, b, c, d, e, f, g, h, from @ .., to1, to2] = *bytes;
    Some(Addresses {
        source: SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes(from)),
        destination: SocketAddr::new(Ipv4Addr::new(e, f, g, h).into(), u16::from_be_bytes([to1, to2])),
    })
}

fn ipv6(bytes: &[u8; 36]) -> Option<Addresses> {
    let (source, rest) = bytes.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    let [from1, from2, to1, to2] = *rest.first_chunk()?;
    Some(Addresses {
        source: SocketAddr::new(Ipv6Addr::from(*source).into(), u16::from_be_bytes([from1, from2])),
        destination: SocketAddr::new(Ipv6Addr::from(*destination).into(), u16::from_be_bytes([to1, to2])),
    })
}

/// What is behind the addresses; `header` is all of it.
fn tlvs(header: &[u8], mut rest: &[u8]) -> Result<Vec<Tlv>, HeaderError> {
    let mut tlvs = Vec::new();
    while let [kind, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let value = behind.get(..length).ok_or(HeaderError::Binary("a TLV that is longer than the header"))?;
        match *kind {
            Tlv::NOOP => {}
            Tlv::CRC32C => {
                let said: [u8; 4] = value.try_into().map_err(|_| HeaderError::Binary("a CRC32c that has not four bytes"))?;
                // It is that of the header with zeros in its own place.
                let at = header.len() - behind.len();
                let mut zeroed = header.to_vec();
                zeroed[at..at + 4].fill(0);
                if crc32c(&zeroed) != u32::from_be_bytes(said) {
                    return Err(HeaderError::Checksum);
                }
                tlvs.push(Tlv { kind: *kind, value: Bytes::copy_from_slice(value) });
            }
            Tlv::UNIQUE_ID if length > 128 => return Err(HeaderError::Binary("a unique identifier of more than 128 bytes")),
            _ => tlvs.push(Tlv { kind: *kind, value: Bytes::copy_from_slice(value) }),
        }
        rest = &behind[length..];
    }
    if rest.is_empty() { Ok(tlvs) } else { Err(HeaderError::Binary("a TLV that is cut off")) }
}
