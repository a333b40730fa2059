//! The way to an open connection, and the ways in which it ends before.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use sockeye::client::{Client, ClientError, Connect, Received};
use sockeye::proto::ReadyState;
use sockeye::proto::handshake::ResponseError;

use crate::peer::*;
use crate::support::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn an_open_client_knows_its_subprotocol_and_its_headers() {
    let server = scripted(|mut peer| {
        let request = peer.upgrade("Sec-WebSocket-Protocol: b\r\nServer: scripted\r\n");
        header(&request, "Sec-WebSocket-Protocol").map(str::to_owned)
    });
    let client = open_with(&server, &connect().subprotocol("a").subprotocol("b"));
    assert_eq!(client.subprotocol(), Some("b"));
    assert_eq!(client.header("server"), Some("scripted"));
    assert_eq!(client.ready_state(), ReadyState::Open);
    assert_eq!(server.join().as_deref(), Some("a, b"));
}

#[test]
fn a_server_that_chooses_no_subprotocol_is_taken() {
    let server = upgraded(|_| ());
    assert_eq!(open_with(&server, &connect().subprotocol("a")).subprotocol(), None);
}

#[test]
fn path_query_headers_and_origin_arrive_as_they_were_given() {
    let server = scripted(|mut peer| peer.upgrade(""));
    let options =
        connect().header("Cookie", "a=1").header("X-Two", "2").origin("https://a.example");
    options.open(&format!("{}deep/path?q=a%20b&c=%23", server.url())).unwrap();
    let request = server.join();
    assert!(request.starts_with("GET /deep/path?q=a%20b&c=%23 HTTP/1.1\r\n"), "{request}");
    assert_eq!(header(&request, "Cookie"), Some("a=1"));
    assert_eq!(header(&request, "X-Two"), Some("2"));
    assert_eq!(header(&request, "Origin"), Some("https://a.example"));
    assert_eq!(header(&request, "Authorization"), None);
}

#[test]
fn user_and_password_of_the_url_become_authorization() {
    let server = scripted(|mut peer| peer.upgrade(""));
    connect().open(&format!("ws://me:p%40ss%C3%BC@{}/", server.address)).unwrap();
    // "me:p@ssü"
    assert_eq!(header(&server.join(), "Authorization"), Some("Basic bWU6cEBzc8O8"));
}

#[test]
fn an_authorization_that_was_given_stands_above_the_url() {
    let server = scripted(|mut peer| peer.upgrade(""));
    let options = connect().header("authorization", "Bearer x");
    options.open(&format!("ws://me:pass@{}/", server.address)).unwrap();
    assert_eq!(header(&server.join(), "Authorization"), Some("Bearer x"));
}

#[test]
fn the_host_header_names_the_port_unless_it_is_the_schemes_own() {
    for (url, host) in [
        ("ws://example.com/", "example.com"),
        ("ws://example.com:80/", "example.com"),
        ("ws://example.com:443/", "example.com:443"),
        ("wss://example.com:443/", "example.com"),
        ("ws://[::1]/", "[::1]"),
        ("ws://[0:0::1]:9000/", "[::1]:9000"),
        ("ws://me:pass@example.com:81/", "example.com:81"),
        ("ws://b\u{fc}cher.example/", "xn--bcher-kva.example"),
    ] {
        let server = scripted(|mut peer| peer.upgrade(""));
        let stream = TcpStream::connect(server.address).unwrap();
        connect().over(stream, url).unwrap();
        assert_eq!(header(&server.join(), "Host"), Some(host), "{url}");
    }
}

#[test]
fn an_ipv6_address_is_dialled() {
    // A machine without IPv6 cannot show it.
    let Ok(server) = scripted_at("[::1]:0", |mut peer| peer.upgrade("")) else { return };
    let address = server.address;
    connect().open(&server.url()).unwrap();
    assert_eq!(header(&server.join(), "Host"), Some(&*address.to_string()));
}

