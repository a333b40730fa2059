//! `wss://`: whom the client trusts, and how TLS ends.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sockeye::client::{ClientError, Connect, Received};
use sockeye::proto::{CloseCode, Config, Ended};

use crate::opening::trickle;
use crate::peer::*;
use crate::support::*;

/// An authority of this test's own; its certificate lies in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}.pem", std::process::id()));
        std::fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, file }
    }

    /// What a server needs to show that it is `name`.
    fn server(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate: CertificateDer<'static> =
            params.signed_by(&key, &self.issuer).unwrap().into();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Arc::new(config)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

type Secure = StreamOwned<ServerConnection, std::net::TcpStream>;

fn secure(peer: Peer, config: Arc<ServerConfig>) -> Secure {
    StreamOwned::new(ServerConnection::new(config).unwrap(), peer.stream)
}

/// An echo server behind TLS for one connection; an error is what the client's refusal looks like from here.
fn secure_echo(config: Arc<ServerConfig>) -> Scripted<std::io::Result<Traffic>> {
    scripted(move |peer| {
        let mut stream = secure(peer, config);
        let traffic = echo(&mut stream, &Config::default())?;
        stream.conn.send_close_notify();
        stream.flush()?;
        Ok(traffic)
    })
}

fn wss<T>(server: &Scripted<T>, host: &str) -> String {
    format!("wss://{host}:{}/", server.address.port())
}

fn trusting(authority: &Authority) -> Connect {
    connect().ca_file(&authority.file)
}

#[test]
fn a_server_whose_authority_is_given_is_trusted() {
    let authority = Authority::new("trusted");
    for (name, host) in [("127.0.0.1", "127.0.0.1"), ("localhost", "localhost")] {
        let server = secure_echo(authority.server(name));
        let mut client = trusting(&authority).open(&wss(&server, host)).unwrap();
        assert!(client.stream().is_tls() && client.stream().tls_session().is_some());
        for len in [5, 1 << 20] {
            let text = "x".repeat(len);
            client.text(&text).unwrap();
            assert!(client.receive().unwrap() == Some(Received::Text(text)));
        }
        assert_eq!(client.close(None).unwrap(), Ended::Clean(None));
        server.join().unwrap();
    }
}

#[test]
fn a_server_of_another_authority_is_refused() {
    let (theirs, ours) = (Authority::new("theirs"), Authority::new("ours"));
    let server = secure_echo(theirs.server("127.0.0.1"));
    let error = trusting(&ours).open(&wss(&server, "127.0.0.1")).map(drop).unwrap_err();
    assert!(matches!(error, ClientError::Tls(_)), "{error:?}");
    assert!(error.to_string().starts_with("TLS: invalid peer certificate"), "{error}");
    server.join().unwrap_err();
}

#[test]
fn a_server_of_another_name_is_refused() {
    let authority = Authority::new("names");
    let server = secure_echo(authority.server("elsewhere.example"));
    let error = trusting(&authority).open(&wss(&server, "127.0.0.1")).map(drop).unwrap_err();
    assert!(matches!(error, ClientError::Tls(_)), "{error:?}");
    assert!(error.to_string().contains("not valid for name"), "{error}");
    server.join().unwrap_err();
}

#[test]
fn the_platform_does_not_trust_an_authority_of_ours() {
    let server = secure_echo(Authority::new("unknown").server("127.0.0.1"));
    let error = connect().open(&wss(&server, "127.0.0.1")).map(drop).unwrap_err();
    // Or the platform trusts nobody at all, which is said before anybody is dialled.
    assert!(matches!(error, ClientError::Tls(_)), "{error:?}");
}

#[test]
fn a_ca_file_that_cannot_be_used_is_named_before_anybody_is_dialled() {
    let empty = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("empty.pem");
    std::fs::write(&empty, "nothing here").unwrap();
    for (file, problem) in [
        (empty, "it holds no certificate in PEM form"),
        (PathBuf::from("/no/such/file.pem"), "No such file"),
    ] {
        let error = connect().ca_file(&file).open("wss://127.0.0.1:1/").map(drop).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with(&format!("TLS: cannot read {}: ", file.display())), "{error}");
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn a_server_that_does_not_speak_tls_is_refused() {
    let server = scripted(|mut peer| {
        let mut hello = [0; 5];
        peer.stream.read_exact(&mut hello).unwrap();
        peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        hello[0]
    });
    let error = trusting(&Authority::new("plain")).open(&wss(&server, "127.0.0.1"));
    assert!(matches!(error, Err(ClientError::Tls(_))), "{error:?}");
    assert_eq!(server.join(), 0x16, "a TLS hello was sent, not a request");
}

#[test]
fn a_tls_handshake_that_trickles_is_given_up_in_time() {
    let authority = Authority::new("slow");
    let server = scripted(|mut peer| {
        peer.stream.read_exact(&mut [0; 5]).unwrap();
        // A record that is announced and never ends: TLS reads on within one read of the client's.
        trickle(&mut peer.stream, &[0x16, 3, 3, 0x3f, 0xff], 0);
    });
    let options = trusting(&authority).connect_timeout(Duration::from_millis(80));
    let begin = Instant::now();
    let error = options.open(&wss(&server, "127.0.0.1")).map(drop).unwrap_err();
    assert!(matches!(error, ClientError::TimedOut), "{error:?}");
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    server.join();
}

#[test]
fn a_read_time_out_loses_nothing_of_a_tls_record_that_it_cuts() {
    let authority = Authority::new("cut");
    let config = authority.server("127.0.0.1");
    let server = scripted(move |peer| {
        let mut stream = secure(peer, config);
        upgrade_over(&mut stream);
        // The record goes out in two halves, with a silence between.
        stream.conn.writer().write_all(&text("whole").unmasked().bytes()).unwrap();
        let mut record = Vec::new();
        while stream.conn.wants_write() {
            stream.conn.write_tls(&mut record).unwrap();
        }
        for half in record.chunks(record.len().div_ceil(2)) {
            stream.sock.write_all(half).unwrap();
            std::thread::sleep(Duration::from_millis(60));
        }
    });
    let mut client = trusting(&authority).open(&wss(&server, "127.0.0.1")).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(20)));
    let mut timed_out = 0;
    let received = loop {
        match client.receive() {
            Err(ClientError::TimedOut) => timed_out += 1,
            received => break received.unwrap(),
        }
    };
    assert!(timed_out > 0);
    assert_eq!(received, Some(Received::Text("whole".into())));
    server.join();
}

