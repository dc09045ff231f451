//! Connections that come by way of a proxy: its header is read before all else.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::address::Address;
use super::called::Called;
use super::stream::Stream;
use crate::proxy::{self, Header, HeaderError, LIMIT};

/// How a connection came here by way of a proxy: see [`Bind::proxy_protocol`](super::Bind::proxy_protocol).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxied {
    /// The proxy's own address.
    pub by: Address,
    /// What it has said. Without addresses in it the connection is the proxy's own, as one that checks whether we are there, and its remote address the proxy's.
    pub header: Header,
}

/// Why there was no header.
pub(crate) enum Ungreeted {
    Header(HeaderError),
    Io(io::Error),
    /// So soon did the connection end.
    Ended,
    Timeout(Duration),
    /// It has made room for another.
    Away,
    ShuttingDown,
}

impl fmt::Display for Ungreeted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::Ended => f.write_str("it ended before its PROXY header did"),
            Self::Timeout(within) => write!(f, "no PROXY header within {within:?}"),
            Self::Away => f.write_str("there are too many that have said nothing"),
            Self::ShuttingDown => f.write_str("we are shutting down"),
        }
    }
}

/// Reads the header. What has come behind it goes to `unread`.
pub(crate) async fn greeting(stream: &mut Stream, called: &Called, within: Duration, unread: &mut BytesMut) -> Result<Header, Ungreeted> {
    let read = async {
        loop {
            if let Some((header, length)) = proxy::decode(unread).map_err(Ungreeted::Header)? {
                unread.advance(length);
                return Ok(header);
            }
            // A header that is longer is refused as soon as its length is there.
            unread.reserve(LIMIT);
            if stream.read_buf(unread).await.map_err(Ungreeted::Io)? == 0 {
                return Err(Ungreeted::Ended);
            }
        }
    };
    match called.unless(timeout(within, read)).await {
        Some(read) => read.unwrap_or(Err(Ungreeted::Timeout(within))),
        None if called.is_away() => Err(Ungreeted::Away),
        None => Err(Ungreeted::ShuttingDown),
    }
}
