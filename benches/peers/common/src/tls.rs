//! TLS for the tokio servers, by rustls (with ring) or by OpenSSL.

use std::pin::Pin;
use std::sync::Arc;

use openssl::ssl::{Ssl, SslAcceptor, SslFiletype, SslMethod};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::Connection;

#[derive(Clone)]
pub enum Acceptor {
    Rustls(TlsAcceptor),
    OpenSsl(SslAcceptor),
}

impl Acceptor {
    pub fn new(cert: &str, key: &str, openssl: bool) -> Self {
        if openssl {
            let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("OpenSSL");
            acceptor.set_certificate_chain_file(cert).expect("a certificate chain");
            acceptor.set_private_key_file(key, SslFiletype::PEM).expect("a key");
            return Self::OpenSsl(acceptor.build());
        }
        let chain = CertificateDer::pem_file_iter(cert).expect("a file").collect::<Result<_, _>>().expect("a certificate chain");
        let key = PrivateKeyDer::from_pem_file(key).expect("a key");
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("a pair");
        Self::Rustls(TlsAcceptor::from(Arc::new(config)))
    }

    pub async fn run(self, stream: TcpStream, connection: impl Connection) {
        match self {
            Self::Rustls(acceptor) => {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                connection.run(stream).await;
            }
            Self::OpenSsl(acceptor) => {
                let Ok(ssl) = Ssl::new(acceptor.context()) else { return };
                let Ok(mut stream) = tokio_openssl::SslStream::new(ssl, stream) else { return };
                if Pin::new(&mut stream).accept().await.is_ok() {
                    connection.run(stream).await;
                }
            }
        }
    }
}
