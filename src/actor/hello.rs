//! What precedes a TLS handshake: the client speaks first (RFC 8446 §4.1.2). Until it does it has cost next to nothing, and holds up nobody.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::called::Called;
use super::gate::{Gate, Silence};
use super::stream::Stream;
use crate::tls::{self, TlsError};

/// Read at a time: most hellos are shorter.
const READ: usize = 1 << 10;

/// Why there is no TLS on a connection.
pub(crate) enum Unheard {
    /// It has said nothing, and made room for another.
    Away,
    Failed(TlsError),
}

impl From<TlsError> for Unheard {
    fn from(error: TlsError) -> Self {
        Self::Failed(error)
    }
}

/// Hears the client's hello, which goes to `unread`, and waits for a place in which to answer it.
pub(crate) async fn hello(
    stream: &mut Stream,
    unread: &mut BytesMut,
    gate: &Gate,
    silence: Option<Silence>,
    called: &Arc<Called>,
    within: Duration,
) -> Result<Option<OwnedSemaphorePermit>, Unheard> {
    let heard = async {
        while !tls::begins(unread) {
            unread.reserve(READ);
            let read = stream.read_buf(unread).await.map_err(|error: io::Error| TlsError::Handshake(error.to_string()))?;
            if read == 0 {
                return Err(TlsError::Truncated);
            }
        }
        drop(silence);
        Ok(gate.place().await)
    };
    match called.unless(timeout(within, heard)).await {
        Some(heard) => Ok(heard.unwrap_or(Err(TlsError::Timeout))?),
        None if called.is_away() => Err(Unheard::Away),
        None => Err(Unheard::Failed(TlsError::Handshake("we are shutting down".to_owned()))),
    }
}