#[test]
fn a_name_is_looked_up_and_all_its_addresses_are_tried() {
    let server = scripted(|mut peer| peer.upgrade(""));
    // `localhost` is ::1 too on most machines, where nobody listens.
    connect().open(&format!("ws://localhost:{}/", server.address.port())).unwrap();
    assert!(server.join().contains("Host: localhost:"));
}

#[test]
fn an_unknown_host_is_named() {
    // A label that is too long for any name, so that nobody needs to be asked.
    let host = "a".repeat(64);
    let error = Client::connect(&format!("ws://{host}:81/")).map(drop).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot connect to {host}:81: ")), "{error}");
}

#[test]
fn a_port_where_nobody_listens_is_named() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Client::connect(&format!("ws://{address}/")).map(drop).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot connect to {address}: ")), "{error}");
    assert!(error.to_lowercase().contains("refused"), "{error}");
}

#[test]
fn options_that_cannot_stand_in_a_request_are_named_and_not_sent() {
    for (options, problem) in [
        (connect().header("X", "a\r\nb: c"), "control character in the value of X"),
        (connect().header("Host", "x"), "Host is written by the handshake itself"),
        (connect().subprotocol("a b"), "subprotocol \"a b\" is not a token"),
    ] {
        let server = scripted(|mut peer| peer.is_at_end());
        assert_eq!(fails(&server, &options).to_string(), problem);
        assert!(server.join(), "nothing was sent");
    }
}

#[test]
fn a_101_with_the_wrong_accept_is_refused() {
    let server = scripted(|mut peer| {
        let request = peer.request();
        peer.send(switching(&request, "").replace("Accept: ", "Accept: A"));
    });
    let error = fails(&server, &connect());
    assert!(matches!(error, ClientError::Handshake(ResponseError::WrongAccept)), "{error:?}");
}

#[test]
fn a_subprotocol_that_was_not_offered_is_refused() {
    let server = scripted(|mut peer| drop(peer.upgrade("Sec-WebSocket-Protocol: b\r\n")));
    let error = fails(&server, &connect().subprotocol("a"));
    assert_eq!(
        error.to_string(),
        "handshake failed: subprotocol \"b\" chosen, which was not offered"
    );
}

#[test]
fn an_extension_that_was_not_offered_is_refused() {
    let server = scripted(|mut peer| {
        drop(peer.upgrade("Sec-WebSocket-Extensions: permessage-deflate\r\n"));
    });
    let error = fails(&server, &connect());
    assert_eq!(
        error.to_string(),
        "handshake failed: extension \"permessage-deflate\" chosen, which was not offered"
    );
}

#[test]
fn interim_responses_are_passed_over() {
    let server = scripted(|mut peer| {
        let request = peer.request();
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
        peer.send(switching(&request, "")).send(text("after all").unmasked().bytes());
    });
    assert_eq!(open(&server).receive().unwrap(), Some(Received::Text("after all".into())));
}

#[test]
fn frames_in_the_segment_of_the_101_are_not_lost() {
    let server = scripted(|mut peer| {
        let request = peer.request();
        let mut bytes = switching(&request, "").into_bytes();
        bytes.extend(text("first").unmasked().bytes());
        let second = binary([2; 9000]).unmasked().bytes();
        bytes.extend(&second[..5000]);
        peer.send(bytes).send(&second[5000..]);
        peer.is_at_end()
    });
    let mut client = open(&server);
    assert_eq!(client.receive().unwrap(), Some(Received::Text("first".into())));
    assert_eq!(client.receive().unwrap(), Some(Received::Binary(vec![2; 9000])));
    drop(client);
    assert!(server.join());
}

#[test]
fn an_answer_one_byte_at_a_time_is_understood() {
    let server = scripted(|mut peer| {
        let request = peer.request();
        for byte in switching(&request, "").bytes() {
            peer.send([byte]);
        }
    });
    open(&server);
    server.join();
}

#[test]
fn a_server_that_hangs_up_without_an_answer_is_said_to() {
    let server = scripted(|mut peer| drop(peer.request()));
    assert_eq!(
        fails(&server, &connect()).to_string(),
        "the server closed the connection before it answered"
    );
}

