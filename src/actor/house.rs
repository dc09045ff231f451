//! How a listener receives its connections: what is settled before one speaks HTTP.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;

use super::address::Address;
use super::bind::Acceptor;
use super::called::Called;
use super::clock;
use super::connection::Connection;
use super::gate::{Gate, Room, Silence};
use super::hello::{Unheard, hello};
use super::proxied::{Proxied, greeting};
use super::roster::{Roster, Seat};
use super::secure;
use super::settings::Settings;
use super::stats::count;
use super::stream::Stream;
use super::transport::Transport;
use crate::admission::Refused;
use crate::proxy::ProxyProtocol;

/// Why one is refused that comes from an address with too many.
const CROWDED: &str = "there are as many connections from one address as may be";
/// Why one is that has waited longest among too many that wait.
const SILENT: &str = "it has said nothing, and there are as many of these as may be";

/// What all who accept for one listener share.
pub(crate) struct House {
    pub(crate) acceptor: Acceptor,
    pub(crate) tls: Option<secure::Acceptor>,
    pub(crate) proxy: Option<ProxyProtocol>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) roster: Arc<Roster>,
}

impl House {
    /// A seat for one that has come from here, unless it is refused.
    pub(crate) fn admit(&self, room: Room, remote: &Address) -> Option<Seat> {
        let mut guest = room.taken();
        let proxied = self.proxy.as_ref().is_some_and(|proxy| proxy.is_trusted(remote.ip()));
        if self.proxy.as_ref().is_some_and(|proxy| !proxied && !proxy.serves_others()) {
            self.refuse(self.gate.refuse(), remote, "it is none of the trusted proxies");
            return None;
        }
        // By way of a proxy it is the client's address that counts.
        if !proxied && let Err(refused) = guest.comes_from(remote.ip()) {
            self.refuse(refused, remote, CROWDED);
            return None;
        }
        Some(self.roster.seat_of(guest))
    }

    /// Tells of it, unless that was done just now.
    fn refuse(&self, Refused { tell }: Refused, remote: &Address, why: impl fmt::Display) {
        count(&self.roster.counters().refused_connections);
        if let Some(refused) = tell {
            tracing::warn!(%remote, refused, "closed at once: {why}");
        }
    }

    /// Whether something precedes HTTP.
    fn is_prepared(&self) -> bool {
        self.tls.is_some() || self.proxy.is_some()
    }

    /// Starts a connection on this arbiter; behind the proxy's header, and when the TLS handshake is complete.
    pub(crate) fn receive(self: &Arc<Self>, stream: Stream, remote: Address, seat: Seat) {
        // A connection that is gone already is nobody's business.
        let Ok(()) = stream.set_nodelay(self.settings.nodelay) else { return };
        if self.is_prepared() {
            drop(actix_rt::spawn(self.clone().prepare(stream, remote, seat)));
        } else {
            self.start(Transport::new(stream, remote, None, seat), BytesMut::new());
        }
    }

    async fn prepare(self: Arc<Self>, mut stream: Stream, by: Address, mut seat: Seat) {
        let (mut remote, mut unread, mut proxied) = (by.clone(), BytesMut::new(), None);
        let called = Arc::new(Called::default());
        seat.take(&called);
        let proxy = self.proxy.as_ref().filter(|proxy| proxy.is_trusted(by.ip()));
        let silence = (proxy.is_some() || self.tls.is_some()).then(|| self.gate.silence(&called));
        if let Some(proxy) = proxy {
            let header = match greeting(&mut stream, &called, proxy.timeout(), &mut unread).await {
                Ok(header) => header,
                Err(error) => {
                    return self.refuse(self.gate.refuse(), &by, format_args!("it does not begin as the proxy's should: {error}"));
                }
            };
            if let Some(addresses) = header.addresses {
                remote = addresses.source.into();
                if let Some(Err(refused)) = seat.guest().map(|guest| guest.comes_from(remote.ip())) {
                    return self.refuse(refused, &remote, CROWDED);
                }
            }
            proxied = Some(Arc::new(Proxied { by, header }));
        }
        let mut secured = None;
        if let Some(tls) = &self.tls {
            let id = seat.id();
            match self.shake(tls, (stream, std::mem::take(&mut unread), seat), silence, &called).await {
                Ok((shaken, secure, sits)) => (stream, secured, seat) = (shaken, Some(secure), sits),
                Err(Unheard::Away) => return self.refuse(self.gate.refuse(), &remote, SILENT),
                Err(Unheard::Failed(error)) => {
                    count(&self.roster.counters().failed_tls_handshakes);
                    return tracing::warn!(connection = %id, %remote, %error, "no connection: its TLS handshake failed");
                }
            }
        }
        self.start(Transport::new(stream, remote, secured, seat).behind(proxied).after(unread.len()), unread);
    }

    /// Makes the TLS handshake, the wait for its turn included, within its time.
    async fn shake(
        &self,
        tls: &secure::Acceptor,
        (mut stream, mut unread, seat): (Stream, BytesMut, Seat),
        silence: Option<Silence>,
        called: &Arc<Called>,
    ) -> Result<secure::Secured, Unheard> {
        let (within, began) = (self.settings.tls_handshake, clock::now());
        let place = hello(&mut stream, &mut unread, &self.gate, silence, called, within).await?;
        let left = within.saturating_sub(clock::now().saturating_duration_since(began));
        Ok(secure::handshake(stream, tls.session()?, unread, seat, left, place).await?)
    }

    /// With what was read already.
    fn start(&self, transport: Transport, unread: BytesMut) {
        Connection::start(transport, unread, &self.acceptor, &self.settings);
    }
}

/// Whether an accept failed for the sake of one connection, which has gone before it was accepted.
pub(crate) fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
