//! The ways to a server: TLS, logging in, proxies, Unix sockets, what is asked for in the request.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::peer::{echo_server, header, scripted, upgraded};
use crate::process::{Server, say};
use crate::support::{close, text};
use sockeye::proto::Config;
use sockeye::proto::deflate::Deflate;

const ONCE: [&str; 4] = ["-m", "hello", "--exit-after", "1"];

fn with<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[url][..], more, &ONCE].concat()
}

/// A file of its own, as tests run beside each other.
fn file(name: &str, text: &str) -> String {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let name = format!("connect-{name}-{}.pem", FILES.fetch_add(1, Ordering::Relaxed));
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_server_of_ones_own_authority_is_trusted_when_its_certificate_is_given() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let (ca, cert, key) = (
        file("ca", &authority.pem()),
        file("cert", &certificate.pem()),
        file("key", &key.serialize_pem()),
    );
    let server = Server::start(&["--tls-cert", &cert, "--tls-key", &key]);
    let url = format!("wss://{}/echo", server.address);

    let run = say(&with(&url, &["--ca", &ca, "-v"]));
    run.expect(0, "hello\n");
    assert!(run.said.contains("TLS 1.3"), "{}", run.said);

    // More than one read and one record of TLS, in both directions.
    let long = "x".repeat(300_000);
    let run = crate::process::connect(
        &[&url, "--ca", &ca, "--exit-after", "20"],
        format!("{long}\n").repeat(20),
    );
    assert_eq!(run.status, Some(0), "{}", run.said);
    assert!(run.out == format!("{long}\n").repeat(20));

    let run = say(&with(&url, &[]));
    run.expect(1, "");
    assert!(run.said.contains("UnknownIssuer") && run.said.contains("--ca FILE"), "{}", run.said);

    let run = say(&with(&url, &["--insecure"]));
    run.expect(0, "hello\n");
    assert!(run.said.contains("nobody has checked"), "{}", run.said);
}

#[test]
fn name_and_password_come_from_the_option_or_the_url() {
    for (user, password) in [(Some("me:p@ss"), ""), (None, "me:p%40ss@")] {
        let peer = scripted(|mut peer| {
            let request = peer.upgrade("");
            peer.send(text("in").unmasked().bytes());
            peer.send(close(1000, "").unmasked().bytes());
            request
        });
        let url = format!("ws://{password}{}/", peer.address);
        let mut line = vec![&*url];
        line.extend(user.iter().flat_map(|user| ["--user", *user]));
        say(&line).expect(0, "in\n");
        assert_eq!(header(&peer.join(), "Authorization"), Some("Basic bWU6cEBzcw=="));
    }
}

#[test]
fn headers_origin_and_subprotocols_are_in_the_request() {
    let peer = scripted(|mut peer| {
        let request = peer.upgrade("Sec-WebSocket-Protocol: b\r\n");
        peer.send(close(1000, "").unmasked().bytes());
        request
    });
    let run = say(&[
        &*peer.url(),
        "-H",
        "X-Room: tea",
        "-H",
        "X-Time:5",
        "-o",
        "https://example.com",
        "-s",
        "a",
        "-s",
        "b",
        "-v",
    ]);
    run.expect(0, "");
    assert!(run.said.contains("subprotocol b"), "{}", run.said);
    let request = peer.join();
    assert_eq!(header(&request, "X-Room"), Some("tea"));
    assert_eq!(header(&request, "X-Time"), Some("5"));
    assert_eq!(header(&request, "Origin"), Some("https://example.com"));
    assert_eq!(header(&request, "Sec-WebSocket-Protocol"), Some("a, b"));
}

#[test]
fn deflate_makes_less_of_it() {
    let server = echo_server(Config::default().per_message_deflate(Deflate::default()));
    let message = "sockeye ".repeat(1000);
    let run = say(&[&*server.url(), "--deflate", "-m", &message, "--exit-after", "1", "-v"]);
    run.expect(0, &format!("{message}\n"));
    assert!(run.said.contains("permessage-deflate"), "{}", run.said);
    let traffic = server.join();
    assert!(traffic.read < 500 && traffic.written < 500, "{traffic:?}");
}

#[test]
fn an_http_proxy_leads_there() {
    use std::io::copy;
    use std::net::{Shutdown, TcpStream};
    let server = Server::start(&[]);
    let proxy = scripted(|mut peer| {
        let request = peer.request();
        let there = TcpStream::connect(request.split(' ').nth(1).unwrap()).unwrap();
        peer.send("HTTP/1.1 200 Connection established\r\n\r\n");
        let (mut from, mut to) = (there.try_clone().unwrap(), peer.stream.try_clone().unwrap());
        let back = std::thread::spawn(move || {
            let _ = copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
        let _ = copy(&mut peer.stream, &mut &there);
        let _ = there.shutdown(Shutdown::Write);
        back.join().unwrap();
        request
    });
    let url = format!("http://me:p%40ss@{}", proxy.address);
    say(&with(&server.url("/echo"), &["--proxy", &url])).expect(0, "hello\n");
    let request = proxy.join();
    assert!(request.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", server.address)), "{request}");
    assert_eq!(header(&request, "Proxy-Authorization"), Some("Basic bWU6cEBzcw=="));

    let refusing = scripted(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    });
    let address = refusing.address.to_string();
    let run = say(&with(&server.url("/echo"), &["-x", &address]));
    run.expect(1, "");
    assert!(run.said.contains("407") && run.said.contains("--proxy http://NAME"), "{}", run.said);
}

#[test]
fn a_unix_socket_leads_there() {
    let path = std::env::temp_dir().join(format!("sockeye-connect-{}.sock", std::process::id()));
    let path = path.to_str().unwrap();
    let server = Server::start(&["--unix", path]);
    say(&with("ws://localhost/echo", &["--unix", path])).expect(0, "hello\n");
    drop(server);
    let _ = fs::remove_file(path);
}

#[test]
fn a_message_over_the_limit_is_refused() {
    let server = upgraded(|peer| {
        peer.send(text("x".repeat(2000)).unmasked().bytes());
        let (_, goodbye) = peer.frame();
        goodbye
    });
    let run = say(&[&*server.url(), "--max-payload", "1KiB"]);
    run.expect(1, "");
    assert!(run.said.contains("2000") && run.said.contains("1024"), "{}", run.said);
    assert_eq!(server.join()[..2], 1009u16.to_be_bytes());
}

#[test]
fn a_certificate_that_will_not_do_is_told_with_the_way_out() {
    let told = |params: CertificateParams, part: &str| {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (cert, key) = (file("cert", &certificate.pem()), file("key", &key.serialize_pem()));
        let server = Server::start(&["--tls-cert", &cert, "--tls-key", &key]);
        let run = say(&with(&format!("wss://{}/echo", server.address), &["--ca", &cert]));
        run.expect(1, "");
        assert!(run.said.contains(part), "{part:?} in {}", run.said);
    };
    let named = |name: &str| CertificateParams::new([name.to_owned()]).unwrap();
    let mut expired = named("127.0.0.1");
    expired.not_after = rcgen::date_time_ymd(2024, 2, 1);
    told(expired, " days ago; it is for its operator to renew");
    let mut early = named("127.0.0.1");
    early.not_before = rcgen::date_time_ymd(4000, 1, 1);
    told(early, "is the clock of this machine right?");
    told(named("other.example"), "write the URL with a name that the certificate has");
    let mut authority = named("127.0.0.1");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    told(authority, "basicConstraints CA:FALSE, or take --insecure");
}
