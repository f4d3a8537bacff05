//! TLS, for a daemon that is asked from afar: which cryptography, and whose certificates are believed.
//!
//! The daemon's side takes its cryptography from here, too: there is one choice of it in the program.

use felio_control::{Refusal, RefusalKind};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// Where systems keep the certificates of those whom everybody believes: Debian, Fedora, SUSE, Alpine.
const SYSTEM: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The cryptography, if this processor has what it needs.
pub fn provider() -> Result<Arc<CryptoProvider>, Refusal> {
    if graviola::util::is_cpu_supported() {
        return Ok(Arc::new(rustls_graviola::default_provider()));
    }
    let what = "this processor lacks what felio's TLS needs: AES, PCLMULQDQ, SSSE3, AVX2, BMI1, BMI2 and ADX on x86-64, AES, SHA2 and PMULL on ARM";
    Err(Refusal::new(RefusalKind::NotSupported, what)
        .hint("use the Unix socket, from afar by `ssh -L` or `ssh HOST felio …`"))
}

/// Believes who is in a file, or else whom the system believes.
pub(crate) fn trust(ca: Option<&Path>) -> Result<Arc<ClientConfig>, Refusal> {
    let system = || SYSTEM.iter().map(Path::new).find(|path| path.exists());
    let file = ca.or_else(system).ok_or_else(|| {
        Refusal::invalid("this system has no file of certificates").hint("--ca FILE names one, in PEM")
    })?;
    let unreadable = |why: String| {
        let what = format!("no certificates from {}: {why}", file.display());
        Refusal::invalid(what).hint("--ca FILE names a file of certificates in PEM")
    };
    let mut roots = RootCertStore::empty();
    for found in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(error.to_string()))? {
        let certificate = found.map_err(|error| unreadable(error.to_string()))?;
        // The system's may have some that nobody understands any more.
        match roots.add(certificate) {
            Err(error) if ca.is_some() => return Err(unreadable(error.to_string())),
            _ => {}
        }
    }
    let provider = provider()?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.build().map_err(|error| unreadable(error.to_string()))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Refusal::new(RefusalKind::NotSupported, error.to_string()))?;
    Ok(Arc::new(config.with_webpki_verifier(verifier).with_no_client_auth()))
}