#[test]
fn tls_that_ends_without_goodbye_is_judged_by_the_close_frame() {
    let authority = Authority::new("truncated");
    for (last, ended) in [
        (close(1000, "").unmasked(), Ended::Clean(Some(CloseCode::NORMAL))),
        (ping("").unmasked(), Ended::Abrupt),
    ] {
        let config = authority.server("127.0.0.1");
        let server = scripted(move |peer| {
            let mut stream = secure(peer, config);
            upgrade_over(&mut stream);
            stream.write_all(&last.bytes()).unwrap();
            // The answer, so that the end is no reset; then TCP ends and TLS has said nothing.
            let _ = stream.read(&mut [0; 100]).unwrap();
        });
        let mut client = trusting(&authority).open(&wss(&server, "127.0.0.1")).unwrap();
        while client.receive().unwrap().is_some() {}
        assert_eq!(client.ended(), Some(ended));
        server.join();
    }
}

#[test]
fn the_client_says_goodbye_in_tls_too() {
    let authority = Authority::new("goodbye");
    let config = authority.server("127.0.0.1");
    let server = scripted(move |peer| {
        let mut stream = secure(peer, config);
        upgrade_over(&mut stream);
        stream.write_all(&text("bad").rsv(4).unmasked().bytes()).unwrap();
        let mut rest = Vec::new();
        // Without the goodbye of TLS this is an error: the end may have been cut off.
        stream.read_to_end(&mut rest).unwrap();
        rest.len()
    });
    let mut client = trusting(&authority).open(&wss(&server, "127.0.0.1")).unwrap();
    assert!(matches!(client.receive(), Err(ClientError::Violation(_))));
    assert_eq!(server.join(), 8, "a masked close frame with a code");
}

#[test]
fn a_secure_websocket_goes_through_a_proxy() {
    let authority = Authority::new("tunnelled");
    let (server, proxy) = (secure_echo(authority.server("127.0.0.1")), crate::proxy::proxy());
    let options = trusting(&authority).proxy(format!("http://{}", proxy.address));
    let mut client = options.open(&wss(&server, "127.0.0.1")).unwrap();
    client.text("through").unwrap();
    assert_eq!(client.receive().unwrap(), Some(Received::Text("through".into())));
    client.close(None).unwrap();
    server.join().unwrap();
}
