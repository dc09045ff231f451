//! The PROXY protocol (HAProxy's specification, versions 1 and 2): what a proxy says of a connection before anything else.
//!
//! ```text
//!   client ──▶ proxy ──▶ PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n, then what the client says ──▶ us
//! ```
//!
//! [`decode`] is a function of the bytes that have come so far. It never looks beyond the header: a line of 107 bytes at most in version 1, and
//! [`LIMIT`] bytes in version 2. Who may say such a header is [`ProxyProtocol`]'s to know: whoever is believed can name any address.

mod crc32c;
mod network;
mod v1;
mod v2;

use core::net::{IpAddr, SocketAddr};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
pub use network::{Network, NotANetwork};

/// How many bytes a header may have: 4 KiB. Version 2 could have 64 KiB of them; its TLVs need some hundred bytes, and what a client's certificate needs.
pub const LIMIT: usize = 4096;

/// How a listener takes the PROXY protocol.
///
/// ```
/// use actix_sockets::proxy::ProxyProtocol;
///
/// let from_our_balancers = ProxyProtocol::required().trusted(["10.0.0.0/8", "fd00::/8"])?;
/// assert!(from_our_balancers.is_trusted("10.1.2.3".parse().ok()));
/// assert!(!from_our_balancers.is_trusted("192.0.2.1".parse().ok()));
/// # Ok::<(), actix_sockets::proxy::NotANetwork>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProxyProtocol {
    trusted: Option<Vec<Network>>,
    within: Duration,
    serves_others: bool,
}

impl ProxyProtocol {
    /// Every connection begins with a header, of version 1 or 2; one that does not is closed. Nothing is guessed: a client that could choose whether to send one
    /// could choose its address. Unless [`trusted`](Self::trusted) says otherwise whoever can connect is believed: for listeners that only the proxy can reach.
    #[must_use]
    pub fn required() -> Self {
        Self { trusted: None, within: Duration::from_secs(3), serves_others: false }
    }

    /// How long the header may take, from the moment the connection was accepted: 3 s. Then it is closed.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// How long the header may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.within
    }

    /// Only who connects from these networks is believed; others are closed at once, unless [served](Self::others_directly) all the same. Unix sockets have no address: who can open their file is believed.
    ///
    /// # Errors
    ///
    /// One of them is no network: an IP address, or one with the number of leading bits that count behind a slash.
    pub fn trusted<N: AsRef<str>>(mut self, networks: impl IntoIterator<Item = N>) -> Result<Self, NotANetwork> {
        let networks = networks.into_iter().map(|network| network.as_ref().parse());
        self.trusted = Some(networks.collect::<Result<_, _>>()?);
        Ok(self)
    }

    /// Who is not [`trusted`](Self::trusted) is not closed, but served as one who has come by itself, under its own address: no header is read of it, and one that it sends
    /// all the same is no HTTP. For listeners that can be reached past the proxy, and are meant to be. Without `trusted` it changes nothing.
    #[must_use]
    pub fn others_directly(mut self) -> Self {
        self.serves_others = true;
        self
    }

    /// Whether who is not trusted is served as one who has come by itself.
    #[must_use]
    pub fn serves_others(&self) -> bool {
        self.serves_others
    }

    /// Whether who connects from here is believed; `None` is who has no address.
    #[must_use]
    pub fn is_trusted(&self, from: Option<IpAddr>) -> bool {
        match (&self.trusted, from) {
            (Some(networks), Some(address)) => networks.iter().any(|network| network.contains(address)),
            _ => true,
        }
    }
}

/// What a proxy says of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// Where the client's connection came from, and where to. `None` if the proxy does not know, or speaks for itself (`UNKNOWN`, `LOCAL`, other families).
    pub addresses: Option<Addresses>,
    /// What else it says, in its order (version 2, §2.2). Padding is left out.
    pub tlvs: Vec<Tlv>,
}

/// The two ends of a connection that a proxy speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Addresses {
    /// The client.
    pub source: SocketAddr,
    /// Where it has connected to.
    pub destination: SocketAddr,
}

/// One thing more that a proxy says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tlv {
    /// What it is: see the constants.
    pub kind: u8,
    /// As it came.
    pub value: Bytes,
}

impl Tlv {
    /// The protocol that TLS has agreed on with the client (ALPN).
    pub const ALPN: u8 = 0x01;
    /// The name that the client has asked for (SNI).
    pub const AUTHORITY: u8 = 0x02;
    /// The checksum of the header. It has been checked.
    pub const CRC32C: u8 = 0x03;
    /// Padding.
    pub const NOOP: u8 = 0x04;
    /// An identifier of the connection, of 128 bytes at most.
    pub const UNIQUE_ID: u8 = 0x05;
    /// What is known of the client's TLS.
    pub const SSL: u8 = 0x20;
    /// The namespace of the network.
    pub const NETNS: u8 = 0x30;
}

impl Header {
    /// The value of the first TLV of this kind.
    #[must_use]
    pub fn tlv(&self, kind: u8) -> Option<&Bytes> {
        self.tlvs.iter().find(|tlv| tlv.kind == kind).map(|tlv| &tlv.value)
    }

    /// The name that the client has asked for, if it is text.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        std::str::from_utf8(self.tlv(Tlv::AUTHORITY)?).ok()
    }
}

/// What is wrong with a header. The connection is closed: what comes behind is no protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// There is none: the first bytes are something else.
    NoHeader,
    /// A line of version 1 that does not keep §2.1; why.
    Line(&'static str),
    /// A header of version 2 that does not keep §2.2; why.
    Binary(&'static str),
    /// It announces more than [`LIMIT`] bytes.
    TooLong(usize),
    /// Its CRC32c is not what it says (§2.2.3).
    Checksum,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => f.write_str("no PROXY header where there must be one"),
            Self::Line(why) => write!(f, "{why} (PROXY protocol §2.1)"),
            Self::Binary(why) => write!(f, "{why} (PROXY protocol §2.2)"),
            Self::TooLong(length) => write!(f, "a PROXY header of {length} bytes, more than {LIMIT}"),
            Self::Checksum => f.write_str("the checksum of the PROXY header is wrong (PROXY protocol §2.2.3)"),
        }
    }
}

impl std::error::Error for HeaderError {}

/// The header at the beginning of these bytes, and its length. `None` while it is not all there: then more bytes are to be had, and the same asked of all of them.
///
/// # Errors
///
/// There is no header, or a wrong one; that is known as soon as a byte of it is.
pub fn decode(bytes: &[u8]) -> Result<Option<(Header, usize)>, HeaderError> {
    match bytes.first() {
        None => Ok(None),
        Some(b'P') => v1::decode(bytes),
        Some(_) => v2::decode(bytes),
    }
}

/// Whether `bytes` begin as `start` does, as far as they go.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    let shorter = bytes.len().min(start.len());
    bytes[..shorter] == start[..shorter]
}

#[cfg(test)]
mod tests;
