//! Whether connections are encrypted, and whom to trust.

use std::fmt;
use std::path::PathBuf;

use super::host::{Host, HostPort};
use super::invalid;
use crate::error::Result;

/// Whether connections are encrypted.
///
/// There is no mode in between: encryption without a verified name keeps out nobody who can
/// answer in the server's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsMode {
    /// No encryption. For servers on this machine, or behind a tunnel that encrypts.
    Disable,
    /// TLS; the certificate must come from a trusted authority and carry the host's name.
    VerifyFull,
}

/// The certificate authorities to trust, as PEM text.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RootCertificates {
    /// A file, read when the cluster is opened.
    PemFile(PathBuf),
    /// The text itself.
    Pem(Vec<u8>),
}

impl fmt::Debug for RootCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PemFile(path) => f.debug_tuple("PemFile").field(path).finish(),
            Self::Pem(text) => write!(f, "Pem({} bytes)", text.len()),
        }
    }
}

impl TlsMode {
    /// What applies where the application did not say: TLS, unless every seed is this machine
    /// and no certificates were named.
    pub(super) fn default_for(seeds: &[HostPort], roots: Option<&RootCertificates>) -> Self {
        let is_local =
            |seed: &HostPort| Host::parse(&seed.host).is_ok_and(|host| host.is_loopback());
        if roots.is_none() && !seeds.is_empty() && seeds.iter().all(is_local) {
            Self::Disable
        } else {
            Self::VerifyFull
        }
    }

    /// Reads the `sslmode` key of a URL.
    pub(super) fn from_sslmode(value: &str) -> Result<Self> {
        match value {
            "disable" => Ok(Self::Disable),
            // libpq's `require` checks no name; here it is no weaker than `verify-full`.
            "require" | "verify-full" => Ok(Self::VerifyFull),
            "prefer" | "allow" => Err(invalid(format!(
                "sslmode=`{value}` would fall back to plain text when somebody on the way asks \
                 for it: use `verify-full`, or `disable` where the network is trusted"
            ))),
            "verify-ca" => Err(invalid(
                "sslmode=`verify-ca` would trust any server with a certificate of the same \
                 authority, which every RDS customer has: use `verify-full`",
            )),
            _ => Err(invalid(format!(
                "sslmode=`{}` is unknown: use `disable`, `require` or `verify-full`",
                value.escape_debug()
            ))),
        }
    }
}

pub(super) fn validate(mode: TlsMode, roots: Option<&RootCertificates>) -> Result<()> {
    match (mode, roots) {
        (TlsMode::VerifyFull, None) => Err(invalid(
            "TLS is on (sslmode=verify-full, the default) but no certificate authority is given: \
             download Amazon's global-bundle.pem and name it with \
             sslrootcert=/path/to/global-bundle.pem, or use sslmode=disable where the network is \
             trusted",
        )),
        (TlsMode::VerifyFull | TlsMode::Disable, _) => Ok(()),
    }
}
