#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConnection,
    SupportedProtocolVersion, version,
};

use super::*;

/// A directory that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sockeye-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let file = self.0.join(name);
        fs::write(&file, text).unwrap();
        file
    }

    /// Writes a new certificate and its key as `a.crt` and `a.key`; the certificate.
    fn issue(&self, name: &str) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        self.file(&format!("{name}.crt"), certificate.pem());
        self.file(&format!("{name}.key"), key.serialize_pem());
        certificate.into()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn load(&self, name: &str) -> Reloadable {
        Reloadable::load(self.path(&format!("{name}.crt")), self.path(&format!("{name}.key")))
            .unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn client(
    trusted: &[&CertificateDer<'static>],
    version: &'static SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add((*certificate).clone()).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// A whole handshake in memory; the client's end of it.
fn meet(server: &Reloadable, client: &Arc<ClientConfig>) -> ClientConnection {
    let mut server = ServerConnection::new(server.current()).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut wire = Vec::new();
    while client.wants_write() || server.wants_write() {
        wire.clear();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut rest = &*wire;
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut rest = &*wire;
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    client
}

fn presented(client: &ClientConnection) -> &CertificateDer<'static> {
    &client.peer_certificates().unwrap()[0]
}

#[test]
fn both_versions_are_spoken_and_http_1_1_is_chosen() {
    let folder = Folder::new("versions");
    let certificate = folder.issue("a");
    let server = folder.load("a");
    for version in [&version::TLS12, &version::TLS13] {
        let end = meet(&server, &client(&[&certificate], version));
        assert_eq!(end.protocol_version(), Some(version.version));
        assert_eq!(end.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(presented(&end), &certificate);
    }
}

#[test]
fn a_reload_is_for_those_who_come_after_it_and_who_was_here_resumes() {
    let folder = Folder::new("reload");
    let old = folder.issue("a");
    let server = folder.load("a");
    let before = server.current();
    let known: Vec<_> = [&version::TLS12, &version::TLS13]
        .into_iter()
        .map(|version| {
            let known = client(&[&old], version);
            assert_eq!(meet(&server, &known).handshake_kind(), Some(HandshakeKind::Full));
            known
        })
        .collect();
    let new = folder.issue("a");
    server.reload().unwrap();
    assert!(!Arc::ptr_eq(&before, &server.current()));
    let end = meet(&server, &client(&[&old, &new], &version::TLS13));
    assert_eq!(presented(&end), &new);
    for known in known {
        assert_eq!(meet(&server, &known).handshake_kind(), Some(HandshakeKind::Resumed));
    }
}

#[test]
fn a_reload_that_fails_leaves_what_was() {
    let folder = Folder::new("keep");
    let old = folder.issue("a");
    let server = folder.load("a");
    let before = server.current();
    folder.file("a.key", "half a k");
    assert!(matches!(server.reload(), Err(TlsError::NoKey { .. })));
    fs::remove_file(folder.path("a.crt")).unwrap();
    assert!(matches!(server.reload(), Err(TlsError::Unreadable { .. })));
    assert!(Arc::ptr_eq(&before, &server.current()));
    assert_eq!(presented(&meet(&server, &client(&[&old], &version::TLS13))), &old);
}

#[test]
fn a_chain_is_sent_whole_and_may_share_its_file_with_the_key() {
    let folder = Folder::new("chain");
    let (first, second) = (folder.issue("a"), folder.issue("b"));
    let read = |name: &str| fs::read_to_string(folder.path(name)).unwrap();
    let both = format!("a remark\n{}{}{}", read("a.key"), read("a.crt"), read("b.crt"));
    let file = folder.file("both.pem", both);
    let server = Reloadable::load(&file, &file).unwrap();
    let end = meet(&server, &client(&[&first], &version::TLS13));
    assert_eq!(end.peer_certificates().unwrap(), [first, second]);
}

#[test]
fn each_error_names_its_file_and_what_to_do() {
    let folder = Folder::new("errors");
    folder.issue("a");
    folder.issue("b");
    let (certificate, key) = (folder.path("a.crt"), folder.path("a.key"));
    let pem = |label: &str, body: &str| {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    let junk = "AAAA";
    let old_encryption = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA";
    let cases = [
        (
            folder.path("none.crt"),
            key.clone(),
            "cannot read {1}: No such file",
            "path of a file that exists",
        ),
        (
            certificate.clone(),
            folder.path("none.key"),
            "cannot read {2}: ",
            "path of a file that exists",
        ),
        (folder.0.clone(), key.clone(), "cannot read {1}: ", "give the path of a PEM file"),
        (
            folder.file("empty.crt", ""),
            key.clone(),
            "{1} holds no certificate; ",
            "BEGIN CERTIFICATE",
        ),
        (key.clone(), key.clone(), "{1} holds no certificate; ", "BEGIN CERTIFICATE"),
        (
            certificate.clone(),
            certificate.clone(),
            "{2} holds no private key; ",
            "BEGIN PRIVATE KEY",
        ),
        (
            certificate.clone(),
            folder.file("locked.key", pem("ENCRYPTED PRIVATE KEY", junk)),
            "the private key in {2} is encrypted; ",
            "decrypt it",
        ),
        (
            certificate.clone(),
            folder.file("old.key", pem("RSA PRIVATE KEY", old_encryption)),
            "the private key in {2} is encrypted; ",
            "decrypt it",
        ),
        (
            certificate.clone(),
            folder.file("junk.key", pem("PRIVATE KEY", junk)),
            "the private key in {2} cannot be used: ",
            "make one of RSA",
        ),
        (
            folder.file("junk.crt", pem("CERTIFICATE", junk)),
            key.clone(),
            "the first certificate in {1} cannot be used: ",
            "have it issued anew",
        ),
        (
            certificate.clone(),
            folder.path("b.key"),
            "the private key in {2} is not that of the first certificate in {1}; ",
            "give two that belong together",
        ),
        (
            folder.file("cut.crt", &fs::read(&certificate).unwrap()[..200]),
            key.clone(),
            "{1} is no PEM file: a section has no end; ",
            "write it anew",
        ),
        (
            folder.file("huge.crt", vec![b'\n'; (1 << 20) + 1]),
            key,
            "{1} is no PEM file: it has more than 1048576 bytes",
            "write it anew",
        ),
    ];
    for (certificate, key, start, remedy) in cases {
        let said = Reloadable::load(&certificate, &key).unwrap_err().to_string();
        let path = |path: &Path| path.display().to_string();
        let start = start.replace("{1}", &path(&certificate)).replace("{2}", &path(&key));
        assert!(said.starts_with(&start), "{said:?} does not start with {start:?}");
        assert!(said.contains(remedy), "{said:?} does not say {remedy:?}");
        assert!(!said.contains('\n') && !said.ends_with('.'), "{said:?}");
    }
}