#[test]
fn what_is_not_http_is_refused_at_its_first_byte() {
    let server = scripted(|mut peer| {
        peer.request();
        peer.send("SSH-2.0-OpenSSH\r\n");
        peer.is_at_end()
    });
    let error = fails(&server, &connect()).to_string();
    assert_eq!(error, "handshake failed: no HTTP/1.1 head has 0x53 at byte 0");
    assert!(server.join());
}

#[test]
fn a_listener_that_never_answers_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let begin = Instant::now();
    let error = connect().connect_timeout(MS(60)).open(&url).map(drop).unwrap_err();
    assert!(matches!(error, ClientError::TimedOut), "{error:?}");
    assert!((MS(60)..MS(1000)).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

#[test]
fn an_answer_that_trickles_is_given_up_in_time() {
    let server = scripted(|mut peer| {
        peer.request();
        trickle(&mut peer.stream, b"HTTP/1.1 101 Switching Protocols\r\nX: ", b'x');
    });
    let begin = Instant::now();
    let error = fails(&server, &connect().connect_timeout(MS(60)));
    assert!(matches!(error, ClientError::TimedOut), "{error:?}");
    assert!(begin.elapsed() < MS(1000), "{:?}", begin.elapsed());
    server.join();
}

#[test]
fn once_it_is_open_the_connect_time_out_is_over() {
    let server = upgraded(|peer| {
        thread::sleep(MS(200));
        peer.send(text("late").unmasked().bytes());
    });
    let mut client = open_with(&server, &connect().connect_timeout(MS(150)));
    assert_eq!(client.receive().unwrap(), Some(Received::Text("late".into())));
    server.join();
}

#[cfg(unix)]
#[test]
fn an_answer_that_trickles_over_a_stream_of_another_kind_is_given_up_in_time() {
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let server = thread::spawn(move || trickle(&mut theirs, b"HTTP/1.1 101 Switching", b'x'));
    let begin = Instant::now();
    let error =
        connect().connect_timeout(MS(60)).over(ours, "ws://localhost/").map(drop).unwrap_err();
    assert!(matches!(error, ClientError::TimedOut), "{error:?}");
    assert!(begin.elapsed() < MS(1000), "{:?}", begin.elapsed());
    server.join().unwrap();
}

#[test]
fn the_longest_of_time_outs_is_no_mistake() {
    let server = upgraded(|peer| peer.frame());
    let options = connect().connect_timeout(Duration::MAX);
    options.open(&server.url()).unwrap().text("x").unwrap();
    server.join();
}

#[test]
fn a_stream_of_another_kind_carries_a_websocket_too() {
    #[cfg(unix)]
    {
        use std::os::unix::net::UnixStream;
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = thread::spawn(move || echo(theirs, &sockeye::proto::Config::default()));
        let mut client = connect().over(ours, "ws://localhost/").unwrap();
        client.text("hello").unwrap();
        assert_eq!(client.receive().unwrap(), Some(Received::Text("hello".into())));
        assert_eq!(client.close(None).unwrap(), sockeye::proto::Ended::Clean(None));
        server.join().unwrap().unwrap();
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn without_tls_a_secure_url_is_refused_before_anybody_is_dialled() {
    let error = Client::connect("wss://127.0.0.1:1/").map(drop).unwrap_err();
    assert_eq!(error.to_string(), "TLS: this build has no TLS, enable the feature `tls`");
}

/// Sends `begin` and then a byte every few milliseconds, until nobody listens.
pub fn trickle(stream: &mut (impl Read + Write), begin: &[u8], byte: u8) {
    let mut next = begin;
    while stream.write_all(next).and_then(|()| stream.flush()).is_ok() {
        next = std::slice::from_ref(&byte);
        thread::sleep(MS(5));
    }
}

#[test]
fn one_description_opens_many_connections() {
    let options: Connect = connect().subprotocol("a");
    for _ in 0..2 {
        let server = upgraded(|peer| peer.frame().1);
        options.open(&server.url()).unwrap().text("x").unwrap();
        assert_eq!(server.join(), b"x");
    }
}
