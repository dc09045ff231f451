//! The server's end: which certificate to show, and which to ask for.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use openssl::ssl::{
    AlpnError, NameType, SniError, Ssl, SslAcceptor, SslAcceptorBuilder, SslAlert, SslContext, SslMethod, SslMode, SslOptions,
    SslSessionCacheMode, SslVerifyMode, select_next_proto,
};

use super::{Authorities, Identity, Session, TlsError};

/// What is accepted, as ALPN lists it: `curl --http1.0` offers nothing else.
const SERVED: &[u8] = b"\x08http/1.1\x08http/1.0";

/// What a listener's TLS sessions are made from. Clones are one and the same: [`replace`](Self::replace) a certificate by any of them, and
/// new connections have the new one while those that are there go on.
///
/// ```no_run
/// use actix_sockets::tls;
///
/// let certificates = tls::Server::pem("chain.pem", "key.pem")?;
/// // … Bind::new(handler, "0.0.0.0:443").tls(certificates.clone()) … and in two months:
/// certificates.replace(tls::Server::pem("chain.pem", "key.pem")?);
/// # Ok::<(), tls::TlsError>(())
/// ```
#[derive(Clone)]
pub struct Server {
    current: Arc<RwLock<SslAcceptor>>,
}

impl Server {
    /// One certificate, for whatever name is asked for, from PEM files: its chain, and its key.
    ///
    /// # Errors
    ///
    /// When they cannot be read or do not belong together.
    pub fn pem(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        Self::builder(Identity::files(chain, key)?).build()
    }

    /// More than one certificate, or certificates of clients.
    #[must_use]
    pub fn builder(identity: Identity) -> ServerBuilder {
        ServerBuilder { identities: vec![identity], strict: false, clients: None }
    }

    /// From now on new sessions are made as by `other`.
    pub fn replace(&self, other: Self) {
        let new = other.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// A session at its beginning.
    ///
    /// # Errors
    ///
    /// When OpenSSL has no memory for it.
    pub fn session(&self) -> Result<Session, TlsError> {
        let context = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut ssl = Ssl::new(context.context()).map_err(TlsError::settings("the session"))?;
        ssl.set_accept_state();
        Session::new(ssl)
    }
}

/// As it is: with its own ALPN, options and verification.
impl From<SslAcceptor> for Server {
    fn from(acceptor: SslAcceptor) -> Self {
        Self { current: Arc::new(RwLock::new(acceptor)) }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tls::Server")
    }
}

/// A [`Server`] to be.
#[derive(Clone, Debug)]
pub struct ServerBuilder {
    identities: Vec<Identity>,
    strict: bool,
    clients: Option<(Authorities, bool)>,
}

impl ServerBuilder {
    /// This certificate too, for clients that ask for one of its names (SNI, RFC 6066 §3). The first one is for all others.
    #[must_use]
    pub fn also(mut self, identity: Identity) -> Self {
        self.identities.push(identity);
        self
    }

    /// A client that asks for a name which no certificate has is sent away, with the alert `unrecognized_name`; by default it gets the
    /// first certificate, and judges for itself.
    #[must_use]
    pub fn known_names_only(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Clients are asked for a certificate of these authorities. They may come without one; with one that cannot be verified they may not.
    #[must_use]
    pub fn ask_clients(mut self, authorities: Authorities) -> Self {
        self.clients = Some((authorities, false));
        self
    }

    /// Clients must have a certificate of these authorities.
    #[must_use]
    pub fn require_clients(mut self, authorities: Authorities) -> Self {
        self.clients = Some((authorities, true));
        self
    }

    /// Done.
    ///
    /// # Errors
    ///
    /// When OpenSSL refuses a certificate: its key is too short, say.
    pub fn build(self) -> Result<Server, TlsError> {
        let mut others: HashMap<String, SslContext> = HashMap::new();
        for identity in &self.identities {
            let context = self.acceptor(identity)?.build().into_context();
            for name in identity.names() {
                others.entry(name).or_insert_with(|| context.clone());
            }
        }
        let mut first = self.acceptor(&self.identities[0])?;
        let strict = self.strict;
        if strict || self.identities.len() > 1 {
            first.set_servername_callback(move |ssl, alert| {
                let context = ssl.servername(NameType::HOST_NAME).map(|name| find(&others, name));
                match context {
                    Some(Some(context)) => ssl.set_ssl_context(context).map_err(|_| SniError::ALERT_FATAL),
                    Some(None) if strict => {
                        *alert = SslAlert::UNRECOGNIZED_NAME;
                        Err(SniError::ALERT_FATAL)
                    }
                    Some(None) | None => Err(SniError::NOACK),
                }
            });
        }
        Ok(first.build().into())
    }

    fn acceptor(&self, identity: &Identity) -> Result<SslAcceptorBuilder, TlsError> {
        let unfit = || TlsError::settings("the server's context");
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).map_err(unfit())?;
        identity.install(&mut acceptor)?;
        acceptor.set_mode(SslMode::RELEASE_BUFFERS);
        acceptor.set_options(SslOptions::NO_RENEGOTIATION);
        // Tickets resume sessions without our keeping anything.
        acceptor.set_session_cache_mode(SslSessionCacheMode::OFF);
        acceptor.set_session_id_context(b"sockets").map_err(unfit())?;
        // Nothing in common: RFC 7301 §3.2 wants a fatal no_application_protocol.
        acceptor.set_alpn_select_callback(|_, offered| select_next_proto(SERVED, offered).ok_or(AlpnError::ALERT_FATAL));
        if let Some((authorities, required)) = &self.clients {
            let must = if *required { SslVerifyMode::FAIL_IF_NO_PEER_CERT } else { SslVerifyMode::empty() };
            acceptor.set_verify(SslVerifyMode::PEER | must);
            acceptor.set_cert_store(authorities.store()?);
            for authority in authorities.iter() {
                acceptor.add_client_ca(authority).map_err(unfit())?;
            }
        }
        Ok(acceptor)
    }
}

/// The name itself, or with its first label as `*` (RFC 6125 §6.4.3).
fn find<'a>(contexts: &'a HashMap<String, SslContext>, name: &str) -> Option<&'a SslContext> {
    let name = name.to_ascii_lowercase();
    let wild = || name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    contexts.get(&name).or_else(|| contexts.get(&wild()?))
}
