//! Whether connections to the cluster may be encrypted, and by whose word.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;

use tempfile::TempPath;
use tokio_rustls::TlsAcceptor;

use crate::sim::certificates::Certificates;

use super::names::Names;

/// Whether a simulated cluster offers TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Tls {
    /// TLS is refused.
    #[default]
    Off,
    /// A client may use TLS or do without.
    Optional,
    /// Logins without TLS are turned away, as with `rds.force_ssl = 1` (PostgreSQL 28000) or
    /// `require_secure_transport = ON` (MySQL 3159).
    Required,
}

/// The cluster's own authority, and the certificate that its instances show.
pub(super) struct Identity {
    pub(super) acceptor: TlsAcceptor,
    pub(super) authority_pem: String,
    /// The same text as a file, for clients that take nothing else.
    file: TempPath,
}

impl Identity {
    /// A certificate for all names of the cluster, the addresses that it starts with, and their
    /// neighbours, which instances get that are added later.
    pub(super) fn issue(names: &Names, addresses: &[IpAddr]) -> io::Result<Self> {
        let certificates = Certificates::new()?;
        let (acceptor, authority_pem) =
            certificates.issue(&names.certificate_names(), &with_neighbours(addresses))?;
        let mut file = tempfile::Builder::new()
            .prefix("simulated-aurora-")
            .suffix(".pem")
            .tempfile()?;
        file.write_all(authority_pem.as_bytes())?;
        Ok(Self {
            acceptor,
            authority_pem,
            file: file.into_temp_path(),
        })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}

/// All addresses that differ from one of these in the last byte only.
fn with_neighbours(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let mut all = BTreeSet::new();
    for address in addresses {
        match address {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                all.extend((1..=254).map(|d| IpAddr::from([a, b, c, d])));
            }
            IpAddr::V6(_) => {}
        }
        all.insert(*address);
    }
    all.into_iter().collect()
}
