//! The certificate authority of a simulated cluster.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// One authority, made anew for each cluster; nobody trusts it who was not given its certificate.
pub(crate) struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    pub(crate) fn new() -> io::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named("Simulated Aurora root CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority =
            CertifiedIssuer::self_signed(params, new_key()?).map_err(io::Error::other)?;
        Ok(Self { authority })
    }

    /// What a server needs to prove that it goes by these names and addresses, and the
    /// authority's certificate in PEM, by which a client can tell.
    ///
    /// A name may start with a wildcard (`*.cluster.example`), which stands for one label.
    pub(crate) fn issue(
        &self,
        names: &[String],
        addresses: &[IpAddr],
    ) -> io::Result<(TlsAcceptor, String)> {
        let key = new_key()?;
        let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
        params
            .subject_alt_names
            .extend(addresses.iter().copied().map(SanType::IpAddress));
        params.distinguished_name = named(names.first().map_or("simulated instance", |name| name));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params
            .signed_by(&key, &self.authority)
            .map_err(io::Error::other)?;

        // The provider is named here, so that nothing depends on, or changes, what the process
        // has installed.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .map_err(io::Error::other)?;
        Ok((TlsAcceptor::from(Arc::new(config)), self.authority.pem()))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

fn new_key() -> io::Result<KeyPair> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

#[cfg(test)]
mod tests {
    use super::Certificates;

    #[test]
    fn an_authority_shows_its_certificate_and_not_its_key() {
        let certificates = Certificates::new().expect("an authority");
        let (_, ca) = certificates
            .issue(&["*.cluster.example".to_owned()], &[])
            .expect("a certificate");
        assert!(ca.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(!ca.contains("PRIVATE"));
        assert_eq!(format!("{certificates:?}"), "Certificates { .. }");
    }

    #[test]
    fn a_name_that_cannot_stand_in_a_certificate_is_an_error() {
        let certificates = Certificates::new().expect("an authority");
        assert!(certificates.issue(&["gr\u{fc}n".to_owned()], &[]).is_err());
    }
}
