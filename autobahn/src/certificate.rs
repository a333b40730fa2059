//! A certificate for 127.0.0.1, made for one run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, While as _};

/// Where the certificate and its key lie, as PEM.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Writes both into `folder`, among the reports.
    pub(crate) fn make(folder: &Path) -> Result<Self, Failure> {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])
            .map_err(|error| Failure::Because(format!("cannot make a certificate: {error}")))?;
        let files =
            Self { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") };
        fs::write(&files.certificate, made.cert.pem()).or_fail("write the certificate")?;
        fs::write(&files.key, made.signing_key.serialize_pem()).or_fail("write its key")?;
        Ok(files)
    }
}
