//! The client's end: whom to believe, and who to be.

use std::fmt;

use openssl::ssl::{SslConnector, SslMethod, SslMode, SslOptions, SslVersion};

use super::{ALPN, Authorities, Identity, Session, TlsError};

/// What a client's TLS sessions are made from. The host's name is asked for (SNI), and must be in its certificate, which an authority that
/// we trust has signed.
#[derive(Clone)]
pub struct Client {
    connector: SslConnector,
}

impl Client {
    /// Trusts the system's authorities, or those in the file that the environment names as `SSL_CERT_FILE`; has no certificate itself.
    ///
    /// # Errors
    ///
    /// When OpenSSL cannot be set up.
    pub fn new() -> Result<Self, TlsError> {
        Self::builder().build()
    }

    /// Other authorities, or a certificate of our own.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A session at its beginning, with this host: a name, or an IP address, without brackets.
    ///
    /// # Errors
    ///
    /// When the host cannot be a name, or OpenSSL has no memory for the session.
    pub fn session(&self, host: &str) -> Result<Session, TlsError> {
        let unfit = || TlsError::settings(format!("a session with {host}"));
        // A dot at the end makes a name absolute; it is no part of it in SNI or certificates (RFC 6066 §3).
        let host = host.strip_suffix('.').unwrap_or(host);
        let mut ssl = self.connector.configure().and_then(|configuration| configuration.into_ssl(host)).map_err(unfit())?;
        ssl.set_connect_state();
        Session::new(ssl)
    }
}

/// As it is: whom it verifies, and how, is its own business.
impl From<SslConnector> for Client {
    fn from(connector: SslConnector) -> Self {
        Self { connector }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tls::Client")
    }
}

/// A [`Client`] to be.
#[derive(Clone, Debug, Default)]
pub struct ClientBuilder {
    authorities: Option<Authorities>,
    identity: Option<Identity>,
}

impl ClientBuilder {
    /// These authorities are trusted, in place of the system's.
    #[must_use]
    pub fn authorities(mut self, authorities: Authorities) -> Self {
        self.authorities = Some(authorities);
        self
    }

    /// This certificate is shown to servers that ask for one.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Done.
    ///
    /// # Errors
    ///
    /// When OpenSSL refuses a certificate.
    pub fn build(self) -> Result<Client, TlsError> {
        let unfit = || TlsError::settings("the client's context");
        let mut connector = SslConnector::builder(SslMethod::tls_client()).map_err(unfit())?;
        connector.set_mode(SslMode::RELEASE_BUFFERS);
        connector.set_options(SslOptions::NO_RENEGOTIATION);
        connector.set_min_proto_version(Some(SslVersion::TLS1_2)).map_err(unfit())?;
        connector.set_alpn_protos(ALPN).map_err(unfit())?;
        match (&self.authorities, std::env::var_os("SSL_CERT_FILE")) {
            (Some(authorities), _) => connector.set_cert_store(authorities.store()?),
            // OpenSSL takes it by itself, and says nothing if it cannot.
            (None, Some(file)) => drop(Authorities::file(file)?),
            (None, None) => {}
        }
        if let Some(identity) = &self.identity {
            identity.install(&mut connector)?;
        }
        Ok(connector.build().into())
    }
}
