//! One connection's TLS, without its stream.

use std::fmt;
use std::io::{self, Read, Write};

use bytes::{Buf, Bytes, BytesMut};
use openssl::nid::Nid;
use openssl::ssl::{ErrorCode, NameType, Ssl, SslStream};
use openssl::x509::{X509, X509NameRef, X509VerifyResult};

use super::{Certificate, Info, TlsError};

/// A TLS session: ciphertext on one side, plaintext on the other.
///
/// After every call, what stands in [`outgoing`](Self::outgoing) is to be written to the stream: a call that only reads may put alerts,
/// tickets and key updates there.
pub struct Session {
    stream: SslStream<Wire>,
    done: bool,
}

/// What [`Session::read`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// This many bytes of plaintext.
    Bytes(usize),
    /// More ciphertext is needed.
    Wanting,
    /// The peer's close_notify: nothing more will come (RFC 8446 §6.1).
    End,
}

/// The stream that OpenSSL believes to have: two buffers.
#[derive(Debug, Default)]
struct Wire {
    incoming: BytesMut,
    outgoing: BytesMut,
}

impl Session {
    /// In the state in which OpenSSL has it: whether it is a server's or a client's is set already.
    pub(super) fn new(ssl: Ssl) -> Result<Self, TlsError> {
        let stream = SslStream::new(ssl, Wire::default()).map_err(TlsError::settings("the session"))?;
        Ok(Self { stream, done: false })
    }

    /// Ciphertext that was read: append to it. What OpenSSL has taken in is gone from it; an empty buffer may be exchanged for another.
    pub fn incoming(&mut self) -> &mut BytesMut {
        &mut self.stream.get_mut().incoming
    }

    /// Ciphertext to be written: take it from the front.
    pub fn outgoing(&mut self) -> &mut BytesMut {
        &mut self.stream.get_mut().outgoing
    }

    /// Goes on with the handshake. `true` once it is complete; `false` when more ciphertext is needed.
    ///
    /// # Errors
    ///
    /// What is wrong with the peer. An alert for it stands in [`outgoing`](Self::outgoing).
    pub fn handshake(&mut self) -> Result<bool, TlsError> {
        if self.done {
            return Ok(true);
        }
        match self.stream.do_handshake() {
            Ok(()) => {
                self.done = true;
                Ok(true)
            }
            Err(error) if error.code() == ErrorCode::WANT_READ => Ok(false),
            Err(error) => Err(TlsError::handshake(&error, self.stream.ssl().verify_result())),
        }
    }

    /// Opens what is there, one record at most, into `plain`.
    ///
    /// # Errors
    ///
    /// When a record is broken, or the peer has sent a fatal alert: the session is over.
    pub fn read(&mut self, plain: &mut [u8]) -> Result<Plain, TlsError> {
        loop {
            return match self.stream.ssl_read(plain) {
                Ok(0) => Ok(Plain::Wanting),
                Ok(n) => Ok(Plain::Bytes(n)),
                // An acceptor of the user's own may be one that does not try again by itself.
                Err(error) if error.code() == ErrorCode::WANT_READ && !self.stream.get_ref().incoming.is_empty() => continue,
                Err(error) if error.code() == ErrorCode::WANT_READ => Ok(Plain::Wanting),
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => Ok(Plain::End),
                Err(error) => Err(TlsError::broken(&error)),
            };
        }
    }

    /// Whether [`read`](Self::read) has something to work on.
    #[must_use]
    pub fn has_input(&self) -> bool {
        !self.stream.get_ref().incoming.is_empty() || self.stream.ssl().pending() > 0
    }

    /// Seals all of `plain`.
    ///
    /// # Errors
    ///
    /// When the session is over.
    pub fn write(&mut self, mut plain: &[u8]) -> Result<(), TlsError> {
        while !plain.is_empty() {
            match self.stream.ssl_write(plain) {
                Ok(n) => plain = &plain[n..],
                Err(error) => return Err(TlsError::broken(&error)),
            }
        }
        Ok(())
    }

    /// Says close_notify: nothing more can be written (RFC 8446 §6.1). What the peer still sends can be read.
    pub fn close(&mut self) {
        // Whatever is wrong with it, there is nothing left to be done about it.
        let _ = self.stream.shutdown();
    }

    /// What the handshake has agreed on.
    #[must_use]
    pub fn info(&self) -> Info {
        let ssl = self.stream.ssl();
        Info {
            version: ssl.version_str().to_owned(),
            cipher: ssl.current_cipher().map_or_else(String::new, |cipher| cipher.name().to_owned()),
            server_name: ssl.servername(NameType::HOST_NAME).map(str::to_owned),
            protocol: ssl.selected_alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
            // Not what an acceptor of the user's own lets pass.
            certificate: ssl.peer_certificate().filter(|_| ssl.verify_result() == X509VerifyResult::OK).map(|it| describe(&it)),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.stream.ssl().state_string_long())
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = self.incoming.len().min(into.len());
        into[..n].copy_from_slice(&self.incoming[..n]);
        self.incoming.advance(n);
        Ok(n)
    }
}

impl Write for Wire {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(from);
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn describe(certificate: &X509) -> Certificate {
    let alternatives = certificate.subject_alt_names();
    let names = alternatives.iter().flatten().filter_map(|name| {
        let text = name.dnsname().or_else(|| name.email()).or_else(|| name.uri());
        text.map(str::to_owned).or_else(|| name.ipaddress().and_then(address))
    });
    let common_name = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).last();
    Certificate {
        subject: subject(certificate.subject_name()),
        common_name: common_name.and_then(|entry| entry.data().to_string().ok()),
        names: names.collect(),
        der: certificate.to_der().map_or_else(|_| Bytes::new(), Bytes::from),
    }
}

fn subject(name: &X509NameRef) -> String {
    let mut subject = String::new();
    for entry in name.entries() {
        if !subject.is_empty() {
            subject.push_str(", ");
        }
        subject.push_str(entry.object().nid().short_name().unwrap_or("?"));
        subject.push('=');
        let value = entry.data().to_string().unwrap_or_default();
        for character in value.chars() {
            if character.is_control() {
                subject.extend(character.escape_default());
            } else {
                if matches!(character, ',' | '\\' | '"' | '=' | '+') {
                    subject.push('\\');
                }
                subject.push(character);
            }
        }
    }
    subject
}

/// An address of 4 or 16 bytes as text.
fn address(bytes: &[u8]) -> Option<String> {
    use core::net::{Ipv4Addr, Ipv6Addr};
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()),
        _ => None,
    }
}
