//! Certificates for tests: an authority of our own, and what it signs.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name};

use actix_sockets::tls::{Authorities, Identity};

/// Somebody who signs certificates.
pub(crate) struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

/// A certificate, and its key.
pub(crate) struct Signed {
    pub(crate) certificate: X509,
    pub(crate) key: PKey<Private>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let (key, name) = (new_key(), name_of(&[("CN", name)]));
        let mut builder = builder(&name, &key, 0, 30);
        builder.set_issuer_name(&name).unwrap();
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self { certificate: builder.build(), key }
    }

    /// A server's certificate for these host names and addresses, from today on.
    pub(crate) fn signs(&self, names: &[&str]) -> Signed {
        self.signs_for(&[("CN", names[0])], names, 0, 30)
    }

    /// A certificate of somebody, who has these alternative names; valid from and to so many days from now.
    pub(crate) fn signs_for(&self, subject: &[(&str, &str)], names: &[&str], from: i64, to: i64) -> Signed {
        let key = new_key();
        let mut builder = builder(&name_of(subject), &key, from, to);
        builder.set_issuer_name(self.certificate.subject_name()).unwrap();
        let mut alternatives = SubjectAlternativeName::new();
        for name in names {
            if name.parse::<std::net::IpAddr>().is_ok() {
                alternatives.ip(name);
            } else if name.contains('@') {
                alternatives.email(name);
            } else {
                alternatives.dns(name);
            }
        }
        if !names.is_empty() {
            let alternatives = alternatives.build(&builder.x509v3_context(Some(&self.certificate), None)).unwrap();
            builder.append_extension(alternatives).unwrap();
        }
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        Signed { certificate: builder.build(), key }
    }

    pub(crate) fn certificate(&self) -> &X509 {
        &self.certificate
    }

    /// To trust it.
    pub(crate) fn trusted(&self) -> Authorities {
        Authorities::pem(&self.certificate.to_pem().unwrap()).unwrap()
    }
}

impl Signed {
    pub(crate) fn chain_pem(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap()
    }

    pub(crate) fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().unwrap()
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::pem(&self.chain_pem(), &self.key_pem()).unwrap()
    }
}

fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn name_of(parts: &[(&str, &str)]) -> X509Name {
    let mut name = X509Name::builder().unwrap();
    for (field, value) in parts {
        name.append_entry_by_text(field, value).unwrap();
    }
    name.build()
}

/// A certificate valid from and to so many days from now.
fn builder(subject: &X509Name, key: &PKey<Private>, from: i64, to: i64) -> X509Builder {
    let day = |days: i64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        Asn1Time::from_unix(now as i64 + days * 86_400 - 60).unwrap()
    };
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(127, MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(subject).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&day(from)).unwrap();
    builder.set_not_after(&day(to)).unwrap();
    builder
}
