//! What both engines need for TLS: a client configuration whose roots are the application's.

use std::error::Error as StdError;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::{Config, RootCertificates, TlsMode};
use crate::error::{Error, ErrorKind, Result};

/// Off, or on with certificates that have been read and understood.
#[derive(Clone)]
pub(crate) struct Tls(Option<Arc<Parts>>);

struct Parts {
    client_config: ClientConfig,
    roots_pem: Vec<u8>,
}

impl Tls {
    /// Reads the certificates that the configuration names.
    ///
    /// The provider of cryptography is named outright, so that an application which brings a
    /// second one cannot make rustls panic over the choice.
    pub(crate) fn from_config(config: &Config) -> Result<Self> {
        let roots = match (config.tls, &config.root_certificates) {
            (TlsMode::Disable, _) => return Ok(Self(None)),
            (TlsMode::VerifyFull, Some(roots)) => roots,
            (TlsMode::VerifyFull, None) => {
                return Err(invalid("TLS is on, but no root certificates are given"));
            }
        };
        let roots_pem = match roots {
            RootCertificates::Pem(text) => text.clone(),
            RootCertificates::PemFile(path) => std::fs::read(path).map_err(|error| {
                invalid(format!(
                    "the root certificates in {} cannot be read ({error}): give the path of a PEM file \
                     such as Amazon's global-bundle.pem",
                    path.display()
                ))
                .with_source(error)
            })?,
        };
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&roots_pem) {
            let certificate = certificate.map_err(|error| {
                invalid(format!("the root certificates are not valid PEM: {error}"))
            })?;
            store.add(certificate).map_err(|error| {
                invalid("one of the root certificates is not valid").with_source(error)
            })?;
        }
        if store.is_empty() {
            return Err(invalid(
                "there is no certificate among the root certificates: give a PEM file such as \
                 Amazon's global-bundle.pem",
            ));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client_config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid("TLS cannot be set up").with_source(error))?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self(Some(Arc::new(Parts {
            client_config,
            roots_pem,
        }))))
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn client_config(&self) -> Option<&ClientConfig> {
        self.0.as_ref().map(|parts| &parts.client_config)
    }

    #[cfg(feature = "mysql")]
    pub(crate) fn roots_pem(&self) -> Option<&[u8]> {
        self.0.as_ref().map(|parts| parts.roots_pem.as_slice())
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Tls(on)"
        } else {
            "Tls(off)"
        })
    }
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Config, message)
}

/// Why TLS cannot come about, however often it is tried; `None` for a connection that was lost.
pub(super) fn refusal<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    // An I/O error's source is that of the error in it, which would be passed over.
    let inner = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let found = inner.or_else(|| error.downcast_ref::<rustls::Error>());
    match found {
        Some(
            refusal @ (rustls::Error::AlertReceived(_)
            | rustls::Error::InvalidCertificate(_)
            | rustls::Error::NoCertificatesPresented
            | rustls::Error::PeerIncompatible(_)),
        ) => Some(refusal),
        // Bytes that are no TLS may come from whatever stands in for a server that is away.
        Some(_) => None,
        None => refusal(error.source()?),
    }
}

/// The error of such a refusal.
pub(super) fn refused(cause: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Config,
        format!(
            "TLS cannot come about ({cause}): check `sslmode`, `sslrootcert` and the host name \
             in the server's certificate"
        ),
    )
}
