//! The same load over TLS: everything is counted as without, and who is not trusted gets none of it.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::process::{Server, bench, clean};

/// The files of an authority and of a server that it has vouched for.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        for (name, pem) in
            [("ca", issuer.pem()), ("cert", certificate.pem()), ("key", key.serialize_pem())]
        {
            std::fs::write(folder.join(name), pem).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn serve(&self) -> Server {
        Server::start(&["--tls-cert", &self.path("cert"), "--tls-key", &self.path("key")])
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_mode_runs_over_tls() {
    let files = Files::new("modes");
    let server = files.serve();
    let ca = files.path("ca");
    for (target, more, received) in [
        ("/echo", &["-c", "5", "-n", "1003", "--depth", "16"][..], 1003),
        ("/echo", &["-c", "3", "-n", "40", "--size", "300000", "--threads", "2"], 40),
        ("/broadcast?room=x", &["-m", "broadcast", "-c", "20", "-n", "100"], 2000),
        ("/echo", &["-m", "idle", "-c", "20", "-d", "300ms"], -1),
        ("/echo", &["-m", "handshake", "-c", "4", "-n", "60"], -1),
    ] {
        let report = clean(&[&[&*server.secure_url(target), "--ca", &ca], more].concat());
        // Idle connections say nothing of messages.
        assert_eq!(
            report["messages"]["received"].as_i64().unwrap_or(-1),
            received,
            "{more:?}: {report}"
        );
        assert_eq!(report["connections"]["failed"], 0, "{more:?}: {report}");
    }
}

#[test]
fn who_is_not_trusted_is_told_apart_and_named_a_remedy() {
    let (ours, theirs) = (Files::new("ours"), Files::new("theirs"));
    let server = ours.serve();
    let sentence = |arguments: &[&str], parts: &[&str]| {
        let run = bench(arguments);
        assert_eq!(run.status, Some(1), "{}{}", run.out, run.said);
        assert_eq!(run.said.lines().count(), 1, "{}", run.said);
        for part in parts {
            assert!(run.said.contains(part), "{part:?} in {}", run.said);
        }
    };
    let url = server.secure_url("/echo");
    sentence(
        &[&url, "--ca", &theirs.path("ca")],
        &[&url, "certificate", "name the authority", "--ca"],
    );
    let plain = Server::start(&[]);
    let url = plain.secure_url("/echo");
    sentence(&[&url, "--ca", &ours.path("ca")], &[&url, "no TLS", "ws://"]);
    let url = server.url("/echo");
    sentence(&[&url], &[&url, "give wss://"]);
}
