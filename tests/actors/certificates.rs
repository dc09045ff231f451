//! An authority and a certificate of this machine's loopback names, made once for all tests of a process.

use std::sync::LazyLock;

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslConnector, SslMethod};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};

/// What both sides know: the library's in PEM, the raw peer's as OpenSSL has it.
pub(crate) struct Certificates {
    pub(crate) authority: Vec<u8>,
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Vec<u8>,
    /// Trusts the authority, and nobody else.
    pub(crate) connector: SslConnector,
    pub(crate) acceptor: SslAcceptor,
}

pub(crate) static CERTIFICATES: LazyLock<Certificates> = LazyLock::new(make);

fn make() -> Certificates {
    let (authority, secret) = authority();
    let (leaf, key) = leaf(&authority, &secret);
    let mut store = X509StoreBuilder::new().unwrap();
    store.add_cert(authority.clone()).unwrap();
    // Both verify by default.
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_cert_store(store.build());
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(&leaf).unwrap();
    acceptor.set_private_key(&key).unwrap();
    Certificates {
        authority: authority.to_pem().unwrap(),
        chain: leaf.to_pem().unwrap(),
        key: key.private_key_to_pem_pkcs8().unwrap(),
        connector: connector.build(),
        acceptor: acceptor.build(),
    }
}

fn authority() -> (X509, PKey<Private>) {
    let (key, subject) = (new_key(), name("tests of actix-sockets"));
    let mut builder = begun(&subject, &subject, &key);
    builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().build().unwrap()).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

fn leaf(authority: &X509, secret: &PKey<Private>) -> (X509, PKey<Private>) {
    let key = new_key();
    let mut builder = begun(&name("localhost"), authority.subject_name(), &key);
    builder.append_extension(BasicConstraints::new().critical().build().unwrap()).unwrap();
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build().unwrap()).unwrap();
    let names = SubjectAlternativeName::new().dns("localhost").ip("127.0.0.1").build(&builder.x509v3_context(Some(authority), None));
    builder.append_extension(names.unwrap()).unwrap();
    builder.sign(secret, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

/// All but extensions and signature.
fn begun(subject: &openssl::x509::X509NameRef, issuer: &openssl::x509::X509NameRef, key: &PKey<Private>) -> X509Builder {
    let mut serial = BigNum::new().unwrap();
    serial.rand(127, MsbOption::MAYBE_ZERO, false).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(subject).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(now() - 3600).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
    builder
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn name(common: &str) -> X509Name {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, common).unwrap();
    name.build()
}
