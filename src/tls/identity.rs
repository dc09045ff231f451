//! Who we are, and whom we trust: certificates and keys.

use std::fmt;
use std::fs;
use std::path::Path;

use openssl::pkey::{PKey, Private};
use openssl::ssl::SslContextBuilder;
use openssl::x509::X509;
use openssl::x509::store::{X509Store, X509StoreBuilder};

use super::TlsError;

/// A certificate with the chain that leads to its authority, and its private key.
#[derive(Clone)]
pub struct Identity {
    leaf: X509,
    chain: Vec<X509>,
    key: PKey<Private>,
}

impl Identity {
    /// From PEM: the certificate first, then those that lead to its authority; the key without a passphrase.
    ///
    /// # Errors
    ///
    /// When that is not what they are, or the key is not the certificate's.
    pub fn pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let mut chain = X509::stack_from_pem(chain).map_err(TlsError::settings("the certificate chain"))?;
        if chain.is_empty() {
            return Err(TlsError::Settings("there is no certificate in the chain".to_owned()));
        }
        // With a callback, or OpenSSL asks for the passphrase at the terminal.
        let key = PKey::private_key_from_pem_callback(key, |_| Ok(0)).map_err(TlsError::settings("the private key"))?;
        let leaf = chain.remove(0);
        let ours = leaf.public_key().map_err(TlsError::settings("the certificate's key"))?;
        if !ours.public_eq(&key) {
            return Err(TlsError::Settings("the private key is not the certificate's".to_owned()));
        }
        Ok(Self { leaf, chain, key })
    }

    /// From PEM files.
    ///
    /// # Errors
    ///
    /// When they cannot be read, and as for [`pem`](Self::pem).
    pub fn files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        Self::pem(&read(chain)?, &read(key)?).map_err(|error| error.of(format_args!("{} and {}", chain.display(), key.display())))
    }

    pub(super) fn install(&self, context: &mut SslContextBuilder) -> Result<(), TlsError> {
        let unfit = || TlsError::settings("the certificate");
        context.set_certificate(&self.leaf).map_err(unfit())?;
        for certificate in &self.chain {
            context.add_extra_chain_cert(certificate.clone()).map_err(unfit())?;
        }
        context.set_private_key(&self.key).map_err(unfit())
    }

    /// The host names that the certificate is for, in lower case; `*.` stands for one label (RFC 6125 §6.4.3).
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.leaf.subject_alt_names();
        names.iter().flatten().filter_map(|name| name.dnsname()).map(str::to_ascii_lowercase).collect()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("names", &self.names()).field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

/// Certificates of authorities: whom we trust to say who somebody is.
#[derive(Clone)]
pub struct Authorities(Vec<X509>);

impl Authorities {
    /// From PEM, one certificate at least.
    ///
    /// # Errors
    ///
    /// When that is not what it is.
    pub fn pem(certificates: &[u8]) -> Result<Self, TlsError> {
        let certificates = X509::stack_from_pem(certificates).map_err(TlsError::settings("the authorities"))?;
        if certificates.is_empty() {
            return Err(TlsError::Settings("there is no authority's certificate".to_owned()));
        }
        Ok(Self(certificates))
    }

    /// From a PEM file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, and as for [`pem`](Self::pem).
    pub fn file(certificates: impl AsRef<Path>) -> Result<Self, TlsError> {
        let file = certificates.as_ref();
        Self::pem(&read(file)?).map_err(|error| error.of(file.display()))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &X509> {
        self.0.iter()
    }

    /// These, and no others.
    pub(super) fn store(&self) -> Result<X509Store, TlsError> {
        let unfit = || TlsError::settings("the authorities");
        let mut store = X509StoreBuilder::new().map_err(unfit())?;
        for certificate in &self.0 {
            store.add_cert(certificate.clone()).map_err(unfit())?;
        }
        Ok(store.build())
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::Settings(format!("{}: {error}", path.display())))
}
