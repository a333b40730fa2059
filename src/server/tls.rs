//! The server's certificate and key: read from PEM files, checked, and read again when the operator has
//! replaced them. It opens no connection; who holds the configuration begins the sessions.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};
use rustls::sign::CertifiedKey;

use crate::net::TlsConfig;

/// Why there is no TLS. One sentence that names the file and the remedy.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is no PEM, or larger than a megabyte.
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file holds no certificate.
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// A file holds no private key.
    NoKey {
        /// The file.
        file: PathBuf,
    },
    /// The private key is encrypted: nobody is there to type its password.
    EncryptedKey {
        /// The file.
        file: PathBuf,
    },
    /// The private key is of a kind that is not supported, or broken.
    UnusableKey {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The first certificate is broken.
    UnusableCertificate {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The private key belongs to another certificate.
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The cryptography does not work here.
    Unavailable(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, source } => {
                let remedy = match source.kind() {
                    ErrorKind::NotFound => "give the path of a file that exists",
                    ErrorKind::PermissionDenied => "let the user of this program read it",
                    _ => "give the path of a PEM file",
                };
                write!(f, "cannot read {}: {source}; {remedy}", file.display())
            }
            Self::Malformed { file, problem } => {
                write!(f, "{} is no PEM file: {problem}; write it anew", file.display())
            }
            Self::NoCertificate { file } => write!(
                f,
                "{} holds no certificate; it needs the server's own first (BEGIN CERTIFICATE), then those \
                 that lead to the root",
                file.display()
            ),
            Self::NoKey { file } => write!(
                f,
                "{} holds no private key; it needs one as PKCS #8, PKCS #1 or SEC 1 (BEGIN PRIVATE KEY)",
                file.display()
            ),
            Self::EncryptedKey { file } => write!(
                f,
                "the private key in {} is encrypted; decrypt it with `openssl pkey` and protect the file",
                file.display()
            ),
            Self::UnusableKey { file, problem } => write!(
                f,
                "the private key in {} cannot be used: {problem}; make one of RSA (2048 to 8192 bits), \
                 ECDSA (P-256 or P-384) or Ed25519",
                file.display()
            ),
            Self::UnusableCertificate { file, problem } => write!(
                f,
                "the first certificate in {} cannot be used: {problem}; have it issued anew",
                file.display()
            ),
            Self::Mismatch { certificate, key } => write!(
                f,
                "the private key in {} is not that of the first certificate in {}; give two that belong \
                 together",
                key.display(),
                certificate.display()
            ),
            Self::Unavailable(problem) => {
                write!(f, "TLS cannot be set up on this machine: {problem}; serve without it")
            }
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// A TLS configuration that can be replaced while connections use it: each keeps what it began with.
pub struct Reloadable {
    certificate: PathBuf,
    key: PathBuf,
    resumption: Resumption,
    current: RwLock<Arc<TlsConfig>>,
}

impl Reloadable {
    /// Reads a certificate chain, the server's own first, and its private key.
    ///
    /// # Errors
    ///
    /// See [`TlsError`].
    pub fn load(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        let (certificate, key) = (certificate.into(), key.into());
        let resumption = Resumption::new()?;
        let config = read(&certificate, &key, &resumption)?;
        Ok(Self { certificate, key, resumption, current: RwLock::new(Arc::new(config)) })
    }

    /// What a connection that begins now is to use.
    pub fn current(&self) -> Arc<TlsConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the same files again. Sessions from before can still be resumed.
    ///
    /// # Errors
    ///
    /// See [`TlsError`]; what was in use stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = read(&self.certificate, &self.key, &self.resumption)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(())
    }
}

impl fmt::Debug for Reloadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloadable")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// What peers need to come back without a whole handshake. It outlives a reload.
struct Resumption {
    tickets: Arc<dyn ProducesTickets>,
    sessions: Arc<dyn StoresServerSessions>,
}

impl Resumption {
    fn new() -> Result<Self, TlsError> {
        let tickets = ring::Ticketer::new().map_err(|e| TlsError::Unavailable(e.to_string()))?;
        Ok(Self { tickets, sessions: ServerSessionMemoryCache::new(SESSIONS_MAX) })
    }
}

fn read(certificate: &Path, key: &Path, resumption: &Resumption) -> Result<TlsConfig, TlsError> {
    let chain = read_chain(certificate)?;
    let pair = CertifiedKey::from_der(chain, read_key(key)?, &ring::default_provider())
        .map_err(|error| explain(&error, certificate, key))?;
    let unavailable = |error: rustls::Error| TlsError::Unavailable(error.to_string());
    let mut config = TlsConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(unavailable)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(pair)));
    // WebSockets open by HTTP/1.1; a browser that also offers HTTP/2 must be told.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = Arc::clone(&resumption.tickets);
    config.session_storage = Arc::clone(&resumption.sessions);
    Ok(config)
}

fn explain(error: &rustls::Error, certificate: &Path, key: &Path) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::Mismatch { certificate: certificate.into(), key: key.into() }
        }
        rustls::Error::InvalidCertificate(problem) => {
            TlsError::UnusableCertificate { file: certificate.into(), problem: problem.to_string() }
        }
        other => TlsError::UnusableKey { file: key.into(), problem: other.to_string() },
    }
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read_file(file)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| malformed(file, &error))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { file: file.into() });
    }
    Ok(chain)
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read_file(file)?;
    // PKCS #8 says it in the label, the older forms in a header behind theirs (RFC 1421 §4.6.1.1).
    let encrypted = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];
    if encrypted.iter().any(|it| text.windows(it.len()).any(|here| here == it.as_bytes())) {
        return Err(TlsError::EncryptedKey { file: file.into() });
    }
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(TlsError::NoKey { file: file.into() }),
        Err(error) => Err(malformed(file, &error)),
    }
}

fn read_file(file: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { file: file.into(), source };
    let mut text = Vec::new();
    let source = std::fs::File::open(file).map_err(unreadable)?;
    source.take(PEM_BYTES_MAX + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > PEM_BYTES_MAX {
        let problem = format!("it has more than {PEM_BYTES_MAX} bytes");
        return Err(TlsError::Malformed { file: file.into(), problem });
    }
    Ok(text)
}

fn malformed(file: &Path, error: &pem::Error) -> TlsError {
    let problem = match error {
        // It would say which as a list of numbers.
        pem::Error::MissingSectionEnd { .. } => "a section has no end".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a section begins wrongly".to_owned(),
        other => other.to_string(),
    };
    TlsError::Malformed { file: file.into(), problem }
}

/// TLS 1.2 sessions kept for peers that know no tickets. 256: browsers of today do.
const SESSIONS_MAX: usize = 256;
/// A chain of four certificates has 8 KiB; a megabyte is a wrong file, perhaps a device without end.
const PEM_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests;
