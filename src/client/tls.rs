//! Whom a client trusts, and the beginning of a TLS session.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::ClientError;

/// Where the trusted certificates come from.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    /// The platform's store, read once, when the first connection of the process is opened.
    Platform,
    /// This PEM file and nothing else.
    File(PathBuf),
    /// A configuration of the caller's.
    Config(Arc<ClientConfig>),
}

impl Trust {
    pub(super) fn begin(&self, host: &str) -> Result<ClientConnection, ClientError> {
        let (config, name) = self.terms(host)?;
        ClientConnection::new(config, name).map_err(|error| tls(error.to_string()))
    }

    /// What a session with this host begins from.
    pub(crate) fn terms(
        &self,
        host: &str,
    ) -> Result<(Arc<ClientConfig>, ServerName<'static>), ClientError> {
        let config = match self {
            Self::Platform => platform()?,
            Self::File(path) => {
                let unreadable = |error: &dyn std::fmt::Display| {
                    tls(format!("cannot read {}: {error}", path.display()))
                };
                let mut roots = RootCertStore::empty();
                for certificate in
                    CertificateDer::pem_file_iter(path).map_err(|e| unreadable(&e))?
                {
                    let certificate = certificate.map_err(|e| unreadable(&e))?;
                    roots.add(certificate).map_err(|e| unreadable(&e))?;
                }
                if roots.is_empty() {
                    return Err(unreadable(&"it holds no certificate in PEM form"));
                }
                with_roots(roots)?
            }
            Self::Config(config) => Arc::clone(config),
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| tls(error.to_string()))?;
        Ok((config, name))
    }
}

fn with_roots(roots: RootCertStore) -> Result<Arc<ClientConfig>, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // RFC 6455 is HTTP/1.1: a server that prefers HTTP/2 must not choose it.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The platform's roots. Single certificates that cannot be read are passed over, as platforms have them.
fn platform() -> Result<Arc<ClientConfig>, ClientError> {
    // Hundreds of files on some systems; and only one configuration can resume its own sessions.
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(loaded.certs);
    match (roots.is_empty(), loaded.errors.into_iter().next()) {
        (false, _) => {
            let config = with_roots(roots)?;
            Ok(Arc::clone(CONFIG.get_or_init(|| config)))
        }
        (true, Some(error)) => Err(tls(format!("no trusted certificates: {error}"))),
        (true, None) => Err(tls("the platform has no trusted certificates, give a CA file".into())),
    }
}

/// What may help against a fault of the server's TLS, as rustls tells it; `None` if nobody can tell.
#[cfg(any(feature = "bench", feature = "connect"))]
pub(crate) fn remedy(fault: &str) -> Option<&'static str> {
    const REMEDIES: [(&str, &str); 7] = [
        (
            "CaUsedAsEndEntity",
            "its certificate is an authority's own: make it one with basicConstraints CA:FALSE",
        ),
        ("UnknownIssuer", "name the authority that signed its certificate with --ca FILE"),
        ("BadSignature", "name the authority that signed its certificate with --ca FILE"),
        ("not valid for name", "write the URL with a name that the certificate has"),
        (
            "certificate expired",
            "it is for its operator to renew, unless the clock of this machine is wrong",
        ),
        ("not valid yet", "is the clock of this machine right?"),
        ("InvalidContentType", "does it speak TLS there? ws:// is without"),
    ];
    let known = REMEDIES.iter().find(|(sign, _)| fault.contains(sign));
    known.map(|(_, remedy)| *remedy)
}

fn tls(problem: String) -> ClientError {
    ClientError::Tls(problem)
}
